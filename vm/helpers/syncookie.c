/*
 * SYN cookies: Linux's, over addresses, ports and minutes, keyed by SipHash. Linux's keys are random numbers of its
 * boot; ours follow from the seed of the run's random numbers (0 when none was given), so that runs of one seed check
 * what others generated. The minutes are the run's
 * clock's. A listening socket of the world is taken to be flooded, else no cookie would be asked for.
 */
#include "vm/helpers/packet_skb.h"
#include "vm/helpers/siphash.h"

enum { COOKIE_BITS = 24, MAX_AGE = 2, TCP_HEADER = 20, IPV4_HEADER = 20, IPV6_HEADER = 40 };
enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

static const struct siphash_key base[2] = {{{0x736b65702d637331, 0x9e3779b97f4a7c15}},
                                           {{0x736b65702d637332, 0xbf58476d1ce4e5b9}}};
static const uint16_t mss4[] = {536, 1300, 1440, 1460}, mss6[] = {1220, 1420, 1440, 8940};

struct segment {
    const unsigned char *ip, *tcp;
    bool v6;
    uint64_t seed; /* of the keys */
};

static uint32_t be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t put(unsigned char *to, const void *from, uint32_t size)
{
    memcpy(to, from, size);
    return size;
}

/* What is hashed: four words for IPv4; for IPv6 both addresses, the count, the ports. */
static uint32_t hash(const struct segment *s, uint32_t count, int key)
{
    unsigned char text[44];
    struct siphash_key k;
    uint16_t ports[2];
    uint32_t n = 0, both;

    memcpy(ports, s->tcp, sizeof(ports));
    if (s->v6) {
        n += put(text, s->ip + 8, 32);
        n += put(text + n, &count, 4);
        n += put(text + n, ports, 4);
    } else {
        both = (uint32_t)ports[0] << 16 | ports[1];
        n += put(text, s->ip + 12, 8);
        n += put(text + n, &both, 4);
        n += put(text + n, &count, 4);
    }
    k = base[key];
    k.k[0] ^= s->seed;
    return (uint32_t)siphash(text, n, &k);
}

static uint32_t minutes(struct skep_env *env)
{
    return (uint32_t)(env_ktime(env) / 60000000000);
}

/* A sum of words that a later one can take apart with the same key: hash + sequence + minutes + (hash, mss). */
static uint32_t make_cookie(const struct segment *s, uint32_t count, uint32_t seq, uint32_t mss)
{
    enum { MASK = (1 << COOKIE_BITS) - 1 };

    return hash(s, 0, 0) + seq + (count << COOKIE_BITS) + ((hash(s, count, 1) + mss) & MASK);
}

/* @return the index of the MSS, or a number beyond all tables. */
static uint32_t open_cookie(const struct segment *s, uint32_t count, uint32_t seq, uint32_t cookie)
{
    enum { MASK = (1 << COOKIE_BITS) - 1 };
    uint32_t age;

    cookie -= hash(s, 0, 0) + seq;
    age = (count - (cookie >> COOKIE_BITS)) & (UINT32_MAX >> COOKIE_BITS);
    return age >= MAX_AGE ? UINT32_MAX : (cookie - hash(s, count - age, 1)) & MASK;
}

/* The MSS that a SYN announces, 0 for none: its option, inside the header's length. */
static uint16_t announced(const unsigned char *tcp, uint32_t len)
{
    uint16_t mss = 0;

    for (uint32_t i = TCP_HEADER; i < len && tcp[i];) {
        if (tcp[i] == 1) {
            i++;
            continue;
        }
        if (i + 1 >= len || tcp[i + 1] < 2 || i + tcp[i + 1] > len)
            break;
        if (tcp[i] == 2 && tcp[i + 1] == 4)
            mss = (uint16_t)(tcp[i + 2] << 8 | tcp[i + 3]);
        i += tcp[i + 1];
    }
    return mss;
}

static uint16_t mss_of(const struct segment *s, uint32_t len)
{
    enum { DEFAULT4 = 536, DEFAULT6 = 1220 };
    uint16_t mss = announced(s->tcp, len);

    return mss ? mss : s->v6 ? DEFAULT6 : DEFAULT4;
}

static uint64_t generate(struct skep_env *env, const struct segment *s, uint16_t mss)
{
    const uint16_t *table = s->v6 ? mss6 : mss4;
    uint32_t i = 3;

    while (i && mss < table[i])
        i--;
    return make_cookie(s, minutes(env), be32(s->tcp + 4), i) | (uint64_t)table[i] << 32;
}

static bool opens(struct skep_env *env, const struct segment *s)
{
    return open_cookie(s, minutes(env), be32(s->tcp + 4) - 1, be32(s->tcp + 8) - 1) < 4;
}

/* ---- Without a socket ---- */

static uint64_t raw_generate(struct skep_env *env, uint64_t ip, uint64_t tcp, uint32_t len, bool v6)
{
    struct segment s = {helper_ptr(ip), helper_ptr(tcp), v6, env->seed};

    if (len < TCP_HEADER || len != (uint32_t)(s.tcp[12] >> 4) * 4)
        return helper_error(-EINVAL);
    return generate(env, &s, mss_of(&s, len));
}

HELPER_BODY(tcp_raw_gen_syncookie_ipv4)
{
    return raw_generate(env, a1, a2, (uint32_t)a3, false);
}

HELPER_BODY(tcp_raw_gen_syncookie_ipv6)
{
    return raw_generate(env, a1, a2, (uint32_t)a3, true);
}

HELPER_BODY(tcp_raw_check_syncookie_ipv4)
{
    struct segment s = {helper_ptr(a1), helper_ptr(a2), false, env->seed};

    return opens(env, &s) ? 0 : helper_error(-EACCES);
}

HELPER_BODY(tcp_raw_check_syncookie_ipv6)
{
    struct segment s = {helper_ptr(a1), helper_ptr(a2), true, env->seed};

    return opens(env, &s) ? 0 : helper_error(-EACCES);
}

/* ---- For a listening socket ---- */

/* Which header stands there, and may the socket take it? @return 0 or what the helper returns. */
static int read_segment(const struct sock *sk, const unsigned char *ip, uint32_t len, struct segment *s)
{
    if (len < IPV4_HEADER)
        return -EINVAL;
    switch (ip[0] >> 4) {
    case 4: return sk->view.family == SOCK_INET6 && sk->v6only ? -EINVAL : 0;
    case 6: s->v6 = true; return len < IPV6_HEADER || sk->view.family != SOCK_INET6 ? -EINVAL : 0;
    default: return -EPROTONOSUPPORT;
    }
}

static bool listens(const struct sock *sk)
{
    return sk && sk->view.state == SOCK_LISTEN && sk->view.protocol == SOCK_TCP;
}

HELPER_BODY(tcp_check_syncookie)
{
    struct segment s = {helper_ptr(a2), helper_ptr(a4), false, env->seed};
    struct sock *sk = sock_at(env, a1);
    int err;

    if ((uint32_t)a5 < TCP_HEADER || !listens(sk))
        return helper_error(-EINVAL);
    if ((s.tcp[13] & (ACK | RST | SYN)) != ACK)
        return helper_error(-ENOENT);
    err = read_segment(sk, s.ip, (uint32_t)a3, &s);
    if (err)
        return helper_error(err);
    return opens(env, &s) ? 0 : helper_error(-ENOENT);
}

HELPER_BODY(tcp_gen_syncookie)
{
    struct segment s = {helper_ptr(a2), helper_ptr(a4), false, env->seed};
    struct sock *sk = sock_at(env, a1);
    uint32_t len = (uint32_t)a5;
    int err;

    if (len < TCP_HEADER || len != (uint32_t)(s.tcp[12] >> 4) * 4 || !listens(sk))
        return helper_error(-EINVAL);
    if ((s.tcp[13] & (SYN | ACK | FIN | RST)) != SYN)
        return helper_error(-EINVAL);
    err = read_segment(sk, s.ip, (uint32_t)a3, &s);
    if (err)
        return helper_error(err);
    return generate(env, &s, mss_of(&s, len));
}
