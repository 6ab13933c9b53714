/* Kernel functions: sections that begin and end, references, and how far their arguments must be trusted. */
#include "kobj.h"

char LICENSE[] SEC("license") = "GPL";

SEC("tp_btf/sched_switch")
int BPF_PROG(ok_section, bool preempt, struct task_struct *prev)
{
    bpf_rcu_read_lock();
    out = prev->real_parent->pid;
    bpf_rcu_read_unlock();
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(section_open__at_the_end, bool preempt, struct task_struct *prev)
{
    bpf_rcu_read_lock();
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(section_closed__without_begin, bool preempt, struct task_struct *prev)
{
    bpf_rcu_read_unlock();
    return 0;
}

SEC("tc")
int section_open__preemption(struct __sk_buff *skb)
{
    bpf_preempt_disable();
    bpf_preempt_disable();
    bpf_preempt_enable();
    return 0;
}

SEC("tc")
int ok_preemption(struct __sk_buff *skb)
{
    bpf_preempt_disable();
    bpf_preempt_enable();
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(ok_acquired, bool preempt, struct task_struct *prev)
{
    struct task_struct *t = bpf_task_acquire(prev);

    if (!t)
        return 0;
    out = t->pid;
    bpf_task_release(t);
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(reference_leak__task, bool preempt, struct task_struct *prev)
{
    struct task_struct *t = bpf_task_acquire(prev);

    if (t)
        out = t->pid;
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(null_check_missing__task, bool preempt, struct task_struct *prev)
{
    bpf_task_release(bpf_task_acquire(prev));
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(reference_released__argument, bool preempt, struct task_struct *prev)
{
    bpf_task_release(prev);
    return 0;
}

SEC("fentry/wake_up_new_task")
int BPF_PROG(untrusted_pointer__argument, struct task_struct *task)
{
    struct task_struct *t = bpf_task_acquire(task);

    if (t)
        bpf_task_release(t);
    return 0;
}

SEC("tc")
int ok_from_pid(struct __sk_buff *skb)
{
    struct task_struct *t = bpf_task_from_pid(1);

    if (!t)
        return 0;
    out = t->tgid;
    bpf_task_release(t);
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(untrusted_pointer__a_member, bool preempt, struct task_struct *prev)
{
    bpf_task_release((void *)prev->mm);
    return 0;
}

SEC("kprobe/do_nanosleep")
int helper_not_allowed__kprobe(void *ctx)
{
    struct task_struct *t = bpf_task_from_pid(1);

    if (t)
        bpf_task_release(t);
    return 0;
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(helper_argument__another_type, struct sk_buff *skb)
{
    struct task_struct *t = bpf_task_acquire((void *)skb);

    if (t)
        bpf_task_release(t);
    return 0;
}
