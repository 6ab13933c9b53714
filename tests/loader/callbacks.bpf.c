// Functions that only a pointer reaches come along, also from inside of other subprograms.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u64);
} arr SEC(".maps");

struct state { long sum; };

static long add(__u32 i, void *ctx)
{
    ((struct state *)ctx)->sum += i;
    return i == 5;
}

static long each(void *map, __u32 *key, __u64 *value, void *ctx)
{
    struct state inner = { 0 };

    bpf_loop(3, add, &inner, 0);
    ((struct state *)ctx)->sum += *key + inner.sum;
    return 0;
}

// not: gcc
// expect-prog: loop xdp 2
// expect-reloc: func .text yes
// result: loop 15
SEC("xdp") int loop(void *ctx)
{
    struct state s = { 0 };

    bpf_loop(100, add, &s, 0);
    return s.sum;
}

// expect-prog: for_each xdp 3
// expect-func: for_each add static
SEC("xdp") int for_each(void *ctx)
{
    struct state s = { 0 };

    bpf_for_each_map_elem(&arr, each, &s, 0);
    return s.sum;
}

char _license[] SEC("license") = "GPL";
