#!/bin/bash
# The demo: our firewall over a capture, our scheduler trace over recorded contexts, and somebody else's object over the
# same capture. Every command is shown as you would type it. B: the build directory.
set -e
cd "$(dirname "$0")/.."
B=${B:-build}
D=$B/demo
mkdir -p "$D"
include=/usr/include/$(gcc -print-multiarch)
clang=$(command -v clang-19 || command -v clang)

# A command as one would type it.
typed() {
    local word text=
    for word; do
        case $word in *[!A-Za-z0-9_./=,:@%+-]*) word="'$word'" ;; esac
        text="$text $word"
    done
    printf '\n$%s\n' "$text"
}

show() {
    typed "$@"
    "$@"
}

# Events and trace lines come by the hundred: the first ones, then verdicts and maps.
show_events() { # FILE command...
    local file=$1 n
    shift
    typed "$@"
    "$@" >"$file"
    grep -E '^(trace|event)' "$file" | head -n 6
    n=$(grep -cE '^(trace|event)' "$file" || true)
    [ "$n" -le 6 ] || printf '... and %d more in %s\n' $((n - 6)) "$file"
    grep -vE '^(trace|event)' "$file"
}

${CC:-gcc} -O2 -o "$D/mkdata" examples/mkdata.c -lpcap
"$D/mkdata" pcap "$D/demo.pcap"
"$D/mkdata" sched "$D/sched.bin"
for x in xdp_firewall sched_slices; do
    show "$clang" -O2 -g -target bpf -mcpu=v3 "-I$include" -c examples/$x.bpf.c -o "$D/$x.bpf.o"
done

printf '\n== An XDP firewall over a capture ==\n'
show "$B/skep" show "$D/xdp_firewall.bpf.o"
show_events "$D/firewall.txt" "$B/skep" run "$D/xdp_firewall.bpf.o" firewall pcap_in "$D/demo.pcap" \
    pcap_out "$D/passed.pcap" --set blocked_port=23 --map blocked=examples/blocked.json --time pcap \
    --event events="struct event" --dump-maps

printf '\n== A tracing program over recorded contexts ==\n'
show_events "$D/sched.txt" "$B/skep" run "$D/sched_slices.bpf.o" on_switch ctx_in "$D/sched.bin" ctx_size 64 \
    --time 1000000000 --time-step 250000 --set limit_ns=200000 --event slices="struct slice" --dump-maps

xdpfilter=$(ls /usr/lib/*/bpf/xdpfilt_dny_all.o 2>/dev/null | head -n 1)
if [ -n "$xdpfilter" ]; then
    printf "\n== An object that nobody here wrote: xdp-filter, from Debian's libxdp1 ==\n"
    show "$B/skep" run "$xdpfilter" pcap_in "$D/demo.pcap" --dump-maps
else
    printf '\nlibxdp1 is not installed; its xdp-filter is left out.\n'
fi
