/*
 * A world made anew for each way of running, so that one leaves nothing to the next.
 */
#include "tests/linux/world.h"
#include "tests/runner/jits.h"
#include "verifier/verify.h"
#include "vm/abi/map_types.h"
#include "vm/code.h"
#include "vm/ctx/ctx.h"
#include "vm/env.h"
#include "vm/interp/interp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { MAX_RUN = 50000000, ROOM = 4096 };

static const struct way {
    const char *name;
    bool checked, facts;
    uint32_t opts;
    bool compiled; /* also as machine code */
} ways[] = {
    {"checked", true, false, 0, false},
    {"checked, optimised", true, false, CODE_OPT_ALL, false},
    {"level 0", false, true, 0, false},
    {"optimised", false, true, CODE_OPT_ALL, true},
    {"no fusing", false, true, CODE_OPT_ALL & ~CODE_OPT_FUSE, false},
    {"no facts", false, true, CODE_OPT_ALL & ~CODE_OPT_FACTS, true},
    {"no inlining", false, true, CODE_OPT_ALL & ~CODE_OPT_INLINE, true},
    {"no special handlers", false, true, CODE_OPT_ALL & ~CODE_OPT_SPECIAL, false},
};

struct stage {
    const struct world *world;
    const struct way *way;
    const struct jit_variant *jit; /* NULL: the interpreter */
    struct map *maps[WORLD_MAPS];
    struct code *code;
    struct skep_env *env;
    char *why;
    size_t why_size;
};

bool world_runs(const struct prog_type *type)
{
    switch (type->id) {
    case PROG_TYPE_SOCKET_FILTER:
    case PROG_TYPE_SCHED_CLS:
    case PROG_TYPE_SCHED_ACT:
    case PROG_TYPE_XDP:
    case PROG_TYPE_CGROUP_SKB:
    case PROG_TYPE_LWT_IN:
    case PROG_TYPE_LWT_OUT:
    case PROG_TYPE_LWT_XMIT:
    case PROG_TYPE_LWT_SEG6LOCAL: return true;
    default: return false;
    }
}

static void keep(void *ctx, enum skep_log_level level, const char *text)
{
    struct stage *s = ctx;

    if (level == SKEP_LOG_ERROR && !*s->why)
        snprintf(s->why, s->why_size, "%s", text);
}

static int make_maps(struct stage *s, const struct log *log)
{
    for (uint32_t i = 0; i < s->world->n_maps; i++) {
        int err = map_create(&s->world->maps[i], 1, log, &s->maps[i]);

        if (err)
            return err;
        if (s->maps[i]->def.type == MAP_TYPE_PROG_ARRAY)
            s->maps[i]->elem_ops = &code_elem_ops;
    }
    return 0;
}

static int lower(struct stage *s, struct prog *prog, const struct facts *facts, const struct log *log,
                 struct code **out)
{
    const struct code_opts opts = {.checked = s->way->checked,
                                   .opts = s->way->opts,
                                   .count_insns = s->way->checked,
                                   .no_ir = s->jit ? s->jit->no_ir : 0,
                                   .jit = s->jit ? s->jit->jit : NULL};

    return code_lower(prog, s->way->facts ? facts : NULL, s->maps, &opts, s->jit ? &jit_engine : &interp_engine, log,
                      out);
}

static int put_prog(struct stage *s, const struct world_elem *e, const struct prog_type *type, const struct log *log)
{
    const struct world_prog *p = &s->world->progs[e->prog];
    const struct map_def *defs[WORLD_MAPS];
    struct prog_spec spec = {.name = "tail",
                             .section = "",
                             .file = "",
                             .license = "GPL",
                             .attach_target = "",
                             .type = type,
                             .insns = p->insns,
                             .n_insns = p->n,
                             .maps = defs,
                             .n_maps = s->world->n_maps};
    struct verify_result result;
    struct code *code = NULL;
    struct prog *prog;
    int err;

    for (uint32_t i = 0; i < s->world->n_maps; i++)
        defs[i] = &s->world->maps[i];
    err = prog_new(&spec, false, log, &prog);
    if (err)
        return err;
    err = verify_prog(prog, NULL, NULL, &result);
    if (!err && result.verdict != VERDICT_ACCEPT)
        err = log_fail(log, -EACCES, "the tail program is refused: %s", result.message);
    if (!err)
        err = lower(s, prog, &result.facts, log, &code);
    if (!err)
        err = map_set_thing(s->maps[e->map], &e->key, code, 0);
    if (code)
        code_put(code);
    verify_result_free(&result);
    prog_put(prog);
    return err;
}

static int fill_maps(struct stage *s, const struct prog_type *type, const struct log *log)
{
    for (uint32_t i = 0; i < s->world->n_elems; i++) {
        const struct world_elem *e = &s->world->elems[i];
        int err = e->prog >= 0 ? put_prog(s, e, type, log) : map_host_update(s->maps[e->map], &e->key, e->value, 0);

        if (err)
            return log_fail(log, err, "a map could not be filled: %s", strerror(-err));
    }
    return 0;
}

static int run(struct stage *s, const struct prog_type *type, const void *data, uint32_t size, const struct log *log,
               uint64_t *ret)
{
    char out[ROOM];
    struct ctx_io io = {.data_in = data, .data_size_in = size, .data_out = out, .data_size_out = sizeof(out)};
    int err = ctx_open(s->env, type, &io, log);

    if (err)
        return err;
    s->env->insn_budget = MAX_RUN;
    err = env_run(s->env, s->code, (uintptr_t)s->env->ctx, 0, ret);
    if (err)
        return log_fail(log, err, "trap: %s", s->env->trap.text);
    return ctx_close(s->env, type, &io, *ret);
}

static void clear(struct stage *s)
{
    env_free(s->env);
    for (uint32_t i = 0; i < s->world->n_elems; i++)
        if (s->world->elems[i].prog >= 0 && s->maps[s->world->elems[i].map])
            map_set_thing(s->maps[s->world->elems[i].map], &s->world->elems[i].key, NULL, 0);
    if (s->code)
        code_put(s->code);
    for (uint32_t i = 0; i < s->world->n_maps; i++)
        if (s->maps[i])
            map_put(s->maps[i]);
}

static bool run_way(struct stage *s, struct prog *prog, const struct facts *facts, const void *data, uint32_t size,
                    const uint32_t *expected)
{
    struct log log = {.fn = keep, .ctx = s, .max = SKEP_LOG_ERROR};
    uint64_t ret = 0;
    int err = make_maps(s, &log);

    if (!err)
        err = fill_maps(s, prog->type, &log);
    if (!err)
        err = lower(s, prog, facts, &log, &s->code);
    if (!err && !(s->env = env_new()))
        err = -ENOMEM;
    if (!err)
        err = run(s, prog->type, data, size, &log, &ret);
    if (err && !*s->why)
        snprintf(s->why, s->why_size, "%s", strerror(-err));
    if (!err && expected && (uint32_t)ret != *expected) {
        snprintf(s->why, s->why_size, "returned %d instead of %d", (int)ret, (int)*expected);
        err = 1;
    }
    clear(s);
    return !err;
}

bool world_run(const struct world *w, struct prog *prog, const struct facts *facts, const void *data, uint32_t size,
               const uint32_t *expected, char *why, size_t why_size)
{
    unsigned n;
    const char *no_jit;
    const struct jit_variant *jit = jit_variants(&n, &no_jit);

    for (unsigned e = 0; e <= n; e++)
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
            char said[256] = "";
            struct stage s = {
                .world = w, .way = &ways[i], .jit = e ? &jit[e - 1] : NULL, .why = said, .why_size = sizeof(said)};

            if (e && !ways[i].compiled)
                continue;
            if (!run_way(&s, prog, facts, data, size, expected)) {
                snprintf(why, why_size, "%s, %s: %s", e ? jit[e - 1].name : "interp", ways[i].name, said);
                return false;
            }
        }
    return true;
}
