/*
 * Contexts by the names of their fields, in and out. Fields that a layout has in pieces ("remote_ip6[0]" ...) go by one
 * name and are an address, or an array of numbers. Layouts without fields are numbers by the names that they have in
 * the kernel's structs, or an array.
 */
#include "cli/run.h"
#include "vm/abi/prog_types.h"
#include <arpa/inet.h>
#include <string.h>

enum how { NUMBER, IP4, IP6, PORT, PORT_HIGH };

static const struct {
    const char *field, *in;
    enum how how;
} texts[] = {
#define CTX_TEXT(field, in, how) {field, in, how},
#include "cli/ctx.def"
};

/* A field as it is written: its pieces as one. */
struct named {
    char name[40];
    uint32_t off, size, unit;
    enum how how;
    bool pointer;
};

static enum how how_of(const char *name, const char *layout)
{
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (!strcmp(texts[i].field, name) && (!*texts[i].in || !strcmp(texts[i].in, layout)))
            return texts[i].how;
    return NUMBER;
}

/* The field that begins at index i of the layout's, with its further pieces. @return the index behind them. */
static uint32_t next_named(const struct ctx_layout *layout, uint32_t i, struct named *out)
{
    const struct ctx_field *f = &layout->fields[i];
    size_t len = strcspn(f->name, "[");
    uint32_t end = i + 1;

    if (len >= sizeof(out->name))
        len = sizeof(out->name) - 1;
    *out = (struct named){.off = f->off, .unit = f->size};
    memcpy(out->name, f->name, len);
    while (end < layout->n_fields && f->name[len] && !strncmp(layout->fields[end].name, f->name, len + 1))
        end++;
    out->size = (uint32_t)layout->fields[end - 1].off + layout->fields[end - 1].size - out->off;
    out->how = how_of(out->name, layout->name);
    out->pointer = f->kind != CTX_PLAIN;
    if (!strcmp(out->name, "cb"))
        out->unit = 4;
    return end;
}

/* Numbers of layouts without fields: 8 bytes each. */
static const char *const x86_regs[] = {"r15", "r14", "r13", "r12", "bp",      "bx", "r11", "r10",   "r9", "r8", "ax",
                                       "cx",  "dx",  "si",  "di",  "orig_ax", "ip", "cs",  "flags", "sp", "ss"};
static const char *const event_tail[] = {"sample_period", "addr"};

static bool plain_name(const struct ctx_layout *layout, const char *name, uint32_t *index)
{
    bool event = !strcmp(layout->name, "bpf_perf_event_data");
    uint32_t n = sizeof(x86_regs) / sizeof(x86_regs[0]);

    if (!event && strcmp(layout->name, "pt_regs"))
        return false;
    for (*index = 0; *index < n; (*index)++)
        if (!strcmp(x86_regs[*index], name))
            return true;
    for (uint32_t i = 0; event && i < 2; i++, (*index)++)
        if (!strcmp(event_tail[i], name))
            return true;
    return false;
}

/* ---- In ---- */

static void put(struct buf *out, uint32_t off, const void *p, uint32_t size)
{
    if (!out->failed)
        memcpy(out->data + off, p, size);
}

static int refuse(struct cli *c, const char *name, const char *why)
{
    return cli_fail(c, STATUS_USAGE, "--ctx: '%s': %s", name, why);
}

static int put_number(struct cli *c, const struct named *f, const struct json *v, uint32_t off, uint32_t size,
                      struct buf *out)
{
    uint64_t n;

    if (!json_as_u64(v, &n))
        return refuse(c, f->name, "a number is needed");
    if (size < 8 && n >> 8 * size && (int64_t)n >> (8 * size - 1) != -1)
        return refuse(c, f->name, "the number does not fit");
    put(out, off, &n, size);
    return 0;
}

static int put_array(struct cli *c, const struct named *f, const struct json *v, struct buf *out)
{
    int status = 0;

    if (v->length * f->unit > f->size)
        return refuse(c, f->name, "there are more numbers than the field has");
    for (size_t i = 0; i < v->length && !status; i++)
        status = put_number(c, f, v->items[i], f->off + (uint32_t)i * f->unit, f->unit, out);
    return status;
}

static int put_field(struct cli *c, const struct named *f, const struct json *v, struct buf *out)
{
    unsigned char addr[16];
    uint64_t n;

    if (v->kind == JSON_ARRAY)
        return put_array(c, f, v, out);
    if ((f->how == IP4 || f->how == IP6) && v->kind == JSON_STRING &&
        inet_pton(f->how == IP4 ? AF_INET : AF_INET6, v->string, addr) == 1) {
        put(out, f->off, addr, f->how == IP4 ? 4 : 16);
        return 0;
    }
    if (f->how == IP6)
        return refuse(c, f->name, "an IPv6 address as text, or an array of numbers, is needed");
    if (f->how != PORT && f->how != PORT_HIGH)
        return put_number(c, f, v, f->off, f->size < 8 ? f->size : 8, out);
    if (!json_as_u64(v, &n) || n > 65535)
        return refuse(c, f->name, "a number up to 65535 is needed");
    addr[0] = (unsigned char)(n >> 8);
    addr[1] = (unsigned char)n;
    put(out, f->off + (f->how == PORT_HIGH ? 2 : 0), addr, 2);
    return 0;
}

static int put_member(struct cli *c, const struct ctx_layout *layout, const char *name, const struct json *v,
                      struct buf *out)
{
    struct named f = {.size = 8, .unit = 8};
    uint32_t index;

    for (uint32_t i = 0; i < layout->n_fields;) {
        i = next_named(layout, i, &f);
        if (!strcmp(f.name, name))
            return put_field(c, &f, v, out);
    }
    if (layout->n_fields || !plain_name(layout, name, &index)) {
        if (layout->n_fields || strcmp(name, "args") || v->kind != JSON_ARRAY || layout->size < 64)
            return cli_fail(c, STATUS_USAGE, "--ctx: %s has no field '%s'", layout->name, name);
        f = (struct named){.name = "args", .size = layout->size, .unit = 8};
        return put_array(c, &f, v, out);
    }
    snprintf(f.name, sizeof(f.name), "%s", name);
    return put_number(c, &f, v, index * 8, 8, out);
}

/* What no field holds: the sysctl's name and value, which belong to the run's world. */
static bool take_sysctl(struct run *r, const char *name, const struct json *v)
{
    if (skep_program__type(r->prog) != PROG_TYPE_CGROUP_SYSCTL || v->kind != JSON_STRING)
        return false;
    if (!strcmp(name, "name"))
        r->sysctl_name = v->string;
    else if (!strcmp(name, "value"))
        r->sysctl_value = v->string;
    else
        return false;
    return true;
}

int ctx_read(struct run *r)
{
    const struct prog_type *type = prog_type_find(skep_program__type(r->prog));
    const struct ctx_layout *layout = type ? type->ctx : NULL;
    struct cli *c = r->c;
    struct log log = cli_log(c);
    const char *text = r->o->ctx;
    struct buf file = {0};
    const struct json *root;
    int status = *text == '{' ? 0 : file_read(c, text, CLI_MAX_DATA, &file);

    if (!status && (!layout || !layout->size))
        status = cli_fail(c, STATUS_USAGE, "--ctx: contexts of type %s have no fields with names; give bytes as ctx_in",
                          type ? type->name : "raw");
    if (!status && json_parse(&r->arena, file.len ? file.data : text, file.len ? file.len : strlen(text), &log, &root))
        status = STATUS_USAGE;
    if (!status && root->kind != JSON_OBJECT)
        status = cli_fail(c, STATUS_USAGE, "--ctx: an object of fields is needed");
    if (!status) {
        buf_clear(&r->ctx_in);
        buf_grow(&r->ctx_in, layout->size);
    }
    for (size_t i = 0; !status && i < root->length; i++)
        if (!take_sysctl(r, root->names[i], root->items[i]))
            status = put_member(c, layout, root->names[i], root->items[i], &r->ctx_in);
    if (!status && r->ctx_in.failed)
        status = cli_fail(c, STATUS_USAGE, "out of memory");
    buf_free(&file);
    return status;
}

/* ---- Out ---- */

static uint64_t number_at(const unsigned char *p, uint32_t size)
{
    uint64_t v = 0;

    memcpy(&v, p, size < 8 ? size : 8);
    return v;
}

static void show_field(struct json_writer *w, const struct named *f, const unsigned char *p)
{
    char text[INET6_ADDRSTRLEN];
    const unsigned char *port = f->how == PORT_HIGH ? p + 2 : p;

    json_name(w, f->name);
    if ((f->how == IP4 || f->how == IP6) && inet_ntop(f->how == IP4 ? AF_INET : AF_INET6, p, text, sizeof(text))) {
        json_string(w, text);
    } else if (f->how == PORT || f->how == PORT_HIGH) {
        json_u64(w, (uint64_t)port[0] << 8 | port[1]);
    } else if (f->size > f->unit) {
        json_array_begin(w);
        for (uint32_t i = 0; i + f->unit <= f->size; i += f->unit)
            json_u64(w, number_at(p + i, f->unit));
        json_array_end(w);
    } else {
        json_u64(w, number_at(p, f->size));
    }
}

void ctx_show(struct run *r, const void *ctx, uint32_t size)
{
    const struct prog_type *type = prog_type_find(skep_program__type(r->prog));
    const struct ctx_layout *layout = type ? type->ctx : NULL;
    struct named f;

    if (!layout || !layout->n_fields || size < layout->size)
        return;
    json_name(&r->c->w, "ctx");
    json_object_begin(&r->c->w);
    for (uint32_t i = 0; i < layout->n_fields;) {
        i = next_named(layout, i, &f);
        if (!f.pointer)
            show_field(&r->c->w, &f, (const unsigned char *)ctx + f.off);
    }
    json_object_end(&r->c->w);
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
