/* A message goes out whole, however long: reports of many lines do. Only when memory is short it is cut. */
#include "base/log.h"

#include "base/buf.h"

#include <stdio.h>

static void vsay(const struct log *log, enum skep_log_level level, const char *fmt, va_list ap)
{
    struct buf text = {0};

    if (!log || !log->fn || level > log->max)
        return;
    if (log->where)
        buf_printf(&text, "%s: ", log->where);
    buf_vprintf(&text, fmt, ap);
    log->fn(log->ctx, level, text.failed && !text.len ? fmt : buf_text(&text));
    buf_free(&text);
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
