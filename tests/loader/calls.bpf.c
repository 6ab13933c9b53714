// Static and global subprograms, called from several programs of one section and from one another.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int zero;

static __attribute__((noinline)) int leaf(int x)
{
    return x * 3 + zero;
}

__attribute__((noinline)) int shared(int x)
{
    return leaf(x) + leaf(x + 1) + zero;
}

__attribute__((noinline, weak)) int weak_one(int x)
{
    return shared(x) - 1 + zero;
}

__attribute__((noinline, visibility("hidden"))) int hidden_one(int x)
{
    return x + 10 + zero;
}

static __attribute__((noinline)) int unused_by_second(int x)
{
    return x ^ 0x55 ^ zero;
}

// not: gcc
// expect-prog: first xdp 4
// expect-func: first shared global
// expect-func: first leaf static
// expect-reloc: call shared yes
// result: first 104
SEC("xdp") int first(void *ctx)
{
    return shared(zero + 5) + unused_by_second(zero) - 14;
}

// expect-prog: second xdp 5
// expect-func: second hidden_one static
// expect-func: second weak_one global
// expect-line: second return x + 10 + zero;
// result: second 20
SEC("xdp") int second(void *ctx)
{
    return weak_one(zero + 1) + hidden_one(zero + 2) - 0;
}

// expect-prog: lone xdp 1
// result: lone 2
SEC("xdp") int lone(void *ctx)
{
    return 2;
}

// expect-prog: not_loaded xdp 0
SEC("?xdp") int not_loaded(void *ctx)
{
    return leaf(1);
}

char _license[] SEC("license") = "GPL";
