/*
 * Structures in the layout of the target. BTF's reader of JSON does what is plain; here is what a pointer may be given
 * as: a number, a reference, a text, or the thing that it points to, which then is a structure of its own.
 */
#include "vm/btf/bits.h"
#include "vm/btf/show.h"
#include "vm/world/read.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = 128 };

/* What is being read: where a structure's values go. */
struct filling {
    struct world_reader *r;
    const struct world_object *o;
    bool (*pass)(void *ctx, const char *name); /* names that are no members, besides those below */
    bool typed;                                /* "type" says the structure's type and is no member */
};

const struct btf *world_btf(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    if (!r->w->btf && !r->asked_types && r->types) {
        r->asked_types = true;
        if (r->types->load(r->types->ctx, v ? r->log : NULL, &r->w->btf))
            r->w->btf = NULL;
    }
    if (!r->w->btf && v)
        WORLD_REFUSE(r, at, v,
                     "this needs the types of the target: give a file with BTF (--btf), or run on a kernel "
                     "that has /sys/kernel/btf/vmlinux");
    return r->w->btf;
}

/* ---- Types by name ---- */

static uint32_t find_type(const struct btf *btf, const char *name)
{
    static const struct {
        const char *word;
        unsigned kind;
    } words[] = {{"struct ", BTF_STRUCT}, {"union ", BTF_UNION}, {"enum ", BTF_ENUM}, {"", BTF_STRUCT},
                 {"", BTF_UNION},         {"", BTF_TYPEDEF},     {"", BTF_INT},       {"", BTF_ENUM},
                 {"", BTF_ENUM64},        {"", BTF_FLOAT}};

    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = strlen(words[i].word);
        uint32_t id = strncmp(name, words[i].word, len) ? 0 : btf_find(btf, name + len, words[i].kind);

        if (id)
            return id;
    }
    return 0;
}

int world_type(struct world_reader *r, const struct json_path *at, const struct json *v, const char *text, uint32_t *id,
               uint32_t *count)
{
    const struct btf *btf = world_btf(r, at, v);
    char name[MAX_NAME];
    size_t len = strcspn(text, "[");
    unsigned long n = 1;
    char *end = "";

    if (!btf)
        return -EINVAL;
    if (text[len])
        n = strtoul(text + len + 1, &end, 10);
    if (len >= sizeof(name) || !n || n > 1u << 28 || (text[len] && strcmp(end, "]")))
        return WORLD_REFUSE(r, at, v, "'%.64s' is no type: a name is expected, and perhaps [how many]", text);
    while (len && text[len - 1] == ' ')
        len--;
    memcpy(name, text, len);
    name[len] = 0;
    *id = find_type(btf, name);
    *count = (uint32_t)n;
    if (!*id || btf_size(btf, *id) < 0)
        return WORLD_REFUSE(r, at, v, "the target has no type '%.64s'", name);
    return 0;
}

/* ---- Reading values ---- */

static bool passes(void *ctx, const char *name)
{
    const struct filling *f = ctx;

    if (!strcmp(name, "&") || !strcmp(name, "@") || (f->typed && !strcmp(name, "type")))
        return true;
    return f->pass && f->pass(NULL, name);
}

static int take_text_object(struct filling *f, const struct json_path *at, const struct json *v, uint64_t *addr)
{
    unsigned char *host;
    int err;

    *addr = 0;
    err = world_memory(f->r, at, v, addr, v->length + 1, ENV_MEM_KERNEL, ENV_READ, "text of the world", &host);
    if (err)
        return err;
    memcpy(host, v->string, v->length);
    return 1;
}

/* What pointers may be given as. @return as a hook. */
static int take_pointer(struct filling *f, const struct json_path *at, uint32_t id, const struct json *v, size_t off)
{
    const struct btf *btf = f->r->w->btf;
    uint32_t pointee = btf_resolve(btf, btf_type_at(btf, id)->type);
    unsigned kind = btf_kind(btf_type_at(btf, pointee));
    int64_t size = btf_size(btf, pointee);
    uint64_t addr = 0, number;
    int done;

    if (v->kind == JSON_STRING) {
        if (json_as_u64(v, &number))
            return 0;
        if (kind != BTF_VOID && !(kind == BTF_INT && size == 1))
            return 0; /* an address was expected, as the reader will say */
        done = take_text_object(f, at, v, &addr);
    } else if (v->kind == JSON_OBJECT || v->kind == JSON_ARRAY) {
        done = world_structure(f->r, at, v, kind == BTF_FWD || size < 0 ? 0 : pointee, NULL, &addr);
        done = done ? done : 1;
    } else {
        return 0;
    }
    if (done == 1)
        memcpy(f->o->host + off, &addr, sizeof(addr));
    return done;
}

/* {"list": [...]} for a list_head, {"hlist": [...]} for an hlist_head. */
static int take_list(struct filling *f, const struct json_path *at, const char *name, const struct json *v, size_t off)
{
    bool hlist = !strcmp(name, "hlist_head");
    const struct json *nodes = json_get(v, hlist ? "hlist" : "list");
    struct json_path here = {.up = at, .name = hlist ? "hlist" : "list"};
    int err;

    if (!nodes || v->length != 1)
        return 0;
    err = world_is_array(f->r, &here, nodes);
    if (!err)
        err = world_link(f->r, &here, nodes, f->o->addr + off, f->o->host + off, hlist);
    return err ? err : 1;
}

static int on_value(void *ctx, const struct json_path *at, uint32_t id, const struct json *v, size_t off)
{
    struct filling *f = ctx;
    const struct btf *btf = f->r->w->btf;
    const struct btf_type *t = btf_type_at(btf, id);
    int64_t size = btf_size(btf, id);
    int err;

    if (size < 0 || off > f->o->size || (uint64_t)size > f->o->size - off)
        return 0; /* the reader says so */
    if (v->kind == JSON_STRING && *v->string == '&' && size == 8 &&
        (btf_kind(t) == BTF_PTR || btf_kind(t) == BTF_INT)) {
        err = world_refer(f->r, at, v, v->string, f->o->host + off);
        return err ? err : 1;
    }
    if (btf_kind(t) == BTF_PTR && !f->o->user)
        return take_pointer(f, at, id, v, off);
    if (btf_kind(t) == BTF_STRUCT && v->kind == JSON_STRING && !f->o->user && !strcmp(btf_name(btf, id), "path")) {
        struct world_object path = {
            .type = id, .addr = f->o->addr + off, .size = (uint64_t)size, .host = f->o->host + off};

        err = world_path(f->r, at, v, &path);
        return err ? err : 1;
    }
    if (btf_kind(t) == BTF_STRUCT && v->kind == JSON_OBJECT &&
        (!strcmp(btf_name(btf, id), "list_head") || !strcmp(btf_name(btf, id), "hlist_head")))
        return take_list(f, at, btf_name(btf, id), v, off);
    return 0;
}

static int fill(struct world_reader *r, const struct json_path *at, const struct json *v, const struct world_object *o,
                bool (*pass)(void *ctx, const char *name), bool typed)
{
    struct filling f = {.r = r, .o = o, .pass = pass, .typed = typed};
    struct btf_read_hooks hooks = {.value = on_value, .passes = passes, .ctx = &f};

    return btf_read_json_at(r->w->btf, o->type, v, at, o->host, o->size, &hooks, r->log);
}

int world_fill(struct world_reader *r, const struct json_path *at, const struct json *v, const struct world_object *o,
               bool (*pass)(void *ctx, const char *name))
{
    return fill(r, at, v, o, pass, true);
}

/* ---- Structures ---- */

int world_object(struct world_reader *r, const struct json_path *at, const struct json *v, uint32_t type,
                 const char *name, uint64_t addr, struct world_object *out)
{
    const struct btf *btf = r->w->btf;
    const char *type_name = btf_name(btf, btf_resolve(btf, type));
    int64_t size = btf_size(btf, type);
    int err;

    *out = (struct world_object){.type = type, .addr = addr, .size = (uint64_t)size};
    err = world_memory(r, at, v, &out->addr, out->size, ENV_MEM_KERNEL, ENV_READ,
                       *type_name ? type_name : "memory of the world", &out->host);
    if (!err && name)
        err = world_name(r, at, v, name, out->addr, type);
    return err;
}

/* "&", "@": what an object says of itself. */
static int take_own(struct world_reader *r, const struct json_path *at, const struct json *v, const char **name,
                    uint64_t *addr)
{
    const struct json *own = json_get(v, "&"), *where = json_get(v, "@");
    struct json_path here = {.up = at, .name = "&"};
    int err = own ? world_take_text(r, &here, own, name) : 0;

    here.name = "@";
    return err || !where ? err : world_take_u64(r, &here, where, addr);
}

/* Does the object's "type" name its type? A member of that name keeps its meaning where the text is no type. */
static int take_type(struct world_reader *r, const struct json_path *at, const struct json *v, uint32_t *type,
                     uint32_t *count, bool *typed)
{
    const struct json *t = json_get(v, "type");
    struct json_path here = {.up = at, .name = "type"};
    struct btf_place ignored;

    *count = 1;
    *typed = false;
    if (!t || t->kind != JSON_STRING)
        return *type ? 0 : WORLD_REFUSE(r, at, v, "\"type\" is missing: what this is in the target");
    if (*type && btf_find_place(r->w->btf, *type, "type", &ignored) && !find_type(r->w->btf, t->string))
        return 0;
    *typed = true;
    return world_type(r, &here, t, t->string, type, count);
}

/* value: what stands in it, NULL for zeroes; v: what messages speak of. */
static int make_array(struct world_reader *r, const struct json_path *at, const struct json *v,
                      const struct json *value, uint32_t type, uint32_t count, const char *name, uint64_t *addr)
{
    uint64_t size = (uint64_t)btf_size(r->w->btf, type);
    bool text = value && value->kind == JSON_STRING && size == 1;
    unsigned char *host;
    int err;

    if (value && value->kind != JSON_ARRAY && !text)
        return WORLD_REFUSE(r, at, v, "an array was expected");
    if (value && value->length > count)
        return WORLD_REFUSE(r, at, v, "%zu elements do not fit into %u", value->length, count);
    err = world_memory(r, at, v, addr, size * count, ENV_MEM_KERNEL, ENV_READ, "array of the world", &host);
    if (!err && name)
        err = world_name(r, at, v, name, *addr, type);
    if (!err && text)
        memcpy(host, value->string, value->length);
    for (size_t i = 0; value && !text && i < value->length && !err; i++) {
        struct json_path here = {.up = at, .index = i};
        struct world_object o = {.type = type, .addr = *addr + i * size, .size = size, .host = host + i * size};

        err = fill(r, &here, value->items[i], &o, NULL, false);
    }
    return err;
}

static bool is_record(const struct btf *btf, uint32_t type)
{
    unsigned kind = btf_kind(btf_type_at(btf, btf_resolve(btf, type)));

    return kind == BTF_STRUCT || kind == BTF_UNION;
}

/* {"type": "u64", "value": 5}, {"type": "char[16]", "value": "x"}, {"type": "task_struct", "pid": 1} */
static int make_object(struct world_reader *r, const struct json_path *at, const struct json *v, uint32_t type,
                       const char *name, uint64_t *out)
{
    struct json_path here = {.up = at, .name = "value"};
    const struct json *value = json_get(v, "value");
    struct world_object o;
    uint64_t addr = 0;
    uint32_t count;
    bool typed;
    int err = take_type(r, at, v, &type, &count, &typed);

    if (!err)
        err = take_own(r, at, v, &name, &addr);
    if (err)
        return err;
    if (count == 1 && is_record(r->w->btf, type)) {
        err = world_object(r, at, v, type, name, addr, &o);
        *out = o.addr;
        return err ? err : fill(r, at, v, &o, NULL, typed);
    }
    for (size_t i = 0; i < v->length; i++) {
        here.name = v->names[i];
        if (strcmp(here.name, "type") && strcmp(here.name, "value") && strcmp(here.name, "&") && strcmp(here.name, "@"))
            return WORLD_REFUSE(r, &here, v->items[i], "there is no such member here: this is no struct");
    }
    here.name = "value";
    if (count != 1) {
        *out = addr;
        return make_array(r, value ? &here : at, v, value, type, count, name, out);
    }
    err = world_object(r, at, v, type, name, addr, &o);
    *out = o.addr;
    return err || !value ? err : fill(r, &here, value, &o, NULL, false);
}

int world_structure(struct world_reader *r, const struct json_path *at, const struct json *v, uint32_t type,
                    const char *name, uint64_t *addr)
{
    uint64_t ignored;

    addr = addr ? addr : &ignored;
    *addr = 0;
    if (!world_btf(r, at, v))
        return -EINVAL;
    if (v->kind == JSON_OBJECT)
        return make_object(r, at, v, type, name, addr);
    if (v->kind == JSON_ARRAY && type)
        return make_array(r, at, v, v, type, v->length > UINT32_MAX ? UINT32_MAX : (uint32_t)v->length, name, addr);
    return WORLD_REFUSE(r, at, v,
                        type ? "an object or an array was expected" : "an object with its \"type\" was expected");
}

/* ---- Parts that a section knows ---- */

void world_put_u64(struct world_reader *r, const struct world_object *o, const char *part, uint64_t value)
{
    struct btf_place at;

    if (!btf_find_place(r->w->btf, o->type, part, &at) || at.off > o->size)
        return;
    if (at.bits)
        bits_set(o->host, at.off * 8 + at.bit_off, at.bits, value);
    else if (at.size <= 8 && at.off + at.size <= o->size)
        bits_set(o->host, at.off * 8, (unsigned)at.size * 8, value);
}

void world_put_text(struct world_reader *r, const struct world_object *o, const char *part, const char *text)
{
    struct btf_place at;
    size_t len = strlen(text);

    if (!btf_find_place(r->w->btf, o->type, part, &at) || at.bits || !at.size || at.off + at.size > o->size)
        return;
    memcpy(o->host + at.off, text, len < at.size ? len : at.size - 1);
}
