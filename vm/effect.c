/*
 * Effects on the world. A redirection is aimed by a helper and comes to pass by the verdict: what was aimed last
 * counts, and nothing when the verdict is another one.
 */
#include "vm/effect.h"
#include "vm/ctx/hook.h"
#include "vm/ctx/packet.h"
#include "vm/maps/map.h"

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
