// Maps of the old kind: structs of numbers in a section `maps`.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct bpf_map_def_of_old {
    unsigned type, key_size, value_size, max_entries, map_flags;
};

// expect-map: counts hash 4 8 10 0x1
struct bpf_map_def_of_old SEC("maps") counts = {
    .type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 8, .max_entries = 10, .map_flags = BPF_F_NO_PREALLOC};

// expect-map: locked array 4 16 1 0
// expect-lock: locked 4
struct bpf_map_def_of_old SEC("maps") locked = {
    .type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 16, .max_entries = 1};

struct with_lock {
    int n;
    struct bpf_spin_lock lock;
    long more;
};
struct ____btf_map_locked {
    int key;
    struct with_lock value;
};
struct ____btf_map_locked __attribute__((section(".maps.locked"), used)) ____btf_map_locked = {};

// expect-reloc: map counts yes
// result: prog 5
SEC("xdp") int prog(void *ctx)
{
    int k = 1;
    long n = 5, *found;

    bpf_map_update_elem(&counts, &k, &n, 0);
    found = bpf_map_lookup_elem(&counts, &k);
    return found ? *found : 0;
}

// result: other 1
SEC("xdp") int other(void *ctx)
{
    int k = 0;

    return bpf_map_lookup_elem(&locked, &k) != 0;
}

char _license[] SEC("license") = "GPL";
