//! How many rows each answer reads: the same few, however much there is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tonle_model::instruction::{Instruction, Invoice};

use crate::memory::MemoryStore;
use crate::state::{Direction, HistoryQuery, World};
use crate::store::{Changes, Durability, ScanOrder, Store, StoreError, Table, Visit};
use crate::testing::{Net, account, asset};

/// A store that counts what is read of it.
#[derive(Default)]
struct Counting {
    inner: MemoryStore,
    /// Look-ups and scans.
    reads: AtomicUsize,
    /// Rows that scans came past.
    rows: AtomicUsize,
}

impl Counting {
    /// What was read since the last call: look-ups and scans, and rows.
    fn taken(&self) -> (usize, usize) {
        (self.reads.swap(0, Ordering::Relaxed), self.rows.swap(0, Ordering::Relaxed))
    }
}

impl Store for Counting {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.inner.get(table, key)
    }

    fn multi_get(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.reads.fetch_add(keys.len(), Ordering::Relaxed);
        self.inner.multi_get(table, keys)
    }

    fn scan(
        &self,
        table: Table,
        start: &[u8],
        order: ScanOrder,
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.inner.scan(table, start, order, &mut |key, value| {
            self.rows.fetch_add(1, Ordering::Relaxed);
            visit(key, value)
        })
    }

    fn write(&self, changes: &Changes, durability: Durability) -> Result<(), StoreError> {
        self.inner.write(changes, durability)
    }
}

/// What the answers read of a network in which so many payments were made between two people, one
/// of them for an invoice, and that was started again, so that nothing is in memory.
fn answered(blocks: usize) -> Vec<(&'static str, (usize, usize))> {
    let store = Arc::new(Counting::default());
    let mut net = Net::on(store.clone());
    let invoice = Invoice { id: "bill".parse().unwrap(), expires_ms: net.next_ms() + 80_000_000 };
    let billed = Instruction::Transfer {
        asset: asset("khr#nbc"),
        from: None,
        to: account("dara@aclb"),
        amount: "1".parse().unwrap(),
        memo: Default::default(),
        invoice: Some(invoice),
    };
    let billed = net.draft(vec![("sok@aclb".into(), billed)]);
    net.outcome(billed);
    for _ in 0..blocks {
        let there = (0..20).map(|_| net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1").signed());
        let back = (0..20).map(|_| net.pay("dara@aclb", "sok@aclb", "khr#nbc", "1").signed());
        let members = there.chain(back).collect();
        net.block(members);
    }
    let world = World::open(store.clone(), &net.genesis).unwrap();
    let reader = world.reader();
    let sok = account("sok@aclb");
    let page = |direction, asset, until_ms, limit| {
        let (since_ms, cursor) = (None, None);
        let account = sok.clone();
        let query = HistoryQuery { account, asset, direction, since_ms, until_ms, limit, cursor };
        assert_eq!(reader.history(&query).unwrap().entries.len(), limit);
    };
    let riel = || Some(asset("khr#nbc"));
    let middle = Some(crate::testing::START_MS + 3_000);
    store.taken();
    let mut counts = Vec::new();
    let mut count = |what, ask: &dyn Fn()| {
        ask();
        counts.push((what, store.taken()));
    };
    count("balance", &|| {
        reader.balance(&sok, &asset("khr#nbc")).unwrap().unwrap();
    });
    count("invoice", &|| {
        assert_eq!(reader.invoices(&account("dara@aclb"), "bill").unwrap().len(), 1)
    });
    count("page of one asset", &|| page(None, riel(), None, 20));
    count("page of all assets", &|| page(None, None, None, 20));
    count("page of what went", &|| page(Some(Direction::Out), riel(), None, 20));
    count("balance of the past", &|| page(None, riel(), middle, 1));
    count("accounts of a domain", &|| {
        let domain = "nbc".parse().unwrap();
        assert_eq!(reader.accounts_of(&domain, None, 20).unwrap().len(), 1);
    });
    count("totals", &|| assert_eq!(reader.totals(&asset("khr#nbc"), None, 20).unwrap().len(), 1));
    counts
}

#[test]
fn answers_read_the_same_few_rows_of_any_archive() {
    let small = answered(4);
    assert_eq!(small, answered(150));
    for (what, (reads, rows)) in small {
        // Slot and row of an entry; or a range, or two of each asset, and a row more than shown.
        let (most_reads, most_rows) = match what {
            "balance" => (2, 0),
            "invoice" => (2, 2),
            "page of one asset" => (2, 42),
            "page of what went" => (1, 21),
            "balance of the past" => (2, 4),
            _ => (9, 90),
        };
        assert!(reads <= most_reads && rows <= most_rows, "{what}: {reads} reads, {rows} rows");
    }
}
