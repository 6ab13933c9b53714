/*
 * What Linux says when it refuses an object, as our own reports have it: the C line, what is wrong, what Linux said
 * before, what to do. Its verifier's log is instructions with source lines between them, and ends with the reason; the
 * instruction before it is found again in our own reading of the program, which knows columns.
 */
#include "api/kernel.h"
#include "verifier/report.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 6, LINE_LEN = 400 };

struct reading {
    int64_t insn;               /* the last that the log names; -1: none */
    char source[LINE_LEN];      /* the last source line */
    char said[SHOWN][LINE_LEN]; /* what follows that instruction, the last line last */
    uint32_t n;
};

/* "12: (61) r0 = ..." @return the number, or -1 */
static int64_t insn_of(const char *line)
{
    char *end;
    unsigned long n = isdigit((unsigned char)*line) ? strtoul(line, &end, 10) : 0;
    return isdigit((unsigned char)*line) && !strncmp(end, ": (", 3) ? (int64_t)n : -1;
}

/* Lines that tell of states and of paths, not of what is wrong. */
static bool is_noise(const char *line)
{
    static const char *const starts[] = {"processed ",  "from ",        "verification time",
                                         "stack depth", "mark_precise", "arg#",
                                         "Validating ", "Func#",        "func#",
                                         "safe",        "-- "};
    size_t digits = strspn(line, "0123456789");
    if (!*line || (digits && !strncmp(line + digits, ": R", 3)) || (digits && !strncmp(line + digits, ": safe", 6)))
        return true;
    for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++)
        if (!strncmp(line, starts[i], strlen(starts[i])))
            return true;
    return false;
}

static void take_line(struct reading *r, const char *line)
{
    int64_t insn = insn_of(line);
    if (insn >= 0) {
        r->insn = insn;
        r->n = 0;
    } else if (line[0] == ';') {
        snprintf(r->source, sizeof(r->source), "%s", line + 1 + strspn(line + 1, " "));
        char *at = strstr(r->source, " @ "); /* Linux 6.8 and newer name the file and the line here */
        if (at)
            *at = 0;
    } else if (!is_noise(line)) {
        if (r->n == SHOWN)
            memmove(r->said, r->said + 1, sizeof(*r->said) * --r->n);
        snprintf(r->said[r->n++], LINE_LEN, "%s", line);
    }
}

static void read_log(const char *log, struct reading *r)
{
    char line[LINE_LEN];
    *r = (struct reading){.insn = -1};
    while (*log) {
        size_t len = strcspn(log, "\n");
        snprintf(line, sizeof(line), "%.*s", (int)(len < sizeof(line) ? len : sizeof(line) - 1), log);
        take_line(r, line);
        log += len + (log[len] == '\n');
    }
}

static bool same_text(const char *a, const char *b)
{
    a += strspn(a, " \t");
    size_t n = strlen(b);
    while (n && isspace((unsigned char)b[n - 1]))
        n--;
    return !strncmp(a, b, n);
}

/* The instruction of ours that Linux means: functions may lie in another order there, but then the line differs. */
static int64_t find_insn(const struct prog *prog, const struct reading *r)
{
    if (r->insn < 0 || r->insn >= prog->n_insns)
        return -1;
    const struct prog_line *line = prog_line_at(prog, (uint32_t)r->insn);
    if (!line || !*r->source || same_text(line->text, r->source))
        return r->insn;
    for (uint32_t i = 0; i < prog->n_lines; i++)
        if (same_text(prog->lines[i].text, r->source))
            return prog->lines[i].insn;
    return -1;
}

/* Only for the report: its own failures say nothing new. */
static const struct prog *link_prog(struct skep_object *o, int32_t prog)
{
    if (!o->obj->progs[prog].prog) {
        struct object_link_opts link = {.btf_path = o->btf_path, .helpers = &o->vm->helpers};
        object_link(o->obj, &link, NULL);
    }
    return o->obj->progs[prog].prog;
}

static const char *errno_text(int err)
{
    return err == -ENOTSUPP ? "Not supported by this kernel" : strerror(-err);
}

static void report_program(struct skep_object *o, int err, const struct kernel_refusal *why, struct buf *out)
{
    struct reading r;
    struct buf what = {0};
    read_log(buf_text(&why->log), &r);
    const struct prog *prog = link_prog(o, why->prog);
    int64_t insn = prog ? find_insn(prog, &r) : -1;
    buf_printf(&what, "Linux refuses program '%s': %s", o->progs[why->prog].name,
               r.n ? r.said[r.n - 1] : errno_text(err));
    if (insn >= 0) {
        report_head(prog, (uint32_t)insn, buf_text(&what), out);
    } else {
        buf_puts(out, buf_text(&what));
        if (*r.source)
            buf_printf(out, "\n      | %s", r.source);
        buf_putc(out, '\n');
    }
    for (uint32_t i = 0; i + 1 < r.n; i++)
        buf_printf(out, "      = Linux: %s\n", r.said[i]);
    if (err == -EPERM || err == -ENOTSUPP)
        kernel_explain(err, o->obj->progs[why->prog].section, out);
    else
        buf_printf(out,
                   "      = `skep verify` tells what is known there and what mends it; `-d` shows Linux's whole log");
    buf_free(&what);
}

/* libbpf's last warning that says more than that something failed. */
static void last_words(const struct buf *said, char *out, size_t room)
{
    const char *p = buf_text(said);
    *out = 0;
    while (*p) {
        size_t len = strcspn(p, "\n");
        char line[LINE_LEN];
        snprintf(line, sizeof(line), "%.*s", (int)(len < sizeof(line) ? len : sizeof(line) - 1), p);
        if (!strstr(line, "failed to load object") && !strstr(line, "BEGIN PROG LOAD") &&
            !strstr(line, "END PROG LOAD"))
            snprintf(out, room, "%s", line + (strncmp(line, "libbpf: ", 8) ? 0 : 8));
        p += len + (p[len] == '\n');
    }
}

/* The section of the program that libbpf speaks of, else its words. */
static const char *subject(const struct skep_object *o, const char *words)
{
    const char *name = strstr(words, "prog '");
    for (uint32_t i = 0; name && i < o->obj->n_progs; i++) {
        size_t len = strlen(o->obj->progs[i].name);
        if (!strncmp(name + 6, o->obj->progs[i].name, len) && name[6 + len] == '\'')
            return o->obj->progs[i].section;
    }
    return words;
}

/* Linux's verifier closes its log with what it processed; what has no hook here is told before it looked at anything.
 */
static bool was_judged(int err, const char *log)
{
    unsigned long long processed = 0;
    const char *stats = strstr(log, "processed ");
    if (stats)
        sscanf(stats, "processed %llu", &processed);
    /* Of this process's rights (CAP_SYS_ADMIN, no lockdown), not of the program. */
    if (strstr(log, "cannot use helper bpf_probe_write_user"))
        return false;
    return stats && err != -EPERM && (processed || err == -EACCES || err == -EINVAL || err == -E2BIG);
}

void kernel_report(struct skep_object *o, int err, const struct kernel_refusal *why, const struct log *log)
{
    struct buf text = {0};
    char words[LINE_LEN];
    if (why->prog >= 0) {
        o->refused = was_judged(err, buf_text(&why->log));
        report_program(o, err, why, &text);
        log_debug(log, "Linux's log of program '%s':\n%s", o->progs[why->prog].name, buf_text(&why->log));
    } else {
        last_words(&why->said, words, sizeof(words));
        buf_printf(&text, "Linux does not take it: %s%s%s", *words ? words : "", *words ? ": " : "", errno_text(err));
        kernel_explain(err, subject(o, words), &text);
    }
    log_fail(log, err, "%s", buf_text(&text));
    buf_free(&text);
}
