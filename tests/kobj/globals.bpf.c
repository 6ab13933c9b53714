/* Global functions that take kernel objects: what their tags promise is asked of callers and relied upon inside. */
#include "kobj.h"

char LICENSE[] SEC("license") = "GPL";

#define TAG(x) __attribute__((btf_decl_tag("arg:" #x)))

struct task_struct___mine {
    int pid;
} KERNEL;

__attribute__((noinline)) int pid_of(struct task_struct *task TAG(trusted))
{
    return task->pid;
}

__attribute__((noinline)) int pid_or_0(struct task_struct *task TAG(trusted) TAG(nullable))
{
    return task ? task->pid : 0;
}

__attribute__((noinline)) int pid_untested(struct task_struct *task TAG(trusted) TAG(nullable))
{
    return task->pid;
}

__attribute__((noinline)) int pid_flavor(struct task_struct___mine *task TAG(trusted))
{
    return task->pid;
}

__attribute__((noinline)) int released(struct task_struct *task TAG(trusted))
{
    bpf_task_release(task);
    return 0;
}

__attribute__((noinline)) int any_pid(struct task_struct *task TAG(untrusted))
{
    return task->pid;
}

__attribute__((noinline)) int any_number(int *p TAG(untrusted))
{
    return p[10];
}

__attribute__((noinline)) int any_written(int *p TAG(untrusted))
{
    p[0] = 1;
    return 0;
}

__attribute__((noinline)) int both_tags(struct task_struct *task TAG(trusted) TAG(nonnull))
{
    return task->pid;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(ok_trusted, bool preempt, struct task_struct *prev)
{
    return pid_of(prev) + pid_or_0(prev) + pid_or_0(0) + pid_flavor((void *)prev);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(null_check_missing__in_the_function, bool preempt, struct task_struct *prev)
{
    return pid_untested(prev);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(helper_argument__null, bool preempt, struct task_struct *prev)
{
    return pid_of(0);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(null_check_missing__argument, bool preempt, struct task_struct *prev)
{
    struct task_struct *t = bpf_task_from_pid(1);
    int pid = pid_of(t);

    if (t)
        bpf_task_release(t);
    return pid;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(ok_member, bool preempt, struct task_struct *prev)
{
    return pid_of(prev->group_leader);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(helper_argument__another_type, bool preempt, struct task_struct *prev)
{
    return pid_of((void *)prev->mm);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(reference_released__in_the_function, bool preempt, struct task_struct *prev)
{
    return released(prev);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(ok_untrusted, bool preempt, struct task_struct *prev)
{
    int local = 3;

    return any_pid(prev) + any_pid(0) + any_pid((void *)prev->mm) + any_number(&local) + any_number((int *)prev);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(read_only_memory__untrusted, bool preempt, struct task_struct *prev)
{
    return any_written((int *)prev);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(global_prototype__tags, bool preempt, struct task_struct *prev)
{
    return both_tags(prev);
}
