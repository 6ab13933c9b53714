/*
 * What makes BTF safe to read. Three passes over the types: walk() finds where each begins and that none runs over the
 * end; check() looks at what each type says by itself and whom it names; measure() gives sizes to arrays, typedefs and
 * modifiers, and refuses types that contain themselves. Later passes rely on earlier ones.
 *
 * The rules are those of Linux (kernel/bpf/btf.c), less the ones on how names are spelled, and with libbpf's leniency
 * for what a compiler leaves to the linker (DATASEC of size 0, functions in a DATASEC).
 */
#include "vm/btf/store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check {
    struct btf *btf;
    const struct log *log;
    unsigned char *depth; /* 0: not measured, OPEN: being measured, else 1 + levels below */
};

enum { OPEN = 255 };
_Static_assert(BTF_MAX_DEPTH < OPEN - 1, "depths fit a byte beside the mark of open types");

#define OWN_SIZE UINT32_MAX, 0
#define NO_SIZE  0, BTF_UNSIZED
#define TYPES    BTF_INDEX_TYPES
#define SYMBOLS  BTF_INDEX_SYMBOLS
#define NOWHERE  BTF_INDEX_COUNT

/* clang-format off */
const struct btf_kind_row btf_kinds[32] = {
    [BTF_VOID]       = {"VOID",       0,  0,  TYPES,   1, NO_SIZE},
    [BTF_INT]        = {"INT",        4,  0,  TYPES,   1, OWN_SIZE},
    [BTF_PTR]        = {"PTR",        0,  0,  TYPES,   1, 0, 8},
    [BTF_ARRAY]      = {"ARRAY",      12, 0,  TYPES,   0, NO_SIZE},
    [BTF_STRUCT]     = {"STRUCT",     0,  12, TYPES,   0, OWN_SIZE},
    [BTF_UNION]      = {"UNION",      0,  12, TYPES,   0, OWN_SIZE},
    [BTF_ENUM]       = {"ENUM",       0,  8,  TYPES,   1, OWN_SIZE},
    [BTF_FWD]        = {"FWD",        0,  0,  TYPES,   1, NO_SIZE},
    [BTF_TYPEDEF]    = {"TYPEDEF",    0,  0,  TYPES,   0, NO_SIZE},
    [BTF_VOLATILE]   = {"VOLATILE",   0,  0,  TYPES,   0, NO_SIZE},
    [BTF_CONST]      = {"CONST",      0,  0,  TYPES,   0, NO_SIZE},
    [BTF_RESTRICT]   = {"RESTRICT",   0,  0,  TYPES,   0, NO_SIZE},
    [BTF_FUNC]       = {"FUNC",       0,  0,  SYMBOLS, 1, NO_SIZE},
    [BTF_FUNC_PROTO] = {"FUNC_PROTO", 0,  8,  TYPES,   1, NO_SIZE},
    [BTF_VAR]        = {"VAR",        4,  0,  SYMBOLS, 1, NO_SIZE},
    [BTF_DATASEC]    = {"DATASEC",    0,  12, SYMBOLS, 1, NO_SIZE},
    [BTF_FLOAT]      = {"FLOAT",      0,  0,  TYPES,   1, OWN_SIZE},
    [BTF_DECL_TAG]   = {"DECL_TAG",   4,  0,  NOWHERE, 1, NO_SIZE},
    [BTF_TYPE_TAG]   = {"TYPE_TAG",   0,  0,  NOWHERE, 0, NO_SIZE},
    [BTF_ENUM64]     = {"ENUM64",     0,  12, TYPES,   1, OWN_SIZE},
};
/* clang-format on */

const char *btf_kind_name(unsigned kind)
{
    return kind <= BTF_ENUM64 ? btf_kinds[kind].name : "?";
}

__attribute__((format(printf, 3, 4))) static int refuse(const struct check *c, uint32_t id, const char *fmt, ...)
{
    const struct btf_type *t = btf_at(c->btf, id);
    char why[160];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    return log_fail(c->log, -EINVAL, "BTF: type %u (%s '%.64s'): %s", id, btf_kind_name(btf_kind(t)),
                    btf_str(c->btf, t->name_off), why);
}

/* Bytes of a whole type. */
static uint32_t type_size(uint32_t info)
{
    const struct btf_kind_row *k = &btf_kinds[info >> 24 & 0x1f];

    return (uint32_t)sizeof(struct btf_type) + k->fixed + k->each * (info & 0xffff);
}

/* Finds where each type begins. */
static int walk(struct check *c, size_t types_len)
{
    struct btf *btf = c->btf;
    size_t cap = types_len / sizeof(struct btf_type) + 1, at = 0;
    uint32_t n = 0;

    /* Room for types without a tail; the system gives pages only for what is written. */
    btf->offs = malloc(cap * sizeof(*btf->offs));
    btf->kinds = malloc(cap);
    if (!btf->offs || !btf->kinds)
        return log_fail(c->log, -ENOMEM, "BTF: out of memory");
    if (!btf->base) {
        btf->offs[0] = 0; /* void stands nowhere */
        btf->kinds[0] = BTF_VOID;
        n = 1;
    }
    while (at < types_len) {
        const struct btf_type *t = (const struct btf_type *)(const void *)(btf->types + at);

        if (types_len - at < sizeof(*t) || types_len - at < type_size(t->info))
            return log_fail(c->log, -EINVAL, "BTF: type %u at byte %zu runs over the end of the types", btf->first + n,
                            at);
        btf->kinds[n] = (unsigned char)btf_kind(t);
        btf->offs[n++] = (uint32_t)at;
        at += type_size(t->info);
    }
    btf->count = btf->first + n;
    return 0;
}

/* May this type be what a pointer points to, a member is, a parameter is? void may. */
static bool is_plain(const struct check *c, uint32_t id)
{
    const unsigned never = 1u << BTF_FUNC | 1u << BTF_VAR | 1u << BTF_DATASEC | 1u << BTF_DECL_TAG;

    return id < c->btf->count && !(never >> btf_kind_of(c->btf, id) & 1);
}

static bool is_str(const struct check *c, uint32_t off)
{
    return off < c->btf->end_str;
}

static int check_int(const struct check *c, uint32_t id, const struct btf_type *t)
{
    uint32_t info = btf_int_info(t), bits = info & 0xff, off = info >> 16 & 0xff, encoding = info >> 24;

    if (!t->size || t->size > 16 || !bits || off + bits > t->size * 8)
        return refuse(c, id, "%u bits at bit %u in %u bytes", bits, off, t->size);
    if (encoding > 7)
        return refuse(c, id, "unknown encoding 0x%x", encoding);
    return 0;
}

static int check_members(const struct check *c, uint32_t id, const struct btf_type *t)
{
    const struct btf_member *m = btf_members(t);
    unsigned vlen = btf_vlen(t);
    bool is_union = btf_kind(t) == BTF_UNION;

    if (t->size == BTF_UNSIZED)
        return refuse(c, id, "%u bytes are too large", t->size);
    for (unsigned i = 0; i < vlen; i++) {
        if (!is_str(c, m[i].name_off))
            return refuse(c, id, "member %u: name at %u, past the strings", i, m[i].name_off);
        if (!m[i].type || !is_plain(c, m[i].type))
            return refuse(c, id, "member '%.64s': type %u cannot be a member", btf_str(c->btf, m[i].name_off),
                          m[i].type);
        if (is_union && btf_member_bit_off(t, i))
            return refuse(c, id, "member '%.64s' of a union does not begin at 0", btf_str(c->btf, m[i].name_off));
    }
    return 0;
}

static int check_enum(const struct check *c, uint32_t id, const struct btf_type *t)
{
    unsigned vlen = btf_vlen(t);
    bool wide = btf_kind(t) == BTF_ENUM64;
    const uint32_t *name = (const uint32_t *)(t + 1);

    /* clang gives no size to an enum that is only declared. */
    if (t->size != 1 && t->size != 2 && t->size != 4 && t->size != 8 && (t->size || vlen))
        return refuse(c, id, "an enum of %u bytes", t->size);
    for (unsigned i = 0; i < vlen; i++, name += wide ? 3 : 2)
        if (!is_str(c, *name))
            return refuse(c, id, "value %u: name at %u, past the strings", i, *name);
    return 0;
}

static int check_proto(const struct check *c, uint32_t id, const struct btf_type *t)
{
    const struct btf_param *p = btf_params(t);
    unsigned vlen = btf_vlen(t);

    if (!is_plain(c, t->type))
        return refuse(c, id, "returns type %u, which cannot be returned", t->type);
    for (unsigned i = 0; i < vlen; i++) {
        if (!is_str(c, p[i].name_off))
            return refuse(c, id, "parameter %u: name at %u, past the strings", i, p[i].name_off);
        /* Type 0 in the last place stands for "...". */
        if (!is_plain(c, p[i].type) || (!p[i].type && i + 1 != vlen))
            return refuse(c, id, "parameter %u: type %u cannot be a parameter", i, p[i].type);
    }
    return 0;
}

static int check_datasec(const struct check *c, uint32_t id, const struct btf_type *t)
{
    const struct btf_secinfo *s = btf_secinfos(t);
    unsigned vlen = btf_vlen(t);

    for (unsigned i = 0; i < vlen; i++) {
        unsigned kind = s[i].type < c->btf->count ? btf_kind_of(c->btf, s[i].type) : BTF_VOID;

        if (kind != BTF_VAR && kind != BTF_FUNC)
            return refuse(c, id, "entry %u: type %u is neither variable nor function", i, s[i].type);
        if (t->size && (s[i].offset > t->size || s[i].size > t->size - s[i].offset))
            return refuse(c, id, "entry %u: %u bytes at %u lie outside of %u", i, s[i].size, s[i].offset, t->size);
    }
    return 0;
}

static int check_tag(const struct check *c, uint32_t id, const struct btf_type *t)
{
    int32_t component = *(const int32_t *)(t + 1);
    const struct btf_type *to;
    unsigned n;

    if (!t->type || t->type >= c->btf->count)
        return refuse(c, id, "tags type %u, which is not there", t->type);
    to = btf_at(c->btf, t->type);
    switch (btf_kind(to)) {
    case BTF_STRUCT:
    case BTF_UNION: n = btf_vlen(to); break;
    case BTF_FUNC:
        /* The function's prototype may come later and is checked in its own time. */
        n = to->type < c->btf->count && to->type ? btf_vlen(btf_at(c->btf, to->type)) : 0;
        break;
    case BTF_VAR:
    case BTF_TYPEDEF: n = 0; break;
    default: return refuse(c, id, "tags type %u, a %s", t->type, btf_kind_name(btf_kind(to)));
    }
    if (component < -1 || component >= (int64_t)n)
        return refuse(c, id, "tags component %d of %u", component, n);
    return 0;
}

/* What a type says by itself, and whom it names. */
static int check_type(const struct check *c, uint32_t id, const struct btf_type *t)
{
    const struct btf_array *a;

    switch (btf_kind(t)) {
    case BTF_INT: return check_int(c, id, t);
    case BTF_ARRAY:
        a = btf_array_of(t);
        if (!a->type || !is_plain(c, a->type))
            return refuse(c, id, "type %u cannot be an element", a->type);
        if (!is_plain(c, a->index_type))
            return refuse(c, id, "type %u cannot be an index", a->index_type);
        return 0;
    case BTF_STRUCT:
    case BTF_UNION: return check_members(c, id, t);
    case BTF_ENUM:
    case BTF_ENUM64: return check_enum(c, id, t);
    case BTF_FWD: return 0;
    case BTF_PTR:
    case BTF_TYPEDEF:
    case BTF_VOLATILE:
    case BTF_CONST:
    case BTF_RESTRICT:
    case BTF_TYPE_TAG:
        if (!is_plain(c, t->type))
            return refuse(c, id, "refers to type %u, which it cannot", t->type);
        return 0;
    case BTF_FUNC:
        if (!t->type || t->type >= c->btf->count || btf_kind_of(c->btf, t->type) != BTF_FUNC_PROTO)
            return refuse(c, id, "type %u is no prototype", t->type);
        return 0;
    case BTF_FUNC_PROTO: return check_proto(c, id, t);
    case BTF_VAR:
        if (!t->type || !is_plain(c, t->type))
            return refuse(c, id, "type %u cannot be a variable's", t->type);
        return 0;
    case BTF_DATASEC: return check_datasec(c, id, t);
    case BTF_FLOAT:
        if (t->size != 2 && t->size != 4 && t->size != 8 && t->size != 12 && t->size != 16)
            return refuse(c, id, "a float of %u bytes", t->size);
        return 0;
    case BTF_DECL_TAG: return check_tag(c, id, t);
    default: return refuse(c, id, "unknown kind %u", btf_kind(t));
    }
}

/* Names, references, and the sizes of what has one of its own. */
static int check(struct check *c)
{
    struct btf *btf = c->btf;

    for (uint32_t id = btf->first ? btf->first : 1; id < btf->count; id++) {
        const struct btf_type *t = btf_at(btf, id);
        const struct btf_kind_row *k = &btf_kinds[btf->kinds[id - btf->first]];
        uint32_t size = (t->size & k->size_mask) | k->size_or;
        int err;

        if (!is_str(c, t->name_off))
            return log_fail(c->log, -EINVAL, "BTF: type %u: name at %u, past the strings", id, t->name_off);
        err = check_type(c, id, t);
        if (err)
            return err;
        if (t->name_off && k->index < BTF_INDEX_COUNT)
            btf->n_named[k->index]++;
        /* An enum that is only declared. */
        if (!size && btf_kind(t) != BTF_STRUCT && btf_kind(t) != BTF_UNION)
            size = BTF_UNSIZED;
        btf->sizes[id - btf->first] = size;
        c->depth[id - btf->first] = k->depth;
    }
    return 0;
}

/* Types of the base are measured already; how deep they are is not kept, so they count as one level. */
static unsigned depth_of(const struct check *c, uint32_t id)
{
    return id < c->btf->first || !id ? 1 : c->depth[id - c->btf->first];
}

static int check_array_size(struct check *c, uint32_t id, const struct btf_array *a)
{
    uint32_t elem = btf_size_of(c->btf, a->type), size;

    if (elem == BTF_UNSIZED)
        return refuse(c, id, "its elements (type %u) have no size", a->type);
    if (__builtin_mul_overflow(elem, a->nelems, &size) || size == BTF_UNSIZED)
        return refuse(c, id, "%u elements of %u bytes are too large", a->nelems, elem);
    c->btf->sizes[id - c->btf->first] = size;
    return 0;
}

/* Bits that a member takes: a bitfield's own; before kind_flag, an INT's own bits made the field. */
static uint64_t member_width(const struct btf *btf, const struct btf_type *t, unsigned i)
{
    uint32_t bits = btf_member_bits(t, i), type = btf_members(t)[i].type;

    if (bits)
        return bits;
    if (btf_kind_of(btf, type) == BTF_INT) {
        uint32_t info = btf_int_info(btf_at(btf, type));

        return (info >> 16 & 0xff) + (info & 0xff);
    }
    return (uint64_t)btf_size_of(btf, type) * 8;
}

static int check_member_fits(struct check *c, uint32_t id, const struct btf_type *t, unsigned i)
{
    const struct btf_member *m = &btf_members(t)[i];
    uint64_t size = btf_size_of(c->btf, m->type), off = btf_member_bit_off(t, i);
    const char *name;

    /* Nearly all are whole bytes inside the struct. */
    if (off % 8 == 0 && off / 8 + size <= t->size && btf_member_bits(t, i) <= size * 8)
        return 0;
    name = btf_str(c->btf, m->name_off);
    if (size == BTF_UNSIZED)
        return refuse(c, id, "member '%.64s' (type %u) has no size", name, m->type);
    if (btf_member_bits(t, i) > size * 8)
        return refuse(c, id, "member '%.64s': %u bits of %llu bytes", name, btf_member_bits(t, i),
                      (unsigned long long)size);
    if (!btf_member_bits(t, i) && off % 8 && (btf_kflag(t) || btf_kind_of(c->btf, m->type) != BTF_INT))
        return refuse(c, id, "member '%.64s' begins at bit %llu", name, (unsigned long long)off);
    if (off + member_width(c->btf, t, i) > (uint64_t)t->size * 8)
        return refuse(c, id, "member '%.64s' ends past %u bytes", name, t->size);
    return 0;
}

/* The type that id contains as its i-th part, 0 when there are no more. */
static uint32_t part(const struct btf_type *t, unsigned i)
{
    switch (btf_kind(t)) {
    case BTF_STRUCT:
    case BTF_UNION: return i < btf_vlen(t) ? btf_members(t)[i].type : 0;
    case BTF_ARRAY: return i ? 0 : btf_array_of(t)->type;
    default: return i ? 0 : t->type;
    }
}

/* After part i of id is measured: what follows for id. */
static int absorb(struct check *c, uint32_t id, const struct btf_type *t, unsigned i, uint32_t below)
{
    switch (btf_kind(t)) {
    case BTF_STRUCT:
    case BTF_UNION: return check_member_fits(c, id, t, i);
    case BTF_ARRAY: return check_array_size(c, id, btf_array_of(t));
    default: c->btf->sizes[id - c->btf->first] = btf_size_of(c->btf, below); return 0;
    }
}

/* Measures one type and what it contains, depth first. */
static int measure(struct check *c, uint32_t root)
{
    struct {
        uint32_t id;
        unsigned next; /* part to look at */
        unsigned depth;
    } stack[BTF_MAX_DEPTH];
    unsigned n = 1;

    stack[0].id = root;
    stack[0].next = stack[0].depth = 0;
    c->depth[root - c->btf->first] = OPEN;
    while (n) {
        uint32_t id = stack[n - 1].id, below;
        const struct btf_type *t = btf_at(c->btf, id);

        while ((below = part(t, stack[n - 1].next))) {
            unsigned depth = depth_of(c, below);
            int err;

            if (!depth)
                break;
            if (depth == OPEN)
                return refuse(c, id, "contains itself");
            err = absorb(c, id, t, stack[n - 1].next, below);
            if (err)
                return err;
            if (depth > stack[n - 1].depth)
                stack[n - 1].depth = depth;
            stack[n - 1].next++;
        }
        if (stack[n - 1].depth >= BTF_MAX_DEPTH || (below && n == BTF_MAX_DEPTH))
            return refuse(c, id, "nested more than %u levels deep", BTF_MAX_DEPTH);
        if (below) {
            c->depth[below - c->btf->first] = OPEN;
            stack[n].id = below;
            stack[n].next = stack[n].depth = 0;
            n++;
        } else {
            c->depth[id - c->btf->first] = (unsigned char)(stack[n - 1].depth + 1);
            n--;
        }
    }
    return 0;
}

int btf_validate(struct btf *btf, size_t types_len, const struct log *log)
{
    struct check c = {.btf = btf, .log = log};
    uint32_t n;
    int err = walk(&c, types_len);

    if (err)
        return err;
    n = btf->count - btf->first;
    btf->sizes = malloc((n + 1) * sizeof(*btf->sizes));
    c.depth = calloc(1, n + 1);
    if (!btf->sizes || !c.depth) {
        free(c.depth);
        return log_fail(log, -ENOMEM, "BTF: out of memory");
    }
    if (!btf->base) {
        btf->sizes[0] = BTF_UNSIZED;
        c.depth[0] = 1;
    }
    err = check(&c);
    for (uint32_t i = 0; !err && i < n; i++)
        if (!c.depth[i])
            err = measure(&c, btf->first + i);
    free(c.depth);
    return err;
}
