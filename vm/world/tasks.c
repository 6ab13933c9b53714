/*
 * Sections `cgroups`, `tasks` and `current`. A task is a task_struct of the target; what helpers say of the current
 * task (pid, comm ...) and what programs read there come from the same members. Beside members of task_struct a task
 * has members of the file's own (uid, gid, ppid, cgroup, stacks ...), which become what they are in the kernel: a
 * struct cred, pointers to other tasks, a css_set. A member that the file gives itself stands before what is made of
 * those.
 *
 * Two passes: tasks get their places first, since they point to one another.
 */
#include "vm/world/read.h"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Cgroups ---- */

static int take_cgroup(struct world_reader *r, const struct json_path *at, const struct json *v, struct world_cgroup *c)
{
    static const struct world_member members[] = {
        {"path", world_take_text, offsetof(struct world_cgroup, path), true},
        {"id", world_take_u64, offsetof(struct world_cgroup, id), true},
        {"struct", world_take_json, offsetof(struct world_cgroup, members), false},
    };
    int err = world_members(r, at, v, members, sizeof(members) / sizeof(members[0]), c);
    size_t len = err ? 0 : strlen(c->path);

    if (!err && (*c->path != '/' || (len > 1 && c->path[len - 1] == '/')))
        err = WORLD_REFUSE(r, at, v, "a cgroup's path begins with / and does not end in it");
    if (!err && (!c->id || (c->id == 1) != (len == 1)))
        err = WORLD_REFUSE(r, at, v, "the root has number 1, and no other cgroup has, nor 0");
    return err;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct world_cgroup *)a)->path, ((const struct world_cgroup *)b)->path);
}

static const struct world_cgroup *cgroup_at(const struct world *w, const char *path)
{
    struct world_cgroup key = {.path = path};

    return w->n_cgroups ? bsearch(&key, w->cgroups, w->n_cgroups, sizeof(key), by_path) : NULL;
}

const struct world_cgroup *world_cgroup_by_id(const struct world *world, uint64_t id)
{
    for (uint32_t i = 0; i < world->n_cgroups; i++)
        if (world->cgroups[i].id == id)
            return &world->cgroups[i];
    return NULL;
}

const struct world_cgroup *world_cgroup_at(const struct world *world, uint64_t addr)
{
    for (uint32_t i = 0; i < world->n_cgroups && addr; i++)
        if (world->cgroups[i].addr == addr)
            return &world->cgroups[i];
    return NULL;
}

const struct world_cgroup *world_cgroup_above(const struct world_cgroup *cgroup, uint32_t level)
{
    while (cgroup && cgroup->level > level)
        cgroup = cgroup->parent;
    return cgroup && cgroup->level == level ? cgroup : NULL;
}

static int find_parent(struct world_reader *r, struct world_cgroup *c)
{
    const char *slash = strrchr(c->path, '/');
    char *up = arena_strndup(&r->w->arena, c->path, slash == c->path ? 1 : (size_t)(slash - c->path));

    if (!up)
        return log_fail(r->log, -ENOMEM, "no memory for a world of this size");
    if (!strcmp(c->path, "/"))
        return 0;
    c->parent = cgroup_at(r->w, up);
    if (!c->parent)
        return log_fail(r->log, -EINVAL, "JSON: cgroups: '%.100s' has no parent '%.100s' here", c->path, up);
    c->level = c->parent->level + 1;
    return 0;
}

/* struct cgroup as programs walk it: kn->id, kn->name, level, and the ids of those above. */
static int make_cgroup(struct world_reader *r, struct world_cgroup *c)
{
    const struct json none = {.kind = JSON_OBJECT};
    struct json_path here = {.name = "cgroups"};
    const struct json *v = c->members ? c->members : &none;
    const struct btf *btf = world_btf(r, &here, c->members);
    uint32_t type = btf ? btf_find(btf, "cgroup", BTF_STRUCT) : 0;
    uint32_t node = btf ? btf_find(btf, "kernfs_node", BTF_STRUCT) : 0;
    struct world_object o, kn = {0};
    unsigned char *name;
    uint64_t name_at = 0;
    const char *base = strrchr(c->path, '/') + 1;
    int err;

    if (!type)
        return c->members ? WORLD_REFUSE(r, &here, v, "the target has no struct cgroup") : 0;
    err = world_object(r, &here, v, type, NULL, 0, &o);
    if (!err && node)
        err = world_object(r, &here, v, node, NULL, 0, &kn);
    if (err)
        return err;
    c->addr = o.addr;
    err = world_memory(r, &here, v, &name_at, strlen(base) + 1, ENV_MEM_KERNEL, ENV_READ, "name of a cgroup", &name);
    if (err)
        return err;
    memcpy(name, base, strlen(base));
    if (node) {
        world_put_u64(r, &kn, "id", c->id);
        world_put_u64(r, &kn, "name", name_at);
        world_put_u64(r, &o, "kn", kn.addr);
    }
    world_put_u64(r, &o, "self.id", 1);
    world_put_u64(r, &o, "self.cgroup", o.addr);
    world_put_u64(r, &o, "level", c->level);
    if (c->parent)
        world_put_u64(r, &o, "self.parent", c->parent->addr);
    for (const struct world_cgroup *up = c; up; up = up->parent) {
        char part[32];

        snprintf(part, sizeof(part), "ancestors[%u]", up->level);
        world_put_u64(r, &o, part, up->addr);
    }
    here.name = c->path;
    return world_fill(r, &here, v, &o, NULL);
}

int world_read_cgroups(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    struct world *w = r->w;
    int err = world_is_array(r, at, v);

    if (err)
        return err;
    w->cgroups = ARENA_ARRAY(&w->arena, struct world_cgroup, v->length);
    if (!w->cgroups)
        return log_fail(r->log, -ENOMEM, "no memory for a world of this size");
    for (size_t i = 0; !err && i < v->length; i++) {
        struct json_path here = {.up = at, .index = i};

        err = take_cgroup(r, &here, v->items[i], &w->cgroups[i]);
        w->n_cgroups = (uint32_t)i + 1;
    }
    if (!err && w->n_cgroups)
        qsort(w->cgroups, w->n_cgroups, sizeof(*w->cgroups), by_path);
    for (uint32_t i = 1; !err && i < w->n_cgroups; i++)
        if (!by_path(&w->cgroups[i - 1], &w->cgroups[i]))
            err = WORLD_REFUSE(r, at, v, "'%.100s' stands here twice", w->cgroups[i].path);
    for (uint32_t i = 0; !err && i < w->n_cgroups; i++) /* parents come before their children */
        err = find_parent(r, &w->cgroups[i]);
    for (uint32_t i = 0; !err && i < w->n_cgroups; i++)
        err = make_cgroup(r, &w->cgroups[i]);
    return err;
}

/* ---- Tasks ---- */

/* Members of the file's own; the others are members of task_struct. */
static const char *const own_members[] = {"uid",        "gid",    "ppid",    "cgroup", "stacks", "name",
                                          "namespaces", "ns_pid", "ns_tgid", "regs",   "vmas"};

static bool is_own(void *ctx, const char *name)
{
    (void)ctx;
    for (unsigned i = 0; i < sizeof(own_members) / sizeof(own_members[0]); i++)
        if (!strcmp(own_members[i], name))
            return true;
    return false;
}

static bool needs_types(const struct json *v)
{
    for (size_t i = 0; i < v->length; i++)
        if (!strcmp(v->names[i], "vmas") || (!is_own(NULL, v->names[i]) && strcmp(v->names[i], "pid") &&
                                             strcmp(v->names[i], "tgid") && strcmp(v->names[i], "comm")))
            return true;
    return false;
}

static int take_number(struct world_reader *r, const struct json_path *at, const struct json *v, const char *name,
                       uint32_t *to, bool *given)
{
    const struct json *n = json_get(v, name);
    struct json_path here = {.up = at, .name = name};

    *given = n;
    return n ? world_take_u32(r, &here, n, to) : 0;
}

static int take_cgroup_of(struct world_reader *r, const struct json_path *at, const struct json *v,
                          struct world_task *t)
{
    const struct json *c = json_get(v, "cgroup");
    struct json_path here = {.up = at, .name = "cgroup"};
    const char *path;
    int err = c ? world_take_text(r, &here, c, &path) : 0;

    if (err || !c)
        return err;
    t->cgroup = cgroup_at(r->w, path);
    return t->cgroup ? 0 : WORLD_REFUSE(r, &here, c, "there is no cgroup '%.100s' in \"cgroups\"", path);
}

/* "stacks": {"kernel": [...], "user": [...]}, of addresses and names of "symbols". */
static int take_stack(struct world_reader *r, const struct json_path *at, const struct json *v, void *to)
{
    struct world_stack *s = to;
    int err = world_is_array(r, at, v);

    if (err)
        return err;
    s->ips = ARENA_ARRAY(&r->w->arena, uint64_t, v->length);
    if (!s->ips)
        return log_fail(r->log, -ENOMEM, "no memory for a world of this size");
    for (size_t i = 0; i < v->length && !err; i++) {
        struct json_path here = {.up = at, .index = i};
        const struct json *ip = v->items[i];

        if (ip->kind == JSON_STRING && !(*ip->string >= '0' && *ip->string <= '9')) {
            if (!world_symbol(r->w, ip->string, &s->ips[i]))
                err = WORLD_REFUSE(r, &here, ip, "there is no '%.64s' in \"symbols\"", ip->string);
        } else {
            err = world_take_u64(r, &here, ip, &s->ips[i]);
        }
        s->n = (uint32_t)i + 1;
    }
    return err;
}

static int take_stacks(struct world_reader *r, const struct json_path *at, const struct json *v, struct world_task *t)
{
    static const struct world_member members[] = {{"kernel", take_stack, offsetof(struct world_task, kernel), false},
                                                  {"user", take_stack, offsetof(struct world_task, user), false}};
    const struct json *stacks = json_get(v, "stacks");
    struct json_path here = {.up = at, .name = "stacks"};

    return stacks ? world_members(r, &here, stacks, members, 2, t) : 0;
}

/* What helpers say of it. */
static int take_task(struct world_reader *r, const struct json_path *at, const struct json *v, struct world_task *t)
{
    const struct json *comm = json_get(v, "comm"), *name = json_get(v, "name"), *own = json_get(v, "&");
    struct json_path here = {.up = at, .name = "comm"};
    const char *text = "";
    bool given, has_tgid;
    int err = world_is_object(r, at, v);

    if (err)
        return err;
    err = take_number(r, at, v, "pid", &t->pid, &given);
    if (!err && !given)
        err = WORLD_REFUSE(r, at, v, "\"pid\" is missing");
    if (!err)
        err = take_number(r, at, v, "tgid", &t->tgid, &has_tgid);
    if (!err)
        err = take_number(r, at, v, "uid", &t->uid, &given);
    if (!err)
        err = take_number(r, at, v, "gid", &t->gid, &given);
    if (!err)
        err = take_number(r, at, v, "ppid", &t->ppid, &t->has_ppid);
    if (!err && comm)
        err = world_take_text(r, &here, comm, &text);
    if (err)
        return err;
    if (strlen(text) >= sizeof(t->comm))
        return WORLD_REFUSE(r, &here, comm, "the name of a task has 15 bytes at most");
    memcpy(t->comm, text, strlen(text) + 1);
    if (!has_tgid)
        t->tgid = t->pid;
    t->ns_pid = t->pid;
    t->ns_tgid = t->tgid;
    err = take_number(r, at, v, "ns_pid", &t->ns_pid, &given);
    if (!err)
        err = take_number(r, at, v, "ns_tgid", &t->ns_tgid, &has_tgid);
    if (!err && given && !has_tgid)
        t->ns_tgid = t->ns_pid;
    if (!err)
        err = world_task_namespaces(r, at, v, t);
    if (!err)
        err = world_task_regs(r, at, v, t);
    if (err)
        return err;
    here.name = own ? "&" : "name";
    if (own || name)
        err = world_take_text(r, &here, own ? own : name, &t->name);
    if (!err)
        err = take_stacks(r, at, v, t);
    return err ? err : take_cgroup_of(r, at, v, t);
}

/* Where its task_struct will stand; its name also where there is none. */
static int place_task(struct world_reader *r, const struct json_path *at, const struct json *v, uint32_t type,
                      struct world_task *t, struct world_object *o)
{
    const struct json *where = json_get(v, "@");
    struct json_path here = {.up = at, .name = "@"};
    uint64_t addr = 0;
    int err = where ? world_take_u64(r, &here, where, &addr) : 0;

    if (!err)
        err = world_object(r, at, v, type, t->name, addr, o);
    t->addr = o->addr;
    return err;
}

static int put_cred(struct world_reader *r, const struct json_path *at, const struct json *v,
                    const struct world_task *t, const struct world_object *o)
{
    static const char *const uids[] = {"uid.val", "suid.val", "euid.val", "fsuid.val"}, *const gids[] = {
                                                                                            "gid.val", "sgid.val",
                                                                                            "egid.val", "fsgid.val"};
    uint32_t type = btf_find(r->w->btf, "cred", BTF_STRUCT);
    struct world_object cred;
    int err;

    if (!type)
        return 0;
    err = world_object(r, at, v, type, NULL, 0, &cred);
    for (unsigned i = 0; i < 4 && !err; i++) {
        world_put_u64(r, &cred, uids[i], t->uid);
        world_put_u64(r, &cred, gids[i], t->gid);
    }
    if (err)
        return err;
    if (t->ns[WORLD_NS_USER])
        world_put_u64(r, &cred, "user_ns", t->ns[WORLD_NS_USER]->addr);
    world_put_u64(r, o, "cred", cred.addr);
    world_put_u64(r, o, "real_cred", cred.addr);
    return 0;
}

static int put_cgroup(struct world_reader *r, const struct json_path *at, const struct json *v,
                      const struct world_task *t, const struct world_object *o)
{
    uint32_t type = btf_find(r->w->btf, "css_set", BTF_STRUCT);
    struct world_object set;
    int err;

    if (!type || !t->cgroup || !t->cgroup->addr)
        return 0;
    err = world_object(r, at, v, type, NULL, 0, &set);
    if (err)
        return err;
    world_put_u64(r, &set, "dfl_cgrp", t->cgroup->addr);
    world_put_u64(r, o, "cgroups", set.addr);
    return 0;
}

static uint64_t task_address(const struct world *w, uint32_t pid)
{
    const struct world_task *t = world_task_by_pid(w, pid);

    return t ? t->addr : 0;
}

static int fill_task(struct world_reader *r, const struct json_path *at, const struct json *v, struct world_task *t,
                     const struct world_object *o)
{
    uint64_t parent = t->has_ppid ? task_address(r->w, t->ppid) : 0, leader = task_address(r->w, t->tgid);
    int err;

    world_put_u64(r, o, "pid", t->pid);
    world_put_u64(r, o, "tgid", t->tgid);
    world_put_text(r, o, "comm", t->comm);
    world_put_u64(r, o, "real_parent", parent);
    world_put_u64(r, o, "parent", parent);
    world_put_u64(r, o, "group_leader", leader ? leader : t->addr);
    err = put_cred(r, at, v, t, o);
    if (!err)
        err = put_cgroup(r, at, v, t, o);
    if (!err)
        err = world_put_namespaces(r, at, v, t, o);
    if (!err)
        err = world_fill(r, at, v, o, is_own);
    return err ? err : world_task_areas(r, at, v, t, o);
}

/* Task structures where they can be had, or must be. */
static int make_tasks(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    struct world *w = r->w;
    struct world_object *objects;
    const struct json *needed = NULL;
    const struct btf *btf;
    uint32_t type;
    int err = 0;

    for (size_t i = 0; i < v->length && !needed; i++)
        if (needs_types(v->items[i]))
            needed = v->items[i];
    btf = world_btf(r, at, needed);
    type = btf ? btf_find(btf, "task_struct", BTF_STRUCT) : 0;
    if (!type)
        return needed ? btf ? WORLD_REFUSE(r, at, needed, "the target has no struct task_struct") : -EINVAL : 0;
    objects = ARENA_ARRAY(&w->arena, struct world_object, w->n_tasks);
    if (!objects)
        return log_fail(r->log, -ENOMEM, "no memory for a world of this size");
    for (uint32_t i = 0; i < w->n_tasks && !err; i++) {
        struct json_path here = {.up = at, .index = i};

        err = place_task(r, &here, v->items[i], type, &w->tasks[i], &objects[i]);
    }
    for (uint32_t i = 0; i < w->n_tasks && !err; i++) {
        struct json_path here = {.up = at, .index = i};

        err = fill_task(r, &here, v->items[i], &w->tasks[i], &objects[i]);
    }
    return err;
}

static int by_pid(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static int no_pid_twice(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    struct world *w = r->w;
    uint32_t *pids = ARENA_ARRAY(&w->arena, uint32_t, w->n_tasks + 1);

    if (!pids)
        return log_fail(r->log, -ENOMEM, "no memory for a world of this size");
    for (uint32_t i = 0; i < w->n_tasks; i++)
        pids[i] = w->tasks[i].pid;
    qsort(pids, w->n_tasks, sizeof(*pids), by_pid);
    for (uint32_t i = 1; i < w->n_tasks; i++)
        if (pids[i] == pids[i - 1])
            return WORLD_REFUSE(r, at, v, "two tasks have pid %u", pids[i]);
    return 0;
}

enum { MAX_TASKS = 1 << 14 }; /* each looks for others */

int world_read_tasks(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    struct world *w = r->w;
    int err = world_is_array(r, at, v);

    if (!err && v->length > MAX_TASKS)
        err = WORLD_REFUSE(r, at, v, "more than %d tasks", MAX_TASKS);
    if (err)
        return err;
    w->tasks = ARENA_ARRAY(&w->arena, struct world_task, v->length + 1);
    if (!w->tasks)
        return log_fail(r->log, -ENOMEM, "no memory for a world of this size");
    for (size_t i = 0; !err && i < v->length; i++) {
        struct json_path here = {.up = at, .index = i};

        err = take_task(r, &here, v->items[i], &w->tasks[i]);
        w->n_tasks = (uint32_t)i + 1;
    }
    if (!err)
        err = no_pid_twice(r, at, v);
    if (!err && w->n_tasks)
        err = make_tasks(r, at, v);
    w->current = w->n_tasks ? w->tasks : NULL;
    return err;
}

int world_read_current(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    const struct world_task *t = NULL;
    uint32_t pid;
    int err;

    if (v->kind == JSON_STRING) {
        t = world_task_named(r->w, v->string);
    } else {
        err = world_take_u32(r, at, v, &pid);
        if (err)
            return err;
        t = world_task_by_pid(r->w, pid);
    }
    if (!t)
        return WORLD_REFUSE(r, at, v, "none of the tasks has this pid or name");
    r->w->current = t;
    return 0;
}
