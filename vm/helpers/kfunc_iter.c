/*
 * Iterators, in the places of the program's stack that it calls struct bpf_iter_*. What stands there is whatever the
 * program left there (checked runs call in any order), so that each field is looked at before it is used: indices into
 * what the world has, and no address. Bits of more than one word lie in env->iter_bits, as long as the run.
 */
#include "vm/helpers/kfunc.h"
#include "vm/world/world.h"

enum { MAX_LOOPS = 8 * 1024 * 1024, MAX_WORDS = 511, WORD_BITS = 64 };

/* Numbers. */
struct iter_num {
    int32_t cur, end;
};
_Static_assert(sizeof(struct iter_num) == 8, "as struct bpf_iter_num");

KFUNC_BODY(bpf_iter_num_new)
{
    struct iter_num *it = helper_ptr(a1);
    int32_t start = (int32_t)a2, end = (int32_t)a3;
    int64_t count = (int64_t)end - start;

    it->cur = it->end = 0;
    if (count < 0)
        return helper_error(-EINVAL);
    if (count > MAX_LOOPS)
        return helper_error(-E2BIG);
    it->cur = (int32_t)((uint32_t)start - 1);
    it->end = end;
    return 0;
}

KFUNC_BODY(bpf_iter_num_next)
{
    struct iter_num *it = helper_ptr(a1);
    int32_t next = (int32_t)((uint32_t)it->cur + 1);

    if (next >= it->end) {
        it->cur = it->end = 0;
        return 0;
    }
    it->cur = next;
    return (uintptr_t)&it->cur;
}

KFUNC_BODY(bpf_iter_num_destroy)
{
    memset(helper_ptr(a1), 0, sizeof(struct iter_num));
    return 0;
}

/* Bits that are set. */
struct iter_bits {
    uint64_t bits; /* one word, or where more stand in env->iter_bits */
    int32_t n, bit;
};
_Static_assert(sizeof(struct iter_bits) == 16, "as struct bpf_iter_bits");

KFUNC_BODY(bpf_iter_bits_new)
{
    struct iter_bits *it = helper_ptr(a1);
    uint64_t words = (uint32_t)a3, bytes = words * sizeof(uint64_t);
    const void *from;

    *it = (struct iter_bits){.bit = -1};
    if (!a2 || !words)
        return helper_error(-EINVAL);
    if (words > MAX_WORDS)
        return helper_error(-E2BIG);
    from = env_probe(env, a2, bytes, ENV_MEM_KERNEL);
    if (!from)
        return helper_error(-EFAULT);
    if (words == 1) {
        memcpy(&it->bits, from, bytes);
    } else {
        it->bits = env->iter_bits.len;
        buf_add(&env->iter_bits, from, bytes);
        if (env->iter_bits.failed)
            return helper_error(-ENOMEM);
    }
    it->n = (int32_t)(words * WORD_BITS);
    return 0;
}

/* The words; NULL: there are none. */
static const char *words_of(const struct skep_env *env, const struct iter_bits *it)
{
    uint64_t bytes = (uint64_t)(uint32_t)it->n / 8;

    if (it->n <= 0 || it->n > MAX_WORDS * WORD_BITS || it->n % WORD_BITS)
        return NULL;
    if (it->n == WORD_BITS)
        return (const char *)&it->bits;
    return it->bits <= env->iter_bits.len && env->iter_bits.len - it->bits >= bytes ? env->iter_bits.data + it->bits
                                                                                    : NULL;
}

KFUNC_BODY(bpf_iter_bits_next)
{
    struct iter_bits *it = helper_ptr(a1);
    const char *words = words_of(env, it);

    if (!words || it->bit < -1 || it->bit >= it->n)
        return 0;
    while (++it->bit < it->n) {
        uint64_t word;

        memcpy(&word, words + it->bit / WORD_BITS * (int)sizeof(word), sizeof(word));
        word >>= it->bit % WORD_BITS;
        if (word) {
            it->bit += __builtin_ctzll(word);
            return (uintptr_t)&it->bit;
        }
        it->bit |= WORD_BITS - 1;
    }
    return 0;
}

/* Iterators mostly end in the opposite order: then their words go. */
KFUNC_BODY(bpf_iter_bits_destroy)
{
    struct iter_bits *it = helper_ptr(a1);
    uint64_t bytes = (uint64_t)(uint32_t)it->n / 8;

    if (it->n > WORD_BITS && words_of(env, it) && it->bits + bytes == env->iter_bits.len)
        env->iter_bits.len = it->bits;
    *it = (struct iter_bits){0};
    return 0;
}

/* Tasks: those of the world that have a task_struct, in the order of its file. */
enum { ALL_PROCS, ALL_THREADS, PROC_THREADS };

struct iter_task {
    uint32_t next, flags;
    uint32_t tgid; /* PROC_THREADS */
    uint32_t unused[3];
};
_Static_assert(sizeof(struct iter_task) == 24, "as struct bpf_iter_task");

KFUNC_BODY(bpf_iter_task_new)
{
    struct iter_task *it = helper_ptr(a1);
    const struct world_task *task = env->world ? world_task_at(env->world, a2) : NULL;

    *it = (struct iter_task){.next = UINT32_MAX};
    if ((uint32_t)a3 > PROC_THREADS || ((uint32_t)a3 == PROC_THREADS && !a2))
        return helper_error(-EINVAL);
    it->flags = (uint32_t)a3;
    it->tgid = task ? task->tgid : 0;
    if (it->flags != PROC_THREADS || task)
        it->next = 0;
    return 0;
}

KFUNC_BODY(bpf_iter_task_next)
{
    struct iter_task *it = helper_ptr(a1);

    for (uint32_t n = env->world ? env->world->n_tasks : 0; it->next < n;) {
        const struct world_task *task = &env->world->tasks[it->next++];

        if (!task->addr || (it->flags == ALL_PROCS && task->pid != task->tgid) ||
            (it->flags == PROC_THREADS && task->tgid != it->tgid))
            continue;
        return task->addr;
    }
    return 0;
}

KFUNC_BODY(bpf_iter_task_destroy)
{
    return 0;
}

/* Areas of a process's memory. */
struct iter_task_vma {
    uint32_t task; /* 1 + index; 0: none */
    uint32_t next;
};
_Static_assert(sizeof(struct iter_task_vma) == 8, "as struct bpf_iter_task_vma");

KFUNC_BODY(bpf_iter_task_vma_new)
{
    struct iter_task_vma *it = helper_ptr(a1);
    const struct world_task *task = env->world ? world_task_at(env->world, a2) : NULL;

    *it = (struct iter_task_vma){0};
    if (!task || !task->n_vmas) /* as a thread of the kernel, which has no memory of its own */
        return helper_error(-ENOENT);
    it->task = (uint32_t)(task - env->world->tasks) + 1;
    while (it->next < task->n_vmas && task->vmas[it->next].end <= a3)
        it->next++;
    return 0;
}

KFUNC_BODY(bpf_iter_task_vma_next)
{
    struct iter_task_vma *it = helper_ptr(a1);
    const struct world *w = env->world;

    if (!w || !it->task || it->task > w->n_tasks || it->next >= w->tasks[it->task - 1].n_vmas)
        return 0;
    return w->tasks[it->task - 1].vmas[it->next++].addr;
}

KFUNC_BODY(bpf_iter_task_vma_destroy)
{
    return 0;
}

/* Control groups: their css is what a struct cgroup begins with. */
enum { DESCENDANTS_PRE = 2, DESCENDANTS_POST = 3, ANCESTORS_UP = 4 };

struct iter_css {
    uint32_t start, pos; /* 1 + index; pos 0: not begun */
    uint32_t flags;
    uint32_t done;
    uint64_t unused;
};
_Static_assert(sizeof(struct iter_css) == 24, "as struct bpf_iter_css");

static uint32_t cgroup_at(const struct world *w, uint64_t addr)
{
    const struct world_cgroup *at = w && addr ? world_cgroup_at(w, addr) : NULL;

    return at ? (uint32_t)(at - w->cgroups) + 1 : 0;
}

/* The first child of a group that comes after another one; 0: none. */
static uint32_t child_after(const struct world *w, uint32_t of, uint32_t after)
{
    for (uint32_t i = after; i < w->n_cgroups; i++)
        if (w->cgroups[i].parent == &w->cgroups[of - 1])
            return i + 1;
    return 0;
}

static uint32_t parent_of(const struct world *w, uint32_t of)
{
    const struct world_cgroup *up = w->cgroups[of - 1].parent;

    return up ? (uint32_t)(up - w->cgroups) + 1 : 0;
}

static uint32_t leftmost(const struct world *w, uint32_t from)
{
    uint32_t child;

    while ((child = child_after(w, from, 0)))
        from = child;
    return from;
}

static uint32_t step(const struct world *w, const struct iter_css *it)
{
    uint32_t at = it->pos, next;

    switch (it->flags) {
    case ANCESTORS_UP: return at ? parent_of(w, at) : it->start;
    case DESCENDANTS_PRE:
        if (!at)
            return it->start;
        if ((next = child_after(w, at, 0)))
            return next;
        while (at && at != it->start) {
            uint32_t up = parent_of(w, at);

            if (up && (next = child_after(w, up, at)))
                return next;
            at = up;
        }
        return 0;
    case DESCENDANTS_POST:
        if (!at)
            return leftmost(w, it->start);
        if (at == it->start || !parent_of(w, at))
            return 0;
        next = child_after(w, parent_of(w, at), at);
        return next ? leftmost(w, next) : parent_of(w, at);
    default: return 0;
    }
}

KFUNC_BODY(bpf_iter_css_new)
{
    struct iter_css *it = helper_ptr(a1);

    *it = (struct iter_css){.done = 1};
    if ((uint32_t)a3 < DESCENDANTS_PRE || (uint32_t)a3 > ANCESTORS_UP)
        return helper_error(-EINVAL);
    it->start = cgroup_at(env->world, a2);
    it->flags = (uint32_t)a3;
    it->done = !it->start;
    return 0;
}

KFUNC_BODY(bpf_iter_css_next)
{
    struct iter_css *it = helper_ptr(a1);
    const struct world *w = env->world;

    if (!w || it->done || !it->start || it->start > w->n_cgroups || it->pos > w->n_cgroups)
        return 0;
    while ((it->pos = step(w, it)))
        if (w->cgroups[it->pos - 1].addr)
            return w->cgroups[it->pos - 1].addr;
    it->done = 1;
    return 0;
}

KFUNC_BODY(bpf_iter_css_destroy)
{
    return 0;
}

/* Tasks of one control group. */
enum { PROCS = 1, PROCS_THREADED = 3 };

struct iter_css_task {
    uint16_t group; /* 1 + index; 0: none */
    uint16_t procs;
    uint32_t next;
};
_Static_assert(sizeof(struct iter_css_task) == 8, "as struct bpf_iter_css_task");

KFUNC_BODY(bpf_iter_css_task_new)
{
    struct iter_css_task *it = helper_ptr(a1);
    uint32_t flags = (uint32_t)a3, group = cgroup_at(env->world, a2);

    *it = (struct iter_css_task){0};
    if (flags && flags != PROCS && flags != PROCS_THREADED)
        return helper_error(-EINVAL);
    it->group = group <= UINT16_MAX ? (uint16_t)group : 0;
    it->procs = flags != 0;
    return 0;
}

KFUNC_BODY(bpf_iter_css_task_next)
{
    struct iter_css_task *it = helper_ptr(a1);
    const struct world *w = env->world;

    while (w && it->group && it->group <= w->n_cgroups && it->next < w->n_tasks) {
        const struct world_task *task = &w->tasks[it->next++];

        if (task->addr && task->cgroup == &w->cgroups[it->group - 1] && (!it->procs || task->pid == task->tgid))
            return task->addr;
    }
    return 0;
}

KFUNC_BODY(bpf_iter_css_task_destroy)
{
    return 0;
}
