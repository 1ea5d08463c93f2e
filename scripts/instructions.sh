#!/bin/sh
# Instructions of the job for each click: scripts/instructions.sh [check | record]
#
# The bench `engine` runs the job over the same clicks under callgrind, once and three times; the
# difference is two runs without start-up and without the making of clicks. The same binary gives
# the same figure to a millionth, whatever else the machine does.
#
# `check` compares it with benches/instructions.txt, and fails if it has grown by 5 % or more; where
# the compiler is not the one of the record it only tells. `record` writes what it is.
set -eu

cd "$(dirname "$0")/.."
record=benches/instructions.txt

# What the record says of $1.
recorded() { sed -n "s/^$1: *//p" "$record"; }

# The instructions of $1 runs.
count() {
    # Which of its copying routines the C library takes depends on the processor; not so.
    GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,-AVX2,-ERMS \
        valgrind --tool=callgrind --callgrind-out-file="$target/instructions.callgrind" \
        "$bench" $workload --repeat "$1" 2>&1 | sed -n 's/.* Collected : *//p'
}

target=${CARGO_TARGET_DIR:-target}
workload="--once job $(recorded workload)"
clicks=$(printf '%s\n' "$workload" | sed 's/.*--clicks \([0-9]*\).*/\1/')
toolchain=$(rustc -vV | sed -n 's/^release: //p; s/^host: //p' | sort | tr '\n' ' ' | sed 's/ $//')

# shellcheck disable=SC2086
bench=$(cargo bench ${CARGO_FLAGS:-} --bench engine --no-run --message-format=json-render-diagnostics |
    sed -n 's/.*"name":"engine".*"executable":"\([^"]*\)".*/\1/p')
once=$(count 1)
thrice=$(count 3)
figure=$(((thrice - once) / 2 / clicks))
was=$(recorded instructions)
echo "instructions: $figure for each click; $was are recorded, by $(recorded compiler)"

case "${1:-check}" in
    record)
        sed -i "s/^compiler: .*/compiler: $toolchain/; s/^instructions: .*/instructions: $figure/" "$record"
        ;;
    check)
        if [ "$toolchain" != "$(recorded compiler)" ]; then
            echo "instructions: this is $toolchain, and nothing is compared"
        elif [ $((figure * 100)) -ge $((was * 105)) ]; then
            echo "instructions: 5 % more or worse; where they are: callgrind_annotate $target/instructions.callgrind" >&2
            exit 1
        elif [ $((figure * 100)) -le $((was * 95)) ]; then
            echo "instructions: 5 % fewer or better; lower the record: scripts/instructions.sh record"
        fi
        ;;
esac
