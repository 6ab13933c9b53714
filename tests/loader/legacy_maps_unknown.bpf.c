// Definitions of maps that are longer than any known and not empty there.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// expect-error: what stands at byte 20 means nothing
struct { unsigned type, key_size, value_size, max_entries, flags, more; } old SEC("maps") = { 1, 4, 4, 10, 0, 1 };

SEC("xdp") int prog(void *ctx)
{
    int k = 0;

    return bpf_map_lookup_elem(&old, &k) != 0;
}

char _license[] SEC("license") = "GPL";
