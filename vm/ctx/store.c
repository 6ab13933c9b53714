/* The buffers of contexts, and how bytes come in and go out. */
#include "vm/ctx/store.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ctx_store *ctx_store(struct skep_env *env)
{
    if (!env->ctx_store)
        env->ctx_store = calloc(1, sizeof(*env->ctx_store));
    return env->ctx_store;
}

void ctx_drop(struct skep_env *env)
{
    if (env->ctx_store) {
        free(env->ctx_store->ctx);
        free(env->ctx_store->user);
        free(env->ctx_store->sysctl);
        free(env->ctx_store);
        env->ctx_store = NULL;
    }
    free(env->packet.buf);
    memset(&env->packet, 0, sizeof(env->packet));
}

static bool reserve(unsigned char **p, uint32_t *cap, uint32_t size)
{
    if (size > *cap) {
        unsigned char *bigger = realloc(*p, size);

        if (!bigger)
            return false;
        *p = bigger;
        *cap = size;
    }
    if (size)
        memset(*p, 0, size);
    return true;
}

bool ctx_make(struct skep_env *env, uint32_t size)
{
    struct ctx_store *store = ctx_store(env);

    if (!store || !reserve(&store->ctx, &store->ctx_cap, size ? size : 8))
        return false;
    env->ctx = store->ctx;
    env->ctx_size = size;
    return true;
}

static bool is_zero(const unsigned char *p, uint32_t from, uint32_t to)
{
    for (; from < to; from++)
        if (p[from])
            return false;
    return true;
}

int ctx_take_user(struct skep_env *env, const struct ctx_io *io, uint32_t max, const struct log *log)
{
    struct ctx_store *store = ctx_store(env);
    uint32_t size = io->ctx_size_in < max ? io->ctx_size_in : max;

    if (!store || !reserve(&store->user, &store->user_cap, max))
        return log_fail(log, -ENOMEM, "no memory for a context of %u bytes", max);
    store->has_user = io->ctx_in || io->ctx_out;
    if (!io->ctx_in)
        return 0;
    if (!is_zero(io->ctx_in, max, io->ctx_size_in))
        return log_fail(log, -E2BIG, "context of %u bytes: this program type has %u, and what follows is not zero",
                        io->ctx_size_in, max);
    memcpy(store->user, io->ctx_in, size);
    return 0;
}

int ctx_give_data(struct ctx_io *io, const void *data, uint32_t size)
{
    uint32_t room = io->data_size_out, n = size < room ? size : room;

    io->data_size_out = size;
    if (!io->data_out)
        return 0;
    if (n)
        memcpy(io->data_out, data, n);
    return room && room < size ? -ENOSPC : 0;
}

int ctx_give_ctx(struct ctx_io *io, const void *ctx, uint32_t size)
{
    uint32_t room = io->ctx_size_out, n = size < room ? size : room;

    if (!io->ctx_out)
        return 0;
    io->ctx_size_out = size;
    if (n)
        memcpy(io->ctx_out, ctx, n);
    return room < size ? -ENOSPC : 0;
}
