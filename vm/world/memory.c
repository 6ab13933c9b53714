/*
 * Memory of a world, and what is settled when all of it stands: references become addresses, lists are linked, pieces
 * are sorted. Until then pieces lie in the order in which they were asked for, and a name may stand before what it
 * means.
 */
#include "vm/btf/show.h"
#include "vm/world/read.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct world_name {
    const char *name;
    uint64_t addr;
    uint32_t type; /* 0: none, its parts cannot be named */
    uint32_t line;
};

/* Where a reference stands in the text, for messages after the text was walked. */
struct place {
    const char *path;
    uint32_t line;
};

struct world_fixup {
    const char *ref;
    unsigned char *to;
    struct place place;
};

/* A list_head (or hlist_head), and the nodes that are to be linked. */
struct world_list {
    uint64_t addr;
    unsigned char *head;
    const struct json *nodes; /* an array of references */
    bool hlist;
    struct place place;
};

/* A piece of one process's memory, by its thread group. */
struct world_task_mem {
    uint32_t tgid;
    struct env_mem mem;
};

enum { ALIGN = 64, GAP = 64 };

static int no_memory(struct world_reader *r)
{
    return log_fail(r->log, -ENOMEM, "no memory for a world of this size (256 MiB at most)");
}

/* Makes room for one more item. */
static bool grow(void *list, uint32_t n, uint32_t *cap, size_t size)
{
    void **items = list, *wider;
    uint32_t want = *cap ? *cap * 2 : 64;

    if (n < *cap)
        return true;
    if (want > 1u << 26 || !(wider = reallocarray(*items, want, size)))
        return false;
    *items = wider;
    *cap = want;
    return true;
}

static bool note_place(struct world_reader *r, const struct json_path *at, const struct json *v, struct place *out)
{
    struct buf text = {0};

    json_path_text(at, &text);
    out->path = arena_strdup(&r->w->arena, buf_text(&text));
    out->line = v->line;
    buf_free(&text);
    return out->path;
}

/* ---- Pieces ---- */

int world_memory(struct world_reader *r, const struct json_path *at, const struct json *v, uint64_t *guest,
                 uint64_t size, enum env_mem_kind kind, unsigned access, const char *name, unsigned char **out)
{
    unsigned char *host = arena_alloc(&r->w->arena, size);

    *out = host;
    if (!host || !grow(&r->w->mems, r->w->n_mems, &r->cap_mems, sizeof(*r->w->mems)))
        return no_memory(r);
    if (!*guest) {
        *guest = r->next;
        r->next = (r->next + size + GAP + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
    } else if (*guest + size < *guest || (kind == ENV_MEM_USER ? (*guest + size) >> 47 : !(*guest >> 47 == 0x1ffff))) {
        return WORLD_REFUSE(r, at, v, "0x%" PRIx64 " is no address of %s", *guest,
                            kind == ENV_MEM_USER ? "a process" : "the kernel");
    }
    if (size)
        r->w->mems[r->w->n_mems++] = (struct env_mem){.guest = *guest,
                                                      .host = host,
                                                      .size = size,
                                                      .access = (uint8_t)access,
                                                      .kind = (uint8_t)kind,
                                                      .name = name};
    return 0;
}

int world_memory_of(struct world_reader *r, const struct world_task *task)
{
    if (!grow(&r->task_mems, r->n_task_mems, &r->cap_task_mems, sizeof(*r->task_mems)))
        return no_memory(r);
    r->task_mems[r->n_task_mems++] = (struct world_task_mem){task->tgid, r->w->mems[--r->w->n_mems]};
    return 0;
}

/* ---- Names and references ---- */

int world_name(struct world_reader *r, const struct json_path *at, const struct json *v, const char *name,
               uint64_t addr, uint32_t type)
{
    if (!*name || strpbrk(name, ".[]&"))
        return WORLD_REFUSE(r, at, v, "'%.64s' is no name: it is empty, or holds one of . [ ] &", name);
    if (!grow(&r->names, r->n_names, &r->cap_names, sizeof(*r->names)))
        return no_memory(r);
    r->names[r->n_names++] = (struct world_name){name, addr, type, v->line};
    return 0;
}

int world_refer(struct world_reader *r, const struct json_path *at, const struct json *v, const char *ref, void *to)
{
    struct world_fixup f = {.ref = ref, .to = to};

    if (!note_place(r, at, v, &f.place) || !grow(&r->fixups, r->n_fixups, &r->cap_fixups, sizeof(*r->fixups)))
        return no_memory(r);
    r->fixups[r->n_fixups++] = f;
    return 0;
}

void world_move_refs(struct world_reader *r, uint32_t since, const unsigned char *from, unsigned n, unsigned char *to,
                     const uint32_t *offsets)
{
    for (uint32_t i = since; i < r->n_fixups; i++) {
        uint64_t off = (uint64_t)((uintptr_t)r->fixups[i].to - (uintptr_t)from);

        if (off < n * 8u)
            r->fixups[i].to = to + offsets[off / 8];
    }
}

int world_link(struct world_reader *r, const struct json_path *at, const struct json *v, uint64_t addr,
               unsigned char *head, bool hlist)
{
    struct world_list l = {.addr = addr, .head = head, .nodes = v, .hlist = hlist};

    if (!note_place(r, at, v, &l.place) || !grow(&r->lists, r->n_lists, &r->cap_lists, sizeof(*r->lists)))
        return no_memory(r);
    r->lists[r->n_lists++] = l;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct world_name *)a)->name, ((const struct world_name *)b)->name);
}

static int refuse_at(struct world_reader *r, const struct place *place, const char *what, const char *ref)
{
    return log_fail(r->log, -EINVAL, "JSON: line %u: %.200s: %s '%.64s'", place->line, place->path, what, ref);
}

static int resolve(struct world_reader *r, const struct place *place, const char *ref, uint64_t *addr)
{
    size_t len = strcspn(ref + 1, ".[");
    struct world_name key = {.name = arena_strndup(&r->w->arena, ref + 1, len)}, *found;
    struct btf_place part;

    if (!key.name)
        return no_memory(r);
    found = r->n_names ? bsearch(&key, r->names, r->n_names, sizeof(key), by_name) : NULL;
    if (!found)
        return refuse_at(r, place, "nothing has the name that is referred to by", ref);
    *addr = found->addr;
    if (!ref[1 + len])
        return 0;
    if (!found->type || !btf_find_place(r->w->btf, found->type, ref + 1 + len, &part) || part.bits)
        return refuse_at(r, place, "there is no such part:", ref);
    *addr += part.off;
    return 0;
}

static int settle_references(struct world_reader *r)
{
    int err = 0;

    if (r->n_names)
        qsort(r->names, r->n_names, sizeof(*r->names), by_name);
    for (uint32_t i = 1; i < r->n_names; i++)
        if (!strcmp(r->names[i - 1].name, r->names[i].name))
            return log_fail(r->log, -EINVAL, "JSON: lines %u and %u: two things are called '%.64s'",
                            r->names[i - 1].line, r->names[i].line, r->names[i].name);
    for (uint32_t i = 0; i < r->n_fixups && !err; i++) {
        uint64_t addr;

        err = resolve(r, &r->fixups[i].place, r->fixups[i].ref, &addr);
        if (!err)
            memcpy(r->fixups[i].to, &addr, sizeof(addr));
    }
    return err;
}

/* ---- Sorted, without overlap ---- */

static int by_guest(const void *a, const void *b)
{
    uint64_t x = ((const struct env_mem *)a)->guest, y = ((const struct env_mem *)b)->guest;

    return x < y ? -1 : x > y;
}

static int sort(struct world_reader *r)
{
    struct env_mem *m = r->w->mems;

    if (r->w->n_mems)
        qsort(m, r->w->n_mems, sizeof(*m), by_guest);
    for (uint32_t i = 1; i < r->w->n_mems; i++)
        if (m[i - 1].guest + m[i - 1].size > m[i].guest)
            return log_fail(r->log, -EINVAL,
                            "world: %s at 0x%" PRIx64 " (%" PRIu64 " bytes) lies over %s at 0x%" PRIx64, m[i - 1].name,
                            m[i - 1].guest, m[i - 1].size, m[i].name, m[i].guest);
    return 0;
}

/* Where so many bytes stand; NULL: not in one piece. */
static unsigned char *host_of(const struct env_mem *mems, uint32_t n, uint64_t addr, uint64_t size)
{
    uint32_t lo = 0, hi = n;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (mems[mid].guest <= addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (!lo || addr - mems[lo - 1].guest > mems[lo - 1].size || mems[lo - 1].size - (addr - mems[lo - 1].guest) < size)
        return NULL;
    return mems[lo - 1].host + (addr - mems[lo - 1].guest);
}

const void *world_task_memory(const struct world_task *task, uint64_t addr, uint64_t size)
{
    return host_of(task->mems, task->n_mems, addr, size);
}

const void *world_memory_at(const struct world *world, uint64_t addr, uint64_t size)
{
    return host_of(world->mems, world->n_mems, addr, size);
}

/* Pieces are called by the types of what stands in them. */
bool world_is_object_of(const struct world *world, uint64_t addr, const char *type)
{
    uint32_t lo = 0, hi = world->n_mems;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (world->mems[mid].guest < addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < world->n_mems && world->mems[lo].guest == addr && !strcmp(world->mems[lo].name, type);
}

/* ---- Memory of one process ---- */

static int by_process(const void *a, const void *b)
{
    const struct world_task_mem *x = a, *y = b;

    if (x->tgid != y->tgid)
        return x->tgid < y->tgid ? -1 : 1;
    return by_guest(&x->mem, &y->mem);
}

static int overlap(struct world_reader *r, const struct env_mem *m)
{
    return log_fail(r->log, -EINVAL, "world: memory of a process at 0x%" PRIx64 " (%" PRIu64 " bytes) lies over other",
                    m->guest, m->size);
}

/* Each process's pieces stand together; its threads share them. None lies over what every process has. */
static int give_to_tasks(struct world_reader *r)
{
    struct world *w = r->w;
    struct env_mem *all;
    uint32_t n = r->n_task_mems;

    if (!n)
        return 0;
    qsort(r->task_mems, n, sizeof(*r->task_mems), by_process);
    all = ARENA_ARRAY(&w->arena, struct env_mem, n);
    if (!all)
        return no_memory(r);
    for (uint32_t i = 0; i < n; i++) {
        const struct world_task_mem *m = &r->task_mems[i], *before = i ? m - 1 : NULL;
        uint32_t lo = 0, hi = w->n_mems;

        all[i] = m->mem;
        if (before && before->tgid == m->tgid && before->mem.guest + before->mem.size > m->mem.guest)
            return overlap(r, &m->mem);
        while (lo < hi) { /* the first piece that ends behind where this one begins */
            uint32_t mid = lo + (hi - lo) / 2;

            if (w->mems[mid].guest + w->mems[mid].size <= m->mem.guest)
                lo = mid + 1;
            else
                hi = mid;
        }
        if (lo < w->n_mems && w->mems[lo].guest < m->mem.guest + m->mem.size)
            return overlap(r, &m->mem);
    }
    for (uint32_t t = 0; t < w->n_tasks; t++) {
        struct world_task *task = &w->tasks[t];
        uint32_t first = 0;

        while (first < n && r->task_mems[first].tgid != task->tgid)
            first++;
        task->mems = all + first;
        while (first + task->n_mems < n && r->task_mems[first + task->n_mems].tgid == task->tgid)
            task->n_mems++;
    }
    return 0;
}

/* ---- Lists ---- */

static void put(unsigned char *to, uint64_t addr)
{
    memcpy(to, &addr, sizeof(addr));
}

/* list_head: next, prev, in a circle through the head. hlist_node: next, and where the pointer to it stands. */
static int link_nodes(struct world_reader *r, const struct world_list *l)
{
    unsigned char *last = l->head;
    uint64_t last_addr = l->addr;

    for (size_t i = 0; i < l->nodes->length; i++) {
        const struct json *v = l->nodes->items[i];
        const char *ref = v->kind == JSON_STRING ? v->string : "";
        unsigned char *node;
        uint64_t addr;
        int err = *ref == '&' ? resolve(r, &l->place, ref, &addr)
                              : refuse_at(r, &l->place, "nodes of a list are references (\"&name.member\"), not", ref);

        if (err)
            return err;
        node = host_of(r->w->mems, r->w->n_mems, addr, 16);
        if (!node)
            return refuse_at(r, &l->place, "this is no memory of the world:", ref);
        put(last, addr);
        put(node + 8, last_addr);
        last = node;
        last_addr = addr;
    }
    if (!l->hlist) {
        put(last, l->addr);
        put(l->head + 8, last_addr);
    }
    return 0;
}

int world_settle(struct world_reader *r)
{
    int err = settle_references(r);

    if (!err)
        err = sort(r);
    if (!err)
        err = give_to_tasks(r);
    for (uint32_t i = 0; i < r->n_lists && !err; i++)
        err = link_nodes(r, &r->lists[i]);
    return err;
}

void world_reader_free(struct world_reader *r)
{
    free(r->names);
    free(r->fixups);
    free(r->lists);
    free(r->task_mems);
}
