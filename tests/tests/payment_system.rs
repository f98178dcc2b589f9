//! The script of the book's chapter "A payment system, end to end", on two real networks.

use std::process::Command;

use tonle_tests::localnet::{Localnet, binary};

#[test]
fn the_script_of_the_book_runs() {
    let (cambodia, japan) = (Localnet::start(4), Localnet::start(4));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/src/scripts/payment-system.sh");
    let tools = binary("tonle");
    let tools = tools.parent().expect("a directory").display();
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("bash")
        .arg(script)
        .env("PATH", format!("{tools}:{path}"))
        .env("TONLE_DIR", cambodia.path())
        .env("JAPAN_DIR", japan.path())
        .output()
        .expect("bash runs");
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{errors}");
    assert!(printed.ends_with("== All is as it should be\n"), "{printed}");
    for net in [&cambodia, &japan] {
        net.agreed(net.height());
    }
}
