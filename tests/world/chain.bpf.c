/* Chains of pointers from the current task, memory of its process, and what is not there. */
#include "kernel.h"

int pid, parent, uid, level, leader;
char comm[16], parent_comm[16], cgroup[16], arg[16];
__u64 cgroup_id, ids;
long arg_len, past, nowhere;

SEC("raw_tp/sched_switch")
int chain(void *ctx)
{
    struct task_struct *t = (void *)bpf_get_current_task();
    struct task_struct *up;
    const char *name;
    char byte;

    ids = bpf_get_current_pid_tgid();
    bpf_get_current_comm(comm, sizeof(comm));
    pid = BPF_CORE_READ(t, pid);
    parent = BPF_CORE_READ(t, real_parent, tgid);
    leader = BPF_CORE_READ(t, group_leader, pid);
    uid = BPF_CORE_READ(t, cred, uid.val);
    level = BPF_CORE_READ(t, cgroups, dfl_cgrp, level);
    up = BPF_CORE_READ(t, real_parent);
    bpf_core_read_str(parent_comm, sizeof(parent_comm), &up->comm);
    name = BPF_CORE_READ(t, cgroups, dfl_cgrp, kn, name);
    bpf_probe_read_kernel_str(cgroup, sizeof(cgroup), name);
    cgroup_id = bpf_get_current_cgroup_id();
    arg_len = bpf_probe_read_user_str(arg, sizeof(arg), (void *)BPF_CORE_READ(t, mm, arg_start));
    past = bpf_probe_read_kernel(&byte, 1, (void *)t + bpf_core_type_size(struct task_struct));
    nowhere = bpf_probe_read_kernel(&byte, 1, BPF_CORE_READ(t, stack));
    return 0;
}
