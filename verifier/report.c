#include "verifier/report.h"

#include <ctype.h>
#include <string.h>

/* Decisions that are shown: the last ones say most. */
enum { SHOWN_STEPS = 12 };

static const char *trim(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

/* The caret stands under its column; tabs before it stay tabs. */
static void put_source(const struct prog_line *line, struct buf *out)
{
    buf_printf(out, "%5u | %s\n", line->line, line->text);
    if (!line->col || line->col > strlen(line->text))
        return;
    buf_puts(out, "      | ");
    for (uint32_t i = 0; i + 1 < line->col; i++)
        buf_putc(out, line->text[i] == '\t' ? '\t' : ' ');
    buf_puts(out, "^\n");
}

static void put_place(const struct prog *prog, const struct prog_line *line, uint32_t insn, struct buf *out)
{
    if (line && *line->file)
        buf_printf(out, "%s:%u:%u: ", line->file, line->line, line->col);
    else if (*prog->file)
        buf_printf(out, "%s: %s: instruction %u: ", prog->file, prog->section, insn);
    else
        buf_printf(out, "instruction %u: ", insn);
}

void report_step(const struct prog *prog, const struct verify_step *step, struct buf *out)
{
    const struct insn *insn = &prog->insns[step->insn];
    const struct prog_line *from = prog_line_at(prog, step->insn);
    const struct prog_line *to = prog_line_at(prog, step->taken ? insn->target : step->insn + 1);

    if (!from || !from->line) {
        buf_printf(out, "instruction %u: goes to %u", step->insn, step->taken ? insn->target : step->insn + 1);
        return;
    }
    buf_printf(out, "line %u", from->line);
    if (*from->text)
        buf_printf(out, " `%s`", trim(from->text));
    if (to && to->line && to->line != from->line)
        buf_printf(out, ": goes to line %u", to->line);
    else
        buf_printf(out, ": %s (instruction %u)", step->taken ? "jumps" : "goes on", step->insn);
}

static bool same_line(const struct prog *prog, const struct verify_step *a, const struct verify_step *b)
{
    return prog_line_at(prog, a->insn) == prog_line_at(prog, b->insn) && a->insn == b->insn && a->taken == b->taken;
}

/* Rounds of a loop that decide alike are told once, with their number. */
static void put_path(const struct prog *prog, const struct verify_result *result, struct buf *out)
{
    uint32_t first = result->n_path > SHOWN_STEPS ? result->n_path - SHOWN_STEPS : 0;

    if (first)
        buf_printf(out, "      = path: ... %u earlier decisions\n", first);
    for (uint32_t i = first; i < result->n_path;) {
        uint32_t n = 1;

        while (i + n < result->n_path && same_line(prog, &result->path[i], &result->path[i + n]))
            n++;
        buf_puts(out, "      = path: ");
        report_step(prog, &result->path[i], out);
        if (n > 1)
            buf_printf(out, ", %u times", n);
        buf_putc(out, '\n');
        i += n;
    }
}

void report_text(const struct prog *prog, const struct verify_result *result, struct buf *out)
{
    const struct prog_line *line = prog->n_insns ? prog_line_at(prog, result->insn) : NULL;
    const struct prog_func *func = prog->n_insns ? prog_func_at(prog, result->insn) : NULL;

    if (result->verdict == VERDICT_ACCEPT)
        return;
    put_place(prog, line, result->insn, out);
    if (result->verdict == VERDICT_UNSUPPORTED) {
        buf_printf(out, "unsupported: %s\n", result->message);
    } else {
        buf_printf(out, "%s: %s\n", reason_name(result->reason), result->message);
    }
    if (line && *line->text)
        put_source(line, out);
    if (result->verdict == VERDICT_REJECT)
        buf_printf(out, "      = rule: %s\n", reason_rule(result->reason));
    buf_printf(out, "      = program %s%s%s, instruction %u\n", prog->name,
               func && strcmp(func->name, prog->name) ? ", function " : "",
               func && strcmp(func->name, prog->name) ? func->name : "", result->insn);
    put_path(prog, result, out);
    if (result->verdict == VERDICT_REJECT && *reason_cure(result->reason))
        buf_printf(out, "      = mend: %s\n", reason_cure(result->reason));
}
