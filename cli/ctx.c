/*
 * `--ctx` is a context of a world that is written on the command line: what `contexts` of a world file has for the
 * program's section. And what a run leaves: the context's fields, what was sent.
 */
#include "cli/run.h"
#include "vm/abi/prog_types.h"
#include "vm/ctx/text.h"
#include <errno.h>
#include <string.h>

/* The world of --world, if there is one, with this context in it. */
static int build_world(struct run *r, const struct buf *file, const char *text, size_t size)
{
    const struct run_opts *o = r->o;
    SKEP_OPTS(skep_world_open_opts, opts, .btf_custom_path = o->btf, .name = o->world_file ? o->world_file : "--ctx",
              .log = cli_on_log, .log_ctx = r->c, .log_level = r->c->level,
              .section = skep_program__section_name(r->prog), .context = text, .context_size = size);
    r->ctx_world = skep_world__open_mem(file->len ? file->data : "{}", file->len ? file->len : 2, &opts);
    return r->ctx_world ? 0 : r->c->failed ? STATUS_USAGE : cli_fail(r->c, STATUS_USAGE, "--ctx: %s", strerror(errno));
}

int ctx_read(struct run *r)
{
    SKEP_OPTS(skep_context, context, .data = NULL);
    const char *text = r->o->ctx;
    struct buf file = {0}, world = {0};
    int status = *text == '{' || *text == '[' ? 0 : file_read(r->c, text, CLI_MAX_DATA, &file);

    if (!status && r->o->world_file)
        status = file_read(r->c, r->o->world_file, CLI_MAX_WORLD, &world);
    if (!status)
        status = build_world(r, &world, file.len ? file.data : text, file.len ? file.len : strlen(text));
    if (!status && skep_world__context(r->ctx_world, skep_program__section_name(r->prog), 0, &context))
        status = cli_fail(r->c, STATUS_USAGE, "--ctx: a context, or a list of one, is needed");
    if (!status) {
        buf_clear(&r->ctx_in);
        buf_add(&r->ctx_in, context.data, context.size);
        r->sysctl_name = context.sysctl_name;
        r->sysctl_value = context.sysctl_value;
        if (r->ctx_in.failed)
            status = cli_fail(r->c, STATUS_USAGE, "out of memory");
    }
    buf_free(&file);
    buf_free(&world);
    return status;
}

void ctx_show(struct run *r, const void *ctx, uint32_t size)
{
    const struct prog_type *type = prog_type_find(skep_program__type(r->prog));

    if (!type || !type->ctx || !ctx_text_names(type->ctx) || size < type->ctx->size)
        return;
    json_name(&r->c->w, "ctx");
    ctx_text_show(type->ctx, ctx, size, &r->c->w);
}

/* ---- What was sent ---- */

enum { MAX_EFFECTS = 64 << 20 };

void effects_add(void *run, const struct skep_effect *e)
{
    struct run *r = run;
    struct json_writer *w = &r->effects_w;
    /* Bytes on standard output are not to be mixed with text. */
    bool bytes = (r->o->data_out && !strcmp(r->o->data_out, "-")) || (r->o->ctx_out && !strcmp(r->o->ctx_out, "-"));
    FILE *to = bytes ? stderr : stdout;

    if (!r->c->json) {
        fprintf(to, "sent: %s", e->what);
        if (e->ifindex)
            fprintf(to, " to interface %u", e->ifindex);
        if (e->map)
            fprintf(to, " through map '%s'[%llu]", e->map, (unsigned long long)e->key);
        if (e->socket)
            fprintf(to, " to the socket with cookie %llu", (unsigned long long)e->socket);
        for (int i = 0; i < 3 && (e->args[0] | e->args[1] | e->args[2]); i++)
            fprintf(to, "%s%lld", i ? ", " : ": ", (long long)e->args[i]);
        if (e->data)
            fprintf(to, ", %u bytes", e->data_size);
        fputc('\n', to);
        return;
    }
    if (!r->n_effects++) {
        *w = (struct json_writer){.out = &r->effects, .pretty = r->c->w.pretty, .depth = r->c->w.depth};
        json_array_begin(w);
    }
    if (r->effects.len > MAX_EFFECTS)
        return;
    json_object_begin(w);
    json_str_at(w, "what", e->what);
    if (e->ifindex)
        json_u64_at(w, "ifindex", e->ifindex);
    if (e->flags)
        json_u64_at(w, "flags", e->flags);
    if (e->map) {
        json_str_at(w, "map", e->map);
        json_u64_at(w, "key", e->key);
    }
    if (e->socket)
        json_u64_at(w, "socket", e->socket);
    if (e->args[0] | e->args[1] | e->args[2]) {
        json_name(w, "args");
        json_array_begin(w);
        for (int i = 0; i < 3; i++)
            json_i64(w, (int64_t)e->args[i]);
        json_array_end(w);
    }
    if (e->data)
        json_bytes_at(w, "data", e->data, e->data_size);
    json_object_end(w);
}

void effects_show(struct run *r)
{
    if (!r->n_effects || !r->c->json)
        return;
    json_array_end(&r->effects_w);
    json_name(&r->c->w, "sent");
    json_raw(&r->c->w, r->effects.data, r->effects.len);
    r->n_effects = 0;
    buf_clear(&r->effects);
}
