/*
 * Redirections: what the program asked for is noted in env->redirect for whoever ran it; no packet leaves. The verdict
 * that a helper returns is Linux's.
 */
#include "vm/helpers/packet_skb.h"

enum { XDP_ABORTED = 0, XDP_ACTIONS = 3, XDP_REDIRECT = 4, TC_SHOT = 2, TC_REDIRECT = 7, INGRESS = 1, BROADCAST = 8 };

static void note(struct skep_env *env, uint32_t ifindex, uint64_t flags)
{
    env->redirect.ifindex = ifindex;
    env->redirect.flags = flags;
    env->redirect.map = NULL;
    env->redirect.key = 0;
}

HELPER_BODY(redirect)
{
    uint64_t allowed = env->skb ? INGRESS : 0;

    if (!env->skb && !helper_is_xdp(env))
        return helper_refuse(env, "this helper needs the context of a program on packets");
    if (a2 & ~allowed)
        return env->skb ? TC_SHOT : XDP_ABORTED;
    note(env, (uint32_t)a1, a2);
    return env->skb ? TC_REDIRECT : XDP_REDIRECT;
}

HELPER_BODY(redirect_peer)
{
    NEED_SKB(env);
    if (a2)
        return TC_SHOT;
    note(env, (uint32_t)a1, 0);
    return TC_REDIRECT;
}

HELPER_BODY(redirect_neigh)
{
    enum { PARAMS_SIZE = 20 /* struct bpf_redir_neigh */ };

    NEED_SKB(env);
    if (((int32_t)a3 && (int32_t)a3 < PARAMS_SIZE) || a4)
        return TC_SHOT;
    note(env, (uint32_t)a1, 0);
    return TC_REDIRECT;
}

/* The clone goes nowhere; the packet itself stays as it is. */
HELPER_BODY(clone_redirect)
{
    NEED_SKB(env);
    if (a3 & ~(uint64_t)INGRESS)
        return helper_error(-EINVAL);
    if (skb_view(env)->gso_size)
        return helper_error(-EBADMSG);
    if (!(uint32_t)a2)
        return helper_error(-EINVAL);
    note(env, (uint32_t)a2, a3);
    return 0;
}

/* A missing entry gives the action in the lowest bits of the flags. */
HELPER_BODY(redirect_map)
{
    struct map *map = helper_map(a1);
    uint32_t key = (uint32_t)a2;

    if (!helper_is_xdp(env) || !map->ops->lookup || map->def.key_size != sizeof(key))
        return helper_refuse(env, "this program type or map type does not take this helper");
    if (a3 & ~(uint64_t)(XDP_ACTIONS | BROADCAST | BROADCAST << 1))
        return XDP_ABORTED;
    if (!map->ops->lookup(map, &key, env->cpu) && !(a3 & BROADCAST))
        return a3 & XDP_ACTIONS;
    env->redirect.ifindex = 0;
    env->redirect.flags = a3;
    env->redirect.map = map;
    env->redirect.key = key;
    return XDP_REDIRECT;
}
