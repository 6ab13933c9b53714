#!/bin/bash
# Programs at work, in the network and mount namespaces that tests/live/run.sh made for this process: everything here
# goes with them. Prints a line a test: `ok`, `FAILED name`, `skipped: why`.
exec 2>&1
cd "$tmp" || exit 2
ok() { echo ok; }
failed() { echo "FAILED $1"; [ -z "${2:-}" ] || tail -n 15 "$2" | sed 's/^/    /'; }
skipped() { echo "skipped: $1"; }

mount --make-rprivate / && mount -t tmpfs none /mnt || { skipped "no mount namespace"; exit; }
mount -t tracefs tracefs /sys/kernel/tracing || tracefs=none
mkdir -p /mnt/bpf && mount -t bpf bpf /mnt/bpf || bpffs=none
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
ip link set lo up

# Attaches and waits until it says so. start NAME WORDS... ; stop ends it as Ctrl-C does.
start() {
    log=$1.log
    shift
    "$SKEP" attach "$@" >"$log" 2>&1 &
    pid=$!
    for _ in $(seq 400); do
        grep -q "^attached" "$log" 2>/dev/null && return 0
        kill -0 $pid 2>/dev/null || break
        sleep 0.05
    done
    wait $pid
    return 1
}
stop() { kill -INT $pid && wait $pid; }
# The value of an element or a variable at the end: value LOG KEY
value() { sed -n "s/^  $2[:=] *\(= \)\{0,1\}//p; s/^  $2 = //p" "$1" | tail -1; }
wants() { # NAME LOG KEY VALUE
    local have
    have=$(value "$2" "$3")
    if [ "$have" = "$4" ]; then ok; else failed "$1: $3 is '$have', not $4" "$2"; fi
}
refused() { # NAME TEXT WORDS...
    local name=$1 text=$2
    shift 2
    timeout 20 "$SKEP" attach "$@" --for 1 >refused.log 2>&1
    [ $? = 1 ] && grep -qE -- "$text" refused.log && ok || failed "$name is refused: '$text'" refused.log
}
# Why Linux does not have it, when it says so.
lacks() { # NAME LOG
    skipped "$1: $(grep -E 'Linux says|does not take|is not attached|rejects|refuses' "$2" | head -1 | cut -c1-160)"
}

pair() { ip link add va type veth peer name vb && ip link add vc type veth peer name vd && for i in va vb vc vd; do ip link set $i up; done; }
unpair() { ip link del va; ip link del vc; }

"$PWD/skepwork" capture packets.pcap || failed "the capture"

# ---- XDP: the same counts as in userspace ----
"$SKEP" run net.bpf.o firewall pcap_in packets.pcap --dump-maps >user.log 2>&1
for k in "1 40" "2 30" "3 20" "4 10"; do wants "userspace" user.log ${k% *} "${k#* }"; done
pair || { skipped "no veth: XDP, tc"; exit; }
for mode in native generic; do
    if ! start xdp_$mode net.bpf.o firewall to va --$mode --set out_ifindex="$(ip -o link show vc | cut -d: -f1)" --dump-maps; then
        lacks "xdp $mode" xdp_$mode.log
        continue
    fi
    ip -d link show va | grep -q xdp && ok || failed "xdp $mode: ip shows it"
    ./skepwork count va 1200 >passed.$mode &
    counter=$!
    ./skepwork count vb 1200 >back.$mode &
    back=$!
    ./skepwork count vd 1200 >over.$mode &
    over=$!
    sleep 0.2
    ./skepwork send vb
    wait $counter $back $over
    stop && ok || failed "xdp $mode: Ctrl-C ends it well" xdp_$mode.log
    for k in 1 2 3 4; do wants "xdp $mode" xdp_$mode.log $k "$(value user.log $k)"; done
    [ "$(grep -c '^event events: {"port":' xdp_$mode.log)" = 100 ] && ok || failed "xdp $mode: 100 events" xdp_$mode.log
    grep -q '^firewall *ran 1[0-9][0-9] times, [0-9]* ns each' xdp_$mode.log && ok || failed "xdp $mode: run counts" xdp_$mode.log
    [ "$(cat passed.$mode)" = 30 ] && ok || failed "xdp $mode: $(cat passed.$mode) packets passed, not 30"
    # Linux's veth takes frames of XDP_TX and XDP_REDIRECT natively only where the other end has a program, too.
    if [ $mode = generic ]; then
        [ "$(cat back.$mode)" = 20 ] && ok || failed "xdp generic: $(cat back.$mode) packets came back, not 20"
        [ "$(cat over.$mode)" = 10 ] && ok || failed "xdp generic: $(cat over.$mode) packets went over, not 10"
    fi
    ip -d link show va | grep -q xdp && failed "xdp $mode: still attached" || ok
done

# ---- Several interfaces; what fails leaves nothing ----
start two net.bpf.o firewall to va,vc --generic && { [ "$(ip -d link show | grep -c prog/xdp)" = 2 ] && ok || failed "two interfaces" two.log; stop; }
"$SKEP" attach net.bpf.o firewall to va to nowhere --generic >nowhere.log 2>&1 && failed "no such interface" || ok
grep -q "there is no interface 'nowhere'" nowhere.log && ok || failed "no such interface is said" nowhere.log
ip -d link show va | grep -q xdp && failed "a failure left a program" || ok
"$SKEP" attach net.bpf.o firewall >no_to.log 2>&1 && failed "no interface" || { grep -q 'to eth0' no_to.log && ok || failed "what is missing is said" no_to.log; }

# ---- tc ----
for way in tcx clsact; do
    option=
    [ $way = clsact ] && option=--clsact
    for side in ingress egress; do
        prog=tc_in at=va
        [ $side = egress ] && prog=tc_out at=vb
        if ! start tc_${way}_$side net.bpf.o $prog to $at $option --$side --dump-maps; then
            lacks "tc $way $side" tc_${way}_$side.log
            continue
        fi
        grep -q "$way/$side" tc_${way}_$side.log && ok || failed "tc $way $side: by $way" tc_${way}_$side.log
        ./skepwork count va 700 >tc.count &
        counter=$!
        sleep 0.1
        ./skepwork send vb
        wait $counter
        stop && ok || failed "tc $way $side: Ctrl-C" tc_${way}_$side.log
        wants "tc $way $side" tc_${way}_$side.log 2 40
        wants "tc $way $side" tc_${way}_$side.log 0 60
        # A packet socket sees packets before tc on ingress does, and none that egress dropped.
        [ $side = ingress ] || [ "$(cat tc.count)" = 60 ] && ok || failed "tc $way $side: $(cat tc.count) packets arrived"
        tc qdisc show dev $at | grep -q clsact && failed "tc $way $side: the qdisc is left" || ok
    done
done

# ---- Socket filter ----
if start socket net.bpf.o filter to va --dump-maps; then
    ./skepwork send vb
    sleep 0.1
    stop && ok || failed "socket filter: Ctrl-C" socket.log
    wants "socket filter" socket.log 5 100
else
    lacks "socket filter" socket.log
fi

# ---- sk_lookup and flow dissector of this network namespace ----
for p in lookup dissect; do
    if start $p net.bpf.o $p; then stop && ok || failed "$p" $p.log; else lacks "$p" $p.log; fi
done

# ---- netkit ----
if ip link add nk0 type netkit 2>netkit.log; then
    ip link set nk0 up
    if start netkit net.bpf.o netkit to nk0; then stop && ok || failed netkit netkit.log; else failed netkit netkit.log; fi
    ip link del nk0
else
    skipped "netkit: $(head -1 netkit.log)"
    refused "netkit at another interface" 'built without CONFIG_NETKIT|takes a netkit device' net.bpf.o netkit to va
fi

# ---- What is not to be had is said, with what to do ----
refused "offload" 'whose driver has to run it' net.bpf.o firewall to va --offload
"$SKEP" attach net.bpf.o firewall to va,vc --offload >two.log 2>&1
[ $? = 2 ] && grep -q 'takes one interface' two.log && ok || failed "offload takes one interface" two.log
refused "a map of sockets" 'takes a map of sockets' net.bpf.o stream
refused "uprobe.multi" 'libbpf 1.1 has no way to attach it; name one function' usdt.bpf.o on_many to "$PWD/skepwork:work_here"
refused "no cgroup" 'takes a directory of cgroup v2' net.bpf.o cg_out to /tmp
refused "no cgroup named" 'takes a directory of cgroup v2' net.bpf.o cg_out
refused "no raw tracepoint" 'available_events lists tracepoints' trace.bpf.o on_raw to nosuchtracepoint
refused "no tracepoint" 'available_events lists tracepoints|no tracefs' trace.bpf.o on_call to sched/nosuchtracepoint
refused "no function" 'nm FILE' trace.bpf.o on_enter to "$PWD/skepwork:no_such_function"
refused "no static tracepoint" 'readelf -n FILE' usdt.bpf.o on_point to "$PWD/skepwork:skepwork:nothing"
refused "no event" 'takes an event: cpu-clock' trace.bpf.o on_sample to moonlight

# ---- cgroup ----
cg=
for d in /sys/fs/cgroup/unified /sys/fs/cgroup; do [ -f $d/cgroup.procs ] && [ -f $d/cgroup.controllers ] && cg=$d/skep-test-$$ && break; done
if [ -z "$cg" ] || ! mkdir "$cg"; then
    skipped "cgroup: no cgroup v2 here"
else
    if start cgroup net.bpf.o cg_out to "$cg" --dump-maps; then
        bash -c "echo \$\$ >$cg/cgroup.procs && exec ./skepwork udp" && stop && ok || failed "cgroup" cgroup.log
        wants "cgroup" cgroup.log 6 1
    else
        lacks "cgroup" cgroup.log
    fi
    if start sock sock.bpf.o to "$cg" --dump-maps; then
        bash -c "echo \$\$ >$cg/cgroup.procs && exec ./skepwork tcp" && stop && ok || failed "cgroup: sockets" sock.log
        for k in "active 1" "passive 1" "connects 1" "binds 1" "creates 2" "setsockopts 1"; do wants "cgroup" sock.log ${k% *} ${k#* }; done
        grep -q '^attached on_op: sockops cgroup' sock.log && ok || failed "sockops" sock.log
    else
        lacks "sockops and other hooks of a cgroup" sock.log
    fi
    rmdir "$cg"
fi

# ---- struct_ops: a congestion control, registered for good and by a link ----
for o in congestion congestion_link; do
    if start $o $o.bpf.o --dump-maps; then
        ./skepwork tcp skep_cc >cc.log 2>&1 && ok || failed "$o: a connection with it" cc.log
        stop && ok || failed "$o: Ctrl-C" $o.log
        wants $o $o.log inits 1
        n=$(value $o.log acks)
        [ "${n:-0}" -gt 0 ] && ok || failed "$o: $n calls" $o.log
        ./skepwork tcp skep_cc >cc.log 2>&1 && failed "$o: still registered" || ok
    else
        lacks "$o: struct_ops" $o.log
    fi
done

# ---- Tracing: what the test process does ----
traced() { # PROGRAM VARIABLE VALUE WORDS...
    local prog=$1 var=$2 want=$3
    shift 3
    if start $prog trace.bpf.o $prog "$@" --set getppid_nr="$(getppid_nr)" --dump-maps; then
        ./skepwork calls 123
        stop && ok || failed "$prog: Ctrl-C" $prog.log
        wants $prog $prog.log $var $want
    else
        lacks $prog $prog.log
    fi
}
getppid_nr() { case $(uname -m) in aarch64) echo 173 ;; *) echo 110 ;; esac; }
if [ -n "${tracefs:-}" ] || [ ! -d /sys/kernel/tracing/events/raw_syscalls ]; then
    skipped "tracepoint: no tracefs, or no raw_syscalls in it"
else
    traced on_call calls 123
fi
traced on_raw raw_calls 123
traced on_btf btf_calls 123
if start on_raw_send trace.bpf.o on_raw_send --event "calls_seen=struct call" --set getppid_nr="$(getppid_nr)"; then
    ./skepwork calls 20
    stop && ok || failed "a perf buffer: Ctrl-C" on_raw_send.log
    n=$(grep -c '^event calls_seen\( cpu [0-9]*\)\{0,1\}: {"nr":[0-9]*,"comm":"skepwork"}' on_raw_send.log)
    [ "$n" = 20 ] && ok || failed "a perf buffer: $n events, not 20" on_raw_send.log
else
    lacks on_raw_send on_raw_send.log
fi
if [ -e /sys/bus/event_source/devices/uprobe ]; then
    traced on_enter entered 123 to "$PWD/skepwork:work_here"
    traced on_leave left 123 to "$PWD/skepwork:work_here"
    if ./skepwork points 1; then
        if start usdt usdt.bpf.o on_point to "$PWD/skepwork:skepwork:point" --cookie 5 --dump-maps; then
            ./skepwork points 20
            stop && ok || failed "usdt: Ctrl-C" usdt.log
            for k in "hits 20" "sum 210" "cookies 100"; do wants usdt usdt.log ${k% *} ${k#* }; done
        else
            lacks usdt usdt.log
        fi
    else
        skipped "usdt: no note for this processor"
    fi
    if [ -z "${tracefs:-}" ] && start speak trace.bpf.o on_enter to "$PWD/skepwork:work_here" --set speak=true; then
        ./skepwork calls 3
        sleep 0.3
        stop
        [ "$(grep -c '^trace: entered 7' speak.log)" = 3 ] && ok || failed "what a program prints" speak.log
    fi
else
    skipped "uprobe: this kernel has none (CONFIG_UPROBE_EVENTS)"
fi
"$SKEP" attach trace.bpf.o on_enter to /no/such/file:f >nofile.log 2>&1 && failed "no such file" || { grep -q "not attached" nofile.log && ok || failed "no such file is said" nofile.log; }

./skepwork burn 1500 &
burner=$!
if start perf trace.bpf.o on_sample --pid $burner --freq 500 --dump-maps; then
    wait $burner
    stop && ok || failed "perf event: Ctrl-C" perf.log
    n=$(value perf.log samples)
    [ "${n:-0}" -ge 5 ] && [ "$n" -le 1500 ] && ok || failed "perf event: $n samples" perf.log
else
    lacks "perf event" perf.log
fi
if start faults trace.bpf.o on_sample to page-faults --dump-maps; then
    ./skepwork udp
    stop && ok || failed "perf event page-faults: Ctrl-C" faults.log
    n=$(value faults.log samples)
    [ "${n:-0}" -ge 1 ] && ok || failed "perf event page-faults: $n samples" faults.log
else
    lacks "perf event page-faults" faults.log
fi
for e in context-switches task-clock; do
    ./skepwork burn 400 &
    burner=$!
    if start perf_$e trace.bpf.o on_sample to $e --pid $burner --dump-maps; then
        wait $burner
        stop && ok || failed "perf event $e: Ctrl-C" perf_$e.log
        n=$(value perf_$e.log samples)
        [ "${n:-0}" -ge 1 ] && ok || failed "perf event $e: $n samples" perf_$e.log
    else
        lacks "perf event $e" perf_$e.log
    fi
done
for p in on_kprobe on_kretprobe on_ksyscall on_fentry on_fexit on_lsm; do
    if start $p trace.bpf.o $p; then stop && ok || failed $p $p.log; else lacks $p $p.log; fi
done

# ---- Iterator ----
if timeout 20 "$SKEP" attach iter.bpf.o >iter.log; then
    grep -q '^map find_me_here' iter.log && ok || failed "iterator" iter.log
else
    lacks iterator iter.log
fi

# ---- What is shown meanwhile ----
if start watch net.bpf.o firewall to va --generic --watch verdicts --interval 100 --for 2; then
    ./skepwork send vb
    wait $pid && ok || failed "--for" watch.log
    [ "$(grep -c '^array verdicts:' watch.log)" -ge 3 ] && ok || failed "--watch" watch.log
fi
# On a terminal counts and maps are drawn in place: up as many lines as were drawn, and clear.
if command -v script >/dev/null; then
    script -qec "timeout 30 '$SKEP' attach net.bpf.o firewall to va --generic --watch verdicts --interval 100 --for 2" /dev/null >terminal.log 2>&1 </dev/null
    [ "$(grep -c $'\033\\[[0-9]*A\033\\[J' terminal.log)" -ge 2 ] && ok || failed "--watch on a terminal" terminal.log
else
    skipped "a terminal: no script(1)"
fi
"$SKEP" -j attach net.bpf.o firewall to va --generic --dump-maps >json.log &
pid=$!
for _ in $(seq 400); do ip -d link show va | grep -q prog/xdp && break; sleep 0.05; done
./skepwork send vb
stop
jq -e '(.events | length == 100 and .[0].data == {"port": 1001, "verdict": 1}) and
    (.programs[0] | .program == "firewall" and .run_cnt >= 100 and (.attached | tostring | contains("va"))) and
    ([.maps[] | select(.name == "verdicts").elements[].value][1:5] == [40, 30, 20, 10])' json.log >/dev/null 2>json.err && ok || failed "JSON" json.err

# ---- State, live: from userspace into a program at work, and back ----
if start live net.bpf.o firewall to va --generic --dump-maps; then
    "$SKEP" run net.bpf.o firewall pcap_in packets.pcap --maps-to linux:firewall >to.log 2>&1 && ok || failed "maps into Linux" to.log
    ./skepwork send vb
    sleep 0.1
    "$SKEP" run net.bpf.o firewall pcap_in packets.pcap --maps-from linux:firewall --dump-maps >from.log 2>&1 && ok || failed "maps from Linux" from.log
    stop
    wants "state into Linux" live.log 1 80
    wants "state from Linux" from.log 1 120
    wants "state from Linux" from.log 4 30
fi

# ---- Pinning ----
if [ -n "${bpffs:-}" ]; then
    skipped "pinning: no bpffs"
else
    "$SKEP" attach net.bpf.o firewall to va --generic --pin /mnt/bpf/fw >pin.log 2>&1 && [ -e /mnt/bpf/fw/firewall ] && ok || failed "--pin" pin.log
    ip -d link show va | grep -q xdp && ok || failed "a pinned program stays"
    ./skepwork count va 600 >pinned.count &
    counter=$!
    sleep 0.1
    ./skepwork send vb
    wait $counter
    [ "$(cat pinned.count)" = 30 ] && ok || failed "a pinned program works: $(cat pinned.count)"
    # A folder of pinned maps is one of those that maps are carried from and to.
    mkdir /mnt/bpf/maps && bpftool map pin name verdicts /mnt/bpf/maps/verdicts 2>pin.err
    if [ -e /mnt/bpf/maps/verdicts ]; then
        "$SKEP" run net.bpf.o firewall pcap_in packets.pcap --maps-from /mnt/bpf/maps --maps-to /mnt/bpf/maps --dump-maps >dir.log 2>&1 && ok || failed "a folder of pinned maps" dir.log
        wants "from a folder of pinned maps" dir.log 1 80
        "$SKEP" run net.bpf.o firewall pcap_in packets.pcap --maps-from /mnt/bpf/maps --dump-maps >dir.log 2>&1
        wants "to a folder of pinned maps" dir.log 1 120
        rm -r /mnt/bpf/maps
    else
        skipped "pinned maps: $(head -1 pin.err)"
    fi
    rm -r /mnt/bpf/fw
    sleep 0.1
    ip -d link show va | grep -q xdp && failed "a pin that is gone left the program" || ok
    "$SKEP" attach net.bpf.o firewall to va --generic --pin "$tmp/nobpf" >nopin.log 2>&1 && failed "no bpffs" || { grep -q 'bpffs' nopin.log && ok || failed "no bpffs is said" nopin.log; }
    ip -d link show va | grep -q xdp && failed "a failed pin left the program" || ok
    [ ! -e "$tmp/nobpf" ] && ok || failed "a failed pin left its folder"
fi
unpair
exit 0
