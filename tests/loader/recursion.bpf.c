// Functions that call one another in a circle are linked once each; running them ends at the depth of frames.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

volatile int depth;

__attribute__((noinline)) int pong(int x);

__attribute__((noinline)) int ping(int x)
{
    depth++;
    return x > 0 ? pong(x - 1) + 1 : 0;
}

__attribute__((noinline)) int pong(int x)
{
    depth++;
    return x > 0 ? ping(x - 1) + 1 : 0;
}

// not: gcc
// expect-prog: shallow xdp 3
// result: shallow 5
SEC("xdp") int shallow(void *ctx)
{
    return ping(depth + 5);
}

// trap: deep stack_overflow
SEC("xdp") int deep(void *ctx)
{
    return ping(depth + 50);
}

char _license[] SEC("license") = "GPL";
