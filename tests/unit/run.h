/* Programs as text for the unit tests of programs, code and runs: assembled, made, lowered and run in a few words. */
#ifndef TESTS_UNIT_RUN_H
#define TESTS_UNIT_RUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/said.h"
#include "vm/abi/map_types.h"
#include "vm/env.h"
#include "vm/interp/interp.h"
#include "vm/isa/asm.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool helper_number(void *ctx, const char *name, size_t len, uint32_t *id)
{
    char text[64];
    const struct helper *h;

    (void)ctx;
    snprintf(text, sizeof(text), "%.*s", (int)len, name);
    h = helper_by_name(text);
    if (h)
        *id = h->id;
    return h != NULL;
}

static bool map_number(void *ctx, const char *name, size_t len, uint32_t *index)
{
    (void)ctx, (void)len;
    *index = (uint32_t)(name[0] - 'a'); /* maps are called a, b, c */
    return name[0] >= 'a' && name[0] <= 'z';
}

static inline struct asm_out assemble(const char *text)
{
    const struct asm_opts opts = {.helper = helper_number, .map = map_number};
    struct asm_out out;

    if (asm_text(text, strlen(text), &opts, &said_all, &out))
        fail_msg("%s", said);
    return out;
}

/* A program of this text over these maps; NULL: refused. */
static inline struct prog *program(const char *text, struct map *const *maps, uint32_t n_maps, bool lenient)
{
    struct asm_out out = assemble(text);
    const struct map_def *defs[16];
    struct prog *prog = NULL;
    struct prog_spec spec = {
        .name = "test", .insns = out.insns, .n_insns = out.n_insns, .maps = defs, .n_maps = n_maps};

    for (uint32_t i = 0; i < n_maps; i++)
        defs[i] = &maps[i]->def;
    if (prog_new(&spec, lenient, &said_all, &prog))
        prog = NULL;
    asm_free(&out);
    return prog;
}

static inline struct code *lowered(const char *text, struct map *const *maps, uint32_t n_maps, struct code_opts opts)
{
    struct prog *prog = program(text, maps, n_maps, opts.checked || opts.traced);
    struct code *code;

    if (!prog)
        fail_msg("%s", said);
    if (code_lower(prog, NULL, maps, &opts, &interp_engine, &said_all, &code))
        fail_msg("%s", said);
    prog_put(prog);
    return code;
}

static inline struct map *new_map(uint32_t type, uint32_t key, uint32_t value, uint32_t entries, uint32_t flags)
{
    struct map_def def = {.type = type,
                          .key_size = key,
                          .value_size = value,
                          .max_entries = entries,
                          .flags = flags,
                          .spin_lock_off = -1};
    struct map *map;

    snprintf(def.name, sizeof(def.name), "m%u", type);
    if (map_create(&def, 2, &said_all, &map))
        fail_msg("%s", said);
    if (type == MAP_TYPE_PROG_ARRAY)
        map->elem_ops = &code_elem_ops;
    return map;
}

/* What to lower for: each way of running that must mean the same. */
static const struct code_opts every_way[] = {
    {.checked = true},          {.checked = true, .opts = CODE_OPT_ALL},
    {.traced = true},           {.opts = 0},
    {.opts = CODE_OPT_SPECIAL}, {.opts = CODE_OPT_FUSE},
    {.opts = CODE_OPT_INLINE},  {.opts = CODE_OPT_ALL},
};
enum { WAYS = sizeof(every_way) / sizeof(every_way[0]) };

#endif
