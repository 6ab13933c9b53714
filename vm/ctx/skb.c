/*
 * The test run of programs on socket buffers. data_in is an Ethernet frame; programs of tc see it from the MAC header
 * on, all others from the network header on, and get 14 zero bytes before it in data_out, as in Linux. ctx_in is a
 * struct
 * __sk_buff of which a few fields may be set.
 *
 * Linux 6.18 refuses frames above 3712 bytes here; later kernels put what does not fit into fragments, which only
 * helpers reach until bpf_skb_pull_data(), and so does this.
 */
#include "vm/abi/prog_types.h"
#include "vm/ctx/packet.h"
#include "vm/ctx/store.h"
#include <errno.h>
#include <string.h>

_Static_assert(sizeof(struct skb_view) == 192, "struct __sk_buff has 192 bytes");
_Static_assert(offsetof(struct skb_view, data_meta) == 140 && offsetof(struct skb_view, hwtstamp) == 184,
               "fields stand where Linux has them");

enum {
    LOOPBACK = 1,
    HEADROOM = 64, /* NET_SKB_PAD + NET_IP_ALIGN: bounds the linear part */
    MAX_LINEAR = PACKET_PAGE - HEADROOM - CTX_TAILROOM,
    MAX_GSO = 65536, /* GSO_LEGACY_MAX_SIZE */
    MAX_GSO_SEGS = 65535,
    IPV4 = 0x0800,
    IPV6 = 0x86dd,
    INET = 2,
    INET6 = 10,
};

enum { TYPE_HOST = 0, TYPE_MULTICAST = 2, TYPE_OTHERHOST = 3 };

static uint16_t be16(const unsigned char *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint16_t to_be16(uint16_t v)
{
    return (uint16_t)(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v << 8 | v >> 8 : v);
}

uint16_t skb_eth_protocol(const unsigned char *eth, uint32_t len)
{
    enum { LEAST_ETHERTYPE = 0x600, NOVELL = 0x0001 /* ETH_P_802_3 */, LLC = 0x0004 /* ETH_P_802_2 */ };
    uint16_t type = be16(eth + 12);

    if (type >= LEAST_ETHERTYPE)
        return to_be16(type);
    return to_be16(len >= 16 && eth[14] == 0xff && eth[15] == 0xff ? NOVELL : LLC);
}

/* Frames come from the loopback device: its address is all zeroes, and so is what it takes for the broadcast address.
 */
static uint32_t pkt_type(const unsigned char *eth)
{
    static const unsigned char own[6];

    if (!memcmp(eth, own, 6))
        return TYPE_HOST;
    return eth[0] & 1 ? TYPE_MULTICAST : TYPE_OTHERHOST;
}

/* Fields of ctx_in that must be zero, as ranges from end to begin of the ones that may be set. */
static const char *forbidden(const struct skb_view *v)
{
    static const struct {
        uint16_t from, to;
        const char *name;
    } closed[] = {
        {0, 8, "len, pkt_type"},
        {12, 32, "queue_mapping, protocol or vlan fields"},
        {44, 48, "tc_index"},
        {68, 152, "hash, tc_classid, data, data_end, napi_id, addresses, ports, data_meta or flow_keys"},
        {168, 176, "sk"},
        {180, 184, "tstamp_type"},
    };
    const unsigned char *p = (const unsigned char *)v;

    for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
        for (unsigned at = closed[i].from; at < closed[i].to; at++)
            if (p[at])
                return closed[i].name;
    return NULL;
}

static int take_fields(struct skep_env *env, const struct log *log)
{
    const struct skb_view *user = (const struct skb_view *)env->ctx_store->user;
    struct skb_view *view = skb_view(env);
    const char *bad = forbidden(user);

    if (bad)
        return log_fail(log, -EINVAL, "context: %s must be zero", bad);
    if (user->wire_len && (user->wire_len < view->len || user->wire_len > MAX_GSO))
        return log_fail(log, -EINVAL, "context: wire_len %u is less than the packet's %u bytes or more than %u",
                        user->wire_len, view->len, MAX_GSO);
    if (user->gso_segs > MAX_GSO_SEGS)
        return log_fail(log, -EINVAL, "context: gso_segs %u is more than %u", user->gso_segs, MAX_GSO_SEGS);
    view->mark = user->mark;
    view->priority = user->priority;
    view->ingress_ifindex = user->ingress_ifindex;
    view->ifindex = user->ifindex > LOOPBACK ? user->ifindex : LOOPBACK;
    view->tstamp = user->tstamp;
    memcpy(view->cb, user->cb, sizeof(view->cb));
    view->wire_len = user->wire_len ? user->wire_len : view->len;
    view->gso_segs = user->gso_segs;
    view->gso_size = user->gso_size;
    view->hwtstamp = user->hwtstamp;
    return 0;
}

/* The socket that Linux makes for a test run has the packet's addresses, the sender's as its own. */
static int read_addresses(struct skep_env *env, const struct log *log)
{
    struct skb_view *view = skb_view(env);
    const unsigned char *net = env->packet.net;
    uint32_t len = (uint32_t)(env->packet.data_end - net);

    if (view->protocol == to_be16(IPV4)) {
        if (len < 20)
            return log_fail(log, -EINVAL, "packet: %u bytes behind the Ethernet header are no IPv4 header", len);
        view->family = INET;
        memcpy(&view->local_ip4, net + 12, 4);
        memcpy(&view->remote_ip4, net + 16, 4);
    } else if (view->protocol == to_be16(IPV6)) {
        if (len < 40)
            return log_fail(log, -EINVAL, "packet: %u bytes behind the Ethernet header are no IPv6 header", len);
        view->family = INET6;
        memcpy(view->local_ip6, net + 8, 16);
        memcpy(view->remote_ip6, net + 24, 16);
    }
    return 0;
}

/* That socket as programs see it. */
static bool make_sock(struct skep_env *env)
{
    struct skb_view *view = skb_view(env);
    struct sock *sk = sock_own(env);

    if (!sk)
        return false;
    sk->view.family = view->family;
    sk->view.src_ip4 = view->local_ip4;
    sk->view.dst_ip4 = view->remote_ip4;
    memcpy(sk->view.src_ip6, view->local_ip6, sizeof(sk->view.src_ip6));
    memcpy(sk->view.dst_ip6, view->remote_ip6, sizeof(sk->view.dst_ip6));
    view->sk = (uintptr_t)&sk->view;
    env->sk = sk;
    return true;
}

static bool begins_at_mac(const struct prog_type *type)
{
    return type->id == PROG_TYPE_SCHED_CLS || type->id == PROG_TYPE_SCHED_ACT;
}

/* Linux lets only these store into the packet themselves (may_access_direct_pkt_data). */
static bool may_write(const struct prog_type *type)
{
    return begins_at_mac(type) || type->id == PROG_TYPE_LWT_XMIT || type->id == PROG_TYPE_SK_SKB;
}

static int open_skb(struct skep_env *env, const struct prog_type *type, const struct ctx_io *io, const struct log *log)
{
    uint32_t size = io->data_size_in, linear = size < MAX_LINEAR ? size : MAX_LINEAR;
    struct env_packet *p = &env->packet;
    struct skb_view *view;
    int err;

    if (size < PACKET_ETH_HLEN && !io->link)
        return log_fail(log, -EINVAL, "packet of %u bytes: an Ethernet header of 14 is needed", size);
    if (size - linear > PACKET_MAX_FRAGS * PACKET_PAGE)
        return log_fail(log, -EINVAL, "packet of %u bytes: at most %u fit in a page and %u fragments", size,
                        MAX_LINEAR + PACKET_MAX_FRAGS * PACKET_PAGE, PACKET_MAX_FRAGS);
    err = ctx_take_user(env, io, sizeof(*view), log);
    if (err)
        return err;
    if (!packet_make(env, CTX_HEADROOM, linear, size - linear + CTX_TAILROOM) || !ctx_make(env, sizeof(*view)))
        return log_fail(log, -ENOMEM, "no memory for a packet of %u bytes", size);
    memcpy(p->data, io->data_in, size);
    p->paged = size - linear;
    p->mac = p->data;
    p->net = p->data + (size < PACKET_ETH_HLEN ? size : PACKET_ETH_HLEN);
    p->read_only = !may_write(type);

    memset(&env->ctx_store->skb, 0, sizeof(env->ctx_store->skb));
    env->skb = &env->ctx_store->skb;
    env->skb->is_l2 = begins_at_mac(type) || io->link;
    env->ctx_layout = type->ctx;
    view = skb_view(env);
    if (size >= PACKET_ETH_HLEN) {
        view->protocol = skb_eth_protocol(p->mac, linear);
        view->pkt_type = pkt_type(p->mac);
    }
    view->ifindex = LOOPBACK;
    err = io->link ? 0 : read_addresses(env, log);
    if (!err && !make_sock(env))
        err = log_fail(log, -ENOMEM, "no memory for a socket");
    if (err)
        return err;
    if (!env->skb->is_l2)
        p->data = p->data_meta = p->net;
    view->len = packet_len(env);
    return env->ctx_store->has_user ? take_fields(env, log) : 0;
}

static int close_skb(struct skep_env *env, const struct prog_type *type, struct ctx_io *io)
{
    struct skb_view *view = skb_view(env), out;
    struct env_packet *p = &env->packet;
    int err;

    (void)type;
    if (!env->skb->is_l2) {
        if (!packet_room(env, PACKET_ETH_HLEN, 0))
            return -ENOMEM;
        p->data -= PACKET_ETH_HLEN;
        memset(p->data, 0, PACKET_ETH_HLEN);
    }
    err = ctx_give_data(io, p->data, packet_len(env));
    if (!env->skb->is_l2)
        p->data += PACKET_ETH_HLEN;
    if (err || !env->ctx_store->has_user)
        return err;
    memcpy(&out, env->ctx_store->user, sizeof(out));
    out.mark = view->mark;
    out.priority = view->priority;
    out.ingress_ifindex = view->ingress_ifindex;
    out.ifindex = view->ifindex;
    out.tstamp = view->tstamp;
    memcpy(out.cb, view->cb, sizeof(out.cb));
    out.wire_len = view->wire_len;
    out.gso_segs = view->gso_segs;
    out.hwtstamp = view->hwtstamp;
    return ctx_give_ctx(io, &out, sizeof(out));
}

const struct ctx_kind ctx_kind_skb = {open_skb, close_skb};
