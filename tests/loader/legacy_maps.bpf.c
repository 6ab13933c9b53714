// Maps of the old kind are refused with what to do.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// not: gcc
// expect-error: legacy map definitions are not supported
struct { unsigned type, key_size, value_size, max_entries, flags; } old SEC("maps") = { 1, 4, 4, 10, 0 };

SEC("xdp") int prog(void *ctx)
{
    int k = 0;

    return bpf_map_lookup_elem(&old, &k) != 0;
}

char _license[] SEC("license") = "GPL";
