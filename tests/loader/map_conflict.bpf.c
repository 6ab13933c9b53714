// A size that is given twice must be the same.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// not: gcc
// expect-error: map 'm': conflicting value sizes 8 and 4
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, int);
    __type(value, long);
    __uint(value_size, 4);
} m SEC(".maps");

SEC("xdp") int prog(void *ctx)
{
    int k = 0;

    return bpf_map_lookup_elem(&m, &k) != 0;
}

char _license[] SEC("license") = "GPL";
