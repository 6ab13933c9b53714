/*
 * Special fields (vm/fields.h) of map values and of objects that the program allocated, as the verifier sees them: what
 * may be touched of them directly, which of them a helper's argument names, locks, and pointers to objects (kptrs).
 *
 * A lock is known by the value or object that it stands in: its id, and the map or the types that it is of. Values that
 * are named without a lookup have the id 0, since their map has no other.
 */
#include "verifier/verifier.h"
#include "vm/btf/btf.h"

#include <string.h>

const struct fields *reg_fields(const struct verifier *v, const struct reg *r)
{
    if (r->kind == REG_MAP_VALUE)
        return r->map->fields;
    if (r->kind == REG_BTF && r->trust & TRUST_ALLOC && r->btf == v->prog->btf)
        return fields_of(v->prog->fields, r->size);
    return NULL;
}

bool reg_has_lock(const struct verifier *v, const struct reg *r)
{
    const struct fields *f = reg_fields(v, r);

    return (f && f->kinds & FIELD_LOCKS) || (r->kind == REG_MAP_VALUE && r->map->spin_lock_off >= 0);
}

static const char *owner(const struct reg *r)
{
    return r->kind == REG_MAP_VALUE ? r->map->name : btf_name(r->btf, r->size);
}

static enum reason constant(struct verifier *v, const struct reg *r, unsigned reg, const char *what)
{
    if (scalar_is_const(&r->s))
        return REASON_ok;
    return refuse(v, REASON_special_field, "r%u is at an offset that is not constant; it must be that of the %s", reg,
                  what);
}

static int64_t offset(const struct reg *r)
{
    return r->off + (int64_t)r->s.t.value;
}

enum reason field_check(struct verifier *v, const struct reg *r, unsigned reg, enum field_kind kind)
{
    const struct field *f;
    enum reason reason;

    if (r->kind != REG_MAP_VALUE || r->flags & REG_MAYBE_NULL)
        return refuse(v, r->flags & REG_MAYBE_NULL ? REASON_null_check_missing : REASON_helper_argument,
                      "argument %u (r%u) is a %s where a struct %s in a map value is needed", reg, reg,
                      reg_kind_name(r), field_name(kind));
    reason = constant(v, r, reg, field_name(kind));
    if (reason)
        return reason;
    f = fields_the(r->map->fields, kind);
    if (!f)
        return refuse(v, REASON_special_field, "map '%s' has no struct %s in its value", r->map->name,
                      field_name(kind));
    if (offset(r) != f->off)
        return refuse(v, REASON_special_field, "r%u points to offset %lld of the value; the struct %s is at %u", reg,
                      (long long)offset(r), field_name(kind), f->off);
    return REASON_ok;
}

/* Locks. */

enum reason lock_check(struct verifier *v, const struct reg *r, unsigned reg, enum field_kind kind)
{
    bool object = r->kind == REG_BTF && r->trust == TRUST_ALLOC;
    const struct field *f;
    int64_t at;

    if ((r->kind != REG_MAP_VALUE && !object) || r->flags & REG_MAYBE_NULL)
        return refuse(v, r->flags & REG_MAYBE_NULL ? REASON_null_check_missing : REASON_helper_argument,
                      "argument %u (r%u) is a %s where a struct %s in a map value or an object is needed", reg, reg,
                      reg_kind_name(r), field_name(kind));
    if (!scalar_is_const(&r->s))
        return refuse(v, REASON_lock_misused, "r%u is at an offset that is not constant", reg);
    f = fields_the(reg_fields(v, r), kind);
    at = f ? (int64_t)f->off : r->kind == REG_MAP_VALUE && kind == FIELD_SPIN_LOCK ? r->map->spin_lock_off : -1;
    if (at < 0)
        return refuse(v, REASON_lock_misused, "%s '%s' has no struct %s%s", object ? "struct" : "map", owner(r),
                      field_name(kind), object ? "" : " in its value");
    if (offset(r) != at)
        return refuse(v, REASON_lock_misused, "r%u points to offset %lld of the value; the lock is at %lld", reg,
                      (long long)offset(r), (long long)at);
    if (object_in_less(v))
        return refuse(v, REASON_lock_misused, "no lock is taken or given back where nodes of a tree are compared");
    return REASON_ok;
}

static const void *lock_owner(const struct reg *r)
{
    return r->kind == REG_MAP_VALUE ? (const void *)r->map : r->btf;
}

static bool is_borrowed(const struct reg *r, const void *ctx)
{
    (void)ctx;
    return r->kind == REG_BTF && r->trust & TRUST_BORROWED;
}

/* What the list or tree owns may be freed by others from now on. */
static void forget(struct reg *r, const void *ctx)
{
    *r = ((const struct verifier *)ctx)->privileged ? reg_unknown() : (struct reg){.kind = REG_NONE};
}

enum reason lock_step(struct verifier *v, struct state *s, const struct reg *r, bool lock)
{
    if (lock) {
        if (s->locked)
            return refuse(v, REASON_lock_misused, "a lock is taken while another is held");
        s->locked = true;
        s->lock_id = r->id;
        s->lock_of = lock_owner(r);
        return REASON_ok;
    }
    if (!s->locked)
        return refuse(v, REASON_lock_misused, "unlock without a lock held");
    if (!lock_holds(s, r))
        return refuse(v, REASON_lock_misused, "the lock that is held is another one");
    s->locked = false;
    s->lock_id = 0;
    s->lock_of = NULL;
    return state_change_regs(&v->pool, s, is_borrowed, forget, v) ? REASON_ok : REASON_out_of_memory;
}

bool lock_holds(const struct state *s, const struct reg *r)
{
    return s->locked && s->lock_id == r->id && s->lock_of == lock_owner(r);
}

/* Pointers to objects. */

/* Which types of the kernel may be looked at under RCU alone, and which a field may own: Linux knows how to release
 * these. */
static const struct {
    const char *name;
    bool rcu;
} kernel_types[] = {
    {"task_struct", true},       {"cgroup", true},
    {"bpf_cpumask", true},       {"bpf_crypto_ctx", true},
    {"prog_test_member", false}, {"prog_test_ref_kfunc", false},
};

static bool is_kernels(const struct verifier *v, const struct field *f)
{
    return btf_kernel_type(v, f->type_name) != 0;
}

static bool known_type(const struct field *f, bool rcu)
{
    for (unsigned i = 0; i < sizeof(kernel_types) / sizeof(kernel_types[0]); i++)
        if (!strcmp(kernel_types[i].name, f->type_name))
            return kernel_types[i].rcu || !rcu;
    return false;
}

static bool is_tagged(const struct field *f)
{
    return f->kind >= FIELD_KPTR_UNTRUSTED;
}

/* Sets of CPUs are objects of the kernel's type that programs make. */
bool kptr_is_held(const struct verifier *v, const struct field *f)
{
    return !is_kernels(v, f) || !strcmp(f->type_name, "bpf_cpumask");
}

static struct reg points(struct verifier *v, const struct field *f, unsigned trust)
{
    bool kernel = is_kernels(v, f);
    struct reg out = {.kind = REG_BTF, .trust = (uint8_t)trust, .s = scalar_const(0)};

    out.btf = kernel ? v->prog->kernel_btf : v->prog->btf;
    out.size = kernel ? btf_kernel_type(v, f->type_name) : f->type;
    if (!kernel && !(trust & TRUST_UNTRUSTED))
        out.trust |= TRUST_ALLOC;
    return out;
}

struct reg kptr_taken(struct verifier *v, const struct field *f)
{
    struct reg out = points(v, f, 0);

    if (f->kind == FIELD_KPTR_PERCPU)
        out.trust |= TRUST_PERCPU | TRUST_ALLOC;
    out.flags = REG_MAYBE_NULL;
    return out;
}

struct reg kptr_loaded(struct verifier *v, const struct state *s, const struct field *f)
{
    bool safe = f->kind == FIELD_KPTR_PERCPU || (f->kind == FIELD_KPTR && (!is_kernels(v, f) || known_type(f, true)));
    struct reg out;

    if (f->kind == FIELD_UPTR) {
        out = (struct reg){.kind = REG_MEM, .size = f->type_size, .s = scalar_const(0)};
    } else if (!safe || !in_rcu_section(v, s)) {
        out = points(v, f, TRUST_UNTRUSTED);
    } else {
        out = points(v, f, TRUST_RCU);
        if (f->kind == FIELD_KPTR_PERCPU)
            out.trust = TRUST_RCU | TRUST_PERCPU;
        else if (f->of && f->of->kinds & FIELD_NODES && out.trust & TRUST_ALLOC)
            out.trust |= TRUST_BORROWED;
    }
    out.flags = REG_MAYBE_NULL;
    out.id = ++v->next_id;
    return out;
}

enum reason kptr_check_place(struct verifier *v, const struct reg *r, unsigned reg, const struct field **out)
{
    const unsigned other = ~(unsigned)(TRUST_ALLOC | TRUST_BORROWED | TRUST_RCU);
    bool object = r->kind == REG_BTF && r->trust & TRUST_ALLOC && !(r->trust & other) &&
                  (!(r->trust & TRUST_RCU) || r->trust & TRUST_BORROWED);
    const struct fields *all = reg_fields(v, r);
    enum reason reason;

    if ((r->kind != REG_MAP_VALUE && !object) || r->flags & REG_MAYBE_NULL)
        return refuse(v, r->flags & REG_MAYBE_NULL ? REASON_null_check_missing : REASON_helper_argument,
                      "argument %u (r%u) is a %s where a kptr in a map value or an object is needed", reg, reg,
                      reg_kind_name(r));
    reason = constant(v, r, reg, "kptr");
    if (reason)
        return reason;
    *out = fields_at(all, (uint64_t)offset(r), FIELD_KPTRS);
    if (!*out)
        return refuse(v, REASON_special_field, "there is no kptr at offset %lld of '%s'", (long long)offset(r),
                      owner(r));
    if ((*out)->kind == FIELD_KPTR_UNTRUSTED)
        return refuse(v, REASON_special_field, "the kptr at offset %lld of '%s' owns nothing; it is plainly stored to",
                      (long long)offset(r), owner(r));
    return REASON_ok;
}

/* Is r of the very type that the field is made for? An untrusted field takes what begins with one, too. */
static bool fits(struct verifier *v, const struct field *f, const struct reg *r)
{
    bool strict = f->kind != FIELD_KPTR_UNTRUSTED;

    if (is_kernels(v, f))
        return r->btf == v->prog->kernel_btf && btf_ptr_is(v, r, f->type_name, strict);
    return r->btf == v->prog->btf && r->btf && r->size == f->type && !r->off;
}

enum reason kptr_check_value(struct verifier *v, const struct state *s, const struct field *f, unsigned reg,
                             bool exchange)
{
    const struct reg *r = state_reg(s, reg);
    unsigned may = r->kind == REG_BTF && r->btf == v->prog->kernel_btf
                       ? (unsigned)(TRUST_TRUSTED | TRUST_RCU) | (f->kind == FIELD_KPTR_UNTRUSTED ? TRUST_UNTRUSTED : 0)
                       : (unsigned)TRUST_ALLOC | (f->kind == FIELD_KPTR_PERCPU ? TRUST_PERCPU : 0);

    if (r->kind != REG_BTF || r->trust & ~may)
        return refuse(v, REASON_kptr, "r%u is a %s%s; a pointer to struct %s is to be stored", reg, reg_kind_name(r),
                      r->kind == REG_BTF ? " that is not to be trusted" : "", f->type_name);
    if (exchange && r->flags & REG_MAYBE_NULL)
        return refuse(v, REASON_null_check_missing, "argument %u (r%u) may be NULL", reg, reg);
    if (!scalar_is_const(&r->s) || r->s.t.value || r->off < 0 || (exchange && r->off))
        return refuse(v, REASON_kptr, "r%u is moved; the object's own address is to be stored", reg);
    if (!fits(v, f, r))
        return refuse(v, REASON_kptr, "r%u points to a struct %s; a pointer to struct %s is to be stored", reg,
                      btf_name(r->btf, r->size), f->type_name);
    if (exchange && (!r->ref || !state_has_ref(s, r->ref)))
        return refuse(v, REASON_reference_released, "argument %u (r%u) holds no reference", reg, reg);
    return REASON_ok;
}

/* Direct accesses. */

static enum reason check_kptr(struct verifier *v, const struct reg *base, const struct access *a, const struct field *f)
{
    if (a->helper)
        return refuse(v, REASON_special_field, "the %s at offset %u of '%s' is no memory for helpers",
                      field_name((enum field_kind)f->kind), f->off, owner(base));
    if (!scalar_is_const(&base->s) || offset(base) + a->off != f->off || a->size != f->size)
        return refuse(v, REASON_special_field, "the %s at offset %u of '%s' is loaded and stored whole, or not at all",
                      field_name((enum field_kind)f->kind), f->off, owner(base));
    if (a->atomic || a->sign)
        return refuse(v, REASON_special_field, "the %s at offset %u of '%s' is loaded and stored by plain instructions",
                      field_name((enum field_kind)f->kind), f->off, owner(base));
    if (a->write && f->kind != FIELD_KPTR_UNTRUSTED)
        return refuse(v, REASON_special_field, "the %s at offset %u of '%s' is exchanged, not stored to",
                      field_name((enum field_kind)f->kind), f->off, owner(base));
    if (known_type(f, false) || !is_kernels(v, f) || f->kind == FIELD_KPTR_UNTRUSTED)
        return REASON_ok;
    return unsupported(v, "kptrs to kernel objects that nothing releases");
}

enum reason field_check_access(struct verifier *v, const struct reg *base, const struct access *a)
{
    int64_t lo = base->off + a->off + base->s.r.smin, hi = base->off + a->off + (int64_t)base->s.r.umax + a->size;
    const struct fields *all = reg_fields(v, base);
    enum reason reason = REASON_ok;

    if (!all && base->kind == REG_MAP_VALUE && base->map->spin_lock_off >= 0 && lo < base->map->spin_lock_off + 4 &&
        hi > base->map->spin_lock_off)
        return refuse(v, REASON_special_field,
                      "the bytes at offset %d of a value of map '%.64s' are a struct bpf_spin_lock",
                      base->map->spin_lock_off, base->map->name);
    for (uint32_t i = 0; all && i < all->n && !reason; i++) {
        const struct field *f = &all->at[i];

        if (lo >= (int64_t)f->off + f->size || hi <= f->off)
            continue;
        if (base->kind == REG_MAP_VALUE && is_tagged(f))
            reason = check_kptr(v, base, a, f);
        else
            reason = refuse(v, REASON_special_field, "the bytes at offset %u of %s '%.64s' are a %s%s", f->off,
                            base->kind == REG_MAP_VALUE ? "a value of map" : "struct", owner(base),
                            is_tagged(f) ? "" : "struct ", field_name((enum field_kind)f->kind));
    }
    return reason;
}

const struct field *field_loaded(const struct verifier *v, const struct reg *base, const struct access *a)
{
    if (base->kind != REG_MAP_VALUE || !base->map->fields || !scalar_is_const(&base->s))
        return NULL;
    (void)v;
    return fields_at(base->map->fields, (uint64_t)(offset(base) + a->off), FIELD_KPTRS | FIELD_BIT(UPTR));
}
