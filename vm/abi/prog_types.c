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

static const struct prog_type types[] = {
#define PROG_TYPE(number, symbol, text, layout, range, names)                                                          \
    [number] = {.id = number, .name = text, .ctx = &ctx_##layout, range, .verdicts = names},
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

const char *attach_type_name(uint32_t id)
{
    return id < ATTACH_TYPE_COUNT ? attach_names[id] : NULL;
}
