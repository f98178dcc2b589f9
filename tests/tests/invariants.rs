//! The invariants of docs/src/architecture.md, each checked in the text of the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Crates of the workspace and which others each may depend on (architecture.md, The house).
const IMPORTS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("consensus", &["model"]),
    ("wsv", &["model"]),
    ("client", &["model"]),
    ("node", &["model", "consensus", "wsv", "client"]),
    ("cli", &["model", "client", "wsv"]),
    ("tests", &["model", "consensus", "wsv", "client", "node", "cli"]),
];

const LINES_MAX: usize = 800;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

struct Source {
    /// Relative to the repository.
    path: String,
    text: String,
}

impl Source {
    /// The lines that are compiled into the program: no comments, no strings of documentation, and
    /// nothing from the unit tests at the end of the file on.
    fn program_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = if self.is_test() { 0 } else { usize::MAX };
        self.text
            .lines()
            .enumerate()
            .take(end)
            .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
            .map(|(index, line)| (index + 1, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    fn is_test(&self) -> bool {
        let is_test = |part: &str| ["examples", "tests", "tests.rs", "testing.rs"].contains(&part);
        self.path.split('/').any(|part| is_test(part) || part.starts_with("tests_"))
    }
}

fn collect(folder: &Path, sources: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, sources);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(source(&path));
        }
    }
}

fn source(path: &Path) -> Source {
    let text = std::fs::read_to_string(path).expect("Rust is UTF-8");
    let relative = path.strip_prefix(root()).expect("below the root");
    Source { path: relative.to_string_lossy().into_owned(), text }
}

/// The given Rust files, and all below the given folders, of the repository.
fn sources(folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for path in folders.iter().map(|folder| root().join(folder)) {
        match path.is_dir() {
            true => collect(&path, &mut found),
            false => found.push(source(&path)),
        }
    }
    assert!(!found.is_empty(), "{folders:?} has Rust files");
    found
}

fn crates() -> Vec<&'static str> {
    IMPORTS.iter().map(|(name, _)| *name).collect()
}

/// Whether `word` stands in `line` with no letter, digit or underscore next to it.
fn names(line: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
    })
}

/// Every place in the program that names one of the words.
fn places(sources: &[Source], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for (number, line) in source.program_lines() {
            for word in words.iter().filter(|word| names(line, word)) {
                found.push(format!("{}:{number}: {word}", source.path));
            }
        }
    }
    found
}

fn assert_none(places: Vec<String>, rule: &str) {
    assert!(places.is_empty(), "{rule}:\n  {}", places.join("\n  "));
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A search that finds nothing anywhere would keep every invariant.
#[test]
fn the_search_sees_the_program_and_nothing_else() {
    let text =
        "//! rand\nuse rand::Rng;\nlet operand = 1; // brand\n#[cfg(test)]\nuse rand::Rng;\n";
    let source = |path: &str| Source { path: path.into(), text: text.into() };
    let found = places(&[source("model/src/a.rs")], &["rand"]);
    assert_eq!(found, ["model/src/a.rs:2: rand"]);
    for path in ["model/src/tests.rs", "node/src/x/tests_y.rs", "model/tests/a.rs"] {
        assert!(places(&[source(path)], &["rand"]).is_empty(), "{path} is no program");
    }
}

#[test]
fn files_fit_in_a_head() {
    let long: Vec<_> = sources(&crates())
        .iter()
        .filter(|source| source.text.lines().count() > LINES_MAX)
        .map(|source| format!("{}: {} lines", source.path, source.text.lines().count()))
        .collect();
    assert_none(long, "a file stays under 800 lines");
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent: Vec<_> = sources(&crates())
        .iter()
        .filter(|source| !source.text.trim_start().starts_with("//!"))
        .map(|source| source.path.clone())
        .collect();
    assert_none(silent, "a module begins by telling its one job");
}

#[test]
fn nothing_is_left_to_do() {
    let markers = ["todo!", "unimplemented!", "dbg!", "TODO", "FIXME", "XXX", "#[ignore"];
    let mut found = Vec::new();
    for source in sources(&crates()) {
        // This file names the markers.
        if source.path.ends_with("tests/tests/invariants.rs") {
            continue;
        }
        for (index, line) in source.text.lines().enumerate() {
            if let Some(marker) = markers.iter().find(|marker| line.contains(**marker)) {
                found.push(format!("{}:{}: {marker}", source.path, index + 1));
            }
        }
    }
    assert_none(found, "no stubs and no ignored tests");
}

#[test]
fn nothing_is_unwrapped_in_the_program() {
    let mut found = Vec::new();
    for source in sources(&["model", "consensus", "wsv", "node", "client", "cli"]) {
        for (number, line) in source.program_lines() {
            if line.contains(".unwrap()") {
                found.push(format!("{}:{number}", source.path));
            }
        }
    }
    assert_none(found, "an `unwrap` outside of tests proves nothing: say why in `expect`");
}

#[test]
fn the_core_is_pure() {
    let impure = [
        "std::time",
        "std::fs",
        "std::net",
        "std::thread",
        "std::env",
        "std::io",
        "std::process",
        "Instant",
        "SystemTime",
        "HashMap",
        "HashSet",
        "Mutex",
        "RwLock",
        "async",
        "tokio",
        "rand",
        "getrandom",
        "KeyPair",
        "Verifier",
        "println",
        "eprintln",
    ];
    assert_none(places(&sources(&["consensus/src"]), &impure), "consensus.md, The core is pure");
}

#[test]
fn the_model_does_no_io() {
    let io = [
        "std::fs",
        "std::net",
        "std::thread",
        "std::env",
        "std::io",
        "std::process",
        "std::time",
        "Instant",
        "SystemTime",
        "tokio",
        "println",
        "eprintln",
    ];
    assert_none(places(&sources(&["model/src"]), &io), "model does no I/O");
}

#[test]
fn execution_has_no_clock_of_its_own() {
    let clocks = ["Instant", "SystemTime", "rand", "getrandom"];
    let found = places(&sources(&["wsv/src"]), &clocks);
    assert_none(found, "block time is the only clock of execution");
}

#[test]
fn each_library_of_the_outside_has_one_home() {
    let homes: &[(&[&str], &[&str])] = &[
        (&["rocksdb"], &["wsv/src/store.rs", "wsv/src/store/"]),
        (&["libp2p", "libp2p_stream"], &["node/src/network/"]),
        (&["axum", "hyper", "hyper_util", "tower_http"], &["node/src/torii/"]),
        (&["reqwest"], &["client/src/"]),
        (&["clap"], &["cli/src/", "node/src/config.rs", "node/src/main.rs", "node/src/bin/"]),
    ];
    let all = sources(&crates());
    for (words, allowed) in homes {
        let strays: Vec<_> = places(&all, words)
            .into_iter()
            .filter(|place| !allowed.iter().any(|home| place.starts_with(home)))
            .collect();
        assert_none(strays, &format!("only {allowed:?} names {words:?}"));
    }
}

#[test]
fn money_never_floats() {
    let mut found = places(&sources(&["model/src", "consensus/src", "wsv/src"]), &["f32", "f64"]);
    // RocksDB's tuning knobs are floats; money does not pass through them.
    found.retain(|place| !place.starts_with("wsv/src/store"));
    assert_none(found, "no float in model, consensus or wsv");
    let manifest = read("Cargo.toml");
    assert!(manifest.contains("overflow-checks = true"), "release checks overflow");
}

#[test]
fn signatures_are_verified_in_one_place() {
    let raw = ["curve25519_dalek", "ed25519_dalek", "ed25519_zebra"];
    let strays: Vec<_> = places(&sources(&crates()), &raw)
        .into_iter()
        .filter(|place| {
            !["model/src/key.rs", "model/src/verify.rs"].iter().any(|home| place.starts_with(home))
        })
        .collect();
    assert_none(strays, "one signature rule, in model/src/verify.rs");
}

fn manifest(name: &str) -> toml::Table {
    read(&format!("{name}/Cargo.toml")).parse().expect("a manifest")
}

#[test]
fn imports_run_one_way() {
    for (name, allowed) in IMPORTS {
        let manifest = manifest(name);
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
        for dependency in dependencies.into_iter().flat_map(toml::Table::keys) {
            if let Some(crate_name) = dependency.strip_prefix("tonle-") {
                assert!(allowed.contains(&crate_name), "{name} must not import {crate_name}");
            }
        }
    }
}

#[test]
fn every_crate_is_known_and_keeps_the_lints() {
    let workspace: toml::Table = read("Cargo.toml").parse().expect("a manifest");
    let members: BTreeSet<_> = workspace["workspace"]["members"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(toml::Value::as_str)
        .collect();
    assert_eq!(members, crates().into_iter().collect());
    for name in members {
        let manifest = manifest(name);
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        assert_eq!(lints, Some(&toml::Value::Boolean(true)), "{name} keeps the workspace's lints");
        let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
        for table in tables.iter().filter_map(|table| manifest.get(*table)?.as_table()) {
            for (dependency, spec) in table {
                let shared = spec.get("workspace") == Some(&toml::Value::Boolean(true));
                assert!(shared, "{name}: {dependency} comes from [workspace.dependencies]");
            }
        }
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let workspace: toml::Table = read("Cargo.toml").parse().expect("a manifest");
    let shared = workspace["workspace"]["dependencies"].as_table().expect("a table");
    let used: BTreeSet<String> = crates()
        .into_iter()
        .flat_map(|name| {
            let manifest = manifest(name);
            ["dependencies", "dev-dependencies", "build-dependencies"]
                .iter()
                .filter_map(|table| manifest.get(*table)?.as_table())
                .flat_map(|table| table.keys().cloned())
                .collect::<Vec<_>>()
        })
        .collect();
    let reasons = read("docs/decisions/0001-crates.md");
    for name in shared.keys() {
        if name.starts_with("tonle-") {
            continue;
        }
        assert!(used.contains(name), "{name} is in [workspace.dependencies] and nobody uses it");
        assert!(reasons.contains(&format!("`{name}`")), "0001-crates.md: why {name}?");
    }
}

/// The targets of the Makefile.
fn targets() -> BTreeSet<String> {
    read("Makefile")
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'))
        .collect()
}

#[test]
fn the_commands_that_are_shown_exist() {
    let targets = targets();
    let mut shown: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in ["README.md", "docs/src/development.md", "docs/src/first-payment.md", ".ci/run"] {
        let text = read(path);
        let words = text.split("make ").skip(1).zip(text.split("make "));
        for (after, before) in words {
            // Only as a command: at the start of a line of code or behind a backquote or `$`.
            let command = before.ends_with(['`', '\n']) || before.ends_with("$ ");
            let name: String =
                after.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            if command {
                shown.entry(path.to_owned()).or_default().insert(name);
            }
        }
    }
    assert!(shown["README.md"].contains("run") && shown["README.md"].contains("test"));
    for (path, names) in shown {
        for name in names {
            assert!(targets.contains(&name), "{path} shows `make {name}`, which does not exist");
        }
    }
}

#[test]
fn every_page_of_the_book_is_reachable() {
    let summary = read("docs/src/SUMMARY.md");
    let linked: BTreeSet<_> = summary
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.trim_start_matches("./").to_owned())
        .collect();
    for page in &linked {
        assert!(root().join("docs/src").join(page).exists(), "SUMMARY.md links to {page}");
    }
    for entry in std::fs::read_dir(root().join("docs/src")).expect("the book") {
        let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        if name.ends_with(".md") && name != "SUMMARY.md" {
            assert!(linked.contains(&name), "{name} is not in SUMMARY.md");
        }
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut pages = vec![PathBuf::from("README.md")];
    for folder in ["docs/src", "docs/decisions"] {
        for entry in std::fs::read_dir(root().join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path.strip_prefix(root()).expect("below the root").into());
            }
        }
    }
    let mut broken = Vec::new();
    for page in pages {
        let text = read(&page.to_string_lossy());
        let folder = root().join(page.parent().unwrap_or(Path::new("")));
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')) {
            let file = target.0.split('#').next().unwrap_or_default();
            // With a space it is a formula, not a link.
            let outside = file.is_empty() || file.contains("://") || file.contains(' ');
            if !outside && !folder.join(file).exists() {
                broken.push(format!("{}: {file}", page.display()));
            }
        }
    }
    assert_none(broken, "a link leads nowhere");
}

#[test]
fn every_code_stands_in_the_book() {
    let page = read("docs/src/errors.md");
    let rejections = tonle_model::receipt::RejectionCode::ALL.iter().map(|code| code.code());
    let voids = tonle_model::receipt::VoidCode::ALL.iter().map(|code| code.code());
    for code in rejections.chain(voids) {
        assert!(page.contains(&format!("| `{code}` |")), "errors.md says nothing of {code}");
    }
}

/// The codes that the node's own source gives to refusals: the first text of each call.
fn codes_of_the_node() -> BTreeSet<String> {
    let calls = ["ApiError::new(", "busy(", "unknown(", "Self::new(", "refuse(", "retry("];
    let mut codes = BTreeSet::new();
    for source in sources(&["node/src/torii", "node/src/gate.rs"]) {
        let program: Vec<_> = source.program_lines().map(|(_, line)| line).collect();
        let text = program.join("\n");
        for call in calls {
            for (start, _) in text.match_indices(call) {
                let statement = text[start..].split(';').next().unwrap_or_default();
                let literal = statement.split('"').nth(1).unwrap_or_default();
                let is_code = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
                if !literal.is_empty() && literal.bytes().all(is_code) {
                    codes.insert(literal.to_owned());
                }
            }
        }
    }
    codes
}

#[test]
fn every_code_of_the_http_api_stands_in_the_book() {
    let page = read("docs/src/errors.md");
    let codes = codes_of_the_node();
    assert!(codes.contains("wrong_chain") && codes.contains("malformed"), "{codes:?}");
    for code in codes {
        assert!(page.contains(&format!("| `{code}` |")), "errors.md says nothing of {code}");
    }
}

#[test]
fn every_route_stands_in_the_book() {
    let page = read("docs/src/api.md");
    let router = read("node/src/torii/mod.rs");
    for route in router.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        let shown = route.replace("/v1/blocks/{id}", "/v1/blocks/{height or hash}");
        assert!(page.contains(&shown), "api.md says nothing of {route}");
    }
}

/// Each answer to an attack names the tests that show it.
#[test]
fn the_tests_of_the_security_page_exist() {
    let page = read("docs/src/security.md");
    let tests = page.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let last_cells = tests.filter_map(|line| line.trim_end_matches('|').rsplit('|').next());
    let named: BTreeSet<&str> =
        last_cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(named.contains("a_hash_applies_once") && named.len() > 50, "{named:?}");
    let texts: Vec<String> = sources(&crates()).into_iter().map(|source| source.text).collect();
    let exists = |name: &&str| texts.iter().any(|text| is_test(text, name));
    let missing: Vec<&str> = named.into_iter().filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}

/// Whether a text has a function of this name that is run as a test.
fn is_test(text: &str, name: &str) -> bool {
    let functions = [format!("fn {name}("), format!("async fn {name}(")];
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let at = lines.iter().position(|line| functions.iter().any(|start| line.starts_with(start)));
    let before = lines.iter().take(at.unwrap_or(0)).rev();
    let mut attributes = before.take_while(|line| line.starts_with("#["));
    attributes.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
}

#[test]
fn a_function_is_a_test_if_its_attributes_say_so() {
    let text = "fn a() {}\n#[test]\nfn b() {}\n    #[tokio::test]\n    async fn c() {}\nfn d() {}";
    let tests: Vec<_> = ["a", "b", "c", "d", "e"].map(|name| is_test(text, name)).into();
    assert_eq!(tests, [false, true, true, false, false]);
}

/// The worked example of the book is the vector.
#[test]
fn the_worked_example_is_a_vector() {
    let page = read("docs/src/encodings.md");
    let example = page.split("and in SCALE:").nth(1).expect("the example");
    let bytes: String = example
        .lines()
        .skip_while(|line| !line.starts_with("| `"))
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| line.split('`').nth(1))
        .collect();
    let vectors: serde_json::Value =
        serde_json::from_str(&read("tests/vectors/transactions.json")).expect("JSON");
    assert_eq!(vectors[0]["payload_scale"], bytes.as_str());
    assert!(page.contains(vectors[0]["hash"].as_str().expect("a hash")));
}

#[test]
fn comments_cite_documents_that_exist() {
    let pages = ["consensus.md", "ledger.md", "architecture.md", "encodings.md"];
    for page in pages {
        assert!(root().join("docs/src").join(page).exists(), "{page}");
    }
    let rules = read("docs/src/consensus.md");
    // This file has the words that it looks for.
    let cites = |source: &Source| !source.path.ends_with("tests/tests/invariants.rs");
    for source in sources(&crates()).into_iter().filter(cites) {
        for (start, cited) in source.text.match_indices("consensus.md rule ") {
            let rest = &source.text[start + cited.len()..];
            let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let known = rules.lines().any(|line| line.starts_with(&format!("{number}. **")));
            assert!(known, "{} cites consensus.md rule {number}", source.path);
        }
    }
}
