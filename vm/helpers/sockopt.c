/*
 * Options of sockets: what may be set and how it is read back stands in sockopts.def; values are the run's socket's own
 * until the run ends. Numbers are Linux's.
 */
#include "vm/ctx/hook.h"
#include "vm/helpers/packet_skb.h"
#include "vm/sock.h"

enum { SOL_SOCKET_ = 1, SOL_IP_ = 0, SOL_IPV6_ = 41, SOL_TCP_ = 6 };
enum { BINDTODEVICE = 25, CONGESTION = 13 };

enum what { BOOL, INT, BUFFER, LOWAT, TOS, TCLASS, MAXSEG, CLAMP, CWND, SSTHRESH, SET_ONLY, CB_FLAGS };

struct row {
    int32_t level, name;
    enum what what;
    uint16_t field; /* offset in struct sock_view + 1; 0: none */
    int32_t least, most, otherwise;
};

#define FIELD_KEPT         0
#define FIELD_priority     (offsetof(struct sock_view, priority) + 1)
#define FIELD_mark         (offsetof(struct sock_view, mark) + 1)
#define FIELD_bound_dev_if (offsetof(struct sock_view, bound_dev_if) + 1)

static const struct row rows[] = {
#define SOCKOPT(level, name, what, keeps, least, most, otherwise)                                                      \
    {level, name, what, FIELD_##keeps, least, most, otherwise},
#include "vm/helpers/sockopts.def"
};

static const struct row *find(int32_t level, int32_t name)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].level == level && rows[i].name == name)
            return &rows[i];
    return NULL;
}

static bool level_fits(const struct sock *sk, int32_t level)
{
    switch (level) {
    case SOL_SOCKET_: return true;
    case SOL_IP_: return sk->view.family == SOCK_INET || (sk->view.family == SOCK_INET6 && !sk->v6only);
    case SOL_IPV6_: return sk->view.family == SOCK_INET6;
    case SOL_TCP_: return sk->view.protocol == SOCK_TCP;
    default: return false;
    }
}

static bool usable(const struct sock *sk)
{
    return sk && sock_is_full(sk);
}

static struct sock_opt *kept(struct sock *sk, const struct row *row)
{
    for (uint32_t i = 0; i < sk->n_opts; i++)
        if (sk->opts[i].level == row->level && sk->opts[i].name == row->name)
            return &sk->opts[i];
    return NULL;
}

static int keep(struct sock *sk, const struct row *row, int32_t value)
{
    struct sock_opt *o = kept(sk, row);

    if (row->field) {
        memcpy((char *)&sk->view + row->field - 1, &value, sizeof(value));
        return 0;
    }
    if (!o) {
        if (sk->n_opts == SOCK_MAX_OPTS)
            return -ENOMEM;
        o = &sk->opts[sk->n_opts++];
        *o = (struct sock_opt){.level = row->level, .name = row->name};
    }
    o->len = sizeof(value);
    memcpy(o->value, &value, sizeof(value));
    return 0;
}

static int32_t value_of(struct sock *sk, const struct row *row)
{
    const struct sock_opt *o = kept(sk, row);
    int32_t value = row->otherwise;

    if (row->field)
        memcpy(&value, (char *)&sk->view + row->field - 1, sizeof(value));
    else if (row->what == CB_FLAGS)
        value = (int32_t)sk->cb_flags;
    else if (o)
        memcpy(&value, o->value, sizeof(value));
    else if (row->what == MAXSEG)
        value = (int32_t)sk->tcp.mss_cache;
    else if (row->what == BUFFER && sk->view.protocol != SOCK_TCP)
        value = row->most;
    return value;
}

static int32_t max32(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static int set_number(struct sock *sk, const struct row *row, int32_t v)
{
    enum { ECN = 3 };

    switch (row->what) {
    case BUFFER: v = (uint32_t)v > (uint32_t)row->most ? row->most : v; return keep(sk, row, max32(v * 2, row->least));
    case CLAMP:
        if (!v && sk->view.state != SOCK_CLOSE)
            return -EINVAL;
        return keep(sk, row, v ? max32(v, row->least) : 0);
    case MAXSEG:
        if (v && (v < row->least || v > row->most))
            return -EINVAL;
        return keep(sk, row, v);
    default: break;
    }
    if (v < row->least || v > row->most)
        return -EINVAL;
    switch (row->what) {
    case BOOL: return keep(sk, row, v != 0);
    case LOWAT: return keep(sk, row, v < 0 ? INT32_MAX : v ? v : 1);
    case TOS: return keep(sk, row, sk->view.type == SOCK_TYPE_STREAM ? v & 0xff & ~ECN : v & 0xff);
    case TCLASS: return keep(sk, row, v < 0 ? 0 : v);
    case CWND:
        if (sk->tcp.data_segs_out)
            return -EINVAL;
        sk->tcp.snd_cwnd = (uint32_t)v;
        return 0;
    case SSTHRESH: sk->tcp.snd_ssthresh = (uint32_t)v; return keep(sk, row, v);
    case CB_FLAGS: sk->cb_flags = (uint32_t)v; return 0;
    default: return keep(sk, row, v);
    }
}

static int set_congestion(struct sock *sk, const char *name, uint32_t len)
{
    static const char *const known[] = {"cubic", "reno", "bbr", "dctcp", "vegas", "westwood", "highspeed", "htcp"};
    char text[SOCK_CC_LEN] = "";

    if (len < 2)
        return -EINVAL;
    memcpy(text, name, len < sizeof(text) - 1 ? len : sizeof(text) - 1);
    if (!strncmp("cdg", text, len))
        return -ENOTSUPP_;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (!strcmp(text, known[i])) {
            memcpy(sk->congestion, text, sizeof(text));
            return 0;
        }
    return -ENOENT;
}

static int set(struct sock *sk, int32_t level, int32_t name, const void *value, uint32_t len)
{
    const struct row *row = find(level, name);
    int32_t v;

    if (!usable(sk) || !level_fits(sk, level))
        return -EINVAL;
    if (level == SOL_TCP_ && name == CONGESTION)
        return set_congestion(sk, value, len);
    if (!row || len != sizeof(v))
        return -EINVAL;
    memcpy(&v, value, sizeof(v));
    return set_number(sk, row, v);
}

static int get(struct sock *sk, int32_t level, int32_t name, void *value, uint32_t len)
{
    const struct row *row = find(level, name);
    const char *cc = sk && sk->congestion[0] ? sk->congestion : "cubic";
    int32_t v;

    memset(value, 0, len);
    if (!usable(sk) || !level_fits(sk, level))
        return -EINVAL;
    if (level == SOL_TCP_ && name == CONGESTION) {
        if (len < 2)
            return -EINVAL;
        memcpy(value, cc, strlen(cc) < len - 1 ? strlen(cc) : len - 1);
        return 0;
    }
    if (!row || len != sizeof(v) || row->what == SET_ONLY || row->what == CWND || row->what == SSTHRESH)
        return -EINVAL;
    v = value_of(sk, row);
    memcpy(value, &v, sizeof(v));
    return 0;
}

/* The context of sock_ops and sock_addr stands for its socket; other programs name one. */
static struct sock *meant(struct skep_env *env, uint64_t arg)
{
    return arg == (uintptr_t)env->ctx ? env->sk : sock_at(env, arg);
}

HELPER_BODY(setsockopt)
{
    return helper_error(set(meant(env, a1), (int32_t)a2, (int32_t)a3, helper_ptr(a4), (uint32_t)a5));
}

/* The SYN that opened a connection is in nobody's world; sock_ops may ask for it all the same. */
HELPER_BODY(getsockopt)
{
    enum { BPF_SYN = 1005, BPF_SYN_MAC = 1007 };

    if (env->ctx_layout == &ctx_sock_ops && (int32_t)a2 == SOL_TCP_ && (int32_t)a3 >= BPF_SYN &&
        (int32_t)a3 <= BPF_SYN_MAC) {
        memset(helper_ptr(a4), 0, (uint32_t)a5);
        return helper_error(-ENOENT);
    }
    return helper_error(get(meant(env, a1), (int32_t)a2, (int32_t)a3, helper_ptr(a4), (uint32_t)a5));
}

/* ---- bind ---- */

struct addr4 {
    uint16_t family, port;
    uint32_t addr;
    char zero[8];
};

struct addr6 {
    uint16_t family, port;
    uint32_t flow, addr[4], scope;
};

static uint16_t to_host(uint16_t be)
{
    return swap_to_be16(be);
}

HELPER_BODY(bind)
{
    enum { LEAST4 = 16, LEAST6 = 24 };
    uint32_t len = (uint32_t)a3;
    struct sock *sk = env->sk;
    struct addr6 six = {0};
    struct addr4 four;

    if (!sk || env->ctx_layout != &ctx_sock_addr)
        return helper_refuse(env, "this helper needs the context of a program on addresses of sockets");
    if (len < 2)
        return helper_error(-EINVAL);
    memcpy(&six, helper_ptr(a2), len < sizeof(six) ? len : sizeof(six));
    if (six.family != SOCK_INET && six.family != SOCK_INET6)
        return helper_error(-EAFNOSUPPORT);
    if (len < (six.family == SOCK_INET ? LEAST4 : LEAST6))
        return helper_error(-EINVAL);
    if (sk->view.family && sk->view.family != six.family)
        return helper_error(six.family == SOCK_INET ? -EAFNOSUPPORT : -EINVAL);
    if (sk->view.state != SOCK_CLOSE || sk->view.src_port) /* it is bound already */
        return helper_error(-EINVAL);
    if (six.family == SOCK_INET) {
        memcpy(&four, helper_ptr(a2), sizeof(four));
        sk->view.src_ip4 = four.addr;
    } else {
        memcpy(sk->view.src_ip6, six.addr, sizeof(six.addr));
    }
    sk->view.src_port = to_host(six.port);
    return 0;
}
