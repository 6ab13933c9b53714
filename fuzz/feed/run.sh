#!/bin/bash
# run.sh [--seconds N | --runs N] [FEED...]: makes seeds for each feed from the tests' own sources and runs it: for that
# long, keeping what is worth keeping in FUZZ_CORPUS, or so many times from a fixed seed, the same each time. Ends with
# `N passed, N failed, N skipped`; what failed stays in $B/fuzz/crashes.
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
F=$B/fuzz
seconds='' runs=2000
while :; do
    case ${1:-} in
    --seconds) seconds=$2 && shift 2 ;;
    --runs) runs=$2 && shift 2 ;;
    *) break ;;
    esac
done
feeds=("$@")
[ ${#feeds[@]} -gt 0 ] || feeds=(asm btf core sandbox object pcap map ctx fields world cbpf)
seeds=$F/seeds crashes=$F/crashes
mkdir -p "$F/seed" "$seeds" "$crashes"
passed=0 failed=0 skipped=0

cc='' objcopy=''
for c in clang-19 clang-22 clang-16 clang-14 clang; do command -v "$c" >/dev/null && cc=$c && break; done
for c in "${cc/clang/llvm-objcopy}" llvm-objcopy-19 llvm-objcopy; do command -v "$c" >/dev/null && objcopy=$c && break; done

le32() { printf "\\x$(printf %02x $(($1 & 255)))\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 >> 16 & 255)))\\x$(printf %02x $(($1 >> 24 & 255)))"; }

# ---- Seeds ----

object_seeds() { # objects, and their types
    local src obj name
    mkdir -p "$seeds/object" "$seeds/btf" "$seeds/core"
    for src in tests/loader/*.bpf.c tests/loader/core/*.bpf.c tests/cli/fw.bpf.c examples/*.bpf.c; do
        name=$(basename "$src" .bpf.c)
        obj=$seeds/object/$name.o
        "$cc" -O2 -g -target bpf -mcpu=v3 -w -I"/usr/include/$(uname -m)-linux-gnu" -c "$src" -o "$obj" 2>/dev/null || { rm -f "$obj" && continue; }
        "$objcopy" --dump-section .BTF="$F/seed/btf" --dump-section .BTF.ext="$F/seed/ext" "$obj" /dev/null 2>/dev/null || continue
        { printf '\0' && cat "$F/seed/btf"; } >"$seeds/btf/$name"
        { le32 "$(stat -c %s "$F/seed/btf")" && cat "$F/seed/btf" && le32 "$(stat -c %s "$F/seed/ext")" && cat "$F/seed/ext" "$F/seed/btf"; } >"$seeds/core/$name"
        llvm_strip "$obj"
    done
}
llvm_strip() { "$objcopy" --strip-debug "$1" 2>/dev/null; }

text_seeds() { # assembly text, and what it assembles to behind a type and a byte of memory
    local f t
    mkdir -p "$seeds/asm" "$seeds/sandbox"
    for f in tests/isa/*.bpf tests/helpers/*.bpf tests/verifier/*.bpf; do
        t=$(basename "$f" .bpf)
        grep -v '^;' "$f" | head -c 3000 >"$seeds/asm/$t"
        # The first program of the file: up to its first blank line.
        awk '/^;/ { next } /^[ \t]*$/ { if (n) exit; next } { n++; print }' "$f" | timeout 10 "$B/skep" asm - >"$F/seed/insns" 2>/dev/null || continue
        { printf '\1\7' && cat "$F/seed/insns"; } >"$seeds/sandbox/$t"
        { printf '\200\7' && head -c -8 "$F/seed/insns"; } >"$seeds/sandbox/$t.walk"
    done
}

file_seeds() {
    local packet='\2\2\2\2\2\2\4\4\4\4\4\4\10\0\105\0\0\50\0\1\0\0\100\6\0\0\12\0\0\1\12\0\0\2\4\322\0\120\0\0\0\1\0\0\0\2\120\2\45\0\144\0\0\0'
    mkdir -p "$seeds/pcap" "$seeds/map" "$seeds/ctx"
    { printf '\324\303\262\241\2\0\4\0\0\0\0\0\0\0\0\0\377\377\0\0\1\0\0\0' && printf '\1\0\0\0\2\0\0\0\66\0\0\0\66\0\0\0' && printf "$packet"; } >"$seeds/pcap/one"
    { printf '\12\15\15\12\34\0\0\0\115\74\53\32\1\0\0\0\377\377\377\377\377\377\377\377\34\0\0\0' && printf '\1\0\0\0\24\0\0\0\1\0\0\0\0\0\4\0\24\0\0\0'; } >"$seeds/pcap/ng"
    printf '%s' '[{"key": {"addr": "0x0a000001", "ports": [1, 2], "name": "ab"}, "value": {"packets": 7, "delta": -1, "seen": true, "mode": "ON", "whole": 9, "low": -2, "high": 5, "inner": [{"unused": 0}, {}]}}]' >"$seeds/map/typed"
    printf '%s' '{"elements": [{"key": 3, "values": [{"cpu": 0, "value": {"packets": 1}}]}, {"key": "0x01", "value": [1, 2, 3]}]}' >"$seeds/map/cpus"
    printf '%s' '{"maps": [{"name": "table", "elements": [{"key": {"addr": 1}, "value": {}}]}]}' >"$seeds/map/state"
    mkdir -p "$seeds/world"
    printf '%s' '{"kernel": {"t": {"type": "task_struct", "pid": 42, "comm": "x", "real_parent": {"pid": 1, "&": "p", "@": "0xffff888000001000"}, "parent": "&p", "tasks": {"list": ["&p.tasks"]}, "any": [1, 2], "mac": "02:00:5e:10:00:01", "mode": "ON", "values": [{"packets": 1, "low": -1}]}, "tab": {"type": "__u64[4]", "value": [1, "&t.values[1]", 3]}}}' >"$seeds/world/kernel"
    printf '%s' '{"user": [{"addr": "0x7ffd00001000", "string": "/etc"}, {"addr": "0x7ffd00002000", "data": "00ff10"}, {"addr": "0x7ffd00004000", "size": 4096, "name": "b", "read_only": true}]}' >"$seeds/world/user"
    printf '%s' '{"tasks": [{"pid": 1, "comm": "init"}, {"name": "s", "pid": 42, "tgid": 42, "uid": 1000, "gid": 1000, "ppid": 1, "cgroup": "/u", "flags": 4}], "current": "s", "cgroups": [{"path": "/", "id": 1}, {"path": "/u", "id": 77}]}' >"$seeds/world/tasks"
    printf '%s' '{"namespaces": [{"name": "h", "kind": "pid", "inum": 1}, {"name": "b", "kind": "pid", "inum": 7, "dev": 4, "parent": "h", "struct": {"level": 3}}, {"name": "n", "kind": "net", "inum": 21, "cookie": 5}], "tasks": [{"pid": 3, "ns_pid": 8, "namespaces": ["b", "n"], "regs": {"ip": 4660}, "vmas": [{"vm_start": 4096, "vm_end": "0x2000", "vm_file": {"f_path": "/usr/bin/true", "private_data": {"type": "mm_struct"}}}]}], "user": [{"addr": 4096, "data": "01", "task": 3}]}' >"$seeds/world/around"
    printf '%s' '{"perf_events": {"maps": {"c": [[7, {"counter": 1, "enabled": 2, "running": 1}], null, {"cpu": 1, "values": 3}]}, "program": 9}, "branches": [{"from": 1, "to": 2, "cycles": 9, "type": 1, "mispredicted": true}], "hashes": [{"of": "&i", "algorithm": "md5", "hash": "000102030405060708090a0b0c0d0e0f"}], "kernel": {"i": {"type": "file"}}, "variables": {"percpu": [1]}}' >"$seeds/world/perf"
    printf '%s' '{"interfaces": [{"ifindex": 1, "name": "in", "mac": "02:00:00:00:00:0a", "addresses": ["10.0.0.1/24", "2001:db8::1/64"]}], "routes": [{"to": "10.2.0.0/16", "via": "10.0.0.9", "dev": "in", "table": 255}], "neighbours": [{"ip": "10.0.0.9", "mac": "02:00:00:00:00:c1", "dev": "in"}], "contexts": {"xdp": {"ingress_ifindex": 1}, "cgroup/connect4": {"user_ip4": "10.0.0.1", "user_port": 80}, "perf_event": {"ip": 5, "regs": {"sp": 1}, "sample_period": 7}, "kprobe/x": {"0": 5, "ret": 1}}, "mocks": {"ktime_get_ns": [1, null]}}' >"$seeds/world/net"
    head -c 24 /dev/zero >"$seeds/ctx/zero"
    mkdir -p "$seeds/fields" "$seeds/cbpf"
    printf '{"ingress_ifindex": 3, "rx_queue_index": 1}' >"$seeds/fields/json"
    printf '[{"data_end": 14, "egress_ifindex": "0x2"}]' >"$seeds/fields/list"
    printf '4\n40 0 0 12\n21 0 1 2048\n6 0 0 262144\n6 0 0 0\n' >"$seeds/cbpf/ip"
    printf '3,32 0 0 0,84 0 0 65535,22 0 0 0' >"$seeds/cbpf/line"
}

# ---- Running ----

skip() { skipped=$((skipped + 1)) && echo "SKIP: $1"; }

feed() {
    local bin=$F/feed_$1 log=$F/$1.log limits=(-rss_limit_mb=2048 -malloc_limit_mb=1024 -timeout=20 -max_len=16384 -close_fd_mask=1 "-artifact_prefix=$crashes/$1-")
    [ -x "$bin" ] || { skip "$1: not built"; return; }
    mkdir -p "$seeds/$1"
    if [ -n "$seconds" ]; then
        mkdir -p "${FUZZ_CORPUS:-$F/corpus}/$1"
        "$bin" "${limits[@]}" -max_total_time="$seconds" -print_final_stats=1 "${FUZZ_CORPUS:-$F/corpus}/$1" "$seeds/$1" >"$log" 2>&1 </dev/null
    else # a copy: what it finds is not to change the next run
        "$bin" "${limits[@]}" -seed=1 -runs="$runs" "$seeds/$1" >"$log" 2>&1 </dev/null
    fi
    if [ $? -eq 0 ]; then
        passed=$((passed + 1))
        echo "$1: $(grep -c . "$log") lines, $(grep -E '^#[0-9]+.*(DONE|pulse)' "$log" | tail -1)"
    else
        failed=$((failed + 1))
        echo "FAILED: $1 (see $log)"
        grep -vE '^#[0-9]+|^INFO' "$log" | head -n 30 | sed 's/^/    /'
    fi
}

[ -n "$cc" ] && [ -n "$objcopy" ] || { echo "SKIP: no clang with a BPF target"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
rm -rf "$seeds"
object_seeds
text_seeds
file_seeds
"$cc" -O2 -g -target bpf -mcpu=v3 -I"/usr/include/$(uname -m)-linux-gnu" -c fuzz/feed/prog.bpf.c -o "$F/seed/prog.bpf.o" || exit 1
"$objcopy" --dump-section .BTF="$F/seed/target.btf" "$F/seed/prog.bpf.o" /dev/null || exit 1
for f in "${feeds[@]}"; do feed "$f"; done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
