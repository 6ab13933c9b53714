/*
 * Sockets of a run. What programs see of one are two records with Linux's layouts, struct bpf_sock and struct
 * bpf_tcp_sock, which lie in memory as programs read them, so that an unchecked load is a plain one. A run has copies
 * of its own of the world's sockets: what a program changes stays in its environment, and threads do not meet. Number 0
 * is the run's own socket, which its context speaks of; it is there also without a world.
 *
 * Addresses and the peer's port are in network order, the own port in the host's, as in struct bpf_sock.
 */
#ifndef VM_SOCK_H
#define VM_SOCK_H

#include <stdbool.h>
#include <stdint.h>

struct skep_env;

/* struct bpf_sock */
struct sock_view {
    uint32_t bound_dev_if, family, type, protocol, mark, priority, src_ip4, src_ip6[4], src_port;
    uint16_t dst_port, pad; /* network order */
    uint32_t dst_ip4, dst_ip6[4], state;
    int32_t rx_queue_mapping; /* -1: none */
};

/* struct bpf_tcp_sock */
struct sock_tcp {
    uint32_t snd_cwnd, srtt_us, rtt_min, snd_ssthresh, rcv_nxt, snd_nxt, snd_una, mss_cache, ecn_flags, rate_delivered,
        rate_interval_us, packets_out, retrans_out, total_retrans, segs_in, data_segs_in, segs_out, data_segs_out,
        lost_out, sacked_out;
    uint64_t bytes_received, bytes_acked;
    uint32_t dsack_dups, delivered, delivered_ce, icsk_retransmits;
};

_Static_assert(sizeof(struct sock_view) == 80 && sizeof(struct sock_tcp) == 112, "records have Linux's sizes");

enum { SOCK_INET = 2, SOCK_INET6 = 10, SOCK_TYPE_STREAM = 1, SOCK_TYPE_DGRAM = 2, SOCK_TCP = 6, SOCK_UDP = 17 };

/* Of TCP's states, those that matter to lookups and helpers. */
enum {
    SOCK_ESTABLISHED = 1,
    SOCK_SYN_SENT = 2,
    SOCK_SYN_RECV = 3,
    SOCK_TIME_WAIT = 6,
    SOCK_CLOSE = 7,
    SOCK_LISTEN = 10,
    SOCK_NEW_SYN_RECV = 12,
};

enum { SOCK_MAX_OPTS = 16, SOCK_OPT_LEN = 16, SOCK_CC_LEN = 16 };

/* What setsockopt() left, of options that no field above holds. */
struct sock_opt {
    int32_t level, name;
    uint32_t len;
    unsigned char value[SOCK_OPT_LEN];
};

struct sock {
    struct sock_view view;
    struct sock_tcp tcp;
    uint64_t cookie;    /* 0: none yet */
    uint64_t cgroup_id; /* that it was made in; 0: the run's */
    uint32_t uid;
    uint32_t txhash;
    uint32_t cb_flags; /* of sock_ops */
    bool v6only, reuseport;
    uint32_t held; /* references that the run holds */
    struct sock_opt opts[SOCK_MAX_OPTS];
    uint32_t n_opts;
    char congestion[SOCK_CC_LEN];
};

/* Whom a packet is from and for: struct bpf_sock_tuple, ports in network order. */
struct sock_tuple {
    uint32_t family;
    uint32_t saddr[4], daddr[4];
    uint16_t sport, dport;
};

/* A socket as a kernel object (vm/sock_object.c): `size` bytes that programs read at `mem`. */
struct sock_object {
    uint32_t sock; /* index */
    uint64_t size;
    unsigned char *mem;
};

/** The run's own socket, made when it is first asked for: family unset, closed. NULL: out of memory. */
struct sock *sock_own(struct skep_env *env);
/** Begins a run: the environment's sockets are copies of these, and the own one is as new. @return false: no memory. */
bool sock_set_world(struct skep_env *env, const struct sock *socks, uint32_t n);
/** Before a run: the own socket, where there is one, is as new. */
void sock_renew_own(struct skep_env *env);
void sock_drop(struct skep_env *env);

/** The socket whose record begins at this address, struct bpf_tcp_sock and kernel objects included. NULL: there is
 *  none. */
struct sock *sock_at(const struct skep_env *env, uint64_t addr);
/** The record of a socket that an address lies in. @return false: none. */
bool sock_find_record(const struct skep_env *env, uint64_t addr, void **record, uint64_t *size, const char **name);
/** The world's socket with this cookie, or the own one for 0. NULL: there is none. */
struct sock *sock_by_cookie(struct skep_env *env, uint64_t cookie);

/** Whom a packet that came in by this interface reaches, as Linux's inet_lookup() finds it: a connected socket before
 *  a listening (UDP: unconnected) one, a bound address before a wildcard. NULL: nobody. */
struct sock *sock_lookup(const struct skep_env *env, uint32_t protocol, const struct sock_tuple *tuple,
                         uint32_t ifindex);

/** The address of the socket as a kernel object of the program's target, which says what is so now; 0: the target's
 *  types are not known, or no memory. */
uint64_t sock_object(struct skep_env *env, const struct sock *sk);
/** What the kernel's structure at an address says of itself: family, state, and, where it has them, type and protocol.
 *  @return false: none can be read there. */
bool sock_read_object(struct skep_env *env, uint64_t addr, struct sock *out);
/** The kernel object that an address lies in. NULL: none. */
const struct sock_object *sock_object_at(const struct skep_env *env, uint64_t addr);
void sock_drop_objects(struct skep_env *env);

/** A number that no other socket of the run has, given when it is first asked for. */
uint64_t sock_cookie(struct skep_env *env, struct sock *sk);

/** Neither in TIME_WAIT nor a mere request: it has all fields. */
static inline bool sock_is_full(const struct sock *sk)
{
    return sk->view.state != SOCK_TIME_WAIT && sk->view.state != SOCK_NEW_SYN_RECV;
}

static inline bool sock_is_tcp(const struct sock *sk)
{
    return sk->view.protocol == SOCK_TCP && sk->view.type == SOCK_TYPE_STREAM;
}

#endif
