/* Timers and works: see timer.h. All that a record says is the map's lock's, but for its place, which holds for ever.
 */
#include "vm/timer.h"
#include "vm/epoch.h"
#include "vm/maps/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct timer {
    struct timer *next; /* of the map's */
    struct map *map;
    uint64_t *at; /* the field */
    enum timer_kind kind;
    struct code *code; /* with a reference; NULL: no callback is set */
    uint32_t func;
    bool armed;
    uint64_t due, order; /* in which it was armed, among those of one time */
};

static struct timer *of(const void *at)
{
    return (struct timer *)(uintptr_t)__atomic_load_n((const uint64_t *)at, __ATOMIC_ACQUIRE);
}

/* The record of a field, with its map's lock taken; NULL: there is none. */
static struct timer *enter(const void *at)
{
    struct timer *t = of(at);

    if (!t)
        return NULL;
    map_lock(&t->map->later_lock);
    if (of(at) == t)
        return t;
    map_unlock(&t->map->later_lock);
    return NULL;
}

int timer_init(struct map *map, void *at, enum timer_kind kind)
{
    struct timer *t = calloc(1, sizeof(*t));
    int err = t ? 0 : -ENOMEM;

    map_lock(&map->later_lock);
    if (of(at)) {
        err = -EBUSY;
    } else if (!err && map->closed) {
        err = -EPERM;
    } else if (!err) {
        t->map = map;
        t->at = at;
        t->kind = kind;
        t->next = map->later;
        map->later = t;
        __atomic_store_n(t->at, (uintptr_t)t, __ATOMIC_RELEASE);
        t = NULL;
    }
    map_unlock(&map->later_lock);
    free(t);
    return err;
}

/* Under the lock. *old: code to be put once it is open. */
static int set_callback(struct timer *t, const struct code *code, uint64_t func, struct code **old)
{
    struct code *held = t->map->closed ? NULL : code_get((struct code *)(uintptr_t)code);

    if (!held)
        return -EPERM;
    *old = t->code;
    t->code = held;
    t->func = (uint32_t)((func - (uintptr_t)code->funcs) / sizeof(*code->funcs));
    return 0;
}

static int start(struct timer *t, uint64_t due)
{
    if (!t->code)
        return -EINVAL;
    t->armed = true;
    t->due = due;
    t->order = ++t->map->later_order;
    return 0;
}

/* The lock is opened, and then what is no longer needed given back. */
static int leave(struct timer *t, struct code *old, int ret)
{
    map_unlock(&t->map->later_lock);
    if (old)
        code_put(old);
    return ret;
}

int timer_set_callback(void *at, const struct code *code, uint64_t func)
{
    struct timer *t = enter(at);
    struct code *old = NULL;
    int err = t ? set_callback(t, code, func, &old) : -EINVAL;

    return t ? leave(t, old, err) : err;
}

int timer_start(void *at, uint64_t due)
{
    struct timer *t = enter(at);

    return t ? leave(t, NULL, start(t, due)) : -EINVAL;
}

int timer_schedule(struct map *map, void *at, const struct code *code, uint64_t func)
{
    int err = timer_init(map, at, TIMER_TASK);
    struct code *old = NULL;
    struct timer *t;

    if (err && err != -EBUSY)
        return err;
    t = enter(at);
    if (!t)
        return -EINVAL;
    err = t->armed ? -EBUSY : set_callback(t, code, func, &old);
    if (!err)
        err = start(t, 0);
    return leave(t, old, err);
}

int timer_cancel(void *at, const struct skep_env *env)
{
    struct timer *t = enter(at);
    struct code *old;
    int was;

    if (!t)
        return -EINVAL;
    if (env->in_timer == t)
        return leave(t, NULL, -EDEADLK);
    was = t->armed;
    old = t->code;
    t->armed = false;
    t->code = NULL;
    return leave(t, old, was);
}

static void give(struct timer *t)
{
    if (t->code)
        code_put(t->code);
    epoch_retire(t, free);
}

void timer_forget(void *at)
{
    struct timer *t = enter(at);

    if (!t)
        return;
    for (struct timer **link = &t->map->later; *link; link = &(*link)->next)
        if (*link == t) {
            *link = t->next;
            break;
        }
    __atomic_store_n(t->at, 0, __ATOMIC_RELEASE);
    map_unlock(&t->map->later_lock);
    give(t);
}

void timers_forget(struct map *map)
{
    struct timer *all;

    map_lock(&map->later_lock);
    all = map->later;
    map->later = NULL;
    for (struct timer *t = all; t; t = t->next)
        __atomic_store_n(t->at, 0, __ATOMIC_RELEASE);
    map_unlock(&map->later_lock);
    while (all) {
        struct timer *t = all;

        all = t->next;
        give(t);
    }
}

uint32_t timers_armed(struct map *map, bool works)
{
    uint32_t n = 0;

    map_lock(&map->later_lock);
    for (const struct timer *t = map->later; t; t = t->next)
        n += t->armed && (!works || t->kind != TIMER_CLOCK);
    map_unlock(&map->later_lock);
    return n;
}

/* What is to be run next: a copy of its record, which no longer waits. */
struct next {
    struct map *map;
    struct timer *t;
    struct code *code; /* with a reference */
    uint32_t func;
    uint64_t due;
    unsigned char *value;
};

static bool is_before(const struct timer *a, const struct timer *b)
{
    bool work = a->kind != TIMER_CLOCK;

    if (work != (b->kind != TIMER_CLOCK))
        return work;
    return a->due != b->due && !work ? a->due < b->due : a->order < b->order;
}

static uint32_t field_off(const struct map *map, enum timer_kind kind)
{
    static const enum field_kind fields[] = {FIELD_TIMER, FIELD_WQ, FIELD_TASK_WORK};
    const struct field *f = fields_the(map->def.fields, fields[kind]);

    return f ? f->off : 0;
}

/* The earliest of one map, if it is earlier than *best. */
static void look(struct map *map, uint64_t until, struct next *best, struct timer *at)
{
    struct timer *found = NULL;

    map_lock(&map->later_lock);
    for (struct timer *t = map->later; t; t = t->next)
        if (t->armed && (t->kind != TIMER_CLOCK || (until && t->due <= until)) && (!found || is_before(t, found)))
            found = t;
    if (found && (!best->map || is_before(found, at))) {
        *best = (struct next){.map = map, .t = found};
        *at = *found;
    }
    map_unlock(&map->later_lock);
}

/* Takes the earliest of all maps. */
static bool take(struct map *const *maps, uint32_t n, uint64_t until, struct next *out)
{
    struct timer at;
    bool taken = false;

    *out = (struct next){0};
    for (uint32_t i = 0; i < n; i++)
        if (maps[i])
            look(maps[i], until, out, &at);
    if (!out->map)
        return false;
    map_lock(&out->map->later_lock);
    for (struct timer *t = out->map->later; t; t = t->next) {
        if (t != out->t)
            continue;
        if (!t->armed || !t->code || !(out->code = code_get(t->code)))
            break;
        t->armed = false;
        out->func = t->func;
        out->due = t->due;
        out->value = (unsigned char *)t->at - field_off(out->map, t->kind);
        taken = true;
        break;
    }
    map_unlock(&out->map->later_lock);
    return taken;
}

static int run_one(const struct next *next, struct skep_env *env, bool clock)
{
    struct env_clock before = env->clock;
    uint64_t now = env_ktime(env), args[5] = {(uintptr_t)next->map, 0, (uintptr_t)next->value}, ret;
    uint32_t index = 0;
    int err;

    env->clock = before;
    if (clock) {
        env->clock.fixed = true;
        env->clock.now = next->due > now ? next->due : now;
    }
    args[1] = (uintptr_t)(next->map->ops->key_of ? next->map->ops->key_of(next->map, next->value, &index) : &index);
    env->in_timer = next->t;
    err = env_run_func(env, next->code, next->func, args, next->map->def.key_size, &ret);
    env->in_timer = NULL;
    if (!before.fixed)
        env->clock = before;
    return err;
}

int timers_run(struct map *const *maps, uint32_t n, struct skep_env *env, uint64_t until, uint32_t limit, uint32_t *ran)
{
    struct next next;
    int err = 0;

    *ran = 0;
    while (!err && *ran < limit && take(maps, n, until, &next)) {
        err = run_one(&next, env, next.t->kind == TIMER_CLOCK);
        code_put(next.code);
        ++*ran;
    }
    if (!err && env->clock.fixed && env->clock.now < until)
        env->clock.now = until;
    return err;
}
