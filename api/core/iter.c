/*
 * Iterators: a program runs once for each object, and once more without one, as Linux's reader of a bpf_iter file has
 * it run. What r1 points to are the arguments: a struct bpf_iter_meta, and the object (or several). What a run writes
 * is kept unless it returns 1, which drops it.
 */
#include "api/core/core.h"
#include <errno.h>
#include <stdlib.h>

enum { MAX_OBJECTS = 8, MEMS = 3 };

/* struct bpf_iter_meta */
struct meta {
    uint64_t seq, session_id, seq_num;
};

struct iteration {
    struct skep_env *env;
    const struct code *code;
    struct skep_run_opts *o;
    const struct log *log;
    struct meta meta;
    struct buf text;
    uint64_t insns;
};

/* Runs for the objects that stand behind the meta in the context. */
static int step(struct iteration *it)
{
    struct skep_env *env = it->env;
    uint64_t meta = (uintptr_t)&it->meta;
    size_t before = it->text.len;
    memcpy(env->ctx, &meta, sizeof(meta));
    env->insn_budget = it->o->max_insns ? it->o->max_insns : UINT64_MAX;
    int err = env_run(env, it->code, (uintptr_t)env->ctx, 0, &it->o->r0);
    it->insns += env->insns_run;
    if (!err && it->o->r0 == 1)
        it->text.len = before;
    it->meta.seq_num += !err && it->o->r0 != 1;
    return err;
}

static int one(struct iteration *it, const uint64_t *objects, unsigned n)
{
    memset(it->env->ctx, 0, it->env->ctx_size);
    memcpy((char *)it->env->ctx + sizeof(uint64_t), objects, n * sizeof(*objects));
    return step(it);
}

static int over_tasks(struct iteration *it, const struct world *w)
{
    int err = 0;
    for (uint32_t i = 0; i < w->n_tasks && !err; i++)
        if (w->tasks[i].addr)
            err = one(it, &w->tasks[i].addr, 1);
    return err;
}

static int over_cgroups(struct iteration *it, const struct world *w)
{
    int err = 0;
    for (uint32_t i = 0; i < w->n_cgroups && !err; i++)
        if (w->cgroups[i].addr)
            err = one(it, &w->cgroups[i].addr, 1);
    return err;
}

static int over_contexts(struct iteration *it, const struct world *w, const char *section)
{
    const struct world_context_item *item;
    int err = 0;
    for (uint32_t i = 0; !err && (item = world_context(w, section, i)); i++) {
        memcpy(it->env->ctx, item->data, item->size < it->env->ctx_size ? item->size : it->env->ctx_size);
        err = step(it);
    }
    return err;
}

static void lend(struct skep_env *env, void *p, uint64_t size, enum env_mem_kind kind, unsigned access,
                 const char *name)
{
    if (env->n_mems < ENV_MAX_MEMS)
        env->mems[env->n_mems++] = (struct env_mem){.guest = (uintptr_t)p,
                                                    .host = p,
                                                    .size = size,
                                                    .access = (uint8_t)(access | ENV_DIRECT),
                                                    .kind = (uint8_t)kind,
                                                    .name = name};
}

static int over_elements(struct iteration *it, const struct skep_map *map)
{
    uint32_t key_size = skep_map__key_size(map), size = skep_map__host_value_size(map);
    unsigned char *key = calloc(2, (size_t)key_size + 8), *next = key + key_size + 8,
                  *value = calloc(1, (size_t)size + 8);
    uint32_t mems = it->env->n_mems;
    int err = key && value ? 0 : -ENOMEM;
    bool begun = false;
    while (!err && !skep_map__get_next_key(map, begun ? key : NULL, next, key_size)) {
        begun = true;
        memcpy(key, next, key_size);
        /* of one CPU's value the program gets the map's own memory, which it may write */
        void *at = skep_map__is_percpu(map) ? NULL : map->map->ops->lookup(map->map, key, it->env->cpu);
        if (!at && skep_map__lookup_elem(map, key, key_size, value, size, 0))
            continue; /* it went meanwhile */
        it->env->n_mems = mems;
        env_forget_mem(it->env);
        lend(it->env, key, key_size, ENV_MEM_RAW, ENV_READ, "key");
        lend(it->env, at ? at : value, size, ENV_MEM_RAW, ENV_READ | ENV_WRITE, "value");
        err = one(it, (uint64_t[]){0, (uintptr_t)key, (uintptr_t)(at ? at : value)}, 3);
    }
    it->env->n_mems = mems;
    free(key);
    free(value);
    return err;
}

static int over_all(struct iteration *it, const struct prog *prog)
{
    const struct world *w = it->env->world;
    const char *target = prog->attach_target;
    if (!strcmp(target, "bpf_map_elem")) {
        const struct skep_map *map = it->o->iter_map;
        if (!map || !map->map || !map->map->ops->lookup)
            return log_fail(it->log, -EINVAL, "program '%s' goes over the elements of a map: say which (iter_map)",
                            prog->name);
        return over_elements(it, map);
    }
    if (w && world_context(w, prog->section, 0))
        return over_contexts(it, w, prog->section);
    if (w && !strcmp(target, "task"))
        return over_tasks(it, w);
    if (w && !strcmp(target, "cgroup"))
        return over_cgroups(it, w);
    return log_fail(it->log, -EINVAL,
                    "program '%s' goes over '%s', of which this run has none: a world can hold them (contexts)",
                    prog->name, target);
}

int run_iterator(struct skep_env *env, const struct code *code, struct skep_run_opts *o, struct buf *out,
                 const struct log *log)
{
    struct iteration it = {.env = env, .code = code, .o = o, .log = log};
    it.meta = (struct meta){.seq = (uintptr_t)&it.text, .session_id = 1};
    uint32_t mems = env->n_mems;
    lend(env, &it.meta, sizeof(it.meta), ENV_MEM_KERNEL, ENV_READ, "struct bpf_iter_meta");
    lend(env, &it.text, sizeof(it.text), ENV_MEM_KERNEL, 0, "struct seq_file");
    env->seq = &it.text;
    int err = over_all(&it, code->prog);
    if (!err)
        err = one(&it, NULL, 0);
    env->seq = NULL;
    env->n_mems = mems;
    env_forget_mem(env);
    o->insns_run = it.insns;
    *out = it.text;
    return err;
}
