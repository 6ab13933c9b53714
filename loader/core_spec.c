/* Specs: from an access string, to a candidate's members, and as text. */
#include "loader/core_spec.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static bool is_composite(const struct btf_type *t)
{
    return btf_kind(t) == BTF_STRUCT || btf_kind(t) == BTF_UNION;
}

/* Splits "0:1:2" into raw[]. */
static int parse_indexes(const char *s, struct core_spec *spec)
{
    for (;; s++) {
        uint32_t v = 0;

        if (*s < '0' || *s > '9')
            return -EINVAL;
        for (; *s >= '0' && *s <= '9'; s++)
            if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint32_t)(*s - '0'), &v))
                return -EINVAL;
        if (v > INT32_MAX)
            return -EINVAL;
        if (spec->n_raw == CORE_SPEC_MAX)
            return -E2BIG;
        spec->raw[spec->n_raw++] = v;
        if (!*s)
            return 0;
        if (*s != ':')
            return -EINVAL;
    }
}

static struct core_accessor *add_accessor(struct core_spec *spec, uint32_t type_id, uint32_t idx, const char *name)
{
    struct core_accessor *acc = &spec->acc[spec->n_acc++];

    *acc = (struct core_accessor){.type_id = type_id, .idx = idx, .name = name};
    return acc;
}

/* Steps over idx elements of type id. */
static int add_elements(struct core_spec *spec, uint32_t id, uint32_t idx)
{
    int64_t size = btf_size(spec->btf, id);
    uint64_t bits;

    if (size < 0 || __builtin_mul_overflow((uint64_t)size * 8, idx, &bits) ||
        __builtin_add_overflow(spec->bit_off, bits, &spec->bit_off) || spec->bit_off > UINT32_MAX)
        return -EINVAL;
    return 0;
}

/* An array of no elements at a struct's end has as many as one asks for. */
static bool is_flexible(const struct core_spec *spec, const struct btf_array *a)
{
    const struct core_accessor *last = &spec->acc[spec->n_acc - 1];

    return last->name && !a->nelems && last->idx + 1 == btf_vlen(btf_type_at(spec->btf, last->type_id));
}

static int parse_member(struct core_spec *spec, const struct btf_type *t, uint32_t idx, uint32_t *id)
{
    const struct btf_member *m;

    if (idx >= btf_vlen(t))
        return -EINVAL;
    m = &btf_members(t)[idx];
    spec->bit_off += btf_member_bit_off(t, idx);
    if (m->name_off) {
        const char *name = btf_str(spec->btf, m->name_off);

        if (!*name)
            return -EINVAL;
        add_accessor(spec, *id, idx, name);
    }
    *id = m->type;
    return 0;
}

static int parse_element(struct core_spec *spec, const struct btf_type *t, uint32_t idx, uint32_t *id)
{
    const struct btf_array *a = btf_array_of(t);

    if (idx >= a->nelems && !is_flexible(spec, a))
        return -EINVAL;
    *id = btf_resolve(spec->btf, a->type);
    add_accessor(spec, *id, idx, NULL);
    return add_elements(spec, *id, idx);
}

static int parse_field(struct core_spec *spec, uint32_t id)
{
    int err;

    add_accessor(spec, id, spec->raw[0], NULL);
    err = add_elements(spec, id, spec->raw[0]);
    for (uint32_t i = 1; !err && i < spec->n_raw; i++) {
        const struct btf_type *t = btf_type_at(spec->btf, id = btf_resolve(spec->btf, id));

        if (is_composite(t))
            err = parse_member(spec, t, spec->raw[i], &id);
        else if (btf_kind(t) == BTF_ARRAY)
            err = parse_element(spec, t, spec->raw[i], &id);
        else
            err = -EINVAL;
    }
    return err;
}

int core_spec_parse(const struct btf *btf, const struct core_relo *relo, struct core_spec *spec)
{
    uint32_t id = btf_resolve(btf, relo->type_id);
    const struct btf_type *t = btf_type_at(btf, id);
    int err;

    *spec = (struct core_spec){.btf = btf, .root = relo->type_id, .kind = relo->kind};
    if (!btf_type_at(btf, relo->type_id))
        return -EINVAL;
    if (core_is_type(relo->kind))
        return strcmp(relo->access, "0") ? -EINVAL : 0;
    err = parse_indexes(relo->access, spec);
    if (err)
        return err;
    if (!core_is_enumval(relo->kind))
        return parse_field(spec, id);
    if (!core_is_enum(t) || spec->n_raw > 1 || spec->raw[0] >= btf_vlen(t))
        return -EINVAL;
    add_accessor(spec, id, spec->raw[0], btf_str(btf, btf_enum_name_off(t, spec->raw[0])));
    return 0;
}

static int miss(struct core_match *m, int what, uint32_t type_id, const char *name, uint32_t idx)
{
    m->miss = (struct core_miss){.what = what, .type_id = type_id, .name = name, .idx = idx};
    return 0;
}

/* May a load of the local field read the target's? Structs and unions mix; pointers are alike; integers are, whatever
 * their size and sign; enums and forward declarations go by name. */
static bool fields_compat(struct core_match *m, uint32_t local, uint32_t target)
{
    for (;;) {
        const struct btf_type *l = btf_type_at(m->local, local = btf_resolve(m->local, local));
        const struct btf_type *t = btf_type_at(m->target, target = btf_resolve(m->target, target));
        const char *ln = btf_str(m->local, l->name_off), *tn = btf_str(m->target, t->name_off);
        size_t n = btf_essential_length(ln);

        if (is_composite(l) && is_composite(t))
            return true;
        if (!core_kinds_compat(l, t))
            return false;
        switch (btf_kind(l)) {
        case BTF_PTR:
        case BTF_FLOAT: return true;
        case BTF_FWD:
        case BTF_ENUM:
        case BTF_ENUM64: return !n || !*tn || (n == btf_essential_length(tn) && !strncmp(ln, tn, n));
        case BTF_INT: return !(btf_int_info(l) >> 16 & 0xff) && !(btf_int_info(t) >> 16 & 0xff);
        case BTF_ARRAY:
            local = btf_array_of(l)->type;
            target = btf_array_of(t)->type;
            break;
        default: return false;
        }
    }
}

/* Looks for the member that acc names in the target's type *id and in its anonymous members. On success the path is in
 * found and *id is the member's type; otherwise found is as it was. */
static int match_member(struct core_match *m, const struct core_spec *local, const struct core_accessor *acc,
                        struct core_spec *found, uint32_t *id)
{
    uint32_t in = btf_resolve(m->target, *id), n_raw = found->n_raw;
    const struct btf_type *t = btf_type_at(m->target, in);
    uint64_t bit_off = found->bit_off;

    if (!is_composite(t))
        return 0;
    for (unsigned i = 0; i < btf_vlen(t); i++) {
        const struct btf_member *tm = &btf_members(t)[i];
        const char *name = btf_str(m->target, tm->name_off);

        if (!m->steps || found->n_raw == CORE_SPEC_MAX)
            return -E2BIG;
        m->steps--;
        found->bit_off = bit_off + btf_member_bit_off(t, i);
        found->raw[n_raw] = i;
        found->n_raw = n_raw + 1;
        if (!*name) {
            uint32_t inner = tm->type;
            int r = match_member(m, local, acc, found, &inner);

            if (r) {
                *id = inner;
                return r;
            }
            /* It was there, but of another type: no other member has the name. */
            if (m->miss.what == CORE_MISS_TYPE)
                break;
        } else if (!strcmp(name, acc->name)) {
            const struct btf_type *lt = btf_type_at(local->btf, acc->type_id);

            if (!fields_compat(m, btf_members(lt)[acc->idx].type, tm->type)) {
                miss(m, CORE_MISS_TYPE, in, acc->name, 0);
                break;
            }
            add_accessor(found, in, i, name);
            *id = tm->type;
            return 1;
        }
    }
    found->bit_off = bit_off;
    found->n_raw = n_raw;
    return 0;
}

static int match_index(struct core_match *m, const struct core_accessor *acc, bool first, struct core_spec *found,
                       uint32_t *id)
{
    const struct btf_type *t = btf_type_at(m->target, *id);

    /* The first index is a pointer's; later ones need an array. */
    if (!first) {
        if (btf_kind(t) != BTF_ARRAY)
            return miss(m, CORE_MISS_KIND, *id, NULL, acc->idx);
        if (acc->idx >= btf_array_of(t)->nelems && !is_flexible(found, btf_array_of(t)))
            return miss(m, CORE_MISS_INDEX, *id, NULL, acc->idx);
        *id = btf_resolve(m->target, btf_array_of(t)->type);
    }
    if (found->n_raw == CORE_SPEC_MAX)
        return -E2BIG;
    add_accessor(found, *id, acc->idx, NULL);
    found->raw[found->n_raw++] = acc->idx;
    return add_elements(found, *id, acc->idx) ? -EINVAL : 1;
}

static int match_field(struct core_match *m, const struct core_spec *local, uint32_t id, struct core_spec *found)
{
    for (uint32_t i = 0; i < local->n_acc; i++) {
        const struct core_accessor *acc = &local->acc[i];
        int r;

        id = btf_resolve(m->target, id);
        m->miss.what = CORE_MISS_NONE;
        if (found->n_acc == CORE_SPEC_MAX)
            return -E2BIG;
        r = acc->name ? match_member(m, local, acc, found, &id) : match_index(m, acc, !i, found, &id);
        if (!r && m->miss.what == CORE_MISS_NONE)
            miss(m, CORE_MISS_MEMBER, id, acc->name, 0);
        if (r <= 0)
            return r;
    }
    return 1;
}

static int match_enumval(struct core_match *m, const struct core_spec *local, uint32_t id, struct core_spec *found)
{
    const char *name = local->acc[0].name;
    const struct btf_type *t = btf_type_at(m->target, id = btf_resolve(m->target, id));
    size_t n = btf_essential_length(name);

    if (!core_is_enum(t))
        return miss(m, CORE_MISS_KIND, id, name, 0);
    for (unsigned i = 0; i < btf_vlen(t); i++) {
        const char *tn = btf_str(m->target, btf_enum_name_off(t, i));

        if (!m->steps)
            return -E2BIG;
        m->steps--;
        if (btf_essential_length(tn) == n && !strncmp(tn, name, n)) {
            add_accessor(found, id, i, tn);
            found->raw[found->n_raw++] = i;
            return 1;
        }
    }
    return miss(m, CORE_MISS_VALUE, id, name, 0);
}

int core_spec_match(struct core_match *m, const struct core_spec *local, uint32_t id, struct core_spec *found)
{
    int r;

    *found = (struct core_spec){.btf = m->target, .root = id, .kind = local->kind};
    if (core_is_enumval(local->kind))
        return match_enumval(m, local, id, found);
    if (!core_is_type(local->kind))
        return match_field(m, local, id, found);
    r = local->kind == CORE_TYPE_MATCHES ? core_types_match(m, local->root, id, false, 32)
                                         : core_types_compat(m, local->root, id, 32);
    if (!r)
        miss(m, CORE_MISS_KIND, id, NULL, 0);
    return r;
}

static void enumval_text(const struct core_spec *spec, struct buf *out)
{
    const struct btf_type *t = btf_type_at(spec->btf, btf_resolve(spec->btf, spec->root));
    uint64_t v = btf_enum_value(t, spec->raw[0]);

    /* Unsigned values of 32 bits are sign-extended by the relocation, but nobody wants to read them so. */
    if (btf_kind(t) == BTF_ENUM && !btf_kflag(t))
        v = (uint32_t)v;
    buf_printf(out, btf_kflag(t) ? "::%s = %" PRId64 : "::%s = %" PRIu64,
               btf_str(spec->btf, btf_enum_name_off(t, spec->raw[0])), v);
}

void core_spec_text(const struct core_spec *spec, struct buf *out)
{
    btf_type_text(spec->btf, spec->root, out);
    if (core_is_type(spec->kind))
        return;
    if (core_is_enumval(spec->kind)) {
        if (spec->n_acc)
            enumval_text(spec, out);
        return;
    }
    for (uint32_t i = 0; i < spec->n_acc; i++) {
        if (spec->acc[i].name)
            buf_printf(out, ".%s", spec->acc[i].name);
        else if (i || spec->acc[i].idx)
            buf_printf(out, "[%u]", spec->acc[i].idx);
    }
    for (uint32_t i = 0; i < spec->n_raw; i++)
        buf_printf(out, i ? ":%u" : " (%u", spec->raw[i]);
    buf_printf(out, " @ offset %" PRIu64, spec->bit_off / 8);
    if (spec->bit_off % 8)
        buf_printf(out, ".%" PRIu64, spec->bit_off % 8);
    buf_putc(out, ')');
}
