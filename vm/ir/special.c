/* Calls whose arguments are known when code is made: a helper that would only find a map's operation gives way to that
 * operation, a lookup in a hash to its first steps (special_hash.c), bpf_loop() to a loop (special_loop.c); a tail call
 * knows its slot. */
#include "vm/ir/build.h"
#include "vm/maps/array.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HELPER_MAP_LOOKUP = 1, HELPER_MAP_UPDATE = 2, HELPER_MAP_DELETE = 3, HELPER_LOOP = 181 };
enum { MAX_OPENED = 256 /* calls of a function that become blocks */ };

const struct map *build_map_of(const struct builder *b, const struct known *k)
{
    const struct code *code = b->code;

    for (uint32_t i = 0; i < code->prog->n_maps && k->is_const; i++)
        if ((uintptr_t)code->maps[i] == (uint64_t)k->value)
            return code->maps[i];
    return NULL;
}

bool build_may_be_special(const struct helper *helper, const struct op *op)
{
    bool known = (helper->id >= HELPER_MAP_LOOKUP && helper->id <= HELPER_MAP_DELETE) || helper->id == HELPER_LOOP;

    return known && op->imm == (uintptr_t)helper->body && helper == helper_find(helper->id);
}

/* ---- Calls that stay calls ---- */

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
static void specialise(struct builder *b, const struct map *map, const struct helper *helper, const struct known *from,
                       struct ir_op *op)
{
    uint32_t *args = b->f->args + op->args + 1; /* after the environment */
    unsigned n = op->n_args - 1u;
    uintptr_t function = function_of(helper, map, n > 3 ? &from[args[3]] : NULL);

    if (!function)
        return;
    memmove(args - 1, args, n * sizeof(*args));
    op->n_args = (uint8_t)n;
    if (helper->id != HELPER_MAP_DELETE) {
        op->n_args++;
        args[n - 1] = ir_vreg(b->f);
        op[-1] = (struct ir_op){
            .kind = IR_LOAD, .size = 4, .slot = op->slot, .dst = args[n - 1], .base = IR_ENV, .disp = ENV_AT(cpu)};
    }
    op->imm = (int64_t)function;
    op->aux = BUILD_MAP_CALL;
    op[1] = (struct ir_op){.kind = IR_NOP, .slot = op->slot};
    if (helper->id != HELPER_MAP_LOOKUP) { /* an int */
        op[1] = (struct ir_op){
            .kind = IR_SEXT, .size = 4, .width = 8, .slot = op->slot, .dst = op->dst, .a = ir_vreg(b->f)};
        op->dst = op[1].a;
    }
}

/* The slot of the program array that a tail call goes through, when map and index are known. */
static void find_slot(struct builder *b, const struct known *from, struct ir_op *op)
{
    const uint32_t *args = b->f->args + op->args;
    const struct map *map = build_map_of(b, &from[args[3]]);
    const struct known *index = &from[args[4]];

    if (map && map->def.type == MAP_TYPE_PROG_ARRAY && index->is_const &&
        (uint32_t)index->value < map->def.max_entries) {
        op->imm = (int64_t)(uintptr_t)array_at(map->priv, (uint32_t)index->value);
        op->n_args = 3;
    }
}

/* ---- Calls that become blocks ---- */

/* The call at i goes, with the room before it and the look for traps behind it, and so does what reads the fuel again.
 */
static struct opened open_call(struct builder *b, uint32_t block, uint32_t i)
{
    struct ir_op *op = &b->f->blocks[block].ops[i];
    struct opened call = {.dst = op->dst};
    uint32_t n = op->n_args - 1u, after = i + 2;
    struct ir_block *from, *rest;

    memcpy(call.args, b->f->args + op->args + 1, (n < 5 ? n : 5) * sizeof(*call.args));
    b->slot = op->slot;
    if (b->fuel && op[2].kind == IR_LOAD && op[2].dst == b->f->fuel)
        after++;
    call.rest = build_block(b, 0);
    from = &b->f->blocks[block];
    rest = &b->f->blocks[call.rest];
    rest->ops = from->ops + after;
    rest->n = rest->cap = from->n - after;
    memcpy(rest->succ, from->succ, sizeof(rest->succ));
    from->n = from->cap = i - 1;
    b->cur = block;
    return call;
}

/* ---- All of them ---- */

static const struct helper *helper_of(const struct builder *b, const struct ir_op *op)
{
    const struct op *from = &b->code->ops[op->slot];
    const struct helper *helper;

    if (op->kind != IR_CALL || from->kind != OP_CALL_BODY || (uint64_t)op->imm != from->imm)
        return NULL;
    helper = b->code->helpers[from->aux];
    return build_may_be_special(helper, from) ? helper : NULL;
}

/* @return did the block end here? */
static bool look(struct builder *b, const struct known *from, uint32_t block, uint32_t i, bool may_open)
{
    struct ir_op *op = &b->f->blocks[block].ops[i];
    const struct helper *helper = helper_of(b, op);
    const uint32_t *args = b->f->args + op->args + 1;
    const struct map *map;
    struct map_hash_layout layout;
    uint32_t func;

    if (op->kind == IR_TAIL_CALL)
        find_slot(b, from, op);
    if (!helper || op[-1].kind != IR_NOP || op[1].kind != IR_CHECK)
        return false;
    if (helper->id == HELPER_LOOP) {
        if (!may_open || !build_is_loop(b, from, args, &func))
            return false;
        struct opened call = open_call(b, block, i);
        build_loop(b, from, &call, func);
        return true;
    }
    map = build_map_of(b, &from[args[0]]);
    if (!map)
        return false;
    if (helper->id == HELPER_MAP_LOOKUP && may_open && map_hash_layout(map, &layout)) {
        struct opened call = open_call(b, block, i);
        build_hash_lookup(b, map, &layout, &call);
        return true;
    }
    specialise(b, map, helper, from, op);
    return false;
}

static bool may_be_special(const struct builder *b, const struct ir_op *op)
{
    return op->kind == IR_TAIL_CALL || helper_of(b, op);
}

int build_special(struct builder *b, struct ir_func *f)
{
    struct knowledge known = {0};
    uint32_t n_opened = 0;

    b->f = f;
    b->index = f->index;
    b->fuel = f->fuel != IR_NONE;
    for (uint32_t k = 0; k < f->n_blocks; k++)
        for (uint32_t i = 1; i + 1 < f->blocks[k].n; i++) {
            if (!may_be_special(b, &f->blocks[k].ops[i]))
                continue;
            if (!known.of && !build_known(&known, f))
                return -ENOMEM;
            n_opened += look(b, known.of, k, i, n_opened < MAX_OPENED);
        }
    if (b->failed)
        return -ENOMEM;
    return n_opened ? ir_preds(f) : 0;
}
