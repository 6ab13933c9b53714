/* Namespaces of processes, from /proc/PID/ns and /proc/PID/status. */
#include "cli/record.h"
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

enum { PID_NS, NET_NS };
static const char *const kinds[RECORD_NS_KINDS] = {"pid", "net", "uts", "mnt", "ipc", "user", "cgroup", "time"};

static struct record_ns *find(const struct record_nss *list, unsigned kind, uint32_t inum)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->all[i].kind == kind && list->all[i].inum == inum)
            return &list->all[i];
    return NULL;
}

static struct record_ns *add(struct record_nss *list, unsigned kind, const struct stat *st)
{
    struct record_ns *all;
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 32;
        if (!(all = reallocarray(list->all, cap, sizeof(*all))))
            return NULL;
        list->all = all;
        list->cap = cap;
    }
    list->all[list->n] = (struct record_ns){.kind = kind, .inum = (uint32_t)st->st_ino, .dev = (uint32_t)st->st_dev};
    return &list->all[list->n++];
}

/* Those that a namespace of pids lies in, as far up as the kernel shows them. */
static bool add_parents(struct record_nss *list, int fd, uint32_t inum)
{
    struct stat st;
    int up = ioctl(fd, NS_GET_PARENT);
    if (up < 0)
        return true;
    bool ok = true;
    if (!fstat(up, &st)) {
        struct record_ns *parent = find(list, PID_NS, (uint32_t)st.st_ino);
        bool known = parent;
        if (!known)
            ok = (parent = add(list, PID_NS, &st)) != NULL;
        if (ok)
            find(list, PID_NS, inum)->parent = (uint32_t)st.st_ino;
        if (ok && !known)
            ok = add_parents(list, up, (uint32_t)st.st_ino);
    }
    close(up);
    return ok;
}

bool record_namespaces(struct record_nss *list, uint32_t pid, struct record_of *of)
{
    for (unsigned k = 0; k < RECORD_NS_KINDS; k++) {
        char path[64];
        struct stat st;
        snprintf(path, sizeof(path), "/proc/%u/ns/%s", pid, kinds[k]);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        bool ok = true;
        if (!fstat(fd, &st)) {
            of->inum[k] = (uint32_t)st.st_ino;
            if (!find(list, k, of->inum[k])) {
                ok = add(list, k, &st);
                if (ok && k == PID_NS)
                    ok = add_parents(list, fd, of->inum[k]);
            }
        }
        close(fd);
        if (!ok)
            return false;
    }
    return true;
}

/* "NSpid:\t123\t8": the innermost number comes last. */
void record_status_line(const char *line, struct record_of *of)
{
    uint32_t *to = !strncmp(line, "NSpid:", 6) ? &of->pid : !strncmp(line, "NStgid:", 7) ? &of->tgid : NULL;
    const char *last = to ? strrchr(line, '\t') : NULL;
    if (last)
        *to = (uint32_t)strtoul(last + 1, NULL, 10);
}

/* Of the namespace that this process is in; of others the kernel tells none. */
static uint64_t own_cookie(uint32_t inum)
{
    struct stat st;
    uint64_t cookie = 0;
    socklen_t len = sizeof(cookie);
    if (stat("/proc/self/ns/net", &st) || st.st_ino != inum)
        return 0;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len))
        cookie = 0;
    close(fd);
    return cookie;
}

static void write_name(struct json_writer *w, const char *member, unsigned kind, uint32_t inum)
{
    char name[32];
    snprintf(name, sizeof(name), "%s-%u", kinds[kind], inum);
    if (member)
        json_str_at(w, member, name);
    else
        json_string(w, name);
}

static void write_one(const struct record_nss *list, const struct record_ns *ns, bool *written, struct json_writer *w)
{
    if (written[ns - list->all])
        return;
    written[ns - list->all] = true;
    const struct record_ns *parent = ns->parent ? find(list, ns->kind, ns->parent) : NULL;
    if (parent)
        write_one(list, parent, written, w);
    uint64_t cookie = ns->kind == NET_NS ? own_cookie(ns->inum) : 0;
    json_object_begin(w);
    write_name(w, "name", ns->kind, ns->inum);
    json_str_at(w, "kind", kinds[ns->kind]);
    json_u64_at(w, "inum", ns->inum);
    if (ns->kind == PID_NS)
        json_u64_at(w, "dev", ns->dev);
    if (cookie)
        json_u64_at(w, "cookie", cookie);
    if (parent)
        write_name(w, "parent", ns->kind, parent->inum);
    json_object_end(w);
}

void record_write_namespaces(const struct record_nss *list, struct json_writer *w)
{
    bool *written = calloc(list->n + 1, sizeof(*written));
    json_name(w, "namespaces");
    json_array_begin(w);
    for (size_t i = 0; written && i < list->n; i++)
        write_one(list, &list->all[i], written, w);
    json_array_end(w);
    if (!written)
        w->out->failed = true;
    free(written);
}

void record_write_task(const struct record_of *of, struct json_writer *w)
{
    bool any = false;
    if (of->pid && of->inum[PID_NS])
        json_u64_at(w, "ns_pid", of->pid);
    if (of->tgid && of->inum[PID_NS])
        json_u64_at(w, "ns_tgid", of->tgid);
    for (unsigned k = 0; k < RECORD_NS_KINDS; k++) {
        if (!of->inum[k])
            continue;
        if (!any) {
            json_name(w, "namespaces");
            json_array_begin(w);
        }
        any = true;
        write_name(w, NULL, k, of->inum[k]);
    }
    if (any)
        json_array_end(w);
}
