//! A world small enough that everything in it happens often: three domains, seven accounts, three
//! assets, two roles. It begins three seconds before midnight.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use tonle_model::amount::Decimal;
use tonle_model::bounded::Bounded;
use tonle_model::genesis::{Genesis, Parameters, PublicReads};
use tonle_model::hash::ChainHash;
use tonle_model::id::{AccountId, AssetId, Name};
use tonle_model::instruction::{Instruction, Mintability, Signatory};
use tonle_model::key::{KeyPair, PublicKey};
use tonle_model::permission::Permission;
use tonle_model::preimage::Preimage;
use tonle_model::transaction::Step;
use tonle_model::validators::{Validator, ValidatorSet};

/// Minutes that local time is ahead of UTC.
const UTC_OFFSET_MIN: i16 = 420;
/// Midnight between the 14th and the 15th of November 2023, local time.
pub const MIDNIGHT_MS: u64 = 1_699_981_200_000;
/// When block 0 is.
pub const START_MS: u64 = MIDNIGHT_MS - 3_000;
/// Longest life of a transaction at first.
pub const MAX_TTL_MS: u32 = 60_000;

/// Keys with names. Making one takes longer than executing a transaction.
static KEYS: LazyLock<BTreeMap<String, PublicKey>> = LazyLock::new(|| {
    let own = ["nbc", "bank", "sok", "dara", "spare", "a", "b", "c", "stranger"];
    let names =
        own.into_iter().map(str::to_owned).chain((0..32).map(|number| format!("f{number}")));
    names.map(|name| (name.clone(), KeyPair::demo(&name).public_key())).collect()
});

/// Who validates at first, and two who would like to.
pub const VALIDATORS: [&str; 6] = ["v1", "v2", "v3", "v4", "x1", "x2"];

static VALIDATOR_KEYS: LazyLock<BTreeMap<&str, KeyPair>> =
    LazyLock::new(|| VALIDATORS.iter().map(|name| (*name, KeyPair::demo(name))).collect());

/// The key of a validator, or of one to be.
pub fn validator_key(name: &str) -> &'static KeyPair {
    &VALIDATOR_KEYS[name]
}

/// The genesis of the small world.
pub static GENESIS: LazyLock<Genesis> = LazyLock::new(genesis);
/// Its network.
pub static CHAIN: LazyLock<ChainHash> = LazyLock::new(|| GENESIS.chain());

/// The key of a name.
pub fn key(name: &str) -> PublicKey {
    KEYS[name]
}

/// A key that must not own anything: the neutral point.
pub fn weak_key() -> PublicKey {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    PublicKey(bytes)
}

/// What opens locks.
pub fn preimage(number: u8) -> Preimage {
    Preimage::new(&[number; 32]).expect("32 bytes")
}

/// An account.
pub fn account(id: &str) -> AccountId {
    id.parse().expect("an account id")
}

/// An asset.
pub fn asset(id: &str) -> AssetId {
    id.parse().expect("an asset id")
}

/// A role, a tier or the name of a note.
pub fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// An amount.
pub fn amount(text: &str) -> Decimal {
    text.parse().expect("an amount")
}

/// A right.
pub fn right(text: &str) -> Permission {
    text.parse().expect("a permission")
}

/// Signatories with their weights.
pub fn signatories(keys: &[(&str, u16)]) -> Vec<Signatory> {
    keys.iter().map(|(name, weight)| Signatory { public_key: key(name), weight: *weight }).collect()
}

/// Opens an account.
pub fn open(id: &str, keys: &[(&str, u16)], quorum: u16) -> Instruction {
    let signatories = Bounded::new(signatories(keys)).expect("at most 32");
    Instruction::RegisterAccount { id: account(id), signatories, quorum, tier: None }
}

/// Makes an asset.
pub fn make(id: &str, scale: u8, cap: Option<&str>, mintability: Mintability) -> Instruction {
    let supply_cap = cap.map(amount);
    Instruction::RegisterAsset { id: asset(id), scale, supply_cap, mintability }
}

/// Makes money.
pub fn mint(of: &str, to: &str, much: &str) -> Instruction {
    Instruction::Mint { asset: asset(of), to: account(to), amount: amount(much) }
}

/// Pays.
pub fn pay(of: &str, to: &str, much: &str) -> Instruction {
    Instruction::Transfer {
        asset: asset(of),
        from: None,
        to: account(to),
        amount: amount(much),
        memo: Default::default(),
        invoice: None,
    }
}

/// Gives a right.
pub fn grant(permission: &str, to: &str) -> Instruction {
    Instruction::Grant { permission: right(permission), account: account(to) }
}

/// Makes a role.
pub fn role(id: &str, permissions: &[&str]) -> Instruction {
    let permissions = permissions.iter().map(|text| right(text)).collect();
    let permissions = Bounded::new(permissions).expect("at most 64");
    Instruction::RegisterRole { id: name(id), permissions }
}

/// Gives a role.
pub fn grant_role(id: &str, to: &str) -> Instruction {
    Instruction::GrantRole { role: name(id), account: account(to) }
}

/// Limits a tier.
pub fn limit(tier: &str, of: &str, per_day: &str) -> Instruction {
    let per_day = Some(amount(per_day));
    Instruction::SetLimit { tier: name(tier), asset: asset(of), per_day }
}

/// Notes something.
pub fn note(with: &str, key: &str, value: &str) -> Instruction {
    let value = value.parse().expect("a short note");
    Instruction::SetMetadata { account: account(with), key: name(key), value, expected: None }
}

/// Makes a domain.
pub fn domain(id: &str) -> Instruction {
    Instruction::RegisterDomain { id: id.parse().expect("a domain id") }
}

fn steps() -> Vec<(&'static str, Instruction)> {
    use Mintability::{Always, Once};
    let full: Vec<_> = (0..32).map(|number| format!("f{number}")).collect();
    let full: Vec<_> = full.iter().map(|name| (name.as_str(), 1)).collect();
    let mut steps = vec![
        ("nbc@nbc", domain("nbc")),
        ("nbc@nbc", open("nbc@nbc", &[("nbc", 1)], 1)),
        ("bank@aclb", domain("aclb")),
        ("bank@aclb", domain("wing")),
        ("nbc@nbc", open("bank@aclb", &[("bank", 1)], 1)),
        ("nbc@nbc", open("sok@aclb", &[("sok", 1)], 1)),
        ("nbc@nbc", open("dara@aclb", &[("dara", 1), ("spare", 2)], 1)),
        ("nbc@nbc", open("joint@aclb", &[("a", 1), ("b", 1), ("c", 2)], 3)),
        ("nbc@nbc", open("team@aclb", &[("a", 1), ("b", 1), ("c", 1), ("sok", 1)], 3)),
        ("nbc@nbc", open("full@nbc", &full, 1)),
        ("nbc@nbc", make("khr#nbc", 0, None, Always)),
        ("nbc@nbc", make("usd#nbc", 2, Some("1000.00"), Always)),
        ("bank@aclb", make("pts#aclb", 18, Some("2"), Once)),
        ("nbc@nbc", mint("khr#nbc", "sok@aclb", "1000")),
        ("nbc@nbc", mint("khr#nbc", "dara@aclb", "500")),
        ("nbc@nbc", mint("khr#nbc", "joint@aclb", "300")),
        ("nbc@nbc", mint("khr#nbc", "team@aclb", "100")),
        ("nbc@nbc", mint("khr#nbc", "full@nbc", "50")),
        ("nbc@nbc", mint("khr#nbc", "nbc@nbc", "200")),
        ("nbc@nbc", mint("usd#nbc", "sok@aclb", "12.50")),
        ("nbc@nbc", limit("basic", "khr#nbc", "400")),
        ("nbc@nbc", limit("gold", "khr#nbc", "900")),
        ("nbc@nbc", role("chief", &["manage_roles", "register_domains", "set_parameters"])),
        ("nbc@nbc", role("teller", &["register_accounts:aclb", "manage_accounts:aclb"])),
        ("nbc@nbc", grant_role("chief", "bank@aclb")),
        ("nbc@nbc", grant_role("teller", "dara@aclb")),
        ("nbc@nbc", grant("transfer_from:sok@aclb", "dara@aclb")),
        ("nbc@nbc", grant("burn:khr#nbc", "full@nbc")),
        ("nbc@nbc", grant("mint:usd#nbc", "full@nbc")),
        ("nbc@nbc", grant("read_all_accounts", "full@nbc")),
        ("nbc@nbc", note("sok@aclb", "a", "1")),
    ];
    let notes = (0..32).map(|number| ("nbc@nbc", note("full@nbc", &format!("n{number}"), "")));
    steps.extend(notes);
    steps
}

fn genesis() -> Genesis {
    let steps = steps().into_iter().map(|(authority, instruction)| {
        let authority = account(authority);
        Step { authority, instruction }
    });
    let validators = (1..=4).map(|number| {
        let text = format!("v{number}");
        Validator { name: name(&text), public_key: KeyPair::demo(&text).public_key() }
    });
    Genesis {
        name: "reference".parse().expect("a short name"),
        demo: true,
        created_ms: START_MS,
        parameters: Parameters {
            delta_ms: 500,
            max_ttl_ms: MAX_TTL_MS,
            public_reads: PublicReads::All,
            operator: account("nbc@nbc"),
            utc_offset_min: UTC_OFFSET_MIN,
        },
        validators: ValidatorSet::new(validators.collect()).expect("four validators"),
        steps: Bounded::new(steps.collect()).expect("a small genesis"),
    }
}
