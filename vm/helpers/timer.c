/*
 * Timers. The virtual clock of a run is theirs: one that was started is due at a time of env_ktime(), and whoever owns
 * the run lets that time come (vm/timer.h). Of Linux's clocks all read the same here.
 */
#include "vm/timer.h"
#include "vm/helpers/field.h"
#include "vm/helpers/helper.h"

enum { CLOCK_BITS = 15, CLOCK_REAL = 0, CLOCK_MONO = 1, CLOCK_BOOT = 7, START_ABS = 1, START_PINNED = 2 };

HELPER_BODY(timer_init)
{
    uint64_t clock = a3 & CLOCK_BITS;

    if (!field_is(env, a1, FIELD_TIMER, a2))
        return 0;
    if (a3 & ~(uint64_t)CLOCK_BITS || (clock != CLOCK_REAL && clock != CLOCK_MONO && clock != CLOCK_BOOT))
        return helper_error(-EINVAL);
    return helper_error(timer_init(helper_map(a2), helper_ptr(a1), TIMER_CLOCK));
}

HELPER_BODY(timer_set_callback)
{
    return field_is(env, a1, FIELD_TIMER, 0) ? helper_error(timer_set_callback(helper_ptr(a1), env->code, a2)) : 0;
}

HELPER_BODY(timer_start)
{
    uint64_t due = a2;

    if (!field_is(env, a1, FIELD_TIMER, 0))
        return 0;
    if (a3 & ~(uint64_t)(START_ABS | START_PINNED))
        return helper_error(-EINVAL);
    if (!(a3 & START_ABS) && __builtin_add_overflow(env_now(env), a2, &due))
        due = INT64_MAX;
    return helper_error(timer_start(helper_ptr(a1), due > INT64_MAX ? INT64_MAX : due));
}

HELPER_BODY(timer_cancel)
{
    return field_is(env, a1, FIELD_TIMER, 0) ? helper_error(timer_cancel(helper_ptr(a1), env)) : 0;
}
