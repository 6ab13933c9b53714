/*
 * Routing: lookups in the routes and neighbours of the run's world, as Linux's bpf_ipv4_fib_lookup() and its IPv6 twin
 * make them, and the size of packets that interfaces take. Without a network in the world no route leads anywhere, and
 * every interface is Ethernet with the usual MTU.
 */
#include "vm/helpers/packet_skb.h"
#include "vm/net.h"

/* struct bpf_fib_lookup */
struct params {
    uint8_t family, l4_protocol;
    uint16_t sport, dport;
    uint16_t len; /* in: tot_len; out: the MTU */
    uint32_t ifindex;
    uint32_t tos; /* in; out: the route's metric */
    uint32_t src[4], dst[4];
    uint32_t table; /* in; out: two VLAN fields */
    unsigned char smac[6], dmac[6];
};

_Static_assert(sizeof(struct params) == 64, "struct bpf_fib_lookup has 64 bytes");

enum { DIRECT = 1, OUTPUT = 2, SKIP_NEIGH = 4, TBID = 8, SRC = 16, MARK = 32, ALL_FLAGS = 63 };
enum {
    SUCCESS,
    BLACKHOLE,
    UNREACHABLE,
    PROHIBIT,
    NOT_FWDED,
    FWD_DISABLED,
    UNSUPP_LWT,
    NO_NEIGH,
    FRAG_NEEDED,
    NO_SRC_ADDR
};

static const struct net no_net;

static uint32_t addr_size(uint32_t family)
{
    return family == NET_INET ? 4 : 16;
}

/* Link-local and multicast addresses are never forwarded. */
static bool stays_on_link(const uint32_t addr[4])
{
    const unsigned char *a = (const unsigned char *)addr;

    return a[0] == 0xff || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80);
}

static int refused(const struct net_route *r)
{
    switch (r->type) {
    case NET_BLACKHOLE: return BLACKHOLE;
    case NET_UNREACHABLE: return UNREACHABLE;
    case NET_PROHIBIT: return PROHIBIT;
    case NET_UNICAST: return SUCCESS;
    default: return NOT_FWDED;
    }
}

/* IPv4 packets that nobody has an address for come from 0.0.0.0. */
static int put_source(const struct net *net, const struct net_route *r, const uint32_t dst[4], struct params *p)
{
    static const uint32_t none[4];
    const uint32_t *src = net_source(net, r, dst);

    if (!src && r->family == NET_INET6)
        return NO_SRC_ADDR;
    memcpy(p->src, src ? src : none, addr_size(r->family));
    return SUCCESS;
}

static int lookup(const struct net *net, struct params *p, uint32_t flags, bool check_mtu)
{
    const struct net_iface *in = net_iface(net, p->ifindex), *out;
    uint32_t family = p->family, table = NET_TABLE_MAIN, mtu, oif = flags & OUTPUT ? p->ifindex : 0;
    const struct net_neigh *neigh;
    const struct net_route *r;
    uint32_t dst[4];
    int err;

    if (family == NET_INET6 && (stays_on_link(p->dst) || stays_on_link(p->src)))
        return NOT_FWDED;
    if (!in)
        return -ENODEV;
    if (in->no_forwarding)
        return FWD_DISABLED;
    if (flags & DIRECT && flags & TBID) {
        table = p->table;
        p->table = 0;
    }
    memcpy(dst, p->dst, sizeof(dst));
    r = flags & DIRECT ? net_route(net, family, dst, table, oif) : net_route_by_rules(net, family, dst, oif);
    if (!r)
        return NOT_FWDED;
    if (refused(r))
        return refused(r);
    out = net_iface(net, r->ifindex);
    if (!out)
        return NOT_FWDED;
    mtu = r->mtu ? r->mtu : out->mtu;
    if (check_mtu && p->len > mtu) {
        p->len = (uint16_t)mtu;
        return FRAG_NEEDED;
    }
    p->tos = r->metric;
    p->ifindex = out->ifindex;
    err = flags & SRC && family == NET_INET ? put_source(net, r, dst, p) : SUCCESS;
    if (r->via_family) {
        p->family = (uint8_t)r->via_family;
        memcpy(p->dst, r->via, addr_size(r->via_family));
    }
    if (flags & SRC && family == NET_INET6)
        err = put_source(net, r, dst, p);
    if (err)
        return err;
    if (!(flags & SKIP_NEIGH)) {
        neigh = net_neigh(net, p->family, p->dst, out->ifindex);
        if (!neigh || neigh->invalid)
            return NO_NEIGH;
        memcpy(p->dmac, neigh->mac, sizeof(p->dmac));
        memcpy(p->smac, out->mac, sizeof(p->smac));
    }
    p->table = 0;
    if (check_mtu)
        p->len = (uint16_t)mtu;
    return SUCCESS;
}

/* Linux looks at the packet's own length where a program on socket buffers gave none. */
static int check_packet(struct skep_env *env, const struct net *net, struct params *p)
{
    const struct net_iface *out = net_iface(net, p->ifindex);
    uint32_t len = packet_len(env);

    if (!out)
        return SUCCESS;
    p->len = (uint16_t)out->mtu;
    return len > out->mtu + PACKET_ETH_HLEN + 4 && !skb_view(env)->gso_size ? FRAG_NEEDED : SUCCESS;
}

HELPER_BODY(fib_lookup)
{
    const struct net *net = env->net ? env->net : &no_net;
    struct params p;
    bool check_mtu;
    int ret;

    if (!env->skb && !helper_is_xdp(env))
        return helper_refuse(env, "this helper needs the context of a program on packets");
    if ((int32_t)a3 < (int32_t)sizeof(p) || (uint32_t)a4 & ~(uint32_t)ALL_FLAGS)
        return helper_error(-EINVAL);
    memcpy(&p, helper_ptr(a2), sizeof(p));
    if (p.family != NET_INET && p.family != NET_INET6)
        return helper_error(-EAFNOSUPPORT);
    if (!env->net)
        return NOT_FWDED;
    check_mtu = !env->skb || p.len;
    ret = lookup(net, &p, (uint32_t)a4, check_mtu);
    if (ret == SUCCESS && !check_mtu)
        ret = check_packet(env, net, &p);
    memcpy(helper_ptr(a2), &p, sizeof(p));
    return helper_error(ret);
}

HELPER_BODY(check_mtu)
{
    enum { MTU = 1500, SEGMENTS = 1, TOO_LONG = 1, FITS = 0 };
    const struct net_iface *iface = NULL;
    uint32_t given, mtu = MTU, ifindex = (uint32_t)a2;
    int64_t len;
    uint64_t ret;

    if (!env->skb && !helper_is_xdp(env))
        return helper_refuse(env, "this helper needs the context of a program on packets");
    if (!ifindex)
        ifindex = env->skb ? skb_view(env)->ifindex : ((const uint32_t *)env->ctx)[3];
    if (env->net)
        iface = net_iface(env->net, ifindex);
    if (iface)
        mtu = iface->mtu;
    memcpy(&given, helper_ptr(a3), sizeof(given));
    if (a5 & ~(uint64_t)(env->skb ? SEGMENTS : 0) || (a5 & SEGMENTS && ((int32_t)a4 || given))) {
        mtu = 0;
        ret = helper_error(-EINVAL);
    } else if (env->net && !iface && (uint32_t)a2) {
        mtu = 0;
        ret = helper_error(-ENODEV);
    } else {
        len = (given ? (int64_t)given + PACKET_ETH_HLEN : packet_len(env)) + (int32_t)a4;
        ret = len <= (int64_t)mtu + PACKET_ETH_HLEN || (env->skb && skb_view(env)->gso_size) ? FITS : TOO_LONG;
    }
    memcpy(helper_ptr(a3), &mtu, sizeof(mtu));
    return ret;
}
