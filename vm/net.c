/* Lookups are walks: a world is written by hand. */
#include "vm/net.h"
#include <stddef.h>
#include <string.h>

const struct net_iface *net_iface(const struct net *net, uint32_t ifindex)
{
    for (uint32_t i = 0; i < net->n_ifaces; i++)
        if (net->ifaces[i].ifindex == ifindex)
            return &net->ifaces[i];
    return NULL;
}

static bool same_prefix(const uint32_t *a, const uint32_t *b, uint32_t bits)
{
    const unsigned char *x = (const unsigned char *)a, *y = (const unsigned char *)b;
    uint32_t rest = bits % 8;

    return !memcmp(x, y, bits / 8) && (!rest || (x[bits / 8] ^ y[bits / 8]) >> (8 - rest) == 0);
}

static bool leads_there(const struct net_route *r, uint32_t oif)
{
    return !oif || !r->ifindex || r->ifindex == oif;
}

static bool is_better(const struct net_route *a, const struct net_route *b, uint32_t oif)
{
    if (a->prefix_len != b->prefix_len)
        return a->prefix_len > b->prefix_len;
    if (leads_there(a, oif) != leads_there(b, oif))
        return leads_there(a, oif);
    return a->metric < b->metric;
}

const struct net_route *net_route(const struct net *net, uint32_t family, const uint32_t addr[4], uint32_t table,
                                  uint32_t oif)
{
    const struct net_route *best = NULL;

    for (uint32_t i = 0; i < net->n_routes; i++) {
        const struct net_route *r = &net->routes[i];

        /* IPv6 would rather leave by that interface, IPv4 does by no other. */
        if (r->family == family && r->table == table && (family == NET_INET6 || leads_there(r, oif)) &&
            same_prefix(r->to, addr, r->prefix_len) && (!best || is_better(r, best, oif)))
            best = r;
    }
    return best;
}

const struct net_route *net_route_by_rules(const struct net *net, uint32_t family, const uint32_t addr[4], uint32_t oif)
{
    static const uint32_t tables[] = {NET_TABLE_LOCAL, NET_TABLE_MAIN, NET_TABLE_DEFAULT};
    const struct net_route *r = NULL;

    for (unsigned i = 0; i < 3 && !r; i++)
        r = net_route(net, family, addr, tables[i], oif);
    return r;
}

/* ---- Source addresses ---- */

static bool is_loopback(const struct net_addr *a)
{
    return a->family == NET_INET && *(const unsigned char *)a->addr == 127;
}

/* inet_select_addr(): of the route's interface the address that is in the gateway's net, else its first; else the first
 * of any. */
static const uint32_t *source4(const struct net *net, const struct net_route *route)
{
    const struct net_iface *dev = net_iface(net, route->ifindex);
    const uint32_t *found = NULL;

    for (uint32_t i = 0; dev && i < dev->n_addrs; i++) {
        const struct net_addr *a = &dev->addrs[i];

        if (a->family != NET_INET || is_loopback(a))
            continue;
        if (route->via_family != NET_INET || same_prefix(route->via, a->addr, a->prefix_len))
            return a->addr;
        found = found ? found : a->addr;
    }
    for (uint32_t k = 0; k < net->n_ifaces && !found; k++)
        for (uint32_t i = 0; i < net->ifaces[k].n_addrs && !found; i++)
            if (net->ifaces[k].addrs[i].family == NET_INET && !is_loopback(&net->ifaces[k].addrs[i]))
                found = net->ifaces[k].addrs[i].addr;
    return found;
}

static uint32_t common_bits(const uint32_t *a, const uint32_t *b)
{
    uint32_t n = 0;

    while (n < 128 && same_prefix(a, b, n + 1))
        n++;
    return n;
}

/* How well RFC 6724 likes an address for a packet to dst: the same one; one that reaches as far; one of the interface
 * that it leaves by; one that begins alike. */
static uint32_t rank6(const struct net_addr *a, const uint32_t *dst, bool outgoing)
{
    static const unsigned char loopback[16] = {[15] = 1};
    const unsigned char *x = (const unsigned char *)a->addr;
    bool link_local = x[0] == 0xfe && (x[1] & 0xc0) == 0x80;

    if (!memcmp(a->addr, loopback, sizeof(loopback)))
        return 0;
    return 1 + (!memcmp(a->addr, dst, 16) ? 1 << 12 : 0) + (link_local ? 0 : 1 << 11) + (outgoing ? 1 << 10 : 0) +
           common_bits(a->addr, dst);
}

static const uint32_t *source6(const struct net *net, const struct net_route *route, const uint32_t *dst)
{
    const uint32_t *best = NULL;
    uint32_t most = 0;

    for (uint32_t k = 0; k < net->n_ifaces; k++)
        for (uint32_t i = 0; i < net->ifaces[k].n_addrs; i++) {
            const struct net_addr *a = &net->ifaces[k].addrs[i];
            uint32_t rank = a->family == NET_INET6 ? rank6(a, dst, net->ifaces[k].ifindex == route->ifindex) : 0;

            if (rank > most) {
                most = rank;
                best = a->addr;
            }
        }
    return best;
}

const uint32_t *net_source(const struct net *net, const struct net_route *route, const uint32_t dst[4])
{
    if (route->has_src)
        return route->src;
    return route->family == NET_INET ? source4(net, route) : source6(net, route, dst);
}

const struct net_neigh *net_neigh(const struct net *net, uint32_t family, const uint32_t addr[4], uint32_t ifindex)
{
    for (uint32_t i = 0; i < net->n_neighs; i++) {
        const struct net_neigh *n = &net->neighs[i];

        if (n->family == family && n->ifindex == ifindex &&
            !memcmp(n->addr, addr, family == NET_INET ? 4 : sizeof(n->addr)))
            return n;
    }
    return NULL;
}
