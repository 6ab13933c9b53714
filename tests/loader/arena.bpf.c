// Variables in an arena: the object loads, and trapping names what is missing.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// not: gcc clang-14 clang-16
// expect-warn: 'in_arena' is in an arena, which is not supported
#define __arena __attribute__((address_space(1)))
int __arena in_arena SEC(".addr_space.1");

// result: without 5
SEC("xdp") int without(void *ctx)
{
    return 5;
}

// trap: with address_space
SEC("xdp") int with(void *ctx)
{
    return in_arena;
}

char _license[] SEC("license") = "GPL";
