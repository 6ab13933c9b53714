/*
 * What tracing programs send: samples with the first bytes of a packet that they were handed as a kernel structure, and
 * acknowledgements of a congestion control.
 */
#include "vm/effect.h"
#include "vm/helpers/helper.h"
#include "vm/helpers/kernel_field.h"
#include "vm/maps/perf_array.h"

#define INDEX_MASK  UINT64_C(0xffffffff)
#define CTXLEN_MASK (UINT64_C(0xfffff) << 32)

/* bytes: of the packet, from data on; what the world does not have of it cannot be sent. */
static uint64_t output(struct skep_env *env, struct map *map, uint64_t flags, uint64_t sample, uint64_t size,
                       uint64_t data, uint64_t len)
{
    uint64_t bytes = (flags & CTXLEN_MASK) >> 32;
    const void *packet = NULL;

    if (flags & ~(CTXLEN_MASK | INDEX_MASK))
        return helper_error(-EINVAL);
    if (bytes > len)
        return helper_error(-EFAULT);
    if (bytes && !(packet = env_probe(env, data, bytes, ENV_MEM_KERNEL)))
        return helper_error(-EFAULT);
    return helper_error(perf_array_output(map, flags & INDEX_MASK, env->cpu, helper_ptr(sample), size, packet, bytes));
}

HELPER_BODY(skb_output)
{
    uint64_t data, len;

    if (!kernel_field(env, a1, "sk_buff", "len", &len) || !kernel_field(env, a1, "sk_buff", "data", &data))
        return helper_error(-EFAULT);
    return output(env, helper_map(a2), a3, a4, a5, data, len);
}

HELPER_BODY(xdp_output)
{
    uint64_t data, end;

    if (!kernel_field(env, a1, "xdp_buff", "data", &data) || !kernel_field(env, a1, "xdp_buff", "data_end", &end))
        return helper_error(-EFAULT);
    return output(env, helper_map(a2), a3, a4, a5, data, end > data ? end - data : 0);
}

HELPER_BODY(tcp_send_ack)
{
    struct skep_effect e = {.what = "tcp_send_ack", .args = {(uint32_t)a2}};

    effect_tell(env, &e);
    return 0;
}
