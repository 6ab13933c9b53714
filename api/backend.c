/* The backends that are built in, and attaching through them. What an object was not opened for is said by name. */
#include "api/object.h"
#include <errno.h>
#include <string.h>

const struct object_backend *backend_find(uint32_t id)
{
    static const struct object_backend *const backends[] = {
        [SKEP_BACKEND_USER] = &user_backend,
#ifdef SKEP_LIBBPF
        [SKEP_BACKEND_KERNEL] = &kernel_backend,
#endif
    };
    return id < sizeof(backends) / sizeof(*backends) ? backends[id] : NULL;
}

bool skep_has_backend(uint32_t id)
{
    return backend_find(id);
}

static struct skep_link *not_here(const struct log *log, const char *name)
{
    return fail_null(log_fail(log, -EOPNOTSUPP,
                              "'%s' lives in this process and cannot be attached; open its object for Linux "
                              "(SKEP_BACKEND_KERNEL)",
                              name));
}

struct skep_link *skep_program__attach(struct skep_program *prog, const struct skep_attach_opts *user)
{
    struct skep_attach_opts opts;
    if (!prog || !opts_read(&opts, sizeof(opts), user) || !prog->ops)
        return fail_null(-EINVAL);
    if (!prog->object || !prog->object->backend->attach)
        return not_here(&prog->vm->log, prog->name);
    return prog->object->backend->attach(prog, &opts);
}

struct skep_link *skep_object__attach_struct_ops(struct skep_object *o, const char *name)
{
    if (!o || !name || o->state != OBJECT_LOADED)
        return fail_null(-EINVAL);
    if (!o->backend->attach_struct_ops)
        return not_here(&o->vm->log, name);
    return o->backend->attach_struct_ops(o, name);
}

const char *skep_object__struct_ops_name(const struct skep_object *o, uint32_t i)
{
    return i < o->obj->n_ops ? o->obj->ops[i].name : NULL;
}

struct skep_program *skep_object__struct_ops_program(const struct skep_object *o, const char *name, const char *member)
{
    const struct object_ops *ops = o && name && member ? object_ops_find(o->obj, name) : NULL;
    for (uint32_t i = 0; ops && i < ops->n_methods; i++)
        if (!strcmp(ops->methods[i].member, member))
            return &o->progs[ops->methods[i].prog];
    return fail_null(-ENOENT);
}

int skep_program__stats(const struct skep_program *prog, struct skep_program_stats *user)
{
    struct skep_program_stats stats;
    if (!prog || !user || !prog->ops || !opts_read(&stats, sizeof(stats), user))
        return -EINVAL;
    if (!prog->object || !prog->object->backend->stats)
        return -EOPNOTSUPP;
    int err = prog->object->backend->stats(prog, &stats);
    if (!err)
        opts_write(user, &stats, sizeof(stats));
    return err;
}

int skep_enable_stats(void)
{
    const struct object_backend *there = backend_find(SKEP_BACKEND_KERNEL);
    return there ? there->enable_stats() : -EOPNOTSUPP;
}

struct skep_map *skep_map__open_linux(struct skep_vm *vm, const char *path, uint32_t id)
{
    const struct object_backend *there = backend_find(SKEP_BACKEND_KERNEL);
    return vm && there ? there->open_map(vm, path, id) : fail_null(vm ? -EOPNOTSUPP : -EINVAL);
}

int skep_linux_prog_maps(const char *prog, uint32_t *ids, uint32_t room)
{
    const struct object_backend *there = backend_find(SKEP_BACKEND_KERNEL);
    return there ? there->prog_maps(prog, ids, room) : -EOPNOTSUPP;
}

/* ---- Links: made by a backend, used through their table ---- */

const char *skep_link__text(const struct skep_link *link)
{
    return link->ops->text(link);
}

int skep_link__fd(const struct skep_link *link)
{
    return link->ops->fd(link);
}

int skep_link__pin(struct skep_link *link, const char *path)
{
    return link && path ? link->ops->pin(link, path) : -EINVAL;
}

int skep_link__destroy(struct skep_link *link)
{
    return link ? link->ops->destroy(link) : 0;
}

int skep_link__open_iter(const struct skep_link *link)
{
    return link ? link->ops->open_iter(link) : -EINVAL;
}
