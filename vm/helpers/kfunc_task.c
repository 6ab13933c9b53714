/*
 * Kernel functions on the run: sections, tasks, control groups. A run is alone with its world, so that locks and
 * reference counts of kernel objects have nothing to do: what is acquired stays as long as the world.
 */
#include "vm/helpers/kfunc.h"
#include "vm/world/world.h"

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

KFUNC_BODY(bpf_local_irq_save)
{
    memset(helper_ptr(a1), 0, sizeof(uint64_t));
    return 0;
}

KFUNC_BODY(bpf_local_irq_restore)
{
    return 0;
}

/* Goes up through every frame as a trap does; env_run() makes a result of it. */
KFUNC_BODY(bpf_throw)
{
    return env_trap(env, TRAP_exception, a1, 0, "%s", "");
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

KFUNC_BODY(bpf_task_from_pid)
{
    const struct world_task *task = env->world ? world_task_by_pid(env->world, (uint32_t)a1) : NULL;

    if (task)
        return task->addr;
    return (uint32_t)a1 == env_task(env)->pid ? env_task(env)->addr : 0;
}

/* By its number in the namespace of the task that runs. */
KFUNC_BODY(bpf_task_from_vpid)
{
    const struct world *w = env->world;
    const struct world_ns *ns = env->current ? env->current->ns[WORLD_NS_PID] : NULL;

    if (!ns)
        return kfunc_bpf_task_from_pid(env, a1, a2, a3, a4, a5);
    for (uint32_t i = 0; i < w->n_tasks; i++)
        if (w->tasks[i].ns[WORLD_NS_PID] == ns && w->tasks[i].ns_pid == (uint32_t)a1)
            return w->tasks[i].addr;
    return 0;
}

KFUNC_BODY(bpf_task_under_cgroup)
{
    const struct world_task *task = env->world ? world_task_at(env->world, a1) : NULL;
    const struct world_cgroup *under = env->world ? world_cgroup_at(env->world, a2) : NULL;

    return task && under && world_cgroup_above(task->cgroup, under->level) == under;
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

KFUNC_BODY(bpf_cgroup_ancestor)
{
    const struct world_cgroup *c = env->world ? world_cgroup_at(env->world, a1) : NULL;

    c = (int32_t)a2 < 0 ? NULL : world_cgroup_above(c, (uint32_t)a2);
    return c ? c->addr : 0;
}

KFUNC_BODY(bpf_cgroup_from_id)
{
    const struct world_cgroup *c = env->world ? world_cgroup_by_id(env->world, a1) : NULL;

    return c ? c->addr : 0;
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
