/* For `skep diff`: programs that are alike everywhere, and programs that no two runs agree on. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct seen {
    __u32 len;
    __u32 luck;
    __u8 tail[4];
};

volatile __u32 fortune;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16);
    __type(key, __u32);
    __type(value, struct seen);
} table SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} events SEC(".maps");

SEC("xdp") int same(struct xdp_md *ctx)
{
    struct seen s = {.len = ctx->data_end - ctx->data};
    __u32 key = s.len & 7;

    bpf_map_update_elem(&table, &key, &s, BPF_ANY);
    bpf_ringbuf_output(&events, &s, sizeof(s), 0);
    return s.len & 1 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int random_map(struct xdp_md *ctx)
{
    struct seen s = {.len = 5, .luck = bpf_get_prandom_u32()};
    __u32 key = 3;

    (void)ctx;
    fortune = s.luck;
    bpf_map_update_elem(&table, &key, &s, BPF_ANY);
    return XDP_PASS;
}

SEC("xdp") int random_packet(struct xdp_md *ctx)
{
    unsigned char *p = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    __u32 r = bpf_get_prandom_u32();

    if (p + 34 > end)
        return XDP_ABORTED;
    __builtin_memcpy(p + 26, &r, 4);
    return XDP_TX;
}

SEC("xdp") int random_event(struct xdp_md *ctx)
{
    struct seen s = {.luck = bpf_get_prandom_u32()};

    (void)ctx;
    bpf_ringbuf_output(&events, &s, sizeof(s), 0);
    return XDP_PASS;
}

SEC("xdp") int random_verdict(struct xdp_md *ctx)
{
    (void)ctx;
    return 5 + (bpf_get_prandom_u32() | 1);
}

SEC("kprobe/nothing") int no_run(void *ctx)
{
    (void)ctx;
    return 0;
}

char _license[] SEC("license") = "GPL";
