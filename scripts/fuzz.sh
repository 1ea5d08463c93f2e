#!/usr/bin/env bash
# The fuzzers in fuzz/: scripts/fuzz.sh seeds, or scripts/fuzz.sh run SECONDS.
#
# `seeds` gives each fuzzer the inputs in fuzz/seeds, which takes no instrumentation. `run` lets each
# look for others that long; what it found worth keeping stays in the target directory for the next
# run. libFuzzer comes with the crate libfuzzer-sys: neither `cargo fuzz` nor a nightly is needed.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
fuzzers="records counts lists"
build=(cargo build --release --locked --manifest-path fuzz/Cargo.toml --target-dir "$target")

# Runs a fuzzer, and tells how many inputs it took.
take() {
    binary=$1
    shift
    fuzzer=$(basename "$binary")
    mkdir -p "$target/fuzz/$fuzzer"
    log=$target/fuzz/$fuzzer.log
    "$binary" -print_final_stats=1 "$@" >"$log" 2>&1 || {
        cat "$log" >&2
        echo "fuzz: $fuzzer fails; once it is mended, that input is a seed: fuzz/seeds/$fuzzer" >&2
        exit 1
    }
    echo "fuzz: $fuzzer took $(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1) inputs"
}

seeds() {
    "${build[@]}"
    for fuzzer in $fuzzers; do
        take "$target/release/$fuzzer" "fuzz/seeds/$fuzzer"/*
    done
}

run() {
    host=$(rustc -vV | sed -n 's/^host: //p')
    # What libFuzzer is guided by, as cargo fuzz has it; not for what runs while building.
    flags="--cfg fuzzing -Cdebug-assertions -Cpasses=sancov-module"
    for flag in level=4 inline-8bit-counters pc-table trace-compares; do
        flags="$flags -Cllvm-args=-sanitizer-coverage-$flag"
    done
    RUSTFLAGS=$flags "${build[@]}" --target "$host"
    for fuzzer in $fuzzers; do
        words=$(find fuzz -name "$fuzzer.dict")
        # Inputs may be long from the start: scripts are slow, and would never get there.
        take "$target/$host/release/$fuzzer" -max_total_time="$1" -max_len=1024 -len_control=0 \
            ${words:+-dict="$words"} -verbosity=0 -print_funcs=0 \
            -artifact_prefix="$target/fuzz/$fuzzer-" "$target/fuzz/$fuzzer" "fuzz/seeds/$fuzzer"
    done
}

case "${1:-}" in
    seeds) seeds ;;
    run) run "${2:?seconds}" ;;
    *) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
