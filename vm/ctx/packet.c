/* The packet's buffer. Its pointers move together: data_meta <= data <= data_end, mac and net inside the buffer. */
#include "vm/ctx/packet.h"
#include "vm/ctx/hook.h"
#include "vm/ctx/skb.h"
#include <stdlib.h>
#include <string.h>

bool packet_make(struct skep_env *env, uint32_t head, uint32_t len, uint32_t tail)
{
    struct env_packet *p = &env->packet;
    uint32_t size = head + len + tail;

    if (size > p->cap || !p->buf) {
        unsigned char *bigger = realloc(p->buf, size ? size : 1); /* an empty packet has an address too */

        if (!bigger)
            return false;
        p->buf = bigger;
        p->cap = size;
    }
    memset(p->buf, 0, size);
    p->data = p->data_meta = p->buf + head;
    p->data_end = p->data + len;
    p->mac = p->net = NULL;
    p->paged = 0;
    p->read_only = false;
    return true;
}

bool packet_room(struct skep_env *env, uint32_t head, uint32_t tail)
{
    struct env_packet *p = &env->packet;
    uint32_t has_head = (uint32_t)(p->data - p->buf), used = packet_len(env);
    uint32_t has_tail = p->cap - has_head - used, more_head = 0, cap = p->cap;
    unsigned char *buf;
    ptrdiff_t shift;

    if (has_head >= head && has_tail >= tail)
        return true;
    if (has_head < head)
        more_head = head - has_head + PACKET_GROWTH;
    cap += more_head + (has_tail < tail ? tail - has_tail + PACKET_GROWTH : 0);
    buf = calloc(1, cap);
    if (!buf)
        return false;
    memcpy(buf + more_head, p->buf, p->cap);
    shift = (buf + more_head) - p->buf;
    p->data += shift;
    p->data_end += shift;
    p->data_meta += shift;
    if (p->mac)
        p->mac += shift;
    if (p->net)
        p->net += shift;
    free(p->buf);
    p->buf = buf;
    p->cap = cap;
    packet_moved(env);
    return true;
}

bool packet_pull(struct skep_env *env, uint32_t len)
{
    uint32_t linear = packet_linear(env);

    if (len > packet_len(env))
        return false;
    if (len > linear) {
        env->packet.data_end += len - linear;
        env->packet.paged -= len - linear;
        packet_moved(env);
    }
    return true;
}

void packet_moved(struct skep_env *env)
{
    env_forget_mem(env);
    if (env->skb)
        skb_view(env)->len = packet_len(env);
    else
        hook_place_packet(env);
}
