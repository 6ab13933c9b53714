/*
 * Hooks on sockets: ctx_in is the struct, data_in the bytes between its packet pointers (a message, an option's value,
 * a segment). Linux has no test run for these; what a hook's caller would have put into the context is made from what
 * was given.
 *
 * A field `sk` of ctx_in is the cookie of a socket of the run's world. 0 is the run's own socket, whose fields are then
 * the context's; a socket of the world fills in the context's fields instead. Programs get an address, never what the
 * caller gave.
 */
#include "vm/sock.h"
#include "vm/abi/ctx.h"
#include "vm/ctx/hook.h"
#include "vm/ctx/packet.h"
#include "vm/ctx/store.h"
#include <errno.h>
#include <string.h>

enum { MAX_DATA = 1 << 20 };

/* struct sk_msg_md without its packet pointers, and what struct bpf_sock_ops has in the same order. */
struct ends {
    uint32_t family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port;
};

struct msg_ctx {
    uint64_t data, data_end;
    struct ends ends;
    uint32_t size;
    uint64_t sk;
};

struct ops_ctx {
    uint32_t op, args[4];
    struct ends ends;
    uint32_t is_fullsock, snd_cwnd, srtt_us, cb_flags, state, rtt_min, counters[17], txhash;
    uint64_t bytes_received, bytes_acked, sk, data, data_end;
    uint32_t skb_len, tcp_flags;
    uint64_t hwtstamp;
};

struct reuseport_ctx {
    uint64_t data, data_end;
    uint32_t len, eth_protocol, ip_protocol, bind_inany, hash, pad;
    uint64_t sk, migrating_sk;
};

struct addr_ctx {
    uint32_t user_family, user_ip4, user_ip6[4], user_port, family, type, protocol, src_ip4, src_ip6[4], pad;
    uint64_t sk;
};

struct opt_ctx {
    uint64_t sk, optval, optval_end;
    int32_t level, optname, optlen, retval;
};

_Static_assert(sizeof(struct msg_ctx) == 80 && sizeof(struct ops_ctx) == 224 && sizeof(struct reuseport_ctx) == 56 &&
                   sizeof(struct addr_ctx) == 72 && sizeof(struct opt_ctx) == 40,
               "structs have Linux's sizes");

/* ---- Ends of a connection ---- */

static uint32_t shown_port(uint16_t be)
{
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? (uint32_t)be << 16 : be;
}

static void ends_of_sock(struct ends *e, const struct sock_view *v)
{
    e->family = v->family;
    e->remote_ip4 = v->dst_ip4;
    e->local_ip4 = v->src_ip4;
    memcpy(e->remote_ip6, v->dst_ip6, sizeof(e->remote_ip6));
    memcpy(e->local_ip6, v->src_ip6, sizeof(e->local_ip6));
    e->remote_port = shown_port(v->dst_port);
    e->local_port = v->src_port;
}

static void sock_of_ends(struct sock *sk, const struct ends *e)
{
    struct sock_view *v = &sk->view;

    v->family = e->family ? e->family : SOCK_INET;
    v->type = SOCK_TYPE_STREAM;
    v->protocol = SOCK_TCP;
    v->state = SOCK_ESTABLISHED;
    v->dst_ip4 = e->remote_ip4;
    v->src_ip4 = e->local_ip4;
    memcpy(v->dst_ip6, e->remote_ip6, sizeof(v->dst_ip6));
    memcpy(v->src_ip6, e->local_ip6, sizeof(v->src_ip6));
    v->dst_port = (uint16_t)(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? e->remote_port >> 16 : e->remote_port);
    v->src_port = e->local_port & 0xffff;
}

/* ---- What they share ---- */

static int find_sock(struct skep_env *env, uint64_t cookie, struct sock **out, const struct log *log)
{
    *out = sock_by_cookie(env, cookie);
    if (*out)
        return 0;
    return cookie ? log_fail(log, -EINVAL, "context: the run's world has no socket with the cookie %llu",
                             (unsigned long long)cookie)
                  : log_fail(log, -ENOMEM, "no memory for a socket");
}

static int take(struct skep_env *env, const struct prog_type *type, const struct ctx_io *io, const struct log *log)
{
    int err = ctx_take_user(env, io, type->ctx->size, log);

    if (err)
        return err;
    if (!ctx_make(env, type->ctx->size))
        return log_fail(log, -ENOMEM, "no memory for a context of %u bytes", type->ctx->size);
    env->ctx_layout = type->ctx;
    memcpy(env->ctx, env->ctx_store->user, type->ctx->size);
    return 0;
}

static int take_data(struct skep_env *env, const struct ctx_io *io, uint32_t size, const struct log *log)
{
    if (io->data_size_in > MAX_DATA)
        return log_fail(log, -EINVAL, "data of %u bytes: at most %u", io->data_size_in, MAX_DATA);
    if (!packet_make(env, CTX_HEADROOM, size, CTX_TAILROOM))
        return log_fail(log, -ENOMEM, "no memory for %u bytes of data", size);
    if (io->data_size_in)
        memcpy(env->packet.data, io->data_in, io->data_size_in < size ? io->data_size_in : size);
    hook_place_packet(env);
    return 0;
}

static bool is_pointer(const struct ctx_field *f)
{
    return f->kind != CTX_PLAIN;
}

/* Addresses of this process are no result: their fields are as they were given. */
static int give_ctx(struct skep_env *env, const struct prog_type *type, struct ctx_io *io)
{
    for (uint32_t i = 0; i < type->ctx->n_fields; i++) {
        const struct ctx_field *f = &type->ctx->fields[i];

        if (is_pointer(f))
            memcpy((char *)env->ctx + f->off, env->ctx_store->user + f->off, f->size);
    }
    return ctx_give_ctx(io, env->ctx, env->ctx_size);
}

void hook_place_packet(struct skep_env *env)
{
    const struct ctx_layout *layout = env->ctx_layout;
    uint64_t start = (uintptr_t)env->packet.data, end = (uintptr_t)env->packet.data_end;

    if (!layout || layout->packet != CTX_PACKET_HELD)
        return;
    for (uint32_t i = 0; i < layout->n_fields; i++) {
        const struct ctx_field *f = &layout->fields[i];

        if (f->kind == CTX_PACKET)
            memcpy((char *)env->ctx + f->off, &start, sizeof(start));
        else if (f->kind == CTX_PACKET_END)
            memcpy((char *)env->ctx + f->off, &end, sizeof(end));
    }
}

/* ---- sk_msg ---- */

struct hook_msg *hook_msg(struct skep_env *env)
{
    return env->ctx_layout && env->ctx_store && env->ctx_layout == &ctx_sk_msg_md ? &env->ctx_store->msg : NULL;
}

static int open_msg(struct skep_env *env, const struct prog_type *type, const struct ctx_io *io, const struct log *log)
{
    struct msg_ctx *ctx;
    struct sock *sk;
    int err = take(env, type, io, log);

    if (!err)
        err = take_data(env, io, io->data_size_in, log);
    if (!err)
        err = find_sock(env, ((struct msg_ctx *)env->ctx)->sk, &sk, log);
    if (err)
        return err;
    ctx = env->ctx;
    if (ctx->sk)
        ends_of_sock(&ctx->ends, &sk->view);
    else
        sock_of_ends(sk, &ctx->ends);
    ctx->ends.family = sk->view.family;
    ctx->size = io->data_size_in;
    ctx->sk = (uintptr_t)&sk->view;
    env->sk = sk;
    env->ctx_store->msg = (struct hook_msg){0};
    return 0;
}

static int close_msg(struct skep_env *env, const struct prog_type *type, struct ctx_io *io)
{
    const struct hook_msg *m = &env->ctx_store->msg;
    int err = ctx_give_data(io, env->packet.data - m->front, m->front + packet_len(env) + m->behind);

    return err ? err : give_ctx(env, type, io);
}

/* ---- sock_ops ---- */

/* The counters stand in both records in one order, with the state and the flags of callbacks between them here. */
static void ops_of_tcp(struct ops_ctx *c, const struct sock_tcp *t)
{
    c->snd_cwnd = t->snd_cwnd;
    c->srtt_us = t->srtt_us;
    c->rtt_min = t->rtt_min;
    memcpy(c->counters, &t->snd_ssthresh, sizeof(c->counters));
    c->bytes_received = t->bytes_received;
    c->bytes_acked = t->bytes_acked;
}

static void tcp_of_ops(struct sock_tcp *t, const struct ops_ctx *c)
{
    t->snd_cwnd = c->snd_cwnd;
    t->srtt_us = c->srtt_us;
    t->rtt_min = c->rtt_min;
    memcpy(&t->snd_ssthresh, c->counters, sizeof(c->counters));
    t->bytes_received = c->bytes_received;
    t->bytes_acked = c->bytes_acked;
}

_Static_assert(offsetof(struct ops_ctx, txhash) == 164 && offsetof(struct ops_ctx, counters) == 96 &&
                   offsetof(struct sock_tcp, sacked_out) - offsetof(struct sock_tcp, snd_ssthresh) == 64,
               "the counters are those of struct bpf_tcp_sock");

static int open_ops(struct skep_env *env, const struct prog_type *type, const struct ctx_io *io, const struct log *log)
{
    enum { TCP_FLAGS = 13, TCP_LEAST = 20, TCP_LONGEST = 60 };
    struct ops_ctx *ctx;
    struct sock *sk;
    int err = take(env, type, io, log);

    if (!err)
        err = take_data(env, io, io->data_size_in, log);
    if (!err)
        err = find_sock(env, ((struct ops_ctx *)env->ctx)->sk, &sk, log);
    if (err)
        return err;
    env->packet.read_only = true;
    ctx = env->ctx;
    if (ctx->sk) {
        ends_of_sock(&ctx->ends, &sk->view);
        ops_of_tcp(ctx, &sk->tcp);
        ctx->state = sk->view.state;
        ctx->cb_flags = sk->cb_flags;
        ctx->is_fullsock = sock_is_full(sk);
        ctx->txhash = sk->txhash;
    } else {
        sock_of_ends(sk, &ctx->ends);
        tcp_of_ops(&sk->tcp, ctx);
        sk->view.state = ctx->state ? ctx->state : SOCK_ESTABLISHED;
        sk->cb_flags = ctx->cb_flags;
    }
    ctx->ends.family = sk->view.family;
    if (!env->ctx_store->has_user || io->ctx_size_in <= offsetof(struct ops_ctx, is_fullsock))
        ctx->is_fullsock = 1;
    ctx->sk = ctx->is_fullsock ? (uintptr_t)&sk->view : 0;
    if (!ctx->skb_len)
        ctx->skb_len = io->data_size_in;
    if (!ctx->tcp_flags && io->data_size_in > TCP_FLAGS)
        ctx->tcp_flags = ((const unsigned char *)io->data_in)[TCP_FLAGS];
    env->sk = sk;
    env->ctx_store->hdr_opts.reserved = 0;
    env->ctx_store->hdr_opts.remaining =
        io->data_size_in < TCP_LONGEST ? TCP_LONGEST - (io->data_size_in < TCP_LEAST ? TCP_LEAST : io->data_size_in)
                                       : 0;
    return 0;
}

static int close_data(struct skep_env *env, const struct prog_type *type, struct ctx_io *io)
{
    int err = ctx_give_data(io, env->packet.data, packet_len(env));

    return err ? err : give_ctx(env, type, io);
}

/* ---- sk_reuseport ---- */

static int open_reuseport(struct skep_env *env, const struct prog_type *type, const struct ctx_io *io,
                          const struct log *log)
{
    struct reuseport_ctx *ctx;
    struct sock *sk, *migrating = NULL;
    int err = take(env, type, io, log);

    if (!err)
        err = take_data(env, io, io->data_size_in, log);
    if (!err)
        err = find_sock(env, ((struct reuseport_ctx *)env->ctx)->sk, &sk, log);
    if (!err && ((struct reuseport_ctx *)env->ctx)->migrating_sk)
        err = find_sock(env, ((struct reuseport_ctx *)env->ctx)->migrating_sk, &migrating, log);
    if (err)
        return err;
    env->packet.read_only = true;
    ctx = env->ctx;
    if (!ctx->sk) {
        sk->view.family = __builtin_bswap16((uint16_t)ctx->eth_protocol) == 0x86dd ? SOCK_INET6 : SOCK_INET;
        sk->view.protocol = ctx->ip_protocol ? ctx->ip_protocol : SOCK_TCP;
        sk->view.type = sk->view.protocol == SOCK_TCP ? SOCK_TYPE_STREAM : SOCK_TYPE_DGRAM;
        sk->view.state = sk->view.protocol == SOCK_TCP ? SOCK_LISTEN : SOCK_CLOSE;
    }
    if (!ctx->len)
        ctx->len = io->data_size_in;
    ctx->sk = (uintptr_t)&sk->view;
    ctx->migrating_sk = migrating ? (uintptr_t)&migrating->view : 0;
    env->sk = sk;
    return 0;
}

/* ---- cgroup_sock_addr and cgroup_sock ---- */

static int no_data(const struct prog_type *type, const struct ctx_io *io, const struct log *log)
{
    if (!io->data_size_in)
        return 0;
    return log_fail(log, -EINVAL, "%s programs take no data_in, only a context", type->name);
}

static int open_addr(struct skep_env *env, const struct prog_type *type, const struct ctx_io *io, const struct log *log)
{
    struct addr_ctx *ctx;
    struct sock *sk;
    int err = no_data(type, io, log);

    if (!err)
        err = take(env, type, io, log);
    if (!err)
        err = find_sock(env, ((struct addr_ctx *)env->ctx)->sk, &sk, log);
    if (err)
        return err;
    ctx = env->ctx;
    if (ctx->sk) {
        ctx->family = sk->view.family;
        ctx->type = sk->view.type;
        ctx->protocol = sk->view.protocol;
    } else {
        sk->view.family = ctx->family ? ctx->family : ctx->user_family;
        sk->view.type = ctx->type;
        sk->view.protocol = ctx->protocol;
    }
    ctx->sk = (uintptr_t)&sk->view;
    env->sk = sk;
    return 0;
}

/* The context is the socket's own record, in memory of the context's so that programs may write to some of it. */
static int open_sock(struct skep_env *env, const struct prog_type *type, const struct ctx_io *io, const struct log *log)
{
    struct sock *sk = sock_own(env);
    int err = no_data(type, io, log);

    if (!err && !sk)
        err = log_fail(log, -ENOMEM, "no memory for a socket");
    if (!err)
        err = take(env, type, io, log);
    if (err)
        return err;
    if (io->ctx_in)
        memcpy(&sk->view, env->ctx, sizeof(sk->view));
    else
        memcpy(env->ctx, &sk->view, sizeof(sk->view));
    env->sk = sk;
    return 0;
}

/* ---- cgroup_sockopt ---- */

static int open_opt(struct skep_env *env, const struct prog_type *type, const struct ctx_io *io, const struct log *log)
{
    enum { LEAST = 16, PAGE = 4096 }; /* what Linux allocates at least and at most */
    struct opt_ctx *ctx;
    struct sock *sk;
    int32_t len;
    uint32_t room;
    int err = take(env, type, io, log);

    if (err)
        return err;
    ctx = env->ctx;
    len = ctx->optlen ? ctx->optlen : (int32_t)io->data_size_in;
    if (len < 0 || len > MAX_DATA || io->data_size_in > (uint32_t)len)
        return log_fail(log, -EINVAL, "context: optlen %d does not fit data_in of %u bytes; at most %u are taken", len,
                        io->data_size_in, MAX_DATA);
    room = len < LEAST ? LEAST : len > PAGE ? PAGE : (uint32_t)len;
    err = take_data(env, io, room, log);
    if (!err)
        err = find_sock(env, ctx->sk, &sk, log);
    if (err)
        return err;
    if (!ctx->sk) {
        sk->view.family = SOCK_INET;
        sk->view.type = SOCK_TYPE_STREAM;
        sk->view.protocol = SOCK_TCP;
    }
    ctx->optlen = len;
    ctx->sk = (uintptr_t)&sk->view;
    env->sk = sk;
    return 0;
}

/* The value as long as the program says it is; what is out of bounds Linux refuses (hook_result). */
static int close_opt(struct skep_env *env, const struct prog_type *type, struct ctx_io *io)
{
    const struct opt_ctx *ctx = env->ctx;
    uint32_t room = packet_len(env), len = ctx->optlen < 0 ? 0 : (uint32_t)ctx->optlen;
    int err = ctx_give_data(io, env->packet.data, len < room ? len : room);

    return err ? err : give_ctx(env, type, io);
}

const struct ctx_kind ctx_kind_msg = {open_msg, close_msg};
const struct ctx_kind ctx_kind_sock_ops = {open_ops, close_data};
const struct ctx_kind ctx_kind_reuseport = {open_reuseport, close_data};
const struct ctx_kind ctx_kind_sock_addr = {open_addr, give_ctx};
const struct ctx_kind ctx_kind_sock = {open_sock, give_ctx};
const struct ctx_kind ctx_kind_sockopt = {open_opt, close_opt};
