/*
 * Sockets as programs see them: struct bpf_sock and its kin, whose fields the layouts of vm/abi/ctx.def name and which
 * are never written. What a socket pointer was cast from and what it was cast to share a reference: whoever releases
 * one of them releases all. Beside them, the flow keys of a dissector, which are plain memory.
 */
#include "verifier/verifier.h"
#include "vm/abi/ctx.h"

static const struct ctx_layout *layout_of(const struct reg *r)
{
    switch (r->kind) {
    case REG_SOCK_COMMON: return &ctx_sock_common;
    case REG_SOCKET: return &ctx_sock;
    case REG_TCP_SOCK: return &ctx_tcp_sock;
    default: return &ctx_xdp_sock;
    }
}

enum reason sock_check(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a)
{
    const struct ctx_layout *layout = layout_of(base);
    int64_t off = (int64_t)base->off + a->off;
    const struct ctx_field *field;

    (void)s;
    if (a->helper)
        return refuse(v, REASON_helper_argument, "a %s is no memory", reg_kind_name(base));
    if (a->write)
        return refuse(v, REASON_read_only_memory, "sockets are read-only");
    if (off < 0 || off + (int64_t)a->size > layout->size)
        return refuse(v, REASON_mem_out_of_bounds, "%u bytes at offset %lld of struct %s, which has %u", a->size,
                      (long long)off, layout->name, layout->size);
    field = ctx_field_at(layout, (uint32_t)off);
    if (!field || !ctx_field_allows(field, (uint32_t)off, a->size, CTX_READ))
        return refuse(v, REASON_ctx_access, "%u bytes at offset %lld of struct %s are not to be read through a %s",
                      a->size, (long long)off, layout->name, reg_kind_name(base));
    return REASON_ok;
}

enum reason flow_keys_check(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a)
{
    int64_t off = (int64_t)base->off + a->off;

    (void)s;
    if (a->helper)
        return refuse(v, REASON_helper_argument, "a %s is no memory for helpers", reg_kind_name(base));
    if (off < 0 || off + (int64_t)a->size > ctx_flow_keys.size)
        return refuse(v, REASON_mem_out_of_bounds, "%u bytes at offset %lld of struct bpf_flow_keys, which has %u",
                      a->size, (long long)off, ctx_flow_keys.size);
    return REASON_ok;
}

struct reg sock_reg(struct verifier *v, enum reg_kind kind, bool maybe_null)
{
    return (struct reg){.kind = (uint8_t)kind,
                        .flags = maybe_null ? REG_MAYBE_NULL : 0,
                        .id = maybe_null ? ++v->next_id : 0,
                        .s = scalar_const(0)};
}

static bool may_be_null(enum arg_kind kind)
{
    return kind == ARG_SOCKET_OR_NULL || kind == ARG_SOCK_OR_NULL;
}

/* A kernel object that begins with what all sockets have in common is one as well, to helpers that look at no more. */
static bool is_socket_object(struct verifier *v, enum arg_kind kind, const struct reg *r)
{
    return (kind == ARG_SOCK || kind == ARG_SOCK_OR_NULL) && r->kind == REG_BTF &&
           (!r->trust || r->trust == TRUST_TRUSTED) && r->off >= 0 && btf_ptr_is(v, r, "sock_common", false);
}

static bool fits(struct verifier *v, enum arg_kind kind, const struct reg *r)
{
    switch (kind) {
    case ARG_SOCKET:
    case ARG_SOCKET_OR_NULL: return r->kind == REG_SOCKET;
    default: return reg_is_socket(r) || is_socket_object(v, kind, r);
    }
}

enum reason sock_argument(struct verifier *v, struct state *s, enum arg_kind kind, unsigned reg)
{
    const struct reg *r = state_reg(s, reg);

    if (may_be_null(kind) && reg_is_const(r) && !r->s.t.value)
        return precision_mark_reg(v, s, reg);
    if (r->flags & REG_MAYBE_NULL && reg_is_pointer(r) && !may_be_null(kind))
        return refuse(v, REASON_null_check_missing, "argument %u (r%u) is a %s where a socket is needed", reg, reg,
                      reg_kind_name(r));
    if (!fits(v, kind, r))
        return refuse(v, REASON_helper_argument, "argument %u (r%u) is a %s where a %s is needed", reg, reg,
                      reg_kind_name(r), kind == ARG_SOCKET || kind == ARG_SOCKET_OR_NULL ? "full socket" : "socket");
    if ((r->off && r->kind != REG_BTF) || !scalar_is_const(&r->s) || r->s.t.value)
        return refuse(v, REASON_helper_argument, "argument %u (r%u) is a socket pointer that was moved", reg, reg);
    return REASON_ok;
}
