#include "verifier/trace.h"
#include "verifier/print.h"
#include "vm/listing.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMN = 37, MAX_TEXT = 64 << 20, MAX_FORKS = 4096 };

/* Text that waits, level 1. It belongs to the path that is being followed; `begin` of each path that waits on the
 * worklist is how much of it was there when the path forked off. */
struct trace {
    struct buf text;
    int level;
    bool whole;           /* the next instruction shows the whole state: a path begins */
    bool begun;           /* a whole state was shown: the next one says where it comes from */
    bool full;            /* there was more text than is kept */
    size_t line;          /* where the last line begins, in text */
    uint32_t from;        /* the instruction before */
    uint16_t touched;     /* registers that the instruction names */
    struct state *before; /* shares the frames as they were */
    const struct prog_line *said;
};

struct trace *trace_new(struct verifier *v)
{
    struct trace *t =
        v->opts->log_level > 0 && v->log && v->log->fn && v->log->max >= SKEP_LOG_INFO ? calloc(1, sizeof(*t)) : NULL;

    if (t)
        t->level = v->opts->log_level;
    return t;
}

/* Hands over what is said, line by line. */
static void flush(struct verifier *v)
{
    struct trace *t = v->trace;
    char *p = t->text.data, *end;

    for (; p && p < t->text.data + t->text.len; p = end + 1) {
        end = memchr(p, '\n', t->text.len - (size_t)(p - t->text.data));
        if (!end)
            end = t->text.data + t->text.len;
        *end = 0;
        v->log->fn(v->log->ctx, SKEP_LOG_INFO, p);
    }
    buf_clear(&t->text);
    t->line = 0;
}

static void end_line(struct verifier *v)
{
    struct trace *t = v->trace;

    if (t->text.len > t->line)
        buf_putc(&t->text, '\n');
    t->line = t->text.len;
    if (t->level > 1)
        flush(v);
    if (t->text.len > MAX_TEXT) {
        t->full = true;
        buf_clear(&t->text);
        t->line = 0;
    }
}

static void put_source(struct verifier *v, uint32_t insn)
{
    struct trace *t = v->trace;
    const struct prog_line *line = prog_line_at(v->prog, insn);
    const char *text;

    if (!line || !*line->text)
        return;
    if (t->said && t->said->line == line->line && !strcmp(t->said->file, line->file))
        return;
    t->said = line;
    text = line->text + strspn(line->text, " \t");
    buf_printf(&t->text, "; %s @ %s:%u", text, strrchr(line->file, '/') ? strrchr(line->file, '/') + 1 : line->file,
               line->line);
    end_line(v);
}

/* Which registers an instruction reads or writes by its operands. */
static uint16_t operands(const struct insn *insn)
{
    uint16_t dst = (uint16_t)(1u << insn->dst), src = (uint16_t)(1u << insn->src);

    switch (isa_rows[insn->op].form) {
    case ISA_FORM_ALU_K:
    case ISA_FORM_NEG:
    case ISA_FORM_END:
    case ISA_FORM_JMP_K:
    case ISA_FORM_ST:
    case ISA_FORM_LDIMM: return dst;
    case ISA_FORM_CALL:
    case ISA_FORM_LD_ABS:
    case ISA_FORM_LD_IND: return 1;
    case ISA_FORM_GOTO_OFF:
    case ISA_FORM_GOTO_IMM:
    case ISA_FORM_MAY_GOTO:
    case ISA_FORM_NO_OPERANDS: return 0;
    default: return dst | src;
    }
}

void trace_path(struct verifier *v, const struct state *s)
{
    struct trace *t = v->trace;

    if (t->level == 1 && s->trace_at < t->text.len) {
        t->text.len = s->trace_at;
        t->text.data[t->text.len] = 0;
        t->line = t->text.len;
        t->said = NULL;
    }
    t->whole = true;
    t->from = s->past.n ? s->past.steps[s->past.n - 1].insn : s->insn;
}

/* What was found before exploration: functions, and the registers that are live before each instruction. */
void trace_begin(struct verifier *v)
{
    struct trace *t = v->trace;

    for (uint32_t f = 0; f < v->prog->n_funcs && t->level > 1; f++)
        buf_printf(&t->text, "func#%u @%u\n", f, v->prog->funcs[f].start);
    if (t->level > 1)
        buf_puts(&t->text, "Live regs before insn:\n");
    for (uint32_t i = 0; i < v->prog->n_insns && t->level > 1; i++) {
        if (insn_at(v, i)->wide_tail)
            continue;
        buf_printf(&t->text, "    %3u: ", i);
        for (unsigned r = 0; r < REGS - 1; r++)
            buf_putc(&t->text, v->info[i].live_regs >> r & 1 ? (char)('0' + r) : '.');
        buf_printf(&t->text, " (%02x) ", isa_rows[insn_at(v, i)->op].code);
        listing_insn(v->prog, i, &t->text);
        end_line(v);
    }
}

void trace_pruned(struct verifier *v, const struct state *s)
{
    struct trace *t = v->trace;

    end_line(v);
    if (t->whole && t->begun)
        buf_printf(&t->text, "\nfrom %u to %u: safe", t->from, s->insn);
    else
        buf_printf(&t->text, "%u: safe", s->insn);
    end_line(v);
    t->whole = false;
}

void trace_before(struct verifier *v, const struct state *s)
{
    struct trace *t = v->trace;
    const struct insn *insn = insn_at(v, s->insn);

    end_line(v);
    if (t->whole) {
        if (t->begun)
            buf_printf(&t->text, "\nfrom %u to %u:", t->from, s->insn);
        else
            buf_printf(&t->text, "%u:", s->insn);
        state_print(&t->text, s);
        end_line(v);
        t->whole = false;
        t->begun = true;
    }
    put_source(v, s->insn);
    buf_printf(&t->text, "%u: (%02x) ", s->insn, isa_rows[insn->op].code);
    listing_insn(v->prog, s->insn, &t->text);
    t->from = s->insn;
    t->touched = insn->poisoned ? 0 : operands(insn);
    t->before = state_new(&v->pool);
    if (t->before)
        state_share(t->before, s);
}

/* A call of a local function, or the return from one: both frames are shown whole. */
static void crossed(struct verifier *v, const struct state *s, bool called)
{
    struct trace *t = v->trace;
    struct state caller = *(called ? s : t->before);

    end_line(v);
    caller.n_frames--;
    if (called) {
        buf_puts(&t->text, "caller:\n");
        state_print(&t->text, &caller);
        buf_puts(&t->text, "\ncallee:\n");
        state_print(&t->text, s);
    } else {
        buf_puts(&t->text, "returning from callee:\n");
        state_print(&t->text, t->before);
        buf_printf(&t->text, "\nto caller at %u:\n", s->insn);
        state_print(&t->text, s);
    }
    end_line(v);
    t->said = NULL;
    t->whole = true;
    t->begun = !called;
}

void trace_after(struct verifier *v, const struct state *s, struct state *other, bool done)
{
    struct trace *t = v->trace;

    if (!t->before)
        return;
    if (!done && s->n_frames != t->before->n_frames) {
        crossed(v, s, s->n_frames > t->before->n_frames);
    } else if (!done) {
        struct buf change = {0};

        state_print_change(&change, t->before, s, t->touched);
        if (change.len) {
            while (t->text.len - t->line < COLUMN && !t->text.failed)
                buf_putc(&t->text, ' ');
            buf_printf(&t->text, " ;%s", buf_text(&change));
        }
        buf_free(&change);
    }
    state_release_frames(&v->pool, t->before);
    t->before->n_frames = 0;
    state_free(&v->pool, t->before);
    t->before = NULL;
    if (other) {
        end_line(v);
        other->trace_at = t->text.len;
    }
}

void trace_end(struct verifier *v, enum reason reason)
{
    struct trace *t = v->trace;

    end_line(v);
    if (t->before)
        state_free(&v->pool, t->before);
    if (!reason && t->level == 1) {
        buf_clear(&t->text);
        t->line = 0;
    }
    if (t->full)
        v->log->fn(v->log->ctx, SKEP_LOG_INFO, "(the beginning of the path is left out: it is too long)");
    if (reason)
        buf_printf(&t->text, "%s: %s\n", reason_name(reason), v->why);
    buf_printf(&t->text,
               "processed %llu insns (limit %llu) max_states_per_insn %u total_states %u peak_states %u mark_read 0\n",
               (unsigned long long)v->out->insns_processed,
               (unsigned long long)(v->opts->max_insns ? v->opts->max_insns : 1000000), v->out->max_states_per_insn,
               v->out->states_total, v->out->states_peak);
    flush(v);
    buf_free(&t->text);
    free(t);
    v->trace = NULL;
}
