// BTF-defined maps: sizes by type and by number, flags, pinning, what libbpf rounds, locks in values.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// not: gcc
struct key { __u32 a; __u16 b; };
struct value { __u64 x; struct bpf_spin_lock lock; __u32 y; };

// expect-lock: by_type 8
// expect-lock: by_size -1
// expect-map: by_type hash 8 16 10 0
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 10);
    __type(key, struct key);
    __type(value, struct value);
} by_type SEC(".maps");

// expect-map: by_size lru_hash 4 12 100 0x2
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 100);
    __uint(key_size, 4);
    __uint(value_size, 12);
    __uint(map_flags, BPF_F_NO_COMMON_LRU);
} by_size SEC(".maps");

// expect-map: events perf_event_array 4 4 0
struct {
    __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
    __uint(key_size, sizeof(int));
    __uint(value_size, sizeof(int));
} events SEC(".maps");

// expect-map: rounded ringbuf 0 0 8192
struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 5000);
} rounded SEC(".maps");

// expect-map: both percpu_array 4 8 3
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 3);
    __uint(key_size, 4);
    __type(key, __u32);
    __type(value, __u64);
    __uint(pinning, LIBBPF_PIN_BY_NAME);
    __uint(numa_node, 0);
} both SEC(".maps");

// expect-reloc: map by_type yes
// result: use 12
SEC("xdp") int use(void *ctx)
{
    struct key k = { .a = 7, .b = 3 };
    struct value v = { .x = 5 }, *p;
    __u32 zero = 0;
    __u64 *q;

    bpf_map_update_elem(&by_type, &k, &v, BPF_ANY);
    p = bpf_map_lookup_elem(&by_type, &k);
    q = bpf_map_lookup_elem(&both, &zero);
    if (!p || !q)
        return 0;
    *q += 7;
    return p->x + *q;
}

char _license[] SEC("license") = "GPL";
