/*
 * Arguments of helpers, by the kinds of the rows: one arm of call_argument() a kind. Nothing changes here but what is
 * noted in struct call_args.
 */
#include "verifier/call.h"
#include "vm/abi/map_types.h"
#include "vm/abi/policy.h"
#include "vm/helpers/dynptr.h"

enum { MAX_VAR_SIZE = 1 << 29 };

enum reason call_wants(struct verifier *v, unsigned reg, const struct reg *r, const char *what)
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
        return call_wants(v, reg, r, "memory");
    if ((r->kind == REG_PACKET || r->kind == REG_PACKET_META) && !policy_helper_sees_packet(v, c->helper))
        return refuse(v, REASON_packet_access, "argument %u (r%u) is a %s, and bpf_%s takes none in this program", reg,
                      reg, reg_kind_name(r), c->helper->name);
    if (r->kind == REG_BTF && !(r->flags & REG_MAYBE_NULL)) {
        if (r->trust != TRUST_TRUSTED)
            return call_wants(v, reg, r, "memory");
        if (c->helper->arg[reg - 1] != ARG_MEM && c->helper->arg[reg - 1] != ARG_MEM_OR_NULL)
            return refuse(v, REASON_read_only_memory,
                          "argument %u (r%u) is a kernel object, and bpf_%s may write to it", reg, reg,
                          c->helper->name);
    }
    if ((r->kind == REG_BTF && !(r->trust & TRUST_ALLOC)) || (r->kind == REG_MEM && r->trust)) /* of the world */
        v->wants_checks = true;
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
        return call_wants(v, reg, r, "a size");
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
        return call_wants(v, reg, r, "a constant string");
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

/* Linux asks nobody to look whether what comes from a lookup is NULL: the helper does. */
static enum reason value_or_null(struct verifier *v, struct state *s, struct call_args *c, unsigned reg)
{
    struct access a = {.insn = s->insn, .reg = reg, .size = c->map ? c->map->value_size : 0, .helper = true};
    struct reg r = *state_reg(s, reg);

    if (is_null(&r))
        return precision_mark_reg(v, s, reg);
    if (r.kind != REG_MAP_VALUE || !(r.flags & REG_MAYBE_NULL))
        return memory(v, s, c, reg, a.size, false, true, false);
    r.flags &= (uint8_t)~REG_MAYBE_NULL;
    return mem_check(v, s, &r, &a);
}

enum reason call_argument(struct verifier *v, struct state *s, struct call_args *c, unsigned i)
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
    if (r->ref && kind != ARG_ANYTHING && kind != ARG_KPTR) {
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
            return call_wants(v, reg, r, "the context");
        if (r->off || !scalar_is_const(&r->s) || r->s.t.value)
            return refuse(v, REASON_ctx_modified, "argument %u (r%u) is the context moved by %d", reg, reg, r->off);
        return REASON_ok;
    case ARG_MAP:
        if (r->kind != REG_MAP || r->flags & REG_MAYBE_NULL)
            return call_wants(v, reg, r, "a map");
        if (c->map && (c->map != r->map || c->map_uid != r->map_uid))
            return refuse(v, REASON_special_field, "argument %u (r%u) is not the map that the timer is in", reg, reg);
        c->map = r->map;
        c->map_uid = r->map_uid;
        return REASON_ok;
    case ARG_MAP_KEY:
        if (!c->map)
            return refuse(v, REASON_helper_argument, "a key without a map");
        reason = memory(v, s, c, reg, c->map->key_size, false, true, false);
        return reason ? reason : find_const_key(v, s, c, reg);
    case ARG_MAP_VALUE:
        if (c->map && policy_map_finds(c->map->type) == MAP_FINDS_SOCKET)
            return sock_argument(v, s, ARG_SOCK, reg);
        return memory(v, s, c, reg, c->map ? c->map->value_size : 0, false, true, false);
    case ARG_MAP_VALUE_UNINIT:
        if (c->map && policy_map_reads_value(c->map->type, c->helper->id))
            return memory(v, s, c, reg, c->map->value_size, false, true, false);
        return memory(v, s, c, reg, c->map ? c->map->value_size : 0, true, false, false);
    case ARG_MAP_VALUE_OR_NULL: return value_or_null(v, s, c, reg);
    case ARG_MEM_OR_NULL:
    case ARG_MEM_UNINIT_OR_NULL:
        if (is_null(r))
            return REASON_ok;
        return reg_is_pointer(r) && !(r->flags & REG_MAYBE_NULL) ? REASON_ok : call_wants(v, reg, r, "memory or NULL");
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
            return call_wants(v, reg, r, "a record that was reserved");
        if (r->off || !scalar_is_const(&r->s) || r->s.t.value)
            return refuse(v, REASON_helper_argument, "argument %u (r%u) is moved; it must be what was reserved", reg,
                          reg);
        return REASON_ok;
    case ARG_SPIN_LOCK: c->lock_reg = reg; return lock_check(v, r, reg, FIELD_SPIN_LOCK);
    case ARG_TIMER:
        c->map = r->map;
        c->map_uid = r->map_uid;
        return field_check(v, r, reg, FIELD_TIMER);
    case ARG_KPTR: return kptr_check_place(v, r, reg, &c->kptr);
    case ARG_KPTR_VALUE:
        if (is_null(r))
            return precision_mark_reg(v, s, reg);
        return kptr_check_value(v, s, c->kptr, reg, true);
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
        return r->kind == REG_STACK || is_null(r) ? REASON_ok : call_wants(v, reg, r, "stack memory or NULL");
    case ARG_FUNC:
        if (r->kind != REG_FUNC)
            return call_wants(v, reg, r, "a function of the program");
        c->func = r->size;
        return REASON_ok;
    case ARG_BTF_ID_OR_NULL:
        if (is_null(r))
            return precision_mark_reg(v, s, reg);
        /* fall through */
    case ARG_BTF_ID: return btf_ptr_argument(v, c->helper, reg, r, kind == ARG_BTF_ID_OR_NULL);
    case ARG_ZERO:
        if (!is_null(r))
            return refuse(v, REASON_helper_argument, "argument %u (r%u) must be 0", reg, reg);
        return precision_mark_reg(v, s, reg);
    case ARG_PERCPU:
        if (r->kind != REG_BTF || !(r->trust & TRUST_PERCPU) ||
            r->trust & ~(TRUST_PERCPU | TRUST_RCU | TRUST_TRUSTED) || r->flags & REG_MAYBE_NULL)
            return call_wants(v, reg, r, "a variable of each CPU");
        if (r->trust & TRUST_RCU)
            return unsupported(v, "objects of each CPU that programs allocate");
        c->variable = *r;
        return REASON_ok;
    case ARG_SOCK:
    case ARG_SOCK_OR_NULL:
    case ARG_SOCK_COMMON:
    case ARG_SOCKET:
    case ARG_SOCKET_OR_NULL: return sock_argument(v, s, kind, reg);
    default: return unsupported(v, "this kind of helper argument");
    }
}
