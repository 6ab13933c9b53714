/* Special fields by address: see field.h. An unchecked run's addresses are what the verifier says they are. */
#include "vm/helpers/field.h"

/* What stands at the address: its owner's fields, and how far into it that is. */
static const struct fields *around(struct skep_env *env, uint64_t addr, struct map **map, uint64_t *off)
{
    struct object *o;
    void *value;

    *map = env_find_value(env, addr, &value);
    if (*map) {
        *off = addr - (uintptr_t)value;
        return (*map)->def.fields;
    }
    o = heap_find(addr);
    if (!o || o->cpus)
        return NULL;
    *off = addr - (uintptr_t)object_mem(o);
    return o->fields;
}

static const struct field *find(struct skep_env *env, uint64_t addr, uint32_t kinds, struct map **map,
                                const struct fields **all)
{
    uint64_t off = 0;

    *all = around(env, addr, map, &off);
    return fields_at(*all, off, kinds);
}

static bool wrong(struct skep_env *env, uint64_t addr, enum field_kind kind)
{
    env_trap(env, TRAP_helper_argument, addr, 0, "0x%llx is no struct %s that this function may use",
             (unsigned long long)addr, field_name(kind));
    return false;
}

bool field_is(struct skep_env *env, uint64_t addr, enum field_kind kind, uint64_t map)
{
    const struct fields *all;
    struct map *in;

    if (!env->checked || (find(env, addr, 1u << kind, &in, &all) && in && (!map || map == (uintptr_t)in)))
        return true;
    return wrong(env, addr, kind);
}

void *field_root(struct skep_env *env, uint64_t addr, enum field_kind kind)
{
    const struct field *f, *lock;
    const struct fields *all;
    struct map *in;

    if (!env->checked)
        return helper_ptr(addr);
    f = find(env, addr, 1u << kind, &in, &all);
    lock = fields_the(all, FIELD_SPIN_LOCK);
    if (env->in_tree || !f || !lock || (uintptr_t)env->spin_lock != addr - f->off + lock->off)
        return wrong(env, addr, kind), NULL;
    return helper_ptr(addr);
}

struct object *field_node(struct skep_env *env, uint64_t addr, enum field_kind kind, bool owned)
{
    struct object *o = heap_find(addr);

    if (!env->checked)
        return o;
    if (!o || o->cpus || !fields_at(o->fields, addr - (uintptr_t)object_mem(o), 1u << kind) ||
        (owned && !env_ref_find(env, (uintptr_t)object_mem(o))))
        return wrong(env, addr, kind), NULL;
    return o;
}

struct object *field_object(struct skep_env *env, uint64_t addr, bool owned)
{
    struct object *o = heap_at(addr);

    if (env->checked && (!o || (owned && !env_ref_find(env, addr)))) {
        env_trap(env, TRAP_helper_argument, addr, 0, "0x%llx is no object that the program %s",
                 (unsigned long long)addr, owned ? "owns" : "allocated");
        return NULL;
    }
    return o;
}

uint64_t *field_kptr(struct skep_env *env, uint64_t addr)
{
    const struct fields *all;
    struct map *in;

    if (!env->checked || find(env, addr, FIELD_BIT(KPTR) | FIELD_BIT(KPTR_PERCPU), &in, &all))
        return helper_ptr(addr);
    return wrong(env, addr, FIELD_KPTR), NULL;
}

static void drop(struct skep_env *env, struct env_ref *ref)
{
    (void)env;
    object_drop(ref->owner);
}

bool object_hold(struct skep_env *env, struct object *o)
{
    struct env_ref ref = {.addr = (uintptr_t)object_mem(o), .owner = o, .release = drop};

    if (env_ref_add(env, ref))
        return true;
    object_drop(o);
    env_trap(env, TRAP_no_memory, ref.addr, 0, "%s", "the run holds more references than it may");
    return false;
}

void object_let_go(struct skep_env *env, struct object *o)
{
    struct env_ref *ref = env_ref_find(env, (uintptr_t)object_mem(o));

    if (ref)
        env_ref_drop(env, ref);
}
