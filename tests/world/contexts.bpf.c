/* Programs that get their arguments from a world, by name. */
#include "kernel.h"

struct pt_regs {
    unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};

struct exec { /* trace_event_raw_sched_process_exec */
    __u64 common;
    __u32 filename;
    int pid, old_pid;
};

int got[8];
char name[16];

SEC("tp_btf/net_dev_queue")
int queue(__u64 *ctx)
{
    struct sk_buff *skb = (void *)ctx[0];
    struct net_device *dev;

    got[0] = BPF_CORE_READ(skb, len);
    got[1] = BPF_CORE_READ(skb, dev, ifindex);
    dev = BPF_CORE_READ(skb, dev);
    bpf_core_read_str(name, sizeof(name), &dev->name);
    return 0;
}

SEC("kprobe/tcp_connect")
int connect(struct pt_regs *ctx)
{
    struct sock *sk = (void *)ctx->di;

    got[2] = BPF_CORE_READ(sk, __sk_common.skc_dport);
    got[3] = ctx->ip == 0x1000;
    return 0;
}

SEC("tp/sched/sched_process_exec")
int exec(struct exec *ctx)
{
    got[4] = ctx->pid;
    bpf_probe_read_kernel_str(name, sizeof(name), (void *)ctx + (ctx->filename & 0xffff));
    return 0;
}

SEC("fexit/vfs_read")
int read_done(__u64 *ctx)
{
    got[5] += ctx[2];
    got[6] += (int)ctx[4];
    return 0;
}

SEC("ksyscall/openat")
int openat(struct pt_regs *ctx)
{
    struct pt_regs *regs = (void *)ctx->di;
    unsigned long flags;

    bpf_probe_read_kernel(&flags, sizeof(flags), &regs->dx);
    got[7] = flags;
    return 0;
}

struct event {
    struct pt_regs regs;
    __u64 sample_period, addr;
};

SEC("perf_event")
int event(struct event *ctx)
{
    __u64 r[3] = {};

    got[0] = ctx->regs.ip;
    got[1] = ctx->regs.sp;
    got[2] = ctx->sample_period;
    bpf_perf_prog_read_value((void *)ctx, (void *)r, sizeof(r));
    got[3] = r[0];
    return 0;
}
