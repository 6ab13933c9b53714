/* Links: what they hold, and how it is undone. */
#include "loader/kernel_link.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct kernel_link *kernel_link_new(void)
{
    struct kernel_link *l = calloc(1, sizeof(*l));
    if (l)
        l->fd = l->socket = l->map_fd = l->prog_fd = -1;
    return l;
}

int kernel_link_add(struct attaching *a, struct bpf_link *link)
{
    struct kernel_link *l = a->link;
    if (!link)
        return -errno;
    struct bpf_link **more = realloc(l->links, (l->n_links + 1) * sizeof(struct bpf_link *));
    if (!more) {
        bpf_link__destroy(link);
        return -ENOMEM;
    }
    l->links = more;
    l->links[l->n_links++] = link;
    return 0;
}

/* The words of libbpf's last warning. */
static void put_words(const struct buf *said, struct buf *out)
{
    const char *text = buf_text(said), *last = text;
    for (const char *p = text; *p; p++)
        if (p[0] == '\n' && p[1])
            last = p + 1;
    if (!strncmp(last, "libbpf: ", 8))
        last += 8;
    if (*last)
        buf_printf(out, "\n      = %.*s", (int)strcspn(last, "\n"), last);
}

int kernel_not_attached(const char *name, const char *section, int err, const struct buf *why, const struct buf *said,
                        const struct log *log)
{
    struct buf text = {0};
    if (why->len) {
        buf_printf(&text, "program '%s' (SEC(\"%s\")) is not attached: %s", name, section, buf_text(why));
    } else {
        buf_printf(&text, "program '%s' (SEC(\"%s\")) is not attached: Linux says: %s", name, section,
                   err == -ENOTSUPP ? "not supported" : strerror(-err));
        put_words(said, &text);
        kernel_explain(err, section, &text);
    }
    log_fail(log, err, "%s", buf_text(&text));
    buf_free(&text);
    return err == -ENOTSUPP ? -EOPNOTSUPP : err;
}

const char *kernel_link_text(const struct kernel_link *link)
{
    return link->text;
}

int kernel_link_fd(const struct kernel_link *l)
{
    return l->fd >= 0 ? l->fd : l->n_links == 1 ? bpf_link__fd(l->links[0]) : -1;
}

int kernel_link_pin(struct kernel_link *l, const char *path)
{
    int fd = kernel_link_fd(l), err = fd < 0 ? -EOPNOTSUPP : bpf_obj_pin(fd, path);
    l->pinned |= !err;
    return err;
}

int kernel_link_open_iter(const struct kernel_link *l)
{
    int fd = kernel_link_fd(l);
    return fd < 0 ? -EOPNOTSUPP : bpf_iter_create(fd);
}

static int detach_tc(const struct kernel_link *l)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)l->ifindex, .attach_point = l->point);
    LIBBPF_OPTS(bpf_tc_opts, opts, .handle = l->handle, .priority = l->priority);
    int err = l->has_tc ? bpf_tc_detach(&hook, &opts) : 0;
    if (l->own_qdisc) {
        hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
        bpf_tc_hook_destroy(&hook);
    }
    return err;
}

int kernel_link_free(struct kernel_link *l)
{
    int err = 0, zero = 0;
    if (!l)
        return 0;
    for (uint32_t i = 0; i < l->n_links; i++) {
        if (l->pinned) /* detaching would switch a perf event off, under the pinned link too */
            bpf_link__disconnect(l->links[i]);
        int failed = bpf_link__destroy(l->links[i]);
        err = err ? err : failed;
    }
    if (l->has_tc || l->own_qdisc)
        err = detach_tc(l);
    if (l->socket >= 0 && !l->own_socket)
        err = setsockopt(l->socket, SOL_SOCKET, SO_DETACH_BPF, &zero, sizeof(zero)) ? -errno : 0;
    if (l->socket >= 0 && l->own_socket)
        close(l->socket);
    if (l->map_fd >= 0) {
        err = bpf_prog_detach2(l->prog_fd, l->map_fd, l->attach_type);
        close(l->map_fd);
    }
    if (l->fd >= 0)
        close(l->fd);
    free(l->links);
    free(l);
    return err;
}
