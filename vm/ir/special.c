/* Calls whose arguments are known when code is made: a helper that would only find a map's operation gives way to that
 * operation, a tail call knows its slot. */
#include "vm/ir/build.h"
#include "vm/maps/array.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HELPER_MAP_LOOKUP = 1, HELPER_MAP_UPDATE = 2, HELPER_MAP_DELETE = 3 };

const struct map *build_map_of(const struct builder *b, const struct known *k)
{
    const struct code *code = b->code;

    for (uint32_t i = 0; i < code->prog->n_maps && k->is_const; i++)
        if ((uintptr_t)code->maps[i] == (uint64_t)k->value)
            return code->maps[i];
    return NULL;
}

bool build_is_map_call(const struct helper *helper, const struct op *op)
{
    return op->imm == (uintptr_t)helper->body && helper->id >= HELPER_MAP_LOOKUP && helper->id <= HELPER_MAP_DELETE &&
           helper == helper_find(helper->id);
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

/* The slot of the program array that a tail call goes through, when map and index are known. */
static void find_slot(struct builder *b, const struct ir_func *f, const struct known *from, struct ir_op *op)
{
    const uint32_t *args = f->args + op->args;
    const struct map *map = build_map_of(b, &from[args[3]]);
    const struct known *index = &from[args[4]];

    if (map && map->def.type == MAP_TYPE_PROG_ARRAY && index->is_const &&
        (uint32_t)index->value < map->def.max_entries) {
        op->imm = (int64_t)(uintptr_t)array_at(map->priv, (uint32_t)index->value);
        op->n_args = 3;
    }
}

static bool may_be_special(const struct builder *b, const struct ir_op *op)
{
    const struct op *from = &b->code->ops[op->slot];

    return op->kind == IR_CALL && from->kind == OP_CALL_BODY && (uint64_t)op->imm == from->imm &&
           build_is_map_call(b->code->helpers[from->aux], from);
}

int build_special(struct builder *b, struct ir_func *f)
{
    struct knowledge known = {0};

    for (uint32_t k = 0; k < f->n_blocks; k++)
        for (uint32_t i = 1; i + 1 < f->blocks[k].n; i++) {
            struct ir_op *op = &f->blocks[k].ops[i];
            bool call = may_be_special(b, op) && op[-1].kind == IR_NOP && op[1].kind == IR_CHECK;
            if (!call && op->kind != IR_TAIL_CALL)
                continue;
            if (!known.of && !build_known(&known, f))
                return -ENOMEM;
            if (call)
                specialise(b, f, known.of, op);
            else
                find_slot(b, f, known.of, op);
        }
    free(known.of);
    return 0;
}
