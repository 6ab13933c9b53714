/* Calls that a program makes, told as they come (`--calls`). In JSON they are kept aside, as lines of the trace are. */
#include "cli/run.h"
#include <inttypes.h>

enum { MAX_CALLS = 64 << 20, SHOWN = 64 /* bytes of an argument's memory */ };

static uint32_t shown(const struct skep_call *call, unsigned i)
{
    return call->mem_size[i] < SHOWN ? call->mem_size[i] : SHOWN;
}

static void say_json(struct run *r, const struct skep_call *call)
{
    struct json_writer w = {.out = &r->calls};
    if (r->calls.len)
        buf_putc(&r->calls, ',');
    json_object_begin(&w);
    json_str_at(&w, "name", call->name);
    if (call->map)
        json_str_at(&w, "map", call->map);
    json_name(&w, "args");
    json_array_begin(&w);
    for (uint32_t i = 0; i < call->arg_cnt; i++)
        json_hex(&w, call->args[i]);
    json_array_end(&w);
    json_name(&w, "memory");
    json_object_begin(&w);
    for (uint32_t i = 0; i < call->arg_cnt; i++) {
        const char name[2] = {(char)('1' + i), 0};
        if (call->mem[i])
            json_bytes_at(&w, name, call->mem[i], shown(call, i));
    }
    json_object_end(&w);
    json_name(&w, "ret");
    json_hex(&w, call->ret);
    json_bool_at(&w, "mocked", call->mocked);
    json_object_end(&w);
}

static void say_text(const struct skep_call *call)
{
    struct buf line = {0};
    buf_printf(&line, "call: %s(", call->name);
    for (uint32_t i = 0; i < call->arg_cnt; i++) {
        if (i)
            buf_puts(&line, ", ");
        if (call->mem[i])
            hex_bytes(&line, call->mem[i], shown(call, i));
        else if (call->map && !i)
            buf_puts(&line, call->map);
        else
            buf_printf(&line, call->args[i] > 9 ? "0x%" PRIx64 : "%" PRIu64, call->args[i]);
    }
    buf_printf(&line, ") = %" PRId64 "%s\n", (int64_t)call->ret, call->mocked ? " (mocked)" : "");
    fputs(buf_text(&line), stdout);
    buf_free(&line);
}

void calls_on(void *run, const struct skep_call *call)
{
    struct run *r = run;
    if (!r->c->json)
        say_text(call);
    else if (r->calls.len < MAX_CALLS)
        say_json(r, call);
}

void calls_show(struct run *r)
{
    if (!r->c->json || !r->o->calls)
        return;
    struct buf list = {0};
    buf_printf(&list, "[");
    buf_add(&list, buf_text(&r->calls), r->calls.len);
    buf_putc(&list, ']');
    json_name(&r->c->w, "calls");
    json_raw(&r->c->w, buf_text(&list), list.len);
    buf_free(&list);
}
