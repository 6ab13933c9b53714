/* Iterators: a line a task, and the sum of a map's elements. */
#include "kernel.h"

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8);
    __type(key, __u32);
    __type(value, __u64);
} numbers SEC(".maps");
__u64 sum;
int last;

SEC("iter/task")
int tasks(struct bpf_iter__task *ctx)
{
    static const char fmt[] = "%4llu %d %s\n", end[] = "end\n";
    struct task_struct *t = ctx->task;
    struct seq_file *seq = ctx->meta->seq;
    __u64 args[3];

    if (!t) {
        bpf_seq_write(seq, end, sizeof(end) - 1);
        return 0;
    }
    args[0] = ctx->meta->seq_num;
    args[1] = t->pid;
    args[2] = (__u64)&t->comm;
    bpf_seq_printf(seq, fmt, sizeof(fmt), args, sizeof(args));
    return t->pid == 2; /* dropped */
}

SEC("iter/bpf_map_elem")
int elements(struct bpf_iter__bpf_map_elem *ctx)
{
    __u32 *key = ctx->key;
    __u64 *value = ctx->value;

    if (!key || !value) {
        last++;
        return 0;
    }
    sum += *key * *value;
    return 0;
}
