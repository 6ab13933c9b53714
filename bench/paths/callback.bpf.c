/* A callback's cost: an object of its own, since programs that share a PROG_ARRAY are executed in one way. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

enum { OPS = 64 };

static long turn(__u32 i, void *n)
{
    *(__u64 *)n += 1;
    return 0;
}

SEC("xdp") int callback(struct xdp_md *ctx)
{
    __u64 n = 0;

    bpf_loop(OPS, turn, &n, 0);
    return n;
}

SEC("xdp") int callback_none(struct xdp_md *ctx)
{
    __u64 n = OPS;

    asm volatile("" : : "r"(&n) : "memory");
    return n;
}

char _license[] SEC("license") = "GPL";
