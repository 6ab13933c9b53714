#!/bin/bash
# Without libbpf: the command and the libraries are linked from the objects that are there, less those of Linux's backend.
# Nothing of libbpf is left in them, everything else works, and what asks for Linux is refused by name.
cd "$(dirname "$0")/.." || exit 2
B=${B:-build}
N=$B/nolibbpf
. tests/count.sh
trap 'rm -rf "$N"' EXIT

# Only loader/kernel*.c know its API, so the other objects are those that a whole build without it would make.
others=$(grep -lE '#include <bpf/(libbpf|bpf|btf)\.h>' base/*.[ch] vm/*.[ch] vm/*/*.[ch] verifier/*.[ch] jit/*.[ch] jit/*/*.[ch] \
    loader/*.[ch] api/*.[ch] api/*/*.[ch] cli/*.[ch] include/skep/*.h | grep -v '^loader/kernel')
[ -z "$others" ] && pass || fail "libbpf's API is included elsewhere" "$others"
callers=$(grep -lE '\bkernel_(load|attach|map_fd|prog_fd|test_run)\(' loader/*.c api/*.c api/*/*.c cli/*.c | grep -vE '^(loader|api)/kernel')
[ -z "$callers" ] && pass || fail "Linux's backend is called elsewhere" "$callers"

rm -rf "$N"
mkdir -p "$N"
cp -al "$B/obj" "$N/obj" && find "$N/obj" \( -path '*/loader/kernel*' -o -path '*/api/kernel*' -o -path '*/api/backend.*' \) -delete
if out=$(make --no-print-directory LIBBPF= B="$N" all 2>&1); then pass; else fail "it builds" "$out"; finish; fi
[ ! -e "$N/obj/loader/kernel.o" ] && [ ! -e "$N/obj/api/kernel.o" ] && pass || fail "the backend is left out"
for f in skep libskep.so; do
    out=$(readelf -d "$N/$f" | grep -i bpf)
    [ -z "$out" ] && pass || fail "$f needs no libbpf" "$out"
    out=$(nm -D --undefined-only "$N/$f" | awk '$2 ~ /^(lib)?bpf_|^ring_buffer__|^perf_buffer__/')
    [ -z "$out" ] && pass || fail "$f calls no libbpf" "$out"
done
grep -q -- -lbpf "$N/skep.pc" && fail "skep.pc names libbpf" || pass

clang=
for c in ${BPF_CLANG:-clang-19} clang-16 clang-14 clang; do command -v "$c" >/dev/null && clang=$c && break; done
if [ -z "$clang" ]; then
    echo "skipped: no clang"
    skipped=$((skipped + 1))
    finish
fi
o=$N/both.bpf.o
"$clang" -O2 -g -target bpf -mcpu=v3 -I"/usr/include/$(uname -m)-linux-gnu" -c tests/api/both.bpf.c -o "$o" || fail "both.bpf.c compiles"
packet=hex:000102030405060708090a0b0c0d0e0f
no='built without libbpf'
says "a run" 0 'XDP_PASS' "$N/skep" run "$o" judge data_in $packet --dump-maps --maps-to "$N/maps.json"
says "maps from a file" 0 'runs = 2' "$N/skep" run "$o" judge data_in $packet --dump-maps --maps-from "$N/maps.json"
says "verify" 0 'judge: accept' "$N/skep" verify "$o"
says "show" 0 'judge' "$N/skep" show "$o"
says "dump" 0 'exit' "$N/skep" dump "$o" judge
says "diff, of what is there" 0 "linux +cannot run it: .*$no" "$N/skep" diff "$o" judge --random 5
says "a run in Linux" 1 "$no" "$N/skep" run --kernel "$o" judge data_in $packet
says "verify --kernel" 0 "judge: Linux: cannot" "$N/skep" verify --kernel "$o"
says "attach" 1 "$no" "$N/skep" attach "$o" judge to lo
says "maps from Linux" 2 "$no|not supported" "$N/skep" run "$o" judge data_in $packet --maps-from linux:judge
says "maps to a bpffs" 2 "$no|not supported" "$N/skep" run "$o" judge data_in $packet --maps-to linux:judge
finish
