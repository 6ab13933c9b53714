/* Made when they are first asked for; what was refused then is not asked for again. */
#include "tests/runner/jits.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t off;
    bool harden, plain;
} rows[] = {
    {"jit", 0, false, false},
    {"jit hardened", 0, true, false},
    {"jit, plain CPU", 0, false, true},
    {"jit, nothing optimised", JIT_NO_ALL, false, false},
    {"jit, no promote", IR_OPT_PROMOTE, false, false},
    {"jit, no webs", IR_OPT_WEBS, false, false},
    {"jit, no simplify", IR_OPT_SIMPLIFY, false, false},
    {"jit, no rotate", IR_OPT_ROTATE, false, false},
    {"jit, no address", IR_OPT_ADDRESS, false, false},
    {"jit, no wide", IR_OPT_WIDE, false, false},
    {"jit, no memory", IR_OPT_MEMORY, false, false},
    {"jit, no select", IR_OPT_SELECT, false, false},
    {"jit, no divide", IR_OPT_DIVIDE, false, false},
    {"jit, no unroll", IR_OPT_UNROLL, false, false},
    {"jit, no alloc", JIT_NO_ALLOC, false, false},
    {"jit, no layout", JIT_NO_LAYOUT, false, false},
    {"jit hardened, nothing optimised", JIT_NO_ALL, true, false},
    {"jit, plain CPU, nothing optimised", JIT_NO_ALL, false, true},
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

    made.tried = true;
    for (unsigned i = 0; i < ROWS; i++) {
        const struct jit_config config = {.harden = rows[i].harden, .plain = rows[i].plain};
        struct jit_variant *v = &made.all[i];

        snprintf(v->name, sizeof(v->name), "%s", rows[i].name);
        v->no_ir = rows[i].off;
        if (jit_new(&v->jit, &config, &log))
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
