#include "tests/runner/runner.h"

#include <stdarg.h>
#include <string.h>

void keep(void *keeper, enum skep_log_level level, const char *text)
{
    struct keeper *k = keeper;

    if (level == SKEP_LOG_ERROR && !k->first)
        k->first = arena_strdup(k->arena, text);
}

static bool differ(struct buf *report, const struct test *test, uint32_t line, const char *how, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

static bool differ(struct buf *report, const struct test *test, uint32_t line, const char *how, const char *fmt, ...)
{
    va_list ap;

    buf_printf(report, "%s:%u: %s%s(%s) ", test->file, line, test->name, *test->name ? " " : "", how);
    va_start(ap, fmt);
    buf_vprintf(report, fmt, ap);
    va_end(ap);
    buf_putc(report, '\n');
    return false;
}

static bool same_bytes(const struct test *test, const char *how, const char *what, const struct bytes *want,
                       const uint8_t *got, uint32_t size, struct buf *report)
{
    uint32_t i = 0;

    if (!want->line)
        return true;
    if (size != want->size)
        return differ(report, test, want->line, how, "%s has %u bytes, expected %u", what, size, want->size);
    while (i < size && got[i] == want->data[i])
        i++;
    return i == size || differ(report, test, want->line, how, "byte %u of %s is %02x, expected %02x", i, what, got[i],
                               want->data[i]);
}

static bool same_elems(const struct test *test, const char *how, const struct outcome *o, struct buf *report)
{
    bool ok = true;

    for (uint32_t i = 0; i < test->n_outs; i++) {
        const struct test_elem *e = &test->outs[i];
        const char *name = test->maps[e->map].name;

        if (!o->elems[i])
            ok = differ(report, test, e->value.line, how, "map %s has no such element", name);
        else
            ok &= same_bytes(test, how, name, &e->value, o->elems[i], e->value.size, report);
    }
    return ok;
}

bool judge(const struct test *test, const char *how, const struct outcome *o, struct buf *report)
{
    bool ok = true;

    if (o->failure)
        return differ(report, test, test->line, how, "%s", o->failure);
    if (o->trap != test->trap)
        return differ(report, test, o->trap ? o->trap_line : test->trap_line, how, "trap %s%s%s, expected %s",
                      trap_name(o->trap), o->trap_text && *o->trap_text ? ": " : "", o->trap_text ? o->trap_text : "",
                      trap_name(test->trap));
    if (o->trap)
        return o->trap_line == test->trap_line ||
               differ(report, test, test->trap_line, how, "trap on line %u, expected here", o->trap_line);
    if (test->result_line && o->r0 != test->result)
        ok = differ(report, test, test->result_line, how, "r0 is 0x%llx, expected 0x%llx", (unsigned long long)o->r0,
                    (unsigned long long)test->result);
    ok &= same_bytes(test, how, "mem", &test->mem_out, o->mem.data, o->mem.size, report);
    ok &= same_bytes(test, how, "data", &test->data_out, o->data.data, o->data.size, report);
    ok &= same_bytes(test, how, "ctx", &test->ctx_out, o->ctx.data, o->ctx.size, report);
    return same_elems(test, how, o, report) && ok;
}
