/*
 * The writer. Its state is what stands around the next value: how deep it is, whether something precedes it there, and
 * whether its name was just written. The caller keeps the buffer and looks at its `failed` once at the end.
 */
#include "base/json.h"

#include "base/utf8.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64 };

static void newline(struct json_writer *w)
{
    if (!w->pretty)
        return;
    buf_putc(w->out, '\n');
    for (unsigned i = 0; i < w->depth; i++)
        buf_puts(w->out, "  ");
}

/* What stands between the last thing written and the next one. Values at depth 0 are the caller's to separate. */
static void separate(struct json_writer *w)
{
    if (w->after_name) {
        w->after_name = false;
        return;
    }
    if (!w->depth)
        return;
    if (w->has_items >> w->depth & 1)
        buf_putc(w->out, ',');
    w->has_items |= 1ull << w->depth;
    newline(w);
}

void json_raw(struct json_writer *w, const char *text, size_t n)
{
    separate(w);
    buf_add(w->out, text, n);
}

static void begin(struct json_writer *w, char bracket)
{
    assert(w->depth < MAX_DEPTH - 1);
    separate(w);
    buf_putc(w->out, bracket);
    w->depth++;
    w->has_items &= ~(1ull << w->depth);
}

static void end(struct json_writer *w, char bracket)
{
    bool any = w->has_items >> w->depth & 1;

    assert(w->depth && !w->after_name);
    w->depth--;
    if (any)
        newline(w);
    buf_putc(w->out, bracket);
}

void json_object_begin(struct json_writer *w)
{
    begin(w, '{');
}

void json_object_end(struct json_writer *w)
{
    end(w, '}');
}

void json_array_begin(struct json_writer *w)
{
    begin(w, '[');
}

void json_array_end(struct json_writer *w)
{
    end(w, ']');
}

static void quote(struct buf *out, const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t plain = 0; /* bytes before s that need no change and are not written yet */

    buf_putc(out, '"');
    while (n) {
        unsigned len = utf8_length(s, n);

        if (len && s[0] >= 0x20 && s[0] != '"' && s[0] != '\\') {
            plain += len;
            s += len;
            n -= len;
            continue;
        }
        buf_add(out, s - plain, plain);
        plain = 0;
        switch (s[0]) {
        case '"': buf_puts(out, "\\\""); break;
        case '\\': buf_puts(out, "\\\\"); break;
        case '\n': buf_puts(out, "\\n"); break;
        case '\r': buf_puts(out, "\\r"); break;
        case '\t': buf_puts(out, "\\t"); break;
        default:
            if (len)
                buf_printf(out, "\\u%04x", s[0]);
            else
                buf_puts(out, "\xef\xbf\xbd");
        }
        s++;
        n--;
    }
    buf_add(out, s - plain, plain);
    buf_putc(out, '"');
}

void json_name(struct json_writer *w, const char *name)
{
    assert(w->depth && !w->after_name);
    separate(w);
    quote(w->out, name, strlen(name));
    buf_puts(w->out, w->pretty ? ": " : ":");
    w->after_name = true;
}

void json_string_n(struct json_writer *w, const char *s, size_t n)
{
    separate(w);
    quote(w->out, s, n);
}

void json_string(struct json_writer *w, const char *s)
{
    json_string_n(w, s, strlen(s));
}

void json_u64(struct json_writer *w, uint64_t v)
{
    separate(w);
    buf_printf(w->out, "%llu", (unsigned long long)v);
}

void json_i64(struct json_writer *w, int64_t v)
{
    separate(w);
    buf_printf(w->out, "%lld", (long long)v);
}

/* JSON knows neither infinities nor NaN: they become null. Else the shortest decimal that reads back as the same. */
void json_double(struct json_writer *w, double v)
{
    char text[64];
    bool point = false;

    if (!isfinite(v)) {
        json_null(w);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    separate(w);
    /* The host's locale may write the point with other characters, even several. */
    for (const char *p = text; *p; p++) {
        if (strchr("0123456789eE+-", *p)) {
            buf_putc(w->out, *p);
        } else if (!point) {
            buf_putc(w->out, '.');
            point = true;
        }
    }
}

void json_bool(struct json_writer *w, bool v)
{
    separate(w);
    buf_puts(w->out, v ? "true" : "false");
}

void json_null(struct json_writer *w)
{
    separate(w);
    buf_puts(w->out, "null");
}

void json_hex(struct json_writer *w, uint64_t v)
{
    separate(w);
    buf_printf(w->out, "\"0x%llx\"", (unsigned long long)v);
}

void json_str_at(struct json_writer *w, const char *name, const char *s)
{
    json_name(w, name);
    json_string(w, s);
}

void json_u64_at(struct json_writer *w, const char *name, uint64_t v)
{
    json_name(w, name);
    json_u64(w, v);
}

void json_i64_at(struct json_writer *w, const char *name, int64_t v)
{
    json_name(w, name);
    json_i64(w, v);
}

void json_bool_at(struct json_writer *w, const char *name, bool v)
{
    json_name(w, name);
    json_bool(w, v);
}
