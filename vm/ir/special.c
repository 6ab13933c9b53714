/*
 * Calls whose arguments are known when code is made. What registers that are written once hold is followed through
 * copies and sums with constants; a helper that would only find a map's operation then gives way to that operation.
 */
#include "vm/ir/build.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HELPER_MAP_LOOKUP = 1, HELPER_MAP_UPDATE = 2, HELPER_MAP_DELETE = 3 };

/* ---- What registers hold ---- */

static void derive(struct known *from, const struct ir_op *op)
{
    struct known *to = &from[op->dst];
    const struct known *a = &from[op->a];

    if (!op->dst || to->writes != 1 || op->dst <= IR_PARAMS)
        return;
    if (op->kind == IR_CONST) {
        to->is_const = true;
        to->value = op->imm;
    } else if (op->kind == IR_COPY) {
        to->at = a->at;
        to->is_const = a->is_const;
        to->value = a->value;
    } else if (op->kind == IR_ADD && op->width == 8 && op->flags & IR_IMM && a->at != KNOWN_NOWHERE) {
        int64_t at = a->at + op->imm;
        if (at >= -4 * PROG_STACK_FRAME && at <= 4 * PROG_STACK_FRAME)
            to->at = (int32_t)at;
    }
}

struct known *build_known(struct ir_func *f)
{
    uint32_t n, *order = ir_order(f, &n);
    struct known *from = malloc(f->n_vregs * sizeof(*from));

    if (!order || !from) {
        free(order);
        free(from);
        return NULL;
    }
    for (uint32_t v = 0; v < f->n_vregs; v++)
        from[v] = (struct known){.at = KNOWN_NOWHERE};
    from[IR_FP].at = 0;
    for (uint32_t k = 0; k < f->n_blocks; k++)
        for (uint32_t i = 0; i < f->blocks[k].n; i++)
            from[f->blocks[k].ops[i].dst].writes++;
    for (uint32_t k = 0; k < n; k++)
        for (uint32_t i = 0; i < f->blocks[order[k]].n; i++)
            derive(from, &f->blocks[order[k]].ops[i]);
    free(order);
    return from;
}

const struct map *build_map_of(const struct builder *b, const struct known *k)
{
    const struct code *code = b->code;

    for (uint32_t i = 0; i < code->prog->n_maps && k->is_const; i++)
        if ((uintptr_t)code->maps[i] == (uint64_t)k->value)
            return code->maps[i];
    return NULL;
}

/* ---- Calls ---- */

bool build_is_map_call(const struct helper *helper)
{
    return helper->id >= HELPER_MAP_LOOKUP && helper->id <= HELPER_MAP_DELETE && helper == helper_find(helper->id);
}

/* The function that does it, or 0. */
static uintptr_t function_of(const struct helper *helper, const struct map *map, const struct known *flags)
{
    switch (helper->id) {
    case HELPER_MAP_LOOKUP: return (uintptr_t)map->lookup;
    case HELPER_MAP_UPDATE: /* with a lock there is more to ask */
        return flags->is_const && !(flags->value & MAP_LOCK) ? (uintptr_t)map->ops->update : 0;
    default: return (uintptr_t)map->ops->remove;
    }
}

/* The call at op, with room before it, and behind it a look for traps that no map's function needs. */
static void specialise(struct builder *b, struct ir_func *f, const struct known *from, struct ir_op *op)
{
    const struct helper *helper = b->code->helpers[b->code->ops[op->slot].aux];
    uint32_t *args = f->args + op->args + 1; /* after the environment */
    const struct map *map = build_map_of(b, &from[args[0]]);
    unsigned n = op->n_args - 1u;
    uintptr_t function = map ? function_of(helper, map, n > 3 ? &from[args[3]] : NULL) : 0;

    if (!function)
        return;
    memmove(args - 1, args, n * sizeof(*args));
    op->n_args = (uint8_t)n;
    if (helper->id != HELPER_MAP_DELETE) {
        op->n_args++;
        args[n - 1] = ir_vreg(f);
        op[-1] = (struct ir_op){
            .kind = IR_LOAD, .size = 4, .slot = op->slot, .dst = args[n - 1], .base = IR_ENV, .disp = ENV_AT(cpu)};
    }
    op->imm = (int64_t)function;
    op->aux = BUILD_MAP_CALL;
    op[1] = (struct ir_op){.kind = IR_NOP, .slot = op->slot};
    if (helper->id != HELPER_MAP_LOOKUP) { /* an int */
        op[1] =
            (struct ir_op){.kind = IR_SEXT, .size = 4, .width = 8, .slot = op->slot, .dst = op->dst, .a = ir_vreg(f)};
        op->dst = op[1].a;
    }
}

static bool may_be_special(const struct builder *b, const struct ir_op *op)
{
    const struct op *from = &b->code->ops[op->slot];

    return op->kind == IR_CALL && from->kind == OP_CALL_BODY && (uint64_t)op->imm == from->imm &&
           build_is_map_call(b->code->helpers[from->aux]);
}

int build_special(struct builder *b, struct ir_func *f)
{
    struct known *from = NULL;

    for (uint32_t k = 0; k < f->n_blocks; k++)
        for (uint32_t i = 1; i + 1 < f->blocks[k].n; i++) {
            struct ir_op *op = &f->blocks[k].ops[i];
            if (!may_be_special(b, op) || op[-1].kind != IR_NOP || op[1].kind != IR_CHECK)
                continue;
            if (!from && !(from = build_known(f)))
                return -ENOMEM;
            specialise(b, f, from, op);
        }
    free(from);
    return 0;
}
