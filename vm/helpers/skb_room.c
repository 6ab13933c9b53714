/*
 * Helpers that make a socket buffer longer or shorter: at its head, at its tail, between its headers (tunnels, IPv4 to
 * IPv6, VLAN tags). MAC and network header move with the bytes as Linux's offsets do. A VLAN tag stands beside the
 * bytes first, in the fields of the context; only a second one pushes it into the packet.
 */
#include "vm/helpers/packet_skb.h"

enum {
    MAX_LEN = 4 * PACKET_PAGE - CTX_TAILROOM, /* SKB_MAX_ALLOC */
    IPV4_HLEN = 20,
    IPV6_HLEN = 40,
    VLAN_HLEN = 4,
    ETH_ALEN2 = 12, /* both MAC addresses */
};

/* len zeroed bytes before byte off; the headers before it, and where they begin, move forward with the bytes. */
static int push(struct skep_env *env, uint32_t off, uint32_t len)
{
    struct env_packet *p = &env->packet;

    if (!packet_room(env, len, 0))
        return -ENOMEM;
    p->data -= len;
    p->data_meta = p->data;
    memmove(p->data, p->data + len, off);
    memset(p->data + off, 0, len);
    p->mac -= len;
    p->net -= len;
    packet_moved(env);
    return 0;
}

static int pop(struct skep_env *env, uint32_t off, uint32_t len)
{
    struct env_packet *p = &env->packet;

    if (!packet_pull(env, off + len))
        return -ENOMEM;
    memmove(p->data + len, p->data, off);
    p->data += len;
    p->data_meta = p->data;
    p->mac += len;
    p->net += len;
    packet_moved(env);
    return 0;
}

static uint32_t mac_len(const struct skep_env *env)
{
    return (uint32_t)(env->packet.net - env->packet.mac);
}

static void set_protocol(struct skep_env *env, uint16_t protocol)
{
    skb_view(env)->protocol = protocol;
}

HELPER_BODY(skb_change_head)
{
    struct env_packet *p = &env->packet;
    uint64_t room = (uint32_t)a2;

    NEED_SKB(env);
    if (a3 || room + packet_len(env) > UINT32_MAX || (!skb_view(env)->gso_size && packet_len(env) + room > MAX_LEN))
        return helper_error(-EINVAL);
    if (!packet_room(env, (uint32_t)room, 0))
        return helper_error(-ENOMEM);
    p->data -= room;
    p->data_meta = p->mac = p->data;
    memset(p->data, 0, room);
    packet_moved(env);
    return 0;
}

HELPER_BODY(skb_change_tail)
{
    struct env_packet *p = &env->packet;
    uint32_t len = (uint32_t)a2, old;

    NEED_SKB(env);
    if (a3 || len > MAX_LEN || (p->net > p->data && len < (uint32_t)(p->net - p->data)))
        return helper_error(-EINVAL);
    if (env->skb->encapsulation)
        return helper_error(-ENOTSUPP_);
    old = packet_len(env);
    packet_pull(env, old);
    if (len > old && !packet_room(env, 0, len - old))
        return helper_error(-ENOMEM);
    if (len > old)
        memset(p->data + old, 0, len - old);
    p->data_end = p->data + len;
    skb_view(env)->gso_size = skb_view(env)->gso_segs = 0;
    packet_moved(env);
    return 0;
}

HELPER_BODY(skb_change_proto)
{
    uint16_t from, to = (uint16_t)a2;
    int err;

    NEED_SKB(env);
    from = (uint16_t)skb_view(env)->protocol;
    if (a3)
        return helper_error(-EINVAL);
    if (from == SKB_IPV4 && to == SKB_IPV6)
        err = push(env, mac_len(env), IPV6_HLEN - IPV4_HLEN);
    else if (from == SKB_IPV6 && to == SKB_IPV4)
        err = pop(env, mac_len(env), IPV6_HLEN - IPV4_HLEN);
    else
        return helper_error(-ENOTSUPP_);
    if (err)
        return helper_error(err);
    set_protocol(env, to);
    env->skb->hash_set = false;
    skb_view(env)->hash = 0;
    return 0;
}

enum {
    FIXED_GSO = 1 << 0,
    ENCAP_IPV4 = 1 << 1,
    ENCAP_IPV6 = 1 << 2,
    ENCAP_GRE = 1 << 3,
    ENCAP_UDP = 1 << 4,
    NO_CSUM_RESET = 1 << 5,
    ENCAP_ETH = 1 << 6,
    DECAP_IPV4 = 1 << 7,
    DECAP_IPV6 = 1 << 8,
    ROOM_FLAGS = (1 << 9) - 1,
    INNER_MAC_SHIFT = 56,
};

static int check_encap(const struct skep_env *env, uint32_t len, uint64_t flags)
{
    uint32_t inner_mac = (uint32_t)(flags >> INNER_MAC_SHIFT);

    if ((flags & ENCAP_IPV4 && flags & ENCAP_IPV6) || (flags & ENCAP_GRE && flags & ENCAP_UDP))
        return -EINVAL;
    if (flags & ENCAP_ETH && inner_mac < PACKET_ETH_HLEN)
        return -EINVAL;
    if (env->skb->encapsulation)
        return -EALREADY;
    return inner_mac > len ? -EINVAL : 0;
}

/* Without GSO types in a test run, a segment size means datagrams, whose borders room would blur. */
static int grow(struct skep_env *env, uint32_t off, uint32_t len, uint64_t flags)
{
    bool encap = flags & (ENCAP_IPV4 | ENCAP_IPV6);
    uint32_t old_mac_len = mac_len(env);
    int err;

    if (skb_view(env)->gso_size)
        return -ENOTSUPP_;
    err = encap ? check_encap(env, len, flags) : 0;
    if (!err)
        err = push(env, off, len);
    if (err || !encap)
        return err;
    env->skb->encapsulation = true;
    env->packet.net = env->packet.data + old_mac_len;
    set_protocol(env, flags & ENCAP_IPV6 ? SKB_IPV6 : SKB_IPV4);
    return 0;
}

static int shrink(struct skep_env *env, uint32_t off, uint32_t len, uint64_t flags)
{
    int err;

    if (flags & ~(uint64_t)(FIXED_GSO | DECAP_IPV4 | DECAP_IPV6 | NO_CSUM_RESET))
        return -EINVAL;
    if (skb_view(env)->gso_size)
        return -ENOTSUPP_;
    err = pop(env, off, len);
    if (!err && flags & DECAP_IPV6)
        set_protocol(env, SKB_IPV6);
    else if (!err && flags & DECAP_IPV4)
        set_protocol(env, SKB_IPV4);
    return err;
}

HELPER_BODY(skb_adjust_room)
{
    enum { NET, MAC };
    int32_t diff = (int32_t)a2;
    uint32_t len = diff < 0 ? -(uint32_t)diff : (uint32_t)diff, mode = (uint32_t)a3, off, base, least, now;
    uint64_t decap = a4 & (DECAP_IPV4 | DECAP_IPV6);
    uint16_t protocol;
    int err;

    NEED_SKB(env);
    protocol = (uint16_t)skb_view(env)->protocol;
    if (a4 & ~((uint64_t)ROOM_FLAGS | UINT64_C(0xff) << INNER_MAC_SHIFT))
        return helper_error(-EINVAL);
    if (len > 0xfff)
        return helper_error(-EFAULT);
    if (protocol != SKB_IPV4 && protocol != SKB_IPV6)
        return helper_error(-ENOTSUPP_);
    if (mode != NET && mode != MAC)
        return helper_error(-ENOTSUPP_);
    base = protocol == SKB_IPV4 ? IPV4_HLEN : IPV6_HLEN;
    off = mac_len(env) + (mode == NET ? base : 0);
    if (decap && (diff >= 0 || decap == (DECAP_IPV4 | DECAP_IPV6)))
        return helper_error(-EINVAL);
    least = decap == DECAP_IPV4 ? IPV4_HLEN : decap == DECAP_IPV6 ? IPV6_HLEN : base;
    now = packet_len(env) - (uint32_t)(env->packet.net - env->packet.data);
    if (diff < 0 ? len >= now || now - len < least : packet_len(env) + len > MAX_LEN && !skb_view(env)->gso_size)
        return helper_error(-ENOTSUPP_);
    err = diff < 0 ? shrink(env, off, len, a4) : grow(env, off, len, a4);
    if (!err && !(a4 & NO_CSUM_RESET)) {
        env->skb->ip_summed = SKB_CSUM_NONE;
        env->skb->csum_level = 0;
    }
    return helper_error(err);
}

static bool is_vlan(uint32_t protocol)
{
    return protocol == swap_to_be16(0x8100) || protocol == swap_to_be16(0x88a8);
}

/* Writes the tag that stands beside the packet into it, behind the MAC addresses. */
static int store_tag(struct skep_env *env)
{
    struct skb_view *view = skb_view(env);
    struct env_packet *p = &env->packet;
    uint16_t tag[2] = {(uint16_t)view->vlan_proto, swap_to_be16((uint16_t)view->vlan_tci)};

    if (p->data != p->mac)
        return -EINVAL;
    if (!packet_room(env, VLAN_HLEN, 0))
        return -ENOMEM;
    p->data -= VLAN_HLEN;
    p->data_meta = p->mac = p->data;
    memmove(p->data, p->data + VLAN_HLEN, ETH_ALEN2);
    memcpy(p->data + ETH_ALEN2, tag, VLAN_HLEN);
    p->net -= VLAN_HLEN;
    set_protocol(env, tag[0]);
    packet_moved(env);
    return 0;
}

/* Takes the first tag out of the packet. */
static int load_tag(struct skep_env *env, uint16_t *tci)
{
    struct env_packet *p = &env->packet;

    if (p->data != p->mac)
        return -EINVAL;
    if (!packet_pull(env, PACKET_ETH_HLEN + VLAN_HLEN))
        return -ENOMEM;
    memcpy(tci, p->data + PACKET_ETH_HLEN, 2);
    *tci = swap_to_be16(*tci);
    memmove(p->data + VLAN_HLEN, p->data, ETH_ALEN2);
    p->data += VLAN_HLEN;
    p->data_meta = p->mac = p->data;
    set_protocol(env, skb_eth_protocol(p->data, packet_linear(env)));
    if (p->net - p->data < PACKET_ETH_HLEN)
        p->net = p->data + PACKET_ETH_HLEN;
    packet_moved(env);
    return 0;
}

static void set_tag(struct skep_env *env, uint32_t present, uint16_t protocol, uint16_t tci)
{
    struct skb_view *view = skb_view(env);

    view->vlan_present = present;
    view->vlan_proto = protocol;
    view->vlan_tci = tci;
}

HELPER_BODY(skb_vlan_push)
{
    uint16_t protocol = (uint16_t)a2;
    int err;

    NEED_SKB(env);
    if (!is_vlan(protocol))
        protocol = swap_to_be16(0x8100);
    err = skb_view(env)->vlan_present ? store_tag(env) : 0;
    if (!err)
        set_tag(env, 1, protocol, (uint16_t)a3);
    return helper_error(err);
}

HELPER_BODY(skb_vlan_pop)
{
    struct skb_view *view = skb_view(env);
    uint16_t protocol, tci;
    int err;

    NEED_SKB(env);
    if (view->vlan_present) {
        set_tag(env, 0, 0, 0);
    } else {
        if (!is_vlan(view->protocol))
            return 0;
        err = load_tag(env, &tci);
        if (err)
            return helper_error(err);
    }
    /* The next tag takes its place beside the packet. */
    if (!is_vlan(view->protocol))
        return 0;
    protocol = (uint16_t)view->protocol;
    err = load_tag(env, &tci);
    if (!err)
        set_tag(env, 1, protocol, tci);
    return helper_error(err);
}
