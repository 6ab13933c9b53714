/*
 * Helpers of XDP programs on their packet. The buffer is Linux's page: 40 bytes of struct xdp_frame at its head that
 * metadata and data may not reach, and an end that growth may not pass.
 */
#include "vm/ctx/packet.h"
#include "vm/helpers/helper.h"

#define NEED_XDP(env)                                                                                                  \
    do {                                                                                                               \
        if (!helper_is_xdp(env))                                                                                       \
            return helper_refuse(env, "this helper needs the context of an XDP program");                              \
    } while (0)

HELPER_BODY(xdp_get_buff_len)
{
    NEED_XDP(env);
    return packet_len(env);
}

HELPER_BODY(xdp_adjust_head)
{
    struct env_packet *p = &env->packet;
    int64_t offset = (int32_t)a2, data, meta_len;

    NEED_XDP(env);
    data = p->data - p->buf + offset;
    meta_len = p->data - p->data_meta;
    if (data < PACKET_XDP_FRAME + meta_len || data > p->data_end - p->buf - PACKET_ETH_HLEN)
        return helper_error(-EINVAL);
    memmove(p->data_meta + offset, p->data_meta, (size_t)meta_len);
    p->data_meta += offset;
    p->data += offset;
    packet_moved(env);
    return 0;
}

HELPER_BODY(xdp_adjust_meta)
{
    enum { MAX_META = 255 };
    struct env_packet *p = &env->packet;
    int64_t meta, meta_len;

    NEED_XDP(env);
    meta = p->data_meta - p->buf + (int32_t)a2;
    meta_len = p->data - p->buf - meta;
    if (meta < PACKET_XDP_FRAME || meta_len < 0)
        return helper_error(-EINVAL);
    if (meta_len % 4 || meta_len > MAX_META)
        return helper_error(-EACCES);
    p->data_meta = p->buf + meta;
    packet_moved(env);
    return 0;
}

/* The last fragment grows inside its page; fragments go before the linear part shrinks. */
static uint64_t adjust_paged_tail(struct skep_env *env, int64_t offset)
{
    struct env_packet *p = &env->packet;
    uint32_t in_last = p->paged % PACKET_PAGE, shrink;

    if (offset >= 0) {
        if (offset > (in_last ? PACKET_PAGE - in_last : 0))
            return helper_error(-EINVAL);
        memset(p->data_end + p->paged, 0, (size_t)offset);
        p->paged += (uint32_t)offset;
        return 0;
    }
    if (-offset > (int64_t)packet_len(env) - PACKET_ETH_HLEN)
        return helper_error(-EINVAL);
    shrink = -offset < p->paged ? (uint32_t)-offset : p->paged;
    p->paged -= shrink;
    p->data_end += offset + shrink;
    packet_moved(env);
    return 0;
}

HELPER_BODY(xdp_adjust_tail)
{
    struct env_packet *p = &env->packet;
    int64_t offset = (int32_t)a2, end;

    NEED_XDP(env);
    if (p->paged)
        return adjust_paged_tail(env, offset);
    end = p->data_end - p->buf + offset;
    if (end > PACKET_PAGE - CTX_TAILROOM || end < p->data - p->buf + PACKET_ETH_HLEN)
        return helper_error(-EINVAL);
    if (offset > 0)
        memset(p->data_end, 0, (size_t)offset);
    p->data_end = p->buf + end;
    packet_moved(env);
    return 0;
}

/* Where bytes stand, or why they cannot be reached (bpf_xdp_pointer). */
static int find_bytes(struct skep_env *env, uint64_t offset, uint64_t len, unsigned char **at)
{
    if (offset > 0xffff || len > 0xffff)
        return -EFAULT;
    if (offset + len > packet_len(env))
        return -EINVAL;
    *at = env->packet.data + offset;
    return 0;
}

HELPER_BODY(xdp_load_bytes)
{
    unsigned char *at;
    int err;

    NEED_XDP(env);
    err = find_bytes(env, (uint32_t)a2, (uint32_t)a4, &at);
    if (!err)
        memmove(helper_ptr(a3), at, (uint32_t)a4);
    return helper_error(err);
}

HELPER_BODY(xdp_store_bytes)
{
    unsigned char *at;
    int err;

    NEED_XDP(env);
    err = find_bytes(env, (uint32_t)a2, (uint32_t)a4, &at);
    if (!err)
        memmove(at, helper_ptr(a3), (uint32_t)a4);
    return helper_error(err);
}
