#!/bin/bash
# Builds everything with ASan and UBSan and runs the unit tests, the instruction tests, machine code and the hostile-input tests there.
cd "$(dirname "$0")/.." || exit 2
S=${B:-build}/san
make --no-print-directory -j"$(nproc)" SAN=1 OPT=-O1 B="$S" unit "$S/bpftest" "$S/objtest" "$S/skep" || exit 1
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
B=$S NO_SAN=1 SUITE_TIMEOUT=1200 SUITES="unit isa loader cli jit" tests/check.sh
