// Variables in an arena that the object does not have.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// not: gcc clang-14 clang-16
// expect-error: section '.addr_space.1': variables in an arena, and no map of type ARENA
int __attribute__((address_space(1))) in_arena SEC(".addr_space.1");

SEC("xdp") int with(void *ctx)
{
    return in_arena;
}

char _license[] SEC("license") = "GPL";
