/*
 * Sockets: finding them in the run's world, holding them, seeing one as another kind. A socket that was found is held
 * until it is released; the run gives back what a trap left.
 */
#include "vm/sock.h"
#include "vm/ctx/hook.h"
#include "vm/helpers/packet_skb.h"
#include "vm/helpers/sock_map.h"

static void give_back(struct skep_env *env, struct env_ref *ref)
{
    struct sock *sk = sock_at(env, ref->addr);

    if (sk)
        sk->held--;
}

/* What a program gets of a socket that it has to release. */
static uint64_t hold(struct skep_env *env, struct sock *sk)
{
    if (!sk || !env_ref_add(env, (struct env_ref){.addr = (uintptr_t)&sk->view, .release = give_back}))
        return 0;
    sk->held++;
    return (uintptr_t)&sk->view;
}

uint64_t sock_map_hold(struct skep_env *env, struct map *map, const void *key)
{
    return hold(env, sock_map_at(env, map, key));
}

/* struct bpf_sock_tuple by its length; ports follow both addresses. */
static bool read_tuple(struct sock_tuple *t, const unsigned char *from, uint32_t len)
{
    enum { V4 = 12, V6 = 36 };
    uint32_t addr = len == V6 ? 16 : 4;

    if (len != V4 && len != V6)
        return false;
    memset(t, 0, sizeof(*t));
    t->family = len == V6 ? SOCK_INET6 : SOCK_INET;
    memcpy(t->saddr, from, addr);
    memcpy(t->daddr, from + addr, addr);
    memcpy(&t->sport, from + 2 * (size_t)addr, 2);
    memcpy(&t->dport, from + 2 * (size_t)addr + 2, 2);
    return true;
}

static uint32_t ifindex_of(struct skep_env *env)
{
    if (env->skb)
        return skb_view(env)->ifindex;
    if (helper_is_xdp(env))
        return ((const uint32_t *)env->ctx)[3]; /* ingress_ifindex */
    return 0;
}

/* The world has one network namespace, that of the run: its number is any negative one. */
static struct sock *find(struct skep_env *env, uint32_t protocol, uint64_t tuple, uint64_t len, uint64_t netns,
                         uint64_t flags)
{
    struct sock_tuple t;

    if (flags || (int32_t)netns >= 0)
        return NULL;
    if (!read_tuple(&t, helper_ptr(tuple), (uint32_t)len))
        return NULL;
    return sock_lookup(env, protocol, &t, ifindex_of(env));
}

/* Of what has not all fields, lookups for full sockets find nothing. */
static struct sock *full(struct sock *sk)
{
    return sk && sock_is_full(sk) ? sk : NULL;
}

HELPER_BODY(sk_lookup_tcp)
{
    return hold(env, full(find(env, SOCK_TCP, a2, a3, a4, a5)));
}

HELPER_BODY(sk_lookup_udp)
{
    return hold(env, full(find(env, SOCK_UDP, a2, a3, a4, a5)));
}

HELPER_BODY(skc_lookup_tcp)
{
    return hold(env, find(env, SOCK_TCP, a2, a3, a4, a5));
}

HELPER_BODY(sk_release)
{
    /* Whatever it was cast to, the reference is that of the socket as it was found. */
    struct sock *sk = sock_at(env, a1);
    struct env_ref *ref = sk ? env_ref_find(env, (uintptr_t)&sk->view) : NULL;

    if (!ref)
        return helper_refuse(env, "sk_release takes a socket that this run holds");
    sk->held--;
    env_ref_drop(env, ref);
    return 0;
}

HELPER_BODY(sk_fullsock)
{
    struct sock *sk = full(sock_at(env, a1));

    return sk ? (uintptr_t)&sk->view : 0;
}

HELPER_BODY(tcp_sock)
{
    struct sock *sk = full(sock_at(env, a1));

    return sk && sk->view.protocol == SOCK_TCP ? (uintptr_t)&sk->tcp : 0;
}

HELPER_BODY(get_listener_sock)
{
    struct sock *sk = full(sock_at(env, a1));

    return sk && sk->view.state == SOCK_LISTEN ? (uintptr_t)&sk->view : 0;
}

/* ---- As kernel objects ---- */

enum { UNIX = 1 };

/* The same socket as a structure of the kernel's, when it is such a one. What a world's structures hold is one as it
 * stands there. */
static uint64_t as_object(struct skep_env *env, uint64_t addr, bool (*is)(const struct sock *sk))
{
    struct sock *sk = addr ? sock_at(env, addr) : NULL, seen;

    if (sk)
        return is(sk) ? sock_object(env, sk) : 0;
    return addr && sock_read_object(env, addr, &seen) && is(&seen) ? addr : 0;
}

static bool is_tcp(const struct sock *sk)
{
    return sock_is_full(sk) && sock_is_tcp(sk);
}

static bool is_tcp6(const struct sock *sk)
{
    return is_tcp(sk) && sk->view.family == SOCK_INET6;
}

static bool is_timewait(const struct sock *sk)
{
    return (sk->view.family == SOCK_INET || sk->view.family == SOCK_INET6) && sk->view.state == SOCK_TIME_WAIT;
}

static bool is_request(const struct sock *sk)
{
    return (sk->view.family == SOCK_INET || sk->view.family == SOCK_INET6) && sk->view.state == SOCK_NEW_SYN_RECV;
}

static bool is_udp6(const struct sock *sk)
{
    return sock_is_full(sk) && sk->view.protocol == SOCK_UDP && sk->view.type == SOCK_TYPE_DGRAM &&
           sk->view.family == SOCK_INET6;
}

static bool is_unix(const struct sock *sk)
{
    return sock_is_full(sk) && sk->view.family == UNIX;
}

HELPER_BODY(skc_to_tcp_sock)
{
    return as_object(env, a1, is_tcp);
}

HELPER_BODY(skc_to_tcp6_sock)
{
    return as_object(env, a1, is_tcp6);
}

HELPER_BODY(skc_to_tcp_timewait_sock)
{
    return as_object(env, a1, is_timewait);
}

HELPER_BODY(skc_to_tcp_request_sock)
{
    return as_object(env, a1, is_request);
}

HELPER_BODY(skc_to_udp6_sock)
{
    return as_object(env, a1, is_udp6);
}

HELPER_BODY(skc_to_unix_sock)
{
    return as_object(env, a1, is_unix);
}

/* No socket of a world is a part of a connection with several paths. */
HELPER_BODY(skc_to_mptcp_sock)
{
    return 0;
}

/* ---- Choosing one ---- */

enum { REPLACE = 1, NO_REUSEPORT = 2 };

/* struct bpf_sk_lookup as far as the choice goes. */
struct lookup_ctx {
    uint64_t sk;
    uint32_t family, protocol;
};

static int choose(struct lookup_ctx *ctx, const struct sock *sk, uint64_t flags)
{
    if (flags & ~(uint64_t)(REPLACE | NO_REUSEPORT))
        return -EINVAL;
    if (sk && sk->view.state == SOCK_ESTABLISHED)
        return -ESOCKTNOSUPPORT;
    if (sk && sk->view.protocol != ctx->protocol)
        return -EPROTOTYPE;
    if (sk && sk->view.family != ctx->family && (sk->view.family == SOCK_INET || sk->v6only))
        return -EAFNOSUPPORT;
    if (ctx->sk && !(flags & REPLACE))
        return -EEXIST;
    ctx->sk = sk ? (uintptr_t)&sk->view : 0;
    return 0;
}

/* For packets, the socket that will get them; only one that packets reach may be chosen, and not one of a group. */
static int direct(struct skep_env *env, struct sock *sk, uint64_t flags)
{
    if (!sk || flags)
        return -EINVAL;
    if (sk == &env->socks[0]) /* the run's own is known to nobody */
        return -EOPNOTSUPP;
    if (sock_is_full(sk) && sk->reuseport)
        return -ESOCKTNOSUPPORT;
    env->sk = sk;
    skb_view(env)->sk = (uintptr_t)&sk->view;
    return 0;
}

HELPER_BODY(sk_assign)
{
    struct sock *sk = a2 ? sock_at(env, a2) : NULL;

    if (a2 && !sk)
        return helper_refuse(env, "sk_assign takes a socket");
    if (env->ctx_layout == &ctx_sk_lookup)
        return helper_error(choose(env->ctx, sk, a3));
    if (!env->skb)
        return helper_refuse(env, "this program type does not take this helper");
    return helper_error(direct(env, sk, a3));
}

/* ---- What is known of one ---- */

/* Of programs whose context is about a socket; programs of the tracer name one. */
static struct sock *meant(struct skep_env *env, uint64_t arg)
{
    struct sock *sk = arg == (uintptr_t)env->ctx ? env->sk : sock_at(env, arg);

    return sk;
}

HELPER_BODY(get_socket_cookie)
{
    struct sock *sk = meant(env, a1);

    return sk ? sock_cookie(env, sk) : env->socket_cookie;
}

/* overflowuid, which Linux gives for a socket that no user owns. */
HELPER_BODY(get_socket_uid)
{
    enum { OVERFLOW_UID = 65534 };

    return env->sk && env->sk != &env->socks[0] ? env->sk->uid : OVERFLOW_UID;
}
