/* What the process called `skepwork` does, seen from many sides. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

const volatile __u32 getppid_nr = 110; /* x86-64's */
const volatile _Bool speak;
volatile __u64 calls, raw_calls, btf_calls, entered, left, samples;

static __always_inline int ours(void)
{
    char comm[16];

    bpf_get_current_comm(comm, sizeof(comm));
    return __builtin_memcmp(comm, "skepwork", 8) == 0;
}

struct sys_enter {
    __u64 common;
    long id;
    unsigned long args[6];
};

SEC("tp/raw_syscalls/sys_enter") int on_call(struct sys_enter *ctx)
{
    if (ours() && ctx->id == getppid_nr)
        __sync_fetch_and_add(&calls, 1);
    return 0;
}

SEC("raw_tp/sys_enter") int on_raw(struct bpf_raw_tracepoint_args *ctx)
{
    if (ours() && ctx->args[1] == getppid_nr)
        __sync_fetch_and_add(&raw_calls, 1);
    return 0;
}

struct call {
    __u64 nr;
    char comm[16];
};
const struct call *unused __attribute__((unused));

struct {
    __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
    __uint(key_size, 4);
    __uint(value_size, 4);
} calls_seen SEC(".maps");

SEC("raw_tp/sys_enter") int on_raw_send(struct bpf_raw_tracepoint_args *ctx)
{
    struct call c = {.nr = ctx->args[1]};

    if (!ours() || c.nr != getppid_nr)
        return 0;
    bpf_get_current_comm(c.comm, sizeof(c.comm));
    bpf_perf_event_output(ctx, &calls_seen, BPF_F_CURRENT_CPU, &c, sizeof(c));
    return 0;
}

SEC("tp_btf/sys_enter") int on_btf(unsigned long long *ctx)
{
    if (ours() && ctx[1] == getppid_nr)
        __sync_fetch_and_add(&btf_calls, 1);
    return 0;
}

SEC("uprobe") int on_enter(void *ctx)
{
    (void)ctx;
    __sync_fetch_and_add(&entered, 1);
    if (speak)
        bpf_printk("entered %d", 7);
    return 0;
}

SEC("uretprobe") int on_leave(void *ctx)
{
    (void)ctx;
    __sync_fetch_and_add(&left, 1);
    return 0;
}

SEC("perf_event") int on_sample(void *ctx)
{
    (void)ctx;
    __sync_fetch_and_add(&samples, 1);
    return 0;
}

SEC("kprobe/vfs_read") int on_kprobe(void *ctx)
{
    (void)ctx;
    return 0;
}

SEC("fentry/vfs_read") int on_fentry(void *ctx)
{
    (void)ctx;
    return 0;
}

SEC("lsm/file_open") int on_lsm(void *ctx)
{
    (void)ctx;
    return 0;
}

SEC("kretprobe/vfs_read") int on_kretprobe(void *ctx)
{
    (void)ctx;
    return 0;
}

SEC("ksyscall/getppid") int on_ksyscall(void *ctx)
{
    (void)ctx;
    return 0;
}

SEC("fexit/vfs_read") int on_fexit(void *ctx)
{
    (void)ctx;
    return 0;
}

char _license[] SEC("license") = "GPL";
