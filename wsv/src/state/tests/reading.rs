//! What readers see.

use tonle_model::number::Height;

use crate::state::{Direction, HistoryEntry, HistoryQuery};
use crate::testing::{Net, START_MS, account, asset};

fn query(who: &str) -> HistoryQuery {
    HistoryQuery {
        account: account(who),
        asset: None,
        direction: None,
        since_ms: None,
        until_ms: None,
        limit: 100,
        cursor: None,
    }
}

fn lines(net: &Net, query: HistoryQuery) -> Vec<HistoryEntry> {
    let page = net.world.reader().history(&query).unwrap();
    assert_eq!(page.next, None);
    page.entries
}

/// Ten payments of khr and one of usd by sok, one payment back.
fn net_with_payments() -> Net {
    let mut net = Net::new();
    for amount in 1..=10 {
        let payment = net.pay("sok@aclb", "dara@aclb", "khr#nbc", &amount.to_string());
        let dollars = (amount == 5).then(|| net.pay("sok@aclb", "dara@aclb", "usd#nbc", "0.05"));
        let back = (amount == 7).then(|| net.pay("dara@aclb", "sok@aclb", "khr#nbc", "7"));
        let members = [Some(payment), dollars, back].into_iter().flatten();
        net.block(members.map(|draft| draft.signed()).collect());
    }
    net
}

#[test]
fn history_has_one_line_per_party_with_the_balance_after() {
    let mut net = Net::new();
    let draft = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "30");
    net.block(vec![draft.signed()]);
    let sok = lines(&net, query("sok@aclb"));
    let expected = HistoryEntry {
        height: Height(1),
        index: 0,
        step: 0,
        asset: asset("khr#nbc"),
        direction: Direction::Out,
        counterparty: account("dara@aclb"),
        amount: tonle_model::amount::Amount::from_minor(30),
        balance: tonle_model::amount::Amount::from_minor(970),
        transaction: draft.signed().hash(),
        memo: Default::default(),
        time_ms: START_MS + 1_000,
    };
    assert_eq!(sok[0], expected);
    // Before it, what genesis minted.
    assert_eq!(sok.len(), 3);
    assert_eq!((sok[1].height, sok[1].direction), (Height(0), Direction::In));
    let dara = lines(&net, query("dara@aclb"));
    assert_eq!((dara[0].direction, dara[0].balance.minor()), (Direction::In, 530));
    assert_eq!(dara[0].counterparty, account("sok@aclb"));
    assert_eq!(lines(&net, query("none@aclb")), []);
}

#[test]
fn a_rejected_transaction_has_no_history() {
    let mut net = Net::new();
    let before = lines(&net, query("sok@aclb"));
    let draft = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "3000");
    net.block(vec![draft.signed()]);
    assert_eq!(lines(&net, query("sok@aclb")), before);
}

#[test]
fn history_filters() {
    let net = net_with_payments();
    let all = lines(&net, query("sok@aclb"));
    assert_eq!(all.len(), 2 + 10 + 1 + 1);
    assert!(all.is_sorted_by_key(|line| std::cmp::Reverse((line.time_ms, line.index))));
    let some = |query: HistoryQuery, keep: &dyn Fn(&HistoryEntry) -> bool| {
        let expected: Vec<_> = all.iter().filter(|line| keep(line)).cloned().collect();
        assert!(!expected.is_empty());
        assert_eq!(lines(&net, query), expected);
    };
    let sok = || query("sok@aclb");
    let usd = asset("usd#nbc");
    some(HistoryQuery { asset: Some(usd.clone()), ..sok() }, &|line| line.asset == usd);
    let direction = Some(Direction::In);
    some(HistoryQuery { direction, ..sok() }, &|line| line.direction == Direction::In);
    let (since, until) = (START_MS + 3_000, START_MS + 6_000);
    some(HistoryQuery { since_ms: Some(since), ..sok() }, &|line| line.time_ms >= since);
    some(HistoryQuery { until_ms: Some(until), ..sok() }, &|line| line.time_ms <= until);
    let both = HistoryQuery { since_ms: Some(since), until_ms: Some(until), ..sok() };
    some(both, &|line| (since..=until).contains(&line.time_ms));
}

#[test]
fn pages_put_together_are_the_whole() {
    let net = net_with_payments();
    for limit in 1..=15 {
        for until_ms in [None, Some(START_MS + 8_000)] {
            let whole = lines(&net, HistoryQuery { until_ms, ..query("sok@aclb") });
            let (mut pages, mut cursor) = (Vec::new(), None);
            loop {
                let part = HistoryQuery { limit, cursor, until_ms, ..query("sok@aclb") };
                let page = net.world.reader().history(&part).unwrap();
                assert!(page.entries.len() <= limit);
                pages.extend(page.entries);
                // A cursor survives being text.
                cursor = page.next.map(|next| next.to_string().parse().unwrap());
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(pages, whole, "limit {limit}");
        }
    }
    assert!("zz".parse::<crate::state::HistoryCursor>().is_err());
}

#[test]
fn a_filter_that_fits_little_fills_its_pages() {
    let mut net = Net::new();
    let dollars = net.pay("sok@aclb", "dara@aclb", "usd#nbc", "0.05").signed();
    let paid = net.pay("dara@aclb", "sok@aclb", "khr#nbc", "1").signed();
    net.block(vec![dollars, paid]);
    // Newer lines of the other direction.
    for _ in 0..3 {
        let members = (0..60).map(|_| net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1").signed());
        let members = members.collect();
        net.block(members);
    }
    let direction = Some(Direction::Out);
    let part = HistoryQuery { direction, limit: 2, ..query("dara@aclb") };
    let page = net.world.reader().history(&part).unwrap();
    assert_eq!((page.entries.len(), page.next), (1, None));
    // And the same with no filter but the asset: the older asset's line is not skipped.
    let mut whole: Vec<HistoryEntry> = Vec::new();
    let mut cursor = None;
    loop {
        let part = HistoryQuery { limit: 50, cursor, ..query("dara@aclb") };
        let page = net.world.reader().history(&part).unwrap();
        whole.extend(page.entries);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(whole.len(), 180 + 2 + 1);
    assert!(whole.is_sorted_by_key(|line| std::cmp::Reverse((line.time_ms, line.index))));
}

#[test]
fn lists_are_in_order_and_paged() {
    let net = Net::new();
    let reader = net.world.reader();
    let ids = |after: Option<&str>, limit| -> Vec<String> {
        let after = after.map(account);
        let page = reader.accounts(after.as_ref(), limit).unwrap();
        page.into_iter().map(|(id, _)| id.to_string()).collect()
    };
    let all = ["bank@aclb", "dara@aclb", "joint@aclb", "nbc@nbc", "sok@aclb"];
    assert_eq!(ids(None, 10), all);
    assert_eq!(ids(None, 2), all[..2]);
    assert_eq!(ids(Some("dara@aclb"), 2), all[2..4]);
    assert_eq!(ids(Some("eve@aclb"), 1), all[2..3]);
    let domains = reader.domains(None, 10).unwrap();
    assert_eq!(domains.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["aclb", "nbc"]);
    assert_eq!(reader.assets(Some(&asset("khr#nbc")), 10).unwrap().len(), 1);
    let balances = reader.balances(&account("sok@aclb"), None, 10).unwrap();
    let balances: Vec<_> =
        balances.iter().map(|(id, balance)| (id.as_str(), balance.available.minor())).collect();
    assert_eq!(balances, [("khr#nbc", 1000), ("usd#nbc", 1250)]);
}

#[test]
fn a_transaction_is_found_by_its_hash() {
    let mut net = Net::new();
    let void = net.pay("none@aclb", "dara@aclb", "khr#nbc", "1");
    let rejected = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "9999");
    let applied = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1");
    let drafts = [&void, &rejected, &applied];
    let block = net.block(drafts.map(|draft| draft.signed()).to_vec());
    let reader = net.world.reader();
    let record = |place: usize| reader.transaction(&drafts[place].signed().hash()).unwrap();
    assert_eq!(record(0), None);
    let rejected = record(1).unwrap();
    assert_eq!((rejected.height, rejected.index, rejected.place), (Height(1), 0, 1));
    assert_eq!(rejected.detail, "sok@aclb has 1000 khr#nbc available, not 9999");
    let applied = record(2).unwrap();
    assert_eq!((applied.index, applied.place, applied.detail.as_str()), (1, 2, ""));
    assert_eq!(applied.receipt, block.receipts[1]);
    assert_eq!(reader.receipts(Height(1)).unwrap().unwrap(), block.receipts);
    assert_eq!(reader.result(Height(1)).unwrap().unwrap(), block.result);
    assert_eq!(reader.receipts(Height(2)).unwrap(), None);
}

#[test]
fn totals_follow_the_balances() {
    let mut net = Net::new();
    let totals = |net: &Net| {
        let totals = net.world.reader().totals(&asset("khr#nbc"), None, 10).unwrap();
        totals.into_iter().map(|(id, sum)| (id.to_string(), sum.minor())).collect::<Vec<_>>()
    };
    assert_eq!(totals(&net), [("aclb".to_owned(), 1800)]);
    let across = net.pay("sok@aclb", "nbc@nbc", "khr#nbc", "300");
    let within = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "10");
    net.block(vec![across.signed(), within.signed()]);
    assert_eq!(totals(&net), [("aclb".to_owned(), 1500), ("nbc".to_owned(), 300)]);
    let after = net.world.reader().totals(&asset("khr#nbc"), Some(&"aclb".parse().unwrap()), 10);
    assert_eq!(after.unwrap().len(), 1);
    assert_eq!(net.world.reader().totals(&asset("khr#nb"), None, 10).unwrap(), []);
}
