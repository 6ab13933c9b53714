// Maps of maps with an inner definition and static initialisers, and an array of programs.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct inner {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u64);
};
struct inner one SEC(".maps"), two SEC(".maps");

// not: gcc
// expect-map: outer array_of_maps 4 4 4
// expect-inner: outer array 4 8 2
// expect-init: outer 1 one
// expect-init: outer 3 two
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 4);
    __type(key, __u32);
    __array(values, struct inner);
} outer SEC(".maps") = { .values = { [1] = &one, [3] = &two } };

// expect-map: by_number hash_of_maps 4 4 8
// expect-init: by_number 0 two
struct {
    __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
    __uint(max_entries, 8);
    __uint(key_size, 4);
    __array(values, struct inner);
} by_number SEC(".maps") = { .values = { &two } };

int tail(void *ctx);

// expect-map: progs prog_array 4 4 5
// expect-init: progs 2 tail
struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 5);
    __uint(key_size, 4);
    __array(values, int(void *));
} progs SEC(".maps") = { .values = { [2] = (void *)&tail } };

SEC("xdp") int tail(void *ctx)
{
    return 77;
}

// result: jump 77
SEC("xdp") int jump(void *ctx)
{
    bpf_tail_call(ctx, &progs, 2);
    return 1;
}

// result: falls_through 3
SEC("xdp") int falls_through(void *ctx)
{
    bpf_tail_call(ctx, &progs, 1);
    return 3;
}

// result: nested 9
SEC("xdp") int nested(void *ctx)
{
    __u32 i = 3, zero = 0;
    __u64 *v, *w;
    void *m = bpf_map_lookup_elem(&outer, &i), *n = bpf_map_lookup_elem(&by_number, &zero);

    if (!m || !n)
        return 1;
    v = bpf_map_lookup_elem(m, &zero);
    if (!v)
        return 2;
    *v = 9;
    w = bpf_map_lookup_elem(n, &zero);
    return w ? *w : 4;
}

// result: empty 5
SEC("xdp") int empty(void *ctx)
{
    __u32 i = 2;

    return bpf_map_lookup_elem(&outer, &i) ? 6 : 5;
}

char _license[] SEC("license") = "GPL";
