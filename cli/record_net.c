/*
 * The network of this process's namespace: interfaces, routes and neighbours as netlink dumps them, sockets as
 * /proc/net lists them. A message is looked at only as far as it is long.
 */
#include "cli/record.h"
#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_ITEMS = 1 << 16, MAX_ATTR = 64 };

/* An interface's own address. */
struct own {
    int ifindex, family;
    unsigned prefix_len;
    unsigned char addr[16];
};

struct dump {
    struct json_writer *w;
    unsigned n;
    struct own *own; /* of all interfaces */
    unsigned n_own, cap_own;
};

/* Attributes of a message by their types. */
struct attrs {
    const struct rtattr *of[MAX_ATTR];
};

static void read_attrs(struct attrs *a, const void *from, size_t len)
{
    memset(a, 0, sizeof(*a));
    for (const struct rtattr *at = from; RTA_OK(at, len); at = RTA_NEXT(at, len))
        if (at->rta_type < MAX_ATTR)
            a->of[at->rta_type] = at;
}

static const void *attr(const struct attrs *a, unsigned type, size_t size)
{
    const struct rtattr *at = a->of[type];
    return at && RTA_PAYLOAD(at) >= size ? RTA_DATA(at) : NULL;
}

static uint32_t number(const struct attrs *a, unsigned type)
{
    const void *p = attr(a, type, 4);
    uint32_t n = 0;
    if (p)
        memcpy(&n, p, sizeof(n));
    return n;
}

static void write_mac(struct json_writer *w, const struct attrs *a, unsigned type)
{
    const unsigned char *m = attr(a, type, 6);
    char text[24];
    if (!m || RTA_PAYLOAD(a->of[type]) != 6)
        return;
    snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
    json_str_at(w, "mac", text);
}

/* An address, with "/len" unless len is negative; no attribute: any. */
static bool write_addr(struct json_writer *w, const char *name, int family, const void *addr, int len)
{
    static const unsigned char any[16];
    char text[INET6_ADDRSTRLEN + 16];
    if (!inet_ntop(family, addr ? addr : any, text, INET6_ADDRSTRLEN))
        return false;
    if (len >= 0)
        snprintf(text + strlen(text), 16, "/%d", len);
    json_str_at(w, name, text);
    return true;
}

/* Does a switch of the kernel stand for this interface? */
static bool is_forwarding(const char *name)
{
    char path[96];
    snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/forwarding", name);
    FILE *f = fopen(path, "re");
    int c = f ? fgetc(f) : '1';
    if (f)
        fclose(f);
    return c != '0';
}

static void note_address(struct dump *d, const struct nlmsghdr *h)
{
    const struct ifaddrmsg *m = NLMSG_DATA(h);
    struct attrs a;
    if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) || (m->ifa_family != AF_INET && m->ifa_family != AF_INET6))
        return;
    read_attrs(&a, IFA_RTA(m), IFA_PAYLOAD(h));
    size_t size = m->ifa_family == AF_INET ? 4 : 16;
    const void *addr = attr(&a, IFA_LOCAL, size);
    addr = addr ? addr : attr(&a, IFA_ADDRESS, size);
    if (!addr || m->ifa_prefixlen > size * 8)
        return;
    if (d->n_own == d->cap_own) {
        unsigned cap = d->cap_own ? d->cap_own * 2 : 32;
        struct own *own = reallocarray(d->own, cap, sizeof(*own));
        if (!own)
            return;
        d->own = own;
        d->cap_own = cap;
    }
    struct own *o = &d->own[d->n_own++];
    *o = (struct own){.ifindex = (int)m->ifa_index, .family = m->ifa_family, .prefix_len = m->ifa_prefixlen};
    memcpy(o->addr, addr, size);
    d->n++;
}

static void write_addresses(struct dump *d, int ifindex)
{
    bool any = false;
    for (unsigned i = 0; i < d->n_own; i++) {
        char text[INET6_ADDRSTRLEN + 16];
        if (d->own[i].ifindex != ifindex || !inet_ntop(d->own[i].family, d->own[i].addr, text, INET6_ADDRSTRLEN))
            continue;
        if (!any) {
            json_name(d->w, "addresses");
            json_array_begin(d->w);
        }
        any = true;
        snprintf(text + strlen(text), 8, "/%u", d->own[i].prefix_len);
        json_string(d->w, text);
    }
    if (any)
        json_array_end(d->w);
}

static void write_link(struct dump *d, const struct nlmsghdr *h)
{
    const struct ifinfomsg *m = NLMSG_DATA(h);
    struct attrs a;
    if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
        return;
    read_attrs(&a, IFLA_RTA(m), IFLA_PAYLOAD(h));
    const char *name = attr(&a, IFLA_IFNAME, 1);
    uint32_t mtu = number(&a, IFLA_MTU);
    if (m->ifi_index <= 0 || !name || !memchr(name, 0, RTA_PAYLOAD(a.of[IFLA_IFNAME])) || strlen(name) > 15)
        return;
    json_object_begin(d->w);
    json_u64_at(d->w, "ifindex", (uint32_t)m->ifi_index);
    json_str_at(d->w, "name", name);
    json_u64_at(d->w, "mtu", mtu < 65535 ? mtu : 65535);
    write_mac(d->w, &a, IFLA_ADDRESS);
    json_bool_at(d->w, "forwarding", is_forwarding(name));
    json_bool_at(d->w, "up", m->ifi_flags & IFF_UP);
    write_addresses(d, m->ifi_index);
    json_object_end(d->w);
    d->n++;
}

static void write_route(struct dump *d, const struct nlmsghdr *h)
{
    static const char *const types[] = {[RTN_UNICAST] = "unicast",
                                        [RTN_LOCAL] = "local",
                                        [RTN_BLACKHOLE] = "blackhole",
                                        [RTN_UNREACHABLE] = "unreachable",
                                        [RTN_PROHIBIT] = "prohibit"};
    const struct rtmsg *m = NLMSG_DATA(h);
    struct attrs a;
    if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) || m->rtm_flags & RTM_F_CLONED ||
        (m->rtm_family != AF_INET && m->rtm_family != AF_INET6) || m->rtm_type >= sizeof(types) / sizeof(types[0]) ||
        !types[m->rtm_type])
        return;
    read_attrs(&a, RTM_RTA(m), RTM_PAYLOAD(h));
    size_t size = m->rtm_family == AF_INET ? 4 : 16;
    const struct rtnexthop *hop = attr(&a, RTA_MULTIPATH, sizeof(*hop));
    uint32_t dev = number(&a, RTA_OIF), table = a.of[RTA_TABLE] ? number(&a, RTA_TABLE) : m->rtm_table;
    if (hop && !dev) { /* of several ways, the first */
        dev = (uint32_t)hop->rtnh_ifindex;
        if (hop->rtnh_len >= sizeof(*hop) && hop->rtnh_len <= RTA_PAYLOAD(a.of[RTA_MULTIPATH])) {
            struct attrs inner;
            read_attrs(&inner, RTNH_DATA(hop), hop->rtnh_len - sizeof(*hop));
            a.of[RTA_GATEWAY] = inner.of[RTA_GATEWAY];
        }
    }
    if (m->rtm_type == RTN_UNICAST && !dev)
        return;
    json_object_begin(d->w);
    write_addr(d->w, "to", m->rtm_family, attr(&a, RTA_DST, size), m->rtm_dst_len);
    if (m->rtm_type != RTN_UNICAST)
        json_str_at(d->w, "type", types[m->rtm_type]);
    if (dev)
        json_u64_at(d->w, "dev", dev);
    if (attr(&a, RTA_GATEWAY, size))
        write_addr(d->w, "via", m->rtm_family, attr(&a, RTA_GATEWAY, size), -1);
    if (attr(&a, RTA_PREFSRC, size))
        write_addr(d->w, "src", m->rtm_family, attr(&a, RTA_PREFSRC, size), -1);
    if (number(&a, RTA_PRIORITY))
        json_u64_at(d->w, "metric", number(&a, RTA_PRIORITY));
    if (table != RT_TABLE_MAIN)
        json_u64_at(d->w, "table", table);
    json_object_end(d->w);
    d->n++;
}

static const char *neigh_state(unsigned state)
{
    return state & NUD_PERMANENT    ? "permanent"
           : state & NUD_NOARP      ? "noarp"
           : state & NUD_REACHABLE  ? "reachable"
           : state & NUD_STALE      ? "stale"
           : state & NUD_DELAY      ? "delay"
           : state & NUD_PROBE      ? "probe"
           : state & NUD_INCOMPLETE ? "incomplete"
                                    : "failed";
}

static void write_neigh(struct dump *d, const struct nlmsghdr *h)
{
    const struct ndmsg *m = NLMSG_DATA(h);
    struct attrs a;
    if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) || (m->ndm_family != AF_INET && m->ndm_family != AF_INET6) ||
        m->ndm_flags & NTF_PROXY || m->ndm_ifindex <= 0)
        return;
    read_attrs(&a, (const char *)m + NLMSG_ALIGN(sizeof(*m)), NLMSG_PAYLOAD(h, sizeof(*m)));
    const void *ip = attr(&a, NDA_DST, m->ndm_family == AF_INET ? 4 : 16);
    if (!ip)
        return;
    json_object_begin(d->w);
    write_addr(d->w, "ip", m->ndm_family, ip, -1);
    write_mac(d->w, &a, NDA_LLADDR);
    json_u64_at(d->w, "dev", (uint32_t)m->ndm_ifindex);
    json_str_at(d->w, "state", neigh_state(m->ndm_state));
    json_object_end(d->w);
    d->n++;
}

/* Asks for everything of a kind and hands each message on. */
static void dump(int fd, unsigned type, size_t header, struct dump *d,
                 void (*each)(struct dump *d, const struct nlmsghdr *h))
{
    static _Alignas(8) char answer[1 << 16];
    struct {
        struct nlmsghdr h;
        char body[sizeof(struct ifinfomsg) + 16];
    } ask = {.h = {.nlmsg_len = (uint32_t)NLMSG_LENGTH(header), .nlmsg_type = (uint16_t)type, .nlmsg_seq = type}};
    ask.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    if (fd < 0 || send(fd, &ask, ask.h.nlmsg_len, 0) < 0)
        return;
    for (;;) {
        ssize_t got = recv(fd, answer, sizeof(answer), 0);
        size_t len = got > 0 ? (size_t)got : 0;
        if (!len)
            return;
        for (const struct nlmsghdr *h = (const void *)answer; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
            if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
                return;
            if (h->nlmsg_seq == type && d->n < MAX_ITEMS)
                each(d, h);
        }
    }
}

static void write_dump(struct dump *d, const char *name, unsigned type, size_t header,
                       void (*each)(struct dump *d, const struct nlmsghdr *h))
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    d->n = 0;
    json_name(d->w, name);
    json_array_begin(d->w);
    dump(fd, type, header, d, each);
    json_array_end(d->w);
    if (fd >= 0)
        close(fd);
}

static void find_addresses(struct dump *d)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    dump(fd, RTM_GETADDR, sizeof(struct ifaddrmsg), d, note_address);
    if (fd >= 0)
        close(fd);
}

/* ---- Sockets ---- */

/* "0100007F:1F90", words as they lie in memory. @return false: no address. */
static bool read_end(const char *text, int family, char *out, size_t size, bool *any)
{
    uint32_t words[4] = {0};
    unsigned n = family == AF_INET ? 1 : 4, port;
    char addr[INET6_ADDRSTRLEN];
    for (unsigned i = 0; i < n; i++)
        if (sscanf(text + 8 * i, "%8x", &words[i]) != 1)
            return false;
    if (strlen(text) < 8 * n + 2 || text[8 * n] != ':' || sscanf(text + 8 * n + 1, "%4x", &port) != 1 ||
        !inet_ntop(family, words, addr, sizeof(addr)))
        return false;
    *any = !port;
    snprintf(out, size, family == AF_INET ? "%s:%u" : "[%s]:%u", addr, port);
    return true;
}

static void write_socket(struct json_writer *w, const char *line, const char *protocol, int family)
{
    static const char *const states[] = {NULL,        "established", "syn_sent",    "syn_recv",   "fin_wait1",
                                         "fin_wait2", "time_wait",   "close",       "close_wait", "last_ack",
                                         "listen",    "closing",     "new_syn_recv"};
    char local[40], remote[40], here[64], there[64];
    unsigned state, uid;
    bool any;
    if (sscanf(line, " %*[0-9]: %39s %39s %x %*s %*s %*s %u", local, remote, &state, &uid) != 4 ||
        state >= sizeof(states) / sizeof(states[0]) || !states[state] ||
        !read_end(local, family, here, sizeof(here), &any) || !read_end(remote, family, there, sizeof(there), &any))
        return;
    json_object_begin(w);
    json_str_at(w, "protocol", protocol);
    json_str_at(w, "family", family == AF_INET ? "inet" : "inet6");
    json_str_at(w, "local", here);
    if (!any)
        json_str_at(w, "remote", there);
    json_str_at(w, "state", states[state]);
    json_u64_at(w, "uid", uid);
    json_object_end(w);
}

static void write_sockets(struct json_writer *w, const char *file, const char *protocol, int family)
{
    FILE *f = fopen(file, "re");
    char line[512];
    for (unsigned n = 0; f && n < MAX_ITEMS && fgets(line, sizeof(line), f); n++)
        write_socket(w, line, protocol, family);
    if (f)
        fclose(f);
}

void record_write_net(struct json_writer *w)
{
    struct dump d = {.w = w};
    find_addresses(&d);
    write_dump(&d, "interfaces", RTM_GETLINK, sizeof(struct ifinfomsg), write_link);
    write_dump(&d, "routes", RTM_GETROUTE, sizeof(struct rtmsg), write_route);
    write_dump(&d, "neighbours", RTM_GETNEIGH, sizeof(struct ndmsg), write_neigh);
    free(d.own);
    json_name(w, "sockets");
    json_array_begin(w);
    write_sockets(w, "/proc/net/tcp", "tcp", AF_INET);
    write_sockets(w, "/proc/net/tcp6", "tcp", AF_INET6);
    write_sockets(w, "/proc/net/udp", "udp", AF_INET);
    write_sockets(w, "/proc/net/udp6", "udp", AF_INET6);
    json_array_end(w);
}
