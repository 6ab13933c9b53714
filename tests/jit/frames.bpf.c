/* Two functions between a helper and the run, for debuggers that look at machine code. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

__u64 last;

static __attribute__((noinline)) __u64 inner(__u64 a, __u64 *seen)
{
    __u64 now = bpf_ktime_get_boot_ns();

    *seen += now != 0;
    return now + a;
}

SEC("xdp")
int frames(struct xdp_md *ctx)
{
    __u64 seen = ctx->rx_queue_index;

    last = inner(ctx->rx_queue_index, &seen);
    return seen == 1 ? XDP_PASS : XDP_DROP;
}

/* Where a profiler finds nothing but this. */
SEC("xdp")
int spins(struct xdp_md *ctx)
{
    __u32 x = ctx->rx_queue_index;

    for (int i = 0; i < 20000; i++)
        x = x * 1664525 + 1013904223;
    return x ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
