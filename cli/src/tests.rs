//! The command line as a whole.

use clap::{CommandFactory, Parser};

use super::Cli;

fn parses(line: &str) -> bool {
    Cli::try_parse_from(line.split_whitespace()).is_ok()
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

/// Commands that the help and the book show.
const DOCUMENTED: &[&str] = &[
    "tonle localnet up --validators 7 --dir D --detach --api-port 0 --p2p-port 0 --fresh",
    "tonle localnet status --output json",
    "tonle localnet kill 2",
    "tonle localnet logs 2 --follow",
    "tonle transfer --to dara@wing --amount 20000 --asset khr#nbc --wait",
    "tonle transfer --to dara@wing --amount 20000 --asset khr#nbc --wait 5s --memo x",
    "tonle transfer --wait --to dara@wing --amount 2.50 --asset usd#nbc --from sok@aclb",
    "tonle --url http://a:1,http://b:2 account balance sok@aclb",
    "tonle account register maly@wing --key \
     ed012080d63f7e26b8957406cd32c6844c28d27f0ccf6a794672532ded4897e109c338:2 --quorum 2",
    "tonle account register maly@wing --tier partial",
    "tonle account unregister maly@wing --wait",
    "tonle account freeze maly@wing --reason stolen --incoming --account bank@wing",
    "tonle account unfreeze maly@wing",
    "tonle account set-tier maly@wing full",
    "tonle account add-key maly@wing \
     ed012080d63f7e26b8957406cd32c6844c28d27f0ccf6a794672532ded4897e109c338:2",
    "tonle account remove-key maly@wing \
     ed012080d63f7e26b8957406cd32c6844c28d27f0ccf6a794672532ded4897e109c338",
    "tonle account set-quorum maly@wing 2",
    "tonle account note kyc_level 2 --expected 1 --of maly@wing",
    "tonle account forget kyc_level --of maly@wing",
    "tonle asset register points#wing --scale 0 --mintable once --supply-cap 5",
    "tonle asset set-limit khr#nbc --tier basic --per-day 2000000",
    "tonle asset set-limit khr#nbc --tier bank",
    "tonle role list",
    "tonle role get teller",
    "tonle role register teller --permission read_accounts:aclb --permission manage_roles",
    "tonle role register teller --permission read_accounts:aclb manage_roles",
    "tonle role grant teller --to sok@aclb",
    "tonle role revoke teller --from sok@aclb",
    "tonle permission grant mint:khr#nbc --to bank@aclb",
    "tonle permission revoke mint:khr#nbc --from bank@aclb",
    "tonle parameter list",
    "tonle parameter set utc_offset_min -60",
    "tonle validator join node.key --out joining.json",
    "tonle validator register bank_c joining.json --wait",
    "tonle validator unregister bank_b --wait",
    "tonle bench --rate 5000 --look-ups 60",
    "tonle recall 47038bac47038bac47038bac47038bac47038bac47038bac47038bac47038bac --reason x --wait",
    "tonle recall 47038bac47038bac47038bac47038bac47038bac47038bac47038bac47038bac --step 2 \
     --amount 500 --reason theft",
    "tonle invoice get coffee@devb 17",
    "tonle transfer --to dara@wing --amount 1 --asset khr#nbc --from-account bopha@aclb",
    "tonle transfer --to dara@wing --amount 1 --asset khr#nbc --invoice-id 17 \
     --invoice-expires-in 15m",
    "tonle hold new --to dara@wing --amount 1 --asset khr#nbc --expires-in 1h --wait",
    "tonle hold new --to dara@wing --amount 1 --asset khr#nbc --expires-ms 9 --arbiter x@aclb",
    "tonle hold new --to dara@wing --amount 1 --asset khr#nbc --expires-in 5m \
     --new-preimage F --invoice-id 17 --invoice-expires-ms 9",
    "tonle hold list",
    "tonle hold list sok@aclb",
    "tonle proposal new joint@aclb --instructions pay.json --expires-in 1d",
    "tonle proposal list joint@aclb",
    "tonle tx new --out F --file payload.json",
    "tonle tx show F",
    "tonle tx sign F --key-file K --out G",
    "tonle tx combine F G --out H",
    "tonle tx submit H --wait",
    "tonle asset mint --to sok@aclb --amount 5 --asset khr#nbc",
    "tonle domain register ppcb --account governor@nbc --key-file k --wait",
    "tonle validator list",
    "tonle block get latest",
    "tonle block follow --from 3",
    "tonle events follow",
    "tonle events follow sok@aclb --account sok@aclb",
    "tonle events follow --from 0 --kinds block,transaction",
    "tonle events follow sok@aclb --kinds transfer --output json",
    "tonle keys new --out k --plain",
    "tonle genesis hash genesis.json",
    "tonle bench --seconds 10 --output json",
    "tonle bench --rate 10",
    "tonle completions bash",
    "tonle status",
];

/// The same, about something with a hash.
const DOCUMENTED_WITH_HASH: &[&str] = &[
    "tonle tx wait HASH --timeout 3s",
    "tonle hold get HASH",
    "tonle hold release HASH --wait",
    "tonle hold settle HASH --amount 5",
    "tonle hold settle HASH --preimage HASH",
    "tonle hold settle HASH --preimage-file -",
    "tonle hold new --to dara@wing --amount 1 --asset khr#nbc --expires-in 1h --hash-lock HASH",
    "tonle proposal get HASH",
    "tonle proposal approve HASH --account bopha@aclb",
    "tonle proposal withdraw HASH",
    "tonle tx new --out F --step sok@aclb:{\"approve\":{\"id\":\"HASH\"}}",
];

#[test]
fn documented_commands_parse() {
    let hash = "0".repeat(64);
    for line in DOCUMENTED.iter().chain(DOCUMENTED_WITH_HASH) {
        assert!(parses(&line.replace("HASH", &hash)), "{line}");
    }
}

#[test]
fn a_validator_is_started_by_a_line_of_its_own() {
    let line = "tonle localnet run --attached /bin/tonled /net/validator-0/config.toml";
    let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
    assert_eq!(cli.global.config, None, "a validator's configuration is not ours");
}

#[test]
fn whom_a_command_is_about_is_not_who_acts() {
    for line in [
        "tonle hold list sok@aclb",
        "tonle events follow sok@aclb",
        "tonle account note kyc_level 2 --of sok@aclb",
        "tonle account freeze sok@aclb --reason stolen",
        "tonle permission grant manage_roles --to sok@aclb",
        "tonle proposal new sok@aclb --instructions F --expires-in 1d",
        "tonle transfer --to dara@wing --amount 1 --asset khr#nbc --from-account sok@aclb",
    ] {
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        assert_eq!(cli.global.account, None, "{line}");
    }
}

#[test]
fn nonsense_does_not_parse() {
    for line in [
        "tonle",
        "tonle transfer --to dara@wing --amount 20000",
        "tonle transfer --to Dara@wing --amount 20000 --asset khr#nbc",
        "tonle transfer --to dara@wing --amount -1 --asset khr#nbc",
        "tonle transfer --to dara@wing --amount 1e3 --asset khr#nbc",
        "tonle transfer --to dara@wing --amount 1 --asset khr@nbc",
        "tonle transfer --to dara@wing --amount 1 --asset khr#nbc --wait 5",
        "tonle tx get 123",
        "tonle tx new --out F",
        "tonle tx new --out F --file P --step sok@aclb:{}",
        "tonle tx combine --out F",
        "tonle account freeze maly@wing",
        "tonle asset register points#wing --scale 0 --mintable twice",
        "tonle role register teller",
        "tonle permission grant mint --to sok@aclb",
        "tonle transfer --to dara@wing --amount 1 --asset khr#nbc --invoice-id 17",
        "tonle transfer --to dara@wing --amount 1 --asset khr#nbc --invoice-expires-in 1h",
        "tonle transfer --to dara@wing --amount 1 --asset khr#nbc --from a@b --from-account c@d",
        "tonle hold new --to dara@wing --amount 1 --asset khr#nbc",
        "tonle hold new --to d@w --amount 1 --asset khr#nbc --expires-in 1h --expires-ms 9",
        "tonle hold new --to d@w --amount 1 --asset khr#nbc --expires-in 1h --arbiter a@b \
         --new-preimage F",
        "tonle proposal new joint@aclb --instructions pay.json",
        "tonle events follow --kinds blocks",
        "tonle localnet up --validators 0",
        "tonle bench --seconds 1 --transactions 2",
        "tonle status --output yaml",
    ] {
        assert!(!parses(line), "{line}");
    }
}

#[test]
fn every_command_has_completions() {
    let mut script = Vec::new();
    super::completions(clap_complete::Shell::Bash, &mut script);
    let script = String::from_utf8(script).unwrap();
    for word in ["localnet", "transfer", "bench", "restart", "proposal", "set-limit"] {
        assert!(script.contains(word), "{word}");
    }
}
