/*
 * The helper table, indexed by Linux's number. Rows stand in helpers.def in rising order without gaps, from 1; the
 * assertions below hold the table to it.
 */
#include "vm/abi/helpers.h"
#include "vm/abi/helper_bodies.h"
#include "vm/abi/map_types.h"
#include "vm/abi/prog_types.h"
#include <string.h>

/* ON(type) rides above the effects of a row and is split off into its own field. */
#define ON(type)       (MAP_TYPE_##type << 16)
#define CHANGES_PACKET EFFECT_CHANGES_PACKET
#define ACQUIRES       EFFECT_ACQUIRES
#define RELEASES       EFFECT_RELEASES
#define SLEEPS         EFFECT_SLEEPS
#define GPL            EFFECT_GPL
#define CALLS_BACK     EFFECT_CALLS_BACK
#define PACKET_MEM     EFFECT_PACKET_MEM
#define WRITES_MAP     EFFECT_WRITES_MAP
#define VARIADIC       EFFECT_VARIADIC
#define FILLS          EFFECT_FILLS
#define CASTS          EFFECT_CASTS
#define VALUE_MEM      EFFECT_VALUE_MEM
#define LOCKS          EFFECT_LOCKS
#define UNLOCKS        EFFECT_UNLOCKS

#define ARGS(...) ARGS_5(__VA_ARGS__, NONE, NONE, NONE, NONE, NONE)
#define ARGS_5(a1, a2, a3, a4, a5, ...)                                                                                \
    {                                                                                                                  \
        ARG_##a1, ARG_##a2, ARG_##a3, ARG_##a4, ARG_##a5                                                               \
    }

#define BODY(name)    helper_##name
#define MISSING(name) NULL
#define ENGINE(name)  NULL

#define ENGINE_EFFECT_BODY    0
#define ENGINE_EFFECT_MISSING 0
#define ENGINE_EFFECT_ENGINE  EFFECT_ENGINE

static const struct helper table[] = {
#define HELPER(number, called, state, returns, args, does)                                                             \
    [number] = {.id = number,                                                                                          \
                .name = #called,                                                                                       \
                .body = state(called),                                                                                 \
                .ret = RET_##returns,                                                                                  \
                .arg = args,                                                                                           \
                .effects = ((does)&0xffff) | ENGINE_EFFECT_##state,                                                    \
                .map_type = (does) >> 16},
#include "vm/abi/helpers.def"
};

enum {
#define HELPER(id, name, state, ret, args, effects) POSITION_##name,
#include "vm/abi/helpers.def"
    N_HELPERS
};
#define HELPER(id, name, state, ret, args, effects)                                                                    \
    _Static_assert(POSITION_##name + 1 == id, "helpers.def: numbers rise by one, from 1");
#include "vm/abi/helpers.def"

#define HELPER(id, name, state, ret, args, effects) NUMBER_##name = id,
enum {
#include "vm/abi/helpers.def"
    NUMBERS_END
};

static const struct variant {
    uint32_t type;
    struct helper helper;
} variants[] = {
#define HELPER(id, name, state, ret, args, effects)
#define VARIANT(who, called, returns, args, does)                                                                      \
    {PROG_TYPE_##who, {NUMBER_##called, #called, helper_##called, RET_##returns, args, (does)&0xffff, (does) >> 16}},
#include "vm/abi/helpers.def"
};

const struct helper *helper_find(uint32_t id)
{
    return id >= 1 && id <= N_HELPERS ? &table[id] : NULL;
}

const struct helper *helper_by_name(const char *name)
{
    for (uint32_t id = 1; id <= N_HELPERS; id++)
        if (!strcmp(table[id].name, name))
            return &table[id];
    return NULL;
}

const char *helper_kernel_type(const struct helper *helper, unsigned arg)
{
    static const struct {
        uint32_t id;
        unsigned arg;
        const char *type;
    } types[] = {
#define KERNEL_TYPE(helper, arg, type) {NUMBER_##helper, arg, #type},
#include "vm/abi/helper_types.def"
    };

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i].id == helper->id && types[i].arg == arg)
            return types[i].type;
    return NULL;
}

bool helper_names_kernel_object(const struct helper *helper)
{
    bool names = helper->ret >= RET_BTF_ID && helper->ret <= RET_PERCPU_OR_NULL;

    for (unsigned i = 0; i < 5; i++)
        names |= helper->arg[i] == ARG_BTF_ID || helper->arg[i] == ARG_BTF_ID_OR_NULL ||
                 (helper->arg[i] == ARG_MEM && helper_is_linux(helper) && helper_kernel_type(helper, i + 1));
    return names;
}

bool helper_is_linux(const struct helper *helper)
{
    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
        if (helper == &variants[i].helper)
            return true;
    return helper == helper_find(helper->id);
}

const struct helper *helper_for(const struct helper_set *set, uint32_t prog_type, uint32_t id)
{
    const struct helper *found = helper_set_find(set, id);

    for (size_t i = 0; found && i < sizeof(variants) / sizeof(variants[0]); i++)
        if (variants[i].helper.id == id && variants[i].type == prog_type && found == helper_find(id))
            return &variants[i].helper;
    return found;
}

const struct helper *helper_set_find(const struct helper_set *set, uint32_t id)
{
    if (set) {
        for (uint32_t i = 0; i < set->n_own; i++)
            if (set->own[i].id == id)
                return &set->own[i];
        if (set->own_only)
            return NULL;
    }
    return helper_find(id);
}
