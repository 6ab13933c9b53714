/* The rows of hooks.def. They are few, and are asked for once or twice a program. */
#include "vm/abi/hooks.h"

#include <stddef.h>
#include <string.h>

struct row {
    const char *name;
    unsigned char arg, what;
};

#define NOTHING(...)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct row tracepoints[] = {
#define NULLABLE(name, n) {#name, n, HOOK_ARG_NULLABLE},
#define ERRORS(name, n)   {#name, n, HOOK_ARG_ERRORS},
#define ITER              NOTHING
#define LSM               NOTHING
#define CALLS             NOTHING
#include "vm/abi/hooks.def"
};

static const struct row iterators[] = {
#define NULLABLE            NOTHING
#define ERRORS              NOTHING
#define ITER(name, n, what) {#name, n, HOOK_ITER_##what},
#define LSM                 NOTHING
#define CALLS               NOTHING
#include "vm/abi/hooks.def"
};

static const struct row lsm[] = {
#define NULLABLE        NOTHING
#define ERRORS          NOTHING
#define ITER            NOTHING
#define LSM(name, what) {#name, 0, HOOK_LSM_##what},
#define CALLS           NOTHING
#include "vm/abi/hooks.def"
};

static const struct {
    const char *helper, *function;
} calls[] = {
#define NULLABLE                NOTHING
#define ERRORS                  NOTHING
#define ITER                    NOTHING
#define LSM                     NOTHING
#define CALLS(helper, function) {#helper, #function},
#include "vm/abi/hooks.def"
};

static unsigned find(const struct row *rows, size_t n, const char *name, unsigned arg)
{
    unsigned what = 0;

    for (size_t i = 0; i < n; i++)
        if (rows[i].arg == arg && !strcmp(rows[i].name, name))
            what |= rows[i].what;
    return what;
}

enum hook_arg hook_tracepoint_arg(const char *name, unsigned arg)
{
    return (enum hook_arg)find(tracepoints, COUNT(tracepoints), name, arg + 1);
}

enum hook_iter_arg hook_iter_arg(const char *name, unsigned arg)
{
    return (enum hook_iter_arg)find(iterators, COUNT(iterators), name, arg + 1);
}

unsigned hook_lsm(const char *name)
{
    return find(lsm, COUNT(lsm), name, 0);
}

bool hook_may_call(const char *helper, enum hook_kind kind, const char *target)
{
    bool narrowed = false;

    for (size_t i = 0; i < COUNT(calls); i++) {
        if (strcmp(calls[i].helper, helper))
            continue;
        if (kind == HOOK_FUNCTION && !strcmp(calls[i].function, target))
            return true;
        narrowed = true;
    }
    return !narrowed || kind == HOOK_ITERATOR || (kind == HOOK_LSM && hook_lsm(target) & HOOK_LSM_SLEEPS);
}
