// A member of a map's definition that means nothing is an error, as in libbpf's strict mode.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// not: gcc
// expect-error: map 'm': unknown field 'colour'
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __uint(colour, 3);
} m SEC(".maps");

SEC("xdp") int prog(void *ctx)
{
    int k = 0;

    return bpf_map_lookup_elem(&m, &k) != 0;
}

char _license[] SEC("license") = "GPL";
