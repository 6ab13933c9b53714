/*
 * Effects on the world. A redirection is aimed by a helper and comes to pass by the verdict: what was aimed last
 * counts, and nothing when the verdict is another one.
 */
#include "vm/effect.h"
#include "vm/ctx/hook.h"
#include "vm/ctx/packet.h"
#include "vm/maps/map.h"
#include "vm/net.h"
#include <string.h>

void effect_tell(struct skep_env *env, const struct skep_effect *effect)
{
    struct skep_effect e = *effect;

    e.sz = sizeof(e);
    if (env->out.effect)
        env->out.effect(env->out.effect_ctx, &e);
}

void effect_aim(struct skep_env *env, const char *what, uint32_t ifindex, uint64_t flags)
{
    env->redirect.what = what;
    env->redirect.ifindex = ifindex;
    env->redirect.flags = flags;
    env->redirect.map = NULL;
    env->redirect.key = 0;
    env->redirect.socket = 0;
    env->redirect.hop_family = 0;
}

/* The message of sk_msg is more than what its window shows. */
static void packet_of(struct skep_env *env, struct skep_effect *e)
{
    const struct hook_msg *m = hook_msg(env);
    uint32_t front = m ? m->front : 0, behind = m ? m->behind : 0;

    if (!env->packet.data)
        return;
    e->data = env->packet.data - front;
    e->data_size = front + packet_len(env) + behind;
}

/* Who the packet goes to next, as bpf_redirect_neigh() has Linux find out: the hop that the program named, else the way
 * to the packet's destination. NULL: no route, or nobody that is known answers there. */
static const struct net_neigh *next_hop(const struct skep_env *env, const unsigned char *ip)
{
    const struct net *net = env->net;
    uint32_t family = env->redirect.hop_family, addr[4] = {0}, ifindex = env->redirect.ifindex;
    const struct net_route *r;
    const struct net_neigh *n;

    memcpy(addr, env->redirect.hop, sizeof(addr));
    if (!family) {
        family = *ip >> 4 == 4 ? NET_INET : NET_INET6;
        memset(addr, 0, sizeof(addr));
        memcpy(addr, ip + (family == NET_INET ? 16 : 24), family == NET_INET ? 4 : 16);
        r = net_route_by_rules(net, family, addr, ifindex);
        if (!r || r->type != NET_UNICAST || r->ifindex != ifindex)
            return NULL;
        if (r->via_family) {
            family = r->via_family;
            memcpy(addr, r->via, sizeof(addr));
        }
    }
    n = net_neigh(net, family, addr, ifindex);
    return n && !n->invalid ? n : NULL;
}

/* The packet as it leaves by an interface: with the addresses of the link, which Linux fills in. Without a network in
 * the world nothing is known of neighbours, and the packet is told of as it is. */
static void tell_to_neighbour(struct skep_env *env, struct skep_effect *e)
{
    enum { ETH = 14, IPV4 = 20, IPV6 = 40 };
    const struct net_iface *out = env->net ? net_iface(env->net, env->redirect.ifindex) : NULL;
    const unsigned char *ip = (const unsigned char *)e->data + ETH;
    const struct net_neigh *n = NULL;
    unsigned char *copy;

    if (!env->net) {
        effect_tell(env, e);
        return;
    }
    if (out && e->data_size >= ETH + (*ip >> 4 == 6 ? IPV6 : IPV4) && (*ip >> 4 == 4 || *ip >> 4 == 6))
        n = next_hop(env, ip);
    e->what = n ? e->what : "redirect_neigh_failed";
    buf_clear(&env->scratch);
    buf_add(&env->scratch, e->data, e->data_size);
    if (n && !env->scratch.failed) {
        copy = (unsigned char *)env->scratch.data;
        memcpy(copy, n->mac, 6);
        memcpy(copy + 6, out->mac, 6);
        e->data = copy;
    }
    effect_tell(env, e);
}

static void tell_aimed(struct skep_env *env)
{
    struct skep_effect e = {.what = env->redirect.what,
                            .ifindex = env->redirect.ifindex,
                            .flags = env->redirect.flags,
                            .map = env->redirect.map ? env->redirect.map->def.name : NULL,
                            .key = env->redirect.key,
                            .socket = env->redirect.socket};

    if (!e.what)
        return;
    packet_of(env, &e);
    if (!strcmp(e.what, "redirect_neigh") && e.data)
        tell_to_neighbour(env, &e);
    else
        effect_tell(env, &e);
}

static void tell_tx(struct skep_env *env)
{
    struct skep_effect e = {.what = "tx", .ifindex = ((const uint32_t *)env->ctx)[3] /* ingress_ifindex */};

    packet_of(env, &e);
    effect_tell(env, &e);
}

void effect_of_verdict(struct skep_env *env, const struct prog_type *type, uint32_t retval)
{
    enum { XDP_TX = 3, XDP_REDIRECT = 4, TC_REDIRECT = 7, SK_PASS = 1 };

    if (!type || !env->out.effect)
        return;
    switch (type->id) {
    case PROG_TYPE_XDP:
        if (retval == XDP_REDIRECT)
            tell_aimed(env);
        else if (retval == XDP_TX)
            tell_tx(env);
        break;
    case PROG_TYPE_SCHED_CLS:
    case PROG_TYPE_SCHED_ACT:
    case PROG_TYPE_LWT_XMIT:
        if (retval == TC_REDIRECT)
            tell_aimed(env);
        break;
    case PROG_TYPE_SK_MSG:
    case PROG_TYPE_SK_SKB:
    case PROG_TYPE_SK_REUSEPORT:
        if (retval == SK_PASS)
            tell_aimed(env);
        break;
    default: break;
    }
}
