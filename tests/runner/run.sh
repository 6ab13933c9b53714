#!/bin/bash
# The runner itself: a test that is wrong must fail, and a file that says nonsense must be refused, each with its line.
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0 skipped=0

# expect NAME NEEDLE [OPTION...]: the file on standard input must fail with this text in the output.
expect() {
    local name=$1 needle=$2 out
    shift 2
    cat >"$dir/t.bpf"
    if out=$("$B/bpftest" "$@" "$dir/t.bpf"); then
        echo "$name: the runner is content"
        failed=$((failed + 1))
    elif ! grep -qF -- "$needle" <<<"$out"; then
        printf '%s: expected "%s", the runner says:\n%s\n' "$name" "$needle" "$out"
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
    fi
}

expect "wrong result" 't.bpf:3: (interp, checked) r0 is 0x7, expected 0x8' <<'T'
  r0 = 7
  exit
; result: 8
T
expect "upper half of the result" 'r0 is 0xffffffffffffffff, expected 0xffffffff' <<'T'
  r0 = -1
  exit
; result: 0xffffffff
T
# Each row of the runner's table on the interpreter alone; the same with other engines besides.
ways=$(awk '/^} ways\[\] = \{/ { on = 1; next } /^\};/ { on = 0 } on && /\{"/ { n++ } END { print n }' tests/runner/engines.c)
expect "every way of the interpreter is run" "and $((ways - 1)) other ways" --engine interp <<'T'
  r0 = 7
  exit
; result: 8
T
engines=$("$B/bpftest" "$dir/t.bpf" | sed -n 's/.*and \([0-9]*\) other ways.*/\1/p')
if [ "${engines:-0}" -gt $((2 * ways)) ]; then
    passed=$((passed + 1))
else
    echo "other engines: only ${engines:-0} other ways"
    failed=$((failed + 1))
fi
expect "wrong memory" 't.bpf:2: (interp, checked) byte 1 of mem is 07, expected 08' <<'T'
; mem: 01 02
; mem-out: 01 08
  *(u8 *)(r1 + 1) = 7
  r0 = 0
  exit
T
expect "wrong map" 'byte 0 of m is 05, expected 06' <<'T'
; map: m array 4 4 1
; map-out: m 00000000 06000000
  r1 = map[m][0]+0
  *(u32 *)(r1 + 0) = 5
  r0 = 0
  exit
T
expect "trap that was not expected" 't.bpf:2: (interp, checked) trap null_pointer' <<'T'
  r1 = 0
  r0 = *(u8 *)(r1 + 0)
  exit
; result: 0
T
expect "trap that does not come" 't.bpf:1: (interp, checked) trap none, expected null_pointer' <<'T'
  r0 = 0 ; trap: null_pointer
  exit
T
expect "trap of another kind" 'expected mem_read_only' <<'T'
  r1 = 0
  r0 = *(u8 *)(r1 + 0) ; trap: mem_read_only
  exit
T
expect "trap on another line" 'trap on line 2, expected here' <<'T'
  r1 = 0
  r0 = *(u8 *)(r1 + 0)
  exit ; trap: null_pointer
T
expect "no expectation" 't.bpf: line 1: the test expects nothing' <<'T'
  r0 = 7
  exit
T
expect "unknown directive" "line 3: there is no directive 'reslut'" <<'T'
  r0 = 7
  exit
; reslut: 7
T
expect "unknown trap" "line 1: there is no trap 'nothing'" <<'T'
  r0 = 7 ; trap: nothing
  exit
T
expect "bad assembly" 'line 3, column 8: an immediate does not fit in 32 bits' <<'T'
; test: a
; result: 7
  w0 = 0x1ffffffff
  exit
T
expect "line of a later test" 't.bpf:8: b (interp, checked) r0 is 0x2, expected 0x3' <<'T'
; test: a
  r0 = 1
  exit
; result: 1
; test: b
  r0 = 2
  exit
; result: 3
T
expect "bad bytes" 'bytes are pairs of hex digits' <<'T'
; mem: 1 2
  r0 = 1
  exit
; result: 1
T
expect "untested operations" 'no test has SDIV64_X' --every-op <<'T'
  r0 = 1
  exit
; result: 1
T
expect "a file that is not there" 'No such file' "$dir/absent.bpf" <<'T'
  r0 = 1
  exit
; result: 1
T
if "$B/bpftest" --kernel tests/isa/exit.bpf | grep -q 'cannot be used'; then
    skipped=1
else
    expect "wrong result in Linux" 't.bpf:3: (kernel) r0 is 0xffffffffffffffff, expected 0xffffffff' --kernel <<'T'
  r0 = -1
  exit
; result: 0xffffffff
T
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
