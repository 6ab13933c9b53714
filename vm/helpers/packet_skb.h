/* What helpers on socket buffers share. */
#ifndef VM_HELPERS_PACKET_SKB_H
#define VM_HELPERS_PACKET_SKB_H

#include "vm/ctx/packet.h"
#include "vm/ctx/skb.h"
#include "vm/helpers/helper.h"

enum { ENOTSUPP_ = 524 /* Linux's, not for user space; helpers return it all the same */ };

#define NEED_SKB(env)                                                                                                  \
    do {                                                                                                               \
        if (!(env)->skb)                                                                                               \
            return helper_refuse(env, "this helper needs the context of a program on socket buffers");                 \
    } while (0)

static inline uint16_t swap_to_be16(uint16_t v)
{
    return (uint16_t)(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v << 8 | v >> 8 : v);
}

#define SKB_IPV4 swap_to_be16(0x0800)
#define SKB_IPV6 swap_to_be16(0x86dd)

#endif
