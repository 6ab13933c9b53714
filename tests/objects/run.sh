#!/bin/bash
# Programs on objects of their own: a name says the verdict, ok_WHAT_is_N also what the program returns, in every engine and
# as often as it is run, and the same in Linux where it may be asked. Ends with `N passed, N failed, N skipped`.
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
passed=0 failed=0 skipped=0
cc=
for c in clang-19 clang; do
    command -v "$c" >/dev/null && cc=$c && break
done
if [ -z "$cc" ] || [ ! -r /sys/kernel/btf/vmlinux ]; then
    echo "skipped: no clang that writes type tags, or this kernel tells no types (/sys/kernel/btf/vmlinux)"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi
mkdir -p "$B/objects"

check() { # what wanted got
    case $3 in
    *"$2"[!0-9]* | *"$2") passed=$((passed + 1)) ;;
    *"no machine code"*) skipped=$((skipped + 1)) ;;
    *) failed=$((failed + 1)) && echo "failed: $1: not '$2': $3" ;;
    esac
}

judge() { # object
    local name verdict line seen=0
    while read -r line; do
        if [[ $line =~ ^[^:]+:\ ([a-z_0-9]+):\ (accept|reject|unsupported), ]]; then
            name=${BASH_REMATCH[1]} verdict=${BASH_REMATCH[2]}
            seen=$((seen + 1))
            if [[ $name == ok_* ]]; then
                [ "$verdict" = accept ] && passed=$((passed + 1)) && name=
            elif [ "$verdict" = accept ]; then
                failed=$((failed + 1)) && echo "failed: $1: $name is accepted" && name=
            fi
        elif [ -n "$name" ] && [[ $line =~ :\ ([a-z_]+):\  ]]; then
            check "$1: $name" "${name%%__*}" "${BASH_REMATCH[1]}: $line"
            name=
        fi
    done < <("$B/skep" verify "$2" 2>&1)
    [ "$seen" = "$(grep -c '^SEC("\(tc\|syscall\)' "$1")" ] || { failed=$((failed + 1)) && echo "failed: $1: not every program was judged"; }
}

data="data_in hex:0000000000000000000000000000"
for src in tests/objects/*.bpf.c; do
    o=$B/objects/$(basename "$src" .c).o
    if ! "$cc" -O2 -g -target bpf -mcpu=v3 -I"/usr/include/$(uname -m)-linux-gnu" -c "$src" -o "$o" 2>"$o.err"; then
        failed=$((failed + 1)) && echo "failed: $src does not compile" && head -5 "$o.err"
        continue
    fi
    judge "$src" "$o"
    for prog in $(grep -o '^int ok_[a-z_]*_is_[0-9]*' "$src" | cut -c5-); do
        for how in "--engine interp" "--engine jit" "--engine interp --no-opt all" --checked; do
            # shellcheck disable=SC2086
            check "$prog $how" "Return value: ${prog##*_is_}" "$("$B/skep" run "$o" "$prog" $data repeat 2 $how 2>&1)"
        done
        [ "$(id -u)" = 0 ] || continue
        # shellcheck disable=SC2086
        got=$("$B/skep" run "$o" "$prog" $data --kernel 2>&1)
        case $got in
        *"not permitted"* | *"cannot"*) skipped=$((skipped + 1)) ;;
        *) check "$prog --kernel" "Return value: ${prog##*_is_}" "$got" ;;
        esac
    done
done

# What is put off: each function's time and order, and what it leaves.
later() { # program wanted options
    local prog=$1 want=$2
    shift 2
    for how in "--engine interp" "--engine jit" --checked; do
        # shellcheck disable=SC2086
        check "$prog $* $how" "$want" "$("$B/skep" run "$B/objects/later.bpf.o" "$prog" $data --dump-maps -j $how "$@" 2>&1 | tr -d ' \n')"
    done
}
later ok_start_is_0 '"ran":1,"last_key":1,"last_time":6000' --time 1000 --pass-time 5000
later ok_start_is_0 '"ran":0,' --time 1000 --pass-time 4999
later ok_start_is_0 '"ran":0,' --time 1000
later ok_periodic_is_0 '"later":9' --time 1000 --pass-time 9999
later ok_work_is_0 '"ran":100,"last_key":7' --time 1000
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
