/*
 * The control flow before exploration: every slot must be reachable, and the places are marked where states are
 * compared: targets of jumps, conditional jumps, what follows a call of a local function.
 */
#include "verifier/verifier.h"

#include <stdlib.h>

struct walk {
    uint32_t *stack;
    uint32_t n;
    uint8_t *seen; /* 1: on the way down, 2: done */
};

static bool is_branch(const struct insn *insn)
{
    enum isa_form f = isa_rows[insn->op].form;

    return f == ISA_FORM_JMP_K || f == ISA_FORM_JMP_X || f == ISA_FORM_MAY_GOTO;
}

static bool is_goto(const struct insn *insn)
{
    enum isa_form f = isa_rows[insn->op].form;

    return f == ISA_FORM_GOTO_OFF || f == ISA_FORM_GOTO_IMM;
}

/* Successors within the program, calls included; at most 2. */
static unsigned successors(const struct insn *insn, uint32_t at, uint32_t out[2])
{
    unsigned n = 0;

    if (insn->poisoned || insn->op == ISA_EXIT)
        return insn->poisoned ? (out[0] = at + 1 + isa_is_wide((enum isa_op)insn->op), 1) : 0;
    if (is_goto(insn)) {
        out[n++] = insn->target;
        return n;
    }
    out[n++] = at + 1 + isa_is_wide((enum isa_op)insn->op);
    if (is_branch(insn) || insn->op == ISA_CALL_LOCAL || insn->op == ISA_LD_FUNC)
        out[n++] = insn->target;
    return n;
}

static void mark_points(struct verifier *v, const struct insn *insn, uint32_t at)
{
    if (insn->poisoned) /* its target may be anything */
        return;
    if (is_branch(insn)) {
        v->info[at].prune_point = true;
        v->info[insn->target].prune_point = true;
        if (insn->op == ISA_MAY_GOTO)
            v->info[at].force = true;
    } else if (is_goto(insn)) {
        v->info[insn->target].prune_point = true;
    } else if (insn->op == ISA_LD_FUNC) {
        v->info[at].prune_point = true;
        v->info[at + 2].prune_point = true;
        v->info[insn->target].prune_point = true;
    } else if (isa_rows[insn->op].form == ISA_FORM_CALL) {
        v->info[at + 1].prune_point = true;
        if (callback_is_put_off_by(v, insn))
            v->info[at].force = v->info[at].prune_point = true;
        if (callback_is_called_by(v, insn)) {
            v->info[at].calls_back = true;
            v->info[at].force = true;
            v->info[at].prune_point = true;
        }
        if (iter_is_next(v, at)) {
            v->info[at].iterates = true;
            v->info[at].force = true;
            v->info[at].prune_point = true;
        }
        if (insn->op == ISA_CALL_LOCAL) {
            v->info[at].opaque = global_called_at(v, insn) != 0;
            v->info[at].prune_point = true;
            v->info[insn->target].prune_point = true;
        }
    }
}

/* Depth first; an edge to what is on the way down is a loop. */
static enum reason walk(struct verifier *v, struct walk *w, uint32_t root, uint32_t *bad)
{
    uint32_t next[2];

    w->stack[w->n++] = root;
    w->seen[root] = 1;
    while (w->n) {
        uint32_t at = w->stack[w->n - 1];
        const struct insn *insn = insn_at(v, at);
        unsigned n = successors(insn, at, next), i;

        mark_points(v, insn, at);
        for (i = 0; i < n; i++) {
            if (next[i] >= v->prog->n_insns) {
                *bad = at;
                return refuse(v, REASON_falls_off, "control runs past the last instruction");
            }
            if (!w->seen[next[i]]) {
                w->seen[next[i]] = 1;
                w->stack[w->n++] = next[i];
                break;
            }
            if (w->seen[next[i]] == 1 && !v->privileged && insn->op != ISA_CALL_LOCAL) {
                *bad = at;
                return refuse(v, REASON_back_edge, "a jump back to instruction %u", next[i]);
            }
        }
        if (i == n) {
            w->seen[at] = 2;
            w->n--;
        }
    }
    return REASON_ok;
}

enum reason cfg_check(struct verifier *v, uint32_t *bad)
{
    uint32_t n = v->prog->n_insns;
    struct walk w = {malloc((n + 1) * sizeof(uint32_t)), 0, calloc(n + 1, 1)};
    enum reason reason = REASON_out_of_memory;

    if (w.stack && w.seen)
        reason = walk(v, &w, 0, bad);
    if (!reason && v->prog->exception_cb) /* nothing calls it */
        reason = walk(v, &w, v->prog->funcs[v->prog->exception_cb].start, bad);
    for (uint32_t i = 0; i < n && !reason; i++) {
        if (w.seen[i] || insn_at(v, i)->wide_tail)
            continue;
        *bad = i;
        reason = refuse(v, REASON_unreachable_code, "no path from the entry leads to this instruction");
    }
    free(w.stack);
    free(w.seen);
    return reason;
}
