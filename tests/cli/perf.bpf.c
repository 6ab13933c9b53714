/* One program, which sends a sample, jumps through a table and looks into a map of maps. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct sample {
    __u64 time;
    __u32 cpu, kind;
};

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
} inner SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
    __uint(max_entries, 4);
    __type(key, __u32);
    __array(values, struct one);
} outer SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 2);
    __uint(key_size, 4);
    __uint(value_size, 4);
} jumps SEC(".maps");

const struct sample *unused __attribute__((unused));

SEC("tracepoint/sched/sched_switch") int start(void *ctx)
{
    struct sample s = {.time = bpf_ktime_get_ns(), .cpu = bpf_get_smp_processor_id(), .kind = 7};
    __u32 key = 5, zero = 0, *value;
    void *map;
    bpf_perf_event_output(ctx, &samples, BPF_F_CURRENT_CPU, &s, sizeof(s));
    bpf_tail_call(ctx, &jumps, 1);
    map = bpf_map_lookup_elem(&outer, &key);
    value = map ? bpf_map_lookup_elem(map, &zero) : 0;
    return value ? *value : 1;
}

SEC("tracepoint/sched/sched_switch") int end(void *ctx)
{
    return 99;
}

char LICENSE[] SEC("license") = "GPL";
