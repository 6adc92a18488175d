#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Fuzzes every target for some seconds each (default 300) on stable Rust: run.sh [SECONDS [TARGET...]]
# With nightly and cargo-fuzz installed, `cargo fuzz run TARGET` in the crate's folder does the same.
# Needs g++ for libFuzzer itself. Corpora grow in target/corpus; a crash is written to target/crash-TARGET-*.
set -eu
cd "$(dirname "$0")"
seconds=${1:-300}
[ $# -gt 0 ] && shift
targets=${*:-registers submission commands tables remapping protocol replay}
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
export RUSTFLAGS
# An explicit target keeps the flags away from build scripts.
cargo build --release --quiet --target x86_64-unknown-linux-gnu
out=${CARGO_TARGET_DIR:-target}
for target in $targets; do
    mkdir -p "$out/corpus/$target"
    echo "fuzz $target: $seconds seconds"
    # Inputs are long from the start: a guest that does something interesting takes hundreds of bytes.
    "$out/x86_64-unknown-linux-gnu/release/$target" "$out/corpus/$target" -max_total_time="$seconds" -timeout=20 \
        -len_control=0 -max_len=1024 -rss_limit_mb=4096 -artifact_prefix="$out/crash-$target-" -print_final_stats=1 2>&1 |
        grep -E "stat::number_of_executed_units|ERROR|panicked|SUMMARY|DONE" || exit 1
    ls "$out"/crash-"$target"-* >/dev/null 2>&1 && { echo "fuzz $target: FAILED"; exit 1; }
done
echo "fuzz: clean"
