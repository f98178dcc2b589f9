# Sourced by run.sh and bench.sh: builds, starts and stops a local network of four validators.
# shellcheck shell=bash

target=${CARGO_TARGET_DIR:-target}
tonle="$target/release/tonle"

build() {
    if ! command -v cargo >/dev/null 2>&1; then
        echo "cargo is missing. Install Rust from https://rustup.rs and try again." >&2
        exit 1
    fi
    echo "Building (the first time RocksDB alone takes a quarter to half an hour on two cores)"
    # The whole workspace, so that `make test` finds the same features built.
    cargo build --release --workspace --bins --locked
}

# Starts the network in $1; more arguments go to `tonle localnet up`. Whatever ends the script,
# the network ends with it.
start_network() {
    network_dir=$1
    shift
    # What the user set for a network of their own must not reach the commands for this one.
    local name
    for name in $(compgen -e TONLE_); do unset "$name"; done
    export TONLE_CONFIG=/dev/null TONLE_DIR=$network_dir
    trap stop_network EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    "$tonle" localnet up --detach --dir "$network_dir" "$@"
}

stop_network() {
    [ -z "${keeper:-}" ] || kill "$keeper" 2>/dev/null || true
    "$tonle" localnet down --dir "$network_dir" >/dev/null 2>&1 || true
    [ -z "${scratch:-}" ] || rm -rf "$scratch"
}

# A directory that goes when the script ends, with the CLI's memory of the last network in it, so
# that a check in passing does not change which network `tonle` talks to.
use_scratch() {
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/tonle.XXXXXX")
    export XDG_STATE_HOME=$scratch/state
}
