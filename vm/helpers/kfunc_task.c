/*
 * Kernel functions on the run: sections, tasks, control groups. A run is alone with its world, so that locks and
 * reference counts of kernel objects have nothing to do: what is acquired stays as long as the world.
 */
#include "vm/helpers/kfunc.h"

KFUNC_BODY(bpf_rcu_read_lock)
{
    return 0;
}

KFUNC_BODY(bpf_rcu_read_unlock)
{
    return 0;
}

KFUNC_BODY(bpf_preempt_disable)
{
    return 0;
}

KFUNC_BODY(bpf_preempt_enable)
{
    return 0;
}

/* The kernel's own form of a context is not there: whoever reads it finds nothing. */
KFUNC_BODY(bpf_cast_to_kern_ctx)
{
    return 0;
}

KFUNC_BODY(bpf_rdonly_cast)
{
    return a1;
}

KFUNC_BODY(bpf_task_acquire)
{
    return a1;
}

KFUNC_BODY(bpf_task_release)
{
    return 0;
}

/* The task that runs is the one that the world is sure to have. */
KFUNC_BODY(bpf_task_from_pid)
{
    const struct env_task *task = env_task(env);

    return (uint32_t)a1 == task->pid ? task->addr : 0;
}

KFUNC_BODY(bpf_task_from_vpid)
{
    return kfunc_bpf_task_from_pid(env, a1, a2, a3, a4, a5);
}

/* Nothing says which task is in which group but the group of the task that runs. */
KFUNC_BODY(bpf_task_under_cgroup)
{
    return 0;
}

/* Signals reach nobody, as with bpf_send_signal. */
KFUNC_BODY(bpf_send_signal_task)
{
    return (uint32_t)a2 > 64 || (a3 != 0 && a3 != 1) ? helper_error(-EINVAL) : 0;
}

KFUNC_BODY(bpf_cgroup_acquire)
{
    return a1;
}

KFUNC_BODY(bpf_cgroup_release)
{
    return 0;
}

/* No structure of a control group is known by its number or its level. */
KFUNC_BODY(bpf_cgroup_ancestor)
{
    return 0;
}

KFUNC_BODY(bpf_cgroup_from_id)
{
    return 0;
}

/* The driver of a run's interface tells nothing beside the packet. */
KFUNC_BODY(bpf_xdp_metadata_rx_timestamp)
{
    return helper_error(-EOPNOTSUPP);
}

KFUNC_BODY(bpf_xdp_metadata_rx_hash)
{
    return helper_error(-EOPNOTSUPP);
}

KFUNC_BODY(bpf_xdp_metadata_rx_vlan_tag)
{
    return helper_error(-EOPNOTSUPP);
}
