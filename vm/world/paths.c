/*
 * Paths of files. Where the target has a struct path a file may give a text, "/usr/bin/x": it becomes a chain of struct
 * dentry, each with its name and its parent up to the root, as programs walk it and bpf_d_path() puts it together
 * again. Mounts are not told apart: the chain leads through all of them.
 */
#include "vm/world/read.h"
#include <string.h>

enum { MAX_DEPTH = 2048 /* a path of PATH_MAX bytes */ };

/* One dentry; parent 0: it is the root, its own parent. */
static int make_dentry(struct world_reader *r, const struct json_path *at, const struct json *v, uint32_t type,
                       const char *name, size_t len, uint64_t *parent)
{
    struct world_object o;
    unsigned char *host;
    uint64_t text = 0;
    int err = world_object(r, at, v, type, NULL, 0, &o);

    if (!err)
        err = world_memory(r, at, v, &text, len + 1, ENV_MEM_KERNEL, ENV_READ, "name of a file", &host);
    if (err)
        return err;
    memcpy(host, name, len);
    world_put_u64(r, &o, "d_name.len", len);
    world_put_u64(r, &o, "d_name.name", text);
    world_put_u64(r, &o, "d_parent", *parent ? *parent : o.addr);
    *parent = o.addr;
    return 0;
}

int world_path(struct world_reader *r, const struct json_path *at, const struct json *v,
               const struct world_object *path)
{
    uint32_t type = btf_find(r->w->btf, "dentry", BTF_STRUCT);
    const char *text, *s;
    uint64_t dentry = 0;
    unsigned depth = 0;
    int err = world_take_text(r, at, v, &text);

    if (err)
        return err;
    if (*text != '/' || !type)
        return WORLD_REFUSE(r, at, v,
                            type ? "a path is text that begins with /" : "the target has no struct dentry for a path");
    err = make_dentry(r, at, v, type, "/", 1, &dentry);
    for (s = text; *s && !err; s += strcspn(s, "/")) {
        s += strspn(s, "/");
        if (!*s)
            break;
        if (++depth > MAX_DEPTH)
            return WORLD_REFUSE(r, at, v, "more than %d parts", MAX_DEPTH);
        err = make_dentry(r, at, v, type, s, strcspn(s, "/"), &dentry);
    }
    if (!err)
        world_put_u64(r, path, "dentry", dentry);
    return err;
}
