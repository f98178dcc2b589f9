//! What the ledger chapter of the book shows is what the ledger does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tonle_model::instruction::Instruction;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The blocks of JSON in the chapter.
fn examples() -> Vec<String> {
    let page = read("docs/src/ledger.md");
    let blocks = page.split("```json\n").skip(1);
    blocks.filter_map(|rest| rest.split_once("\n```")).map(|(block, _)| block.to_owned()).collect()
}

/// The name of an instruction in JSON: its one field.
fn name(instruction: &Value) -> String {
    let fields = instruction.as_object().expect("an instruction is an object");
    fields.keys().next().expect("with one field").clone()
}

#[test]
fn every_example_is_an_instruction() {
    for example in examples() {
        if let Err(error) = serde_json::from_str::<Instruction>(&example) {
            panic!("{error}\n{example}");
        }
    }
}

/// The vectors have every instruction, which the Python codec checks against its own list.
#[test]
fn every_instruction_has_an_example() {
    let parse = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let shown: BTreeSet<_> = examples().iter().map(|example| name(&parse(example))).collect();
    let vectors = parse(&read("tests/vectors/instructions.json"));
    let vectors = vectors.as_array().expect("a list").iter();
    let known: BTreeSet<_> = vectors.map(|vector| name(&vector["json"])).collect();
    assert_eq!(shown, known);
}

/// The tables of preconditions are those that the source of each instruction begins with.
#[test]
fn the_tables_are_those_of_the_source() {
    let page = read("docs/src/ledger.md");
    let mut tables = 0;
    for entry in std::fs::read_dir(root().join("wsv/src/state/instruction")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let source = read(&path);
        let rows = source.lines().filter_map(|line| line.strip_prefix("//! |"));
        let rows: Vec<_> = rows.map(|row| format!("|{row}\n")).collect();
        let table = rows.concat();
        assert!(page.contains(&table), "{} has another table:\n{table}", path.display());
        tables += usize::from(!rows.is_empty());
    }
    assert!(tables >= 20, "{tables} tables are not all");
}
