#!/bin/bash
# Objects in Linux: `skep diff`, `skep verify --kernel`, `skep run --kernel`, and `skep attach` in network and mount
# namespaces that are made here and go with the processes in them. What this kernel lacks is skipped with the reason.
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
case $B in /*) ;; *) B=$PWD/$B ;; esac
export SKEP=$B/skep
live=$PWD/tests/live
tmp=$(mktemp -d) || exit 2
export tmp
trap 'rm -rf "$tmp"' EXIT
. tests/count.sh


clang=
for c in ${BPF_CLANG:-clang-19} clang-16 clang-14 clang; do command -v "$c" >/dev/null && clang=$c && break; done
[ -n "$clang" ] || { skip "no clang"; finish; }
build() { "$clang" -O2 -g -target bpf -mcpu=v3 "-D__TARGET_ARCH_$(uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/')" -I"/usr/include/$(uname -m)-linux-gnu" -c "$1" -o "$2" "${@:3}"; }
for f in tests/live/*.bpf.c tests/api/bad.bpf.c tests/api/both.bpf.c; do
    build "$f" "$tmp/$(basename "${f%.c}").o" || fail "$f compiles"
done
build tests/live/congestion.bpf.c "$tmp/congestion_link.bpf.o" -DSECTION='".struct_ops.link"' || fail "congestion.bpf.c compiles for a link"
cd "$tmp" || exit 2

# Without the backend the rest stands: objects cannot be opened for Linux, and say why.
if ! "$SKEP" run --kernel both.bpf.o judge data_in hex:000102030405060708090a0b0c0d0e0f >first 2>&1; then
    if grep -q 'built without libbpf' first; then skip "built without libbpf"; finish; fi
    if [ "$(id -u)" != 0 ] || grep -qE 'CAP_BPF|seccomp' first; then skip "bpf(2) is not allowed: $(head -1 first)"; finish; fi
fi

# ---- run, verify, diff ----
says "a run in Linux" 0 'Return value: 2 \(XDP_PASS\)' "$SKEP" run --kernel both.bpf.o judge data_in hex:000102030405060708090a0b0c0d0e0f
says "its maps" 0 'runs = 1
percpu_array counts' "$SKEP" run --kernel both.bpf.o judge data_in hex:000102030405060708090a0b0c0d0e0f --dump-maps
says "its events" 0 '"engine":"linux"
"map":"events","size":8' "$SKEP" -j run --kernel both.bpf.o send data_in hex:000102030405060708090a0b0c0d0e0f
says "variables" 0 'XDP_DROP' "$SKEP" run --kernel both.bpf.o judge --set limit=3 data_in hex:000102030405060708090a0b0c0d0e0f
says "a refusal at its line" 1 'bad.bpf.c:10:12: Linux refuses program .bad.: .*outside of the packet
10 \|     return p\[3\]' "$SKEP" run --kernel bad.bpf.o data_in hex:000102030405060708090a0b0c0d0e0f
says "no test run" 1 'no test run for programs of type kprobe' "$SKEP" run --kernel both.bpf.o probe
says "both verdicts" 1 'bad: reject, 4 instructions
bad: Linux: reject' "$SKEP" verify --kernel bad.bpf.o
says "both accept" 0 'judge: Linux: accept' "$SKEP" verify --kernel both.bpf.o
says "both verdicts in JSON" 1 '"linux":\{"verdict":"reject","message"' "$SKEP" -j verify --kernel bad.bpf.o
says "alike" 0 'interp  accepts it and ran 50
linux   accepts it and ran 50
the same on every side' "$SKEP" diff diff.bpf.o same --random 50
says "rejected alike" 0 'rejected alike' "$SKEP" diff bad.bpf.o
says "what Linux cannot run is said" 0 'linux   cannot run it: .*no test run for programs of type kprobe' "$SKEP" diff diff.bpf.o no_run
says "maps differ by field" 1 'differs: map table, key 3.*: interp [0-9]+, linux [0-9]+
.luck: interp
differs: variable fortune
calls bpf_get_prandom_u32' "$SKEP" diff diff.bpf.o random_map
says "packets differ by field" 1 'differs: input 1: packet bytes [0-9]+ to [0-9]+ \(ip.src\): interp [0-9a-f]+, linux' "$SKEP" diff diff.bpf.o random_packet
says "events differ" 1 'differs: input 1: map events, event 1: interp' "$SKEP" diff diff.bpf.o random_event
says "return values differ" 1 'differs: input 1: return value: interp [0-9]+, linux [0-9]+' "$SKEP" diff diff.bpf.o random_verdict
says "differences in JSON" 1 '"what":"map table, key 3","field":".luck"
"varies":\["get_prandom_u32"\]' "$SKEP" -j diff diff.bpf.o random_map
says "all programs" 1 '4 of 6 programs differ' "$SKEP" diff diff.bpf.o
says "the same seed, the same inputs" 0 'ran 20' "$SKEP" diff diff.bpf.o same --random 20 --seed 7
says "a struct_ops and its methods" 0 'skep_cc +\.struct_ops\.link +struct tcp_congestion_ops: .*cong_avoid = on_ack' "$SKEP" show congestion_link.bpf.o
says "and in JSON" 0 '"struct_ops":\[\{"name":"skep_cc","section":"\.struct_ops","type":"struct tcp_congestion_ops".*\{"member":"init","offset":[0-9]+,"program":"on_init"\}' "$SKEP" -j show congestion.bpf.o
says "no object" 2 'an object is missing' "$SKEP" diff

# ---- State that travels ----
packet=data_in\ hex:000102030405060708090a0b0c0d0e0f
says "maps to a file" 0 'runs = 1' "$SKEP" run both.bpf.o judge $packet --dump-maps --maps-to state.json
says "and from it, here" 0 'runs = 2
16: 2' "$SKEP" run both.bpf.o judge $packet --dump-maps --maps-from state.json
says "and in Linux" 0 'runs = 2
16: 2
cpu0 2|cpu1 1' "$SKEP" run --kernel both.bpf.o judge $packet --dump-maps --maps-from state.json --maps-to there.json
says "and back, with all CPUs" 0 'runs = 3
16: 3' "$SKEP" run --cpus "$(getconf _NPROCESSORS_CONF)" both.bpf.o judge $packet --dump-maps --maps-from there.json
sed 's/"type": "array"/"type": "hash"/' state.json >other.json
says "another map" 2 'another type or other sizes' "$SKEP" run both.bpf.o judge $packet --maps-from other.json
sed 's/"key": "../"key": "zz/' state.json >damaged.json
says "a damaged file" 2 'an element is damaged' "$SKEP" run both.bpf.o judge $packet --maps-from damaged.json
says "no file of ours" 2 'not a file of --maps-to' "$SKEP" run both.bpf.o judge $packet --maps-from <(echo '{}')
says "no program" 2 'Linux runs no program of this name' "$SKEP" run both.bpf.o judge $packet --maps-from linux:no_such_prog

# ---- attach ----
says "this process's programs are not attached" 2 'an object is missing' "$SKEP" attach
says "no program of this name" 2 "there is no program 'nobody'" "$SKEP" attach net.bpf.o nobody to lo
says "no map to watch" 2 "there is no map 'nothing'" "$SKEP" attach net.bpf.o firewall to lo --watch nothing
"${CC:-gcc}" -O1 -o skepwork "$live/work.c" || fail "work.c compiles"
if ! unshare --net --mount true 2>/dev/null; then
    skip "attachments: no namespaces can be made here"
else
    timeout 120 unshare --net --mount "$live/attach.sh" >attach.out 2>&1
    rc=$?
    passed=$((passed + $(grep -c '^ok$' attach.out)))
    while IFS= read -r line; do skip "${line#skipped: }"; done < <(grep '^skipped: ' attach.out)
    n=$(grep -c '^FAILED' attach.out)
    failed=$((failed + n))
    grep -vE '^(ok|skipped: .*)$' attach.out
    [ "$rc" = 0 ] || fail "the tests of attachments end (status $rc)"
fi
finish
