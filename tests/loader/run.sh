#!/bin/bash
# Compiles each tests/loader/*.bpf.c with the compilers there are, for several instruction sets, and compares what the
# loader makes of it with the expectations in its comments (expect.h). `// not: gcc clang-14` in a source leaves compilers
# out, `// needs-btf: yes` wants the running kernel's types. Sources in core/ are relocated against the types of their
# .target.c, and compared with libbpf. Then: objects of others, and damaged objects.
# FILTER: a pattern of sources; DAMAGED: how many damaged copies an object (0: none).
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
out=$B/tests/loader
mkdir -p "$out"
passed=0 failed=0 skipped=0
include=(-I"/usr/include/$(uname -m)-linux-gnu")

skip() {
    skipped=$((skipped + 1))
    echo "SKIP: $1"
}

count() { # output of objtest
    local p f s
    read -r p f s < <(awk '/^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { print $1, $3, $5 }' <<<"$1" | tail -1)
    if [ -z "$p" ]; then p=0 f=1 s=0; fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    [ "$f" -eq 0 ] || grep -v '^[0-9]* passed, ' <<<"$1"
}

target= # object with the types to relocate against; empty: the running kernel's
check() { # source compiler tag command...
    local src=$1 cc=$2 obj
    obj=$out/$(basename "$src" .bpf.c).$3.o
    shift 3
    if ! said=$("$@" "${include[@]}" -c "$src" -o "$obj" 2>&1); then
        failed=$((failed + 1))
        printf '%s: %s does not compile it: %s\n' "$src" "$cc" "$said"
        return
    fi
    # Names of data maps come from the object's name, so each compiler's object stands in a folder of its own.
    mkdir -p "$out/$cc.d" && mv "$obj" "$out/$cc.d/$(basename "$src" .bpf.c).o"
    count "$("$B/objtest" -e "$src" "$out/$cc.d/$(basename "$src" .bpf.c).o" ${target:+"$target"} 2>&1)"
}

any=
for cc in clang-14 clang-16 clang-19 clang-22 clang; do
    command -v "$cc" >/dev/null || continue
    [ "$cc" = clang ] && [ -n "$any" ] && continue
    any=1
    cpus=v3
    case $cc in clang-19) cpus='v1 v2 v3 v4' ;; clang-22) cpus=v4 ;; esac
    for src in tests/loader/${FILTER:-*}.bpf.c; do
        [ -e "$src" ] || continue
        grep -q "^// not:.* $cc\( \|$\)" "$src" && { skip "$src is not for $cc"; continue; }
        if grep -q '^// needs-btf: yes' "$src" && [ ! -r /sys/kernel/btf/vmlinux ]; then
            skip "$src: no types of the running kernel"
            continue
        fi
        for cpu in $cpus; do check "$src" "$cc" "$cpu" "$cc" -O2 -g -target bpf -mcpu="$cpu"; done
    done
    for src in tests/loader/core/${FILTER:-*}.bpf.c; do
        [ -e "$src" ] || continue
        grep -q "^// not:.* $cc\( \|$\)" "$src" && { skip "$src is not for $cc"; continue; }
        mkdir -p "$out/$cc.d"
        target=$out/$cc.d/$(basename "$src" .bpf.c).target.o
        "$cc" -O2 -g -target bpf -c "${src%.bpf.c}.target.c" -o "$target" || failed=$((failed + 1))
        for cpu in $cpus; do check "$src" "$cc" "$cpu" "$cc" -O2 -g -target bpf -mcpu="$cpu"; done
        # libbpf as the oracle, where it is installed and may load programs.
        [ -x "$B/coretest" ] && count "$("$B/coretest" "$target" "$out/$cc.d/$(basename "$src" .bpf.c).o" 2>&1)"
        target=
    done
done
[ -n "$any" ] || skip "no clang"

if command -v bpf-gcc >/dev/null; then
    for src in tests/loader/${FILTER:-*}.bpf.c; do
        [ -e "$src" ] || continue
        grep -q '^// not:.* gcc\( \|$\)' "$src" && { skip "$src is not for gcc"; continue; }
        check "$src" bpf-gcc gcc bpf-gcc -O2 -gbtf -mcpu=v3 -I/usr/include
    done
else
    skip "no bpf-gcc"
fi

if [ -z "${FILTER:-}" ]; then
    shopt -s nullglob
    others=("/usr/lib/$(uname -m)-linux-gnu"/bpf/*.o /usr/lib/bpf/*.o)
    if [ ${#others[@]} -gt 0 ]; then
        count "$("$B/objtest" -q "${others[@]}" 2>&1)"
    else
        skip "libxdp's objects are not installed"
    fi
    if [ "${DAMAGED:-400}" -gt 0 ]; then
        victims=("${others[@]:0:3}")
        for name in globals maps map_in_map calls kconfig ksyms core; do
            for obj in "$out"/clang-{14,19}.d/$name.o "$out"/bpf-gcc.d/$name.o; do [ -e "$obj" ] && victims+=("$obj"); done
        done
        count "$("$B/objtest" -m "${DAMAGED:-400}" 1 "${victims[@]}" 2>&1)"
        victims=("$out"/clang-19.d/{globals,maps,map_in_map,calls,callbacks,rodata,strings}.o)
        [ -e "${victims[0]}" ] && count "$("$B/objtest" -x "${DAMAGED:-400}" 1 "${victims[@]}" 2>&1)"
    fi
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
