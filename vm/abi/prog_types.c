/*
 * Program and attach types, made from prog_types.def and attach_types.def: tables indexed by Linux's numbers.
 */
#include "vm/abi/prog_types.h"
#include "vm/abi/ctx.h"
#include <stddef.h>
#include <string.h>

static const char *const xdp_verdicts[] = {"XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT", NULL};
static const char *const tc_verdicts[] = {
    "TC_ACT_OK",     "TC_ACT_RECLASSIFY", "TC_ACT_SHOT",     "TC_ACT_PIPE", "TC_ACT_STOLEN",
    "TC_ACT_QUEUED", "TC_ACT_REPEAT",     "TC_ACT_REDIRECT", "TC_ACT_TRAP", NULL};
static const char *const sk_verdicts[] = {"SK_DROP", "SK_PASS", NULL};
static const char *const nf_verdicts[] = {"NF_DROP", "NF_ACCEPT", NULL};

#define ANY             .ret_min = 1, .ret_max = 0
#define FROM(low, high) .ret_min = low, .ret_max = high

#define PKT_READ     PROG_PKT_READ
#define PKT_WRITE    (PROG_PKT_READ | PROG_PKT_WRITE)
#define PKT_HELPERS  PROG_PKT_HELPERS
#define LD_ABS       PROG_LD_ABS
#define NO_LOCKS     PROG_NO_LOCKS
#define ANYWHERE     PROG_ANYWHERE
#define TYPED_ARGS   PROG_TYPED_ARGS
#define UNPRIVILEGED PROG_UNPRIVILEGED

static const struct prog_type types[] = {
#define PROG_TYPE(number, symbol, text, layout, range, names, has)                                                     \
    [number] = {.id = number, .name = text, .ctx = &ctx_##layout, range, .verdicts = names, .traits = has},
#include "vm/abi/prog_types.def"
};

static const struct {
    uint32_t type, attach_type;
    int32_t ret_min, ret_max;
} returns[] = {
#define RETURNS(prog, attach, range) {.type = PROG_TYPE_##prog, .attach_type = ATTACH_##attach, range},
#include "vm/abi/prog_types.def"
};

static const char *const attach_names[] = {
#define ATTACH_TYPE(id, name, text) [id] = text,
#include "vm/abi/attach_types.def"
};

const struct prog_type *prog_type_find(uint32_t id)
{
    return id < PROG_TYPE_COUNT ? &types[id] : NULL;
}

const struct prog_type *prog_type_by_name(const char *name)
{
    for (uint32_t id = 0; id < PROG_TYPE_COUNT; id++)
        if (!strcmp(types[id].name, name))
            return &types[id];
    return NULL;
}

const char *prog_type_verdict(const struct prog_type *type, int32_t retval)
{
    if (type->verdicts == tc_verdicts && retval == -1)
        return "TC_ACT_UNSPEC";
    if (!type->verdicts || retval < 0)
        return NULL;
    for (int32_t i = 0; type->verdicts[i]; i++)
        if (i == retval)
            return type->verdicts[i];
    return NULL;
}

struct prog_range prog_type_returns(const struct prog_type *type, uint32_t attach_type)
{
    for (size_t i = 0; i < sizeof(returns) / sizeof(returns[0]); i++)
        if (returns[i].type == type->id && returns[i].attach_type == attach_type)
            return (struct prog_range){returns[i].ret_min, returns[i].ret_max};
    return (struct prog_range){type->ret_min, type->ret_max};
}

const char *attach_type_name(uint32_t id)
{
    return id < ATTACH_TYPE_COUNT ? attach_names[id] : NULL;
}
