/*
 * Pointers to kernel objects: a type of the target and how far it is to be believed. An access walks the type: through
 * nested structs and arrays to the member that it touches, which must hold it. What is loaded is a number, or a pointer
 * whose trust follows from the pointer it came from, from the member, and from where the program stands, by Linux's
 * rules (btf_struct_walk() and check_ptr_to_btf_access()). Which members keep trust, the kernel says by types of its
 * own: `struct task_struct__safe_rcu` lists those of task_struct.
 */
#include "verifier/verifier.h"
#include "vm/abi/policy.h"
#include "vm/btf/btf.h"

#include <stdio.h>
#include <string.h>

enum walk_end { WALK_REFUSED, WALK_NUMBER, WALK_OBJECT /* pointer to a struct */, WALK_DATA /* any other pointer */ };

struct walk {
    const struct btf *btf;
    uint32_t type; /* where the walk is; then what a pointer points to */
    int64_t off;
    uint32_t size;
    unsigned trust;    /* that the members brought along */
    const char *field; /* of a pointer */
    char why[160];
};

static bool is_struct(const struct btf_type *t)
{
    return btf_kind(t) == BTF_STRUCT || btf_kind(t) == BTF_UNION;
}

static enum walk_end refused(struct walk *w, const char *what)
{
    snprintf(w->why, sizeof(w->why), "%u byte%s at offset %lld of struct %.64s: %s", w->size, w->size == 1 ? "" : "s",
             (long long)w->off, btf_name(w->btf, w->type), what);
    return WALK_REFUSED;
}

/* Arrays of arrays as one. *n: elements. */
static uint32_t flatten(const struct btf *btf, uint32_t type, uint64_t *n)
{
    const struct btf_type *t;

    *n = 1;
    for (;;) {
        type = btf_resolve(btf, type);
        t = btf_type_at(btf, type);
        if (btf_kind(t) != BTF_ARRAY)
            return type;
        *n *= btf_array_of(t)->nelems;
        type = btf_array_of(t)->type;
    }
}

/* The elements of an array without a size at the end may be beyond it. Steps into one. */
static bool into_flexible(struct walk *w, const struct btf_type *t, bool *number)
{
    const struct btf_type *last, *elem;
    uint32_t off, type;

    if (!btf_vlen(t))
        return false;
    last = btf_type_at(w->btf, btf_resolve(w->btf, btf_members(t)[btf_vlen(t) - 1].type));
    if (btf_kind(last) != BTF_ARRAY || btf_array_of(last)->nelems)
        return false;
    off = btf_member_bit_off(t, btf_vlen(t) - 1) / 8;
    if (w->off < off)
        return false;
    type = btf_resolve(w->btf, btf_array_of(last)->type);
    elem = btf_type_at(w->btf, type);
    *number = btf_kind(elem) == BTF_INT;
    if (*number)
        return true;
    if (!is_struct(elem) || !elem->size)
        return false;
    w->type = type;
    w->off = (w->off - off) % elem->size;
    return true;
}

static unsigned tag_trust(const struct btf *btf, uint32_t type)
{
    const struct btf_type *t = btf_type_at(btf, type);
    const char *tag = btf_kind(t) == BTF_TYPE_TAG && !btf_kflag(t) ? btf_str(btf, t->name_off) : "";

    return !strcmp(tag, "user")     ? TRUST_USER
           : !strcmp(tag, "percpu") ? TRUST_PERCPU
           : !strcmp(tag, "rcu")    ? TRUST_RCU
                                    : 0;
}

static enum walk_end at_pointer(struct walk *w, const struct btf_type *t, const char *name, uint64_t size, int64_t moff)
{
    uint32_t to = btf_resolve(w->btf, t->type);

    if (size != w->size || w->off != moff)
        return refused(w, "a part of a pointer");
    if (!is_struct(btf_type_at(w->btf, to)))
        return WALK_DATA;
    w->trust |= tag_trust(w->btf, t->type);
    w->type = to;
    w->field = name;
    return WALK_OBJECT;
}

/* One struct: the member at w->off. @return true: *end says how it ended; false: w is one struct further in. */
static bool walk_struct(struct walk *w, enum walk_end *end)
{
    const struct btf_type *t = btf_type_at(w->btf, w->type);
    bool number;

    if (btf_kind(t) == BTF_UNION && btf_vlen(t) != 1)
        w->trust |= TRUST_UNTRUSTED;
    if (w->off + (int64_t)w->size > (int64_t)t->size) {
        if (!into_flexible(w, t, &number))
            return *end = refused(w, "past its end"), true;
        return *end = WALK_NUMBER, number;
    }
    for (unsigned i = 0; i < btf_vlen(t); i++) {
        const struct btf_member *m = &btf_members(t)[i];
        uint32_t bits = btf_member_bits(t, i), bit = btf_member_bit_off(t, i), type;
        int64_t moff = bit / 8, size, whole;
        const struct btf_type *mt;
        uint64_t n;

        if (w->off + w->size <= moff)
            break;
        if (bits) {
            if (w->off <= moff && (bit + bits + 7) / 8 <= w->off + w->size)
                return *end = WALK_NUMBER, true;
            continue;
        }
        if (w->off < moff)
            break;
        type = flatten(w->btf, m->type, &n);
        size = btf_size(w->btf, type);
        if (size < 0)
            return *end = refused(w, "a member without a size"), true;
        whole = (int64_t)((uint64_t)size * n);
        if (w->off >= moff + whole)
            continue;
        if (n != 1)
            moff += (w->off - moff) / size * size;
        mt = btf_type_at(w->btf, type);
        if (is_struct(mt)) {
            w->type = type;
            w->off -= moff;
            return false;
        }
        if (btf_kind(mt) == BTF_PTR)
            return *end = at_pointer(w, mt, btf_str(w->btf, m->name_off), (uint64_t)size, moff), true;
        if (w->off + w->size > btf_member_bit_off(t, i) / 8 + whole && !(w->trust & TRUST_UNTRUSTED))
            return *end = refused(w, "past the end of a member"), true;
        return *end = WALK_NUMBER, true;
    }
    return *end = refused(w, "no member stands there"), true;
}

static enum walk_end walk(struct walk *w)
{
    enum walk_end end;

    while (!walk_struct(w, &end))
        ;
    return end;
}

bool btf_ptr_trusted(const struct reg *r)
{
    if (r->ref || (reg_is_socket(r) && r->kind != REG_XDP_SOCK))
        return true;
    return r->trust & (TRUST_TRUSTED | TRUST_ALLOC | TRUST_BORROWED) &&
           !(r->trust & ~(TRUST_TRUSTED | TRUST_ALLOC | TRUST_BORROWED)) && !(r->flags & REG_MAYBE_NULL);
}

bool in_rcu_section(const struct verifier *v, const struct state *s)
{
    return s->rcu || s->locked || !sleeps_here(v, s);
}

bool sleeps_here(const struct verifier *v, const struct state *s)
{
    return v->prog->sleepable || s->sleeps;
}

uint32_t btf_kernel_type(const struct verifier *v, const char *name)
{
    const struct btf *btf = v->prog->kernel_btf;
    uint32_t id = btf ? btf_find(btf, name, BTF_STRUCT) : 0;

    return id || !btf ? id : btf_find(btf, name, BTF_UNION);
}

struct reg btf_ptr_reg(struct verifier *v, const char *type, unsigned trust)
{
    return (struct reg){.kind = REG_BTF,
                        .trust = (uint8_t)trust,
                        .size = btf_kernel_type(v, type),
                        .btf = v->prog->kernel_btf,
                        .s = scalar_const(0)};
}

static const char *socket_type(const struct reg *r)
{
    switch (r->kind) {
    case REG_SOCK_COMMON: return "sock_common";
    case REG_SOCKET: return "sock";
    case REG_TCP_SOCK: return "tcp_sock";
    default: return "xdp_sock";
    }
}

bool btf_ptr_is(struct verifier *v, const struct reg *r, const char *type, bool strict)
{
    uint32_t wanted = btf_kernel_type(v, type), id = r->kind == REG_BTF ? r->size : btf_kernel_type(v, socket_type(r));
    const struct btf *btf = v->prog->kernel_btf;
    int64_t off = r->kind == REG_BTF ? r->off : 0;

    if (!btf || !wanted || !id || (r->kind == REG_BTF && r->btf != btf))
        return false;
    if (off == 0 && id == wanted)
        return true;
    if (strict)
        return false;
    /* What begins with such an object is one. */
    for (;;) {
        struct walk w = {.btf = btf, .type = id, .off = off, .size = 1};
        enum walk_end end;

        do {
            if (walk_struct(&w, &end))
                return false;
        } while (w.off);
        if (w.type == wanted)
            return true;
        id = w.type;
        off = 0;
    }
}

enum reason btf_ptr_takes(struct verifier *v, const char *type, const char *callee, unsigned reg, const struct reg *r,
                          bool or_null)
{
    if (!type || !btf_kernel_type(v, type))
        return unsupported(v, "kernel objects without the target's types");
    if (reg_is_pointer(r) && r->flags & REG_MAYBE_NULL && !or_null)
        return refuse(v, REASON_null_check_missing, "argument %u (r%u) is a %s where a pointer to struct %s is needed",
                      reg, reg, reg_kind_name(r), type);
    if (r->kind != REG_BTF)
        return refuse(v, REASON_helper_argument, "argument %u (r%u) is a %s where a pointer to struct %s is needed",
                      reg, reg, reg_kind_name(r), type);
    if (r->trust && r->trust != TRUST_TRUSTED && r->trust != TRUST_RCU)
        return refuse(v, REASON_untrusted_pointer, "argument %u (r%u) of %s is a pointer that is not to be trusted",
                      reg, reg, callee);
    if (!scalar_is_const(&r->s) || r->s.t.value || r->off < 0)
        return refuse(v, REASON_pointer_arithmetic, "argument %u (r%u) is moved by what is not constant", reg, reg);
    if (!btf_ptr_is(v, r, type, false))
        return refuse(v, REASON_helper_argument, "argument %u (r%u) points to a struct %s where a struct %s is needed",
                      reg, reg, btf_name(r->btf, r->size), type);
    return REASON_ok;
}

enum reason btf_ptr_argument(struct verifier *v, const struct helper *h, unsigned reg, const struct reg *r,
                             bool or_null)
{
    char callee[64];

    snprintf(callee, sizeof(callee), "bpf_%s", h->name);
    return btf_ptr_takes(v, helper_kernel_type(h, reg), callee, reg, r, or_null);
}

/* Objects of the program are its own to write, but for what must be exchanged or linked. */
static enum reason object_check(struct verifier *v, const struct reg *base, const struct access *a, struct walk *w)
{
    enum reason reason = field_check_access(v, base, a);

    if (reason)
        return reason;
    if (a->helper)
        return refuse(v, REASON_helper_argument, "r%u points to an object, which is no memory for helpers", a->reg);
    if (base->trust & TRUST_UNTRUSTED)
        return refuse(v, REASON_untrusted_pointer, "r%u points to an object that may be gone", a->reg);
    return walk(w) == WALK_REFUSED ? refuse(v, REASON_kernel_field, "%s", w->why) : REASON_ok;
}

enum reason btf_ptr_check(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a)
{
    struct walk w = {.btf = base->btf, .type = base->size, .off = base->off + a->off, .size = a->size};
    enum reason reason;

    (void)s;
    if (!v->privileged)
        return refuse(v, REASON_unprivileged, "unprivileged programs may not look into kernel objects");
    if (base->btf == v->prog->kernel_btf && !is_gpl_compatible(v->prog->license))
        return refuse(v, REASON_helper_gpl, "kernel objects are for GPL-compatible programs; the license is \"%s\"",
                      v->prog->license);
    if (w.off < 0)
        return refuse(v, REASON_mem_out_of_bounds, "the offset into struct %s is negative: %lld",
                      btf_name(base->btf, base->size), (long long)w.off);
    if (!scalar_is_const(&base->s) || base->s.t.value)
        return refuse(v, REASON_mem_out_of_bounds, "the offset into struct %s is not constant",
                      btf_name(base->btf, base->size));
    if (base->trust & (TRUST_USER | TRUST_PERCPU))
        return refuse(v, REASON_untrusted_pointer, "r%u is %s, which is not to be read directly", a->reg,
                      base->trust & TRUST_USER ? "an address of user space" : "a pointer to each CPU's own memory");
    if (base->trust & TRUST_ALLOC)
        return object_check(v, base, a, &w);
    if (a->write && (reason = struct_ops_store(v, base, w.off, w.size)))
        return reason;
    if (a->atomic) /* no probe */
        v->wants_checks = true;
    if (walk(&w) == WALK_REFUSED)
        return refuse(v, REASON_kernel_field, "%s", w.why);
    return REASON_ok;
}

/* Does the kernel list this member of the base's type, of this type, under this suffix? */
static bool is_listed(const struct reg *base, const struct walk *w, const char *suffix)
{
    char name[128];
    const struct btf_type *t = btf_type_at(base->btf, base->size);
    uint32_t id;

    snprintf(name, sizeof(name), "%s%s", btf_name(base->btf, base->size), suffix);
    id = btf_find(base->btf, name, btf_kind(t));
    t = id ? btf_type_at(base->btf, id) : NULL;
    for (unsigned i = 0; t && i < btf_vlen(t); i++) {
        const struct btf_member *m = &btf_members(t)[i];
        const struct btf_type *mt = btf_type_at(base->btf, m->type);

        if (btf_kind(mt) == BTF_PTR && btf_resolve(base->btf, mt->type) == w->type &&
            !strcmp(btf_str(base->btf, m->name_off), w->field))
            return true;
    }
    return false;
}

enum { NULLABLE = 1 << 8 /* beside enum reg_trust */ };

/* What the kernel's own lists make of a pointer loaded through one that is trusted or protected by RCU. */
static unsigned inherit(const struct verifier *v, const struct state *s, const struct reg *base, const struct walk *w)
{
    bool or_null;

    if (is_listed(base, w, "__safe_trusted"))
        return w->trust | TRUST_TRUSTED;
    if (is_listed(base, w, "__safe_trusted_or_null"))
        return w->trust | TRUST_TRUSTED | NULLABLE;
    if (!in_rcu_section(v, s) || base->flags & REG_MAYBE_NULL)
        return TRUST_UNTRUSTED;
    if (is_listed(base, w, "__safe_rcu"))
        return w->trust | TRUST_RCU;
    or_null = is_listed(base, w, "__safe_rcu_or_null");
    if (w->trust & TRUST_RCU || or_null)
        return ((w->trust | TRUST_RCU) & (or_null ? ~(unsigned)TRUST_UNTRUSTED : ~0u)) | NULLABLE;
    if (w->trust & (TRUST_PERCPU | TRUST_USER))
        return w->trust;
    return w->trust & ~(unsigned)(TRUST_TRUSTED | TRUST_RCU);
}

struct reg btf_ptr_value(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a)
{
    struct walk w = {.btf = base->btf, .type = base->size, .off = base->off + a->off, .size = a->size};
    enum walk_end end = walk(&w);
    struct reg out = {.kind = REG_BTF, .btf = base->btf, .s = scalar_const(0)};
    unsigned trust;

    if (base->trust & TRUST_ALLOC) /* what stands in an object is numbers, whatever it was */
        return reg_unknown();
    if (end == WALK_DATA)
        return (struct reg){.kind = REG_MEM, .flags = REG_READ_ONLY, .trust = TRUST_UNTRUSTED, .s = scalar_const(0)};
    if (end != WALK_OBJECT)
        return reg_unknown();
    if (base->trust & TRUST_UNTRUSTED)
        trust = TRUST_UNTRUSTED;
    else if (btf_ptr_trusted(base) || base->trust & TRUST_RCU)
        trust = inherit(v, s, base, &w);
    else
        trust = w.trust & ~(unsigned)(TRUST_TRUSTED | TRUST_RCU);
    out.size = w.type;
    out.trust = (uint8_t)trust;
    if (trust & NULLABLE) {
        out.flags |= REG_MAYBE_NULL;
        out.id = ++v->next_id;
    }
    return out;
}

/* ---- Maps ---- */

static uint32_t map_type(const struct verifier *v, const struct reg *base)
{
    const char *name = policy_map_struct(base->map->type);

    return name ? btf_kernel_type(v, name) : 0;
}

enum reason btf_ptr_check_map(struct verifier *v, const struct reg *base, const struct access *a)
{
    struct walk w = {.btf = v->prog->kernel_btf, .off = base->off + a->off, .size = a->size};

    if (!w.btf)
        return unsupported(v, "fields of struct bpf_map without the target's types");
    w.type = map_type(v, base);
    if (!w.type)
        return refuse(v, REASON_kernel_field, "map '%s' is of a type that programs do not look at", base->map->name);
    if (!v->privileged)
        return refuse(v, REASON_unprivileged, "unprivileged programs may not look into maps");
    if (w.off < 0)
        return refuse(v, REASON_mem_out_of_bounds, "the offset into a map is negative: %lld", (long long)w.off);
    if (walk(&w) == WALK_REFUSED)
        return refuse(v, REASON_kernel_field, "%s", w.why);
    return REASON_ok;
}

struct reg btf_ptr_map_value(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a)
{
    const struct reg object = {
        .kind = REG_BTF, .btf = v->prog->kernel_btf, .size = map_type(v, base), .off = base->off, .s = base->s};

    return btf_ptr_value(v, s, &object, a);
}

/* ---- Variables ---- */

static bool is_percpu(const struct btf *btf, uint32_t var)
{
    uint32_t id = btf_find(btf, ".data..percpu", BTF_DATASEC);
    const struct btf_type *t = id ? btf_type_at(btf, id) : NULL;

    for (unsigned i = 0; t && i < btf_vlen(t); i++)
        if (btf_secinfos(t)[i].type == var)
            return true;
    return false;
}

/* Memory of the kernel that is no struct. */
static struct reg memory_of(int64_t size)
{
    return (struct reg){
        .kind = REG_MEM, .flags = REG_READ_ONLY, .trust = TRUST_TRUSTED, .size = (uint32_t)size, .s = scalar_const(0)};
}

enum reason btf_ptr_variable(struct verifier *v, const struct prog_ksym *sym, struct reg *out)
{
    const struct btf *btf = v->prog->kernel_btf;
    const struct btf_type *var = btf ? btf_type_at(btf, sym->btf_id) : NULL;

    if (!var || btf_kind(var) != BTF_VAR)
        return unsupported(v, "kernel variables without the target's types");
    if (is_percpu(btf, sym->btf_id)) {
        *out =
            (struct reg){.kind = REG_BTF, .trust = TRUST_PERCPU, .btf = btf, .size = var->type, .s = scalar_const(0)};
    } else if (btf_kind(btf_type_at(btf, btf_resolve(btf, var->type))) == BTF_STRUCT) {
        *out = (struct reg){.kind = REG_BTF, .btf = btf, .size = btf_resolve(btf, var->type), .s = scalar_const(0)};
    } else {
        if (btf_size(btf, var->type) < 0)
            return refuse(v, REASON_kernel_field, "the kernel's variable '%s' has no size", sym->name);
        *out = memory_of(btf_size(btf, var->type));
    }
    out->off = sym->off;
    return REASON_ok;
}

struct reg btf_ptr_of_cpu(const struct reg *variable)
{
    uint32_t type = btf_resolve(variable->btf, variable->size);
    int64_t size = btf_size(variable->btf, type);

    if (btf_kind(btf_type_at(variable->btf, type)) == BTF_STRUCT)
        return (struct reg){.kind = REG_BTF, .btf = variable->btf, .size = type, .s = scalar_const(0)};
    return memory_of(size < 0 ? 0 : size);
}
