/* Arguments by the prototype of the hook. A program's name says the verdict: ok_..., or the reason before "__". */
#include "kobj.h"

char LICENSE[] SEC("license") = "GPL";

SEC("tp_btf/sched_switch")
int BPF_PROG(ok_tracepoint, bool preempt, struct task_struct *prev, struct task_struct *next)
{
    out = prev->pid + next->tgid + preempt;
    return 0;
}

SEC("fentry/tcp_connect")
int BPF_PROG(ok_function, struct sock *sk)
{
    out = sk->__sk_common.skc_family;
    return 0;
}

SEC("fexit/vfs_read")
int BPF_PROG(ok_returned, struct file *file, char *buf, unsigned long n, long long *pos, long ret)
{
    out = ret + (long)file->f_inode->i_ino;
    return 0;
}

SEC("lsm/file_open")
int BPF_PROG(ok_lsm, struct file *file, int ret)
{
    if (ret)
        return ret;
    out = (long)file->f_inode->i_ino;
    return 0;
}

SEC("lsm/file_open")
int BPF_PROG(return_value__lsm, struct file *file)
{
    return 1;
}

SEC("fmod_ret/bpf_modify_return_test")
int BPF_PROG(ok_replaced, int a, int *b, int ret)
{
    return a + ret;
}

SEC("iter/task")
int ok_iterator(struct bpf_iter__task *ctx)
{
    struct task_struct *task = ctx->task;

    if (task)
        out += task->pid;
    out += (long)ctx->meta->session_id;
    return 0;
}

SEC("iter/task")
int null_check_missing__iterator(struct bpf_iter__task *ctx)
{
    out += ctx->task->pid;
    return 0;
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(ok_tested, struct sk_buff *skb, void *at, int reason, struct sock *rx)
{
    if (rx)
        out = rx->__sk_common.skc_family;
    return 0;
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(null_check_missing__argument, struct sk_buff *skb, void *at, int reason, struct sock *rx)
{
    out = rx->__sk_common.skc_family;
    return 0;
}

SEC("fentry/tcp_connect")
int ctx_access__no_such_argument(__u64 *ctx)
{
    out = (long)ctx[1];
    return 0;
}

SEC("fentry/vfs_read")
int ctx_access__result_before_it_is_there(__u64 *ctx)
{
    out = (long)ctx[4];
    return 0;
}

SEC("fentry/tcp_connect")
int ctx_access__part_of_a_pointer(__u32 *ctx)
{
    out = ctx[0];
    return 0;
}

struct bpf_map;
struct bpf_iter__bpf_map_elem {
    struct bpf_iter_meta *meta;
    struct bpf_map *map;
    void *key, *value;
} KERNEL;

SEC("iter/bpf_map_elem")
int ok_element(struct bpf_iter__bpf_map_elem *ctx)
{
    int *key = ctx->key;
    long *value = ctx->value;

    if (!key || !value)
        return 0;
    *value = *key;
    bpf_seq_write(ctx->meta->seq, value, sizeof(*value));
    return 0;
}

SEC("iter/bpf_map_elem")
int null_check_missing__element(struct bpf_iter__bpf_map_elem *ctx)
{
    out = *(int *)ctx->key;
    return 0;
}

SEC("iter/bpf_map_elem")
int read_only_memory__element(struct bpf_iter__bpf_map_elem *ctx)
{
    int *key = ctx->key;

    if (key)
        *key = 0;
    return 0;
}

SEC("iter/bpf_map_elem")
int mem_out_of_bounds__element(struct bpf_iter__bpf_map_elem *ctx)
{
    char *value = ctx->value;

    if (value)
        out = value[bpf_get_prandom_u32() & 7];
    return 0;
}

SEC("iter/task")
int ok_object_as_memory(struct bpf_iter__task *ctx)
{
    struct task_struct *task = ctx->task;

    if (task)
        bpf_seq_write(ctx->meta->seq, task->comm, sizeof(task->comm));
    return 0;
}

SEC("iter/task")
int kernel_field__more_than_a_member(struct bpf_iter__task *ctx)
{
    struct task_struct *task = ctx->task;

    if (task)
        bpf_seq_write(ctx->meta->seq, task->comm, sizeof(task->comm) + 1);
    return 0;
}

SEC("iter/task")
int read_only_memory__object_for_a_helper(struct bpf_iter__task *ctx)
{
    struct task_struct *task = ctx->task;

    if (task)
        bpf_get_current_comm(task->comm, sizeof(task->comm));
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(helper_argument__member_as_memory, bool preempt, struct task_struct *prev)
{
    return bpf_trace_printk((void *)prev->mm, 8);
}
