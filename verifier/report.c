#include "verifier/report.h"
#include "vm/listing.h"

#include <ctype.h>
#include <string.h>

/* Decisions that are shown: the last ones say most. Rounds of loops of up to so many decisions are folded. */
enum { SHOWN_STEPS = 12, MAX_ROUND = 8 };

static const char *trim(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

static bool in_name(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* The expression around a column: names with `->`, `.` and what stands in brackets behind them. [*from, *to) holds the
 * column. */
static void expression(const char *text, uint32_t col, uint32_t *from, uint32_t *to)
{
    uint32_t a = col, b = col, n = (uint32_t)strlen(text);

    *from = col;
    *to = col + 1;
    if (!in_name(text[col]))
        return;
    while (a && (in_name(text[a - 1]) || text[a - 1] == '.' || (a > 1 && text[a - 1] == '>' && text[a - 2] == '-') ||
                 (a > 1 && text[a - 1] == '-' && text[a] == '>')))
        a--;
    while (b < n) {
        int depth = 0;

        while (b < n && (in_name(text[b]) || text[b] == '.' || (text[b] == '-' && text[b + 1] == '>') ||
                         (text[b] == '>' && b && text[b - 1] == '-')))
            b++;
        if (b == n || (text[b] != '[' && text[b] != '('))
            break;
        for (uint32_t k = b; k < n; k++) {
            depth += text[k] == '[' || text[k] == '(';
            depth -= text[k] == ']' || text[k] == ')';
            if (!depth) {
                b = k + 1;
                break;
            }
        }
        if (depth)
            break;
    }
    *from = a;
    *to = b > col ? b : col + 1;
}

/* The caret stands under its column; tabs before it stay tabs. */
static void put_source(const struct prog_line *line, struct buf *out)
{
    uint32_t from, to;

    buf_printf(out, "%5u | %s\n", line->line, line->text);
    if (!line->col || line->col > strlen(line->text))
        return;
    expression(line->text, line->col - 1, &from, &to);
    buf_puts(out, "      | ");
    for (uint32_t i = 0; i < to; i++)
        buf_putc(out, i == line->col - 1 ? '^' : i >= from ? '~' : line->text[i] == '\t' ? '\t' : ' ');
    buf_putc(out, '\n');
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

void report_head(const struct prog *prog, uint32_t insn, const char *what, struct buf *out)
{
    const struct prog_line *line = prog_line_at(prog, insn);

    put_place(prog, line, insn, out);
    buf_printf(out, "%s\n", what);
    if (line)
        put_source(line, out);
}

/* The condition of `if (...)`, where it is one comparison on one line. @return its length, 0: none. */
static size_t find_condition(const char *text, const char **begin)
{
    int depth = 0;

    text = trim(text);
    if (!strncmp(text, "} else if", 9))
        text += 7;
    else if (!strncmp(text, "else if", 7))
        text += 5;
    if (strncmp(text, "if", 2) || in_name(text[2]) || strstr(text, "&&") || strstr(text, "||"))
        return 0;
    *begin = strchr(text, '(');
    if (!*begin)
        return 0;
    for (const char *p = *begin; *p; p++) {
        depth += *p == '(';
        depth -= *p == ')';
        if (!depth) {
            ++*begin;
            return (size_t)(p - *begin);
        }
    }
    return 0;
}

/* The first line below `from` that begins at or behind an instruction: what was moved up in between is passed over. */
static const struct prog_line *line_behind(const struct prog *prog, const struct prog_line *from, uint32_t insn)
{
    const struct prog_line *line = prog_line_at(prog, insn), *end = prog->lines + prog->n_lines;

    while (line && line < end && line->line <= from->line)
        line++;
    return line && line < end ? line : NULL;
}

/* Is the condition true on the arm that goes to `to`, where the other goes to `other`? The statement of an `if` begins
 * on the next line, or stands on its own. -1: it cannot be told. */
static int is_true(const struct prog *prog, uint32_t branch, uint32_t next, uint32_t skipped)
{
    const struct prog_line *from = prog_line_at(prog, branch);
    bool own = strchr(from->text, ';') != NULL, block = strchr(from->text, '{') != NULL;
    const struct prog_line *to = line_behind(prog, from, next), *other = line_behind(prog, from, skipped);

    if (!to || !other || strcmp(from->file, to->file) || strcmp(from->file, other->file))
        return -1;
    if (!own && (to->line == from->line + 1) != (other->line == from->line + 1))
        return to->line == from->line + 1;
    if (!own && !block && to->line != other->line && to->line > from->line && other->line > from->line)
        return to->line > other->line; /* its statement is shared with others: past it goes the nearer one */
    if (own && to->line != other->line && to->line > from->line && other->line > from->line)
        return to->line > other->line; /* past it goes the nearer one */
    return -1;
}

void report_step(const struct prog *prog, const struct verify_step *step, struct buf *out)
{
    const struct insn *insn = &prog->insns[step->insn];
    uint32_t next = step->taken ? insn->target : step->insn + 1, skipped = step->taken ? step->insn + 1 : insn->target;
    const struct prog_line *from = prog_line_at(prog, step->insn), *to = prog_line_at(prog, next);
    const char *condition;
    size_t n;
    int truth;

    if (!from || !from->line) {
        buf_printf(out, "instruction %u `", step->insn);
        listing_insn(prog, step->insn, out);
        buf_printf(out, "`: goes to %u", next);
        return;
    }
    buf_printf(out, "line %u", from->line);
    n = find_condition(from->text, &condition);
    truth = n ? is_true(prog, step->insn, next, skipped) : -1;
    if (truth >= 0) {
        buf_printf(out, " `%.*s` %s", (int)n, condition, truth ? "true" : "false");
        return;
    }
    if (*from->text)
        buf_printf(out, " `%s`", trim(from->text));
    if (to && to->line && to->line != from->line)
        buf_printf(out, ": goes to line %u", to->line);
    else
        buf_printf(out, ": %s (instruction %u)", step->taken ? "jumps" : "goes on", step->insn);
}

static bool same_step(const struct verify_step *a, const struct verify_step *b)
{
    return a->insn == b->insn && a->taken == b->taken;
}

/* How often the round of n decisions at `at` comes in a row. */
static uint32_t rounds(const struct verify_result *r, uint32_t at, uint32_t n)
{
    uint32_t times = 1;

    for (;; times++)
        for (uint32_t i = 0; i < n; i++)
            if (at + times * n + i >= r->n_path || !same_step(&r->path[at + i], &r->path[at + times * n + i]))
                return times;
}

static void put_times(uint32_t n, uint32_t times, struct buf *out)
{
    if (n > 1)
        buf_printf(out, "; these %u decisions", n);
    buf_printf(out, ", %u times", times);
}

/* Rounds of a loop that decide alike are told once, with their number. */
static void put_path(const struct prog *prog, const struct verify_result *result, struct buf *out)
{
    struct {
        uint32_t at, n, times;
    } parts[VERIFY_MAX_PATH];
    uint32_t n_parts = 0, first = 0, shown = 0;

    for (uint32_t i = 0; i < result->n_path; n_parts++) {
        uint32_t best = 1, times = rounds(result, i, 1);

        for (uint32_t n = 2; n <= MAX_ROUND && times == 1; n++)
            if (rounds(result, i, n) > times)
                best = n, times = rounds(result, i, n);
        parts[n_parts].at = i;
        parts[n_parts].n = best;
        parts[n_parts].times = times;
        i += best * times;
    }
    for (first = n_parts; first && shown < SHOWN_STEPS;)
        shown += parts[--first].n;
    if (first)
        buf_printf(out, "      = path: ... %u earlier decisions\n", parts[first].at);
    for (uint32_t p = first; p < n_parts; p++)
        for (uint32_t i = 0; i < parts[p].n; i++) {
            buf_puts(out, "      = path: ");
            report_step(prog, &result->path[parts[p].at + i], out);
            if (parts[p].times > 1 && i + 1 == parts[p].n)
                put_times(parts[p].n, parts[p].times, out);
            buf_putc(out, '\n');
        }
}

/* Lines of a text, each behind a title. */
static void put_lines(const char *title, const char *lines, struct buf *out)
{
    while (*lines) {
        size_t n = strcspn(lines, "\n");

        buf_printf(out, "      = %s: %.*s\n", title, (int)n, lines);
        lines += n + (lines[n] == '\n');
    }
}

void report_text(const struct prog *prog, const struct verify_result *result, struct buf *out)
{
    const struct prog_line *line = prog->n_insns ? prog_line_at(prog, result->insn) : NULL;
    const struct prog_func *func = prog->n_insns ? prog_func_at(prog, result->insn) : NULL;
    bool refused = result->verdict == VERDICT_REJECT;

    if (result->verdict == VERDICT_ACCEPT)
        return;
    put_place(prog, line, result->insn, out);
    buf_printf(out, "%s: %s\n", refused ? reason_name(result->reason) : "unsupported", result->message);
    if (line && *line->text)
        put_source(line, out);
    if (refused)
        buf_printf(out, "      = rule: %s\n", reason_rule(result->reason));
    buf_printf(out, "      = program %s%s%s, instruction %u: ", prog->name,
               func && strcmp(func->name, prog->name) ? ", function " : "",
               func && strcmp(func->name, prog->name) ? func->name : "", result->insn);
    if (prog->n_insns)
        listing_insn(prog, result->insn, out);
    buf_putc(out, '\n');
    put_lines("known", result->known, out);
    put_path(prog, result, out);
    put_lines("with", result->inputs, out);
    put_lines("cost", result->cost, out);
    if (refused && *reason_cure(result->reason))
        buf_printf(out, "      = mend: %s\n", reason_cure(result->reason));
}
