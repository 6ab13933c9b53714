/*
 * Section `contexts`: what programs get in r1, by the name of their section. Arguments go by the names that the
 * target's prototype has, and are read through their types; what tracepoints record, and other structs, through theirs.
 * A context is bytes, made once: a run copies them.
 */
#include "vm/abi/prog_types.h"
#include "vm/btf/show.h"
#include "vm/ctx/text.h"
#include "vm/world/read.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ARGS = 12, SLOT = 8, MAX_NAME = 160, MAX_RECORD = 8192 /* PERF_MAX_TRACE_SIZE */ };

/* What is being read. */
struct reading {
    struct world_reader *r;
    const char *section, *target;
    const struct section_def *def;
    struct world_context_item *out;
};

static int no_memory(struct world_reader *r)
{
    return log_fail(r->log, -ENOMEM, "no memory for a world of this size");
}

static int take_room(struct reading *c, uint32_t size)
{
    c->out->data = arena_alloc(&c->r->w->arena, size);
    c->out->size = size;
    return c->out->data ? 0 : no_memory(c->r);
}

/* ---- Prototypes ---- */

struct proto {
    const struct btf_type *t; /* its FUNC_PROTO; NULL: none is known, arguments go by position */
    unsigned skip;            /* parameters that programs do not see */
};

static uint32_t find_func(const struct btf *btf, const char *fmt, const char *target)
{
    char name[MAX_NAME];
    int len = snprintf(name, sizeof(name), fmt, target);

    return len > 0 && (size_t)len < sizeof(name) ? btf_find(btf, name, BTF_FUNC) : 0;
}

static struct proto find_proto(const struct reading *c, const struct btf *btf)
{
    static const struct {
        uint32_t type, attach;
        const char *name;
        unsigned skip;
    } rows[] = {
        {PROG_TYPE_TRACING, ATTACH_TRACE_RAW_TP, "__bpf_trace_%s", 1},
        {PROG_TYPE_TRACING, ATTACH_TRACE_RAW_TP, "__probestub_%s", 1},
        {PROG_TYPE_TRACING, ATTACH_TRACE_ITER, "bpf_iter_%s", 0},
        {PROG_TYPE_TRACING, 0, "%s", 0},
        {PROG_TYPE_RAW_TRACEPOINT, 0, "__bpf_trace_%s", 1},
        {PROG_TYPE_RAW_TRACEPOINT, 0, "__probestub_%s", 1},
        {PROG_TYPE_RAW_TRACEPOINT_WRITABLE, 0, "__bpf_trace_%s", 1},
        {PROG_TYPE_LSM, 0, "bpf_lsm_%s", 0},
        {PROG_TYPE_KPROBE, 0, "%s", 0},
    };
    uint32_t id = 0;

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]) && btf && *c->target && !id; i++) {
        if (rows[i].type != c->def->type || (rows[i].attach && rows[i].attach != c->def->attach_type))
            continue;
        id = find_func(btf, rows[i].name, c->target);
        if (id)
            return (struct proto){btf_type_at(btf, btf_type_at(btf, id)->type), rows[i].skip};
    }
    return (struct proto){NULL, 0};
}

/* ---- Arguments ---- */

/* One value into its slots; without a type a number or a reference. */
static int take_value(struct reading *c, const struct json_path *at, const struct json *v, uint32_t type,
                      unsigned char *to, uint64_t room)
{
    struct world_reader *r = c->r;
    struct world_object o = {.type = type, .host = to};
    int64_t size = type ? btf_size(r->w->btf, type) : 0, n;
    const struct btf_type *t;
    int err;

    if (!type) {
        if (v->kind == JSON_STRING && *v->string == '&')
            return world_refer(r, at, v, v->string, to);
        err =
            v->kind == JSON_OBJECT ? world_structure(r, at, v, 0, NULL, (uint64_t *)&n) : world_take_i64(r, at, v, &n);
        if (!err)
            memcpy(to, &n, sizeof(n));
        return err;
    }
    if (size <= 0 || (uint64_t)size > room)
        return WORLD_REFUSE(r, at, v, "an argument of this type does not go into a context");
    o.size = (uint64_t)size;
    err = world_fill(r, at, v, &o, NULL);
    t = btf_type_at(r->w->btf, btf_resolve(r->w->btf, type));
    if (!err && btf_kind(t) == BTF_INT && btf_int_info(t) >> 24 & 1 && size < SLOT && to[size - 1] & 0x80)
        memset(to + size, 0xff, SLOT - (size_t)size);
    return err;
}

static unsigned slots_of(const struct btf *btf, uint32_t type)
{
    int64_t size = btf_size(btf, type);

    return size > SLOT ? (unsigned)((size + SLOT - 1) / SLOT) : 1;
}

/* Where the argument of this name, or in digits this position, stands. @return false: there is none. */
static bool find_arg(const struct btf *btf, const struct proto *p, const char *name, unsigned *slot, uint32_t *type)
{
    const struct btf_param *params = p->t ? btf_params(p->t) : NULL;
    unsigned n = p->t ? btf_vlen(p->t) : 0, at = 0, position = UINT32_MAX;
    char *end;

    if (*name >= '0' && *name <= '9') {
        position = (unsigned)strtoul(name, &end, 10);
        position = *end ? UINT32_MAX : position;
    }
    if (!p->t) {
        *slot = position;
        *type = 0;
        return position < MAX_ARGS;
    }
    for (unsigned i = p->skip; i < n && at < MAX_ARGS; i++) {
        *slot = at;
        *type = params[i].type;
        if (position == i - p->skip || !strcmp(btf_str(btf, params[i].name_off), name))
            return true;
        at += *type ? slots_of(btf, *type) : 1;
    }
    return false;
}

static unsigned count_slots(const struct btf *btf, const struct proto *p)
{
    unsigned n = 0;

    for (unsigned i = p->skip; p->t && i < btf_vlen(p->t); i++)
        n += btf_params(p->t)[i].type ? slots_of(btf, btf_params(p->t)[i].type) : 1;
    return n < MAX_ARGS - 1 ? n : MAX_ARGS - 1;
}

/* The arguments of v, an object by names or an array by positions, one 8-byte slot after the other. "ret" goes behind
 * them. other: whoever reads members that are no arguments; it returns 1 for those that it read. */
static int take_args(struct reading *c, const struct json_path *at, const struct json *v, const struct proto *p,
                     unsigned char *slots,
                     int (*other)(struct reading *c, const struct json_path *at, const char *name,
                                  const struct json *v))
{
    const struct btf *btf = c->r->w->btf;
    int err = v->kind == JSON_ARRAY ? 0 : world_is_object(c->r, at, v);

    for (size_t i = 0; i < (err ? 0 : v->length); i++) {
        char position[24];
        struct json_path here = {.up = at, .name = v->kind == JSON_OBJECT ? v->names[i] : NULL, .index = i};
        unsigned slot = 0;
        uint32_t type = 0;

        snprintf(position, sizeof(position), "%zu", i);
        if (here.name && other && (err = other(c, &here, here.name, v->items[i]))) {
            if (err < 0)
                return err;
            err = 0;
            continue;
        }
        if (!find_arg(btf, p, here.name ? here.name : position, &slot, &type)) {
            if (here.name && !strcmp(here.name, "args") && v->items[i]->kind == JSON_ARRAY) {
                err = take_args(c, &here, v->items[i], p, slots, NULL); /* by position */
                if (err)
                    return err;
                continue;
            }
            return WORLD_REFUSE(c->r, &here, v->items[i],
                                p->t ? "'%.64s' has no such argument"
                                     : "the arguments of '%.64s' are not known by name: use their positions from 0",
                                c->target);
        }
        err = take_value(c, &here, v->items[i], type, slots + slot * SLOT, (MAX_ARGS - slot) * SLOT);
        if (err)
            return err;
    }
    return err;
}

/* fexit and the like find what the function returned behind its arguments. */
static int take_ret(struct reading *c, const struct json_path *at, const char *name, const struct json *v)
{
    struct proto p = find_proto(c, c->r->w->btf);
    uint32_t type = p.t ? p.t->type : 0;
    int err;

    if (strcmp(name, "ret") || c->def->type == PROG_TYPE_RAW_TRACEPOINT)
        return 0;
    err = take_value(c, at, v, type, c->out->data + count_slots(c->r->w->btf, &p) * SLOT, SLOT);
    return err ? err : 1;
}

static int read_typed(struct reading *c, const struct json_path *at, const struct json *v)
{
    const struct btf *btf = world_btf(c->r, at, NULL);
    struct proto p = find_proto(c, btf);
    int err = take_room(c, MAX_ARGS * SLOT);

    return err ? err : take_args(c, at, v, &p, c->out->data, take_ret);
}

/* ---- Registers ---- */

/* struct pt_regs of x86_64, by the names that programs use. */
enum { REGS_SIZE = WORLD_REGS_SIZE, REG_AX = 80, REG_DI = 112, REG_IP = 128 };
static const struct {
    const char *name;
    uint32_t off;
} regs[] = {{"r15", 0},  {"r14", 8},       {"r13", 16},    {"r12", 24},    {"bp", 32},     {"bx", 40},  {"r11", 48},
            {"r10", 56}, {"r9", 64},       {"r8", 72},     {"ax", REG_AX}, {"cx", 88},     {"dx", 96},  {"si", 104},
            {"di", 112}, {"orig_ax", 120}, {"ip", REG_IP}, {"cs", 136},    {"flags", 144}, {"sp", 152}, {"ss", 160}};
/* Where a C function, and a system call, take their arguments. */
static const uint32_t call_args[] = {112, 104, 96, 88, 72, 64}, syscall_args[] = {112, 104, 96, 56, 72, 64};

/* @return false: there is no such register. */
static bool take_reg(struct world_reader *r, const struct json_path *at, const char *name, const struct json *v,
                     unsigned char *to, int *err)
{
    unsigned k = 0;

    while (k < sizeof(regs) / sizeof(regs[0]) && strcmp(regs[k].name, name))
        k++;
    if (k == sizeof(regs) / sizeof(regs[0]))
        return false;
    *err = v->kind == JSON_STRING && *v->string == '&' ? world_refer(r, at, v, v->string, to + regs[k].off)
                                                       : world_take_i64(r, at, v, to + regs[k].off);
    return true;
}

int world_take_regs(struct world_reader *r, const struct json_path *at, const struct json *v, unsigned char *to)
{
    int err = world_is_object(r, at, v);

    for (size_t i = 0; !err && i < v->length; i++) {
        struct json_path here = {.up = at, .name = v->names[i]};

        if (!take_reg(r, &here, here.name, v->items[i], to, &err))
            return WORLD_REFUSE(r, &here, v->items[i], "struct pt_regs has no such register");
    }
    return err;
}

static int other_regs(struct reading *c, const struct json_path *at, const char *name, const struct json *v)
{
    int err;

    if (!strcmp(name, "regs"))
        err = world_take_regs(c->r, at, v, c->out->data);
    else if (!strcmp(name, "ret"))
        err = take_value(c, at, v, 0, c->out->data + REG_AX, SLOT);
    else if (!take_reg(c->r, at, name, v, c->out->data, &err))
        return 0;
    return err ? err : 1;
}

/* On x86_64 a system call's function gets the registers of who called, in which the arguments are. */
static bool is_syscall(const struct reading *c)
{
    return !strncmp(c->section, "ksyscall", 8) || !strncmp(c->section, "kretsyscall", 11) ||
           !strncmp(c->target, "__x64_sys_", 10);
}

static int read_regs(struct reading *c, const struct json_path *at, const struct json *v)
{
    struct proto none = {NULL, 0}, p = is_syscall(c) ? none : find_proto(c, world_btf(c->r, at, NULL));
    unsigned char slots[MAX_ARGS * SLOT] = {0}, *inner;
    uint64_t addr = 0;
    int err = take_room(c, REGS_SIZE);

    if (!err && is_syscall(c)) {
        err =
            world_memory(c->r, at, v, &addr, REGS_SIZE, ENV_MEM_KERNEL, ENV_READ, "registers of a system call", &inner);
        if (!err)
            memcpy(c->out->data + REG_DI, &addr, sizeof(addr));
    } else {
        inner = c->out->data;
    }
    if (!err) { /* references are settled where they will stand */
        unsigned char *lasting = arena_alloc(&c->r->w->arena, sizeof(slots));
        uint32_t since = c->r->n_fixups;

        if (!lasting)
            return no_memory(c->r);
        err = take_args(c, at, v, &p, lasting, other_regs);
        for (unsigned i = 0; i < 6 && !err; i++)
            if (memcmp(lasting + i * SLOT, slots, SLOT))
                memcpy(inner + (addr ? syscall_args[i] : call_args[i]), lasting + i * SLOT, SLOT);
        if (!err)
            world_move_refs(c->r, since, lasting, 6, inner, addr ? syscall_args : call_args);
    }
    return err;
}

/* struct bpf_perf_event_data: the registers, and what the sample is about. */
static int read_event(struct reading *c, const struct json_path *at, const struct json *v)
{
    int err = world_is_object(c->r, at, v);

    if (!err)
        err = take_room(c, REGS_SIZE + 2 * SLOT);
    for (size_t i = 0; !err && i < v->length; i++) {
        struct json_path here = {.up = at, .name = v->names[i]};

        if (!strcmp(here.name, "regs"))
            err = world_take_regs(c->r, &here, v->items[i], c->out->data);
        else if (!strcmp(here.name, "sample_period"))
            err = world_take_u64(c->r, &here, v->items[i], c->out->data + REGS_SIZE);
        else if (!strcmp(here.name, "addr"))
            err = world_take_u64(c->r, &here, v->items[i], c->out->data + REGS_SIZE + SLOT);
        else if (!take_reg(c->r, &here, here.name, v->items[i], c->out->data, &err))
            return WORLD_REFUSE(c->r, &here, v->items[i], "a perf event has no such member");
    }
    return err;
}

/* ---- Structs ---- */

/* The struct that a tracepoint records, or that a program type's context is. */
static uint32_t find_struct(const struct reading *c, const struct btf *btf)
{
    const char *event = strchr(c->target, '/');
    const struct prog_type *type = prog_type_find(c->def->type);
    char name[MAX_NAME];

    if (c->def->type != PROG_TYPE_TRACEPOINT)
        return type ? btf_find(btf, type->ctx->name, BTF_STRUCT) : 0;
    event = event ? event + 1 : c->target;
    if (!strncmp(c->target, "syscalls/", 9))
        event = !strncmp(event, "sys_exit", 8) ? "sys_exit" : "sys_enter";
    snprintf(name, sizeof(name), "trace_event_raw_%.100s", event);
    return btf_find(btf, name, BTF_STRUCT);
}

static bool is_struct_type(void *ctx, const char *name)
{
    (void)ctx;
    return !strcmp(name, "type");
}

/* Names of members that stand behind the struct, as texts whose place a __data_loc_ member tells. */
static bool is_text(const struct reading *c, uint32_t type, const char *name, const struct json *v,
                    struct btf_place *at)
{
    char member[MAX_NAME];

    snprintf(member, sizeof(member), "__data_loc_%.100s", name);
    return v->kind == JSON_STRING && btf_find_place(c->r->w->btf, type, member, at) && at->size == 4;
}

static int append_texts(struct reading *c, const struct json_path *at, const struct json *v, uint32_t type,
                        uint32_t size, struct json *rest)
{
    struct btf_place place;
    uint32_t total = size, n = 0;
    const struct json **items = ARENA_ARRAY(&c->r->w->arena, const struct json *, v->length);
    const char **names = ARENA_ARRAY(&c->r->w->arena, const char *, v->length);
    int err;

    if (!items || !names)
        return no_memory(c->r);
    for (size_t i = 0; i < v->length; i++)
        if (is_text(c, type, v->names[i], v->items[i], &place))
            total += (uint32_t)(v->items[i]->length < MAX_RECORD ? v->items[i]->length : MAX_RECORD) + 1;
    if (total > MAX_RECORD)
        return WORLD_REFUSE(c->r, at, v, "more than %d bytes, which no tracepoint records", MAX_RECORD);
    err = take_room(c, total);
    total = size;
    for (size_t i = 0; i < v->length && !err; i++) {
        uint32_t len = (uint32_t)v->items[i]->length + 1, loc = len << 16 | total;

        if (!is_text(c, type, v->names[i], v->items[i], &place)) {
            items[n] = v->items[i];
            names[n++] = v->names[i];
            continue;
        }
        memcpy(c->out->data + place.off, &loc, sizeof(loc));
        memcpy(c->out->data + total, v->items[i]->string, len);
        total += len;
    }
    rest->items = items;
    rest->names = names;
    rest->length = n;
    return err;
}

/* The name and the value of a sysctl are no fields; the program asks helpers for them. @return as ctx_text_put(). */
static int take_sysctl(struct reading *c, const struct json_path *at, const char *name, const struct json *v)
{
    const char **to = !strcmp(name, "name") ? &c->out->sysctl_name : &c->out->sysctl_value;
    int err;

    if (c->def->type != PROG_TYPE_CGROUP_SYSCTL || (strcmp(name, "name") && strcmp(name, "value")))
        return 0;
    err = world_take_text(c->r, at, v, to);
    return err ? err : 1;
}

/* A context whose layout has names for its fields. */
static int read_fields(struct reading *c, const struct ctx_layout *layout, const struct json_path *at,
                       const struct json *v)
{
    int err = world_is_object(c->r, at, v), done;

    if (!err)
        err = take_room(c, layout->size);
    for (size_t i = 0; !err && i < v->length; i++) {
        struct json_path here = {.up = at, .name = v->names[i]};

        done = take_sysctl(c, &here, here.name, v->items[i]);
        if (!done)
            done = ctx_text_put(layout, here.name, v->items[i], &here, c->r->log, c->out->data);
        if (!done)
            return WORLD_REFUSE(c->r, &here, v->items[i], "%s has no such field", layout->name);
        err = done < 0 ? done : 0;
    }
    return err;
}

static int read_struct(struct reading *c, const struct json_path *at, const struct json *v)
{
    const struct btf *btf = world_btf(c->r, at, v);
    const struct json *named = v->kind == JSON_OBJECT ? json_get(v, "type") : NULL;
    struct json rest = *v;
    struct world_object o = {0};
    uint32_t count = 1;
    int err = btf ? world_is_object(c->r, at, v) : -EINVAL;

    if (err)
        return err;
    o.type = named && named->kind == JSON_STRING ? 0 : find_struct(c, btf);
    if (!o.type && named && named->kind == JSON_STRING)
        err = world_type(c->r, at, named, named->string, &o.type, &count);
    else if (!o.type)
        err = WORLD_REFUSE(c->r, at, v, "which struct '%.64s' gets is not known here: say \"type\"", c->section);
    if (!err)
        err = append_texts(c, at, v, o.type, (uint32_t)btf_size(btf, o.type), &rest);
    if (err)
        return err;
    o.host = c->out->data;
    o.size = (uint64_t)btf_size(btf, o.type);
    return world_fill(c->r, at, &rest, &o, is_struct_type);
}

/* ---- The section ---- */

static int read_one(struct reading *c, const struct json_path *at, const struct json *v)
{
    const struct prog_type *type = prog_type_find(c->def->type);

    switch (c->def->type) {
    case PROG_TYPE_TRACING:
    case PROG_TYPE_LSM:
    case PROG_TYPE_RAW_TRACEPOINT:
    case PROG_TYPE_RAW_TRACEPOINT_WRITABLE:
    case PROG_TYPE_STRUCT_OPS: return read_typed(c, at, v);
    case PROG_TYPE_KPROBE: return read_regs(c, at, v);
    case PROG_TYPE_PERF_EVENT: return read_event(c, at, v);
    default:
        return type && type->ctx && ctx_text_names(type->ctx) ? read_fields(c, type->ctx, at, v)
                                                              : read_struct(c, at, v);
    }
}

static int read_section(struct world_reader *r, const struct json_path *at, const char *name, const struct json *v,
                        struct world_context *out)
{
    struct reading c = {.r = r, .section = name};
    /* a list of contexts, or of one's arguments by position */
    bool many = v->kind == JSON_ARRAY && v->length && v->items[0]->kind >= JSON_ARRAY;
    int err = 0;

    c.def = section_find(name, &c.target);
    if (!c.def)
        return WORLD_REFUSE(r, at, v, "there is no section of programs of this name");
    out->section = name;
    out->n = many ? (uint32_t)v->length : 1;
    out->items = ARENA_ARRAY(&r->w->arena, struct world_context_item, out->n + 1);
    if (!out->items)
        return no_memory(r);
    for (uint32_t i = 0; i < out->n && !err; i++) {
        struct json_path here = {.up = at, .index = i};

        c.out = &out->items[i];
        err = read_one(&c, many ? &here : at, many ? v->items[i] : v);
    }
    return err;
}

static int make_room(struct world_reader *r, size_t n)
{
    struct world *w = r->w;

    if (!w->contexts)
        w->contexts = ARENA_ARRAY(&w->arena, struct world_context, n + 1 /* world_read_context()'s */);
    return w->contexts ? 0 : no_memory(r);
}

int world_read_contexts(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    struct world *w = r->w;
    int err = world_is_object(r, at, v);

    if (!err)
        err = make_room(r, v->length);
    for (size_t i = 0; !err && i < v->length; i++) {
        struct json_path here = {.up = at, .name = v->names[i]};

        err = read_section(r, &here, v->names[i], v->items[i], &w->contexts[i]);
        w->n_contexts = (uint32_t)i + 1;
    }
    return err;
}

int world_read_context(struct world_reader *r, const char *section, const struct json *v)
{
    struct json_path at = {.name = section};
    struct world *w = r->w;
    int err = make_room(r, 0);
    uint32_t i = 0;

    section += *section == '?';
    while (!err && i < w->n_contexts && strcmp(w->contexts[i].section, section))
        i++;
    if (!err && i == w->n_contexts)
        w->n_contexts++;
    return err ? err : read_section(r, &at, section, v, &w->contexts[i]);
}

const struct world_context_item *world_context(const struct world *world, const char *section, uint32_t i)
{
    section += *section == '?';
    for (uint32_t k = 0; k < world->n_contexts; k++)
        if (!strcmp(world->contexts[k].section, section))
            return i < world->contexts[k].n ? &world->contexts[k].items[i] : NULL;
    return NULL;
}
