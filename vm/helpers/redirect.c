/*
 * Redirections: what the program asked for is aimed, and told of when its verdict makes it so; a clone is told of at
 * once. No packet leaves. The verdict that a helper returns is Linux's.
 */
#include "vm/effect.h"
#include "vm/helpers/packet_skb.h"
#include "vm/maps/map.h"

enum { XDP_ABORTED = 0, XDP_ACTIONS = 3, XDP_REDIRECT = 4, TC_SHOT = 2, TC_REDIRECT = 7, INGRESS = 1, BROADCAST = 8 };

HELPER_BODY(redirect)
{
    uint64_t allowed = env->skb ? INGRESS : 0;

    if (!env->skb && !helper_is_xdp(env))
        return helper_refuse(env, "this helper needs the context of a program on packets");
    if (a2 & ~allowed)
        return env->skb ? TC_SHOT : XDP_ABORTED;
    effect_aim(env, "redirect", (uint32_t)a1, a2);
    return env->skb ? TC_REDIRECT : XDP_REDIRECT;
}

HELPER_BODY(redirect_peer)
{
    NEED_SKB(env);
    if (a2)
        return TC_SHOT;
    effect_aim(env, "redirect_peer", (uint32_t)a1, 0);
    return TC_REDIRECT;
}

HELPER_BODY(redirect_neigh)
{
    enum { PARAMS_SIZE = 20 /* struct bpf_redir_neigh */ };

    NEED_SKB(env);
    if (((int32_t)a3 && (int32_t)a3 < PARAMS_SIZE) || a4)
        return TC_SHOT;
    effect_aim(env, "redirect_neigh", (uint32_t)a1, 0);
    if ((int32_t)a3) { /* nh_family, and its address */
        memcpy(&env->redirect.hop_family, helper_ptr(a2), 4);
        memcpy(env->redirect.hop, (const char *)helper_ptr(a2) + 4, sizeof(env->redirect.hop));
    }
    return TC_REDIRECT;
}

/* The packet itself stays as it is. */
HELPER_BODY(clone_redirect)
{
    struct skep_effect e = {.what = "clone_redirect", .ifindex = (uint32_t)a2, .flags = a3};

    NEED_SKB(env);
    if (a3 & ~(uint64_t)INGRESS)
        return helper_error(-EINVAL);
    if (skb_view(env)->gso_size)
        return helper_error(-EBADMSG);
    if (!e.ifindex)
        return helper_error(-EINVAL);
    env->redirect.ifindex = e.ifindex;
    e.data = env->packet.data;
    e.data_size = packet_len(env);
    effect_tell(env, &e);
    return 0;
}

/* A missing entry gives the action in the lowest bits of the flags. The value of a map of devices begins with the
 * interface. */
HELPER_BODY(redirect_map)
{
    struct map *map = helper_map(a1);
    uint32_t key = (uint32_t)a2, ifindex = 0;
    const void *value;

    if (!helper_is_xdp(env) || !map->ops->target)
        return helper_refuse(env, "this program type or map type does not take this helper");
    if (a3 & ~(uint64_t)(XDP_ACTIONS | map->ops->redirect_flags))
        return XDP_ABORTED;
    value = map->lookup(map, &key, env->cpu);
    if (!value && !(a3 & BROADCAST))
        return a3 & XDP_ACTIONS;
    if (value && map->ops->target == MAP_TARGET_DEVICE)
        memcpy(&ifindex, value, sizeof(ifindex));
    effect_aim(env, a3 & BROADCAST ? "redirect_map_broadcast" : "redirect_map", a3 & BROADCAST ? 0 : ifindex, a3);
    env->redirect.map = map;
    env->redirect.key = key;
    return XDP_REDIRECT;
}
