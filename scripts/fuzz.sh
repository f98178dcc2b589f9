#!/usr/bin/env bash
# `make fuzz`: all fuzz targets, ten minutes together (FUZZ_SECONDS=600), one line about each.
# Exits with 1 if a property does not hold; the input that shows it is in fuzz/artifacts/.
# FUZZ_TARGETS="step proof" takes only these.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.13.2
seconds=${FUZZ_SECONDS:-600}
# Instrumented code is no use to anyone else, so it stays by itself.
target_dir=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
found=fuzz/found
logs=$target_dir/logs

if ! cargo fuzz --version 2>/dev/null | grep -qF " $version"; then
    cargo install --locked cargo-fuzz --version "$version"
fi
read -ra targets <<<"${FUZZ_TARGETS:-$(cargo fuzz list | tr '\n' ' ')}"
# No sanitizer: it would need a nightly compiler (docs/decisions/0015-fuzzing.md).
cargo fuzz build --sanitizer none --target-dir "$target_dir"
built=$target_dir/$(rustc -vV | sed -n 's/^host: //p')/release

each=$((seconds / ${#targets[@]}))
((each > 0)) || each=1
failed=0
mkdir -p "$logs"
printf '%-14s %12s %8s %8s  %s\n' target runs seconds inputs result
for target in "${targets[@]}"; do
    log=$logs/$target.log
    # What is found goes first, where git does not look; the committed corpus is only read.
    mkdir -p "$found/$target" "fuzz/artifacts/$target"
    result=ok
    "$built/$target" "$found/$target" "fuzz/corpus/$target" \
        -artifact_prefix="fuzz/artifacts/$target/" -max_total_time="$each" -timeout=10 \
        -rss_limit_mb=2048 -print_final_stats=1 \
        >"$log" 2>&1 || result=FAILED
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    took=$(sed -n 's/^Done .* in \([0-9]*\) second.*/\1/p' "$log")
    inputs=$(find "$found/$target" -type f | wc -l)
    printf '%-14s %12s %8s %8s  %s\n' "$target" "${runs:--}" "${took:--}" "$inputs" "$result"
    if [ "$result" != ok ]; then
        failed=1
        grep -vE '^#[0-9]|^INFO:|^stat::' "$log" | tail -n 40 >&2
    fi
done
exit "$failed"
