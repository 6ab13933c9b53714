/* The rows of struct_ops.def, one list a kind. They are few, and are asked for a few times a program. */
#include "vm/abi/struct_ops.h"

#include <string.h>

#define NOTHING(...)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum helper_number {
    HELPER_NONE,
#define HELPER(id, name, state, ret, args, effects) HELPER_##name = id,
#include "vm/abi/helpers.def"
};

struct row {
    const char *ops, *a, *b;
    uint32_t helper;
};

static const struct row seen[] = {
#define SEEN_AS(ops, type, as) {#ops, #type, #as, 0},
#define STORES                 NOTHING
#define ABSENT                 NOTHING
#define SLEEPS                 NOTHING
#define CALLS                  NOTHING
#define NOT_FROM               NOTHING
#include "vm/abi/struct_ops.def"
};

static const struct struct_ops_store stores[] = {
#define SEEN_AS                      NOTHING
#define STORES(ops, type, part, how) {#ops, #type, part, STRUCT_OPS_##how},
#define ABSENT                       NOTHING
#define SLEEPS                       NOTHING
#define CALLS                        NOTHING
#define NOT_FROM                     NOTHING
#include "vm/abi/struct_ops.def"
};

static const struct row absent[] = {
#define SEEN_AS             NOTHING
#define STORES              NOTHING
#define ABSENT(ops, method) {#ops, #method, "", 0},
#define SLEEPS              NOTHING
#define CALLS               NOTHING
#define NOT_FROM            NOTHING
#include "vm/abi/struct_ops.def"
};

static const struct row sleeping[] = {
#define SEEN_AS             NOTHING
#define STORES              NOTHING
#define ABSENT              NOTHING
#define SLEEPS(ops, method) {#ops, #method, "", 0},
#define CALLS               NOTHING
#define NOT_FROM            NOTHING
#include "vm/abi/struct_ops.def"
};

static const struct row calls[] = {
#define SEEN_AS            NOTHING
#define STORES             NOTHING
#define ABSENT             NOTHING
#define SLEEPS             NOTHING
#define CALLS(ops, helper) {#ops, "", "", HELPER_##helper},
#define NOT_FROM           NOTHING
#include "vm/abi/struct_ops.def"
};

static const struct row not_from[] = {
#define SEEN_AS                       NOTHING
#define STORES                        NOTHING
#define ABSENT                        NOTHING
#define SLEEPS                        NOTHING
#define CALLS                         NOTHING
#define NOT_FROM(ops, method, helper) {#ops, #method, "", HELPER_##helper},
#include "vm/abi/struct_ops.def"
};

const char *struct_ops_seen_as(const char *ops, const char *type)
{
    for (size_t i = 0; i < COUNT(seen); i++)
        if (!strcmp(seen[i].ops, ops) && !strcmp(seen[i].a, type))
            return seen[i].b;
    return type;
}

size_t struct_ops_stores(const struct struct_ops_store **rows)
{
    *rows = stores;
    return COUNT(stores);
}

bool struct_ops_has(const char *ops, const char *method)
{
    for (size_t i = 0; i < COUNT(absent); i++)
        if (!strcmp(absent[i].ops, ops) && !strcmp(absent[i].a, method))
            return false;
    return true;
}

bool struct_ops_sleeps(const char *ops, const char *method)
{
    bool narrowed = false;

    for (size_t i = 0; i < COUNT(sleeping); i++) {
        if (strcmp(sleeping[i].ops, ops))
            continue;
        if (!strcmp(sleeping[i].a, method))
            return true;
        narrowed = true;
    }
    return !narrowed;
}

bool struct_ops_calls(const char *ops, const char *method, uint32_t helper)
{
    bool narrowed = false, allowed = false;

    for (size_t i = 0; i < COUNT(not_from); i++)
        if (not_from[i].helper == helper && !strcmp(not_from[i].ops, ops) && !strcmp(not_from[i].a, method))
            return false;
    for (size_t i = 0; i < COUNT(calls); i++) {
        narrowed |= calls[i].helper == helper;
        allowed |= calls[i].helper == helper && !strcmp(calls[i].ops, ops);
    }
    return !narrowed || allowed;
}
