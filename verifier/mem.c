/*
 * Memory other than the stack: which bytes each kind of pointer may touch, and what a load from it yields. A kind's
 * rule is one function; the table at the end names them. Offsets are checked at both ends of what is known of the
 * variable part.
 */
#include "verifier/verifier.h"
#include "vm/abi/policy.h"

#include <stdio.h>
#include <string.h>

enum { MAX_VAR_OFF = 1 << 29, MAX_RECORD = 8192 /* PERF_MAX_TRACE_SIZE */ };

const char *reg_kind_name(const struct reg *r)
{
    static const char *const names[REG_KIND_COUNT] = {
        [REG_NONE] = "uninitialized register",
        [REG_SCALAR] = "number",
        [REG_CTX] = "context pointer",
        [REG_STACK] = "stack pointer",
        [REG_MAP] = "map pointer",
        [REG_MAP_VALUE] = "map value pointer",
        [REG_MAP_KEY] = "map key pointer",
        [REG_PACKET] = "packet pointer",
        [REG_PACKET_META] = "packet metadata pointer",
        [REG_PACKET_END] = "packet end pointer",
        [REG_MEM] = "memory pointer",
        [REG_FUNC] = "function pointer",
        [REG_SOCK_COMMON] = "socket pointer (of any state)",
        [REG_SOCKET] = "socket pointer",
        [REG_TCP_SOCK] = "TCP socket pointer",
        [REG_XDP_SOCK] = "XDP socket pointer",
        [REG_FLOW_KEYS] = "flow keys pointer",
        [REG_BTF] = "kernel pointer",
        [REG_BUFFER] = "buffer pointer",
        [REG_DYNPTR] = "dynptr pointer",
        [REG_ARENA] = "arena pointer",
        [REG_KERNEL] = "kernel pointer",
    };
    static const char *const or_null[REG_KIND_COUNT] = {
        [REG_MAP] = "map pointer or NULL",
        [REG_MAP_VALUE] = "map value pointer or NULL",
        [REG_MEM] = "memory pointer or NULL",
        [REG_SOCK_COMMON] = "socket pointer (of any state) or NULL",
        [REG_SOCKET] = "socket pointer or NULL",
        [REG_TCP_SOCK] = "TCP socket pointer or NULL",
        [REG_XDP_SOCK] = "XDP socket pointer or NULL",
        [REG_BTF] = "kernel pointer or NULL",
        [REG_BUFFER] = "buffer pointer or NULL",
    };

    if (r->kind == REG_BTF && r->trust & TRUST_ALLOC)
        return r->flags & REG_MAYBE_NULL ? "pointer to an object or NULL" : "pointer to an object";
    return r->flags & REG_MAYBE_NULL && or_null[r->kind] ? or_null[r->kind] : names[r->kind];
}

/* Is [off + var, off + var + size) within [0, limit) for every value of the variable part? */
static enum reason within(struct verifier *v, enum reason reason, const struct reg *base, const struct access *a,
                          uint64_t limit, const char *what)
{
    int64_t off = (int64_t)base->off + a->off;
    const struct range64 *r = &base->s.r;

    if (r->smin < 0 && (r->smin <= -MAX_VAR_OFF || r->smin + off < 0))
        return refuse(v, reason, "the offset into %s may be negative: at least %lld", what,
                      r->smin <= -MAX_VAR_OFF ? (long long)r->smin : (long long)(r->smin + off));
    if (off + r->smin < 0)
        return refuse(v, reason, "the offset into %s is negative: %lld", what, (long long)(off + r->smin));
    if (r->umax >= MAX_VAR_OFF)
        return refuse(v, reason, "the offset into %s has no upper bound", what);
    if (off + (int64_t)r->umax + (int64_t)a->size > (int64_t)limit || (!a->size && !a->zero_size_ok)) {
        if (scalar_is_const(&base->s))
            return refuse(v, reason, "%u bytes at offset %lld of %s, which has %llu", a->size,
                          (long long)(off + (int64_t)r->umax), what, (unsigned long long)limit);
        return refuse(v, reason, "%u bytes at an offset of up to %lld of %s, which has %llu", a->size,
                      (long long)(off + (int64_t)r->umax), what, (unsigned long long)limit);
    }
    return REASON_ok;
}

/* The same, without words: most accesses fit. */
static bool fits(const struct reg *base, const struct access *a, uint64_t limit)
{
    int64_t off = (int64_t)base->off + a->off;
    const struct range64 *r = &base->s.r;

    return a->size && r->smin > -MAX_VAR_OFF && r->smin + off >= 0 && r->umax < MAX_VAR_OFF &&
           off + (int64_t)r->umax + (int64_t)a->size <= (int64_t)limit;
}

static enum reason check_map_value(struct verifier *v, const struct state *s, const struct reg *base,
                                   const struct access *a)
{
    const struct map_def *map = base->map;
    char what[96];

    (void)s;
    if (a->write && map_def_prog_flags(map) & MAP_F_RDONLY_PROG)
        return refuse(v, REASON_read_only_memory, "map '%s' is read-only for programs", map->name);
    if (!a->write && map->flags & MAP_F_WRONLY_PROG)
        return refuse(v, REASON_write_only_memory, "map '%s' is write-only for programs", map->name);
    if (!fits(base, a, map->value_size)) {
        enum reason reason;

        snprintf(what, sizeof(what), "a value of map '%.64s'", map->name);
        reason = within(v, REASON_map_value_out_of_bounds, base, a, map->value_size, what);
        if (reason)
            return reason;
    }
    return field_check_access(v, base, a);
}

static enum reason check_map_key(struct verifier *v, const struct state *s, const struct reg *base,
                                 const struct access *a)
{
    (void)s;
    if (a->write)
        return refuse(v, REASON_read_only_memory, "map keys are read-only");
    return within(v, REASON_map_key_out_of_bounds, base, a, base->map->key_size, "the map's key");
}

static enum reason check_map(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a)
{
    (void)s;
    if (a->write)
        return refuse(v, REASON_read_only_memory, "a map itself is not for programs to write");
    if (a->helper)
        return refuse(v, REASON_helper_argument, "a map is no memory");
    return btf_ptr_check_map(v, base, a);
}

/* Linux notes how far programs go, and looks whether there is as much when they are attached; runs look at each access.
 */
static enum reason check_buffer(struct verifier *v, const struct state *s, const struct reg *base,
                                const struct access *a)
{
    (void)s;
    if (a->write && base->flags & REG_READ_ONLY)
        return refuse(v, REASON_read_only_memory, "this memory is read-only");
    if (!scalar_is_const(&base->s) || base->s.t.value)
        return refuse(v, REASON_mem_out_of_bounds, "the offset into the buffer is not constant");
    if (base->off + a->off < 0)
        return refuse(v, REASON_mem_out_of_bounds, "the offset into the buffer is negative: %lld",
                      (long long)(base->off + a->off));
    v->wants_checks = true;
    return REASON_ok;
}

static enum reason check_mem(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a)
{
    (void)s;
    if (a->write && base->flags & REG_READ_ONLY)
        return refuse(v, REASON_read_only_memory, "this memory is read-only");
    if (base->trust & TRUST_UNTRUSTED)
        return a->helper
                   ? refuse(v, REASON_untrusted_pointer, "r%u points into the kernel, and may lead nowhere", a->reg)
                   : REASON_ok;
    return within(v, REASON_mem_out_of_bounds, base, a, base->size, "the memory");
}

static enum reason check_packet(struct verifier *v, const struct state *s, const struct reg *base,
                                const struct access *a)
{
    int64_t off = (int64_t)base->off + a->off;

    (void)s;
    if (a->write && !policy_may_write_packet(v))
        return refuse(v, REASON_packet_access, "programs of type %s may not write to the packet", v->prog->type->name);
    if (base->s.r.smin < 0)
        return refuse(
            v, REASON_packet_out_of_bounds,
            "the offset into the packet may be negative; test it for being at least 0, or use unsigned numbers");
    if (off < 0 || off + (int64_t)a->size > (int64_t)base->size || (!a->size && !a->zero_size_ok))
        return refuse(v, REASON_packet_out_of_bounds,
                      "%u bytes at offset %lld of the packet may lie past data_end: %lld bytes needed, %u proved",
                      a->size, (long long)off, (long long)(off + a->size), base->size);
    return REASON_ok;
}

static enum reason check_ctx(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a)
{
    const struct ctx_layout *layout = v->prog->type ? v->prog->type->ctx : NULL;
    int64_t off = (int64_t)base->off + a->off;
    const struct ctx_field *field;
    uint32_t limit;

    (void)s;
    if (!scalar_is_const(&base->s))
        return refuse(v, REASON_ctx_modified, "the context is accessed at a variable offset");
    if (base->off || base->s.t.value)
        return refuse(v, REASON_ctx_modified, "the context pointer was moved by %lld",
                      (long long)base->off + (long long)base->s.t.value);
    if (a->helper)
        return refuse(v, REASON_helper_argument, "the context is no plain memory");
    if (!layout)
        return refuse(v, REASON_ctx_access, "this program has no context");
    limit = layout->size ? layout->size : v->prog->type->id == PROG_TYPE_SYSCALL ? UINT16_MAX : MAX_RECORD;
    if (off < 0 || off + (int64_t)a->size > limit)
        return refuse(v, REASON_ctx_access, "%u bytes at offset %lld of struct %s, which has %u", a->size,
                      (long long)off, layout->name, limit);
    if (!layout->n_fields) {
        if (a->write && !(layout->access & CTX_WRITE))
            return refuse(v, REASON_ctx_access, "struct %s is read-only", layout->name);
        if (off % a->size)
            return refuse(v, REASON_ctx_access, "%u bytes at offset %lld of struct %s are not aligned", a->size,
                          (long long)off, layout->name);
        return v->prog->type->traits & PROG_TYPED_ARGS ? btf_ctx_check(v, s, (uint32_t)off, a->size) : REASON_ok;
    }
    field = ctx_field_at(layout, (uint32_t)off);
    if (!field || off + (int64_t)a->size > field->off + field->size)
        return refuse(v, REASON_ctx_access, "%u bytes at offset %lld of struct %s are no field of it", a->size,
                      (long long)off, layout->name);
    if (!v->privileged && field->access & (a->write ? CTX_WRITE_CAPABLE : CTX_READ_CAPABLE))
        return refuse(v, REASON_ctx_access, "field '%s' of struct %s is not for unprivileged programs", field->name,
                      layout->name);
    if (!ctx_field_allows(field, (uint32_t)off, a->size, a->write ? CTX_WRITE : CTX_READ))
        return refuse(v, REASON_ctx_access,
                      field->access & (a->write ? CTX_WRITE : CTX_READ)
                          ? "field '%s' of struct %s has %u bytes and is not to be %s by %u of them"
                          : "field '%s' of struct %s, of %u bytes, may not be %s by programs of this type (%u bytes)",
                      field->name, layout->name, field->size, a->write ? "written" : "read", a->size);
    if (!policy_ctx(v->prog->type, v->prog->attach_type, (uint32_t)off, a->write))
        return refuse(v, REASON_ctx_access, "field '%s' of struct %s may not be %s by programs of type %s for %s",
                      field->name, layout->name, a->write ? "written" : "read", v->prog->type->name,
                      attach_type_name(v->prog->attach_type) ? attach_type_name(v->prog->attach_type) : "this hook");
    return REASON_ok;
}

static enum reason check_kernel(struct verifier *v, const struct state *s, const struct reg *base,
                                const struct access *a)
{
    (void)s;
    (void)base;
    (void)a;
    return unsupported(v, "sockets and kernel pointers");
}

static enum reason check_none(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a)
{
    (void)s;
    return refuse(v, REASON_not_a_pointer, "r%u is a %s and cannot be used to access memory", a->reg,
                  reg_kind_name(base));
}

/* Whatever the number is, what is not there reads as 0 and is not written: nothing is left to prove. */
static enum reason check_arena(struct verifier *v, const struct state *s, const struct reg *base,
                               const struct access *a)
{
    (void)s;
    if (a->helper)
        return refuse(v, REASON_helper_argument, "r%u is an %s, which helpers take no memory from", a->reg,
                      reg_kind_name(base));
    return REASON_ok;
}

typedef enum reason (*check_fn)(struct verifier *, const struct state *, const struct reg *, const struct access *);

static const check_fn checks[REG_KIND_COUNT] = {
    [REG_NONE] = check_none,
    [REG_SCALAR] = check_none,
    [REG_CTX] = check_ctx,
    [REG_STACK] = stack_check,
    [REG_MAP] = check_map,
    [REG_MAP_VALUE] = check_map_value,
    [REG_MAP_KEY] = check_map_key,
    [REG_PACKET] = check_packet,
    [REG_PACKET_META] = check_packet,
    [REG_PACKET_END] = check_none,
    [REG_MEM] = check_mem,
    [REG_FUNC] = check_none,
    [REG_SOCK_COMMON] = sock_check,
    [REG_SOCKET] = sock_check,
    [REG_TCP_SOCK] = sock_check,
    [REG_XDP_SOCK] = sock_check,
    [REG_FLOW_KEYS] = flow_keys_check,
    [REG_BTF] = btf_ptr_check,
    [REG_BUFFER] = check_buffer,
    [REG_DYNPTR] = check_none,
    [REG_ARENA] = check_arena,
    [REG_KERNEL] = check_kernel,
};

enum reason mem_check(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a)
{
    if (base->kind == REG_NONE)
        return refuse(v, REASON_uninitialized_register, "r%u was not written on this path", a->reg);
    if (base->kind == REG_KERNEL)
        return checks[REG_KERNEL](v, s, base, a);
    if (base->flags & REG_MAYBE_NULL)
        return refuse(v, REASON_null_check_missing, "r%u is a %s", a->reg, reg_kind_name(base));
    if (v->opts->strict_alignment &&
        (base->kind == REG_PACKET || base->kind == REG_MAP_VALUE || base->kind == REG_MEM) && a->size && !a->helper &&
        !tnum_is_aligned(
            tnum_add(base->s.t, tnum_const((uint64_t)(base->off + a->off + (base->kind == REG_PACKET ? 2 : 0)))),
            a->size))
        return refuse(v, REASON_misaligned, "%u bytes at an offset that is not a multiple of it", a->size);
    if (a->atomic) {
        if (base->kind == REG_CTX || base->kind == REG_PACKET || base->kind == REG_PACKET_META ||
            base->kind == REG_FLOW_KEYS || reg_is_socket(base))
            return refuse(v, REASON_atomic_operand, "r%u is a %s", a->reg, reg_kind_name(base));
        if (reg_is_pointer(base) && base->kind != REG_ARENA &&
            !tnum_is_aligned(tnum_add(base->s.t, tnum_const((uint64_t)(base->off + a->off))), a->size))
            return refuse(v, REASON_misaligned, "an atomic of %u bytes at an offset that is not a multiple of it",
                          a->size);
    }
    return checks[base->kind](v, s, base, a);
}

static struct reg ctx_value(struct verifier *v, const struct reg *base, const struct access *a)
{
    const struct ctx_field *field = ctx_field_at(v->prog->type->ctx, (uint32_t)(base->off + a->off));
    struct reg out = {.s = scalar_const(0)};

    switch (field ? field->kind : CTX_PLAIN) {
    case CTX_PACKET: out.kind = REG_PACKET; return out;
    case CTX_PACKET_META: out.kind = REG_PACKET_META; return out;
    case CTX_PACKET_END: out.kind = REG_PACKET_END; return out;
    case CTX_SOCKET: return sock_reg(v, REG_SOCKET, false);
    case CTX_SOCKET_OR_NULL: return sock_reg(v, REG_SOCKET, true);
    case CTX_SOCK_COMMON_OR_NULL: return sock_reg(v, REG_SOCK_COMMON, true);
    case CTX_FLOW_KEYS: out.kind = REG_FLOW_KEYS; return out;
    default: break;
    }
    if (v->prog->type->traits & PROG_TYPED_ARGS)
        return btf_ctx_value(v, (uint32_t)(base->off + a->off), a->size);
    return reg_unknown();
}

struct reg mem_value(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a,
                     bool sign)
{
    struct reg out = reg_unknown();
    uint64_t value;

    (void)s;
    if (field_loaded(v, base, a))
        return kptr_loaded(v, s, field_loaded(v, base, a));
    if (base->kind == REG_BTF)
        out = btf_ptr_value(v, s, base, a);
    if (base->kind == REG_MAP)
        out = btf_ptr_map_value(v, s, base, a);
    if (out.kind != REG_SCALAR)
        return out;
    if (base->kind == REG_CTX) {
        out = ctx_value(v, base, a);
        if (out.kind != REG_SCALAR)
            return out;
    }
    if (base->kind == REG_MAP_VALUE && scalar_is_const(&base->s) && base->map->flags & MAP_F_RDONLY_PROG &&
        v->opts->read_const &&
        v->opts->read_const(v->opts->read_const_ctx, base->map,
                            (uint64_t)base->off + (uint64_t)a->off + base->s.t.value, a->size, &value))
        out = reg_const(value);
    out.s = scalar_cast(&out.s, a->size, sign);
    return out;
}
