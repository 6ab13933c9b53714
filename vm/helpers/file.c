/* Files: their paths, hashes and sockets, and what is said of a file that is being executed. */
#include "vm/effect.h"
#include "vm/helpers/helper.h"
#include "vm/helpers/kernel_field.h"
#include "vm/helpers/probe.h"
#include "vm/world/world.h"

enum { MAX_DEPTH = 2048, MAX_NAME = 256 };

/* Puts the name of a dentry before *at. @return 1; 0 when it was the root; a negative errno. */
static int put_name(struct skep_env *env, uint64_t dentry, char *buf, uint32_t *at)
{
    uint64_t name, len, parent;
    const char *text;

    if (!kernel_field(env, dentry, "dentry", "d_parent", &parent) ||
        !kernel_field(env, dentry, "dentry", "d_name.name", &name) ||
        !kernel_field(env, dentry, "dentry", "d_name.len", &len))
        return -EFAULT;
    if (!parent || parent == dentry)
        return 0;
    len = (uint32_t)len;
    if (len >= MAX_NAME || len + 1 > *at)
        return -ENAMETOOLONG;
    text = env_probe(env, name, len, ENV_MEM_KERNEL);
    if (!text)
        return -EFAULT;
    *at -= (uint32_t)len + 1;
    buf[*at] = '/';
    memcpy(buf + *at + 1, text, len);
    return 1;
}

/* The chain of dentries is the path, from the last name to the root. It stands at the end of the room while it is made,
 * as Linux makes it, and what was there before is lost. */
static int64_t put_path(struct skep_env *env, uint64_t path, char *buf, uint32_t size)
{
    uint64_t dentry;
    uint32_t at = size - 1;
    int more = 1;

    if (!kernel_field(env, path, "path", "dentry", &dentry))
        return -EFAULT;
    buf[at] = 0;
    for (unsigned depth = 0; more > 0; depth++) {
        more = depth < MAX_DEPTH ? put_name(env, dentry, buf, &at) : -ENAMETOOLONG;
        if (more < 0)
            return more;
        kernel_field(env, dentry, "dentry", "d_parent", &dentry);
    }
    if (at == size - 1) {
        if (!at)
            return -ENAMETOOLONG;
        buf[--at] = '/';
    }
    memmove(buf, buf + at, size - at);
    return size - at;
}

HELPER_BODY(d_path)
{
    uint32_t size = (uint32_t)a3;

    return size ? (uint64_t)put_path(env, a1, helper_ptr(a2), size) : 0;
}

static uint64_t put_hash(struct skep_env *env, uint64_t of, uint64_t inode, uint64_t dst, uint64_t size)
{
    const struct world_hash *hash = env->world ? world_hash(env->world, of) : NULL;

    if (!hash && env->world)
        hash = world_hash(env->world, inode);
    if (!hash)
        return helper_error(-EOPNOTSUPP);
    memcpy(helper_ptr(dst), hash->bytes, (uint32_t)size < hash->size ? (uint32_t)size : hash->size);
    return hash->algorithm;
}

HELPER_BODY(ima_inode_hash)
{
    return put_hash(env, a1, 0, a2, a3);
}

HELPER_BODY(ima_file_hash)
{
    uint64_t inode;

    kernel_field(env, a1, "file", "f_inode", &inode);
    return put_hash(env, a1, inode, a2, a3);
}

/* A file is a socket when what is private to it is one of the world's struct socket. */
HELPER_BODY(sock_from_file)
{
    uint64_t socket;

    if (!env->world || !kernel_field(env, a1, "file", "private_data", &socket))
        return 0;
    return world_is_object_of(env->world, socket, "socket") ? socket : 0;
}

HELPER_BODY(bprm_opts_set)
{
    enum { SECUREEXEC = 1 };
    struct skep_effect e = {.what = "bprm_opts_set", .flags = a2};

    if (a2 & ~(uint64_t)SECUREEXEC)
        return helper_error(-EINVAL);
    effect_tell(env, &e);
    return 0;
}
