/*
 * Sections `kernel`: structures by name, `symbols`: addresses and variables by name, and `user`: memory of processes.
 * What a process's memory holds may be changed by a run, which then works on a copy of its own (vm/helpers/probe.c).
 */
#include "vm/world/read.h"
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int world_read_kernel(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    int err = world_is_object(r, at, v);

    for (size_t i = 0; !err && i < v->length; i++) {
        struct json_path here = {.up = at, .name = v->names[i]};

        err = world_structure(r, &here, v->items[i], 0, v->names[i], NULL);
    }
    return err;
}

/* ---- Symbols ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct world_symbol *)a)->name, ((const struct world_symbol *)b)->name);
}

/* An address, or a variable that stands in memory of the world. */
static int take_symbol(struct world_reader *r, const struct json_path *at, const struct json *v, struct world_symbol *s)
{
    int err;

    if (v->kind == JSON_OBJECT)
        return world_structure(r, at, v, 0, s->name, &s->addr);
    err = world_take_u64(r, at, v, &s->addr);
    return err ? err : world_name(r, at, v, s->name, s->addr, 0);
}

int world_read_symbols(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    struct world *w = r->w;
    int err = world_is_object(r, at, v);

    if (err)
        return err;
    w->symbols = ARENA_ARRAY(&w->arena, struct world_symbol, v->length + 1);
    if (!w->symbols)
        return log_fail(r->log, -ENOMEM, "no memory for a world of this size");
    for (size_t i = 0; !err && i < v->length; i++) {
        struct json_path here = {.up = at, .name = v->names[i]};

        w->symbols[i].name = v->names[i];
        err = take_symbol(r, &here, v->items[i], &w->symbols[i]);
        w->n_symbols = (uint32_t)i + 1;
    }
    if (w->n_symbols)
        qsort(w->symbols, w->n_symbols, sizeof(*w->symbols), by_name);
    return err;
}

bool world_symbol(const struct world *world, const char *name, uint64_t *addr)
{
    struct world_symbol key = {.name = name}, *found;
    const struct world_variable *variable = world_variable(world, name);

    found = world->n_symbols ? bsearch(&key, world->symbols, world->n_symbols, sizeof(key), by_name) : NULL;
    if (found || variable)
        *addr = found ? found->addr : variable->addr;
    return found || variable;
}

/* ---- Memory of processes ---- */

struct user_memory {
    uint64_t addr, size;
    const char *type, *name;
    const struct json *data, *string, *value, *task;
    bool read_only;
};

static const struct world_member members[] = {
    {"addr", world_take_u64, offsetof(struct user_memory, addr), true},
    {"name", world_take_text, offsetof(struct user_memory, name), false},
    {"data", world_take_json, offsetof(struct user_memory, data), false},
    {"string", world_take_json, offsetof(struct user_memory, string), false},
    {"type", world_take_text, offsetof(struct user_memory, type), false},
    {"value", world_take_json, offsetof(struct user_memory, value), false},
    {"size", world_take_u64, offsetof(struct user_memory, size), false},
    {"task", world_take_json, offsetof(struct user_memory, task), false},
    {"read_only", world_take_bool, offsetof(struct user_memory, read_only), false},
};

/* Takes room for it: as long as what it holds, or as "size" says. */
static int take_user(struct world_reader *r, const struct json_path *at, const struct json *v, struct user_memory *m,
                     uint64_t least, unsigned char **host)
{
    if (m->size && m->size < least)
        return WORLD_REFUSE(r, at, v, "%llu bytes do not fit into \"size\" %llu", (unsigned long long)least,
                            (unsigned long long)m->size);
    m->size = m->size ? m->size : least;
    return world_memory(r, at, v, &m->addr, m->size, ENV_MEM_USER, m->read_only ? ENV_READ : ENV_READ | ENV_WRITE,
                        "memory of a process", host);
}

static int take_typed(struct world_reader *r, const struct json_path *at, const struct json *v, struct user_memory *m)
{
    struct json_path here = {.up = at, .name = "value"};
    struct world_object o = {.user = true};
    uint32_t count;
    int err = world_type(r, at, v, m->type, &o.type, &count);
    uint64_t each;

    if (err)
        return err;
    each = (uint64_t)btf_size(r->w->btf, o.type);
    err = take_user(r, at, v, m, each * count, &o.host);
    if (err)
        return err;
    o.addr = m->addr;
    o.size = each;
    if (count == 1 || !m->value)
        return m->value ? world_fill(r, &here, m->value, &o, NULL) : 0;
    err = world_is_array(r, &here, m->value);
    if (!err && m->value->length > count)
        return WORLD_REFUSE(r, &here, m->value, "%zu elements do not fit into %u", m->value->length, count);
    for (size_t i = 0; !err && i < m->value->length; i++) {
        struct json_path elem = {.up = &here, .index = i};

        err = world_fill(r, &elem, m->value->items[i], &o, NULL);
        o.host += each;
        o.addr += each;
    }
    return err;
}

static int take_bytes(struct world_reader *r, const struct json_path *at, const struct json *v, struct user_memory *m)
{
    struct json_path here = {.up = at, .name = m->data ? "data" : "string"};
    unsigned char *host, *data = NULL;
    const char *text = NULL;
    size_t size = 0;
    int err = 0;

    if (m->data) {
        err = world_bytes(r, &here, m->data, &data, &size);
    } else if (m->string) {
        err = world_take_text(r, &here, m->string, &text);
        data = (unsigned char *)(uintptr_t)text;
        size = text ? strlen(text) + 1 : 0;
    }
    if (err)
        return err;
    if (!size && !m->size)
        return WORLD_REFUSE(r, at, v,
                            "what stands there is missing: \"data\", \"string\", \"type\" and \"value\", or \"size\"");
    err = take_user(r, at, v, m, size, &host);
    if (!err && size)
        memcpy(host, data, size);
    return err;
}

/* Whose it is, where the file says so. */
static int give_to(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    struct json_path here = {.up = at, .name = "task"};
    const struct world_task *t = NULL;
    uint32_t pid;
    int err = 0;

    if (v->kind == JSON_STRING)
        t = world_task_named(r->w, v->string);
    else if (!(err = world_take_u32(r, &here, v, &pid)))
        t = world_task_by_pid(r->w, pid);
    if (err)
        return err;
    return t ? world_memory_of(r, t) : WORLD_REFUSE(r, &here, v, "none of the tasks has this pid or name");
}

int world_read_user(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    int err = world_is_array(r, at, v);

    for (size_t i = 0; !err && i < v->length; i++) {
        struct json_path here = {.up = at, .index = i};
        struct user_memory m = {0};

        err = world_members(r, &here, v->items[i], members, sizeof(members) / sizeof(members[0]), &m);
        if (!err && (m.data != NULL) + (m.string != NULL) + (m.type != NULL) > 1)
            err = WORLD_REFUSE(r, &here, v->items[i], "one of \"data\", \"string\" and \"type\" can stand there");
        if (!err && m.value && !m.type)
            err = WORLD_REFUSE(r, &here, v->items[i], "\"value\" needs its \"type\"");
        if (!err && !m.addr)
            err = WORLD_REFUSE(r, &here, v->items[i], "nothing stands at address 0");
        if (!err)
            err = m.type ? take_typed(r, &here, v->items[i], &m) : take_bytes(r, &here, v->items[i], &m);
        if (!err && m.task)
            err = give_to(r, &here, m.task);
        if (!err && m.name)
            err = world_name(r, &here, v->items[i], m.name, m.addr, 0);
    }
    return err;
}
