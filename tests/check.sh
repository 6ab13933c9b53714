#!/bin/bash
# Runs every suite, shows a line for each and the output of those that failed, and adds up. A suite is any command that
# ends with `N passed, N failed, N skipped`, or a cmocka program. A suite that prints no count, or exits non-zero without
# a failure counted, counts as one failure. SUITES="isa api": only suites whose name has one of these words.
cd "$(dirname "$0")/.." || exit 2
B=${B:-build}
out=$B/check
mkdir -p "$out"
passed=0 failed=0 skipped=0

# Why tests of a suite were skipped: lines that say so, and of cmocka what a test said before it gave up.
reasons() { # LOG
    awk 'tolower($0) ~ /^(skip|skipped)[: ]/ { print }
        /^\[  SKIPPED \] [^0-9]/ && last != "" && last !~ /^\[/ { print "skipped: " last }
        { last = $0 }' "$1" | sort | uniq -c | sort -rn | head -n 5 | sed 's/^/    /'
}

suite() { # name command...
    local name=$1 log rc p f s start=$SECONDS
    shift
    if [ -n "${SUITES:-}" ]; then
        local hit= w
        for w in $SUITES; do case $name in *$w*) hit=1 ;; esac; done
        [ -n "$hit" ] || return 0
    fi
    log=$out/$(echo "$name" | tr ' /' '__').log
    timeout --foreground "${SUITE_TIMEOUT:-1200}" "$@" >"$log" 2>&1 </dev/null
    rc=$?
    read -r p f s < <(awk '
        /^([A-Za-z0-9_.-]+: )?[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$/ {
            plain = 1
            for (i = 1; i <= NF; i++) { if ($i ~ /^passed/) p = $(i-1); if ($i ~ /^failed/) f = $(i-1); if ($i ~ /^skipped/) s = $(i-1) }
        }
        /^\[  PASSED  \] [0-9]+ test/ { cp += $4 }
        /^\[  FAILED  \] [0-9]+ test/ { cf += $4 }
        /^\[  SKIPPED \] [0-9]+ test/ { cs += $4 }
        END { if (!plain) { p = cp; f = cf; s = cs } printf "%d %d %d\n", p, f, s }' "$log")
    if [ $((p + f + s)) -eq 0 ] || { [ "$rc" -ne 0 ] && [ "$f" -eq 0 ]; }; then f=$((f + 1)); fi
    printf '%-28s %6d passed %4d failed %4d skipped  %4ds\n' "$name" "$p" "$f" "$s" $((SECONDS - start))
    if [ "$f" -ne 0 ]; then tail -n 40 "$log" | sed 's/^/    | /'; else reasons "$log"; fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

suite helpers/docs bash -c 'tools/helpers_md.sh | diff - docs/helpers.md && echo "1 passed, 0 failed, 0 skipped"'
suite layers bash -c 'tools/layers.sh && echo "1 passed, 0 failed, 0 skipped"'
for t in "$B"/unit/*; do
    case $t in *.d) continue ;; esac
    [ -x "$t" ] && suite "unit/$(basename "$t")" "$t"
done
[ -x "$B/bpftest" ] && suite isa "$B/bpftest" --every-op tests/isa
[ -x "$B/bpftest" ] && suite isa/kernel "$B/bpftest" --kernel tests/isa
[ -x "$B/bpftest" ] && suite helpers "$B/bpftest" tests/helpers
[ -x "$B/bpftest" ] && suite helpers/kernel "$B/bpftest" --kernel tests/helpers
[ -x "$B/bpftest" ] && suite verifier "$B/bpftest" --verify tests/verifier tests/isa tests/helpers
[ -x "$B/bpftest" ] && suite verifier/run "$B/bpftest" tests/verifier
[ -x "$B/bpftest" ] && suite verifier/kernel "$B/bpftest" --kernel tests/verifier
[ -x "$B/bpftest" ] && suite verifier/rejections tests/rejections.sh
[ -x "$B/bpftest" ] && suite verifier/random "$B/bpftest" --verify --random 2000
[ -x "$B/vfuzz" ] && SUITE_TIMEOUT=3000 suite verifier/fuzz "$B/vfuzz" --count 100000
[ -x "$B/vfuzz" ] && suite verifier/fuzz/kernel "$B/vfuzz" --kernel --seed 1000000 --count 500
[ -x "$B/bpftest" ] && suite isa/random "$B/bpftest" --random 5000 --garbage 5000
[ -x "$B/bpftest" ] && suite isa/random/quick "$B/bpftest" --quick --seed 10000000 --random 100000
[ -x "$B/bpftest" ] && suite isa/random/kernel "$B/bpftest" --kernel --random 500
# Maps under threads, with ThreadSanitizer: a build of nothing but maps.
if [ -z "${NO_SAN:-}" ]; then
    suite maps/threads make --no-print-directory B="$B" TSAN_TESTS='test_maps_threads test_maps_threads_kinds test_maps_arena' tsan-maps
fi
for s in runner loader kobj objects cli api run jit live examples world; do
    [ -x tests/$s/run.sh ] && B=$B suite "$s" tests/$s/run.sh
done
suite nolibbpf env B="$B" tests/nolibbpf.sh
if [ -z "${NO_SAN:-}" ]; then
    SUITE_TIMEOUT=3000 suite sanitized tests/sanitized.sh # a build and many suites
    SUITE_TIMEOUT=3000 suite feeds bash -c 'make --no-print-directory fuzz-build && fuzz/feed/run.sh --runs 3000'
fi
if [ -n "${WITH_LINUX:-}" ]; then
    suite linux make --no-print-directory B="$B" check-linux
    suite linux/verifier make --no-print-directory B="$B" check-linux-verifier
    suite linux/verifier/kernel make --no-print-directory B="$B" check-linux-verifier-kernel
    suite linux/kernel make --no-print-directory B="$B" check-kernel
    suite linux/real make --no-print-directory B="$B" check-real
fi

echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
