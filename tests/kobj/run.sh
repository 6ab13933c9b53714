#!/bin/bash
# Programs on kernel objects are judged against this kernel's types; a program's name says the verdict. Ends with
# `N passed, N failed, N skipped`.
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
passed=0 failed=0 skipped=0
cc=
for c in clang-19 clang clang-14; do
    command -v "$c" >/dev/null && cc=$c && break
done

judge() { # object
    local name verdict reason line
    while read -r line; do
        if [[ $line =~ ^[^:]+:\ ([a-z_0-9]+):\ (accept|reject|unsupported), ]]; then
            name=${BASH_REMATCH[1]} verdict=${BASH_REMATCH[2]}
            case $name in
            ok_*) [ "$verdict" = accept ] && passed=$((passed + 1)) && name= ;;
            esac
        elif [ -n "$name" ] && [[ $line =~ :\ ([a-z_]+):\  ]]; then
            reason=${BASH_REMATCH[1]}
            if [[ $name == ${reason}__* ]]; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "failed: $1: $name: $verdict: $line"; fi
            name=
        fi
    done < <("$B/skep" verify "${@:2}" 2>&1)
}

if [ -z "$cc" ] || [ ! -r /sys/kernel/btf/vmlinux ]; then
    echo "skipped: no clang, or this kernel tells no types (/sys/kernel/btf/vmlinux)"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi
mkdir -p "$B/kobj"
for src in tests/kobj/*.bpf.c; do
    o=$B/kobj/$(basename "$src" .c).o
    if ! "$cc" -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -I"/usr/include/$(uname -m)-linux-gnu" -c "$src" -o "$o" 2>"$o.err"; then
        failed=$((failed + 1)) && echo "failed: $src does not compile" && head -5 "$o.err"
        continue
    fi
    before=$((passed + failed))
    judge "$src" "$o"
    if [ $((passed + failed - before)) != "$(grep -cE '^SEC\("(tp_btf|fentry|fexit|fmod_ret|lsm|iter|raw_tp|kprobe|struct_ops|tc|cgroup_skb|syscall|xdp|socket)' "$src")" ]; then
        failed=$((failed + 1)) && echo "failed: $src: not every program was judged"
    fi
done
# Programs that extend those of another object, which is named.
mkdir -p "$B/kobj/ext"
for name in ext ext_target; do
    "$cc" -O2 -g -target bpf -mcpu=v3 -I"/usr/include/$(uname -m)-linux-gnu" -c "tests/kobj/ext/$name.bpf.c" -o "$B/kobj/ext/$name.bpf.o" || failed=$((failed + 1))
done
before=$((passed + failed))
judge tests/kobj/ext/ext.bpf.c "$B/kobj/ext/ext.bpf.o" --target "$B/kobj/ext/ext_target.bpf.o"
if [ $((passed + failed - before)) != "$(grep -c '^SEC("freplace' tests/kobj/ext/ext.bpf.c)" ]; then
    failed=$((failed + 1)) && echo "failed: tests/kobj/ext: not every program was judged"
fi
if "$B/skep" verify "$B/kobj/ext/ext.bpf.o" 2>&1 | grep -q "nobody has named its target"; then
    passed=$((passed + 1))
else
    failed=$((failed + 1)) && echo "failed: tests/kobj/ext: an extension without a target is judged"
fi
# The same in a run: what the world has of a task, and 0 where a chain leads nowhere.
cat >"$B/kobj/world.json" <<'END'
{"kernel": {"prev": {"type": "task_struct", "@": "0xffff888200000000", "pid": 42, "comm": "x1", "real_parent": {"pid": 7}}}}
END
for how in "--engine interp" "--engine jit" "--engine interp --no-opt all" --checked; do
    # shellcheck disable=SC2086
    got=$("$B/skep" run "$B/kobj/walk.bpf.o" ok_read ctx_in hex:0000000000000000000000008288ffff0000000000000000 \
        --world "$B/kobj/world.json" $how 2>&1)
    case $got in
    *"Return value: 490742,"*) passed=$((passed + 1)) ;;
    *"no machine code"*) skipped=$((skipped + 1)) ;;
    *) failed=$((failed + 1)) && echo "failed: run $how: $got" ;;
    esac
done
# A socket of the world, as its record and as a structure of the kernel, is read and given back.
cat >"$B/kobj/sockets.json" <<'END'
{"sockets": [{"protocol": "tcp", "local": "10.0.0.1:80", "remote": "10.0.0.2:1000", "tcp": {"snd_cwnd": 7}}]}
END
for want in ok_cast:7002 ok_release_of_the_cast:1 ok_release_of_the_record:1; do
    for how in "--engine interp" "--engine jit" "--engine interp --no-opt all" --checked; do
        # shellcheck disable=SC2086
        got=$("$B/skep" run "$B/kobj/sockets.bpf.o" "${want%:*}" data_in hex:0000000000000000000000000000 \
            --world "$B/kobj/sockets.json" $how 2>&1)
        case $got in
        *"Return value: ${want#*:}"[,\ ]*) passed=$((passed + 1)) ;;
        *"no machine code"*) skipped=$((skipped + 1)) ;;
        *) failed=$((failed + 1)) && echo "failed: run ${want%:*} $how: $got" ;;
        esac
    done
done
# Methods write to a copy of the world's socket: the next run finds it as it was.
cat >"$B/kobj/tcp.json" <<'END'
{"kernel": {"sk": {"type": "tcp_sock", "@": "0xffff888200000000", "snd_cwnd": 21, "snd_ssthresh": 45, "snd_cwnd_clamp": 100}}}
END
for want in ok_half:10 ok_written:214505 ok_advanced:2302; do
    for how in "--engine interp" "repeat 2" --checked; do
        # shellcheck disable=SC2086
        got=$("$B/skep" run "$B/kobj/struct_ops_run.bpf.o" "${want%:*}" ctx_in hex:000000008288ffff --world "$B/kobj/tcp.json" $how 2>&1)
        case $got in
        *"Return value: ${want#*:}"[,\ ]*) passed=$((passed + 1)) ;;
        *) failed=$((failed + 1)) && echo "failed: run ${want%:*} $how: $got" ;;
        esac
    done
done
# Iterators, in every engine: numbers, bits, and the tasks of a world.
cat >"$B/kobj/tasks.json" <<'END'
{"tasks": [{"pid": 5, "vmas": [{"vm_start": "0x1000", "vm_end": "0x2000"}, {"vm_start": "0x2000", "vm_end": "0x3000"}]}, {"pid": 7, "tgid": 5, "cgroup": "/a/b"}, {"pid": 30}],
 "cgroups": [{"path": "/", "id": 1}, {"path": "/a", "id": 2}, {"path": "/a/b", "id": 3}, {"path": "/c", "id": 4}]}
END
runs() { # object program value
    local how got
    for how in "--engine interp" "--engine jit" "--engine interp --no-opt all" --checked --check-invariants; do
        # shellcheck disable=SC2086
        got=$("$B/skep" run "$B/kobj/$1" "$2" data_in hex:00112233445566778899aabb88b50011 --world "$B/kobj/tasks.json" $how 2>&1)
        case $got in
        *"Return value: $3"[,\ ]*) passed=$((passed + 1)) ;;
        *"no machine code"*) skipped=$((skipped + 1)) ;;
        *) failed=$((failed + 1)) && echo "failed: run $2 $how: $got" ;;
        esac
    done
}
runs iters.bpf.o ok_sum 45
runs iters.bpf.o ok_nested 297
runs iters.bpf.o ok_moved_by_a_function 190
runs iters.bpf.o ok_two_at_once 55
runs iters.bpf.o ok_bits 195
runs iters.bpf.o ok_bits_of_one_word 22
runs iters.bpf.o ok_tasks 35
runs iters.bpf.o ok_threads 42
runs iters.bpf.o ok_areas 8194
runs iters.bpf.o ok_groups 71
runs dynptrs.bpf.o ok_read 4294967072
runs dynptrs.bpf.o ok_written 94
runs dynptrs.bpf.o ok_arithmetic 1108
runs dynptrs.bpf.o ok_wrong_flags 77
runs dynptrs.bpf.o ok_copied 239
runs simple.bpf.o ok_strings 32767
runs simple.bpf.o ok_interrupts 5
runs simple.bpf.o ok_thrown 64
runs simple.bpf.o ok_thrown_by_a_global_function 16
runs exceptions.bpf.o ok_caught 1064
runs exceptions.bpf.o ok_not_thrown 7
# Variables of each CPU, and fields of a map, as programs find them.
cat >"$B/kobj/variables.json" <<'END'
{"variables": {"runqueues": [{"nr_running": 3, "curr": {"type": "task_struct", "pid": 7}}, {"nr_running": 9}],
 "bpf_prog_active": [1, 2]}}
END
for want in ok_this_cpu:371 ok_other_cpu:9 ok_no_such_cpu:2 ok_untyped:2 ok_map_fields:5887; do
    for how in "--engine interp" "--engine jit" "--engine interp --no-opt all" --checked; do
        input=(ctx_in hex:00000000000000000000000000000000)
        [ "${want%:*}" = ok_map_fields ] && input=(data_in hex:0000000000000000000000000000)
        # shellcheck disable=SC2086
        got=$("$B/skep" run "$B/kobj/variables.bpf.o" "${want%:*}" "${input[@]}" --cpus 2 --cpu 0 \
            --world "$B/kobj/variables.json" $how 2>&1)
        case $got in
        *"Return value: ${want#*:}"[,\ ]*) passed=$((passed + 1)) ;;
        *"no machine code"*) skipped=$((skipped + 1)) ;;
        *) failed=$((failed + 1)) && echo "failed: run ${want%:*} $how: $got" ;;
        esac
    done
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
