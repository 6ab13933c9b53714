/*
 * Contexts that are the caller's bytes: registers, records, arguments, and structs whose fields the layout knows. What
 * is not given is zero.
 */
#include "vm/abi/prog_types.h"
#include "vm/ctx/packet.h"
#include "vm/ctx/store.h"
#include <errno.h>
#include <string.h>

enum {
    MAX_RECORD = 8192, /* PERF_MAX_TRACE_SIZE: no tracepoint record is longer */
    MAX_ARGS_SIZE = 96,
    MAX_SYSCALL = 65535,
    AF_INET_ = 2,
    AF_INET6_ = 10,
};

static int no_data(const struct prog_type *type, const struct ctx_io *io, const struct log *log)
{
    if (!io->data_size_in)
        return 0;
    return log_fail(log, -EINVAL, "%s programs take no data_in, only a context", type->name);
}

static int make(struct skep_env *env, const struct prog_type *type, uint32_t size, const struct log *log)
{
    if (!ctx_make(env, size))
        return log_fail(log, -ENOMEM, "no memory for a context of %u bytes", size);
    env->ctx_layout = type->ctx;
    return 0;
}

/* The layout's size, or as long as it was given: records have no size of their own. */
static int open_plain(struct skep_env *env, const struct prog_type *type, const struct ctx_io *io,
                      const struct log *log)
{
    uint32_t size = type->ctx->size, max = size ? size : MAX_RECORD;
    int err = no_data(type, io, log);

    if (!err)
        err = ctx_take_user(env, io, max, log);
    if (!size)
        size = io->ctx_in && io->ctx_size_in < max ? io->ctx_size_in : max;
    if (!err)
        err = make(env, type, size, log);
    if (!err)
        memcpy(env->ctx, env->ctx_store->user, size);
    return err;
}

static int close_plain(struct skep_env *env, const struct prog_type *type, struct ctx_io *io)
{
    (void)type;
    return ctx_give_ctx(io, env->ctx, env->ctx_size);
}

static int open_raw_tp(struct skep_env *env, const struct prog_type *type, const struct ctx_io *io,
                       const struct log *log)
{
    int err = no_data(type, io, log);

    if (err)
        return err;
    if (io->ctx_in && io->ctx_size_in > MAX_ARGS_SIZE)
        return log_fail(log, -EINVAL, "context of %u bytes: at most 12 arguments of 8", io->ctx_size_in);
    err = make(env, type, MAX_ARGS_SIZE, log);
    if (!err && io->ctx_in)
        memcpy(env->ctx, io->ctx_in, io->ctx_size_in);
    return err;
}

static int open_syscall(struct skep_env *env, const struct prog_type *type, const struct ctx_io *io,
                        const struct log *log)
{
    uint32_t size = io->ctx_in ? io->ctx_size_in : 0;
    int err = no_data(type, io, log);

    if (err)
        return err;
    if (size > MAX_SYSCALL)
        return log_fail(log, -EINVAL, "context of %u bytes: at most %u", size, MAX_SYSCALL);
    err = make(env, type, size, log);
    if (!err && size)
        memcpy(env->ctx, io->ctx_in, size);
    return err;
}

/* A program without a type works on a copy of data_in, which r1 points to. */
static int open_raw(struct skep_env *env, const struct prog_type *type, const struct ctx_io *io, const struct log *log)
{
    (void)type;
    if (!ctx_make(env, io->data_size_in))
        return log_fail(log, -ENOMEM, "no memory for %u bytes", io->data_size_in);
    if (io->data_size_in)
        memcpy(env->ctx, io->data_in, io->data_size_in);
    return 0;
}

static int close_raw(struct skep_env *env, const struct prog_type *type, struct ctx_io *io)
{
    (void)type;
    return ctx_give_data(io, env->ctx, env->ctx_size);
}

struct sk_lookup {
    uint64_t sk;
    uint32_t family, protocol, remote_ip4, remote_ip6[4];
    uint16_t remote_port, pad;
    uint32_t local_ip4, local_ip6[4], local_port, ingress_ifindex, tail;
};

/* Of what was given, programs see what the kernel keeps: 16 bits of some numbers, addresses of the family only. */
static void narrow(struct sk_lookup *l)
{
    l->family &= 0xffff;
    l->protocol &= 0xffff;
    l->pad = 0;
    if (l->family == AF_INET_) {
        memset(l->remote_ip6, 0, sizeof(l->remote_ip6));
        memset(l->local_ip6, 0, sizeof(l->local_ip6));
    } else {
        l->remote_ip4 = l->local_ip4 = 0;
    }
}

static int open_sk_lookup(struct skep_env *env, const struct prog_type *type, const struct ctx_io *io,
                          const struct log *log)
{
    struct sk_lookup l = {0};
    int err = no_data(type, io, log);

    if (!err && !io->ctx_in)
        err = log_fail(log, -EINVAL, "sk_lookup programs need a context");
    if (!err)
        err = ctx_take_user(env, io, sizeof(l), log);
    if (err)
        return err;
    memcpy(&l, env->ctx_store->user, sizeof(l));
    if (l.sk || l.ingress_ifindex || l.tail)
        return log_fail(log, -EINVAL, "context: %s must be zero", l.sk ? "sk" : "ingress_ifindex and what follows");
    if (l.local_port > 65535)
        return log_fail(log, -ERANGE, "context: local_port %u is no port", l.local_port);
    if ((l.family & 0xffff) != AF_INET_ && (l.family & 0xffff) != AF_INET6_)
        return log_fail(log, -EAFNOSUPPORT, "context: family %u is neither IPv4 (2) nor IPv6 (10)", l.family);
    narrow(&l);
    err = make(env, type, sizeof(l), log);
    if (!err)
        memcpy(env->ctx, &l, sizeof(l));
    return err;
}

/* The cookie of the socket that was chosen stands where its address did, 0 for none. */
static int close_sk_lookup(struct skep_env *env, const struct prog_type *type, struct ctx_io *io)
{
    struct sk_lookup *l = env->ctx;
    struct sock *sk = l->sk ? sock_at(env, l->sk) : NULL;
    uint64_t cookie = sk ? sock_cookie(env, sk) : 0;

    (void)type;
    memcpy(env->ctx_store->user, &cookie, sizeof(cookie));
    return ctx_give_ctx(io, env->ctx_store->user, sizeof(struct sk_lookup));
}

struct flow_keys {
    uint16_t nhoff, thoff, addr_proto;
    uint8_t is_frag, is_first_frag, is_encap, ip_proto;
    uint16_t n_proto, sport, dport;
    uint32_t addresses[8], flags, flow_label;
};

_Static_assert(sizeof(struct flow_keys) == 56, "struct bpf_flow_keys has 56 bytes");

static int open_flow(struct skep_env *env, const struct prog_type *type, const struct ctx_io *io, const struct log *log)
{
    struct flow_keys user = {0}, *keys, none = {0};
    struct skb_view *view;
    int err;

    if (io->data_size_in < PACKET_ETH_HLEN || io->data_size_in > PACKET_PAGE)
        return log_fail(log, -EINVAL, "packet of %u bytes: 14 to %u are taken", io->data_size_in, PACKET_PAGE);
    err = ctx_take_user(env, io, sizeof(user), log);
    if (!err)
        err = make(env, type, sizeof(*view), log);
    if (err)
        return err;
    memcpy(&user, env->ctx_store->user, sizeof(user));
    none.flags = user.flags;
    if (memcmp(&user, &none, sizeof(user)))
        return log_fail(log, -EINVAL, "context: only the flags of struct bpf_flow_keys may be set");
    if (!packet_make(env, 0, io->data_size_in, 0))
        return log_fail(log, -ENOMEM, "no memory for a packet of %u bytes", io->data_size_in);
    memcpy(env->packet.data, io->data_in, io->data_size_in);
    env->packet.read_only = true;
    keys = (struct flow_keys *)env->ctx_store->flow_keys;
    *keys = (struct flow_keys){.nhoff = PACKET_ETH_HLEN, .thoff = PACKET_ETH_HLEN, .flags = user.flags};
    memcpy(&keys->n_proto, env->packet.data + 12, 2);
    view = env->ctx;
    view->flow_keys = (uintptr_t)keys;
    env->mems[env->n_mems++] = (struct env_mem){.guest = (uintptr_t)keys,
                                                .host = (unsigned char *)keys,
                                                .size = sizeof(*keys),
                                                .access = ENV_READ | ENV_WRITE | ENV_DIRECT,
                                                .kind = ENV_MEM_RAW,
                                                .name = "flow_keys"};
    return 0;
}

static uint16_t clamp(uint16_t v, uint16_t low, uint16_t high)
{
    return v < low ? low : v > high ? high : v;
}

static int close_flow(struct skep_env *env, const struct prog_type *type, struct ctx_io *io)
{
    struct flow_keys *keys = (struct flow_keys *)env->ctx_store->flow_keys;
    uint16_t size = (uint16_t)packet_len(env);
    int err;

    (void)type;
    env->n_mems--;
    keys->nhoff = clamp(keys->nhoff, PACKET_ETH_HLEN, size);
    keys->thoff = clamp(keys->thoff, keys->nhoff, size);
    err = ctx_give_data(io, keys, sizeof(*keys));
    return err ? err : ctx_give_ctx(io, env->ctx_store->user, sizeof(*keys));
}

const struct ctx_kind ctx_kind_raw = {open_raw, close_raw};
const struct ctx_kind ctx_kind_plain = {open_plain, close_plain};
const struct ctx_kind ctx_kind_raw_tp = {open_raw_tp, close_plain};
const struct ctx_kind ctx_kind_syscall = {open_syscall, close_plain};
const struct ctx_kind ctx_kind_sk_lookup = {open_sk_lookup, close_sk_lookup};
const struct ctx_kind ctx_kind_flow = {open_flow, close_flow};
