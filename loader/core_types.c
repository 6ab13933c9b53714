/*
 * When do two types agree? Three relations of libbpf: fields (loose: what a load may still read), compat (type_exists,
 * type_size: same kind of thing) and match (type_matches: the local type is a subset of the target's).
 */
#include "loader/core_spec.h"

#include <errno.h>
#include <string.h>

enum { DEPTH = 32 };

bool core_kinds_compat(const struct btf_type *a, const struct btf_type *b)
{
    return btf_kind(a) == btf_kind(b) || (core_is_enum(a) && core_is_enum(b));
}

static const struct btf_type *skip(const struct btf *btf, uint32_t *id)
{
    *id = btf_resolve(btf, *id);
    return btf_type_at(btf, *id);
}

static bool is_signed(const struct btf_type *t)
{
    return btf_int_info(t) >> 24 & 1;
}

static uint32_t int_offset(const struct btf_type *t)
{
    return btf_int_info(t) >> 16 & 0xff;
}

static bool take_step(struct core_match *m)
{
    return m->steps && m->steps--;
}

static int protos_compat(struct core_match *m, const struct btf_type *l, const struct btf_type *t, int level)
{
    if (btf_vlen(l) != btf_vlen(t))
        return 0;
    for (unsigned i = 0; i < btf_vlen(l); i++) {
        int r;

        if (level <= 0)
            return -EINVAL;
        r = core_types_compat(m, btf_resolve(m->local, btf_params(l)[i].type),
                              btf_resolve(m->target, btf_params(t)[i].type), level - 1);
        if (r <= 0)
            return r;
    }
    return 1;
}

int core_types_compat(struct core_match *m, uint32_t local, uint32_t target, int level)
{
    /* The root's own kinds must agree before typedefs are skipped. */
    if (!core_kinds_compat(btf_type_at(m->local, local), btf_type_at(m->target, target)))
        return 0;
    for (int depth = 0; depth < DEPTH; depth++) {
        const struct btf_type *l = skip(m->local, &local), *t = skip(m->target, &target);
        int r;

        if (!take_step(m))
            return -E2BIG;
        if (!core_kinds_compat(l, t))
            return 0;
        switch (btf_kind(l)) {
        case BTF_VOID:
        case BTF_STRUCT:
        case BTF_UNION:
        case BTF_ENUM:
        case BTF_ENUM64:
        case BTF_FWD: return 1;
        case BTF_INT: return !int_offset(l) && !int_offset(t);
        case BTF_PTR:
            local = l->type;
            target = t->type;
            break;
        case BTF_ARRAY:
            local = btf_array_of(l)->type;
            target = btf_array_of(t)->type;
            break;
        case BTF_FUNC_PROTO:
            r = protos_compat(m, l, t, level);
            if (r <= 0)
                return r;
            local = l->type;
            target = t->type;
            break;
        default: return 0;
        }
    }
    return -EINVAL;
}

static bool names_match(const char *l, const char *t)
{
    size_t n = btf_essential_length(t);

    if (!n)
        return !*l;
    return btf_essential_length(l) == n && !strncmp(l, t, n);
}

static int enums_match(struct core_match *m, const struct btf_type *l, const struct btf_type *t)
{
    if (l->size != t->size || btf_vlen(l) > btf_vlen(t))
        return 0;
    for (unsigned i = 0; i < btf_vlen(l); i++) {
        const char *name = btf_str(m->local, btf_enum_name_off(l, i));
        unsigned j = 0;

        for (; j < btf_vlen(t); j++) {
            if (!take_step(m))
                return -E2BIG;
            if (names_match(name, btf_str(m->target, btf_enum_name_off(t, j))))
                break;
        }
        if (j == btf_vlen(t))
            return 0;
    }
    return 1;
}

/* Has the target a member of this name whose type matches? */
static int member_matches(struct core_match *m, const struct btf_member *l, const struct btf_type *t, bool behind_ptr,
                          int level)
{
    const char *name = btf_str(m->local, l->name_off);

    for (unsigned j = 0; j < btf_vlen(t); j++) {
        const struct btf_member *tm = &btf_members(t)[j];
        int r;

        if (!take_step(m))
            return -E2BIG;
        if (!names_match(name, btf_str(m->target, tm->name_off)))
            continue;
        r = core_types_match(m, l->type, tm->type, behind_ptr, level - 1);
        if (r)
            return r;
    }
    return 0;
}

static int composites_match(struct core_match *m, const struct btf_type *l, const struct btf_type *t, bool behind_ptr,
                            int level)
{
    if (btf_vlen(l) > btf_vlen(t))
        return 0;
    for (unsigned i = 0; i < btf_vlen(l); i++) {
        int r = member_matches(m, &btf_members(l)[i], t, behind_ptr, level);

        if (r <= 0)
            return r;
    }
    return 1;
}

/* A forward declaration's kind_flag says union. */
static bool fwd_is_for(const struct btf_type *fwd, unsigned kind)
{
    return kind == (btf_kflag(fwd) ? BTF_UNION : BTF_STRUCT);
}

static int fwd_matches(const struct btf_type *l, const struct btf_type *t, bool behind_ptr)
{
    if (btf_kind(t) == BTF_FWD)
        return btf_kflag(l) == btf_kflag(t);
    return behind_ptr && fwd_is_for(l, btf_kind(t));
}

static int struct_matches(struct core_match *m, const struct btf_type *l, const struct btf_type *t, bool behind_ptr,
                          int level)
{
    bool same = btf_kind(l) == btf_kind(t);

    if (behind_ptr)
        return same || (btf_kind(t) == BTF_FWD && fwd_is_for(t, btf_kind(l)));
    return same ? composites_match(m, l, t, behind_ptr, level) : 0;
}

static int params_match(struct core_match *m, const struct btf_type *l, const struct btf_type *t, bool behind_ptr,
                        int level)
{
    if (btf_vlen(l) != btf_vlen(t))
        return 0;
    for (unsigned i = 0; i < btf_vlen(l); i++) {
        int r = core_types_match(m, btf_params(l)[i].type, btf_params(t)[i].type, behind_ptr, level - 1);

        if (r <= 0)
            return r;
    }
    return 1;
}

int core_types_match(struct core_match *m, uint32_t local, uint32_t target, bool behind_ptr, int level)
{
    if (level <= 0)
        return -EINVAL;
    for (int depth = 0; depth < DEPTH; depth++) {
        const struct btf_type *l = skip(m->local, &local), *t = skip(m->target, &target);
        bool same = btf_kind(l) == btf_kind(t);
        int r;

        if (!take_step(m))
            return -E2BIG;
        if (!names_match(btf_str(m->local, l->name_off), btf_str(m->target, t->name_off)))
            return 0;
        switch (btf_kind(l)) {
        case BTF_VOID: return same;
        case BTF_FWD: return fwd_matches(l, t, behind_ptr);
        case BTF_ENUM:
        case BTF_ENUM64: return core_is_enum(t) ? enums_match(m, l, t) : 0;
        case BTF_STRUCT:
        case BTF_UNION: return struct_matches(m, l, t, behind_ptr, level);
        case BTF_INT: return same && l->size == t->size && is_signed(l) == is_signed(t);
        case BTF_PTR:
            if (!same)
                return 0;
            behind_ptr = true;
            local = l->type;
            target = t->type;
            break;
        case BTF_ARRAY:
            if (!same || btf_array_of(l)->nelems != btf_array_of(t)->nelems)
                return 0;
            local = btf_array_of(l)->type;
            target = btf_array_of(t)->type;
            break;
        case BTF_FUNC_PROTO:
            r = same ? params_match(m, l, t, behind_ptr, level) : 0;
            if (r <= 0)
                return r;
            local = l->type;
            target = t->type;
            break;
        default: return 0;
        }
    }
    return -EINVAL;
}
