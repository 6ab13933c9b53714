/*
 * What the run's world says of its task, CPU and hook: values out of the environment, with Linux's packing.
 */
#include "vm/ctx/hook.h"
#include "vm/helpers/helper.h"
#include "vm/world/world.h"

HELPER_BODY(get_current_pid_tgid)
{
    const struct env_task *task = env_task(env);

    return (uint64_t)task->tgid << 32 | task->pid;
}

HELPER_BODY(get_current_uid_gid)
{
    const struct env_task *task = env_task(env);

    return (uint64_t)task->gid << 32 | task->uid;
}

HELPER_BODY(get_current_comm)
{
    const struct env_task *task = env_task(env);
    uint32_t size = (uint32_t)a2, len = (uint32_t)strnlen(task->comm, sizeof(task->comm) - 1);
    char *out = helper_ptr(a1);

    if (!size)
        return 0;
    if (len >= size)
        len = size - 1;
    memcpy(out, task->comm, len);
    memset(out + len, 0, size - len);
    return 0;
}

HELPER_BODY(get_current_task)
{
    return env->task.addr;
}

HELPER_BODY(get_current_task_btf)
{
    return env->task.addr;
}

HELPER_BODY(get_current_cgroup_id)
{
    return env->cgroup_id;
}

/* The cgroup that the task is in, as long as nothing else was said; NULL: the world does not know it. */
static const struct world_cgroup *own_cgroup(const struct skep_env *env)
{
    const struct world_cgroup *c = env->current ? env->current->cgroup : NULL;

    return c && c->id == env->cgroup_id ? c : NULL;
}

/* Without a world there is one cgroup below the root, which is level 0 and has number 1. */
HELPER_BODY(get_current_ancestor_cgroup_id)
{
    const struct world_cgroup *c = own_cgroup(env);
    int32_t level = (int32_t)a1;

    if (level < 0)
        return 0;
    if (!c)
        return level == 0 ? 1 : level == 1 ? env->cgroup_id : 0;
    c = world_cgroup_above(c, (uint32_t)level);
    return c ? c->id : 0;
}

HELPER_BODY(current_task_under_cgroup)
{
    const struct map *map = helper_map(a1);
    uint32_t index = (uint32_t)a2, number;

    if (index >= map->def.max_entries)
        return helper_error(-E2BIG);
    number = map_cgroup_at(map, index);
    if (!number)
        return helper_error(-EAGAIN);
    for (const struct world_cgroup *c = own_cgroup(env); c; c = c->parent)
        if (c->id == number)
            return 1;
    return number == 1 || number == env->cgroup_id;
}

/* Where the world does not say which namespace the task is in, it is whichever a program asks for: its loader found the
 * numbers out on another machine. */
HELPER_BODY(get_ns_current_pid_tgid)
{
    const struct world_ns *ns = env->current ? env->current->ns[WORLD_NS_PID] : NULL;
    const struct env_task *task = env_task(env);
    uint32_t ids[2] = {task->pid, task->tgid};

    if ((uint32_t)a4 != sizeof(ids) || a1 != (uint32_t)a1 || (ns && (ns->inum != a2 || (ns->dev && ns->dev != a1)))) {
        memset(helper_ptr(a3), 0, (uint32_t)a4);
        return helper_error(-EINVAL);
    }
    if (ns && task->pid == env->current->pid) {
        ids[0] = env->current->ns_pid;
        ids[1] = env->current->ns_tgid;
    }
    memcpy(helper_ptr(a3), ids, sizeof(ids));
    return 0;
}

HELPER_BODY(get_smp_processor_id)
{
    return env->cpu;
}

HELPER_BODY(get_numa_node_id)
{
    return 0;
}

HELPER_BODY(get_prandom_u32)
{
    return (uint32_t)env_random(env);
}

/* Signals reach nobody: the task of a run is a description. Linux refuses numbers that no signal has. */
HELPER_BODY(send_signal)
{
    return (uint32_t)a1 > 64 ? helper_error(-EINVAL) : 0;
}

HELPER_BODY(send_signal_thread)
{
    return (uint32_t)a1 > 64 ? helper_error(-EINVAL) : 0;
}

HELPER_BODY(get_attach_cookie)
{
    return env->attach_cookie;
}

HELPER_BODY(get_func_ip)
{
    return env->func_ip;
}

HELPER_BODY(get_retval)
{
    return (uint64_t)(int64_t)*hook_retval(env);
}

HELPER_BODY(set_retval)
{
    *hook_retval(env) = (int32_t)a1;
    return 0;
}

/* No context asks for the first namespace that there is. */
HELPER_BODY(get_netns_cookie)
{
    const struct world *w = env->world;
    const struct world_ns *ns = a1 && env->current ? env->current->ns[WORLD_NS_NET] : NULL;

    for (uint32_t i = 0; w && !a1 && !ns && i < w->n_namespaces; i++)
        if (w->namespaces[i].kind == WORLD_NS_NET)
            ns = &w->namespaces[i];
    if (env->netns_cookie && a1)
        return env->netns_cookie;
    return ns ? ns->cookie : 1;
}
