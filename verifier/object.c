/*
 * Objects that the program allocates, and lists and trees of them: arguments and results of the kernel functions that
 * do this. A pointer to such an object either owns it (it has a reference), or a list or tree does (TRUST_BORROWED):
 * then it holds until the lock of that list or tree is given back.
 */
#include "verifier/object.h"
#include "vm/btf/btf.h"

#include <string.h>

enum { PERCPU_MAX = 512, MAX_NEST = 32 };

static bool is_object(const struct reg *r)
{
    return r->kind == REG_BTF && r->trust == TRUST_ALLOC && !(r->flags & REG_MAYBE_NULL);
}

static int64_t offset(const struct reg *r)
{
    return r->off + (int64_t)r->s.t.value;
}

static enum reason wants(struct verifier *v, const struct kcall *c, unsigned reg, const struct reg *r, const char *what)
{
    return refuse(v,
                  r->flags & REG_MAYBE_NULL && reg_is_pointer(r) ? REASON_null_check_missing : REASON_helper_argument,
                  "argument %u (r%u) of %s is a %s where %s is needed", reg, reg, c->k->name, reg_kind_name(r), what);
}

static enum reason owned(struct verifier *v, const struct kcall *c, unsigned reg, const struct reg *r, unsigned trust)
{
    if (r->kind != REG_BTF || r->trust != trust || r->flags & REG_MAYBE_NULL)
        return wants(v, c, reg, r, trust & TRUST_PERCPU ? "an object of each CPU" : "an object of the program");
    if (!r->ref)
        return refuse(v, REASON_reference_released,
                      "argument %u (r%u) of %s is an object that the program does not own", reg, reg, c->k->name);
    if (r->off || !scalar_is_const(&r->s) || r->s.t.value)
        return refuse(v, REASON_helper_argument, "argument %u (r%u) of %s is moved; it must be what was acquired", reg,
                      reg, c->k->name);
    return REASON_ok;
}

static enum reason counted(struct verifier *v, struct kcall *c, unsigned reg, const struct reg *r)
{
    const struct fields *f = reg_fields(v, r);

    if (r->kind != REG_BTF || !(r->trust & TRUST_ALLOC) || r->trust & (TRUST_UNTRUSTED | TRUST_PERCPU) ||
        r->flags & REG_MAYBE_NULL)
        return wants(v, c, reg, r, "an object of the program");
    if (!f || !(f->kinds & FIELD_BIT(REFCOUNT)))
        return refuse(v, REASON_helper_argument, "argument %u (r%u) of %s is an object without a bpf_refcount", reg,
                      reg, c->k->name);
    c->object = *r;
    return REASON_ok;
}

static enum reason root(struct verifier *v, const struct state *s, struct kcall *c, unsigned reg, const struct reg *r,
                        enum field_kind kind)
{
    const struct fields *all = reg_fields(v, r);

    if ((r->kind != REG_MAP_VALUE || r->flags & REG_MAYBE_NULL) && !is_object(r))
        return wants(v, c, reg, r, "a map value or an object of the program");
    if (is_object(r) && !r->ref)
        return refuse(v, REASON_reference_released,
                      "argument %u (r%u) of %s is an object that the program does not own", reg, reg, c->k->name);
    if (!scalar_is_const(&r->s))
        return refuse(v, REASON_special_field, "r%u is at an offset that is not constant; it must be that of the %s",
                      reg, field_name(kind));
    c->root = fields_at(all, (uint64_t)offset(r), 1u << kind);
    if (!c->root)
        return refuse(v, REASON_special_field, "there is no %s at offset %lld where r%u points", field_name(kind),
                      (long long)offset(r), reg);
    if (!lock_holds(s, r))
        return refuse(v, REASON_lock_missing, "the lock that stands beside the %s is not held", field_name(kind));
    return REASON_ok;
}

static enum reason node(struct verifier *v, const struct state *s, struct kcall *c, unsigned reg, const struct reg *r,
                        enum field_kind kind, bool fresh)
{
    bool borrowed = r->kind == REG_BTF && r->trust & TRUST_BORROWED;

    (void)s;
    if (fresh ? !is_object(r) : r->kind != REG_BTF || !(r->trust & TRUST_ALLOC) || r->flags & REG_MAYBE_NULL)
        return wants(v, c, reg, r, "an object of the program");
    if (!r->ref && (fresh || !borrowed))
        return refuse(v, REASON_reference_released,
                      "argument %u (r%u) of %s is an object that the program does not own", reg, reg, c->k->name);
    if (!fresh && object_in_less(v))
        return refuse(v, REASON_lock_held, "%s is called where nodes of a tree are compared", c->k->name);
    if (!scalar_is_const(&r->s))
        return refuse(v, REASON_special_field, "r%u is at an offset that is not constant; it must be that of the %s",
                      reg, field_name(kind));
    if (!fields_at(reg_fields(v, r), (uint64_t)offset(r), 1u << kind))
        return refuse(v, REASON_special_field, "there is no %s at offset %lld where r%u points", field_name(kind),
                      (long long)offset(r), reg);
    if (r->size != c->root->type || offset(r) != c->root->node_off)
        return refuse(v, REASON_special_field,
                      "the nodes of this root are at offset %u of struct %s; r%u points to offset %lld of struct %s",
                      c->root->node_off, c->root->type_name, reg, (long long)offset(r), btf_name(r->btf, r->size));
    if (fresh)
        c->added = r->ref;
    return REASON_ok;
}

enum reason object_argument(struct verifier *v, struct state *s, struct kcall *c, unsigned reg,
                            enum kfunc_arg_kind kind)
{
    const struct reg *r = state_reg(s, reg);

    switch (kind) {
    case KARG_LOCAL: return owned(v, c, reg, r, TRUST_ALLOC);
    case KARG_LOCAL_PERCPU: return owned(v, c, reg, r, TRUST_ALLOC | TRUST_PERCPU);
    case KARG_COUNTED: return counted(v, c, reg, r);
    case KARG_LIST_HEAD: return root(v, s, c, reg, r, FIELD_LIST_HEAD);
    case KARG_LIST_NODE: return node(v, s, c, reg, r, FIELD_LIST_NODE, true);
    case KARG_RB_ROOT: return root(v, s, c, reg, r, FIELD_RB_ROOT);
    case KARG_RB_NODE: return node(v, s, c, reg, r, FIELD_RB_NODE, false);
    case KARG_RB_NODE_NEW: return node(v, s, c, reg, r, FIELD_RB_NODE, true);
    case KARG_WQ:
        c->map = r->map;
        c->map_uid = r->map_uid;
        return field_check(v, r, reg, FIELD_WQ);
    case KARG_MAP:
        if (r->kind != REG_MAP || r->flags & REG_MAYBE_NULL)
            return wants(v, c, reg, r, "a map");
        if (c->map && (c->map != r->map || c->map_uid != r->map_uid))
            return refuse(v, REASON_special_field, "argument %u (r%u) is not the map that argument 1 is in", reg, reg);
        return REASON_ok;
    case KARG_FUNC:
        if (r->kind != REG_FUNC)
            return wants(v, c, reg, r, "a function of the program");
        c->func = r->size;
        return REASON_ok;
    default: return unsupported(v, "this kind of argument of a kernel function");
    }
}

bool object_in_less(const struct verifier *v)
{
    const struct frame *top = v->now ? state_top(v->now) : NULL;
    const struct kfunc *k = top && top->callback && v->now->n_frames > 1 ? kfunc_at(v, top->callsite) : NULL;

    return k && k->special == KFUNC_NODE_ADD;
}

/* Nothing but numbers, however nested: what each CPU may have. */
static bool is_plain(const struct btf *btf, uint32_t type, unsigned level)
{
    const struct btf_type *t = btf_type_at(btf, type);

    if (level >= MAX_NEST)
        return false;
    for (unsigned i = 0; i < btf_vlen(t); i++) {
        uint32_t m = btf_resolve(btf, btf_members(t)[i].type);
        const struct btf_type *mt = btf_type_at(btf, m);

        if (btf_kind(mt) == BTF_STRUCT || btf_kind(mt) == BTF_UNION) {
            if (!is_plain(btf, m, level + 1))
                return false;
            continue;
        }
        while (btf_kind(mt) == BTF_ARRAY)
            mt = btf_type_at(btf, btf_resolve(btf, btf_array_of(mt)->type));
        if (btf_kind(mt) != BTF_INT && btf_kind(mt) != BTF_ENUM && btf_kind(mt) != BTF_ENUM64)
            return false;
    }
    return true;
}

static enum reason fresh(struct verifier *v, const struct kcall *c, bool percpu, struct reg *out)
{
    const struct btf *btf = v->prog->btf;
    const struct btf_type *t = btf && c->constant < btf_count(btf) ? btf_type_at(btf, (uint32_t)c->constant) : NULL;

    if (!t || btf_kind(t) != BTF_STRUCT)
        return refuse(v, REASON_helper_argument, "type %llu of the program's is no struct",
                      (unsigned long long)c->constant);
    if (percpu && t->size > PERCPU_MAX)
        return refuse(v, REASON_helper_argument, "an object of each CPU has at most %d bytes, not %u", PERCPU_MAX,
                      t->size);
    if (percpu && (!is_plain(btf, (uint32_t)c->constant, 0) || fields_of(v->prog->fields, (uint32_t)c->constant)))
        return refuse(v, REASON_helper_argument, "an object of each CPU holds numbers alone; struct %s does not",
                      btf_name(btf, (uint32_t)c->constant));
    *out = (struct reg){.kind = REG_BTF,
                        .trust = (uint8_t)(TRUST_ALLOC | (percpu ? TRUST_PERCPU : 0)),
                        .size = (uint32_t)c->constant,
                        .btf = btf,
                        .s = scalar_const(0)};
    return REASON_ok;
}

enum reason object_result(struct verifier *v, const struct kcall *c, struct reg *out)
{
    const struct field *at = c->root;

    switch (c->k->special) {
    case KFUNC_OBJECT_NEW: return fresh(v, c, false, out);
    case KFUNC_OBJECT_NEW_PERCPU: return fresh(v, c, true, out);
    case KFUNC_OBJECT_SHARE:
        *out = (struct reg){
            .kind = REG_BTF, .trust = TRUST_ALLOC, .size = c->object.size, .btf = c->object.btf, .s = scalar_const(0)};
        return REASON_ok;
    default: break;
    }
    *out = (struct reg){.kind = REG_BTF,
                        .trust = TRUST_ALLOC,
                        .size = at->type,
                        .btf = v->prog->btf,
                        .off = (int32_t)at->node_off,
                        .s = scalar_const(0)};
    if (!(c->k->flags & KFUNC_ACQUIRE)) {
        out->trust |= TRUST_BORROWED;
        if (at->of && at->of->kinds & FIELD_BIT(REFCOUNT))
            out->trust |= TRUST_RCU;
    }
    return REASON_ok;
}

struct lend {
    const struct verifier *v;
    uint32_t ref;
};

static bool has_ref(const struct reg *r, const void *ctx)
{
    return r->ref && r->ref == ((const struct lend *)ctx)->ref;
}

static void lend(struct reg *r, const void *ctx)
{
    const struct fields *f = reg_fields(((const struct lend *)ctx)->v, r);

    r->ref = 0;
    r->trust |= TRUST_BORROWED;
    if (f && f->kinds & FIELD_BIT(REFCOUNT))
        r->trust |= TRUST_RCU;
}

bool object_lend(struct verifier *v, struct state *s, uint32_t ref)
{
    const struct lend l = {v, ref};

    return state_change_regs(&v->pool, s, has_ref, lend, &l) && state_drop_ref(&v->pool, s, ref);
}
