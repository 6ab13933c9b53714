/*
 * Sets of CPUs. Those that a program makes are objects of its own, which maps may keep (vm/heap.h);
 * others are structures of the world, which are read alone. A set has room for as many CPUs as any kernel is built for;
 * CPUs beyond those of the run are in no set.
 */
#include "vm/helpers/field.h"
#include "vm/helpers/kfunc.h"

#include <stddef.h>

enum { WORDS = 8192 / 64 };

struct mask {
    uint64_t bits[WORDS];
    uint32_t users;
};

static const struct fields mask_fields = {
    .n = 1,
    .kinds = FIELD_BIT(REFCOUNT),
    .at = {{.kind = FIELD_REFCOUNT, .off = offsetof(struct mask, users), .size = sizeof(uint32_t)}},
};

static struct object *object_of(uint64_t addr)
{
    struct object *o = heap_at(addr);

    return o && o->fields == &mask_fields ? o : NULL;
}

/* The program's own set at this address; NULL: it has none there. */
static struct mask *own(struct skep_env *env, uint64_t addr)
{
    struct object *o = object_of(addr);

    (void)env;
    return o ? (struct mask *)object_mem(o) : NULL;
}

/* Bits of any set, so many as the run has CPUs. */
static uint64_t word_at(struct skep_env *env, uint64_t addr, uint32_t i)
{
    const struct mask *m = own(env, addr);
    uint32_t left = env->n_cpus - 64 * i;
    uint64_t word = 0;
    const void *p;

    if (m) {
        word = m->bits[i];
    } else {
        p = env_probe(env, addr + 8 * (uint64_t)i, 8, ENV_MEM_KERNEL);
        if (p)
            memcpy(&word, p, sizeof(word));
    }
    return left >= 64 ? word : word & (((uint64_t)1 << left) - 1);
}

static uint32_t words(const struct skep_env *env)
{
    uint32_t n = (env->n_cpus + 63) / 64;

    return n < WORDS ? n : WORDS;
}

KFUNC_BODY(bpf_cpumask_create)
{
    struct object *o = heap_take(sizeof(struct mask), 0, &mask_fields, 0);

    if (!o)
        return 0;
    ((struct mask *)object_mem(o))->users = 1;
    return object_hold(env, o) ? (uintptr_t)object_mem(o) : 0;
}

KFUNC_BODY(bpf_cpumask_acquire)
{
    struct object *o = object_of(a1);

    return o && (!object_acquire(o) || !object_hold(env, o)) ? 0 : a1;
}

KFUNC_BODY(bpf_cpumask_release)
{
    struct object *o = object_of(a1);

    if (!o || !env_ref_find(env, a1))
        return helper_refuse(env, "bpf_cpumask_release() of what the run holds no reference to");
    object_let_go(env, o);
    object_drop(o);
    return 0;
}

static bool is_cpu(const struct skep_env *env, uint64_t cpu)
{
    return (uint32_t)cpu < env->n_cpus && (uint32_t)cpu / 64 < WORDS;
}

static bool test(struct skep_env *env, uint64_t cpu, uint64_t addr)
{
    return is_cpu(env, cpu) && word_at(env, addr, (uint32_t)cpu / 64) >> (cpu & 63) & 1;
}

static void change(struct skep_env *env, uint64_t cpu, uint64_t addr, bool to)
{
    struct mask *m = own(env, addr);
    uint64_t bit = (uint64_t)1 << (cpu & 63);

    if (m && is_cpu(env, cpu))
        m->bits[(uint32_t)cpu / 64] = to ? m->bits[(uint32_t)cpu / 64] | bit : m->bits[(uint32_t)cpu / 64] & ~bit;
}

KFUNC_BODY(bpf_cpumask_set_cpu)
{
    change(env, a1, a2, true);
    return 0;
}

KFUNC_BODY(bpf_cpumask_clear_cpu)
{
    change(env, a1, a2, false);
    return 0;
}

KFUNC_BODY(bpf_cpumask_test_cpu)
{
    return test(env, a1, a2);
}

KFUNC_BODY(bpf_cpumask_test_and_set_cpu)
{
    bool was = test(env, a1, a2);

    change(env, a1, a2, true);
    return was;
}

KFUNC_BODY(bpf_cpumask_test_and_clear_cpu)
{
    bool was = test(env, a1, a2);

    change(env, a1, a2, false);
    return was;
}

static uint64_t all(const struct skep_env *env, uint32_t i)
{
    uint32_t left = env->n_cpus - 64 * i;

    return left >= 64 ? UINT64_MAX : ((uint64_t)1 << left) - 1;
}

enum combine { AND, OR, XOR, AND_NOT };

static uint64_t both(struct skep_env *env, uint64_t a, uint64_t b, uint32_t i, enum combine how)
{
    uint64_t x = word_at(env, a, i), y = word_at(env, b, i);

    switch (how) {
    case AND: return x & y;
    case OR: return x | y;
    case XOR: return x ^ y;
    case AND_NOT: break;
    }
    return x & ~y;
}

/* dst becomes that. @return does it have a CPU? */
static bool combine(struct skep_env *env, uint64_t dst, uint64_t a, uint64_t b, enum combine how)
{
    struct mask *m = own(env, dst);
    uint64_t any = 0;

    for (uint32_t i = 0; m && i < words(env); i++)
        any |= m->bits[i] = both(env, a, b, i, how);
    return any;
}

static bool any_of(struct skep_env *env, uint64_t a, uint64_t b, enum combine how)
{
    uint64_t any = 0;

    for (uint32_t i = 0; i < words(env); i++)
        any |= both(env, a, b, i, how);
    return any;
}

/* The first CPU in both sets, the number of CPUs for none. */
static uint64_t first_in(struct skep_env *env, uint64_t a, uint64_t b)
{
    for (uint32_t i = 0; i < words(env); i++)
        if (both(env, a, b, i, AND))
            return 64 * i + (uint32_t)__builtin_ctzll(both(env, a, b, i, AND));
    return env->n_cpus;
}

KFUNC_BODY(bpf_cpumask_setall)
{
    struct mask *m = own(env, a1);

    for (uint32_t i = 0; m && i < words(env); i++)
        m->bits[i] = all(env, i);
    return 0;
}

KFUNC_BODY(bpf_cpumask_clear)
{
    struct mask *m = own(env, a1);

    if (m)
        memset(m->bits, 0, sizeof(m->bits));
    return 0;
}

KFUNC_BODY(bpf_cpumask_and)
{
    return combine(env, a1, a2, a3, AND);
}

KFUNC_BODY(bpf_cpumask_or)
{
    combine(env, a1, a2, a3, OR);
    return 0;
}

KFUNC_BODY(bpf_cpumask_xor)
{
    combine(env, a1, a2, a3, XOR);
    return 0;
}

KFUNC_BODY(bpf_cpumask_copy)
{
    combine(env, a1, a2, a2, AND);
    return 0;
}

KFUNC_BODY(bpf_cpumask_equal)
{
    return !any_of(env, a1, a2, XOR);
}

KFUNC_BODY(bpf_cpumask_intersects)
{
    return any_of(env, a1, a2, AND);
}

KFUNC_BODY(bpf_cpumask_subset)
{
    return !any_of(env, a1, a2, AND_NOT);
}

KFUNC_BODY(bpf_cpumask_empty)
{
    return !any_of(env, a1, a1, AND);
}

KFUNC_BODY(bpf_cpumask_full)
{
    for (uint32_t i = 0; i < words(env); i++)
        if (word_at(env, a1, i) != all(env, i))
            return 0;
    return 1;
}

KFUNC_BODY(bpf_cpumask_weight)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < words(env); i++)
        n += (unsigned)__builtin_popcountll(word_at(env, a1, i));
    return n;
}

KFUNC_BODY(bpf_cpumask_first)
{
    return first_in(env, a1, a1);
}

KFUNC_BODY(bpf_cpumask_first_and)
{
    return first_in(env, a1, a2);
}

KFUNC_BODY(bpf_cpumask_first_zero)
{
    for (uint32_t i = 0; i < words(env); i++)
        if (~word_at(env, a1, i) & all(env, i))
            return 64 * i + (uint32_t)__builtin_ctzll(~word_at(env, a1, i) & all(env, i));
    return env->n_cpus;
}

/* Any will do: the first, always. */
KFUNC_BODY(bpf_cpumask_any_distribute)
{
    return first_in(env, a1, a1);
}

KFUNC_BODY(bpf_cpumask_any_and_distribute)
{
    return first_in(env, a1, a2);
}

KFUNC_BODY(bpf_cpumask_populate)
{
    struct mask *m = own(env, a1);
    uint64_t need = (uint64_t)words(env) * 8;

    if (a3 < need)
        return helper_error(-EACCES);
    if (m)
        memcpy(m->bits, helper_ptr(a2), need);
    return 0;
}
