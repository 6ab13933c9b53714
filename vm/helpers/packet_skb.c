/*
 * Helpers that read and write a socket buffer's bytes and the fields that follow from them: checksums, hash, type,
 * timestamp, tunnel key. Linear and fragmented bytes lie behind one another in the run's packet, so that only what
 * Linux pulls into the linear part moves data_end.
 */
#include "vm/helpers/packet_skb.h"
#include "vm/helpers/csum.h"

/* Programs shall be able to write these bytes (bpf_try_make_writable). */
static unsigned char *writable(struct skep_env *env, uint64_t offset, uint64_t len)
{
    if (offset + len > UINT32_MAX || !packet_pull(env, (uint32_t)(offset + len)))
        return NULL;
    return env->packet.data + offset;
}

HELPER_BODY(skb_load_bytes)
{
    uint64_t offset = (uint32_t)a2, len = (uint32_t)a4;
    void *to = helper_ptr(a3);

    NEED_SKB(env);
    if (offset > INT32_MAX || offset + len > packet_len(env)) {
        memset(to, 0, len);
        return helper_error(-EFAULT);
    }
    memmove(to, env->packet.data + offset, len);
    return 0;
}

HELPER_BODY(skb_load_bytes_relative)
{
    enum { FROM_MAC, FROM_NET };
    uint64_t offset = (uint32_t)a2, len = (uint32_t)a4;
    const unsigned char *start = (uint32_t)a5 == FROM_MAC   ? env->packet.mac
                                 : (uint32_t)a5 == FROM_NET ? env->packet.net
                                                            : NULL;
    void *to = helper_ptr(a3);

    NEED_SKB(env);
    if (!start || offset > 0xffff || (int64_t)(offset + len) > env->packet.data_end - start) {
        memset(to, 0, len);
        return helper_error(-EFAULT);
    }
    memmove(to, start + offset, len);
    return 0;
}

static void clear_hash(struct skep_env *env)
{
    env->skb->hash_set = false;
    skb_view(env)->hash = 0;
}

HELPER_BODY(skb_store_bytes)
{
    enum { RECOMPUTE_CSUM = 1, INVALIDATE_HASH = 2 };
    uint64_t offset = (uint32_t)a2, len = (uint32_t)a4;
    unsigned char *at;

    NEED_SKB(env);
    if (a5 & ~(uint64_t)(RECOMPUTE_CSUM | INVALIDATE_HASH))
        return helper_error(-EINVAL);
    at = offset > INT32_MAX ? NULL : writable(env, offset, len);
    if (!at)
        return helper_error(-EFAULT);
    memmove(at, helper_ptr(a3), len);
    if (a5 & INVALIDATE_HASH)
        clear_hash(env);
    return 0;
}

HELPER_BODY(skb_pull_data)
{
    uint32_t len = (uint32_t)a2;

    NEED_SKB(env);
    return packet_pull(env, len ? len : packet_linear(env)) ? 0 : helper_error(-ENOMEM);
}

/* A checksum field with `from` replaced by `to` (RFC 1624), all in memory order. */
static uint16_t replace(uint16_t check, uint32_t from, uint32_t to)
{
    uint32_t sum = csum_add(csum_add((uint16_t)~check, ~from), to);

    return (uint16_t)~csum_fold16(sum);
}

/* What `from` and `to` mean by the size in the flags: a difference, two bytes or four. */
static bool field_values(uint64_t size, uint64_t *from, uint64_t *to)
{
    switch (size) {
    case 0: return *from == 0;
    case 2:
        *from = (uint16_t)*from;
        *to = (uint16_t)*to;
        return true;
    case 4:
        *from = (uint32_t)*from;
        *to = (uint32_t)*to;
        return true;
    default: return false;
    }
}

HELPER_BODY(l3_csum_replace)
{
    enum { SIZE_MASK = 0xf };
    uint64_t offset = (uint32_t)a2, from = a3, to = a4;
    unsigned char *at;
    uint16_t check;

    NEED_SKB(env);
    if (a5 & ~(uint64_t)SIZE_MASK)
        return helper_error(-EINVAL);
    at = offset > 0xffff || offset & 1 ? NULL : writable(env, offset, 2);
    if (!at)
        return helper_error(-EFAULT);
    if (!field_values(a5, &from, &to))
        return helper_error(-EINVAL);
    memcpy(&check, at, 2);
    check = replace(check, (uint32_t)from, (uint32_t)to);
    memcpy(at, &check, 2);
    return 0;
}

HELPER_BODY(l4_csum_replace)
{
    enum { SIZE_MASK = 0xf, PSEUDO_HDR = 1 << 4, MARK_MANGLED_0 = 1 << 5, MARK_ENFORCE = 1 << 6, IPV6 = 1 << 7 };
    uint64_t offset = (uint32_t)a2, from = a3, to = a4;
    unsigned char *at;
    uint16_t check;

    NEED_SKB(env);
    if (a5 & ~(uint64_t)(SIZE_MASK | PSEUDO_HDR | MARK_MANGLED_0 | MARK_ENFORCE | IPV6))
        return helper_error(-EINVAL);
    at = offset > 0xffff || offset & 1 ? NULL : writable(env, offset, 2);
    if (!at)
        return helper_error(-EFAULT);
    memcpy(&check, at, 2);
    if (a5 & MARK_MANGLED_0 && !(a5 & MARK_ENFORCE) && !check)
        return 0;
    if (!field_values(a5 & SIZE_MASK, &from, &to))
        return helper_error(-EINVAL);
    check = replace(check, (uint32_t)from, (uint32_t)to);
    if (a5 & MARK_MANGLED_0 && !check)
        check = 0xffff;
    memcpy(at, &check, 2);
    return 0;
}

/* A test run's buffer carries no checksum of all its bytes (CHECKSUM_COMPLETE) that could be updated. */
HELPER_BODY(csum_update)
{
    NEED_SKB(env);
    return helper_error(-ENOTSUPP_);
}

HELPER_BODY(csum_level)
{
    enum { QUERY, INC, DEC, RESET, MAX_LEVEL = 3 };
    struct skb *skb = env->skb;

    NEED_SKB(env);
    switch (a2) {
    case QUERY: return skb->ip_summed == SKB_CSUM_UNNECESSARY ? skb->csum_level : helper_error(-EACCES);
    case INC:
        if (skb->ip_summed != SKB_CSUM_UNNECESSARY) {
            skb->ip_summed = SKB_CSUM_UNNECESSARY;
            skb->csum_level = 0;
        } else if (skb->csum_level < MAX_LEVEL) {
            skb->csum_level++;
        }
        return 0;
    case DEC:
        if (skb->ip_summed == SKB_CSUM_UNNECESSARY && skb->csum_level-- == 0) {
            skb->ip_summed = SKB_CSUM_NONE;
            skb->csum_level = 0;
        }
        return 0;
    case RESET:
        skb->ip_summed = SKB_CSUM_NONE;
        skb->csum_level = 0;
        return 0;
    default: return helper_error(-EINVAL);
    }
}

/*
 * The flow's hash over addresses, ports and protocol. Linux's is keyed by a random number of its boot; ours is the same
 * in every run, so that runs repeat. FNV-1a, never 0.
 */
static uint32_t flow_hash(struct skep_env *env)
{
    const unsigned char *net = env->packet.net, *end = env->packet.data_end;
    uint32_t hash = 2166136261u, from = 12, to = 20, ports = 20;

    if (skb_view(env)->protocol == SKB_IPV6) {
        from = 8;
        to = ports = 40;
    } else if (end - net > 0) {
        ports = (net[0] & 15u) * 4;
    }
    for (uint32_t i = from; i < to && net + i < end; i++)
        hash = (hash ^ net[i]) * 16777619;
    for (uint32_t i = ports; i < ports + 4 && net + i < end; i++)
        hash = (hash ^ net[i]) * 16777619;
    return hash ? hash : 1;
}

HELPER_BODY(get_hash_recalc)
{
    NEED_SKB(env);
    if (!env->skb->hash_set) {
        env->skb->hash_set = true;
        skb_view(env)->hash = flow_hash(env);
    }
    return skb_view(env)->hash;
}

HELPER_BODY(set_hash)
{
    NEED_SKB(env);
    env->skb->hash_set = true;
    skb_view(env)->hash = (uint32_t)a2;
    return 0;
}

HELPER_BODY(set_hash_invalid)
{
    NEED_SKB(env);
    clear_hash(env);
    return 0;
}

HELPER_BODY(skb_change_type)
{
    enum { OTHERHOST = 3 };

    NEED_SKB(env);
    if (skb_view(env)->pkt_type > OTHERHOST || (uint32_t)a2 > OTHERHOST)
        return helper_error(-EINVAL);
    skb_view(env)->pkt_type = (uint32_t)a2;
    return 0;
}

HELPER_BODY(skb_set_tstamp)
{
    enum { REALTIME, MONOTONIC, TAI };
    struct skb_view *view = skb_view(env);
    uint32_t type = (uint32_t)a3;

    NEED_SKB(env);
    if (view->protocol != SKB_IPV4 && view->protocol != SKB_IPV6)
        return helper_error(-EOPNOTSUPP);
    if (type > TAI || (type != REALTIME && !a2))
        return helper_error(-EINVAL);
    view->tstamp = a2;
    view->tstamp_type = (uint8_t)type;
    return 0;
}

/* No class, no realm: the world has neither cgroup classes nor routes. */
HELPER_BODY(get_cgroup_classid)
{
    NEED_SKB(env);
    return 0;
}

HELPER_BODY(get_route_realm)
{
    NEED_SKB(env);
    return 0;
}
