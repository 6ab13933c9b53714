/*
 * Reads special fields: see fields.h. Rules and errors are those of Linux's btf_parse_fields(): which names count, that
 * nested structs and arrays are looked into, what may stand in an array, and who may own whom.
 */
#include "vm/fields.h"
#include "base/arena.h"
#include "vm/abi/map_types.h"
#include "vm/btf/btf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NEST = 32, MAX_STEPS = 1 << 16, PAGE = 4096 };

#define MAP_BIT(type) ((uint64_t)1 << MAP_TYPE_##type)
#define NO_MAP        0
#define STORAGES      (MAP_BIT(SK_STORAGE) | MAP_BIT(INODE_STORAGE) | MAP_BIT(TASK_STORAGE) | MAP_BIT(CGRP_STORAGE))
#define LOCK_MAPS     (MAP_BIT(HASH) | MAP_BIT(ARRAY) | MAP_BIT(CGROUP_STORAGE) | STORAGES)
#define LATER_MAPS    (MAP_BIT(HASH) | MAP_BIT(LRU_HASH) | MAP_BIT(ARRAY))
#define KPTR_MAPS     (LATER_MAPS | MAP_BIT(PERCPU_HASH) | MAP_BIT(LRU_PERCPU_HASH) | MAP_BIT(PERCPU_ARRAY) | STORAGES)
#define UPTR_MAPS     MAP_BIT(TASK_STORAGE)

enum how { ONCE, SOME, MANY };

static const struct row {
    const char *name;
    uint32_t bytes, align;
    enum how how;
    uint64_t maps;
} rows[FIELD_KINDS] = {
#define FIELD(kind, name, bytes, align, how, maps) [FIELD_##kind] = {name, bytes, align, how, maps},
#include "vm/abi/fields.def"
};

enum {
    ALL_POINTERS = FIELD_KPTRS | FIELD_BIT(UPTR),
    OF_OBJECTS = FIELD_LOCKS | FIELD_ROOTS | FIELD_NODES | FIELD_BIT(REFCOUNT) | FIELD_KPTRS,
    OF_VALUES = FIELD_LOCKS | FIELD_BIT(TIMER) | FIELD_BIT(WQ) | FIELD_BIT(TASK_WORK) | FIELD_ROOTS |
                FIELD_BIT(REFCOUNT) | ALL_POINTERS,
};

struct field_table {
    uint32_t refs; /* atomic */
    struct arena arena;
    struct fields **by_type; /* of structs that programs may allocate, by id */
    uint32_t n;
    int error;
};

/* What is being read. */
struct reader {
    struct field_table *t;
    const struct btf *btf;
    uint32_t wanted; /* kinds */
    uint32_t seen;
    unsigned steps; /* left: types may nest as they like */
    struct fields *out;
};

const char *field_name(enum field_kind kind)
{
    return rows[kind].name;
}

uint64_t field_maps(enum field_kind kind)
{
    return rows[kind].maps;
}

static bool is_struct(const struct btf_type *t)
{
    return btf_kind(t) == BTF_STRUCT || btf_kind(t) == BTF_UNION;
}

/* What the tag "contains:struct:member" of this member, or of this variable (component -1), says. NULL: nothing. */
static const char *contains(const struct btf *btf, uint32_t of, int32_t component)
{
    static const char prefix[] = "contains:";
    const char *found = NULL;

    for (uint32_t i = 1; i < btf_count(btf); i++) {
        const struct btf_type *t = btf_type_at(btf, i);

        if (btf_kind(t) != BTF_DECL_TAG || t->type != of || btf_tag_component(t) != component ||
            strncmp(btf_name(btf, i), prefix, sizeof(prefix) - 1))
            continue;
        if (found)
            return NULL;
        found = btf_name(btf, i) + sizeof(prefix) - 1;
    }
    return found;
}

/* Where the node stands that a root names. */
static int find_node(const struct reader *r, struct field *f, const char *member)
{
    enum field_kind node = f->kind == FIELD_LIST_HEAD ? FIELD_LIST_NODE : FIELD_RB_NODE;
    const struct btf_type *t = btf_type_at(r->btf, f->type);

    for (unsigned i = 0; i < btf_vlen(t); i++) {
        const struct btf_member *m = &btf_members(t)[i];
        uint32_t off = btf_member_bit_off(t, i);

        if (strcmp(btf_str(r->btf, m->name_off), member))
            continue;
        if (!is_struct(btf_type_at(r->btf, m->type)) || strcmp(btf_name(r->btf, m->type), rows[node].name) || off % 8 ||
            off / 8 % rows[node].align)
            return -EINVAL;
        f->node_off = off / 8;
        return 0;
    }
    return -ENOENT;
}

static int read_root(const struct reader *r, struct field *f, uint32_t of, int32_t component)
{
    const char *what = contains(r->btf, of, component), *colon = what ? strchr(what, ':') : NULL;
    char *name;

    if (!colon || !colon[1])
        return -EINVAL;
    name = arena_strndup(&r->t->arena, what, (size_t)(colon - what));
    if (!name)
        return -ENOMEM;
    f->type = btf_find(r->btf, name, BTF_STRUCT);
    if (!f->type)
        return -ENOENT;
    f->type_name = name;
    f->type_size = btf_type_at(r->btf, f->type)->size;
    return find_node(r, f, colon + 1);
}

/* The kind of a tagged pointer: 0 and *kind, 1: it is a plain one. */
static int read_pointer(const struct reader *r, const struct btf_type *t, struct field *f)
{
    const struct btf_type *tag = btf_kind(t) == BTF_PTR ? btf_type_at(r->btf, t->type) : NULL;
    const char *text;
    int64_t size;

    if (!tag || btf_kind(tag) != BTF_TYPE_TAG || btf_kflag(tag))
        return 1;
    text = btf_name(r->btf, t->type);
    if (btf_kind(btf_type_at(r->btf, tag->type)) == BTF_TYPE_TAG)
        return -EINVAL;
    f->kind = FIELD_KINDS;
    for (unsigned k = FIELD_KPTR_UNTRUSTED; k <= FIELD_UPTR; k++)
        if (!strcmp(text, rows[k].name))
            f->kind = (uint8_t)k;
    if (f->kind == FIELD_KINDS)
        return -EINVAL;
    if (!(r->wanted >> f->kind & 1))
        return 1;
    f->type = btf_resolve(r->btf, tag->type);
    if (!is_struct(btf_type_at(r->btf, f->type)))
        return -EINVAL;
    f->type_name = arena_strdup(&r->t->arena, btf_name(r->btf, f->type));
    size = btf_size(r->btf, f->type);
    f->type_size = size > 0 ? (uint32_t)size : 0;
    if (f->kind == FIELD_UPTR && (!f->type_size || f->type_size > PAGE))
        return f->type_size ? -E2BIG : -EINVAL;
    return f->type_name ? 0 : -ENOMEM;
}

static int add(struct reader *r, const struct field *f)
{
    if (r->out->n == FIELDS_MAX)
        return -E2BIG;
    r->out->at[r->out->n++] = *f;
    r->out->kinds |= 1u << f->kind;
    return 0;
}

/* The fields from `first` on stand in an array's first element; they stand in each of the others, too. */
static int repeat(struct reader *r, uint32_t first, uint64_t elems, uint64_t size)
{
    uint32_t n = r->out->n - first;

    if (!n || elems < 2)
        return 0;
    for (uint32_t i = first; i < r->out->n; i++)
        if (rows[r->out->at[i].kind].how != MANY)
            return -EINVAL;
    if (n * elems > FIELDS_MAX - first)
        return -E2BIG;
    for (uint64_t k = 1; k < elems; k++)
        for (uint32_t i = 0; i < n; i++) {
            struct field f = r->out->at[first + i];

            f.off += (uint32_t)(k * size);
            if (add(r, &f))
                return -E2BIG;
        }
    return 0;
}

static int read_struct(struct reader *r, uint32_t type, uint32_t base, unsigned level);

/* One member or variable of this type. */
static int read_one(struct reader *r, uint32_t type, uint32_t off, uint32_t size, uint32_t of, int32_t component,
                    unsigned level)
{
    const struct btf_type *t = btf_type_at(r->btf, type);
    struct field f = {.off = off, .kind = FIELD_KINDS};
    uint32_t first = r->out->n;
    uint64_t elems = 1;
    int err = 1;

    if (!r->steps--)
        return -E2BIG;
    for (unsigned i = 0; btf_kind(t) == BTF_ARRAY; i++) {
        if (i == MAX_NEST)
            return -E2BIG;
        elems *= btf_array_of(t)->nelems;
        type = btf_array_of(t)->type;
        t = btf_type_at(r->btf, type);
    }
    if (!elems || elems > UINT32_MAX)
        return 0;
    for (unsigned k = 0; k < FIELD_KPTR_UNTRUSTED && is_struct(t); k++)
        if (r->wanted >> k & 1 && !strcmp(btf_name(r->btf, type), rows[k].name))
            f.kind = (uint8_t)k, err = 0;
    if (f.kind == FIELD_KINDS && is_struct(t)) {
        if (size && size != t->size * elems)
            return 0;
        err = read_struct(r, type, off, level + 1);
        return err ? err : repeat(r, first, elems, t->size);
    }
    if (f.kind == FIELD_KINDS && r->wanted & ALL_POINTERS)
        err = read_pointer(r, t, &f);
    if (err)
        return err < 0 ? err : 0;
    f.size = rows[f.kind].bytes;
    if (size && size != f.size * elems)
        return 0;
    if (off % rows[f.kind].align)
        return -EINVAL;
    if (f.kind < FIELD_KPTR_UNTRUSTED && t->size != f.size)
        return 0;
    if (rows[f.kind].how == ONCE && r->seen >> f.kind & 1)
        return -E2BIG;
    r->seen |= 1u << f.kind;
    if (1u << f.kind & FIELD_ROOTS)
        err = read_root(r, &f, of, component);
    if (!err)
        err = add(r, &f);
    return err ? err : repeat(r, first, elems, f.size);
}

static int read_struct(struct reader *r, uint32_t type, uint32_t base, unsigned level)
{
    const struct btf_type *t = btf_type_at(r->btf, type);
    int err = 0;

    if (level >= MAX_NEST)
        return -E2BIG;
    for (unsigned i = 0; i < btf_vlen(t) && !err; i++) {
        uint32_t bit = btf_member_bit_off(t, i);

        if (bit % 8) /* a bit field, which holds none */
            continue;
        err = read_one(r, btf_members(t)[i].type, base + bit / 8, 0, type, (int32_t)i, level);
    }
    return err;
}

static int read_section(struct reader *r, uint32_t type)
{
    const struct btf_type *t = btf_type_at(r->btf, type);
    int err = 0;

    for (unsigned i = 0; i < btf_vlen(t) && !err; i++) {
        const struct btf_secinfo *info = &btf_secinfos(t)[i];
        const struct btf_type *var = btf_type_at(r->btf, info->type);

        if (btf_kind(var) == BTF_VAR)
            err = read_one(r, btf_resolve(r->btf, var->type), info->offset, info->size, info->type, -1, 0);
    }
    return err;
}

static int by_off(const void *a, const void *b)
{
    const struct field *x = a, *y = b;

    return x->off < y->off ? -1 : x->off > y->off;
}

/* One struct's or value's. *out NULL: it has none. */
static int read_all(struct field_table *t, const struct btf *btf, uint32_t type, uint32_t wanted, struct fields **out)
{
    struct fields found = {.table = t, .type = type};
    struct reader r = {.t = t, .btf = btf, .wanted = wanted, .steps = MAX_STEPS, .out = &found};
    const struct btf_type *bt = btf_type_at(btf, type);
    int err = btf_kind(bt) == BTF_DATASEC ? read_section(&r, type) : is_struct(bt) ? read_struct(&r, type, 0, 0) : 0;

    *out = NULL;
    if (err || !found.n)
        return err;
    if (found.kinds & FIELD_ROOTS && !(found.kinds & FIELD_LOCKS))
        return -EINVAL;
    if ((found.kinds & FIELD_LOCKS) == FIELD_LOCKS) /* of which kind roots are protected would not be known */
        return -EINVAL;
    if ((found.kinds & FIELD_NODES) == FIELD_NODES && !(found.kinds & FIELD_BIT(REFCOUNT)))
        return -EINVAL;
    qsort(found.at, found.n, sizeof(found.at[0]), by_off);
    *out = arena_memdup(&t->arena, &found, sizeof(found));
    return *out ? 0 : -ENOMEM;
}

/* Each pointer and root learns what it leads to; who owns what else owns must not be owned itself. */
static int settle(const struct field_table *t, struct fields *f)
{
    for (uint32_t i = 0; i < f->n; i++) {
        struct field *at = &f->at[i];

        at->of = fields_of(t, at->type);
        if (!(1u << at->kind & FIELD_ROOTS))
            continue;
        if (!at->of)
            return -EFAULT;
        if (f->kinds & FIELD_NODES && at->of->kinds & FIELD_ROOTS)
            return -ELOOP;
    }
    return 0;
}

/* Types are gone through once for all that stand in them; what makes a struct one of these is a member of its own. */
static bool has_member(const struct btf *btf, uint32_t type)
{
    const struct btf_type *t = btf_type_at(btf, type);

    for (unsigned i = 0; i < btf_vlen(t); i++) {
        uint32_t m = btf_members(t)[i].type;
        const struct btf_type *mt = btf_type_at(btf, m);

        while (btf_kind(mt) == BTF_ARRAY) {
            m = btf_array_of(mt)->type;
            mt = btf_type_at(btf, m);
        }
        for (unsigned k = 0; k < FIELD_KPTR_UNTRUSTED && is_struct(mt); k++)
            if (OF_OBJECTS >> k & 1 && !strcmp(btf_name(btf, m), rows[k].name))
                return true;
        if (btf_kind(mt) == BTF_PTR && btf_kind(btf_type_at(btf, mt->type)) == BTF_TYPE_TAG)
            for (unsigned k = FIELD_KPTR_UNTRUSTED; k < FIELD_UPTR; k++)
                if (!strcmp(btf_name(btf, mt->type), rows[k].name))
                    return true;
    }
    return false;
}

int field_table_read(const struct btf *btf, const struct log *log, struct field_table **out)
{
    struct field_table *t = calloc(1, sizeof(*t));

    if (!t)
        return log_fail(log, -ENOMEM, "no memory for special fields");
    t->refs = 1;
    t->n = btf_count(btf);
    t->by_type = ARENA_ARRAY(&t->arena, struct fields *, t->n);
    for (uint32_t i = 1; t->by_type && i < t->n && !t->error; i++)
        if (btf_kind(btf_type_at(btf, i)) == BTF_STRUCT && has_member(btf, i))
            t->error = read_all(t, btf, i, OF_OBJECTS, &t->by_type[i]);
    for (uint32_t i = 1; t->by_type && i < t->n && !t->error; i++)
        if (t->by_type[i])
            t->error = settle(t, t->by_type[i]);
    if (!t->by_type || t->error == -ENOMEM) {
        field_table_put(t);
        return log_fail(log, -ENOMEM, "no memory for special fields");
    }
    *out = t;
    return 0;
}

struct field_table *field_table_get(struct field_table *t)
{
    __atomic_fetch_add(&t->refs, 1, __ATOMIC_RELAXED);
    return t;
}

void field_table_put(struct field_table *t)
{
    if (!t || __atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL))
        return;
    arena_free(&t->arena);
    free(t);
}

int field_table_error(const struct field_table *t)
{
    return t->error;
}

const struct fields *fields_of(const struct field_table *t, uint32_t type)
{
    return t && !t->error && type < t->n ? t->by_type[type] : NULL;
}

int fields_read_value(struct field_table *t, const struct btf *btf, uint32_t type, const struct fields **out)
{
    struct fields *f;
    int err = t->error ? t->error : read_all(t, btf, btf_resolve(btf, type), OF_VALUES, &f);

    *out = NULL;
    if (err || !f)
        return err;
    err = settle(t, f);
    if (!err)
        *out = f;
    return err;
}

const struct field *fields_at(const struct fields *f, uint64_t off, uint32_t kinds)
{
    for (uint32_t i = 0; f && i < f->n; i++)
        if (f->at[i].off == off && kinds >> f->at[i].kind & 1)
            return &f->at[i];
    return NULL;
}

const struct field *fields_the(const struct fields *f, enum field_kind kind)
{
    for (uint32_t i = 0; f && i < f->n; i++)
        if (f->at[i].kind == kind)
            return &f->at[i];
    return NULL;
}

const struct field *fields_touched(const struct fields *f, int64_t off, int64_t end)
{
    for (uint32_t i = 0; f && i < f->n; i++)
        if (off < (int64_t)f->at[i].off + f->at[i].size && end > f->at[i].off)
            return &f->at[i];
    return NULL;
}

bool fields_equal(const struct fields *a, const struct fields *b)
{
    if (!a || !b || a == b)
        return a == b;
    if (a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++) {
        const struct field *x = &a->at[i], *y = &b->at[i];

        if (x->off != y->off || x->kind != y->kind || x->node_off != y->node_off || !x->type_name != !y->type_name ||
            (x->type_name && strcmp(x->type_name, y->type_name)))
            return false;
    }
    return true;
}
