/* What test_api_object.c opens: programs that call one another, maps that hold maps, variables of every kind. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

enum mode { MODE_OFF, MODE_ON, MODE_STRICT = 7 };
enum wide { WIDE_SMALL, WIDE_BIG = 0x100000001ULL };

struct inner {
    unsigned low : 3, high : 13;
    signed char c;
};

struct cfg {
    int a;
    struct inner in;
    union {
        __u64 whole;
        __u32 half[2];
    };
    __u16 ports[4];
    char name[8];
    enum mode mode;
    _Bool on;
};

const volatile __u32 limit = 10;
volatile struct cfg cfg = {.a = 1};
volatile enum wide wide;
volatile __u64 runs;
volatile __s8 small;
static volatile int hidden = 3;

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u64);
} counts SEC(".maps");

struct one {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u32);
} first SEC(".maps"), second SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 3);
    __type(key, __u32);
    __array(values, struct one);
} outer SEC(".maps") = {.values = {[0] = &first, [2] = &second}};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8);
    __uint(pinning, LIBBPF_PIN_BY_NAME);
    __type(key, __u32);
    __type(value, struct inner);
} pinned SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
    __type(key, __u32);
    __type(value, __u32);
} perf SEC(".maps");

int target(struct xdp_md *ctx);

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 2);
    __uint(key_size, 4);
    __array(values, int(struct xdp_md *));
} jumps SEC(".maps") = {.values = {[1] = &target}};

SEC("xdp") int target(struct xdp_md *ctx)
{
    return ctx->data_end - ctx->data > limit ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int jump(struct xdp_md *ctx)
{
    runs++;
    bpf_tail_call(ctx, &jumps, 1);
    return XDP_ABORTED;
}

/* Which inner map a packet's first byte names, and what stands in it. */
SEC("xdp") int inner(struct xdp_md *ctx)
{
    unsigned char *data = (void *)(long)ctx->data;
    __u32 zero = 0, key, *value;
    if (data + 1 > (unsigned char *)(long)ctx->data_end)
        return -1;
    key = *data;
    void *map = bpf_map_lookup_elem(&outer, &key);
    if (!map)
        return -2;
    value = bpf_map_lookup_elem(map, &zero);
    return value ? *value : -3;
}

SEC("xdp") int count(struct xdp_md *ctx)
{
    __u32 key = 1;
    __u64 *n = bpf_map_lookup_elem(&counts, &key);
    if (n)
        ++*n;
    cfg.a += hidden;
    return cfg.a + small;
}

SEC("xdp") int trap(struct xdp_md *ctx)
{
    unsigned char *data = (void *)(long)ctx->data;
    return data[5000];
}

SEC("?kprobe/do_sys_open") int optional(void *ctx)
{
    return wide == WIDE_BIG;
}

struct manners {
    int (*greet)(int who, int times);
    int (*leave)(int who);
    char name[8];
};

SEC("struct_ops/greet") int greet(__u64 *ctx)
{
    return ctx[0] * 100 + ctx[1];
}

SEC(".struct_ops") struct manners polite = {.greet = (void *)greet, .name = "polite"};

char LICENSE[] SEC("license") = "Dual BSD/GPL";
