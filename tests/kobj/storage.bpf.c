/* Storage beside tasks, inodes, cgroups and sockets: whose it may be. */
#include "kobj.h"

char LICENSE[] SEC("license") = "GPL";

struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, long);
} tasks SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_INODE_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, long);
} inodes SEC(".maps");

static long *(*task_storage_get)(void *map, struct task_struct *task, void *value, __u64 flags) = (void *)156;
static long (*task_storage_delete)(void *map, struct task_struct *task) = (void *)157;
static long *(*inode_storage_get)(void *map, struct inode *inode, void *value, __u64 flags) = (void *)145;

SEC("tp_btf/sched_switch")
int BPF_PROG(ok_task, bool preempt, struct task_struct *prev)
{
    long *value = task_storage_get(&tasks, prev, 0, 1);

    if (value)
        *value += 1;
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(null_check_missing__value, bool preempt, struct task_struct *prev)
{
    *task_storage_get(&tasks, prev, 0, 1) = 1;
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(ok_no_task, bool preempt, struct task_struct *prev)
{
    out = task_storage_delete(&tasks, 0);
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(ok_task_that_may_be_null, bool preempt, struct task_struct *prev)
{
    struct task_struct *t = bpf_task_from_pid(1);

    task_storage_get(&tasks, t, 0, 0);
    if (t)
        bpf_task_release(t);
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(ok_begins_with, bool preempt, struct task_struct *prev)
{
    long first = 7;

    task_storage_get(&tasks, prev, &first, 1);
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(ok_protected_by_rcu, bool preempt, struct task_struct *prev)
{
    task_storage_get(&tasks, prev->real_parent, 0, 1);
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(helper_argument__a_number, bool preempt, struct task_struct *prev)
{
    task_storage_get(&tasks, (void *)(long)preempt, 0, 1);
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(helper_argument__another_object, bool preempt, struct task_struct *prev)
{
    task_storage_get(&tasks, (void *)prev->mm, 0, 1);
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(helper_map_type__of_tasks, bool preempt, struct task_struct *prev)
{
    task_storage_get(&inodes, prev, 0, 1);
    return 0;
}

SEC("lsm/file_open")
int BPF_PROG(ok_inode, struct file *file)
{
    long *value = inode_storage_get(&inodes, file->f_inode, 0, 1);

    if (value)
        *value = 1;
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(helper_not_allowed__inode, bool preempt, struct task_struct *prev)
{
    inode_storage_get(&inodes, 0, 0, 1);
    return 0;
}
