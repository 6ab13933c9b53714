/* What test_api_kernel.c opens for either backend: maps of many kinds, variables, both buffers, tail calls, inner maps. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct event {
    __u32 len, mark;
};

const volatile __u32 limit = 60;
volatile __u64 runs;
volatile int signed_one = -5;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u64);
} lens SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 3);
    __type(key, __u32);
    __type(value, __u64);
} slots SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} counts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} events SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
    __uint(key_size, 4);
    __uint(value_size, 4);
} samples SEC(".maps");

struct one {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} first SEC(".maps"), second SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 2);
    __type(key, __u32);
    __array(values, struct one);
} outer SEC(".maps") = {.values = {[0] = &first}};

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 2);
    __uint(key_size, 4);
    __uint(value_size, 4);
} jumps SEC(".maps");

SEC("xdp") int judge(struct xdp_md *ctx)
{
    __u32 len = ctx->data_end - ctx->data, zero = 0;
    __u64 *seen = bpf_map_lookup_elem(&lens, &len), one = 1;
    __u32 *count = bpf_map_lookup_elem(&counts, &zero);

    if (seen)
        ++*seen;
    else
        bpf_map_update_elem(&lens, &len, &one, BPF_ANY);
    if (count)
        ++*count;
    runs++;
    return len > limit ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int send(struct xdp_md *ctx)
{
    struct event e = {ctx->data_end - ctx->data, 7};

    bpf_ringbuf_output(&events, &e, sizeof(e), 0);
    e.mark = 8;
    bpf_perf_event_output(ctx, &samples, BPF_F_CURRENT_CPU, &e, sizeof(e));
    return XDP_PASS;
}

SEC("xdp") int change(struct xdp_md *ctx)
{
    unsigned char *p = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

    if (p + 14 > end)
        return XDP_ABORTED;
    p[0] ^= 0xff;
    return bpf_xdp_adjust_head(ctx, -8) ? XDP_ABORTED : XDP_TX;
}

SEC("xdp") int leap(struct xdp_md *ctx)
{
    __u32 zero = 0;
    void *inner = bpf_map_lookup_elem(&outer, &zero);
    __u32 *index = inner ? bpf_map_lookup_elem(inner, &zero) : 0;

    if (index)
        bpf_tail_call(ctx, &jumps, *index & 1);
    return XDP_ABORTED;
}

/* Linux has no test run for this type. */
SEC("kprobe/nothing") int probe(void *ctx)
{
    (void)ctx;
    return 0;
}

char _license[] SEC("license") = "GPL";
