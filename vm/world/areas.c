/*
 * What a task has of the machine: registers at its way into the kernel, and the areas of its address space. An area is
 * a struct vm_area_struct of the target; areas of one task do not overlap.
 */
#include "vm/btf/show.h"
#include "vm/world/read.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int world_task_regs(struct world_reader *r, const struct json_path *at, const struct json *v, struct world_task *t)
{
    const struct json *regs = json_get(v, "regs");
    struct json_path here = {.up = at, .name = "regs"};
    unsigned char *host;
    int err;

    if (!regs)
        return 0;
    err = world_memory(r, &here, regs, &t->regs, WORLD_REGS_SIZE, ENV_MEM_KERNEL, ENV_READ, "pt_regs", &host);
    return err ? err : world_take_regs(r, &here, regs, host);
}

static uint64_t part_of(const struct world_reader *r, const struct world_object *o, const char *part)
{
    struct btf_place at;
    uint64_t value = 0;

    if (btf_find_place(r->w->btf, o->type, part, &at) && at.size == sizeof(value) && at.off + at.size <= o->size)
        memcpy(&value, o->host + at.off, sizeof(value));
    return value;
}

/* The mm that the file gives the task, or one that is made for its areas. */
static int find_mm(struct world_reader *r, const struct json_path *at, const struct json *areas,
                   const struct json *given, const struct world_object *task, uint64_t *mm)
{
    uint32_t type = btf_find(r->w->btf, "mm_struct", BTF_STRUCT);
    struct world_object o;
    int err;

    *mm = given ? part_of(r, task, "mm") : 0;
    if (given || !type)
        return 0;
    err = world_object(r, at, areas, type, NULL, 0, &o);
    if (err)
        return err;
    *mm = o.addr;
    world_put_u64(r, &o, "map_count", areas->length);
    world_put_u64(r, task, "mm", o.addr);
    world_put_u64(r, task, "active_mm", o.addr);
    return 0;
}

static int by_start(const void *a, const void *b)
{
    uint64_t x = ((const struct world_vma *)a)->start, y = ((const struct world_vma *)b)->start;

    return x < y ? -1 : x > y;
}

static int take_area(struct world_reader *r, const struct json_path *at, const struct json *v, uint32_t type,
                     uint64_t mm, struct world_vma *area)
{
    struct world_object o;
    int err = world_is_object(r, at, v);

    if (!err)
        err = world_object(r, at, v, type, NULL, 0, &o);
    if (err)
        return err;
    world_put_u64(r, &o, "vm_mm", mm);
    err = world_fill(r, at, v, &o, NULL);
    *area = (struct world_vma){.start = part_of(r, &o, "vm_start"), .end = part_of(r, &o, "vm_end"), .addr = o.addr};
    if (!err && area->start >= area->end)
        err = WORLD_REFUSE(r, at, v, "an area lies from \"vm_start\" to a \"vm_end\" above it");
    return err;
}

int world_task_areas(struct world_reader *r, const struct json_path *at, const struct json *v, struct world_task *t,
                     const struct world_object *task)
{
    const struct json *areas = json_get(v, "vmas");
    struct json_path here = {.up = at, .name = "vmas"};
    uint32_t type = btf_find(r->w->btf, "vm_area_struct", BTF_STRUCT);
    uint64_t mm = 0;
    int err = areas ? world_is_array(r, &here, areas) : 0;

    if (err || !areas)
        return err;
    if (!type)
        return WORLD_REFUSE(r, &here, areas, "the target has no struct vm_area_struct");
    t->vmas = ARENA_ARRAY(&r->w->arena, struct world_vma, areas->length + 1);
    if (!t->vmas)
        return log_fail(r->log, -ENOMEM, "no memory for a world of this size");
    err = find_mm(r, &here, areas, json_get(v, "mm"), task, &mm);
    for (size_t i = 0; i < areas->length && !err; i++) {
        struct json_path elem = {.up = &here, .index = i};

        err = take_area(r, &elem, areas->items[i], type, mm, &t->vmas[i]);
        t->n_vmas = (uint32_t)i + 1;
    }
    if (!err && t->n_vmas)
        qsort(t->vmas, t->n_vmas, sizeof(*t->vmas), by_start);
    for (uint32_t i = 1; i < t->n_vmas && !err; i++)
        if (t->vmas[i - 1].end > t->vmas[i].start)
            err = WORLD_REFUSE(r, &here, areas, "the areas from 0x%" PRIx64 " and 0x%" PRIx64 " overlap",
                               t->vmas[i - 1].start, t->vmas[i].start);
    return err;
}

const struct world_vma *world_vma_at(const struct world_task *task, uint64_t addr)
{
    for (uint32_t lo = 0, hi = task->n_vmas; lo < hi;) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (addr < task->vmas[mid].start)
            hi = mid;
        else if (addr >= task->vmas[mid].end)
            lo = mid + 1;
        else
            return &task->vmas[mid];
    }
    return NULL;
}
