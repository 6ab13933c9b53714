/*
 * Headers that lightweight tunnels put before a packet, and segment routing headers (RFC 8754). The packet begins with
 * its network header. Routes are looked up by nobody here: what a header's address leads to is the next hop's affair.
 */
#include "vm/effect.h"
#include "vm/helpers/packet_skb.h"

enum {
    ENCAP_SEG6,
    ENCAP_SEG6_INLINE,
    ENCAP_IP,
    MAX_HEADROOM = 256, /* LWT_BPF_MAX_HEADROOM */
    IPV4_LEN = 20,
    IPV6_LEN = 40,
    UDP_LEN = 8,
    SRH_LEN = 8,
    NEXT_UDP = 17,
    NEXT_IPV6 = 41,
    NEXT_ROUTING = 43,
};

/* Of a segment routing header. */
enum { SRH_NEXT = 0, SRH_HDRLEN = 1, SRH_TYPE = 2, SRH_LEFT = 3, SRH_LAST = 4, SRH_FLAGS = 5 };

static uint16_t be16(const unsigned char *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(unsigned char *p, uint32_t v)
{
    p[0] = (unsigned char)(v >> 8);
    p[1] = (unsigned char)v;
}

/* len bytes of room before the packet's byte off; what stands before it moves forward. */
static int push(struct skep_env *env, uint32_t off, uint32_t len)
{
    struct env_packet *p = &env->packet;

    if (!packet_room(env, len, 0))
        return -ENOMEM;
    p->data -= len;
    p->data_meta = p->net = p->data;
    memmove(p->data, p->data + len, off);
    memset(p->data + off, 0, len);
    packet_moved(env);
    return 0;
}

static void pop(struct skep_env *env, uint32_t off, uint32_t len)
{
    struct env_packet *p = &env->packet;

    memmove(p->data + len, p->data, off);
    p->data += len;
    p->data_meta = p->net = p->data;
    packet_moved(env);
}

/* The header's length may not end inside what it says follows. */
static bool is_ip_header(const unsigned char *hdr, uint32_t len)
{
    uint32_t own = (hdr[0] & 15u) * 4;

    switch (hdr[0] >> 4) {
    case 4: return len >= own && (hdr[9] != NEXT_UDP || len >= own + UDP_LEN);
    case 6: return len >= IPV6_LEN && (hdr[6] != NEXT_UDP || len >= IPV6_LEN + UDP_LEN);
    default: return false;
    }
}

static uint16_t ip_check(const unsigned char *ip)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < (ip[0] & 15u) * 4; i += 2)
        sum += be16(ip + i);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static int push_ip(struct skep_env *env, const unsigned char *hdr, uint32_t len)
{
    unsigned char *ip;
    int err;

    if (len < IPV4_LEN || len > MAX_HEADROOM || !is_ip_header(hdr, len))
        return -EINVAL;
    err = push(env, 0, len);
    if (err)
        return err;
    ip = env->packet.data;
    memcpy(ip, hdr, len);
    env->skb->encapsulation = true;
    env->skb->hash_set = false;
    skb_view(env)->hash = 0;
    skb_view(env)->protocol = ip[0] >> 4 == 4 ? SKB_IPV4 : SKB_IPV6;
    if (ip[0] >> 4 == 4 && !be16(ip + 10))
        put16(ip + 10, ip_check(ip));
    return 0;
}

/* ---- Segment routing ---- */

/* Linux's seg6_validate_srh(): type 4, a length in words of 8 that is the memory's, segments that fit, whole TLVs. */
static bool is_srh(const unsigned char *srh, uint32_t len, bool reduced)
{
    uint32_t last, at;

    if (len < SRH_LEN || srh[SRH_TYPE] != 4 || ((uint32_t)srh[SRH_HDRLEN] + 1) * 8 != len)
        return false;
    last = srh[SRH_LAST];
    if (!reduced && srh[SRH_LEFT] > last)
        return false;
    if (reduced && (srh[SRH_LEFT] > last + 1 || last > (uint32_t)srh[SRH_HDRLEN] / 2 - 1))
        return false;
    at = SRH_LEN + (last + 1) * 16;
    if (at > len)
        return false;
    while (at < len) {
        if (srh[at] == 0) { /* PAD1 */
            at++;
            continue;
        }
        if (at + 2 > len || at + 2 + srh[at + 1] > len)
            return false;
        at += 2 + (uint32_t)srh[at + 1];
    }
    return true;
}

/* Behind the IPv6 header, where the packet's next segment becomes its destination. */
static int push_inline(struct skep_env *env, const unsigned char *srh, uint32_t len)
{
    unsigned char *ip;
    int err;

    if (skb_view(env)->protocol != SKB_IPV6 || packet_linear(env) < IPV6_LEN)
        return -EBADMSG;
    err = push(env, IPV6_LEN, len);
    if (err)
        return err;
    ip = env->packet.data;
    memcpy(ip + IPV6_LEN, srh, len);
    ip[IPV6_LEN + SRH_NEXT] = ip[6];
    ip[6] = NEXT_ROUTING;
    memcpy(ip + IPV6_LEN + SRH_LEN, ip + 24, 16); /* segment 0 is where it was going */
    memcpy(ip + 24, ip + IPV6_LEN + SRH_LEN + srh[SRH_LEFT] * 16, 16);
    put16(ip + 4, packet_len(env) - IPV6_LEN);
    return 0;
}

/* An IPv6 header and the routing header before the packet. */
static int push_outer(struct skep_env *env, const unsigned char *srh, uint32_t len)
{
    enum { HOP_LIMIT = 64 };
    bool v6 = skb_view(env)->protocol == SKB_IPV6;
    unsigned char *ip;
    int err = push(env, 0, IPV6_LEN + len);

    if (err)
        return err;
    ip = env->packet.data;
    ip[0] = 0x60;
    ip[6] = NEXT_ROUTING;
    ip[7] = v6 ? ip[IPV6_LEN + len + 7] : HOP_LIMIT;
    memcpy(ip + IPV6_LEN, srh, len);
    ip[IPV6_LEN + SRH_NEXT] = v6 ? NEXT_IPV6 : 4;
    memcpy(ip + 24, srh + SRH_LEN + srh[SRH_LEFT] * 16, 16);
    put16(ip + 4, packet_len(env) - IPV6_LEN);
    skb_view(env)->protocol = SKB_IPV6;
    env->skb->encapsulation = true;
    return 0;
}

static int push_srh(struct skep_env *env, uint32_t how, const unsigned char *srh, uint32_t len)
{
    if (!is_srh(srh, len, false))
        return -EINVAL;
    return how == ENCAP_SEG6_INLINE ? push_inline(env, srh, len) : push_outer(env, srh, len);
}

HELPER_BODY(lwt_push_encap)
{
    const unsigned char *hdr = helper_ptr(a3);
    uint32_t len = (uint32_t)a4;

    NEED_SKB(env);
    switch ((uint32_t)a2) {
    case ENCAP_SEG6:
    case ENCAP_SEG6_INLINE:
        if (env->ctx_layout != &ctx_skb_lwt)
            return helper_error(-EINVAL);
        return helper_error(push_srh(env, (uint32_t)a2, hdr, len));
    case ENCAP_IP: return helper_error(push_ip(env, hdr, len));
    default: return helper_error(-EINVAL);
    }
}

/* ---- The routing header of a packet that came here as one of its segments (seg6local) ---- */

/* Where it begins, behind hop-by-hop and destination options; 0: there is none. */
static uint32_t find_srh(const struct skep_env *env)
{
    const unsigned char *ip = env->packet.data;
    uint32_t linear = packet_linear(env), at = IPV6_LEN;
    uint8_t next;

    if (linear < IPV6_LEN || ip[0] >> 4 != 6)
        return 0;
    next = ip[6];
    while (next == 0 || next == 60) {
        if (at + 8 > linear)
            return 0;
        next = ip[at];
        at += (ip[at + 1] + 1u) * 8;
    }
    return next == NEXT_ROUTING && at + SRH_LEN <= linear ? at : 0;
}

/* A header that was made longer or shorter counts by what it became, until its own length is written. */
static uint32_t srh_size(const struct skep_env *env, uint32_t at)
{
    uint32_t given = (env->packet.data[at + SRH_HDRLEN] + 1u) * 8;

    return (uint32_t)((int32_t)given + env->skb->srh_grown);
}

static bool has_valid_srh(struct skep_env *env)
{
    uint32_t at = find_srh(env), size;
    unsigned char *srh = env->packet.data + at;

    if (!at)
        return false;
    size = srh_size(env, at);
    if (size % 8 || size < SRH_LEN || at + size > packet_linear(env))
        return false;
    srh[SRH_HDRLEN] = (unsigned char)(size / 8 - 1);
    env->skb->srh_grown = 0;
    return is_srh(srh, size, true);
}

HELPER_BODY(lwt_seg6_store_bytes)
{
    uint64_t offset = (uint32_t)a2, len = (uint32_t)a4, tlvs, end;
    uint32_t at;

    NEED_SKB(env);
    at = find_srh(env);
    if (!at)
        return helper_error(-EINVAL);
    tlvs = at + (env->packet.data[at + SRH_LAST] + 1u) * 16; /* as Linux counts here, without the header's 8 bytes */
    end = at + srh_size(env, at);
    if (!(offset >= tlvs && offset + len <= end) && (offset < at + SRH_FLAGS || offset + len > at + SRH_LEN))
        return helper_error(-EFAULT);
    if (offset + len > packet_linear(env))
        return helper_error(-EFAULT);
    memmove(env->packet.data + offset, helper_ptr(a3), len);
    return find_srh(env) ? 0 : helper_error(-EINVAL);
}

HELPER_BODY(lwt_seg6_adjust_srh)
{
    uint32_t offset = (uint32_t)a2, at, tlvs, end;
    int64_t len = (int32_t)a3;
    int err = 0;

    NEED_SKB(env);
    at = find_srh(env);
    if (!at)
        return helper_error(-EINVAL);
    tlvs = at + SRH_LEN + (env->packet.data[at + SRH_LAST] + 1u) * 16;
    end = at + srh_size(env, at);
    if (offset < tlvs || offset > end || end > packet_linear(env) || (len < 0 && offset - len > end))
        return helper_error(-EFAULT);
    if (len > PACKET_PAGE)
        return helper_error(-ENOMEM);
    if (len > 0)
        err = push(env, offset, (uint32_t)len);
    else if (len < 0)
        pop(env, offset, (uint32_t)-len);
    if (err)
        return helper_error(err);
    env->skb->srh_grown += (int32_t)len;
    put16(env->packet.data + 4, packet_len(env) - IPV6_LEN);
    return 0;
}

/* The next hop is told of; where it lies, no world says. */
static uint64_t next_hop(struct skep_env *env, const char *what, const void *param, uint32_t size, uint64_t table)
{
    effect_tell(env, &(struct skep_effect){.what = what, .data = param, .data_size = size, .args = {table}});
    return 0;
}

/* Takes off what stands before the inner IPv6 header. */
static int decapsulate(struct skep_env *env)
{
    uint32_t at = find_srh(env), size = at ? srh_size(env, at) : 0;

    if (!at || env->packet.data[at + SRH_NEXT] != NEXT_IPV6 || at + size > packet_linear(env))
        return -EBADMSG;
    pop(env, 0, at + size);
    env->skb->encapsulation = false;
    return 0;
}

HELPER_BODY(lwt_seg6_action)
{
    enum { END_X = 2, END_T = 3, END_DT6 = 7, END_B6 = 9, END_B6_ENCAP = 10 };
    const void *param = helper_ptr(a3);
    uint32_t size = (uint32_t)a4, table = 0;
    int err;

    NEED_SKB(env);
    switch ((uint32_t)a2) {
    case END_X:
    case END_T:
    case END_DT6:
        if (!has_valid_srh(env))
            return helper_error(-EBADMSG);
        if (size != ((uint32_t)a2 == END_X ? 16 : sizeof(table)))
            return helper_error(-EINVAL);
        if ((uint32_t)a2 == END_X)
            return next_hop(env, "seg6_end_x", param, size, 0);
        memcpy(&table, param, sizeof(table));
        err = (uint32_t)a2 == END_DT6 ? decapsulate(env) : 0;
        return err ? helper_error(err)
                   : next_hop(env, (uint32_t)a2 == END_T ? "seg6_end_t" : "seg6_end_dt6", NULL, 0, table);
    case END_B6:
    case END_B6_ENCAP:
        if (find_srh(env) && !has_valid_srh(env))
            return helper_error(-EBADMSG);
        err = push_srh(env, (uint32_t)a2 == END_B6 ? ENCAP_SEG6_INLINE : ENCAP_SEG6, param, size);
        return helper_error(err);
    default: return helper_error(-EINVAL);
    }
}
