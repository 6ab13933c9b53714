/* Where a value stands, for messages. A path is a chain up the stack of whoever walks through a tree. */
#include "base/json.h"
#include <errno.h>
#include <stdio.h>

void json_path_text(const struct json_path *at, struct buf *out)
{
    if (!at)
        return;
    json_path_text(at->up, out);
    if (!at->name)
        buf_printf(out, "[%zu]", at->index);
    else if (*at->name)
        buf_printf(out, "%s%.64s", out->len ? "." : "", at->name);
}

int json_refuse(const struct log *log, const struct json_path *at, const struct json *v, const char *fmt, ...)
{
    struct buf path = {0};
    char why[240];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    json_path_text(at, &path);
    log_fail(log, -EINVAL, "JSON: line %u: %.200s%s%s", v->line, buf_text(&path), path.len ? ": " : "", why);
    buf_free(&path);
    return -EINVAL;
}
