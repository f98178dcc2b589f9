//! `tonle validator`: who decides, and who is to.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::{Deserialize, Serialize};
use tonle_client::api::{Evidence, Said, Validator};
use tonle_client::{BlockId, Client};
use tonle_model::id::Name;
use tonle_model::instruction::Instruction;
use tonle_model::joining::Joining;
use tonle_model::key::PublicKey;

use crate::context::Context;
use crate::error::CliError;
use crate::file;
use crate::nodes::Nodes;
use crate::output::{fields, short, table};
use crate::place::Place;
use crate::submit::{self, SubmitArgs};
use crate::time;

/// Longest file of a key that joins: a certificate of a hundred validators and a signature.
const JOINING_BYTES_MAX: u64 = 64 * 1024;

const EXAMPLES: &str = "\
Examples:
  tonle validator list
  tonle validator join node.key --out joining.json          where the new validator's key is
  tonle validator register bank_c joining.json --wait       by whoever manages validators
  tonle validator unregister bank_b --wait
  tonle validator evidence

The new node runs as an observer first, in the `observers` of the others; the next block after it
was registered is decided with it. Validators change by one in a block.";

const EVIDENCE_EXAMPLES: &str = "\
Examples:
  tonle validator evidence
  tonle validator evidence --url http://10.0.0.1:8080,http://10.0.0.2:8080 --output json

Each node keeps what it saw itself, so all that `--url` names are asked. PROVEN says that both
signatures are of KEY; VALIDATOR is its name if it is a validator of the next height.";

/// What to do about validators.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum ValidatorCommand {
    /// The validators of the next height, in canonical order
    List,
    /// Sign the newest block with a node's key, to show that the key is there
    Join {
        /// The key file of the node
        key: PathBuf,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Let a node vote, from the next height on
    Register {
        /// Its name, for people
        name: Name,
        /// What `tonle validator join` wrote, at most 256 blocks ago
        joining: PathBuf,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
    /// End a validator's vote, from the next height on
    Unregister {
        /// Its name, if only one has it, or its key
        validator: String,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
    /// What validators signed against the rules, as far as nodes saw it
    #[command(after_help = EVIDENCE_EXAMPLES)]
    Evidence,
}

/// What a node that wants to validate hands to whoever registers it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JoiningKey {
    public_key: PublicKey,
    joining: Joining,
}

/// Does it.
pub async fn run(command: ValidatorCommand, context: &Context) -> Result<(), CliError> {
    match command {
        ValidatorCommand::List => list(context).await,
        ValidatorCommand::Join { key, out } => join(&key, &out, context).await,
        ValidatorCommand::Register { name, joining, submit } => {
            let JoiningKey { public_key, joining } = read(&joining)?;
            let joining = Box::new(joining);
            let register = Instruction::RegisterValidator { name, public_key, joining };
            submit::act(context, Place::Operator, register, &submit).await
        }
        ValidatorCommand::Unregister { validator, submit } => {
            let known = context.nodes()?.ask(Client::validators).await?;
            let public_key = find(&known, &validator)?;
            let unregister = Instruction::UnregisterValidator { public_key };
            submit::act(context, Place::Operator, unregister, &submit).await
        }
        ValidatorCommand::Evidence => evidence(context).await,
    }
}

async fn list(context: &Context) -> Result<(), CliError> {
    let validators = context.nodes()?.ask(Client::validators).await?;
    context.output.show(&validators, || {
        let row = |validator: &Validator| {
            let index = validator.index.to_string();
            [index, validator.name.to_string(), validator.public_key.to_string()]
        };
        table([">INDEX", "NAME", "KEY"], validators.iter().map(row).collect())
    })
}

async fn evidence(context: &Context) -> Result<(), CliError> {
    let nodes = context.nodes()?;
    let chain = nodes.ask(Client::node_status).await?.chain;
    let evidence = gather(&nodes, context).await?;
    context.output.show(&evidence, || match evidence.is_empty() {
        true => "no validator was seen to break the rules".to_owned(),
        false => table(
            [">HEIGHT", ">VIEW", "VALIDATOR", "KEY", "SIGNED", "AND", "SEEN", "PROVEN"],
            evidence.iter().map(|one| evidence_row(one, one.is_proven(&chain))).collect(),
        ),
    })
}

/// The evidence of all nodes that answer, that of the highest heights first; of what several saw,
/// the first one's.
async fn gather(nodes: &Nodes, context: &Context) -> Result<Vec<Evidence>, CliError> {
    let mut found = BTreeMap::new();
    let mut failures = Vec::new();
    for node in nodes.iter() {
        match node.evidence().await {
            Ok(kept) => kept.into_iter().for_each(|one| {
                found.entry((Reverse(one.height), one.public_key)).or_insert(one);
            }),
            Err(error) => failures.push(error),
        }
    }
    if failures.len() == nodes.iter().count()
        && let Some(failure) = failures.pop()
    {
        return Err(failure.into());
    }
    failures.iter().for_each(|failure| context.output.note(&failure.to_string()));
    Ok(found.into_values().collect())
}

fn evidence_row(evidence: &Evidence, is_proven: bool) -> [String; 8] {
    let Evidence { height, view, public_key, name, statements, seen_ms, .. } = evidence;
    let said = |said: Said| match said.block() {
        Some(block) => format!("{} {}", said.as_str(), short(&block)),
        None => said.as_str().to_owned(),
    };
    let name = name.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let [first, second] = statements.map(|statement| said(statement.said));
    let proven = if is_proven { "yes" } else { "NO" };
    let (height, view) = (height.to_string(), view.to_string());
    [height, view, name, short(public_key), first, second, time::utc(*seen_ms), proven.to_owned()]
}

async fn join(key: &Path, out: &Path, context: &Context) -> Result<(), CliError> {
    let key = context.open_key(key)?;
    let nodes = context.nodes()?;
    let status = nodes.ask(Client::node_status).await?;
    let newest = BlockId::Height(status.height);
    let block = nodes.ask(async |node: &Client| node.block(newest).await).await?;
    let joining =
        block.finalization.and_then(|decided| Joining::sign(&key, &status.chain, decided));
    let joining = joining.ok_or_else(|| {
        CliError::failed("nobody has decided a block yet, so there is none to sign")
            .help("try again after the first transaction")
    })?;
    let joining = JoiningKey { public_key: key.public_key(), joining };
    let text = serde_json::to_string_pretty(&joining)
        .map_err(|error| CliError::failed(format!("cannot print: {error}")))?;
    file::write_new(out, &format!("{text}\n"))?;
    context.output.show(&joining, || {
        fields(&[
            ("wrote", out.display().to_string()),
            ("for key", joining.public_key.to_string()),
            ("signed", format!("block {} {}", block.height, block.hash)),
        ])
    })
}

fn read(path: &Path) -> Result<JoiningKey, CliError> {
    let bytes = file::read(path, JOINING_BYTES_MAX)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        CliError::usage(format!("{}: {error}", path.display()))
            .help("`tonle validator join` writes such a file")
    })
}

/// The key of a validator, by it or by the name.
fn find(known: &[Validator], named: &str) -> Result<PublicKey, CliError> {
    if let Ok(key) = named.parse() {
        return Ok(key);
    }
    let mut named_so = known.iter().filter(|validator| validator.name.as_str() == named);
    match (named_so.next(), named_so.next()) {
        (Some(validator), None) => Ok(validator.public_key),
        (None, _) => Err(CliError::usage(format!("no validator is named {named}"))
            .help("`tonle validator list` shows names and keys")),
        (Some(_), Some(_)) => Err(CliError::usage(format!("several validators are named {named}"))
            .help("give the key: `tonle validator list` shows it")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tonle_model::key::KeyPair;
    use tonle_model::number::ValidatorIndex;

    use super::*;

    #[test]
    fn a_validator_is_found_by_key_or_by_a_name_of_its_own() {
        let key = |name: &str| KeyPair::demo(name).public_key();
        let one = |index, name: &str, of: &str| Validator {
            index: ValidatorIndex(index),
            name: name.parse().unwrap(),
            public_key: key(of),
        };
        let known = [one(0, "a", "a"), one(1, "b", "b"), one(2, "b", "c")];
        assert_eq!(find(&known, "a").unwrap(), key("a"));
        assert_eq!(find(&known, &key("z").to_string()).unwrap(), key("z"));
        assert!(find(&known, "b").is_err(), "two have that name");
        assert!(find(&known, "c").is_err(), "nobody has");
    }

    #[test]
    fn evidence_is_a_line_for_people() {
        let (block, result, zeros) = ("ab".repeat(32), "cd".repeat(32), "0".repeat(128));
        let statements = serde_json::json!([
            {"kind": "finalize", "block": block, "result": result, "signature": zeros},
            {"kind": "nullify", "signature": zeros},
        ]);
        let json = serde_json::json!({"height": 7, "view": 2, "name": "bank_b", "kind": "votes",
            "public_key": format!("ed0120{block}"), "statements": statements, "seen_ms": 1000});
        let mut evidence: Evidence = serde_json::from_value(json).unwrap();
        let line = evidence_row(&evidence, true).join(" ");
        let expected = "7 2 bank_b abababababab… finalize abababababab… nullify \
                        1970-01-01 00:00:01 yes";
        assert_eq!(line, expected);
        evidence.name = None;
        assert_eq!(
            evidence_row(&evidence, false)[2..8],
            [
                "-",
                "abababababab…",
                "finalize abababababab…",
                "nullify",
                "1970-01-01 00:00:01",
                "NO"
            ]
        );
    }

    #[test]
    fn what_the_help_shows_parses() {
        let lines = EXAMPLES.lines().chain(EVIDENCE_EXAMPLES.lines());
        let lines = lines.filter_map(|line| line.trim().strip_prefix("tonle "));
        let lines = lines.map(|line| line.split("   ").next().unwrap_or(line));
        let parses = |line: &str| {
            crate::Cli::try_parse_from(["tonle"].into_iter().chain(line.split_whitespace())).is_ok()
        };
        let lines: Vec<_> = lines.collect();
        assert!(lines.contains(&"validator evidence"));
        lines.iter().for_each(|line| assert!(parses(line), "{line}"));
    }
}
