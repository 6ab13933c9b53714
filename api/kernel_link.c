/* Attachments of programs in Linux, as the public API has them. */
#include "api/kernel.h"
#include <errno.h>
#include <stdlib.h>

struct there {
    struct skep_link public;
    struct kernel_link *link;
};

static struct kernel_link *of(const struct skep_link *link)
{
    return ((const struct there *)link)->link;
}

static const char *text(const struct skep_link *link)
{
    return kernel_link_text(of(link));
}

static int link_fd(const struct skep_link *link)
{
    return kernel_link_fd(of(link));
}

static int pin(struct skep_link *link, const char *path)
{
    return kernel_link_pin(of(link), path);
}

static int open_iter(const struct skep_link *link)
{
    return kernel_link_open_iter(of(link));
}

static int destroy(struct skep_link *link)
{
    int err = kernel_link_free(of(link));
    free(link);
    return err;
}

static struct skep_link *wrap(int err, struct kernel_link *link)
{
    static const struct link_backend ops = {
        .text = text, .fd = link_fd, .pin = pin, .open_iter = open_iter, .destroy = destroy};
    if (err)
        return fail_null(err);
    struct there *l = calloc(1, sizeof(*l));
    if (!l) {
        kernel_link_free(link);
        return fail_null(-ENOMEM);
    }
    l->public.ops = &ops;
    l->link = link;
    return &l->public;
}

struct skep_link *kernel_link_attach_prog(struct skep_program *prog, const struct skep_attach_opts *o)
{
    const struct object_prog *p = prog_of(prog);
    struct kernel_attach how = {.section = p->section,
                                .target = o->target ? o->target : skep_program__attach_target(prog),
                                .ifindex = o->ifindex,
                                .xdp_generic = !!(o->xdp_flags & SKEP_XDP_GENERIC),
                                .xdp_native = !!(o->xdp_flags & SKEP_XDP_NATIVE),
                                .xdp_offload = !!(o->xdp_flags & SKEP_XDP_OFFLOAD),
                                .egress = o->egress,
                                .clsact = o->clsact,
                                .pid = o->pid,
                                .fd = o->fd,
                                .freq = o->freq,
                                .cookie = o->cookie};
    struct log log = LOG_AT(&prog->vm->log, prog->object->obj->path);
    struct kernel_link *link = NULL;
    int err = kernel_attach(prog->object->kernel, prog->index, &how, &log, &link);
    return wrap(err, link);
}

struct skep_link *kernel_link_attach_map(struct skep_object *o, const char *name)
{
    struct log log = LOG_AT(&o->vm->log, o->obj->path);
    struct kernel_link *link = NULL;
    int err = kernel_attach_struct_ops(o->kernel, name, &log, &link);
    return wrap(err, link);
}
