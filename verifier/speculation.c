/*
 * What Linux refuses of programs that may not see pointers because a CPU may run ahead of their checks
 * (sanitize_ptr_alu() and its kin): arithmetic that a mask could not keep inside its object. Linux then masks what it
 * accepts; here the rules alone are followed, so that both accept the same programs. Raw programs are judged without
 * them.
 */
#include "verifier/verifier.h"

#include <stdlib.h>

enum { MOVE_SEEN = 1, MOVE_BACK = 2, MOVE_CONST = 4, MOVE_POINTER_IS_DST = 8, MOVE_NUMBERS = 16 };

static bool applies(const struct verifier *v)
{
    return !v->privileged && v->prog->type;
}

/* How far a move may go from here at most, and what is too far. */
static int64_t reach(const struct reg *ptr, bool left, int64_t *max)
{
    if (ptr->kind == REG_STACK) {
        *max = PROG_STACK_FRAME + left;
        return -((int64_t)ptr->off + (int64_t)ptr->s.t.value);
    }
    *max = ptr->map->value_size;
    return (left ? ptr->s.r.smin : (int64_t)ptr->s.r.umax) + ptr->off;
}

/* An instruction is masked in one way: every path must ask for the same. */
static enum reason same_on_every_path(struct verifier *v, uint32_t insn, uint8_t how, uint32_t limit, unsigned reg)
{
    struct insn_info *info = &v->info[insn];

    how |= MOVE_SEEN;
    if (info->move && (info->move != how || info->move_limit != limit))
        return refuse(v, REASON_unprivileged,
                      "r%u is moved by different amounts, or is no pointer, on different paths; unprivileged programs "
                      "may not",
                      reg);
    info->move = how;
    info->move_limit = limit;
    return REASON_ok;
}

static enum reason by_register(struct verifier *v, uint32_t insn, const struct move *m)
{
    bool back = m->by->r.smin < 0, left = back != m->minus;
    int64_t max, from, to;
    uint8_t how = (uint8_t)((back ? MOVE_BACK : 0) | (scalar_is_const(m->by) ? MOVE_CONST : 0) |
                            (m->pointer_is_dst ? MOVE_POINTER_IS_DST : 0));

    if (m->from->kind != REG_STACK && m->from->kind != REG_MAP_VALUE)
        return refuse(v, REASON_unprivileged, "unprivileged programs may not add registers to a %s",
                      reg_kind_name(m->from));
    if (!scalar_is_const(m->by) && back != (m->by->r.smax < 0))
        return refuse(v, REASON_unprivileged, "unprivileged programs may not move r%u by what may have either sign",
                      m->reg);
    from = reach(m->from, left, &max);
    if (from < 0 || from >= max)
        return refuse(v, REASON_unprivileged, "unprivileged programs may not move r%u from outside its object", m->reg);
    to = reach(m->to, left, &max);
    if (to < 0 || to >= max)
        return refuse(v, REASON_unprivileged, "unprivileged programs may not move r%u outside its object", m->reg);
    return same_on_every_path(v, insn, how, (uint32_t)llabs(from - to), m->reg);
}

/* The moved pointer must point into its object, even before anything is accessed. */
static enum reason stays_inside(struct verifier *v, const struct move *m)
{
    const struct reg *to = m->to;
    int64_t low = to->off + to->s.r.smin;

    if (to->kind == REG_STACK && (!scalar_is_const(&to->s) || low < -PROG_STACK_FRAME || low >= 0))
        return refuse(v, REASON_unprivileged, "unprivileged programs may not move r%u out of the stack", m->reg);
    if (to->kind == REG_MAP_VALUE &&
        (low < 0 || to->s.r.umax >= to->map->value_size || to->off + (int64_t)to->s.r.umax >= to->map->value_size))
        return refuse(v, REASON_unprivileged, "unprivileged programs may not move r%u out of the map's value", m->reg);
    return REASON_ok;
}

enum reason speculation_move(struct verifier *v, uint32_t insn, const struct move *m)
{
    enum reason reason = REASON_ok;

    if (!applies(v))
        return REASON_ok;
    if (m->by_register)
        reason = by_register(v, insn, m);
    return reason ? reason : stays_inside(v, m);
}

enum reason speculation_numbers(struct verifier *v, uint32_t insn, unsigned reg)
{
    return applies(v) ? same_on_every_path(v, insn, MOVE_NUMBERS, 0, reg) : REASON_ok;
}
