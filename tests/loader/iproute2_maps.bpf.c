// Maps as iproute2 defines them: numbers tell which map is inside which.
// not: gcc
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct bpf_elf_map {
    unsigned type, size_key, size_value, max_elem, flags, id, pinning, inner_id, inner_idx;
};

// expect-map: inner array 4 4 1 0
struct bpf_elf_map SEC("maps") inner = {
    .type = BPF_MAP_TYPE_ARRAY, .size_key = 4, .size_value = 4, .max_elem = 1, .id = 7, .inner_idx = 1};

// expect-map: outer array_of_maps 4 4 3 0
// expect-inner: outer array 4 4 1
// expect-init: outer 1 inner
struct bpf_elf_map SEC("maps") outer = {
    .type = BPF_MAP_TYPE_ARRAY_OF_MAPS, .size_key = 4, .size_value = 4, .max_elem = 3, .inner_id = 7};

// expect-map: global lru_hash 8 8 100 0
struct bpf_elf_map SEC("maps") global = {
    .type = BPF_MAP_TYPE_LRU_HASH, .size_key = 8, .size_value = 8, .max_elem = 100, .pinning = 2};

// result: prog 3
SEC("tc") int prog(void *ctx)
{
    int one = 1, zero = 0, *value;
    void *map = bpf_map_lookup_elem(&outer, &one);
    long key = 1;

    bpf_map_update_elem(&global, &key, &key, 0);
    if (!map || !bpf_map_lookup_elem(&global, &key))
        return 0;
    value = bpf_map_lookup_elem(map, &zero);
    if (!value)
        return 0;
    *value += 3;
    return *value;
}

char _license[] SEC("license") = "GPL";
