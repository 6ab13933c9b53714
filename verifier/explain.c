/*
 * The path stands in the history of the state and of the checkpoints above it, one record an instruction. Here it is
 * laid out as one array, newest last; where a value came from is found by walking it backwards from a branch, through
 * copies, constants that are added, masks and byte swaps, to a load from the input. What cannot be followed is not
 * told: every line is true of each run that takes this path.
 */
#include "verifier/explain.h"
#include "base/buf.h"
#include "vm/ctx/ctx.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_STEPS = 1 << 16, MAX_WALK = 4096, MAX_INPUTS = 8, COSTLY = 4 };

struct walk {
    struct verifier *v;
    uint32_t *steps; /* instructions, oldest first */
    uint32_t n;
};

static bool is_op(unsigned op, unsigned first)
{
    return op >= first && op < first + 4;
}

static bool is_jump(const struct insn *insn)
{
    return isa_rows[insn->op].form == ISA_FORM_JMP_K || isa_rows[insn->op].form == ISA_FORM_JMP_X;
}

static bool lay_out(struct walk *w, const struct state *s)
{
    const struct history *h = &s->past;
    struct checkpoint *c = s->parent;
    uint32_t n = h->n, k = 0;

    w->steps = malloc(MAX_STEPS * sizeof(*w->steps));
    if (!w->steps)
        return false;
    for (;;) {
        while (n && k < MAX_STEPS)
            w->steps[k++] = h->steps[--n].insn;
        if (!c || k == MAX_STEPS)
            break;
        h = &c->state->past;
        n = h->n;
        c = c->state->parent;
    }
    for (uint32_t i = 0; i < k / 2; i++) {
        uint32_t t = w->steps[i];

        w->steps[i] = w->steps[k - 1 - i];
        w->steps[k - 1 - i] = t;
    }
    w->n = k;
    return true;
}

static bool taken_at(const struct walk *w, uint32_t i, uint32_t last)
{
    uint32_t after = i + 1 < w->n ? w->steps[i + 1] : last;
    const struct insn *insn = insn_at(w->v, w->steps[i]);

    return after == insn->target && after != w->steps[i] + 1;
}

static void note_path(const struct walk *w, uint32_t last)
{
    struct verify_result *out = w->v->out;
    uint32_t first = w->n, n = 0;

    while (first && n < VERIFY_MAX_PATH)
        n += is_jump(insn_at(w->v, w->steps[--first]));
    for (uint32_t i = first; i < w->n; i++)
        if (is_jump(insn_at(w->v, w->steps[i])))
            out->path[out->n_path++] = (struct verify_step){w->steps[i], taken_at(w, i, last)};
}

/* Where a value came from. */

enum source { FROM_NOWHERE, FROM_INPUT, FROM_PACKET, FROM_PACKET_END, FROM_VALUE };

struct origin {
    enum source source;
    unsigned bytes;         /* FROM_INPUT: a load from the packet of so many bytes */
    int64_t at;             /* and where it begins */
    unsigned shift;         /* what was done to it is this shift to the left alone; UINT_MAX: more */
    bool low;               /* the low half counts alone */
    int64_t off;            /* FROM_PACKET, FROM_VALUE: bytes from its beginning */
    char pre[64], post[64]; /* what was done to it: pre text post */
    char text[160];         /* FROM_INPUT: the load; FROM_VALUE: which map */
};

static void wrap(struct origin *o, const char *before, const char *after)
{
    char was[64];

    snprintf(was, sizeof(was), "%s", o->post);
    snprintf(o->pre + strlen(o->pre), sizeof(o->pre) - strlen(o->pre), "%s", before);
    snprintf(o->post, sizeof(o->post), "%s%.40s", after, was);
}

static bool trace_back(const struct walk *w, uint32_t i, unsigned reg, unsigned depth, struct origin *o);

/* A load: what its address says. */
static bool trace_load(const struct walk *w, uint32_t at, const struct insn *insn, unsigned depth, struct origin *o)
{
    const struct prog_type *type = w->v->prog->type;
    struct origin base = {0};
    const struct ctx_field *f;
    unsigned bits = isa_access_size((enum isa_op)insn->op) * 8;

    if (o->low && bits == 64)
        return false;
    switch (w->v->info[w->steps[at]].mem) {
    case FACT_MEM_CTX:
        f = type && type->ctx ? ctx_field_at(type->ctx, (uint32_t)insn->off) : NULL;
        if (f && (f->kind == CTX_PACKET || f->kind == CTX_PACKET_END)) {
            o->source = f->kind == CTX_PACKET ? FROM_PACKET : FROM_PACKET_END;
            return true;
        }
        if (f && f->kind != CTX_PLAIN)
            return false;
        o->source = FROM_INPUT;
        if (f && f->off == insn->off && f->size * 8u == bits)
            snprintf(o->text, sizeof(o->text), "ctx->%s", f->name);
        else
            snprintf(o->text, sizeof(o->text), "*(%s *)(ctx + %d)", isa_rows[insn->op].text, insn->off);
        return true;
    case FACT_MEM_PACKET:
    case FACT_MEM_MAP_VALUE:
        if (!depth || !trace_back(w, at, insn->src, depth - 1, &base) || *base.pre)
            return false;
        if (base.source != FROM_PACKET && base.source != FROM_VALUE)
            return false;
        o->source = FROM_INPUT;
        o->bytes = base.source == FROM_PACKET && isa_rows[insn->op].text[0] == 'u' ? bits / 8 : 0;
        o->at = base.off + insn->off;
        snprintf(o->text, sizeof(o->text), "*(%s *)(%.100s + %" PRId64 ")", isa_rows[insn->op].text,
                 base.source == FROM_PACKET ? "packet" : base.text, base.off + insn->off);
        return true;
    default: return false;
    }
}

/* a | b, where compilers put a number together from the bytes that lie side by side in the packet. */
static bool assemble(const struct walk *w, uint32_t at, const struct insn *insn, unsigned depth, struct origin *o)
{
    struct origin a = {0}, b = {0}, *low = &a, *high = &b;

    if (!depth || *o->pre || o->off || !trace_back(w, at, insn->dst, depth - 1, &a) ||
        !trace_back(w, at, insn->src, depth - 1, &b))
        return false;
    if (low->at > high->at)
        low = &b, high = &a;
    if (!a.bytes || !b.bytes || a.off || b.off || a.shift == UINT_MAX || b.shift == UINT_MAX || low->shift ||
        high->at != low->at + low->bytes || high->shift != 8 * low->bytes)
        return false;
    o->source = FROM_INPUT;
    o->bytes = low->bytes + high->bytes;
    o->at = low->at;
    snprintf(o->text, sizeof(o->text), "*(u%u *)(packet + %" PRId64 ")", o->bytes * 8, o->at);
    return true;
}

/* One instruction that writes `reg`. @return 1: found; 0: go on, with *reg; -1: it cannot be followed. */
static int undo(const struct walk *w, uint32_t at, const struct insn *insn, unsigned *reg, unsigned depth,
                struct origin *o)
{
    char text[64];

    switch (isa_rows[insn->op].form) {
    case ISA_FORM_LDX: return trace_load(w, at, insn, depth, o) ? 1 : -1;
    case ISA_FORM_ALU_X:
        if (insn->op == ISA_OR64_X || insn->op == ISA_OR32_X)
            return assemble(w, at, insn, depth, o) ? 1 : -1;
        if (insn->op != ISA_MOV64_X && insn->op != ISA_MOV32_X)
            return -1;
        o->low |= insn->op == ISA_MOV32_X;
        *reg = insn->src;
        return 0;
    case ISA_FORM_ALU_K:
        if (insn->op == ISA_ADD64_K && !*o->pre) {
            o->off += insn->imm;
            return 0;
        }
        if (o->off)
            return -1;
        if (is_op(insn->op, ISA_AND64_K))
            snprintf(text, sizeof(text), " & %#" PRIx64 ")", (uint64_t)insn->imm);
        else if (insn->op == ISA_RSH64_K)
            snprintf(text, sizeof(text), " >> %" PRId64 ")", insn->imm);
        else if (is_op(insn->op, ISA_LSH64_K))
            snprintf(text, sizeof(text), " << %" PRId64 ")", insn->imm);
        else
            return -1;
        o->shift = is_op(insn->op, ISA_LSH64_K) && !*o->pre ? (unsigned)insn->imm : UINT_MAX;
        wrap(o, "(", text);
        return 0;
    case ISA_FORM_END:
        if (o->off)
            return -1;
        o->shift = UINT_MAX;
        snprintf(text, sizeof(text), "%s(", isa_rows[insn->op].text);
        wrap(o, text, ")");
        return 0;
    case ISA_FORM_LDIMM:
        if (insn->op != ISA_LD_MAP_VALUE && insn->op != ISA_LD_MAP_IDX_VALUE)
            return -1;
        o->source = FROM_VALUE;
        o->off += (int32_t)insn->imm;
        snprintf(o->text, sizeof(o->text), "map %.64s", w->v->prog->maps[(uint64_t)insn->imm >> 32]->name);
        return 1;
    default: return -1;
    }
}

/* "what bpf_map_lookup_elem() on line 12 returned": lookups are told apart by where they stand. */
static void called(const struct walk *w, uint32_t insn, const struct helper *h, struct origin *o)
{
    const struct prog_line *line = prog_line_at(w->v->prog, insn);

    if (line && line->line)
        snprintf(o->text, sizeof(o->text), "what bpf_%s() on line %u returned", h->name, line->line);
    else
        snprintf(o->text, sizeof(o->text), "what bpf_%s() at %u returned", h->name, insn);
}

/* The value of a register before step i. Functions that were called and left in between keep r6 to r9. */
static bool trace_back(const struct walk *w, uint32_t i, unsigned reg, unsigned depth, struct origin *o)
{
    uint32_t below = 0;

    for (uint32_t left = MAX_WALK; i && left; left--) {
        const struct insn *insn = insn_at(w->v, w->steps[--i]);
        enum isa_form form = isa_rows[insn->op].form;
        int found;

        if (insn->op == ISA_EXIT) {
            below++;
            continue;
        }
        if (insn->op == ISA_CALL_LOCAL && !w->v->info[w->steps[i]].opaque) {
            if (!below && (reg == 0 || reg > 5)) /* into the caller, which hands over r1 to r5 */
                return false;
            if (below && --below == 0 && reg <= 5)
                return false;
            continue;
        }
        if (below)
            continue;
        if (form == ISA_FORM_CALL || form == ISA_FORM_LD_ABS || form == ISA_FORM_LD_IND) {
            const struct helper *h =
                insn->op == ISA_CALL_HELPER ? helper_set_find(w->v->prog->helpers, (uint32_t)insn->imm) : NULL;

            if (reg > 5)
                continue;
            if (reg || !h)
                return false;
            if (h->ret == RET_MAP_VALUE_OR_NULL || h->ret == RET_MAP_VALUE) {
                o->source = FROM_VALUE;
                called(w, w->steps[i], h, o);
                return true;
            }
            o->source = FROM_INPUT;
            snprintf(o->text, sizeof(o->text), "bpf_%s()", h->name);
            return h->ret == RET_INT;
        }
        if (form == ISA_FORM_JMP_K || form == ISA_FORM_JMP_X || form == ISA_FORM_GOTO_OFF ||
            form == ISA_FORM_GOTO_IMM || form == ISA_FORM_MAY_GOTO || form == ISA_FORM_ST || form == ISA_FORM_STX ||
            form == ISA_FORM_STORE_REL)
            continue;
        if (form == ISA_FORM_ATOMIC) {
            if (reg == insn->src || reg == 0)
                return false;
            continue;
        }
        if (insn->dst != reg)
            continue;
        found = undo(w, i, insn, &reg, depth, o);
        if (found)
            return found > 0;
    }
    return false;
}

/* Conditions on inputs. */

static void put_line(struct buf *out, const char *text)
{
    if (!strstr(buf_text(out), text)) {
        buf_puts(out, text);
        buf_putc(out, '\n');
    }
}

/* The comparison that holds: as written, or its contrary. */
static const char *comparison(unsigned op, bool taken)
{
    static const struct {
        unsigned op;
        const char *is, *is_not;
    } rows[] = {
        {ISA_JEQ64_K, "==", "!="},   {ISA_JNE64_K, "!=", "=="},   {ISA_JGT64_K, ">", "<="},
        {ISA_JGE64_K, ">=", "<"},    {ISA_JLT64_K, "<", ">="},    {ISA_JLE64_K, "<=", ">"},
        {ISA_JSGT64_K, "s>", "s<="}, {ISA_JSGE64_K, "s>=", "s<"}, {ISA_JSLT64_K, "s<", "s>="},
        {ISA_JSLE64_K, "s<=", "s>"},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (is_op(op, rows[i].op))
            return taken ? rows[i].is : rows[i].is_not;
    return NULL;
}

static void packet_length(const struct walk *w, uint32_t i, const struct insn *insn, bool taken, struct buf *out)
{
    struct origin a = {0}, b = {0};
    const char *how = comparison(insn->op, taken);
    char text[96];
    bool flip;

    if (!how || isa_rows[insn->op].width != 64 || !trace_back(w, i, insn->dst, 2, &a) ||
        !trace_back(w, i, insn->src, 2, &b))
        return;
    flip = a.source == FROM_PACKET_END;
    if (flip ? b.source != FROM_PACKET : a.source != FROM_PACKET || b.source != FROM_PACKET_END)
        return;
    if (how[0] == 's' || how[0] == '=' || how[0] == '!')
        return;
    /* packet + n how end: the length is what `how` says the other way round */
    if ((how[0] == '<') != flip)
        snprintf(text, sizeof(text), "a packet of %s %" PRId64 " bytes", how[1] ? "at least" : "more than",
                 flip ? b.off : a.off);
    else
        snprintf(text, sizeof(text), "a packet of %s %" PRId64 " bytes", how[1] ? "at most" : "fewer than",
                 flip ? b.off : a.off);
    put_line(out, text);
}

static void condition(const struct walk *w, uint32_t i, bool taken, struct buf *out)
{
    const struct insn *insn = insn_at(w->v, w->steps[i]);
    const char *how = comparison(insn->op, taken);
    struct origin o = {0};
    char text[400];

    if (isa_rows[insn->op].form == ISA_FORM_JMP_X) {
        packet_length(w, i, insn, taken, out);
        return;
    }
    o.low = isa_rows[insn->op].width == 32;
    if (!trace_back(w, i, insn->dst, 4, &o))
        return;
    if (o.source == FROM_VALUE && !*o.pre && !o.off && how && insn->imm == 0 && strstr(o.text, "returned")) {
        snprintf(text, sizeof(text), "%.120s is %sNULL", o.text, how[0] == '=' ? "" : "not ");
        put_line(out, text);
        return;
    }
    if (o.source != FROM_INPUT || strlen(o.pre) > 60 || strlen(o.post) > 60)
        return;
    if (o.off)
        snprintf(o.post + strlen(o.post), sizeof(o.post) - strlen(o.post), " %c %" PRId64, o.off < 0 ? '-' : '+',
                 o.off < 0 ? -o.off : o.off);
    if (how && insn->imm >= -4096 && insn->imm <= 4096)
        snprintf(text, sizeof(text), "%s%s%s %s %" PRId64, o.pre, o.text, o.post, how, insn->imm);
    else if (how)
        snprintf(text, sizeof(text), "%s%s%s %s %#" PRIx64, o.pre, o.text, o.post, how,
                 isa_rows[insn->op].width == 32 ? (uint32_t)insn->imm : (uint64_t)insn->imm);
    else
        snprintf(text, sizeof(text), "%s%s%s & %#" PRIx64 " %s 0", o.pre, o.text, o.post, (uint64_t)insn->imm,
                 taken ? "!=" : "==");
    put_line(out, text);
}

static void note_inputs(const struct walk *w, uint32_t last)
{
    struct buf lines = {0};
    uint32_t first = w->n, n = 0;

    while (first && n < MAX_INPUTS && w->n - first < MAX_WALK)
        n += is_jump(insn_at(w->v, w->steps[--first]));
    for (uint32_t i = first; i < w->n; i++)
        if (is_jump(insn_at(w->v, w->steps[i])))
            condition(w, i, taken_at(w, i, last), &lines);
    snprintf(w->v->out->inputs, sizeof(w->v->out->inputs), "%s", buf_text(&lines));
    buf_free(&lines);
}

/* Registers in words. */

static void put_number(const struct scalar *s, struct buf *out)
{
    if (scalar_is_const(s))
        buf_printf(out, "the number %" PRId64, (int64_t)s->t.value);
    else if (s->r.umin == 0 && s->r.umax == UINT64_MAX && s->r.smin == INT64_MIN && s->r.smax == INT64_MAX)
        buf_puts(out, "a number of which nothing is known");
    else if (s->r.smin >= 0)
        buf_printf(out, "a number from %" PRIu64 " to %" PRIu64, s->r.umin, s->r.umax);
    else if (s->r.smin > INT64_MIN || s->r.smax < INT64_MAX)
        buf_printf(out, "a signed number from %" PRId64 " to %" PRId64, s->r.smin, s->r.smax);
    else
        buf_printf(out, "a number from %" PRIu64 " to %" PRIu64 ", as unsigned", s->r.umin, s->r.umax);
}

static void put_offset(const struct reg *r, struct buf *out)
{
    int64_t off = r->off + (scalar_is_const(&r->s) ? (int64_t)r->s.t.value : 0);

    buf_printf(out, "%" PRId64, off);
    if (scalar_is_const(&r->s))
        return;
    buf_puts(out, " plus ");
    put_number(&r->s, out);
}

static void put_reg(const struct reg *r, uint32_t frame, struct buf *out)
{
    switch (r->kind) {
    case REG_NONE: buf_puts(out, "not written on this path"); return;
    case REG_SCALAR: put_number(&r->s, out); return;
    case REG_STACK:
        buf_puts(out, "a pointer into the stack");
        if (r->frame != frame)
            buf_puts(out, " of a caller");
        buf_puts(out, ", at r10 ");
        put_offset(r, out);
        return;
    case REG_MAP: buf_printf(out, "the map '%s'", r->map ? r->map->name : "?"); break;
    case REG_MAP_VALUE:
        buf_printf(out, "a pointer to offset ");
        put_offset(r, out);
        buf_printf(out, " of a value of map '%s', which has %u bytes", r->map->name, r->map->value_size);
        break;
    case REG_PACKET:
    case REG_PACKET_META:
        buf_printf(out, "a pointer into the packet%s, ", r->kind == REG_PACKET ? "" : "'s metadata");
        if (r->id)
            buf_printf(out, "%d from a place that is not constant; %u bytes are proved from there", r->off, r->size);
        else
            buf_printf(out, "%d from its beginning; %u bytes are proved from there", r->off, r->size);
        break;
    case REG_MEM:
        buf_printf(out, "a pointer to offset ");
        put_offset(r, out);
        buf_printf(out, " of memory of %u bytes", r->size);
        break;
    default:
        buf_printf(out, "a %s", reg_kind_name(r));
        if (r->off)
            buf_printf(out, " that was moved by %d", r->off);
        return;
    }
    if (r->flags & REG_MAYBE_NULL)
        buf_puts(out, ", or NULL");
}

static uint16_t named(const struct insn *insn)
{
    switch (isa_rows[insn->op].form) {
    case ISA_FORM_ALU_K:
    case ISA_FORM_NEG:
    case ISA_FORM_END:
    case ISA_FORM_JMP_K:
    case ISA_FORM_ST: return (uint16_t)(1u << insn->dst);
    case ISA_FORM_LDX:
    case ISA_FORM_LOAD_ACQ:
    case ISA_FORM_MOVSX: return (uint16_t)(1u << insn->src);
    case ISA_FORM_ALU_X: return (uint16_t)(1u << insn->src | (is_op(insn->op, ISA_MOV64_K) ? 0 : 1u << insn->dst));
    case ISA_FORM_STX:
    case ISA_FORM_STORE_REL:
    case ISA_FORM_ATOMIC:
    case ISA_FORM_JMP_X: return (uint16_t)(1u << insn->src | 1u << insn->dst);
    case ISA_FORM_NO_OPERANDS: return 1;
    default: return 0;
    }
}

/* The arguments of a helper that it looks at, the operands of everything else. */
static void note_known(struct verifier *v, const struct state *s)
{
    const struct insn *insn = insn_at(v, v->out->insn);
    const struct helper *h =
        insn->op == ISA_CALL_HELPER ? helper_set_find(v->prog->helpers, (uint32_t)insn->imm) : NULL;
    uint16_t regs = insn->poisoned ? 0 : named(insn);
    struct buf lines = {0};

    for (unsigned i = 0; h && i < 5 && h->arg[i] != ARG_NONE; i++)
        regs |= (uint16_t)(2u << i);
    for (unsigned r = 0; r < REGS && s->n_frames; r++) {
        if (!(regs >> r & 1) || (r == 10))
            continue;
        buf_printf(&lines, "r%u: ", r);
        put_reg(state_reg(s, r), s->n_frames - 1, &lines);
        buf_putc(&lines, '\n');
    }
    snprintf(v->out->known, sizeof(v->out->known), "%s", buf_text(&lines));
    buf_free(&lines);
}

/* Where the steps went: instructions are added up by line, and a line that jumps back is a loop. */

struct cost {
    uint32_t insn;
    uint64_t steps;
};

static int by_steps(const void *a, const void *b)
{
    const struct cost *x = a, *y = b;

    return x->steps < y->steps ? 1 : x->steps > y->steps ? -1 : x->insn < y->insn ? -1 : x->insn > y->insn;
}

static void put_place(const struct verifier *v, uint32_t insn, struct buf *out)
{
    const struct prog_line *line = prog_line_at(v->prog, insn);

    if (line && line->line)
        buf_printf(out, "line %u `%s`", line->line, line->text + strspn(line->text, " \t"));
    else
        buf_printf(out, "instruction %u", insn);
}

/* The loop that was walked most: the jump back with the most steps. */
static void put_loop(const struct verifier *v, struct buf *out)
{
    uint32_t worst = UINT32_MAX;

    for (uint32_t i = 0; i < v->prog->n_insns; i++) {
        const struct insn *insn = insn_at(v, i);
        enum isa_form f = isa_rows[insn->op].form;

        if (!insn->poisoned && (is_jump(insn) || f == ISA_FORM_GOTO_OFF || f == ISA_FORM_GOTO_IMM) &&
            insn->target <= i && v->info[i].steps > 1 &&
            (worst == UINT32_MAX || v->info[i].steps > v->info[worst].steps))
            worst = i;
    }
    if (worst == UINT32_MAX)
        return;
    buf_printf(out, "the loop that jumps back at ");
    put_place(v, worst, out);
    buf_printf(out, " was walked %u times\n", v->info[worst].steps);
}

static void note_cost(struct verifier *v)
{
    struct cost *costs = calloc(v->prog->n_insns + 1, sizeof(*costs));
    const struct prog_line *line = NULL;
    struct buf lines = {0};
    uint32_t n = 0;

    if (!costs)
        return;
    for (uint32_t i = 0; i < v->prog->n_insns; i++) {
        const struct prog_line *at = prog_line_at(v->prog, i);
        uint32_t k = 0;

        if (at && at == line) {
            costs[n - 1].steps += v->info[i].steps;
            continue;
        }
        line = at;
        /* Lines come in several pieces; a few hundred are looked through. */
        for (k = at && at->line && n < 512 ? 0 : n; k < n; k++) {
            const struct prog_line *other = prog_line_at(v->prog, costs[k].insn);

            if (other && other->line == at->line && !strcmp(other->file, at->file))
                break;
        }
        if (k < n) {
            costs[k].steps += v->info[i].steps;
            line = NULL;
            continue;
        }
        costs[n++] = (struct cost){i, v->info[i].steps};
    }
    qsort(costs, n, sizeof(*costs), by_steps);
    put_loop(v, &lines);
    for (uint32_t i = 0; i < n && i < COSTLY && costs[i].steps; i++) {
        put_place(v, costs[i].insn, &lines);
        buf_printf(&lines, ": %" PRIu64 " of the steps\n", costs[i].steps);
    }
    snprintf(v->out->cost, sizeof(v->out->cost), "%s", buf_text(&lines));
    buf_free(&lines);
    free(costs);
}

void explain(struct verifier *v, const struct state *s, enum reason reason)
{
    struct walk w = {.v = v};

    if (s && s->n_frames && lay_out(&w, s)) {
        note_path(&w, s->insn);
        note_inputs(&w, s->insn);
        note_known(v, s);
    }
    free(w.steps);
    if (reason == REASON_too_complex)
        note_cost(v);
}
