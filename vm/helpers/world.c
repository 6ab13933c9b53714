/*
 * Helpers that ask for what a run's world does not have: call stacks. They answer as Linux does where
 * there are none, after the same checks of their arguments, so that a program takes its path for that case.
 */
#include "vm/helpers/packet_skb.h"

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
