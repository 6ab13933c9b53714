#!/bin/bash
# Machine code before debuggers and profilers: gdb unwinds from a helper through a program to main and knows its lines;
# perf's own tools read the dump.
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
S=$PWD/$B/skep
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
. tests/count.sh

has() { # FILE PATTERN WHAT
    if grep -qE -- "$2" "$1"; then pass; else fail "$3: no '$2'"; head -c 4000 "$1" | sed 's/^/    /'; fi
}

cc=
for c in clang-19 clang clang-16 clang-14; do command -v $c >/dev/null && cc=$c && break; done
[ -n "$cc" ] || { skip "no clang"; finish; }
obj=$tmp/frames.bpf.o
$cc -O2 -g -target bpf -mcpu=v3 -I"/usr/include/$(uname -m)-linux-gnu" -c tests/jit/frames.bpf.c -o "$obj" || { fail "frames.bpf.c does not compile"; finish; }
printf 'x%.0s' $(seq 60) >"$tmp/packet"
run=(run "$obj" frames data_in "$tmp/packet" --engine jit)

if "$S" "${run[@]}" >"$tmp/out" 2>&1; then pass; else fail "it runs"; cat "$tmp/out"; finish; fi
has "$tmp/out" 'XDP_PASS' "it runs"

# ---- gdb ----

if ! command -v gdb >/dev/null; then
    skip "no gdb"
elif nm "$S" 2>/dev/null | grep -q __asan_init; then
    skip "gdb and sanitizers do not go together"
else
    timeout 120 gdb -nx -batch -x tests/jit/frames.gdb --args "$S" "${run[@]}" >"$tmp/gdb" 2>&1
    sed -n '/^---- frames/,/^---- up/p' "$tmp/gdb" >"$tmp/frames"
    has "$tmp/frames" 'env_ktime' "gdb, the helper"
    has "$tmp/frames" ' in bpf_prog_frames\.inner \(.*frames\.bpf\.c:' "gdb, the inner function with its line"
    has "$tmp/frames" ' in bpf_prog_frames \(.*frames\.bpf\.c:' "gdb, the outer function with its line"
    has "$tmp/frames" 'bpf_enter_frames' "gdb, the trampoline"
    has "$tmp/frames" ' env_run ' "gdb, who runs it"
    has "$tmp/frames" ' main ' "gdb, to the end"
    # What the run that gdb watched printed after all that.
    has "$tmp/gdb" 'XDP_PASS' "gdb goes on"
    has "$tmp/gdb" 'exited normally' "gdb goes on"
fi

# ---- perf ----

mkdir "$tmp/dump"
(cd "$tmp" && "$S" "${run[@]}" --jitdump "$tmp/dump" --perf-map >out 2>&1; echo $? >rc)
if [ "$(cat "$tmp/rc")" = 0 ]; then pass; else fail "run with a dump"; cat "$tmp/out"; fi
dump=$(ls "$tmp"/dump/jit-*.dump 2>/dev/null)
pid=${dump##*/jit-} pid=${pid%.dump}
if [ -n "$dump" ]; then pass; else fail "no dump"; fi
has "/tmp/perf-$pid.map" 'bpf_prog_frames\.inner$' "perf's map"
rm -f "/tmp/perf-$pid.map"
# A recording needs the right to one; what perf makes of the dump in it is its own code.
if ! command -v perf >/dev/null || ! perf record -q -k mono -o "$tmp/perf.data" -- "$S" run "$obj" spins data_in "$tmp/packet" repeat 20000 --jitdump "$tmp/dump" >"$tmp/out" 2>&1; then
    skip "perf cannot record here"
elif ! perf inject --jit -i "$tmp/perf.data" -o "$tmp/perf.jit" >"$tmp/out" 2>&1; then
    fail "perf inject: $(head -c 300 "$tmp/out")"
else
    pass
    perf report -i "$tmp/perf.jit" --stdio >"$tmp/report" 2>&1
    has "$tmp/report" 'bpf_prog_spins' "perf report"
fi
finish
