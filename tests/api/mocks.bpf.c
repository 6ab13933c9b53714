/* What test_mocks.c runs: calls that engines would do themselves, and others, in programs that are verified. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u64);
} numbers SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8);
    __type(key, __u32);
    __type(value, __u64);
} table SEC(".maps");

struct task_struct;
extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern void bpf_task_release(struct task_struct *task) __ksym;
extern int skep_no_such_function(int n) __ksym __weak;

volatile __u64 got[8];

/* Time, CPU, random numbers and lookups: what is inlined. */
SEC("tc")
int inlined(struct __sk_buff *skb)
{
    __u32 key = bpf_get_smp_processor_id() & 3, hashed = 7;
    __u64 *value = bpf_map_lookup_elem(&numbers, &key);

    got[0] = bpf_ktime_get_ns();
    got[1] = bpf_get_prandom_u32();
    got[2] = key;
    if (value)
        *value += 1;
    value = bpf_map_lookup_elem(&table, &hashed);
    got[3] = value ? *value : 1000;
    return 0;
}

SEC("tc")
int updates(struct __sk_buff *skb)
{
    __u32 failed = 0;

#pragma unroll
    for (int i = 0; i < 4; i++) {
        __u32 key = i;
        __u64 value = i;

        if (bpf_map_update_elem(&table, &key, &value, BPF_ANY))
            failed |= 1 << i;
    }
    return failed;
}

SEC("tc")
int filled(struct __sk_buff *skb)
{
    __u64 word = 1;

    got[0] = bpf_skb_load_bytes(skb, 0, &word, sizeof(word));
    got[1] = word;
    return 0;
}

SEC("tp_btf/task_newtask")
int function(__u64 *ctx)
{
    struct task_struct *task = bpf_task_from_pid(77);

    got[0] = task != 0;
    if (task)
        bpf_task_release(task);
    return 0;
}

SEC("tc")
int unknown(struct __sk_buff *skb)
{
    return skep_no_such_function(5);
}

char LICENSE[] SEC("license") = "GPL";
