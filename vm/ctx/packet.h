/*
 * The packet of a run: bytes [data, data_end) that programs reach, `paged` bytes behind them that only helpers reach
 * (as in Linux what lies in fragments), head and tail room around, all in one buffer of the environment. Whoever moves
 * an end calls packet_moved().
 */
#ifndef VM_CTX_PACKET_H
#define VM_CTX_PACKET_H

#include "vm/ctx/ctx.h"

enum {
    PACKET_PAGE = 4096,
    PACKET_MAX_FRAGS = 17, /* MAX_SKB_FRAGS */
    PACKET_ETH_HLEN = 14,
    PACKET_GROWTH = 256,   /* room to spare when a buffer grows */
    PACKET_XDP_FRAME = 40, /* sizeof(struct xdp_frame), which Linux keeps at the head of the buffer */
};

/** All bytes, those in fragments included. */
static inline uint32_t packet_len(const struct skep_env *env)
{
    return (uint32_t)(env->packet.data_end - env->packet.data) + env->packet.paged;
}

/** Bytes that programs reach. */
static inline uint32_t packet_linear(const struct skep_env *env)
{
    return (uint32_t)(env->packet.data_end - env->packet.data);
}

/** A zeroed buffer of head + len + tail bytes, data in its middle. @return false: out of memory. */
bool packet_make(struct skep_env *env, uint32_t head, uint32_t len, uint32_t tail);

/** Makes room before and behind the packet, moving it to another buffer where need be. @return false: out of memory. */
bool packet_room(struct skep_env *env, uint32_t head, uint32_t tail);

/** Programs shall reach the first len bytes. @return false: the packet is shorter. */
bool packet_pull(struct skep_env *env, uint32_t len);

/** Forgets what was known of where the packet lies, and what the context says of its length. */
void packet_moved(struct skep_env *env);

#endif
