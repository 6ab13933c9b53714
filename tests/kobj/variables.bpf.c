/* Variables of the kernel by their types, what each CPU has of one, and fields of maps. */
#include "kobj.h"

char LICENSE[] SEC("license") = "GPL";

struct rq {
    unsigned int nr_running;
    struct task_struct *curr;
} KERNEL;
extern const struct rq runqueues __ksym;
extern const int bpf_prog_active __ksym;
extern const void init_task_of_no_type __ksym __weak;

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 5);
    __type(key, int);
    __type(value, long);
} array SEC(".maps");

struct bpf_map {
    unsigned int key_size, value_size, max_entries;
} KERNEL;
struct bpf_array {
    struct bpf_map map;
    unsigned int elem_size, index_mask;
} KERNEL;

SEC("raw_tp/sys_enter")
int ok_this_cpu(void *ctx)
{
    struct rq *rq = bpf_this_cpu_ptr(&runqueues);
    int *active = bpf_this_cpu_ptr(&bpf_prog_active);

    out = rq->nr_running * 100 + rq->curr->pid * 10 + *active;
    return out;
}

SEC("raw_tp/sys_enter")
int ok_other_cpu(void *ctx)
{
    struct rq *rq = bpf_per_cpu_ptr(&runqueues, 1);
    int *active = bpf_per_cpu_ptr(&bpf_prog_active, 0);

    if (!rq || !active)
        return -1;
    return rq->nr_running;
}

SEC("raw_tp/sys_enter")
int ok_no_such_cpu(void *ctx)
{
    return bpf_per_cpu_ptr(&runqueues, 100000) ? 1 : 2;
}

SEC("raw_tp/sys_enter")
int null_check_missing__other_cpu(void *ctx)
{
    return ((struct rq *)bpf_per_cpu_ptr(&runqueues, 1))->nr_running;
}

SEC("raw_tp/sys_enter")
int untrusted_pointer__variable_itself(void *ctx)
{
    return runqueues.nr_running;
}

SEC("raw_tp/sys_enter")
int read_only_memory__number(void *ctx)
{
    int *active = bpf_this_cpu_ptr(&bpf_prog_active);

    *active = 1;
    return 0;
}

SEC("raw_tp/sys_enter")
int mem_out_of_bounds__number(void *ctx)
{
    int *active = bpf_this_cpu_ptr(&bpf_prog_active);

    return active[1];
}

SEC("raw_tp/sys_enter")
int helper_argument__no_variable(void *ctx)
{
    long local = 0;

    return bpf_this_cpu_ptr(&local) ? 1 : 0;
}

SEC("raw_tp/sys_enter")
int helper_argument__of_another_cpu(void *ctx)
{
    return bpf_this_cpu_ptr(bpf_this_cpu_ptr(&runqueues)) ? 1 : 0;
}

SEC("raw_tp/sys_enter")
int ok_untyped(void *ctx)
{
    return &init_task_of_no_type ? 1 : 2;
}

SEC("tc")
int ok_map_fields(struct __sk_buff *skb)
{
    struct bpf_array *a = (struct bpf_array *)&array;

    return a->map.max_entries * 1000 + a->map.value_size * 100 + a->elem_size * 10 + a->index_mask;
}

SEC("tc")
int read_only_memory__map(struct __sk_buff *skb)
{
    ((struct bpf_array *)&array)->map.max_entries = 1;
    return 0;
}

SEC("tc")
int kernel_field__past_a_member(struct __sk_buff *skb)
{
    return *(long *)&((struct bpf_array *)&array)->map.max_entries;
}
