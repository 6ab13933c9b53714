// Variables in an arena lie at its beginning, and read as they were initialised.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// not: gcc clang-14 clang-16
#define __arena __attribute__((address_space(1)))
struct {
    __uint(type, 33);
    __uint(map_flags, 1 << 10);
    __uint(max_entries, 2);
    enum { at = 1ull << 44 } map_extra;
} arena SEC(".maps");

int __arena in_arena SEC(".addr_space.1") = 7;
int __arena second SEC(".addr_space.1") = 30;

// result: with 37
SEC("xdp") int with(void *ctx)
{
    return in_arena + second;
}

// result: written 9
SEC("xdp") int written(void *ctx)
{
    second = 9;
    return second;
}

char _license[] SEC("license") = "GPL";
