/* What programs keep beside the objects of a world. */
#include "kernel.h"

struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, long);
} tasks SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_CGRP_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, long);
} cgroups SEC(".maps");

static long *(*storage_of)(void *map, struct task_struct *task, void *value, __u64 flags) = (void *)156;
static long (*storage_delete)(void *map, struct task_struct *task) = (void *)157;
static long *(*storage_of_cgroup)(void *map, struct cgroup *cgroup, void *value, __u64 flags) = (void *)210;
static struct task_struct *(*current)(void) = (void *)158;

long got[4];

SEC("raw_tp/sched_switch")
int beside(void *ctx)
{
    struct task_struct *t = current();
    long first = 100, *value;

    value = storage_of(&tasks, t, 0, 0);
    got[0] = value ? *value : -1;
    value = storage_of(&tasks, t, 0, 1);
    if (value)
        *value += 1;
    value = storage_of(&tasks, t->real_parent, &first, 1);
    if (value)
        *value += 10;
    value = storage_of_cgroup(&cgroups, t->cgroups->dfl_cgrp, &first, 1);
    if (value)
        *value += 5;
    got[1] = storage_delete(&tasks, t->group_leader);
    got[2] = storage_of(&tasks, t, 0, 2) ? 1 : 0;
    return 0;
}
