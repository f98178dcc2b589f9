//! Conformance vectors: `tests/vectors/*.json` pins every encoding, hash and signature.
//!
//! The files are computed again from the model and compared byte for byte. Changing bytes means
//! changing a vector on purpose: `TONLE_BLESS=1 cargo test --release -p tonle-tests --test vectors`
//! writes them anew. `tests/python/check_vectors.py` reproduces them without any of our code.

// What the fuzzer spoils is shown here as it is.
#[path = "../../fuzz/src/snapshot/form.rs"]
mod form;
#[path = "../../fuzz/src/snapshot/node.rs"]
mod node;
#[path = "vectors/objects.rs"]
mod objects;
#[path = "vectors/primitives.rs"]
mod primitives;
#[path = "vectors/samples.rs"]
mod samples;
#[path = "vectors/snapshot.rs"]
mod snapshot;
#[path = "vectors/state.rs"]
mod state;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use parity_scale_codec::{Decode, Encode};
use serde_json::{Value, json};
use tonle_model::{decode, hex};

fn vectors_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// SCALE as hex, after checking that it decodes to the same value and to nothing longer.
fn scale<T: Encode + Decode + PartialEq + Debug>(value: &T) -> String {
    let bytes = value.encode();
    assert_eq!(&decode::all::<T>(&bytes).expect("what was encoded decodes"), value);
    for length in 0..bytes.len() {
        assert!(decode::all::<T>(&bytes[..length]).is_err(), "{value:?} cut to {length} bytes");
    }
    let trailing = [bytes.clone(), vec![0]].concat();
    assert!(decode::all::<T>(&trailing).is_err(), "{value:?} with a byte too many");
    hex::encode(&bytes)
}

/// JSON, after checking that it reads back to the same value.
fn to_json<T>(value: &T) -> Value
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug,
{
    let json = serde_json::to_value(value).expect("the model has a JSON form");
    let text = json.to_string();
    assert_eq!(&serde_json::from_str::<T>(&text).expect("what was written reads"), value);
    json
}

/// A value in both forms.
fn both<T>(value: &T) -> Value
where
    T: Encode + Decode + serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug,
{
    json!({ "json": to_json(value), "scale": scale(value) })
}

fn bytes_of(text: &str) -> Vec<u8> {
    hex::decode(text).expect("hex of our own making")
}

/// Every file and what must stand in it.
fn files() -> Vec<(&'static str, Value)> {
    vec![
        ("compact", primitives::compact()),
        ("ids", primitives::ids()),
        ("decimals", primitives::decimals()),
        ("keys", primitives::keys()),
        ("signatures", primitives::signatures()),
        ("hashes", primitives::hashes()),
        ("derived", primitives::derived()),
        ("merkle", primitives::merkle()),
        ("instructions", objects::instructions()),
        ("transactions", objects::transactions()),
        ("queries", objects::queries()),
        ("batches", objects::batches()),
        ("blocks", objects::blocks()),
        ("votes", objects::votes()),
        ("receipts", objects::receipts()),
        ("genesis", objects::genesis()),
        ("state", state::state()),
        ("snapshot", snapshot::snapshot()),
    ]
}

#[test]
fn every_encoding_has_its_vector() {
    let bless = std::env::var_os("TONLE_BLESS").is_some_and(|value| value == "1");
    for (name, computed) in files() {
        let path = vectors_dir().join(name).with_extension("json");
        let text = serde_json::to_string_pretty(&computed).expect("JSON") + "\n";
        if bless {
            std::fs::write(&path, text).expect("tests/vectors can be written");
            continue;
        }
        let committed = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let committed: Value = serde_json::from_str(&committed).expect("JSON");
        assert!(
            committed == computed,
            "{} is not what the model encodes.\nIf the bytes changed on purpose, run \
             TONLE_BLESS=1 cargo test --release -p tonle-tests --test vectors, and say so in \
             docs/src/encodings.md: every client in another language must follow.",
            path.display()
        );
    }
}

#[test]
fn there_are_no_other_vector_files() {
    let mut found: Vec<_> = std::fs::read_dir(vectors_dir())
        .expect("tests/vectors")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    let mut expected: Vec<_> = files().iter().map(|(name, _)| format!("{name}.json")).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

fn python(vectors: &Path) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // -B: no __pycache__ in the source tree.
    Command::new("python3")
        .arg("-B")
        .arg(root.join("python/check_vectors.py"))
        .arg(vectors)
        .arg(root.join("../genesis.json"))
        .output()
        .expect("python3 runs; `make test` installs it where it is missing")
}

#[test]
fn python_reproduces_every_vector() {
    let output = python(&vectors_dir());
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}{errors}");
    for (name, _) in files() {
        assert!(told.contains(&format!("{name}: ")), "check_vectors.py passes over {name}: {told}");
    }
}

/// A check that cannot fail proves nothing: each file with one changed hex digit is refused.
#[test]
fn python_notices_a_changed_digit_in_every_file() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("changed-vectors");
    std::fs::create_dir_all(&dir).expect("the target directory can be written");
    let write = |name: &str, text: &str| {
        std::fs::write(dir.join(name).with_extension("json"), text).expect("a file");
    };
    let originals: Vec<_> = files()
        .into_iter()
        .map(|(name, value)| (name, serde_json::to_string_pretty(&value).expect("JSON")))
        .collect();
    originals.iter().for_each(|(name, text)| write(name, text));
    for (name, original) in &originals {
        write(name, &change_last_digit(original));
        assert!(!python(&dir).status.success(), "a changed digit in {name} went unnoticed");
        write(name, original);
    }
}

/// Flips the last hex digit of the last long hex string.
fn change_last_digit(text: &str) -> String {
    let is_hex = |word: &str| {
        word.len() >= 2
            && word.len().is_multiple_of(2)
            && word.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
    };
    let word = text.rsplit('"').find(|word| is_hex(word)).expect("every file has hex");
    let end = text.rfind(&format!("\"{word}\"")).expect("just found") + word.len();
    let digit = if text[end..].starts_with('0') { "1" } else { "0" };
    format!("{}{digit}{}", &text[..end], &text[end + 1..])
}
