/*
 * What is known of a socket buffer besides its bytes: the cgroup of its socket, the options of its tunnel, its
 * transforms; and the mark of congestion. Cgroups are those of the run's world; a test run's own socket is in the root.
 */
#include "vm/helpers/packet_skb.h"
#include "vm/maps/map.h"

enum { ROOT = 1 };

static uint64_t cgroup_of(struct skep_env *env, const struct sock *sk)
{
    if (sk == &env->socks[0])
        return ROOT;
    return sk->cgroup_id ? sk->cgroup_id : env->cgroup_id ? env->cgroup_id : ROOT;
}

/* The world has the root, which is level 0, and its children. */
static uint64_t ancestor(uint64_t cgroup, int32_t level)
{
    return level == 0 ? ROOT : level == 1 && cgroup != ROOT ? cgroup : 0;
}

HELPER_BODY(skb_cgroup_id)
{
    NEED_SKB(env);
    return env->sk && sock_is_full(env->sk) ? cgroup_of(env, env->sk) : 0;
}

HELPER_BODY(skb_ancestor_cgroup_id)
{
    NEED_SKB(env);
    return env->sk && sock_is_full(env->sk) ? ancestor(cgroup_of(env, env->sk), (int32_t)a2) : 0;
}

HELPER_BODY(sk_cgroup_id)
{
    struct sock *sk = sock_at(env, a1);

    return sk && sock_is_full(sk) ? cgroup_of(env, sk) : 0;
}

HELPER_BODY(sk_ancestor_cgroup_id)
{
    struct sock *sk = sock_at(env, a1);

    return sk && sock_is_full(sk) ? ancestor(cgroup_of(env, sk), (int32_t)a2) : 0;
}

HELPER_BODY(skb_under_cgroup)
{
    const struct map *map = helper_map(a2);
    uint32_t index = (uint32_t)a3, number;

    NEED_SKB(env);
    if (!env->sk || !sock_is_full(env->sk))
        return helper_error(-ENOENT);
    if (index >= map->def.max_entries)
        return helper_error(-E2BIG);
    number = map_cgroup_at(map, index);
    if (!number)
        return helper_error(-EAGAIN);
    return number == ROOT || number == cgroup_of(env, env->sk);
}

/* net_cls is a controller of cgroup v1, which the world has not. */
HELPER_BODY(skb_cgroup_classid)
{
    NEED_SKB(env);
    return 0;
}

/* ---- Options of the outer header ---- */

enum { OPTIONS_PRESENT = 0x0800 };

HELPER_BODY(skb_set_tunnel_opt)
{
    uint32_t size = (uint32_t)a3;
    struct skb *skb = env->skb;

    NEED_SKB(env);
    if (!skb->has_tunnel || size % 4)
        return helper_error(-EINVAL);
    if (size > SKB_TUNNEL_OPT)
        return helper_error(-ENOMEM);
    memcpy(skb->tunnel_opt, helper_ptr(a2), size);
    skb->tunnel_opt_len = (uint8_t)size;
    skb->tunnel_flags |= swap_to_be16(OPTIONS_PRESENT);
    skb->has_tunnel_opt = true;
    return 0;
}

HELPER_BODY(skb_get_tunnel_opt)
{
    uint32_t size = (uint32_t)a3;
    const struct skb *skb = env->skb;

    NEED_SKB(env);
    memset(helper_ptr(a2), 0, size);
    if (!skb->has_tunnel || !skb->has_tunnel_opt)
        return helper_error(-ENOENT);
    if (size < skb->tunnel_opt_len)
        return helper_error(-ENOMEM);
    memcpy(helper_ptr(a2), skb->tunnel_opt, skb->tunnel_opt_len);
    return skb->tunnel_opt_len;
}

/* A packet comes without transforms. */
HELPER_BODY(skb_get_xfrm_state)
{
    NEED_SKB(env);
    memset(helper_ptr(a3), 0, (uint32_t)a4);
    return helper_error(-EINVAL);
}

/* ---- Congestion ---- */

enum { ECN_MASK = 3, ECN_NONE = 0, ECN_CE = 3 };

/* IPv4: the checksum follows, one's complement wise (RFC 1624). */
static uint64_t mark_ipv4(unsigned char *ip)
{
    uint32_t ecn = ip[1] & ECN_MASK, check = (uint32_t)(ip[10] << 8 | ip[11]), sum;

    if (ecn == ECN_NONE || ecn == ECN_CE)
        return ecn == ECN_CE;
    sum = (~check & 0xffff) + (ECN_CE - ecn);
    check = ~(sum + (sum >> 16)) & 0xffff;
    ip[10] = (unsigned char)(check >> 8);
    ip[11] = (unsigned char)check;
    ip[1] |= ECN_CE;
    return 1;
}

static uint64_t mark_ipv6(unsigned char *ip)
{
    uint32_t ecn = ip[1] >> 4 & ECN_MASK;

    if (ecn == ECN_NONE)
        return 0;
    ip[1] |= ECN_CE << 4;
    return 1;
}

HELPER_BODY(skb_ecn_set_ce)
{
    enum { V4 = 20, V6 = 40 };
    const struct env_packet *p = &env->packet;
    uint16_t protocol;
    ptrdiff_t len;

    NEED_SKB(env);
    protocol = (uint16_t)skb_view(env)->protocol;
    len = p->data_end - p->net;
    if (protocol == SKB_IPV4 && packet_linear(env) >= V4)
        return len >= V4 ? mark_ipv4(p->net) : 0;
    if (protocol == SKB_IPV6 && packet_linear(env) >= V6)
        return len >= V6 ? mark_ipv6(p->net) : 0;
    return 0;
}
