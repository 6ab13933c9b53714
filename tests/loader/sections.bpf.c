// Section names say type, target and whether a program loads by itself; a name that says nothing is a warning.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// expect-prog: a xdp 1
SEC("xdp/eth0") int a(void *ctx) { return 1; }
// expect-prog: b sched_cls 1
SEC("tc") int b(void *ctx) { return 2; }
// expect-prog: c kprobe 1
SEC("kprobe/do_unlinkat") int c(void *ctx) { return 3; }
// expect-prog: d tracepoint 1
SEC("tp/sched/sched_switch") int d(void *ctx) { return 4; }
// expect-prog: e raw_tracepoint 1
SEC("raw_tp/sys_enter") int e(void *ctx) { return 5; }
// expect-prog: f tracing 1
SEC("fentry/do_unlinkat") int f(void *ctx) { return 6; }
// expect-prog: g socket_filter 1
SEC("socket") int g(void *ctx) { return 7; }
// expect-prog: h cgroup_skb 1
SEC("cgroup_skb/egress") int h(void *ctx) { return 8; }
// expect-prog: i tracing 0
SEC("?fexit.s/do_unlinkat") int i(void *ctx) { return 9; }
// expect-prog: nothing unspec 0
// expect-warn: program 'nothing': section 'no_such_kind/x' does not say its type
SEC("no_such_kind/x") int nothing(void *ctx) { return 10; }

char _license[] SEC("license") = "GPL";
