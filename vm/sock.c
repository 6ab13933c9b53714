/*
 * The environment's array of sockets: the own one first, then copies of the world's in its order. Records stay where
 * they are from the beginning of a run to its end, since programs hold their addresses.
 */
#include "vm/sock.h"
#include "vm/env.h"
#include <stdlib.h>
#include <string.h>

static bool reserve(struct skep_env *env, uint32_t n)
{
    struct sock *more;

    if (n <= env->cap_socks)
        return true;
    more = realloc(env->socks, n * sizeof(*more));
    if (!more)
        return false;
    env->socks = more;
    env->cap_socks = n;
    return true;
}

static void make_new(struct sock *sk)
{
    *sk = (struct sock){.view = {.state = SOCK_CLOSE, .rx_queue_mapping = -1}, .uid = 65534};
}

struct sock *sock_own(struct skep_env *env)
{
    if (!env->n_socks) {
        if (!reserve(env, 1))
            return NULL;
        env->n_socks = 1;
        make_new(&env->socks[0]);
    }
    return &env->socks[0];
}

void sock_renew_own(struct skep_env *env)
{
    sock_drop_objects(env);
    if (env->n_socks)
        make_new(&env->socks[0]);
}

bool sock_set_world(struct skep_env *env, const struct sock *socks, uint32_t n)
{
    sock_drop_objects(env);
    env->n_socks = 0;
    if (!n)
        return true;
    if (!reserve(env, n + 1))
        return false;
    make_new(&env->socks[0]);
    memcpy(&env->socks[1], socks, n * sizeof(*socks));
    env->n_socks = n + 1;
    return true;
}

void sock_drop(struct skep_env *env)
{
    sock_drop_objects(env);
    free(env->socks);
    env->socks = NULL;
    env->n_socks = env->cap_socks = 0;
}

bool sock_find_record(const struct skep_env *env, uint64_t addr, void **record, uint64_t *size, const char **name)
{
    uint64_t off = addr - (uintptr_t)env->socks, in;
    const struct sock_object *o = sock_object_at(env, addr);
    struct sock *sk;

    if (o) {
        *record = o->mem;
        *size = o->size;
        *name = "a socket of the kernel";
        return true;
    }
    if (off >= env->n_socks * sizeof(*sk))
        return false;
    sk = &env->socks[off / sizeof(*sk)];
    in = off % sizeof(*sk);
    if (in < sizeof(sk->view)) {
        *record = &sk->view;
        *size = sizeof(sk->view);
        *name = "struct bpf_sock";
        return true;
    }
    if (in < offsetof(struct sock, tcp) || in >= offsetof(struct sock, tcp) + sizeof(sk->tcp))
        return false;
    *record = &sk->tcp;
    *size = sizeof(sk->tcp);
    *name = "struct bpf_tcp_sock";
    return true;
}

struct sock *sock_at(const struct skep_env *env, uint64_t addr)
{
    uint64_t off = addr - (uintptr_t)env->socks, in = off % sizeof(struct sock);
    const struct sock_object *o = sock_object_at(env, addr);

    if (o)
        return addr == (uintptr_t)o->mem ? &env->socks[o->sock] : NULL;
    if (off >= env->n_socks * sizeof(struct sock) || (in && in != offsetof(struct sock, tcp)))
        return NULL;
    return &env->socks[off / sizeof(struct sock)];
}

struct sock *sock_by_cookie(struct skep_env *env, uint64_t cookie)
{
    if (!cookie)
        return sock_own(env);
    for (uint32_t i = 1; i < env->n_socks; i++)
        if (env->socks[i].cookie == cookie)
            return &env->socks[i];
    return NULL;
}

uint64_t sock_cookie(struct skep_env *env, struct sock *sk)
{
    uint64_t last = env->socket_cookie;

    if (sk->cookie)
        return sk->cookie;
    for (uint32_t i = 0; i < env->n_socks; i++)
        if (env->socks[i].cookie > last)
            last = env->socks[i].cookie;
    return sk->cookie = last + 1;
}

static bool is_zero(const uint32_t addr[4])
{
    return !(addr[0] | addr[1] | addr[2] | addr[3]);
}

static uint16_t to_host16(uint16_t v)
{
    return (uint16_t)(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v << 8 | v >> 8 : v);
}

/* Does one of the socket's two addresses equal the tuple's? IPv6 sockets hold IPv4 ones besides. */
static bool same(const struct sock_tuple *t, uint32_t ip4, const uint32_t ip6[4], const uint32_t addr[4])
{
    return t->family == SOCK_INET ? ip4 == addr[0] : !memcmp(ip6, addr, 16);
}

static bool any(const struct sock_tuple *t, uint32_t ip4, const uint32_t ip6[4])
{
    return t->family == SOCK_INET ? !ip4 : is_zero(ip6);
}

static bool is_connected(const struct sock *sk)
{
    return sk->view.dst_port != 0;
}

/* How well a socket fits: 0 not at all, then as Linux's compute_score() weighs the same things. */
static int score(const struct sock *sk, uint32_t protocol, const struct sock_tuple *t, uint32_t ifindex)
{
    const struct sock_view *v = &sk->view;
    int points = v->family == t->family ? 2 : 1;

    if (v->protocol != protocol || v->src_port != to_host16(t->dport))
        return 0;
    if (v->family != t->family && (t->family != SOCK_INET || v->family != SOCK_INET6 || sk->v6only))
        return 0;
    if (v->bound_dev_if && v->bound_dev_if != ifindex)
        return 0;
    points += v->bound_dev_if ? 4 : 0;
    if (is_connected(sk)) {
        if (!same(t, v->src_ip4, v->src_ip6, t->daddr) || !same(t, v->dst_ip4, v->dst_ip6, t->saddr) ||
            v->dst_port != t->sport)
            return 0;
        return points + 64;
    }
    if (protocol == SOCK_TCP && v->state != SOCK_LISTEN)
        return 0;
    if (same(t, v->src_ip4, v->src_ip6, t->daddr))
        return points + 16;
    return any(t, v->src_ip4, v->src_ip6) ? points : 0;
}

struct sock *sock_lookup(const struct skep_env *env, uint32_t protocol, const struct sock_tuple *tuple,
                         uint32_t ifindex)
{
    struct sock *best = NULL;
    int most = 0;

    for (uint32_t i = 1; i < env->n_socks; i++) {
        int points = score(&env->socks[i], protocol, tuple, ifindex);

        if (points > most) {
            most = points;
            best = &env->socks[i];
        }
    }
    return best;
}
