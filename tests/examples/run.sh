#!/bin/bash
# The demo runs, twice, and says what it should; the firewall and xdp-filter do to each packet of a capture what they do
# in the kernel; every example's page and the tutorial say what is so. Ends with `N passed, N failed, N skipped`.
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
passed=0 failed=0 skipped=0

ok() { # what command...
    local what=$1
    shift
    if "$@" >"$B/examples.log" 2>&1; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "failed: $what" && tail -n 5 "$B/examples.log"; fi
}
add() {
    local p f s
    read -r p f s < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p' "$1" | tail -n 1)
    grep -E '^(differs|skipped)' "$1" | head -n 5
    if [ -z "${p:-}" ]; then failed=$((failed + 1)) && cat "$1"; else passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s)); fi
}

ok "demo" env B="$B" examples/demo.sh
ok "demo again" env B="$B" examples/demo.sh
ok "verdicts of the firewall" grep -Eq 'XDP_DROP +177 +31781' "$B/demo/firewall.txt"
ok "hits of a blocked source" grep -Fq '{"addr":[10,0,0,42]}: {"packets":17,"bytes":3770}' "$B/demo/firewall.txt"
ok "an event" grep -Fq '"source":{"addr":[10,0,0,16]},"port":23,"length":99,"reason":"DROPPED_PORT"}' "$B/demo/firewall.txt"
ok "usage of a process" grep -Fq '{"comm":"nginx","slices":39,"run_ns":9750000,"longest_ns":250000}' "$B/demo/sched.txt"

beside() { # words of side
    if [ ! -x "$B/side" ]; then
        skipped=$((skipped + 1)) && echo "skipped: built without libbpf"
        return
    fi
    "$B/side" "$@" >"$B/side.log" 2>&1
    add "$B/side.log"
}
beside "$B/demo/xdp_firewall.bpf.o" "$B/demo/demo.pcap" blocked=0a00000d:00000000000000000000000000000000 \
    blocked=0a00002a:00000000000000000000000000000000
for o in /usr/lib/*/bpf/xdpfilt_*_all.o; do
    [ -e "$o" ] || continue
    beside "$o" "$B/demo/demo.pcap" filter_ports=00500000:0300000000000000
done

# What Linux refuses to everybody here is nothing that the pages could show.
"$B/skep" verify --kernel "$B/demo/xdp_firewall.bpf.o" 2>&1 | grep -q 'Linux: accept' || export ROOT="Linux takes no programs here"
for page in docs/tutorial.md examples/*/README.md; do
    [ "$page" != examples/uprobe/README.md ] || [ "$(uname -m)" = x86_64 ] || continue # registers of x86-64
    B=$B tests/examples/alone.sh tests/examples/page.sh "$page" >"$B/page.log" 2>&1
    grep -A 20 '^FAILED' "$B/page.log"
    add "$B/page.log"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
