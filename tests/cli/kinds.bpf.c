/* Maps of kinds that the command fills and shows: the program takes from each what was put there, and leaves something. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct prefix {
    __u32 len;
    __u8 addr[4];
};

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 8);
    __type(key, struct prefix);
    __type(value, __u32);
} routes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
    __uint(max_entries, 8);
    __type(key, __u32);
    __type(value, __u32);
} lru SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_QUEUE);
    __uint(max_entries, 8);
    __type(value, __u32);
} queue SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_STACK);
    __uint(max_entries, 8);
    __type(value, __u32);
} stack SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
    __uint(max_entries, 8);
    __type(value, __u32);
} bloom SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_DEVMAP);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u32);
} devices SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_CPUMAP);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u32);
} cpus SEC(".maps");

struct {
    __uint(type, 31 /* BPF_MAP_TYPE_USER_RINGBUF */);
    __uint(max_entries, 4096);
} feed SEC(".maps");

static long (*drain)(void *map, void *fn, void *ctx, __u64 flags) = (void *)209;
static long (*dynptr_read)(void *to, __u32 len, const void *from, __u32 off, __u64 flags) = (void *)201;

__u32 route, popped, top, known, unknown, fed;

static long each(void *dynptr, void *ctx)
{
    __u32 value = 0;

    dynptr_read(&value, sizeof(value), dynptr, 0, 0);
    fed += value;
    return 0;
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
    struct prefix p = {32, {10, 1, 2, 3}};
    __u32 key = 7, value = 5, *found = bpf_map_lookup_elem(&routes, &p);

    route = found ? *found : 0;
    found = bpf_map_lookup_elem(&lru, &key);
    if (found)
        *found += 1;
    bpf_map_pop_elem(&queue, &popped);
    bpf_map_pop_elem(&stack, &top);
    known = !bpf_map_peek_elem(&bloom, &value);
    value = 6;
    unknown = !bpf_map_peek_elem(&bloom, &value);
    drain(&feed, each, 0, 0);
    return bpf_redirect_map(&devices, 1, 0);
}

char LICENSE[] SEC("license") = "GPL";
