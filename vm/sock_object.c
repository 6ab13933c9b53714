/*
 * Sockets as kernel objects: for a program that casts one (bpf_skc_to_tcp_sock() and its like), a structure in the
 * layout of the program's target, filled with what the run knows of the socket. There is one a socket, large enough for
 * every type that it may be cast to, since all of those begin with one another: so that all casts of a socket are one
 * address, as in Linux. It says what was so at the last cast. Pieces belong to one run and go when the next one begins.
 */
#include "vm/btf/bits.h"
#include "vm/btf/btf.h"
#include "vm/btf/show.h"
#include "vm/env.h"
#include "vm/helpers/kernel_field.h"
#include "vm/prog.h"
#include <stdlib.h>
#include <string.h>

/* Where a fact stands: in a struct that socket structures begin with, and in our record. Parts that a target does not
 * have are left out. */
struct part {
    const char *type, *path;
    uint16_t off, size;
    bool tcp; /* of TCP sockets with all their fields alone */
};

#define PART(type, path, member, tcp)                                                                                  \
    {                                                                                                                  \
        type, path, offsetof(struct sock, member), sizeof(((struct sock *)0)->member), tcp                             \
    }
static const struct part parts[] = {
    PART("sock_common", "skc_family", view.family, false),
    PART("sock_common", "skc_state", view.state, false),
    PART("sock_common", "skc_bound_dev_if", view.bound_dev_if, false),
    PART("sock_common", "skc_daddr", view.dst_ip4, false),
    PART("sock_common", "skc_rcv_saddr", view.src_ip4, false),
    PART("sock_common", "skc_dport", view.dst_port, false),
    PART("sock_common", "skc_num", view.src_port, false),
    PART("sock_common", "skc_v6_daddr", view.dst_ip6, false),
    PART("sock_common", "skc_v6_rcv_saddr", view.src_ip6, false),
    PART("sock_common", "skc_cookie", cookie, false),
    PART("sock_common", "skc_reuseport", reuseport, false),
    PART("sock_common", "skc_ipv6only", v6only, false),
};
static const struct part full_parts[] = {
    PART("sock", "sk_type", view.type, false),
    PART("sock", "sk_protocol", view.protocol, false),
    PART("sock", "sk_mark", view.mark, false),
    PART("sock", "sk_priority", view.priority, false),
    PART("sock", "sk_uid", uid, false),
    PART("sock", "sk_txhash", txhash, false),
    PART("inet_connection_sock", "icsk_retransmits", tcp.icsk_retransmits, true),
    PART("tcp_sock", "snd_cwnd", tcp.snd_cwnd, true),
    PART("tcp_sock", "srtt_us", tcp.srtt_us, true),
    PART("tcp_sock", "rtt_min.s[0].v", tcp.rtt_min, true),
    PART("tcp_sock", "snd_ssthresh", tcp.snd_ssthresh, true),
    PART("tcp_sock", "rcv_nxt", tcp.rcv_nxt, true),
    PART("tcp_sock", "snd_nxt", tcp.snd_nxt, true),
    PART("tcp_sock", "snd_una", tcp.snd_una, true),
    PART("tcp_sock", "mss_cache", tcp.mss_cache, true),
    PART("tcp_sock", "ecn_flags", tcp.ecn_flags, true),
    PART("tcp_sock", "rate_delivered", tcp.rate_delivered, true),
    PART("tcp_sock", "rate_interval_us", tcp.rate_interval_us, true),
    PART("tcp_sock", "packets_out", tcp.packets_out, true),
    PART("tcp_sock", "retrans_out", tcp.retrans_out, true),
    PART("tcp_sock", "total_retrans", tcp.total_retrans, true),
    PART("tcp_sock", "segs_in", tcp.segs_in, true),
    PART("tcp_sock", "data_segs_in", tcp.data_segs_in, true),
    PART("tcp_sock", "segs_out", tcp.segs_out, true),
    PART("tcp_sock", "data_segs_out", tcp.data_segs_out, true),
    PART("tcp_sock", "lost_out", tcp.lost_out, true),
    PART("tcp_sock", "sacked_out", tcp.sacked_out, true),
    PART("tcp_sock", "bytes_received", tcp.bytes_received, true),
    PART("tcp_sock", "bytes_acked", tcp.bytes_acked, true),
    PART("tcp_sock", "dsack_dups", tcp.dsack_dups, true),
    PART("tcp_sock", "delivered", tcp.delivered, true),
    PART("tcp_sock", "delivered_ce", tcp.delivered_ce, true),
    PART("tcp_sock", "bpf_sock_ops_cb_flags", cb_flags, true),
};
#undef PART

static const struct btf *types_of(const struct skep_env *env)
{
    return env->code ? env->code->prog->kernel_btf : NULL;
}

/* The largest of what a socket may be seen as. */
static uint64_t size_of(const struct btf *btf)
{
    static const char *const types[] = {
        "sock", "tcp_sock", "tcp6_sock", "udp6_sock", "tcp_timewait_sock", "tcp_request_sock", "unix_sock"};
    int64_t most = 0;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        uint32_t id = btf_find(btf, types[i], BTF_STRUCT);
        int64_t size = id ? btf_size(btf, id) : 0;

        most = size > most ? size : most;
    }
    return (uint64_t)most;
}

static uint64_t number(const void *from, unsigned size)
{
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;

    switch (size) {
    case 1: return *(const unsigned char *)from;
    case 2: return memcpy(&u16, from, 2), u16;
    case 4: return memcpy(&u32, from, 4), u32;
    default: return memcpy(&u64, from, 8), u64;
    }
}

static void put(const struct btf *btf, struct sock_object *o, const struct part *p, const void *from)
{
    uint32_t type = btf_find(btf, p->type, BTF_STRUCT);
    struct btf_place at;

    if (!type || !btf_find_place(btf, type, p->path, &at) || at.off + (at.bits ? 8 : at.size) > o->size)
        return;
    if (p->size > 8)
        memcpy(o->mem + at.off, from, p->size < at.size ? p->size : at.size);
    else if (at.bits)
        bits_set(o->mem, at.off * 8 + at.bit_off, at.bits, number(from, p->size));
    else if (at.size <= 8)
        bits_set(o->mem, at.off * 8, (unsigned)at.size * 8, number(from, p->size));
}

static void fill(const struct btf *btf, struct sock_object *o, const struct sock *sk)
{
    memset(o->mem, 0, o->size);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        put(btf, o, &parts[i], (const char *)sk + parts[i].off);
    for (size_t i = 0; i < sizeof(full_parts) / sizeof(full_parts[0]) && sock_is_full(sk); i++)
        if (!full_parts[i].tcp || sock_is_tcp(sk))
            put(btf, o, &full_parts[i], (const char *)sk + full_parts[i].off);
}

static struct sock_object *object_of(struct skep_env *env, uint32_t sock, uint64_t size)
{
    struct sock_object *o;

    for (uint32_t i = 0; i < env->n_sock_objects; i++)
        if (env->sock_objects[i].sock == sock)
            return &env->sock_objects[i];
    o = realloc(env->sock_objects, (env->n_sock_objects + 1) * sizeof(*o));
    if (!o)
        return NULL;
    env->sock_objects = o;
    o += env->n_sock_objects;
    *o = (struct sock_object){.sock = sock, .size = size, .mem = calloc(1, size)};
    if (!o->mem)
        return NULL;
    env->n_sock_objects++;
    return o;
}

uint64_t sock_object(struct skep_env *env, const struct sock *sk)
{
    const struct btf *btf = types_of(env);
    uint64_t size = btf ? size_of(btf) : 0;
    struct sock_object *o = size ? object_of(env, (uint32_t)(sk - env->socks), size) : NULL;

    if (!o)
        return 0;
    fill(btf, o, sk);
    return (uintptr_t)o->mem;
}

bool sock_read_object(struct skep_env *env, uint64_t addr, struct sock *out)
{
    uint64_t family = 0, state = 0, type = 0, protocol = 0;

    if (!kernel_field(env, addr, "sock_common", "skc_family", &family) ||
        !kernel_field(env, addr, "sock_common", "skc_state", &state))
        return false;
    /* What is shorter than a full socket has no type and no protocol. */
    kernel_field(env, addr, "sock", "sk_type", &type);
    kernel_field(env, addr, "sock", "sk_protocol", &protocol);
    *out = (struct sock){.view = {.family = (uint32_t)family,
                                  .state = (uint32_t)state,
                                  .type = (uint32_t)type,
                                  .protocol = (uint32_t)protocol}};
    return true;
}

const struct sock_object *sock_object_at(const struct skep_env *env, uint64_t addr)
{
    for (uint32_t i = 0; i < env->n_sock_objects; i++)
        if (addr - (uintptr_t)env->sock_objects[i].mem < env->sock_objects[i].size)
            return &env->sock_objects[i];
    return NULL;
}

void sock_drop_objects(struct skep_env *env)
{
    while (env->n_sock_objects)
        free(env->sock_objects[--env->n_sock_objects].mem);
    free(env->sock_objects);
    env->sock_objects = NULL;
}
