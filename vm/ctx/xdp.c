/*
 * XDP's test run. A linear part of one page with 256 bytes of head room (metadata comes out of it) and the tail room of
 * an skb_shared_info; what does not fit stands in fragments. ctx_in says where metadata ends and data begins (data),
 * where the linear part ends (data_end), and which interface and queue the packet came from.
 */
#include "vm/ctx/packet.h"
#include "vm/ctx/store.h"
#include <errno.h>
#include <string.h>

struct xdp_md {
    uint32_t data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

enum { LOOPBACK = 1, MAX_META = 255 };

static int check_user(const struct xdp_md *md, uint32_t size, const struct log *log)
{
    if (md->data_meta)
        return log_fail(log, -EINVAL, "context: data_meta must be 0, where the given data begins");
    if (md->data_end > size || md->data > md->data_end)
        return log_fail(log, -EINVAL, "context: data %u and data_end %u do not lie in order inside %u bytes of data",
                        md->data, md->data_end, size);
    if (md->data % 4 || md->data > MAX_META || md->data > CTX_HEADROOM - PACKET_XDP_FRAME)
        return log_fail(log, -EINVAL, "context: metadata of %u bytes; it must be a multiple of 4 and at most %u",
                        md->data, CTX_HEADROOM - PACKET_XDP_FRAME);
    if (md->egress_ifindex)
        return log_fail(log, -EINVAL, "context: egress_ifindex must be 0");
    if (md->rx_queue_index && !md->ingress_ifindex)
        return log_fail(log, -EINVAL, "context: rx_queue_index without ingress_ifindex");
    return 0;
}

static uint32_t round_to_pages(uint32_t size)
{
    return (size + PACKET_PAGE - 1) / PACKET_PAGE * PACKET_PAGE;
}

static int open_xdp(struct skep_env *env, const struct prog_type *type, const struct ctx_io *io, const struct log *log)
{
    uint32_t meta = 0, linear = io->data_size_in, max_linear, paged, tail;
    struct xdp_md md = {0}, *shadow;
    int err = ctx_take_user(env, io, sizeof(md), log);

    if (err)
        return err;
    if (env->ctx_store->has_user) {
        memcpy(&md, env->ctx_store->user, sizeof(md));
        /* Only ctx_out was asked for: all of data is linear. */
        if (!io->ctx_in)
            md.data_end = linear;
        err = check_user(&md, linear, log);
        if (err)
            return err;
        meta = md.data;
        linear = md.data_end;
    }
    if (io->data_size_in < meta || io->data_size_in - meta < PACKET_ETH_HLEN)
        return log_fail(log, -EINVAL, "packet of %u bytes: XDP needs an Ethernet header of 14 at least",
                        io->data_size_in - (io->data_size_in < meta ? 0 : meta));
    max_linear = PACKET_PAGE - (CTX_HEADROOM - meta) - CTX_TAILROOM;
    if (linear > max_linear)
        linear = max_linear;
    paged = io->data_size_in - linear;
    if (paged > PACKET_MAX_FRAGS * PACKET_PAGE)
        return log_fail(log, -ENOMEM, "packet of %u bytes: at most %u fit in a page and %u fragments", io->data_size_in,
                        linear + PACKET_MAX_FRAGS * PACKET_PAGE, PACKET_MAX_FRAGS);
    tail = paged ? round_to_pages(paged) : max_linear - linear;
    if (!packet_make(env, CTX_HEADROOM - meta, linear, tail) || !ctx_make(env, sizeof(md)))
        return log_fail(log, -ENOMEM, "no memory for a packet of %u bytes", io->data_size_in);
    memcpy(env->packet.data, io->data_in, io->data_size_in);
    env->packet.data += meta;
    env->packet.paged = paged;
    shadow = env->ctx;
    shadow->ingress_ifindex = md.ingress_ifindex ? md.ingress_ifindex : LOOPBACK;
    shadow->rx_queue_index = md.rx_queue_index;
    env->ctx_layout = type->ctx;
    return 0;
}

static int close_xdp(struct skep_env *env, const struct prog_type *type, struct ctx_io *io)
{
    const struct env_packet *p = &env->packet;
    uint32_t linear = (uint32_t)(p->data_end - p->data_meta);
    struct xdp_md md;
    int err = ctx_give_data(io, p->data_meta, linear + p->paged);

    (void)type;
    if (err || !env->ctx_store->has_user)
        return err;
    memcpy(&md, env->ctx_store->user, sizeof(md));
    md.data = (uint32_t)(p->data - p->data_meta);
    md.data_end = linear;
    return ctx_give_ctx(io, &md, sizeof(md));
}

const struct ctx_kind ctx_kind_xdp = {open_xdp, close_xdp};
