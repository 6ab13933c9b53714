#!/bin/bash
# Follows a page as its reader would: page.sh [--update] PAGE. Of blocks marked `console`, lines after `$ ` are typed, and
# those after `# ` as root; what follows a command until the next one is what it should print. A C block whose first line
# names a file (`// drop.bpf.c`) is written there first. What differs from one run to the next (times, addresses, how often
# a program ran for others), what it cost the verifier, and the order of lines are not compared; `...` stands for any
# lines. Everything happens in a copy of the page's folder, whose path clang writes into objects and a page leaves out, in
# a process that may be in namespaces of its own (tests/examples/alone.sh).
# ROOT: empty, or why commands of root are left out. --update writes what was printed into the page.
update=
[ "$1" = --update ] && update=1 && shift
page=$(realpath "$1")
top=$(realpath "$(dirname "$0")/../..")
B=${B:-$top/build}
case $B in /*) ;; *) B=$top/$B ;; esac
passed=0 failed=0 skipped=0
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
cp "$top"/examples/*.c "$work/"
folder=$(basename "$(dirname "$page")")
mkdir "$work/$folder"
[ "$folder" = docs ] || cp "$top/examples/$folder"/* "$work/$folder/"
cd "$work/$folder" || exit 2

clang_path=
for c in clang-19 clang; do command -v "$c" >/dev/null && clang_path=$(command -v "$c") && break; done
# Numbers of instructions are those of one compiler.
"${clang_path:-false}" --version 2>/dev/null | grep -q 'version 19' || { echo "skipped: no clang 19"; echo "0 passed, 0 failed, 1 skipped"; exit; }
mkdir "$work/bin"
ln -s "$B/skep" "$work/bin/skep"
printf '#!/bin/sh\nexec %s "$@"\n' "$clang_path" >"$work/bin/clang"
chmod +x "$work/bin/clang"
export PATH=$work/bin:$PATH CCACHE_DISABLE=1

steady() {
    sed -E 's/[0-9]+ ?ns/N ns/g; s/[0-9]+ us/N us/g; s/ran [0-9]+ times/ran N times/; s/0x[0-9a-f]{8,}/0xN/g; s/"pid":[0-9]+/"pid":N/; s/[0-9]+ processed, [0-9]+ states/N processed, N states/; s/[ \t]+$//'
}
# Lines of the first file stand in the second, where `...` in the first is any lines.
matches() { # WANTED HAVE
    awk 'NR == FNR { want[n++] = $0; next }
        { if (any && $0 != want[i]) next
          if (i < n && want[i] == "...") { any = 1; i++; if ($0 != want[i]) next }
          if (i >= n || $0 != want[i]) { bad = 1; exit }
          any = 0; i++ }
        END { if (i < n && want[i] == "...") i++; exit bad || i < n }' "$1" "$2"
}
settle() { # a program that goes to the background says when it is attached
    for _ in $(seq 400); do
        grep -qs '^attached' ./*.log && return
        kill -0 $! 2>/dev/null || return
        sleep 0.05
    done
}

hears() { # and who listens has a packet socket open
    for _ in $(seq 400); do
        [ "$(wc -l </proc/net/packet)" -gt 1 ] && return
        sleep 0.05
    done
}

command= prompt=
: >"$work/want"
: >"$work/page"
finish_command() {
    local line
    [ -n "$command" ] || return
    if { [ "$prompt" = '#' ] && [ -n "${ROOT:-}" ]; } || { [[ $command == *'| jq '* ]] && ! command -v jq >/dev/null; }; then
        skipped=$((skipped + 1))
        cat "$work/want" >>"$work/page"
    else
        if [[ $command == *'&' ]]; then
            [[ $command != *'skep attach'* ]] || rm -f ./*.log
            eval "$command"
            [[ $command != *'skep attach'* ]] || settle
            [[ $command != *'traffic listen'* ]] || hears
            : >"$work/have"
        else
            eval "$command" >"$work/out" 2>&1
            sed "s|$PWD/||g" "$work/out" >"$work/have"
        fi
        if [ -n "$update" ] && ! grep -qx '\.\.\.' "$work/want"; then cat "$work/have"; else cat "$work/want"; fi >>"$work/page"
        steady <"$work/want" >"$work/want.s"
        steady <"$work/have" >"$work/have.s"
        if [ -n "$update" ] || matches "$work/want.s" "$work/have.s" || cmp -s <(sort "$work/want.s") <(sort "$work/have.s"); then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
            echo "FAILED: ${page#"$top"/}: $command"
            diff "$work/want.s" "$work/have.s" | head -20 | sed 's/^/    /'
        fi
    fi
    command=
    : >"$work/want"
}

block= file= more=
while IFS= read -r line; do
    if [[ $line == '```'* ]]; then
        [ "$block" = console ] && finish_command
        if [ -n "$block" ]; then block=; else block=${line#'```'}; fi
        [ -n "$block" ] || file=
        [ "$block" = c ] && file=first
    elif [ "$block" = c ]; then
        if [ "$file" = first ]; then
            file=
            [[ $line == '// '*.c ]] && file=${line#// } && : >"$file"
        fi
        [ -z "$file" ] || printf '%s\n' "$line" >>"$file"
    elif [ "$block" = console ]; then
        if [ -n "$more" ]; then
            command="${command%\\} $line"
        elif [[ $line == '$ '* || $line == '# '* ]]; then
            finish_command
            prompt=${line:0:1} command=${line:2}
        else
            printf '%s\n' "$line" >>"$work/want"
            continue
        fi
        more=
        [[ $command == *\\ ]] && more=1
    fi
    printf '%s\n' "$line" >>"$work/page"
done <"$page"
finish_command
[ -z "$update" ] || cat "$work/page" >"$page"
[ $skipped = 0 ] || echo "skipped: ${page#"$top"/}: ${ROOT:-no jq}"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
