/* Worlds of the public API: vm/world makes them, here they get their types and their text. */
#include "vm/world/world.h"
#include "api/core/core.h"
#include "base/buf.h"
#include "loader/btf_file.h"
#include <errno.h>
#include <fcntl.h>
#include <skep/world.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_TEXT = 128 << 20 };

static int load_types(void *ctx, const struct log *log, struct btf **out)
{
    const char *path = ctx;
    return path ? btf_load_file(path, NULL, log, out) : btf_load_kernel(log, out);
}

static struct skep_world_file *build(const void *text, size_t size, const struct skep_world_open_opts *opts,
                                     const char *where)
{
    struct world_types types = {.load = load_types, .ctx = (void *)(uintptr_t)opts->btf_custom_path};
    struct log log = {.fn = opts->log, .ctx = opts->log_ctx, .where = where, .max = opts->log_level};
    struct world_extra extra = {.section = opts->section, .text = opts->context, .size = opts->context_size};
    struct world *world;
    if (!extra.text != !extra.section || extra.size > MAX_TEXT)
        return fail_null(-EINVAL);
    int err = world_build(text, size, extra.text ? &extra : NULL, &types, &log, &world);
    return err ? fail_null(err) : (struct skep_world_file *)world;
}

struct skep_world_file *skep_world__open_mem(const void *text, size_t size, const struct skep_world_open_opts *user)
{
    struct skep_world_open_opts opts;
    if (!text || size > MAX_TEXT || !opts_read(&opts, sizeof(opts), user))
        return fail_null(-EINVAL);
    return build(text, size, &opts, opts.name ? opts.name : "world");
}

static int read_text(int fd, struct buf *out)
{
    char chunk[65536];
    ssize_t n;
    while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
        buf_add(out, chunk, (size_t)n);
        if (out->len > MAX_TEXT)
            return -EFBIG;
    }
    return n < 0 ? -errno : out->failed ? -ENOMEM : 0;
}

struct skep_world_file *skep_world__open_file(const char *path, const struct skep_world_open_opts *user)
{
    struct skep_world_open_opts opts;
    if (!path || !opts_read(&opts, sizeof(opts), user))
        return fail_null(-EINVAL);
    struct log log = {.fn = opts.log, .ctx = opts.log_ctx, .where = path, .max = opts.log_level};
    struct buf text = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC), err = fd < 0 ? -errno : read_text(fd, &text);
    if (fd >= 0)
        close(fd);
    struct skep_world_file *file =
        err ? fail_null(log_fail(&log, err, "%s", strerror(-err))) : build(buf_text(&text), text.len, &opts, path);
    int saved = errno;
    buf_free(&text);
    errno = saved;
    return file;
}

void skep_world__free(struct skep_world_file *file)
{
    world_put((struct world *)file);
}

uint32_t skep_world__task_cnt(const struct skep_world_file *file)
{
    return ((const struct world *)file)->n_tasks;
}

bool skep_world__has_task(const struct skep_world_file *file, uint32_t pid)
{
    return world_task_by_pid((const struct world *)file, pid);
}

uint32_t skep_world__context_cnt(const struct skep_world_file *file, const char *section)
{
    uint32_t n = 0;
    while (world_context((const struct world *)file, section, n))
        n++;
    return n;
}

int skep_world__context(const struct skep_world_file *file, const char *section, uint32_t i, struct skep_context *out)
{
    const struct world_context_item *item = world_context((const struct world *)file, section, i);
    struct skep_context context = {.sz = sizeof(context)};
    if (!item)
        return -ENOENT;
    context.data = item->data;
    context.size = item->size;
    context.sysctl_name = item->sysctl_name;
    context.sysctl_value = item->sysctl_value;
    if (!out || !out->sz)
        return -EINVAL;
    opts_write(out, &context, sizeof(context));
    return 0;
}

int64_t skep_world__find_task(const struct skep_world_file *file, const char *name)
{
    const struct world_task *t = world_task_named((const struct world *)file, name);
    return t ? (int64_t)t->pid : -ENOENT;
}
