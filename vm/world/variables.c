/*
 * Section `variables`: variables of the kernel by name, laid out by the target's types, which say what each one is and
 * whether every CPU has its own. A per-CPU variable has an address as Linux's have: it stands for one place a CPU and
 * nothing is to be read at it itself. world_percpu() leads from there to the place of a CPU: its own where the file
 * says what it holds, else one that all CPUs share.
 */
#include "vm/world/read.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where the addresses of per-CPU variables begin: as those that Linux allocates on x86_64. */
#define FIRST_PERCPU UINT64_C(0xffffe8ff00000000)

enum { MAX_VARIABLE_CPUS = 8192, ALIGN = 64 };

static bool in_section(const struct btf *btf, const char *section, uint32_t var)
{
    for (uint32_t id = btf_find(btf, section, BTF_DATASEC); id; id = btf_find_next(btf, id)) {
        const struct btf_type *t = btf_type_at(btf, id);

        for (unsigned i = 0; btf_kind(t) == BTF_DATASEC && i < btf_vlen(t); i++)
            if (btf_secinfos(t)[i].type == var)
                return true;
    }
    return false;
}

/* One place, with what v says in it; NULL: zeroes. */
static int make_place(struct world_reader *r, const struct json_path *at, const struct json *of, const struct json *v,
                      const struct world_variable *var, uint64_t *addr)
{
    const struct json *own = v && v->kind == JSON_OBJECT ? json_get(v, "&") : NULL;
    struct json_path here = {.up = at, .name = "&"};
    struct world_object o;
    const char *name;
    int err = world_object(r, at, of, var->type, NULL, 0, &o);

    *addr = o.addr;
    if (!err && own)
        err = world_take_text(r, &here, own, &name);
    if (!err && own)
        err = world_name(r, &here, own, name, o.addr, var->type);
    return err || !v ? err : world_fill(r, at, v, &o, NULL);
}

/* An array has a value a CPU, from 0 on; anything else is every CPU's. */
static int make_places(struct world_reader *r, const struct json_path *at, const struct json *v,
                       struct world_variable *var)
{
    bool list = v->kind == JSON_ARRAY;
    int err;

    if (!list)
        return make_place(r, at, v, v, var, &var->shared);
    if (v->length > MAX_VARIABLE_CPUS)
        return WORLD_REFUSE(r, at, v, "more than %d CPUs", MAX_VARIABLE_CPUS);
    var->cpus = ARENA_ARRAY(&r->w->arena, uint64_t, v->length + 1);
    if (!var->cpus)
        return log_fail(r->log, -ENOMEM, "no memory for a world of this size");
    var->n_cpus = (uint32_t)v->length;
    err = make_place(r, at, v, NULL, var, &var->shared);
    for (uint32_t i = 0; i < var->n_cpus && !err; i++) {
        struct json_path here = {.up = at, .index = i};

        err = make_place(r, &here, v->items[i], v->items[i], var, &var->cpus[i]);
    }
    return err;
}

static int take_variable(struct world_reader *r, const struct json_path *at, const struct json *v, uint64_t *next,
                         struct world_variable *var)
{
    const struct btf *btf = r->w->btf;
    uint32_t id = btf_find(btf, var->name, BTF_VAR);
    int64_t size;
    int err;

    if (!id)
        return WORLD_REFUSE(r, at, v,
                            "the target's types have no variable of this name; \"symbols\" takes any, with its type");
    var->type = btf_type_at(btf, id)->type;
    var->percpu = in_section(btf, ".data..percpu", id);
    size = btf_size(btf, var->type);
    if (size <= 0)
        return WORLD_REFUSE(r, at, v, "a variable without a size");
    var->size = (uint64_t)size;
    if (!var->percpu) {
        err = make_place(r, at, v, v, var, &var->shared);
        var->addr = var->shared;
    } else {
        err = make_places(r, at, v, var);
        var->addr = *next;
        *next = (*next + var->size + 2 * ALIGN - 1) & ~(uint64_t)(ALIGN - 1); /* what follows one is nothing */
    }
    return err ? err : world_name(r, at, v, var->name, var->addr, var->percpu ? 0 : var->type);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct world_variable *)a)->name, ((const struct world_variable *)b)->name);
}

int world_read_variables(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    struct world *w = r->w;
    uint64_t next = FIRST_PERCPU;
    int err = world_is_object(r, at, v);

    if (err || !v->length)
        return err;
    if (!world_btf(r, at, v))
        return -EINVAL;
    w->variables = ARENA_ARRAY(&w->arena, struct world_variable, v->length);
    if (!w->variables)
        return log_fail(r->log, -ENOMEM, "no memory for a world of this size");
    for (size_t i = 0; !err && i < v->length; i++) {
        struct json_path here = {.up = at, .name = v->names[i]};

        w->variables[i].name = v->names[i];
        err = take_variable(r, &here, v->items[i], &next, &w->variables[i]);
        w->n_variables = (uint32_t)i + 1;
    }
    if (!err)
        qsort(w->variables, w->n_variables, sizeof(*w->variables), by_name);
    return err;
}

const struct world_variable *world_variable(const struct world *world, const char *name)
{
    struct world_variable key = {.name = name};

    return world->n_variables ? bsearch(&key, world->variables, world->n_variables, sizeof(key), by_name) : NULL;
}

uint64_t world_percpu(const struct world *world, uint64_t addr, uint32_t cpu)
{
    for (uint32_t i = 0; i < world->n_variables; i++) {
        const struct world_variable *var = &world->variables[i];

        if (var->percpu && addr - var->addr < var->size)
            return (cpu < var->n_cpus ? var->cpus[cpu] : var->shared) + (addr - var->addr);
    }
    return 0;
}
