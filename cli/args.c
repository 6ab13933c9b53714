/*
 * Arguments and messages. An argument is looked at where `at` stands and stepped over once it is understood; what no
 * question recognises is the caller's to refuse or to take as a name.
 */
#include "cli/cli.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Messages ---- */

static void say(struct cli *c, enum skep_log_level level, const char *text)
{
    static const char *const prefix[] = {"", "warning: ", "", "debug: "};
    if (c->json) {
        buf_putc(&c->messages, (char)('0' + level));
        buf_puts(&c->messages, text);
        buf_putc(&c->messages, 0);
    } else {
        fflush(stdout);
        fprintf(stderr, "skep: %s%s\n", prefix[level], text);
    }
}

void cli_on_log(void *cli, enum skep_log_level level, const char *text)
{
    struct cli *c = cli;
    if (level == SKEP_LOG_ERROR && c->json && !c->error.len)
        buf_puts(&c->error, text);
    else
        say(c, level, text);
    c->failed |= level == SKEP_LOG_ERROR;
}

struct log cli_log(struct cli *c)
{
    return (struct log){.fn = cli_on_log, .ctx = c, .max = c->level};
}

static void fail(struct cli *c, const char *fmt, va_list ap)
{
    struct buf text = {0};
    buf_vprintf(&text, fmt, ap);
    cli_on_log(c, SKEP_LOG_ERROR, buf_text(&text));
    buf_free(&text);
}

int cli_fail(struct cli *c, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fail(c, fmt, ap);
    va_end(ap);
    return status;
}

int cli_usage(struct cli *c, const struct command *cmd, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fail(c, fmt, ap);
    va_end(ap);
    if (!c->json && cmd)
        fprintf(stderr, "usage: skep %s %s\n", cmd->name, cmd->usage);
    return STATUS_USAGE;
}

void cli_warn(struct cli *c, const char *fmt, ...)
{
    struct buf text = {0};
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    say(c, SKEP_LOG_WARN, buf_text(&text));
    buf_free(&text);
}

int cli_status(int err)
{
    switch (err < 0 ? -err : err) {
    case ENOENT:
    case EACCES:
    case EIO:
    case EISDIR:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EFBIG:
    case ENOMEM: return STATUS_USAGE;
    default: return STATUS_REFUSED;
    }
}

/* ---- Arguments ---- */

static const char *take_value(struct args *a, const char *name, bool *bad)
{
    if (a->at + 1 >= a->argc) {
        *bad = true;
        cli_usage(a->c, a->cmd, "'%s' needs a value", name);
        return NULL;
    }
    a->at += 2;
    return a->argv[a->at - 1];
}

const char *args_option(struct args *a, const char *name, bool *bad)
{
    size_t len = strlen(name);
    const char *arg = a->at < a->argc ? a->argv[a->at] : "";
    if (!strncmp(arg, name, len) && arg[len] == '=') {
        a->at++;
        return arg + len + 1;
    }
    return strcmp(arg, name) ? NULL : take_value(a, name, bad);
}

const char *args_word(struct args *a, const char *name, bool *bad)
{
    return a->at < a->argc && !strcmp(a->argv[a->at], name) ? take_value(a, name, bad) : NULL;
}

bool args_switch(struct args *a, const char *name)
{
    if (a->at >= a->argc || strcmp(a->argv[a->at], name))
        return false;
    a->at++;
    return true;
}

/* "64M": bytes, with K, M or G behind. */
static bool read_size(const char *text, uint64_t *out)
{
    static const char units[] = "KMG";
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    const char *unit = *end ? strchr(units, *end) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (!isdigit((unsigned char)*text) || errno || (*end && (!unit || end[1])) || v > UINT64_MAX >> shift)
        return false;
    *out = (uint64_t)v << shift;
    return true;
}

static void take_max_memory(struct cli *c, const char *text)
{
    if (!read_size(text, &c->max_memory)) {
        c->misused = true;
        cli_fail(c, STATUS_USAGE, "--max-memory: '%s' is no size (64M, 1G, ...)", text);
    }
}

bool args_global(struct args *a)
{
    struct cli *c = a->c;
    const char *size;
    bool bad = false;
    if (c->misused)
        return false;
    if (args_switch(a, "-j") || args_switch(a, "--json")) {
        c->json = true;
    } else if (args_switch(a, "-p") || args_switch(a, "--pretty")) {
        c->json = c->w.pretty = true;
    } else if (args_switch(a, "-d") || args_switch(a, "--debug")) {
        c->level = c->level == SKEP_LOG_WARN ? SKEP_LOG_INFO : SKEP_LOG_DEBUG;
    } else if ((size = args_option(a, "--max-memory", &bad))) {
        take_max_memory(c, size);
    } else {
        c->misused |= bad;
        return false;
    }
    return true;
}

bool args_number(struct args *a, const char *what, const char *text, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    if (!isdigit((unsigned char)*text) || *end || errno) {
        cli_usage(a->c, a->cmd, "%s: '%s' is no number", what, text);
        return false;
    }
    if (v > max) {
        cli_usage(a->c, a->cmd, "%s: %s is more than %llu", what, text, (unsigned long long)max);
        return false;
    }
    *out = v;
    return true;
}
