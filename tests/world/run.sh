#!/bin/bash
# Worlds: programs of kinds that look around them, on worlds from files, on every engine. What depends on the target's
# types is skipped where there are none.
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
case $B in /*) ;; *) B=$PWD/$B ;; esac
S=$B/skep
here=$PWD/tests/world
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
. tests/count.sh
says_texts=-F


CLANG=
for c in clang-19 clang-16 clang-14 clang; do command -v $c >/dev/null && CLANG=$c && break; done
if [ -z "$CLANG" ] || [ ! -r /sys/kernel/btf/vmlinux ]; then
    echo "skipped: $([ -z "$CLANG" ] && echo 'no clang' || echo 'this kernel has no types (/sys/kernel/btf/vmlinux)')"
    skipped=1
    finish
fi
for src in "$here"/*.bpf.c; do
    o=$tmp/$(basename "${src%.c}").o
    out=$($CLANG -O2 -g -target bpf -D__TARGET_ARCH_x86 -I"$here" -c "$src" -o "$o" 2>&1) || fail "compiling $src" "$out"
done

# ---- Chains of pointers ----

cat >"$tmp/tasks.json" <<'EOF'
{"cgroups": [{"path": "/", "id": 1}, {"path": "/user.slice", "id": 77}],
 "tasks": [
  {"pid": 1, "comm": "init"},
  {"pid": 2, "comm": "kthreadd"},
  {"name": "shell", "pid": 42, "tgid": 41, "comm": "bash", "uid": 1000, "ppid": 1, "cgroup": "/user.slice",
   "mm": {"arg_start": "0x7ffd00001000"}, "stack": "0xffffc90000000000"},
  {"pid": 41, "comm": "leader"}],
 "current": "shell",
 "user": [{"addr": "0x7ffd00001000", "string": "/bin/bash"}]}
EOF
for how in "--engine interp" "--engine jit" --checked; do
    says "chain $how" 0 'pid = 42
parent = 1
leader = 41
uid = 1000
level = 1
comm = "bash"
parent_comm = "init"
cgroup = "user.slice"
arg = "/bin/bash"
cgroup_id = 77
ids = 176093659178
arg_len = 10
past = -14
nowhere = -14' "$S" run "$tmp/chain.bpf.o" --world "$tmp/tasks.json" --dump-maps $how
done
says "another task" 0 'pid = 1
comm = "init"' "$S" run "$tmp/chain.bpf.o" --world "$tmp/tasks.json" --task 1 --dump-maps
says "no such task" 2 "has no task of this name" "$S" run "$tmp/chain.bpf.o" --world "$tmp/tasks.json" --task 7
says "a number stands before the world's" 0 'pid = 42
ids = 12884901891' "$S" run "$tmp/chain.bpf.o" --world "$tmp/tasks.json" --pid 3 --dump-maps
says "no world in Linux" 2 "--world is for runs in userspace" "$S" run "$tmp/chain.bpf.o" --world "$tmp/tasks.json" --kernel
echo '{"tasks": [{"pid": 1}, {"pid": 2, "comm": 5}]}' >"$tmp/bad.json"
says "a wrong file" 2 "bad.json: JSON: line 1: tasks[1].comm: a text was expected" "$S" run "$tmp/chain.bpf.o" --world "$tmp/bad.json"

# ---- Storage ----

for how in "--engine interp" "--engine jit" --checked; do
    says "storage $how" 0 'got = [-1,-2,0,0]
42: 1
1: 110
77: 105' "$S" run "$tmp/storage.bpf.o" --world "$tmp/tasks.json" --dump-maps $how
done
echo '[{"key": 42, "value": 9}, {"key": 7, "value": 1}]' >"$tmp/seen.json"
says "storage that the host wrote" 0 'got = [9,-2,0,0]
42: 10' "$S" run "$tmp/storage.bpf.o" --world "$tmp/tasks.json" --map tasks="$tmp/seen.json" --dump-maps

# ---- Stacks and symbols ----

cat >"$tmp/stacks.json" <<'EOF'
{"symbols": {"do_work": "0xffffffff81000000", "counter": {"type": "u64", "value": 5}},
 "tasks": [{"pid": 7, "stacks": {"kernel": ["do_work", "0xffffffff81000010", "0xffffffff81000020"], "user": ["0x401000"]}}]}
EOF
for how in "--engine interp" "--engine jit" --checked; do
    says "stacks $how" 0 'got = [24,8,-14,-14]
ips = [18446744071578845184,18446744071578845200,18446744071578845216,4198400]
same = 1
value = 5
"00000000": "10000081ffffffff20000081ffffffff00000000' "$S" run "$tmp/stack.bpf.o" --world "$tmp/stacks.json" --dump-maps $how
done
says "no stacks" 0 'got = [-14,-14,-14,-14]' "$S" run "$tmp/stack.bpf.o" --world "$tmp/tasks.json" --dump-maps --checked

# ---- Contexts ----

cat >"$tmp/contexts.json" <<'EOF'
{"kernel": {"dev": {"type": "net_device", "name": "eth0", "ifindex": 3}},
 "contexts": {
  "tp_btf/net_dev_queue": {"skb": {"len": 99, "dev": "&dev"}},
  "kprobe/tcp_connect": {"sk": {"__sk_common": {"skc_dport": 443}}, "regs": {"ip": 4096}},
  "tp/sched/sched_process_exec": {"filename": "/bin/true", "pid": 7, "old_pid": 6},
  "fexit/vfs_read": [{"count": 100, "ret": 64}, {"count": 28, "ret": -5}],
  "ksyscall/openat": [-100, "0x7ffd00001000", 577]}}
EOF
for how in "--engine interp" --checked; do
    says "tp_btf $how" 0 'got = [99,3,' "$S" run "$tmp/contexts.bpf.o" queue --world "$tmp/contexts.json" --dump-maps $how
    says "kprobe $how" 0 'got = [0,0,443,1,' "$S" run "$tmp/contexts.bpf.o" connect --world "$tmp/contexts.json" --dump-maps $how
    says "tracepoint $how" 0 'got = [0,0,0,0,7,
name = "/bin/true"' "$S" run "$tmp/contexts.bpf.o" exec --world "$tmp/contexts.json" --dump-maps $how
    says "fexit, two contexts $how" 0 'got = [0,0,0,0,0,128,59,0]
  total                       2' "$S" run "$tmp/contexts.bpf.o" read_done --world "$tmp/contexts.json" --dump-maps $how
    says "system call $how" 0 '577]' "$S" run "$tmp/contexts.bpf.o" openat --world "$tmp/contexts.json" --dump-maps $how
done
echo '{"contexts": {"tp_btf/net_dev_queue": {"sbk": 1}}}' >"$tmp/bad.json"
says "an argument that is none" 2 "contexts.tp_btf/net_dev_queue.sbk: 'net_dev_queue' has no such argument" "$S" run "$tmp/contexts.bpf.o" queue --world "$tmp/bad.json"
echo '{"contexts": {"nothing": {}}}' >"$tmp/bad.json"
says "a section that is none" 2 "contexts.nothing: there is no section of programs" "$S" run "$tmp/contexts.bpf.o" queue --world "$tmp/bad.json"

# Fields by their names, without any types; what the command line says stands in the file's place.
echo '{"contexts": {"perf_event": {"ip": 4096, "regs": {"sp": 5}, "sample_period": 7}}, "perf_events": {"program": 12}}' >"$tmp/fields.json"
says "fields of a perf event" 0 'got = [4096,5,7,' "$S" run "$tmp/contexts.bpf.o" event --world "$tmp/fields.json" --dump-maps
says "a context of the command line" 0 'got = [0,6,9,12,' "$S" run "$tmp/contexts.bpf.o" event --world "$tmp/fields.json" --ctx '{"sp": 6, "sample_period": 9}' --dump-maps
says "arguments by their names" 0 'got = [98,4,' "$S" run "$tmp/contexts.bpf.o" queue --world "$tmp/contexts.json" --ctx '{"skb": {"len": 98, "dev": {"ifindex": 4}}}' --dump-maps --checked
says "a context that is none" 2 "an object was expected" "$S" run "$tmp/contexts.bpf.o" event --ctx '[]' --dump-maps
says "no such member" 2 "perf_event.nope: a perf event has no such member" "$S" run "$tmp/contexts.bpf.o" event --ctx '{"nope": 1}'

# What runs leave of their contexts, beside Linux; a mock that Linux does not have makes a difference.
echo '{"contexts": {"tc": [{"priority": 4}, {"priority": 6, "mark": 1}]}}' >"$tmp/marks.json"
echo '{"contexts": {"tc": {"priority": 4}}, "mocks": {"get_numa_node_id": 5}}' >"$tmp/mocked.json"
says "two contexts, the same on all sides" 0 'marks (sched_cls), 2 inputs
the same on every side' "$S" diff "$tmp/diff.bpf.o" --world "$tmp/marks.json"
if "$S" diff "$tmp/diff.bpf.o" --world "$tmp/marks.json" 2>&1 | grep -q 'linux   accepts'; then
    says "a context that differs" 1 'context.mark: interp 13, linux 8
context.mark: jit 13, linux 8' "$S" diff "$tmp/diff.bpf.o" --world "$tmp/mocked.json"
else
    skipped=$((skipped + 1))
fi
says "a world that is none" 2 "bad.json" "$S" diff "$tmp/diff.bpf.o" --world "$tmp/bad.json"

# ---- Iterators ----

says "iterator over tasks" 0 '   0 1 init
   1 42 bash
   2 41 leader
end' "$S" run "$tmp/iter.bpf.o" tasks --world "$tmp/tasks.json" --checked
if "$S" run "$tmp/iter.bpf.o" tasks --world "$tmp/tasks.json" --checked | grep -q kthreadd; then fail "what returns 1 is dropped" ""; else pass; fi
echo '[{"key": 2, "value": 10}, {"key": 3, "value": 5}]' >"$tmp/numbers.json"
says "iterator over a map" 0 'sum = 35
last = 1' "$S" run "$tmp/iter.bpf.o" elements --map numbers="$tmp/numbers.json" --iter-map numbers --dump-maps --checked
says "iterator over nothing" 1 "goes over 'task', of which this run has none" "$S" run "$tmp/iter.bpf.o" tasks --checked

# ---- Around a task ----

cat >"$tmp/around.json" <<'EOF'
{"namespaces": [{"name": "host", "kind": "pid", "inum": 1}, {"name": "box", "kind": "pid", "inum": 777, "dev": 4, "parent": "host"},
                {"name": "first", "kind": "net", "inum": 20, "cookie": 50}, {"name": "n", "kind": "net", "inum": 21, "cookie": 51}],
 "cgroups": [{"path": "/", "id": 1}, {"path": "/a", "id": 10}, {"path": "/a/b", "id": 11}, {"path": "/a/b/c", "id": 12}],
 "tasks": [{"pid": 300, "tgid": 299, "ns_pid": 8, "ns_tgid": 7, "namespaces": ["box", "n"], "cgroup": "/a/b/c",
            "regs": {"ip": 4660, "sp": 22136},
            "vmas": [{"vm_start": "0x401000", "vm_end": "0x402000", "vm_file": {"f_path": "/usr/bin/true"}},
                     {"vm_start": "0x500000", "vm_end": "0x501000"}]},
           {"pid": 5, "name": "other"}],
 "user": [{"addr": "0x7000", "data": "01020304", "task": 300}, {"addr": "0x7000", "data": "05060708", "task": "other"}],
 "kernel": {"exe": {"type": "file", "f_path": "/usr/bin/true", "f_inode": {"&": "ino", "i_ino": 5}},
            "sock": {"type": "file", "f_path": "/", "private_data": {"type": "socket", "flags": 1}}},
 "hashes": [{"of": "&ino", "algorithm": "sha1", "hash": "6162636465666768696a6b6c6d6e6f7071727374"}],
 "branches": [{"from": 1, "to": 2}, {"from": 3, "to": 4, "mispredicted": true, "cycles": 9}],
 "perf_events": {"maps": {"counters": [[7, 8], null, {"counter": 5, "enabled": 10, "running": 4}, {"cpu": 63, "values": 1}]},
                 "program": 99},
 "contexts": {"fentry/vfs_truncate": {"path": {"dentry": {"d_name": {"name": "x", "len": 1}, "d_parent": {"&": "r", "d_parent": "&r"}}}, "length": 0},
              "lsm.s/bprm_committed_creds": {"bprm": {"file": "&exe"}},
              "iter/task_file": [{"fd": 0, "file": "&exe"}, {"fd": 1, "file": "&sock"}],
              "tp_btf/net_dev_queue": {"skb": {"len": 8, "data": [69, 0, 1, 2, 3, 4, 5, 6]}}}}
EOF
around() { # program, what it got, options...
    local prog=$1 want=$2
    shift 2
    says "$prog $*" 0 "$want" "$S" run "$tmp/around.bpf.o" "$prog" --world "$tmp/around.json" --dump-maps "$@"
}
for how in "--engine interp" "--engine jit" --checked; do
    around names 'got = [0,8,7,-22,21,1,8,10,12,2,0,0]' $how
    around cookies 'got = [51,50,' $how
    around areas 'got = [0,4198400,-2,-22,4660,22136,3,-36,0,0,0,0]
"/x"' $how
    around exec 'got = [0,-22,2,2,0,-22,67305985,0,0,0,0,0]
text = "abcdefghabcdefgh"
bprm_opts_set' $how
    around counted 'got = [7,8,-2,-7,0,4,-22,0,99,48,4,48]' $how
    around others 'got = [48,-22,7,' $how
    around shown 'got = [67,
(struct timespec64){.tv_sec = (time64_t)-3,.tv_nsec = (long int' $how
done
around files 'got = [-1,0,16,0' --checked
says "a packet behind a sample" 0 'got = [0,-14,
event counters: "050000000000000045000102"' "$S" run "$tmp/around.bpf.o" packet --world "$tmp/around.json" --dump-maps --checked
says "without a world" 0 'got = [-2,-22,0,' "$S" run "$tmp/around.bpf.o" others --dump-maps

# ---- A recorded world ----

says "recording" 0 "" "$S" world record "$tmp/recorded.json" --pid $$
says "a recorded world" 0 "pid = $$
parent = $PPID
comm = \"$(cat /proc/$$/comm)\"" "$S" run "$tmp/chain.bpf.o" --world "$tmp/recorded.json" --dump-maps
# In a network of its own, with one interface that is known.
cat >"$tmp/net.sh" <<'EOF'
ip link add rec0 type veth peer name rec1 && ip link set rec1 up && ip link set rec0 mtu 1400 address 02:00:00:00:00:77 up && ip addr add 10.77.0.1/24 dev rec0 &&
    ip route add 10.78.0.0/16 via 10.77.0.9 metric 5 && ip neigh add 10.77.0.9 lladdr 02:00:00:00:00:09 dev rec0 nud permanent &&
    echo 1 >/proc/sys/net/ipv4/ip_forward && "$1" world record "$2" --pid $$
EOF
if unshare -n ip link add rec0 type veth peer name rec1 2>/dev/null; then
    says "recording a network" 0 "" unshare -n -u bash "$tmp/net.sh" "$S" "$tmp/net.json"
    says "what was recorded of it" 0 '"name": "rec0"
"mtu": 1400
"mac": "02:00:00:00:00:77"
"to": "10.78.0.0/16"
"via": "10.77.0.9"
"metric": 5
"src": "10.77.0.1"
"ip": "10.77.0.9"
"mac": "02:00:00:00:00:09"
"state": "permanent"
"kind": "net"
"cookie"' cat "$tmp/net.json"
    if [ "$(grep -c '"kind": "uts"' "$tmp/net.json")" -ge 2 ]; then pass; else fail "namespaces of the process and of those above" "$(cat "$tmp/net.json")"; fi
    head -c 64 /dev/zero >"$tmp/packet"
    says "the network loads back" 0 "got = [0,7,3,2,10,119" "$S" run "$tmp/around.bpf.o" route data_in "$tmp/packet" --world "$tmp/net.json" --dump-maps --checked
else
    skipped=$((skipped + 1))
fi
says "recording nobody" 2 "there is no process 4294967295" "$S" world record - --pid 4294967295
says "recording without a file" 2 "a file to write is missing" "$S" world record

# ---- Mocks and calls ----

cat >"$tmp/mocks.json" <<'EOF'
{"mocks": {
  "bpf_ktime_get_ns": [5, 7, null],
  "get_current_pid_tgid": {"error": "EPERM", "nth": 2},
  "probe_read_user_str": {"return": 3, "string": "ab"}}}
EOF
for how in "--engine interp" "--engine jit" "--no-opt all --engine interp" "--no-opt all --engine jit" --checked; do
    says "mocks $how" 0 't = [5,7,1000,0]
p = [12884901891,18446744073709551615,12884901891]
s = "ab"
n = 3' "$S" run "$tmp/mocks.bpf.o" --world "$tmp/mocks.json" --dump-maps --pid 3 --time 1000 $how
    says "calls $how" 0 'call: map_lookup_elem(arr, 00000000)
call: ktime_get_ns() = 7 (mocked)
call: get_current_pid_tgid() = -1 (mocked)
call: probe_read_user_str(6162000000000000, 8, 0x1000) = 3 (mocked)' "$S" run "$tmp/mocks.bpf.o" --world "$tmp/mocks.json" --calls --pid 3 $how
done
echo '{"mocks": {"map_lookup_elem": 0}}' >"$tmp/null.json"
for e in interp jit; do
    says "an array's lookup does not fail where that was proved, $e" 1 'an index inside an array is always found' \
        "$S" run "$tmp/mocks.bpf.o" --world "$tmp/null.json" --engine $e
done
says "but may where nothing was" 0 'Return value: 0' "$S" run "$tmp/mocks.bpf.o" --world "$tmp/null.json" --checked
echo '{"mocks": {"map_lookup_elem": 4096}}' >"$tmp/bad.json"
says "no pointers out of a file" 2 "mocks.map_lookup_elem: bpf_map_lookup_elem: it returns a pointer" "$S" run "$tmp/mocks.bpf.o" --world "$tmp/bad.json"
echo '{"mocks": {"probe_read_user_str": 9}}' >"$tmp/bad.json"
says "no more bytes than there is room" 1 "mock of bpf_probe_read_user_str: it returns more bytes" "$S" run "$tmp/mocks.bpf.o" --world "$tmp/bad.json"
echo '{"mocks": {"get_smp_processor_id": 3}}' >"$tmp/cpu.json"
says "what would be inlined is mocked" 0 '  3: 1' "$S" run "$tmp/mocks.bpf.o" --world "$tmp/cpu.json" --dump-maps
says "and an array's lookup fails past its end" 0 'Return value: 0' bash -c 'sed s/3/4/ "$1" >"$1.4"; exec "$2" run "$3" --world "$1.4"' - "$tmp/cpu.json" "$S" "$tmp/mocks.bpf.o"

finish
