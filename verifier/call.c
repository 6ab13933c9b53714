/*
 * Calls: helpers by the kinds of their rows, local functions as new frames, and the end of a function or of the
 * program. Arguments are judged first; only then does the state change.
 */
#include "verifier/verifier.h"
#include "vm/abi/map_types.h"
#include "vm/abi/policy.h"
#include "vm/helpers/dynptr.h"

#include <stdio.h>
#include <string.h>

enum { MAX_VAR_SIZE = 1 << 29, MAX_ERRNO = 4095 };

/* What the arguments said, for those after them and for the result. */
struct call_args {
    const struct helper *helper;
    const struct map_def *map;
    uint32_t map_uid;
    uint64_t mem_size;  /* CONST_SIZE argument */
    uint64_t max_size;  /* of the last SIZE argument */
    uint32_t ref;       /* of an argument that carries one */
    uint32_t const_key; /* map key when it is constant */
    bool has_const_key;
    unsigned lock_reg;
    uint32_t func;     /* that is to be called */
    struct reg dynptr; /* an argument */
    struct reg made;   /* where a dynptr is to be made; kind REG_NONE: nowhere */
    unsigned made_type;
    bool size_varies; /* of the memory that is being looked at */
    /* Memory that the helper writes, to be marked once all is judged. */
    struct {
        struct reg base;
        struct access a;
    } out[5];
    unsigned n_out;
};

static enum reason want(struct verifier *v, unsigned reg, const struct reg *r, const char *what)
{
    if (r->flags & REG_MAYBE_NULL)
        return refuse(v, REASON_null_check_missing, "argument %u (r%u) is a %s where %s is needed", reg, reg,
                      reg_kind_name(r), what);
    return refuse(v, REASON_helper_argument, "argument %u (r%u) is a %s where %s is needed", reg, reg, reg_kind_name(r),
                  what);
}

static bool is_null(const struct reg *r)
{
    return reg_is_const(r) && r->s.t.value == 0;
}

/* Memory of `size` bytes at most, beginning where the argument points. */
static enum reason memory(struct verifier *v, const struct state *s, struct call_args *c, unsigned reg, uint64_t size,
                          bool write, bool read, bool zero_ok)
{
    const struct reg *r = state_reg(s, reg);
    struct access a = {.insn = s->insn,
                       .reg = reg,
                       .size = (uint32_t)size,
                       .helper = true,
                       .zero_size_ok = zero_ok,
                       .fills = c->helper->effects & EFFECT_FILLS && !c->size_varies};
    enum reason reason;

    if (r->kind == REG_SCALAR || r->kind == REG_PACKET_END || r->kind == REG_FUNC || r->kind == REG_MAP ||
        r->kind == REG_CTX)
        return want(v, reg, r, "memory");
    if ((r->kind == REG_PACKET || r->kind == REG_PACKET_META) && !policy_helper_sees_packet(v, c->helper))
        return refuse(v, REASON_packet_access, "argument %u (r%u) is a %s, and bpf_%s takes none in this program", reg,
                      reg, reg_kind_name(r), c->helper->name);
    if (read || !write) {
        reason = mem_check(v, s, r, &a);
        if (reason)
            return reason;
    }
    if (write) {
        a.write = true;
        reason = mem_check(v, s, r, &a);
        if (reason)
            return reason;
    }
    if (r->kind == REG_STACK)
        stack_escapes(v, s, r, &a);
    if (!write)
        return REASON_ok;
    c->out[c->n_out].base = *r;
    c->out[c->n_out++].a = a;
    return REASON_ok;
}

static enum reason sized(struct verifier *v, struct state *s, struct call_args *c, unsigned reg, enum arg_kind mem,
                         bool zero_ok)
{
    const struct reg *r = state_reg(s, reg), *base = state_reg(s, reg - 1);
    bool write = mem == ARG_MEM_UNINIT || mem == ARG_MEM_UNINIT_OR_NULL || mem == ARG_MEM_RDWR;
    bool or_null = mem == ARG_MEM_OR_NULL || mem == ARG_MEM_UNINIT_OR_NULL;
    enum reason reason;

    if (r->kind != REG_SCALAR)
        return want(v, reg, r, "a size");
    if (r->s.r.smin < 0)
        return refuse(v, REASON_helper_size, "the size in r%u may be negative: at least %lld", reg,
                      (long long)r->s.r.smin);
    if (r->s.r.umin == 0 && !zero_ok)
        return refuse(v, REASON_helper_size, "the size in r%u may be 0", reg);
    if (r->s.r.umax >= MAX_VAR_SIZE)
        return refuse(v, REASON_helper_size, "the size in r%u has no upper bound", reg);
    c->max_size = r->s.r.umax;
    c->size_varies = !scalar_is_const(&r->s);
    reason = precision_mark_reg(v, s, reg);
    if (reason)
        return reason;
    if (is_null(state_reg(s, reg - 1)) && or_null && r->s.r.umax == 0)
        return precision_mark_reg(v, s, reg - 1);
    (void)base;
    /* Where the size is not known, memory that is not written may stay as it was. */
    if (!scalar_is_const(&r->s) && mem == ARG_MEM_UNINIT && !v->privileged)
        return memory(v, s, c, reg - 1, r->s.r.umax, true, true, zero_ok);
    return memory(v, s, c, reg - 1, r->s.r.umax, write, mem == ARG_MEM_RDWR, zero_ok);
}

/* Do these bytes of stack hold a number that Linux takes for a key: zero bytes, or a spill that is as wide? */
static bool holds_key(const struct frame *f, int64_t off, unsigned size)
{
    unsigned below = (unsigned)(-off - 1), first = SLOT - 1 - below % SLOT, zeroes = 0;
    const struct slot *slot;

    if (below / SLOT >= f->n_slots || first + size > SLOT)
        return false;
    slot = frame_slot(f, below / SLOT);
    while (zeroes < size && slot->type[first + zeroes] == SLOT_ZERO)
        zeroes++;
    return zeroes == size || slot_spill_size(slot) == first + size;
}

/* The key of an array lookup, when the four bytes at a fixed place of the stack are a known number. */
static enum reason find_const_key(struct verifier *v, struct state *s, struct call_args *c, unsigned reg)
{
    const struct reg *r = state_reg(s, reg);
    struct access a = {.insn = s->insn, .reg = reg, .size = 4, .helper = true};
    struct marks m = {0};
    struct reg key;
    uint16_t where;

    /* An inner map may have fewer elements than its template says when that asks for it. */
    if (r->kind != REG_STACK || (c->map_uid && (c->map->type != MAP_TYPE_ARRAY || c->map->flags & MAP_F_INNER_MAP)) ||
        c->map->key_size != 4 || (c->map->type != MAP_TYPE_ARRAY && c->map->type != MAP_TYPE_PERCPU_ARRAY))
        return REASON_ok;
    where = stack_step(r, &a);
    if (!where || !holds_key(s->frames[r->frame], r->off + (int64_t)r->s.t.value, a.size))
        return REASON_ok;
    key = stack_read(v, s, r, &a, false);
    if (!reg_is_const(&key))
        return REASON_ok;
    c->const_key = (uint32_t)key.s.t.value;
    c->has_const_key = c->const_key < c->map->max_entries;
    if (!c->has_const_key)
        return REASON_ok;
    m.slots[where >> 6 & 7] = (uint64_t)1 << (where & 63);
    return precision_mark(v, s, &m);
}

static enum reason const_string(struct verifier *v, struct state *s, unsigned reg)
{
    const struct reg *r = state_reg(s, reg);
    uint64_t byte, off;

    if (r->kind != REG_MAP_VALUE || r->flags & REG_MAYBE_NULL)
        return want(v, reg, r, "a constant string");
    if (!(r->map->flags & MAP_F_RDONLY_PROG) || !v->opts->read_const)
        return refuse(v, REASON_helper_argument, "argument %u (r%u) does not point to a read-only map", reg, reg);
    if (!scalar_is_const(&r->s))
        return refuse(v, REASON_helper_argument, "argument %u (r%u) is at an offset that is not constant", reg, reg);
    for (off = (uint64_t)r->off + r->s.t.value; off < r->map->value_size; off++) {
        if (!v->opts->read_const(v->opts->read_const_ctx, r->map, off, 1, &byte))
            return refuse(v, REASON_helper_argument, "argument %u (r%u) points into a map that can still change", reg,
                          reg);
        if (!byte)
            return REASON_ok;
    }
    return refuse(v, REASON_helper_argument, "argument %u (r%u) is a string without an end", reg, reg);
}

/* Room for a number that the helper writes: aligned as a store of the program's own would have to be. */
static enum reason aligned(struct verifier *v, const struct state *s, struct call_args *c, unsigned reg, unsigned size)
{
    const struct reg *r = state_reg(s, reg);
    enum reason reason = memory(v, s, c, reg, size, true, false, false);

    if (reason)
        return reason;
    if (r->kind == REG_STACK && !tnum_is_aligned(tnum_add(r->s.t, tnum_const((uint64_t)(int64_t)r->off)), size))
        return refuse(v, REASON_misaligned, "argument %u (r%u) is not aligned to %u bytes", reg, reg, size);
    return REASON_ok;
}

static enum reason spin_lock(struct verifier *v, const struct state *s, struct call_args *c, unsigned reg)
{
    const struct reg *r = state_reg(s, reg);

    if (r->kind != REG_MAP_VALUE || r->flags & REG_MAYBE_NULL)
        return want(v, reg, r, "a struct bpf_spin_lock in a map value");
    if (!scalar_is_const(&r->s))
        return refuse(v, REASON_lock_misused, "r%u is at an offset that is not constant", reg);
    if (r->map->spin_lock_off < 0)
        return refuse(v, REASON_lock_misused, "map '%s' has no struct bpf_spin_lock in its value", r->map->name);
    if (r->off + (int64_t)r->s.t.value != r->map->spin_lock_off)
        return refuse(v, REASON_lock_misused, "r%u points to offset %lld of the value; the lock is at %d", reg,
                      (long long)(r->off + (int64_t)r->s.t.value), r->map->spin_lock_off);
    c->lock_reg = reg;
    return REASON_ok;
}

static enum reason argument(struct verifier *v, struct state *s, struct call_args *c, unsigned i)
{
    enum arg_kind kind = (enum arg_kind)c->helper->arg[i];
    unsigned reg = i + 1;
    const struct reg *r = state_reg(s, reg);
    enum reason reason;

    if (kind == ARG_NONE) {
        if (c->helper->effects & EFFECT_VARIADIC && r->kind == REG_STACK)
            stack_escapes_whole(v, s, r);
        return REASON_ok;
    }
    c->size_varies = false;
    if (r->kind == REG_NONE)
        return refuse(v, REASON_uninitialized_register, "argument %u (r%u) was not written on this path", reg, reg);
    if (r->ref && kind != ARG_ANYTHING) {
        if (c->ref)
            return refuse(v, REASON_helper_argument, "two arguments of bpf_%s hold references", c->helper->name);
        c->ref = r->ref;
    }
    if (r->kind == REG_KERNEL && kind != ARG_ANYTHING)
        return unsupported(v, "sockets and kernel pointers");
    switch (kind) {
    case ARG_ANYTHING:
        if (reg_is_pointer(r) && !v->privileged)
            return refuse(v, REASON_pointer_leak, "argument %u (r%u), a %s, is handed to bpf_%s", reg, reg,
                          reg_kind_name(r), c->helper->name);
        if (r->kind == REG_STACK)
            stack_escapes_whole(v, s, r);
        return REASON_ok;
    case ARG_CTX_OR_NULL:
        if (is_null(r))
            return precision_mark_reg(v, s, reg);
        /* fall through */
    case ARG_CTX:
        if (r->kind != REG_CTX)
            return want(v, reg, r, "the context");
        if (r->off || !scalar_is_const(&r->s) || r->s.t.value)
            return refuse(v, REASON_ctx_modified, "argument %u (r%u) is the context moved by %d", reg, reg, r->off);
        return REASON_ok;
    case ARG_MAP:
        if (r->kind != REG_MAP || r->flags & REG_MAYBE_NULL)
            return want(v, reg, r, "a map");
        c->map = r->map;
        c->map_uid = r->map_uid;
        return REASON_ok;
    case ARG_MAP_KEY:
        if (!c->map)
            return refuse(v, REASON_helper_argument, "a key without a map");
        reason = memory(v, s, c, reg, c->map->key_size, false, true, false);
        return reason ? reason : find_const_key(v, s, c, reg);
    case ARG_MAP_VALUE: return memory(v, s, c, reg, c->map ? c->map->value_size : 0, false, true, false);
    case ARG_MAP_VALUE_UNINIT:
        if (c->map && policy_map_reads_value(c->map->type, c->helper->id))
            return memory(v, s, c, reg, c->map->value_size, false, true, false);
        return memory(v, s, c, reg, c->map ? c->map->value_size : 0, true, false, false);
    case ARG_MEM_OR_NULL:
    case ARG_MEM_UNINIT_OR_NULL:
        if (is_null(r))
            return REASON_ok;
        return reg_is_pointer(r) && !(r->flags & REG_MAYBE_NULL) ? REASON_ok : want(v, reg, r, "memory or NULL");
    case ARG_MEM:
    case ARG_MEM_UNINIT:
    case ARG_MEM_RDWR: return REASON_ok; /* judged with its size */
    case ARG_SIZE: return sized(v, s, c, reg, (enum arg_kind)c->helper->arg[i - 1], false);
    case ARG_SIZE_OR_ZERO: return sized(v, s, c, reg, (enum arg_kind)c->helper->arg[i - 1], true);
    case ARG_CONST_SIZE_OR_ZERO:
        if (!reg_is_const(r))
            return refuse(v, REASON_helper_size, "argument %u (r%u) must be a constant", reg, reg);
        c->mem_size = r->s.t.value;
        return precision_mark_reg(v, s, reg);
    case ARG_CONST_STR: return const_string(v, s, reg);
    case ARG_IPV4_HDR:
    case ARG_TCP_HDR: return memory(v, s, c, reg, 20, false, true, false);
    case ARG_IPV6_HDR: return memory(v, s, c, reg, 40, false, true, false);
    case ARG_SHORT_PTR: return aligned(v, s, c, reg, 2);
    case ARG_INT_PTR: return aligned(v, s, c, reg, 4);
    case ARG_LONG_PTR: return aligned(v, s, c, reg, 8);
    case ARG_RINGBUF_MEM:
        if (r->kind != REG_MEM || !(r->flags & REG_RECORD) || r->flags & REG_MAYBE_NULL)
            return want(v, reg, r, "a record that was reserved");
        if (r->off || !scalar_is_const(&r->s) || r->s.t.value)
            return refuse(v, REASON_helper_argument, "argument %u (r%u) is moved; it must be what was reserved", reg,
                          reg);
        return REASON_ok;
    case ARG_SPIN_LOCK: return spin_lock(v, s, c, reg);
    case ARG_DYNPTR: return dynptr_check(v, s, reg, DYNPTR_NONE, &c->dynptr);
    case ARG_DYNPTR_RECORD:
        reason = dynptr_check(v, s, reg, DYNPTR_RINGBUF, &c->dynptr);
        c->ref = c->dynptr.ref;
        return reason;
    case ARG_DYNPTR_NEW:
    case ARG_DYNPTR_NEW_RECORD:
        c->made = *r;
        c->made_type = kind == ARG_DYNPTR_NEW ? DYNPTR_LOCAL : DYNPTR_RINGBUF;
        return dynptr_check_new(v, s, reg);
    case ARG_STACK_OR_NULL:
        if (r->kind == REG_STACK)
            stack_escapes_whole(v, s, r);
        return r->kind == REG_STACK || is_null(r) ? REASON_ok : want(v, reg, r, "stack memory or NULL");
    case ARG_FUNC:
        if (r->kind != REG_FUNC)
            return want(v, reg, r, "a function of the program");
        c->func = r->size;
        return REASON_ok;
    case ARG_BTF_ID: return btf_ptr_argument(v, c->helper, reg, r);
    case ARG_SOCK:
    case ARG_SOCK_OR_NULL:
    case ARG_SOCK_COMMON:
    case ARG_SOCKET:
    case ARG_SOCKET_OR_NULL: return sock_argument(v, s, kind, reg);
    default: return unsupported(v, "this kind of helper argument");
    }
}

static enum reason check_context(struct verifier *v, const struct state *s, const struct helper *h)
{
    if (h->effects & EFFECT_GPL && !is_gpl_compatible(v->prog->license))
        return refuse(v, REASON_helper_gpl, "bpf_%s is for GPL-compatible programs; the license is \"%s\"", h->name,
                      v->prog->license);
    if (h->effects & EFFECT_SLEEPS && !v->prog->sleepable)
        return refuse(v, REASON_helper_not_allowed, "bpf_%s may sleep and this program may not", h->name);
    if (s->lock_id && !(h->effects & (EFFECT_LOCKS | EFFECT_UNLOCKS)))
        return refuse(v, REASON_lock_held, "bpf_%s is called while a spin lock is held", h->name);
    if (h->id == TAIL_CALL && s->n_refs)
        return refuse(v, REASON_reference_leak, "a tail call while a reference is held");
    if (h->id == TAIL_CALL || h->effects & EFFECT_SLEEPS)
        return kfunc_sections_end(v, s, h->id == TAIL_CALL ? "a tail call" : "a helper that may sleep is called");
    return REASON_ok;
}

/* Which pointers become void, and for whom. */
struct voided {
    bool privileged;
    uint32_t ref;   /* released */
    uint32_t frame; /* left */
};

static bool has_ref(const struct reg *r, const void *ctx)
{
    return r->ref && r->ref == ((const struct voided *)ctx)->ref;
}

static bool is_packet(const struct reg *r, const void *ctx)
{
    (void)ctx;
    return r->kind == REG_PACKET || r->kind == REG_PACKET_META || r->kind == REG_PACKET_END;
}

static bool points_to_dead_frame(const struct reg *r, const void *ctx)
{
    return r->kind == REG_STACK && r->frame >= ((const struct voided *)ctx)->frame;
}

/* What pointed there is a number to who may see addresses, and nothing to others. */
static void invalidate(struct reg *r, const void *ctx)
{
    *r = ((const struct voided *)ctx)->privileged ? reg_unknown() : (struct reg){.kind = REG_NONE};
}

bool call_forget_packet(struct verifier *v, struct state *s)
{
    const struct voided all = {.privileged = v->privileged};

    return state_change_regs(&v->pool, s, is_packet, invalidate, &all);
}

bool call_release(struct verifier *v, struct state *s, uint32_t ref)
{
    const struct voided dead = {.privileged = v->privileged, .ref = ref};

    state_drop_ref(s, ref);
    return state_change_regs(&v->pool, s, has_ref, invalidate, &dead) && dynptr_release(v, s, ref);
}

static enum reason lock_step(struct verifier *v, struct state *s, const struct call_args *c, bool lock)
{
    const struct reg *r = state_reg(s, c->lock_reg);

    if (lock) {
        if (s->lock_id)
            return refuse(v, REASON_lock_misused, "a lock is taken while another is held");
        s->lock_id = r->id;
        s->lock_map = r->map;
        return REASON_ok;
    }
    if (!s->lock_id)
        return refuse(v, REASON_lock_misused, "unlock without a lock held");
    if (s->lock_id != r->id || s->lock_map != r->map)
        return refuse(v, REASON_lock_misused, "the lock that is held is another one");
    s->lock_id = 0;
    s->lock_map = NULL;
    return REASON_ok;
}

/* Does what was found in the map hold a reference? */
static bool finds_socket(const struct call_args *c)
{
    return c->helper->ret == RET_MAP_VALUE_OR_NULL && c->map && policy_map_finds(c->map->type) == MAP_FINDS_SOCKET;
}

/* The result holds a reference of its own, or shares that of what it was cast from. */
static struct reg referenced(struct verifier *v, const struct call_args *c, struct state *s, struct reg out)
{
    if (c->helper->effects & EFFECT_CASTS)
        out.ref = c->ref;
    if (!(c->helper->effects & EFFECT_ACQUIRES) && !finds_socket(c))
        return out;
    out.id = out.ref = ++v->next_id;
    s->refs[s->n_refs++] = out.ref;
    return out;
}

static struct reg result(struct verifier *v, const struct call_args *c, struct state *s)
{
    struct reg out = reg_unknown();

    switch (c->helper->ret) {
    case RET_VOID: return (struct reg){.kind = REG_NONE};
    case RET_MAP_VALUE_OR_NULL:
        out = (struct reg){
            .kind = REG_MAP_VALUE, .flags = REG_MAYBE_NULL, .map = c->map, .id = ++v->next_id, .s = scalar_const(0)};
        out.map_uid = c->map_uid;
        if (policy_map_finds(c->map->type) != MAP_FINDS_VALUE)
            return referenced(
                v, c, s,
                sock_reg(v, policy_map_finds(c->map->type) == MAP_FINDS_SOCKET ? REG_SOCKET : REG_XDP_SOCK, true));
        if (c->map->inner) {
            out.kind = REG_MAP;
            out.map = c->map->inner;
            out.map_uid = v->next_id;
        } else if (c->has_const_key) {
            out.flags = 0;
        }
        return out;
    case RET_RINGBUF_MEM_OR_NULL:
        out = (struct reg){
            .kind = REG_MEM, .flags = REG_MAYBE_NULL | REG_RECORD, .size = (uint32_t)c->mem_size, .s = scalar_const(0)};
        return referenced(v, c, s, out);
    case RET_SOCKET_OR_NULL: return referenced(v, c, s, sock_reg(v, REG_SOCKET, true));
    case RET_SOCK_COMMON_OR_NULL: return referenced(v, c, s, sock_reg(v, REG_SOCK_COMMON, true));
    case RET_TCP_SOCK_OR_NULL: return referenced(v, c, s, sock_reg(v, REG_TCP_SOCK, true));
    case RET_BTF_ID:
        if (!helper_kernel_type(c->helper, 0) || !btf_kernel_type(v, helper_kernel_type(c->helper, 0)))
            return (struct reg){.kind = REG_KERNEL, .s = scalar_const(0)};
        return btf_ptr_reg(v, helper_kernel_type(c->helper, 0), TRUST_TRUSTED);
    case RET_DYNPTR_MEM_OR_NULL:
        out =
            (struct reg){.kind = REG_MEM, .flags = REG_MAYBE_NULL, .size = (uint32_t)c->mem_size, .s = scalar_const(0)};
        out.id = ++v->next_id;
        out.ref = c->dynptr.ref;
        out.map_uid = c->dynptr.id;
        return out;
    case RET_LENGTH:
        out.s = scalar_signed(-MAX_ERRNO, (int64_t)c->max_size);
        out.s.w.smin = -MAX_ERRNO;
        out.s.w.smax = (int32_t)c->max_size;
        scalar_sync(&out.s);
        return out;
    case RET_CPU: out.s = scalar_unsigned(0, MAP_MAX_CPUS - 1); return out;
    default: break;
    }
    return out;
}

enum reason call_helper(struct verifier *v, struct state *s, const struct insn *insn, struct state **other)
{
    const struct helper *h =
        helper_for(v->prog->helpers, v->prog->type ? v->prog->type->id : PROG_TYPE_UNSPEC, (uint32_t)insn->imm);
    struct call_args c = {.helper = h};
    enum reason reason;
    struct frame *f;
    struct reg r0;

    if (!h)
        return refuse(v, REASON_helper_unknown, "there is no helper %lld", (long long)insn->imm);
    if (helper_is_linux(h)) {
        reason = policy_may_call(v, h->id);
        if (reason)
            return reason;
    }
    if (!h->body && !(h->effects & EFFECT_ENGINE)) {
        snprintf(v->missing_name, sizeof(v->missing_name), "helper bpf_%s", h->name);
        return unsupported(v, v->missing_name);
    }
    reason = check_context(v, s, h);
    for (unsigned i = 0; i < 5 && !reason; i++)
        reason = argument(v, s, &c, i);
    if (!reason && c.map)
        reason = policy_may_take(v, h, c.map);
    if (!reason && c.map && h->effects & EFFECT_WRITES_MAP && map_def_prog_flags(c.map) & MAP_F_RDONLY_PROG)
        reason = refuse(v, REASON_read_only_memory, "bpf_%s would write to map '%s', which is read-only for programs",
                        h->name, c.map->name);
    if (!reason && h->effects & EFFECT_RELEASES && (!c.ref || !state_has_ref(s, c.ref)))
        reason = refuse(v, REASON_reference_released, "argument 1 (r1) holds no reference");
    if (!reason && h->effects & EFFECT_VALUE_MEM && state_reg(s, 1)->kind != REG_MAP_VALUE)
        reason = want(v, 1, state_reg(s, 1), "a map's value");
    if (!reason && (h->effects & EFFECT_ACQUIRES || finds_socket(&c)) && s->n_refs == MAX_REFS)
        reason = unsupported(v, "more than 16 references at a time");
    if (reason)
        return reason;
    for (unsigned i = 0; i < c.n_out; i++)
        if (c.out[i].base.kind == REG_STACK && !stack_write_unknown(v, s, &c.out[i].base, &c.out[i].a))
            return REASON_out_of_memory;
    if (c.made.kind != REG_NONE && !dynptr_make(v, s, &c.made, c.made_type))
        return REASON_out_of_memory;
    if (h->effects & (EFFECT_LOCKS | EFFECT_UNLOCKS)) {
        reason = lock_step(v, s, &c, h->effects & EFFECT_LOCKS);
        if (reason)
            return reason;
    }
    if (h->effects & EFFECT_RELEASES && !call_release(v, s, c.ref))
        return REASON_out_of_memory;
    if (h->effects & EFFECT_CHANGES_PACKET && !call_forget_packet(v, s))
        return REASON_out_of_memory;
    if (h->effects & EFFECT_CALLS_BACK) {
        reason = callback_call(v, s, h, c.func, other);
        if (reason)
            return reason;
    }
    if (h->id == TAIL_CALL)
        v->func_tail_calls[state_top(s)->func] = true;
    r0 = result(v, &c, s);
    f = state_frame_mut(&v->pool, s, s->n_frames - 1);
    if (!f)
        return REASON_out_of_memory;
    memset(f->regs, 0, 6 * sizeof(f->regs[0]));
    f->regs[0] = r0;
    return REASON_ok;
}

static uint32_t func_index(const struct verifier *v, uint32_t start)
{
    for (uint32_t i = 0; i < v->prog->n_funcs; i++)
        if (v->prog->funcs[i].start == start)
            return i;
    return 0;
}

enum reason call_local(struct verifier *v, struct state *s, const struct insn *insn)
{
    struct reg args[6];
    struct frame *f;
    uint32_t func = func_index(v, insn->target);

    if (v->info[s->insn].opaque)
        return global_call(v, s, func);
    if (s->n_frames == PROG_MAX_FRAMES)
        return refuse(v, REASON_call_depth, "this call would be frame %u", PROG_MAX_FRAMES + 1);
    f = state_frame_mut(&v->pool, s, s->n_frames - 1);
    if (!f)
        return REASON_out_of_memory;
    memcpy(args, f->regs, sizeof(args));
    memset(f->regs, 0, 6 * sizeof(f->regs[0]));
    if (!state_push_frame(&v->pool, s, func, s->insn))
        return REASON_out_of_memory;
    f = s->frames[s->n_frames - 1];
    if (!uses_enter(v, s, &f->inst))
        return REASON_out_of_memory;
    memcpy(&f->regs[1], &args[1], 5 * sizeof(args[0]));
    s->insn = insn->target;
    return REASON_ok;
}

static enum reason leave_function(struct verifier *v, struct state *s)
{
    const struct reg r0 = *state_reg(s, 0);
    uint32_t back = state_top(s)->callsite;
    struct reg *to;

    if (r0.kind == REG_STACK)
        return refuse(v, REASON_return_pointer, "a pointer to the function's own stack is returned");
    state_pop_frame(&v->pool, s);
    to = state_reg_mut(&v->pool, s, 0);
    if (!to)
        return REASON_out_of_memory;
    *to = r0;
    s->insn = back + 1;
    return REASON_ok;
}

/* Back in the caller; pointers into the frame that is gone are void. */
static enum reason return_to_caller(struct verifier *v, struct state *s)
{
    struct voided gone = {.privileged = v->privileged, .frame = s->n_frames - 1};
    enum reason reason = state_top(s)->callback ? callback_exit(v, s) : leave_function(v, s);

    if (!reason && !state_change_regs(&v->pool, s, points_to_dead_frame, invalidate, &gone))
        reason = REASON_out_of_memory;
    return reason;
}

enum reason leave_early(struct verifier *v, const struct state *s, const struct reg *r0, struct state **other)
{
    struct reg *to;

    if (s->n_frames < 2)
        return REASON_ok;
    *other = state_copy(&v->pool, s);
    to = *other ? state_reg_mut(&v->pool, *other, 0) : NULL;
    if (!to)
        return REASON_out_of_memory;
    *to = *r0;
    (*other)->past.steps[(*other)->past.n - 1].stack = STEP_LEAVES;
    return return_to_caller(v, *other);
}

enum reason tail_call_taken(struct verifier *v, const struct state *s, struct state **other)
{
    const struct reg any = reg_unknown();
    enum reason reason = leave_early(v, s, &any, other);

    /* What was called may have moved the packet. */
    if (!reason && *other && !call_forget_packet(v, *other))
        reason = REASON_out_of_memory;
    return reason;
}

enum reason exit_step(struct verifier *v, struct state *s, bool *done)
{
    const struct reg *r0 = state_reg(s, 0);
    enum reason reason;

    if (s->n_frames > 1)
        return return_to_caller(v, s);
    if (s->lock_id)
        return refuse(v, REASON_lock_held, "the program ends with a spin lock held");
    if (s->n_refs)
        return refuse(v, REASON_reference_leak, "the program ends with %u reference%s held", s->n_refs,
                      s->n_refs > 1 ? "s" : "");
    reason = kfunc_sections_end(v, s, "the program ends");
    if (reason)
        return reason;
    if (r0->kind == REG_NONE)
        return refuse(v, REASON_uninitialized_register, "r0 was not written on this path");
    if (reg_is_pointer(r0) && !v->privileged)
        return refuse(v, REASON_pointer_leak, "r0 is a %s", reg_kind_name(r0));
    if (state_top(s)->func && r0->kind != REG_SCALAR)
        return refuse(v, REASON_return_pointer, "r0 is a %s; a global function returns a number", reg_kind_name(r0));
    reason = state_top(s)->func ? REASON_ok : policy_return(v, s, r0);
    if (reason)
        return reason;
    *done = true;
    return REASON_ok;
}
