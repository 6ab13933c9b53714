/*
 * Inlining: calls of the most frequent helpers become operations, where it is known at lowering what they will do. A
 * lookup's map is known when the instruction that puts it into r1 stands before the call in the same block, as
 * compilers leave it. The host's own helpers are never taken for Linux's. One op stays one op, so that slots and
 * targets stand.
 */
#include "vm/abi/map_types.h"
#include "vm/lower.h"
#include <errno.h>
#include <stdlib.h>

enum { HELPER_MAP_LOOKUP = 1, HELPER_CPU = 8, FAR = 16 };

/* Does this op leave r1 as it is, and go on with the next? */
static bool keeps_r1(const struct op *op)
{
    switch (op->kind < ISA_OP_COUNT ? isa_rows[op->kind].form : ISA_FORM_NONE) {
    case ISA_FORM_ALU_K:
    case ISA_FORM_ALU_X:
    case ISA_FORM_LDX: return op->dst != 1;
    case ISA_FORM_ST:
    case ISA_FORM_STX: return true;
    default: return op->kind == OP_TRAP; /* the second slot of a wide load, or what never goes on */
    }
}

/* The map that r1 holds before op i, or NULL. */
static struct map *map_in_r1(const struct code *code, const unsigned char *leaders, uint32_t i)
{
    for (uint32_t k = 1; k <= FAR && k <= i; k++) {
        const struct op *op = &code->ops[i - k];
        if (leaders[i - k + 1])
            return NULL;
        if (op->kind == OP_CONST_WIDE && op->dst == 1) {
            for (uint32_t m = 0; m < code->prog->n_maps; m++)
                if (code->maps[m] && op->imm == (uintptr_t)code->maps[m])
                    return code->maps[m];
            return NULL;
        }
        if (op->kind != OP_CONST_WIDE && !keeps_r1(op))
            return NULL;
    }
    return NULL;
}

static void inline_lookup(struct op *op, const struct map *map)
{
    unsigned kind;

    if (!map)
        return;
    if (map->def.type == MAP_TYPE_ARRAY)
        kind = OP_ARRAY_AT;
    else if (map->def.type == MAP_TYPE_PERCPU_ARRAY)
        kind = OP_PERCPU_ARRAY_AT;
    else
        return;
    *op = (struct op){.kind = (uint16_t)kind, .dst = 0, .src = 2, .imm = (uintptr_t)map};
}

int code_inline(struct code *code)
{
    unsigned char *leaders = code_leaders(code);

    if (!leaders)
        return -ENOMEM;
    for (uint32_t i = 0; i < code->n_ops; i++) {
        struct op *op = &code->ops[i];
        const struct helper *helper;
        if (op->kind != OP_CALL_BODY)
            continue;
        helper = code->helpers[op->aux];
        if (helper != helper_find(helper->id) || op->imm != (uintptr_t)helper->body)
            continue;
        if (helper->id == HELPER_CPU)
            *op = (struct op){.kind = OP_CPU};
        else if (helper->id == HELPER_MAP_LOOKUP)
            inline_lookup(op, map_in_r1(code, leaders, i));
    }
    free(leaders);
    return 0;
}
