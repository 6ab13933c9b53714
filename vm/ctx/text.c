/* Fields of contexts as text: vm/ctx/text.def says which ones are more than a number. */
#include "vm/ctx/text.h"
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

enum how { NUMBER, IP4, IP6, PORT, PORT_HIGH };

static const struct {
    const char *field, *in;
    enum how how;
} texts[] = {
#define CTX_TEXT(field, in, how) {field, in, how},
#include "vm/ctx/text.def"
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

bool ctx_text_names(const struct ctx_layout *layout)
{
    return layout->n_fields;
}

/* ---- In ---- */

static int put_number(const struct json *v, const struct json_path *at, const struct log *log, uint32_t size,
                      unsigned char *to)
{
    uint64_t n;

    if (!json_as_u64(v, &n))
        return json_refuse(log, at, v, "a number is needed");
    if (size < 8 && n >> 8 * size && (int64_t)n >> (8 * size - 1) != -1)
        return json_refuse(log, at, v, "the number does not fit");
    memcpy(to, &n, size);
    return 0;
}

static int put_array(const struct named *f, const struct json *v, const struct json_path *at, const struct log *log,
                     unsigned char *to)
{
    int err = 0;

    if (v->length > f->size / f->unit)
        return json_refuse(log, at, v, "there are more numbers than the field has");
    for (size_t i = 0; i < v->length && !err; i++) {
        struct json_path here = {.up = at, .index = i};

        err = put_number(v->items[i], &here, log, f->unit, to + i * f->unit);
    }
    return err;
}

static int put_field(const struct named *f, const struct json *v, const struct json_path *at, const struct log *log,
                     unsigned char *to)
{
    unsigned char addr[16];
    uint64_t n;

    if (v->kind == JSON_ARRAY)
        return put_array(f, v, at, log, to);
    if ((f->how == IP4 || f->how == IP6) && v->kind == JSON_STRING &&
        inet_pton(f->how == IP4 ? AF_INET : AF_INET6, v->string, addr) == 1) {
        memcpy(to, addr, f->how == IP4 ? 4 : 16);
        return 0;
    }
    if (f->how == IP6)
        return json_refuse(log, at, v, "an IPv6 address as text, or an array of numbers, is needed");
    if (f->how != PORT && f->how != PORT_HIGH)
        return put_number(v, at, log, f->size < 8 ? f->size : 8, to);
    if (!json_as_u64(v, &n) || n > 65535)
        return json_refuse(log, at, v, "a number up to 65535 is needed");
    addr[0] = (unsigned char)(n >> 8);
    addr[1] = (unsigned char)n;
    memcpy(to + (f->how == PORT_HIGH ? 2 : 0), addr, 2);
    return 0;
}

int ctx_text_put(const struct ctx_layout *layout, const char *name, const struct json *v, const struct json_path *at,
                 const struct log *log, unsigned char *data)
{
    struct named f;
    int err;

    for (uint32_t i = 0; i < layout->n_fields;) {
        i = next_named(layout, i, &f);
        if (strcmp(f.name, name))
            continue;
        err = put_field(&f, v, at, log, data + f.off);
        return err ? err : 1;
    }
    return 0;
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

void ctx_text_show(const struct ctx_layout *layout, const unsigned char *data, uint32_t size, struct json_writer *w)
{
    struct named f;

    if (size < layout->size)
        return;
    json_object_begin(w);
    for (uint32_t i = 0; i < layout->n_fields;) {
        i = next_named(layout, i, &f);
        if (!f.pointer)
            show_field(w, &f, data + f.off);
    }
    json_object_end(w);
}
