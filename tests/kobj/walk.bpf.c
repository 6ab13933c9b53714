/* Loads through kernel objects, and what may be done with what they yield. */
#include "kobj.h"

char LICENSE[] SEC("license") = "GPL";

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, int);
    __type(
        value, struct {
            char comm[16];
            long n;
        });
} seen SEC(".maps");

SEC("tp_btf/sched_switch")
int BPF_PROG(ok_chain, bool preempt, struct task_struct *prev, struct task_struct *next)
{
    out = prev->real_parent->pid + next->group_leader->tgid;
    out += (long)next->mm->exe_file->f_inode->i_ino;
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(ok_array, bool preempt, struct task_struct *prev, struct task_struct *next)
{
    int key = 0;
    typeof(*(struct {
        char comm[16];
        long n;
    } *)0) *v = bpf_map_lookup_elem(&seen, &key);

    if (v)
        v->comm[0] = prev->comm[3];
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(kernel_field__past_the_end, bool preempt, struct task_struct *prev)
{
    out = *(volatile int *)((char *)prev + (1 << 20));
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(mem_out_of_bounds__before_the_start, bool preempt, struct task_struct *prev)
{
    out = *(volatile int *)((char *)prev - 8);
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(kernel_field__part_of_a_pointer, bool preempt, struct task_struct *prev)
{
    out = *(volatile int *)&prev->mm;
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(read_only_memory__written, bool preempt, struct task_struct *prev)
{
    prev->pid = 1;
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(mem_out_of_bounds__by_index, bool preempt, struct task_struct *prev)
{
    out = ((volatile char *)prev->comm)[bpf_get_prandom_u32() & 7];
    return 0;
}

SEC("fentry/vfs_read")
int BPF_PROG(ok_pointer_to_data, struct file *file)
{
    out = *(volatile long *)((char *)file->private_data + 4000);
    return 0;
}

SEC("fentry/vfs_read")
int BPF_PROG(read_only_memory__data, struct file *file)
{
    *(volatile long *)file->private_data = 1;
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(ok_compared_with_null, bool preempt, struct task_struct *prev, struct task_struct *next)
{
    struct mm_struct *mm = next->mm;

    if (mm)
        out = (long)mm->start_stack;
    return 0;
}

SEC("raw_tp/sched_switch")
int ok_number(struct bpf_raw_tracepoint_args *ctx)
{
    out = (long)ctx->args[1];
    return 0;
}

/* What a run reads there: the world's task, its parent, and nothing where there is nothing. */
SEC("tp_btf/sched_switch")
int BPF_PROG(ok_read, bool preempt, struct task_struct *prev, struct task_struct *next)
{
    return prev->pid + prev->real_parent->pid * 100 + prev->comm[1] * 10000 + next->mm->exe_file->f_inode->i_ino;
}
