/*
 * The outer header that a tunnel device would take from the buffer. A packet comes without one; what a program sets it
 * can read back, with the sides exchanged, as in Linux: there "remote" is the source when it is read.
 */
#include "vm/helpers/packet_skb.h"

struct tunnel_key {
    uint32_t id;
    uint32_t remote[4];
    uint8_t tos, ttl;
    uint16_t ext; /* or flags */
    uint32_t label;
    uint32_t local[4];
};

enum {
    TUNINFO_IPV6 = 1 << 0,
    ZERO_CSUM_TX = 1 << 1,
    DONT_FRAGMENT = 1 << 2,
    SEQ_NUMBER = 1 << 3,
    NO_TUNNEL_KEY = 1 << 4, /* of set */
    TUNINFO_FLAGS = 1 << 4, /* of get */
};

/* Sizes of the struct's older shapes. */
static bool is_old_size(uint32_t size)
{
    return size == offsetof(struct tunnel_key, remote[1]) || size == offsetof(struct tunnel_key, ext) ||
           size == offsetof(struct tunnel_key, label) || size == offsetof(struct tunnel_key, local);
}

/* Bits of TUNNEL_*, which the key's flags show. */
static uint16_t outer_flags(uint64_t flags)
{
    enum { CSUM = 0x01, KEY = 0x04, SEQ = 0x08, NO_FRAGMENT = 0x0100, NOCACHE = 0x2000 };

    return (uint16_t)((flags & NO_TUNNEL_KEY ? 0 : KEY) | (flags & ZERO_CSUM_TX ? 0 : CSUM) | NOCACHE |
                      (flags & DONT_FRAGMENT ? NO_FRAGMENT : 0) | (flags & SEQ_NUMBER ? SEQ : 0));
}

HELPER_BODY(skb_set_tunnel_key)
{
    uint32_t size = (uint32_t)a3;
    struct tunnel_key key = {0};

    NEED_SKB(env);
    if (a4 & ~(uint64_t)(TUNINFO_IPV6 | ZERO_CSUM_TX | DONT_FRAGMENT | SEQ_NUMBER | NO_TUNNEL_KEY))
        return helper_error(-EINVAL);
    if (size != sizeof(key) && !is_old_size(size))
        return helper_error(-EINVAL);
    memcpy(&key, helper_ptr(a2), size);
    if ((!(a4 & TUNINFO_IPV6) && key.label) || key.ext)
        return helper_error(-EINVAL);
    memcpy(env->skb->tunnel, &key, sizeof(key));
    env->skb->has_tunnel = true;
    env->skb->tunnel_ipv6 = a4 & TUNINFO_IPV6;
    env->skb->tunnel_flags = swap_to_be16(outer_flags(a4));
    return 0;
}

static int get(struct skep_env *env, struct tunnel_key *key, uint32_t size, uint64_t flags)
{
    const struct skb *skb = env->skb;
    struct tunnel_key set;

    if (!skb->has_tunnel || flags & ~(uint64_t)(TUNINFO_IPV6 | TUNINFO_FLAGS))
        return -EINVAL;
    if (skb->tunnel_ipv6 != (bool)(flags & TUNINFO_IPV6))
        return -EPROTO;
    if (size != sizeof(*key) &&
        (!is_old_size(size) || (skb->tunnel_ipv6 && size == offsetof(struct tunnel_key, remote[1]))))
        return -EINVAL;
    memcpy(&set, skb->tunnel, sizeof(set));
    *key = (struct tunnel_key){.id = set.id, .tos = set.tos, .ttl = set.ttl};
    key->ext = flags & TUNINFO_FLAGS ? skb->tunnel_flags : 0;
    memcpy(key->remote, set.local, skb->tunnel_ipv6 ? 16 : 4);
    memcpy(key->local, set.remote, skb->tunnel_ipv6 ? 16 : 4);
    key->label = skb->tunnel_ipv6 ? set.label & 0xfffff : 0;
    return 0;
}

HELPER_BODY(skb_get_tunnel_key)
{
    uint32_t size = (uint32_t)a3;
    struct tunnel_key key;
    int err;

    NEED_SKB(env);
    err = get(env, &key, size, a4);
    if (err)
        memset(helper_ptr(a2), 0, size);
    else
        memcpy(helper_ptr(a2), &key, size);
    return helper_error(err);
}
