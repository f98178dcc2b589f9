//! The corpora of the fuzzer as ordinary tests: what was found once stays found, also where there
//! is no fuzzer.

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

// The fuzzer's own crate is outside the workspace, for it brings libFuzzer; its targets do not.
#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

/// Longest committed input, in bytes: small ones are read by people, and mutate best.
const INPUT_BYTES_MAX: u64 = 16 * 1024;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn entries(folder: &str) -> Vec<PathBuf> {
    let folder = root().join(folder);
    let read = std::fs::read_dir(&folder);
    let read = read.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = read.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn stems(folder: &str) -> BTreeSet<String> {
    let stem = |path: &PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    entries(folder).iter().map(stem).collect()
}

#[test]
fn every_committed_input_keeps_its_property() {
    let mut broken = Vec::new();
    for (name, target) in fuzz::TARGETS {
        let mut taken = 0;
        for path in entries(&format!("corpus/{name}")) {
            let bytes = std::fs::read(&path).expect("an input");
            match catch_unwind(|| target(&bytes)) {
                Ok(is_taken) => taken += usize::from(is_taken),
                Err(_) => broken.push(path.display().to_string()),
            }
        }
        // After a change of an encoding all of a corpus might be refused, and check nothing more.
        assert!(taken > 0, "no input of {name} gets past its decoder");
    }
    assert!(
        broken.is_empty(),
        "a property of the fuzzer does not hold:\n  {}",
        broken.join("\n  ")
    );
}

#[test]
fn each_target_has_a_fuzzer_and_a_corpus() {
    let targets: BTreeSet<_> = fuzz::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(targets.len(), fuzz::TARGETS.len());
    assert_eq!(stems("fuzz_targets"), targets);
    assert_eq!(stems("corpus"), targets);
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let manifest: toml::Table = manifest.parse().expect("a manifest");
    let binaries = manifest["bin"].as_array().expect("a list").iter();
    let built: BTreeSet<_> =
        binaries.map(|one| one["name"].as_str().expect("a name").to_owned()).collect();
    assert_eq!(built, targets);
    for name in targets {
        let source = std::fs::read_to_string(root().join(format!("fuzz_targets/{name}.rs")));
        let source = source.expect("a fuzzer");
        assert!(source.contains(&format!("::{name}(bytes)")), "{name} fuzzes something else");
    }
}

#[test]
fn committed_inputs_are_small() {
    for (name, _) in fuzz::TARGETS {
        for path in entries(&format!("corpus/{name}")) {
            let length = path.metadata().expect("a file").len();
            assert!(length <= INPUT_BYTES_MAX, "{}: {length} bytes", path.display());
        }
    }
}

/// What the fuzzer builds, it builds without RocksDB.
#[test]
fn fuzzing_needs_no_database() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).expect("a lock file");
    assert!(lock.contains("name = \"tonle-wsv\""), "the node comes with the state");
    for name in ["rocksdb", "librocksdb-sys"] {
        assert!(!lock.contains(&format!("name = \"{name}\"")), "{name} came back");
    }
}
