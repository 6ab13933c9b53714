#include "base/log.h"

#include <stdio.h>

static void vsay(const struct log *log, enum skep_log_level level, const char *fmt, va_list ap)
{
    char text[2048];
    int n = 0;

    if (!log || !log->fn || level > log->max)
        return;
    if (log->where)
        n = snprintf(text, sizeof(text), "%s: ", log->where);
    if (n < 0 || n >= (int)sizeof(text))
        n = 0;
    vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
    log->fn(log->ctx, level, text);
}

int log_fail(const struct log *log, int err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsay(log, SKEP_LOG_ERROR, fmt, ap);
    va_end(ap);
    return err;
}

void log_say(const struct log *log, enum skep_log_level level, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsay(log, level, fmt, ap);
    va_end(ap);
}
