/*
 * bpf_perf_event_output. Networking programs may ask for the packet's first bytes behind the sample (flags, bits 32 to
 * 51); for all others these bits must be zero.
 */
#include "vm/helpers/helper.h"
#include "vm/maps/perf_array.h"

#define INDEX_MASK  UINT64_C(0xffffffff)
#define CTXLEN_MASK (UINT64_C(0xfffff) << 32)

HELPER_BODY(perf_event_output)
{
    uint64_t packet_bytes = (a3 & CTXLEN_MASK) >> 32;
    const unsigned char *packet = env->packet.data;
    bool networking = env->skb || helper_is_xdp(env);

    if (a3 & ~(networking ? CTXLEN_MASK | INDEX_MASK : INDEX_MASK))
        return helper_error(-EINVAL);
    if (packet_bytes && packet_bytes > (uint64_t)(env->packet.data_end - packet) + env->packet.paged)
        return helper_error(-EFAULT);
    return helper_error(
        perf_array_output(helper_map(a2), a3 & INDEX_MASK, env->cpu, helper_ptr(a4), a5, packet, packet_bytes));
}
