/*
 * Sections `interfaces`, `routes`, `neighbours` and `sockets`. An interface is meant by its name or its number;
 * addresses are text ("10.0.0.1", "2001:db8::1"), with "/24" where a prefix is, with ":80" or "[2001:db8::1]:80" where
 * a port is. Everything lies in the world's arena and never changes.
 */
#include "vm/world/read.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(struct world_reader *r)
{
    return log_fail(r->log, -ENOMEM, "no memory for a world of this size");
}

/* ---- What is written in several places ---- */

struct addr {
    uint32_t family;
    uint32_t words[4];
};

static bool parse_addr(const char *text, struct addr *out)
{
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, text, out->words) == 1)
        out->family = NET_INET;
    else if (inet_pton(AF_INET6, text, out->words) == 1)
        out->family = NET_INET6;
    return out->family != 0;
}

static int take_addr(struct world_reader *r, const struct json_path *at, const struct json *v, void *to)
{
    if (v->kind != JSON_STRING || !parse_addr(v->string, to))
        return WORLD_REFUSE(r, at, v, "this is no IP address");
    return 0;
}

struct prefix {
    struct addr addr;
    uint32_t len;
};

static int take_prefix(struct world_reader *r, const struct json_path *at, const struct json *v, void *to)
{
    struct prefix *p = to;
    char text[64], *slash, *end;
    unsigned long len;

    if (v->kind != JSON_STRING || v->length >= sizeof(text))
        return WORLD_REFUSE(r, at, v, "a prefix is text as in \"10.0.0.0/8\"");
    memcpy(text, v->string, v->length + 1);
    slash = strchr(text, '/');
    if (slash)
        *slash = 0;
    if (!parse_addr(text, &p->addr))
        return WORLD_REFUSE(r, at, v, "this is no IP address");
    p->len = p->addr.family == NET_INET ? 32 : 128;
    if (!slash)
        return 0;
    len = strtoul(slash + 1, &end, 10);
    if (!slash[1] || *end || len > p->len)
        return WORLD_REFUSE(r, at, v, "a prefix has at most %u bits", p->len);
    p->len = (uint32_t)len;
    return 0;
}

/* The interface that a name or a number means; one that the file does not have is refused. */
static int take_dev(struct world_reader *r, const struct json_path *at, const struct json *v, void *to)
{
    const struct net *net = &r->w->net;
    uint64_t number = 0;
    bool is_number = json_as_u64(v, &number);

    for (uint32_t i = 0; i < net->n_ifaces; i++)
        if (is_number ? net->ifaces[i].ifindex == number
                      : v->kind == JSON_STRING && !strcmp(net->ifaces[i].name, v->string)) {
            *(uint32_t *)to = net->ifaces[i].ifindex;
            return 0;
        }
    return WORLD_REFUSE(r, at, v, "the file has no such interface");
}

static int take_mac(struct world_reader *r, const struct json_path *at, const struct json *v, void *to)
{
    unsigned char *bytes;
    size_t size;
    int err = world_bytes(r, at, v, &bytes, &size);

    if (!err && size != 6)
        err = WORLD_REFUSE(r, at, v, "a MAC address has 6 bytes");
    if (!err)
        memcpy(to, bytes, 6);
    return err;
}

/* One of these words becomes its position. */
static int take_word(struct world_reader *r, const struct json_path *at, const struct json *v, const char *const *words,
                     uint32_t n, uint32_t *out)
{
    for (uint32_t i = 0; i < n; i++)
        if (words[i] && v->kind == JSON_STRING && !strcmp(words[i], v->string)) {
            *out = i;
            return 0;
        }
    return WORLD_REFUSE(r, at, v, "this is none of the words that may stand here");
}

typedef int (*take_one)(struct world_reader *r, const struct json_path *at, const struct json *v, void *to,
                        uint32_t index);

/* An array of objects, each into its place of zeroed memory. */
static int each(struct world_reader *r, const struct json_path *at, const struct json *v, size_t size, take_one one,
                void *out, uint32_t *n)
{
    char *all;
    int err = world_is_array(r, at, v);

    if (err)
        return err;
    all = arena_alloc(&r->w->arena, size * (v->length ? v->length : 1));
    if (!all)
        return no_memory(r);
    memset(all, 0, size * v->length);
    memcpy(out, &all, sizeof(all)); /* a pointer of the array's type */
    for (uint32_t i = 0; i < v->length && !err; i++) {
        struct json_path here = {.up = at, .index = i};

        err = one(r, &here, v->items[i], all + i * size, i);
        *n = i + 1;
    }
    return err;
}

#define MEMBERS(r, at, v, rows, to) world_members(r, at, v, rows, sizeof(rows) / sizeof((rows)[0]), to)

/* ---- Interfaces ---- */

struct iface_text {
    struct net_iface i;
    const char *name;
    const struct json *addresses;
    bool forwarding, up;
};

static int read_address(struct world_reader *r, const struct json_path *at, const struct json *v, void *to,
                        uint32_t index)
{
    struct prefix p = {0};
    struct net_addr *out = to;
    int err = take_prefix(r, at, v, &p);

    (void)index;
    out->family = p.addr.family;
    out->prefix_len = p.len;
    memcpy(out->addr, p.addr.words, sizeof(out->addr));
    return err;
}

static int read_iface(struct world_reader *r, const struct json_path *at, const struct json *v, void *to,
                      uint32_t index)
{
    static const struct world_member rows[] = {
        {"ifindex", world_take_u32, offsetof(struct iface_text, i.ifindex), true},
        {"name", world_take_text, offsetof(struct iface_text, name), false},
        {"mtu", world_take_u32, offsetof(struct iface_text, i.mtu), false},
        {"mac", take_mac, offsetof(struct iface_text, i.mac), false},
        {"forwarding", world_take_bool, offsetof(struct iface_text, forwarding), false},
        {"up", world_take_bool, offsetof(struct iface_text, up), false},
        {"addresses", world_take_json, offsetof(struct iface_text, addresses), false},
    };
    struct json_path addresses = {.up = at, .name = "addresses"};
    struct iface_text t = {.i.mtu = 1500, .forwarding = true, .up = true};
    int err = MEMBERS(r, at, v, rows, &t);

    if (err)
        return err;
    if (!t.i.ifindex || t.i.ifindex > INT32_MAX || t.i.mtu > 65535)
        return WORLD_REFUSE(r, at, v, "an interface has a number above 0 and an MTU of at most 65535");
    if (t.name && (!*t.name || strlen(t.name) >= NET_NAME))
        return WORLD_REFUSE(r, at, v, "an interface's name has 1 to 15 characters");
    for (uint32_t i = 0; i < index; i++)
        if (r->w->net.ifaces[i].ifindex == t.i.ifindex)
            return WORLD_REFUSE(r, at, v, "another interface has this number");
    if (t.name)
        memcpy(t.i.name, t.name, strlen(t.name));
    t.i.no_forwarding = !t.forwarding;
    t.i.down = !t.up;
    if (t.addresses)
        err = each(r, &addresses, t.addresses, sizeof(struct net_addr), read_address, &t.i.addrs, &t.i.n_addrs);
    *(struct net_iface *)to = t.i;
    return err;
}

int world_read_interfaces(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    struct net *net = &r->w->net;

    r->w->has_net = true;
    return each(r, at, v, sizeof(struct net_iface), read_iface, &net->ifaces, &net->n_ifaces);
}

/* ---- Routes ---- */

static int take_route_type(struct world_reader *r, const struct json_path *at, const struct json *v, void *to)
{
    static const char *const words[] = {"unicast", "local", "blackhole", "unreachable", "prohibit"};

    return take_word(r, at, v, words, sizeof(words) / sizeof(words[0]), to);
}

struct route_text {
    struct prefix to;
    struct addr via, src;
    uint32_t dev, metric, table, mtu, type;
};

static int read_route(struct world_reader *r, const struct json_path *at, const struct json *v, void *to,
                      uint32_t index)
{
    static const struct world_member rows[] = {
        {"to", take_prefix, offsetof(struct route_text, to), true},
        {"via", take_addr, offsetof(struct route_text, via), false},
        {"dev", take_dev, offsetof(struct route_text, dev), false},
        {"src", take_addr, offsetof(struct route_text, src), false},
        {"metric", world_take_u32, offsetof(struct route_text, metric), false},
        {"table", world_take_u32, offsetof(struct route_text, table), false},
        {"mtu", world_take_u32, offsetof(struct route_text, mtu), false},
        {"type", take_route_type, offsetof(struct route_text, type), false},
    };
    struct route_text t = {.table = NET_TABLE_MAIN};
    struct net_route *out = to;
    int err = MEMBERS(r, at, v, rows, &t);

    (void)index;
    if (err)
        return err;
    if (t.type == NET_UNICAST && !t.dev)
        return WORLD_REFUSE(r, at, v, "a route leads to a dev");
    if (t.src.family && t.src.family != t.to.addr.family)
        return WORLD_REFUSE(r, at, v, "src is of another family than to");
    if (t.to.addr.family == NET_INET6 && t.via.family == NET_INET)
        return WORLD_REFUSE(r, at, v, "an IPv6 route goes via an IPv6 address");
    *out = (struct net_route){.family = t.to.addr.family,
                              .prefix_len = t.to.len,
                              .via_family = t.via.family,
                              .has_src = t.src.family != 0,
                              .ifindex = t.dev,
                              .metric = t.metric,
                              .table = t.table ? t.table : NET_TABLE_MAIN,
                              .mtu = t.mtu,
                              .type = (uint8_t)t.type};
    memcpy(out->to, t.to.addr.words, sizeof(out->to));
    memcpy(out->via, t.via.words, sizeof(out->via));
    memcpy(out->src, t.src.words, sizeof(out->src));
    return 0;
}

int world_read_routes(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    struct net *net = &r->w->net;

    r->w->has_net = true;
    return each(r, at, v, sizeof(struct net_route), read_route, &net->routes, &net->n_routes);
}

/* ---- Neighbours ---- */

struct neigh_text {
    struct addr ip;
    uint32_t dev, state;
    unsigned char mac[6];
};

static int take_neigh_state(struct world_reader *r, const struct json_path *at, const struct json *v, void *to)
{
    static const char *const words[] = {"reachable", "stale", "delay",      "probe",
                                        "permanent", "noarp", "incomplete", "failed"};

    return take_word(r, at, v, words, sizeof(words) / sizeof(words[0]), to);
}

static int read_neigh(struct world_reader *r, const struct json_path *at, const struct json *v, void *to,
                      uint32_t index)
{
    enum { INCOMPLETE = 6 };
    static const struct world_member rows[] = {
        {"ip", take_addr, offsetof(struct neigh_text, ip), true},
        {"mac", take_mac, offsetof(struct neigh_text, mac), false},
        {"dev", take_dev, offsetof(struct neigh_text, dev), true},
        {"state", take_neigh_state, offsetof(struct neigh_text, state), false},
    };
    struct neigh_text t = {0};
    struct net_neigh *out = to;
    int err = MEMBERS(r, at, v, rows, &t);

    (void)index;
    if (err)
        return err;
    out->family = t.ip.family;
    out->ifindex = t.dev;
    out->invalid = t.state >= INCOMPLETE;
    memcpy(out->addr, t.ip.words, sizeof(out->addr));
    memcpy(out->mac, t.mac, sizeof(out->mac));
    return 0;
}

int world_read_neighbours(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    struct net *net = &r->w->net;

    r->w->has_net = true;
    return each(r, at, v, sizeof(struct net_neigh), read_neigh, &net->neighs, &net->n_neighs);
}

/* ---- Sockets ---- */

struct end {
    struct addr addr;
    uint32_t port;
};

/* "10.0.0.1:80", "[2001:db8::1]:80", ":80": any address of the socket's family. */
static int take_end(struct world_reader *r, const struct json_path *at, const struct json *v, void *to)
{
    struct end *e = to;
    char text[64], *colon, *addr = text, *end;
    unsigned long port;

    if (v->kind != JSON_STRING || v->length >= sizeof(text))
        return WORLD_REFUSE(r, at, v, "an end of a socket is text as in \"10.0.0.1:80\"");
    memcpy(text, v->string, v->length + 1);
    colon = strrchr(text, ':');
    if (!colon)
        return WORLD_REFUSE(r, at, v, "an end of a socket has a port, as in \"10.0.0.1:80\"");
    *colon = 0;
    if (*addr == '[' && colon > text && colon[-1] == ']') {
        addr++;
        colon[-1] = 0;
    }
    port = strtoul(colon + 1, &end, 10);
    if (!colon[1] || *end || port > 65535)
        return WORLD_REFUSE(r, at, v, "this is no port");
    e->port = (uint32_t)port;
    if (*addr && !parse_addr(addr, &e->addr))
        return WORLD_REFUSE(r, at, v, "this is no IP address");
    return 0;
}

static int take_protocol(struct world_reader *r, const struct json_path *at, const struct json *v, void *to)
{
    static const char *const words[] = {"tcp", "udp"};

    return take_word(r, at, v, words, 2, to);
}

static int take_family(struct world_reader *r, const struct json_path *at, const struct json *v, void *to)
{
    static const char *const words[] = {[NET_INET] = "inet", [NET_INET6] = "inet6"};

    return take_word(r, at, v, words, sizeof(words) / sizeof(words[0]), to);
}

static int take_state(struct world_reader *r, const struct json_path *at, const struct json *v, void *to)
{
    static const char *const words[] = {NULL,        "established", "syn_sent",    "syn_recv",   "fin_wait1",
                                        "fin_wait2", "time_wait",   "close",       "close_wait", "last_ack",
                                        "listen",    "closing",     "new_syn_recv"};

    return take_word(r, at, v, words, sizeof(words) / sizeof(words[0]), to);
}

static int take_tcp(struct world_reader *r, const struct json_path *at, const struct json *v, void *to)
{
#define COUNT(name)                                                                                                    \
    {                                                                                                                  \
#name, world_take_u32, offsetof(struct sock_tcp, name), false                                                  \
    }
#define COUNT8(name)                                                                                                   \
    {                                                                                                                  \
#name, world_take_u64, offsetof(struct sock_tcp, name), false                                                  \
    }
    static const struct world_member rows[] = {
        COUNT(snd_cwnd),         COUNT(srtt_us),      COUNT(rtt_min),       COUNT(snd_ssthresh),  COUNT(rcv_nxt),
        COUNT(snd_nxt),          COUNT(snd_una),      COUNT(mss_cache),     COUNT(ecn_flags),     COUNT(rate_delivered),
        COUNT(rate_interval_us), COUNT(packets_out),  COUNT(retrans_out),   COUNT(total_retrans), COUNT(segs_in),
        COUNT(data_segs_in),     COUNT(segs_out),     COUNT(data_segs_out), COUNT(lost_out),      COUNT(sacked_out),
        COUNT8(bytes_received),  COUNT8(bytes_acked), COUNT(dsack_dups),    COUNT(delivered),     COUNT(delivered_ce),
        COUNT(icsk_retransmits),
    };
#undef COUNT
#undef COUNT8

    return MEMBERS(r, at, v, rows, to);
}

struct sock_text {
    struct sock sk;
    struct end local, remote;
    uint32_t protocol, family, state, dev;
};

static int read_sock(struct world_reader *r, const struct json_path *at, const struct json *v, void *to, uint32_t index)
{
    static const struct world_member rows[] = {
        {"protocol", take_protocol, offsetof(struct sock_text, protocol), true},
        {"family", take_family, offsetof(struct sock_text, family), false},
        {"state", take_state, offsetof(struct sock_text, state), false},
        {"local", take_end, offsetof(struct sock_text, local), true},
        {"remote", take_end, offsetof(struct sock_text, remote), false},
        {"cookie", world_take_u64, offsetof(struct sock_text, sk.cookie), false},
        {"cgroup", world_take_u64, offsetof(struct sock_text, sk.cgroup_id), false},
        {"uid", world_take_u32, offsetof(struct sock_text, sk.uid), false},
        {"mark", world_take_u32, offsetof(struct sock_text, sk.view.mark), false},
        {"priority", world_take_u32, offsetof(struct sock_text, sk.view.priority), false},
        {"dev", take_dev, offsetof(struct sock_text, dev), false},
        {"v6only", world_take_bool, offsetof(struct sock_text, sk.v6only), false},
        {"reuseport", world_take_bool, offsetof(struct sock_text, sk.reuseport), false},
        {"tcp", take_tcp, offsetof(struct sock_text, sk.tcp), false},
    };
    struct sock_text t = {.sk.view.rx_queue_mapping = -1, .sk.tcp = {.snd_cwnd = 10, .mss_cache = 1460}};
    struct sock_view *view = &t.sk.view;
    uint32_t family;
    int err = MEMBERS(r, at, v, rows, &t);

    if (err)
        return err;
    family = t.family ? t.family : t.local.addr.family ? t.local.addr.family : t.remote.addr.family;
    family = family ? family : NET_INET;
    if ((t.local.addr.family && t.local.addr.family != family) ||
        (t.remote.addr.family && t.remote.addr.family != family))
        return WORLD_REFUSE(r, at, v, "both ends of a socket are of its family");
    view->family = family;
    view->protocol = t.protocol ? SOCK_UDP : SOCK_TCP;
    view->type = t.protocol ? SOCK_TYPE_DGRAM : SOCK_TYPE_STREAM;
    view->src_port = t.local.port;
    view->dst_port = htons((uint16_t)t.remote.port);
    view->bound_dev_if = t.dev;
    memcpy(family == NET_INET ? &view->src_ip4 : view->src_ip6, t.local.addr.words, family == NET_INET ? 4 : 16);
    memcpy(family == NET_INET ? &view->dst_ip4 : view->dst_ip6, t.remote.addr.words, family == NET_INET ? 4 : 16);
    view->state = t.state ? t.state : t.remote.port ? SOCK_ESTABLISHED : t.protocol ? SOCK_CLOSE : SOCK_LISTEN;
    if (!t.sk.cookie)
        t.sk.cookie = index + 1;
    for (uint32_t i = 0; i < index; i++)
        if (r->w->socks[i].cookie == t.sk.cookie)
            return WORLD_REFUSE(r, at, v, "another socket has the cookie %llu", (unsigned long long)t.sk.cookie);
    *(struct sock *)to = t.sk;
    return 0;
}

int world_read_sockets(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    return each(r, at, v, sizeof(struct sock), read_sock, &r->w->socks, &r->w->n_socks);
}
