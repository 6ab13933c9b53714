/*
 * Clocks. The run's world says what time it is (vm/env.h): the host's clocks, or a fixed one. bpf_ktime_get_ns and
 * get_boot_ns agree, since a run is never suspended; coarse time is the same clock; TAI is wall-clock time with the 37
 * seconds that stand between it and UTC.
 */
#include "vm/helpers/helper.h"

enum { TAI_OFFSET_S = 37, NS_PER_JIFFY = 4000000, INITIAL_JIFFIES_S = -300, HZ = 250 };

HELPER_BODY(ktime_get_ns)
{
    return env_ktime(env);
}

HELPER_BODY(ktime_get_boot_ns)
{
    return env_ktime(env);
}

HELPER_BODY(ktime_get_coarse_ns)
{
    return env_ktime(env);
}

HELPER_BODY(ktime_get_tai_ns)
{
    return env_realtime(env) + TAI_OFFSET_S * UINT64_C(1000000000);
}

/* Linux begins to count five minutes below the wrap of 32 bits. */
HELPER_BODY(jiffies64)
{
    return (uint32_t)(INITIAL_JIFFIES_S * HZ) + env_ktime(env) / NS_PER_JIFFY;
}
