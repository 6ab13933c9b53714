/* Made when they are first asked for; what was refused then is not asked for again. */
#include "tests/runner/jits.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t off;
    bool harden;
} rows[] = {
    {"jit", 0, false},
    {"jit hardened", 0, true},
    {"jit, nothing optimised", JIT_NO_ALL, false},
    {"jit, no promote", IR_OPT_PROMOTE, false},
    {"jit, no webs", IR_OPT_WEBS, false},
    {"jit, no simplify", IR_OPT_SIMPLIFY, false},
    {"jit, no rotate", IR_OPT_ROTATE, false},
    {"jit, no address", IR_OPT_ADDRESS, false},
    {"jit, no wide", IR_OPT_WIDE, false},
    {"jit, no memory", IR_OPT_MEMORY, false},
    {"jit, no select", IR_OPT_SELECT, false},
    {"jit, no divide", IR_OPT_DIVIDE, false},
    {"jit, no unroll", IR_OPT_UNROLL, false},
    {"jit, no alloc", JIT_NO_ALLOC, false},
    {"jit, no layout", JIT_NO_LAYOUT, false},
    {"jit hardened, nothing optimised", JIT_NO_ALL, true},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static struct {
    bool tried;
    unsigned n;
    char why[200];
    struct jit_variant all[ROWS];
} made;

static void keep(void *ctx, enum skep_log_level level, const char *text)
{
    (void)ctx, (void)level;
    snprintf(made.why, sizeof(made.why), "%s", text);
}

static void make(void)
{
    const struct log log = {.fn = keep, .max = SKEP_LOG_ERROR};
    const struct jit_config hardened = {.harden = true}, plain = {.gdb = false};

    made.tried = true;
    for (unsigned i = 0; i < ROWS; i++) {
        struct jit_variant *v = &made.all[i];
        snprintf(v->name, sizeof(v->name), "%s", rows[i].name);
        v->no_ir = rows[i].off;
        if (jit_new(&v->jit, rows[i].harden ? &hardened : &plain, &log))
            return;
        made.n = i + 1;
    }
}

const struct jit_variant *jit_variants(unsigned *n, const char **why)
{
    if (!made.tried) {
        make();
        if (made.n < ROWS) /* a suite that runs no machine code must not look like one that does */
            printf("skipped: no machine code: %s\n", made.why);
    }
    *n = made.n == ROWS ? ROWS : 0;
    *why = made.why;
    return *n ? made.all : NULL;
}
