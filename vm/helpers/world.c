/*
 * Helpers that ask for what a run's world does not have: routes, call stacks. They answer as Linux does where
 * there are none, after the same checks of their arguments, so that a program takes its path for that case.
 */
#include "vm/helpers/packet_skb.h"

/* No route leads anywhere: the packet is not to be forwarded. */
HELPER_BODY(fib_lookup)
{
    enum { PARAMS = 64, FLAGS = 0x3f, FAMILY_INET = 2, FAMILY_INET6 = 10, NOT_FORWARDED = 4 };
    const unsigned char *params = helper_ptr(a2);

    if (!env->skb && !helper_is_xdp(env))
        return helper_refuse(env, "this helper needs the context of a program on packets");
    if ((uint32_t)a3 < PARAMS || (uint32_t)a4 & ~(uint32_t)FLAGS)
        return helper_error(-EINVAL);
    if (params[0] != FAMILY_INET && params[0] != FAMILY_INET6)
        return helper_error(-EAFNOSUPPORT);
    return NOT_FORWARDED;
}

/* Every interface is Ethernet with the usual MTU. */
HELPER_BODY(check_mtu)
{
    enum { MTU = 1500, SEGMENTS = 1, TOO_LONG = 1, SUCCESS = 0 };
    uint32_t given, mtu = MTU;
    int64_t len;
    uint64_t ret;

    if (!env->skb && !helper_is_xdp(env))
        return helper_refuse(env, "this helper needs the context of a program on packets");
    memcpy(&given, helper_ptr(a3), sizeof(given));
    if (a5 & ~(uint64_t)(env->skb ? SEGMENTS : 0) || (a5 & SEGMENTS && ((int32_t)a4 || given))) {
        mtu = 0;
        ret = helper_error(-EINVAL);
    } else {
        len = (given ? (int64_t)given + PACKET_ETH_HLEN : packet_len(env)) + (int32_t)a4;
        ret = len <= MTU + PACKET_ETH_HLEN || (env->skb && skb_view(env)->gso_size) ? SUCCESS : TOO_LONG;
    }
    memcpy(helper_ptr(a3), &mtu, sizeof(mtu));
    return ret;
}

/* There is no call stack to walk. */
static uint64_t no_stack(uint64_t buf, uint64_t size, uint64_t flags)
{
    enum { SKIP = 0xff, USER_STACK = 1 << 8, USER_BUILD_ID = 1 << 11, BUILD_ID_SIZE = 32 };
    uint32_t unit = flags & USER_BUILD_ID ? BUILD_ID_SIZE : 8;
    bool bad = flags & ~(uint64_t)(SKIP | USER_STACK | USER_BUILD_ID) ||
               (flags & USER_BUILD_ID && !(flags & USER_STACK)) || (uint32_t)size % unit;

    if ((uint32_t)size)
        memset(helper_ptr(buf), 0, (uint32_t)size);
    return helper_error(bad ? -EINVAL : -EFAULT);
}

HELPER_BODY(get_stackid)
{
    enum { SKIP = 0xff, USER_STACK = 1 << 8, FAST_STACK_CMP = 1 << 9, REUSE_STACKID = 1 << 10 };

    return helper_error(a3 & ~(uint64_t)(SKIP | USER_STACK | FAST_STACK_CMP | REUSE_STACKID) ? -EINVAL : -EFAULT);
}

HELPER_BODY(get_stack)
{
    return no_stack(a2, a3, a4);
}

HELPER_BODY(get_task_stack)
{
    return no_stack(a2, a3, a4);
}

/* What the probed function would return instead, for whoever ran the program to see. */
HELPER_BODY(override_return)
{
    env->retval = (int32_t)a2;
    return 0;
}
