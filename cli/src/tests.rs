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

#[test]
fn documented_commands_parse() {
    let hash = "0".repeat(64);
    for line in [
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
        "tonle asset mint --to sok@aclb --amount 5 --asset khr#nbc",
        "tonle domain register ppcb --account governor@nbc --key-file k --wait",
        "tonle validator list",
        "tonle block get latest",
        "tonle block follow --from 3",
        "tonle keys new --out k --plain",
        "tonle genesis hash genesis.json",
        "tonle bench --seconds 10 --output json",
        "tonle bench --rate 10",
        "tonle completions bash",
        "tonle status",
    ] {
        assert!(parses(line), "{line}");
    }
    assert!(parses(&format!("tonle tx wait {hash} --timeout 3s")));
}

#[test]
fn a_validator_is_started_by_a_line_of_its_own() {
    let line = "tonle localnet run --attached /bin/tonled /net/validator-0/config.toml";
    let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
    assert_eq!(cli.global.config, None, "a validator's configuration is not ours");
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
    for word in ["localnet", "transfer", "bench", "restart"] {
        assert!(script.contains(word), "{word}");
    }
}
