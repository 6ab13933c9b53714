/*
 * From text to world, and a world's life. Nothing of the text outlives a failure: everything lies in the world's arena,
 * whose limit bounds what a small text may ask for, and lists that only serve the reading are the reader's.
 */
#include "vm/world/read.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORLD = 256 << 20 };

/* The first structure; Linux's direct mapping of memory on x86_64 begins below. */
#define FIRST_ADDRESS UINT64_C(0xffff888100000000)

struct section {
    const char *name;
    int (*read)(struct world_reader *r, const struct json_path *at, const struct json *v);
};

static const struct section sections[] = {
#define WORLD_SECTION(name) {#name, world_read_##name},
#include "vm/world/sections.def"
};

enum { N_SECTIONS = sizeof(sections) / sizeof(sections[0]) };

static int check_names(struct world_reader *r, const struct json *root)
{
    for (size_t i = 0; i < root->length; i++) {
        struct json_path at = {.name = root->names[i]};
        unsigned s = 0;

        while (s < N_SECTIONS && strcmp(sections[s].name, root->names[i]))
            s++;
        if (s == N_SECTIONS)
            return WORLD_REFUSE(r, &at, root->items[i], "a world has no such section");
        if (json_get(root, root->names[i]) != root->items[i])
            return WORLD_REFUSE(r, &at, root->items[i], "this section stands here twice");
    }
    return 0;
}

static int read_sections(struct world_reader *r, const struct json *root)
{
    int err = world_is_object(r, NULL, root);

    if (!err)
        err = check_names(r, root);
    for (unsigned i = 0; i < N_SECTIONS && !err; i++) {
        struct json_path at = {.name = sections[i].name};
        const struct json *v = json_get(root, sections[i].name);

        if (v)
            err = sections[i].read(r, &at, v);
    }
    return err;
}

static int read_extra(struct world_reader *r, const struct world_extra *extra)
{
    const struct json *v;
    const char *section;
    int err = json_parse(&r->w->arena, extra->text, extra->size, r->log, &v);

    if (err)
        return err;
    section = arena_strdup(&r->w->arena, extra->section);
    return section ? world_read_context(r, section, v)
                   : log_fail(r->log, -ENOMEM, "no memory for a world of this size");
}

int world_build(const char *text, size_t size, const struct world_extra *extra, const struct world_types *types,
                const struct log *log, struct world **out)
{
    struct world *w = calloc(1, sizeof(*w));
    struct world_reader r = {.w = w, .log = log, .types = types, .next = FIRST_ADDRESS};
    const struct json *root;
    int err;

    if (!w)
        return log_fail(log, -ENOMEM, "no memory for a world");
    w->refs = 1;
    w->arena.limit = MAX_WORLD;
    err = json_parse(&w->arena, text, size, log, &root);
    if (!err)
        err = read_sections(&r, root);
    if (!err && extra)
        err = read_extra(&r, extra);
    if (!err)
        err = world_settle(&r);
    world_reader_free(&r);
    if (err) {
        world_put(w);
        return err;
    }
    *out = w;
    return 0;
}

struct world *world_get(struct world *world)
{
    __atomic_add_fetch(&world->refs, 1, __ATOMIC_RELAXED);
    return world;
}

void world_put(struct world *world)
{
    if (!world || __atomic_sub_fetch(&world->refs, 1, __ATOMIC_ACQ_REL))
        return;
    btf_free(world->btf);
    free(world->mems);
    arena_free(&world->arena);
    free(world);
}

/* ---- What a run sees of it ---- */

void world_enter(struct skep_env *env, const struct world *world, const struct world_task *task)
{
    env->world = world;
    env->world_mems = world ? world->mems : NULL;
    env->n_world_mems = world ? world->n_mems : 0;
    env->net = world && world->has_net ? &world->net : NULL;
    env->current = task ? task : world ? world->current : NULL;
    env->task_mems = env->current ? env->current->mems : NULL;
    env->n_task_mems = env->current ? env->current->n_mems : 0;
    env->task.addr = env->current ? env->current->addr : 0;
}

void world_take_task(struct skep_env *env)
{
    const struct world_task *task = env->current;

    if (!task)
        return;
    env->task =
        (struct env_task){.pid = task->pid, .tgid = task->tgid, .uid = task->uid, .gid = task->gid, .addr = task->addr};
    memcpy(env->task.comm, task->comm, sizeof(env->task.comm));
    if (task->cgroup)
        env->cgroup_id = task->cgroup->id;
}

const struct world_task *world_task_by_pid(const struct world *world, uint32_t pid)
{
    for (uint32_t i = 0; i < world->n_tasks; i++)
        if (world->tasks[i].pid == pid)
            return &world->tasks[i];
    return NULL;
}

const struct world_task *world_task_at(const struct world *world, uint64_t addr)
{
    for (uint32_t i = 0; i < world->n_tasks && addr; i++)
        if (world->tasks[i].addr == addr)
            return &world->tasks[i];
    return NULL;
}

const struct world_task *world_task_named(const struct world *world, const char *name)
{
    char *end;
    unsigned long pid = strtoul(name, &end, 10);

    for (uint32_t i = 0; i < world->n_tasks; i++)
        if (world->tasks[i].name && !strcmp(world->tasks[i].name, name))
            return &world->tasks[i];
    return *name >= '0' && *name <= '9' && !*end && pid <= UINT32_MAX ? world_task_by_pid(world, (uint32_t)pid) : NULL;
}
