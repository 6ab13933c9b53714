/*
 * Call stacks: what the run's world recorded of its tasks, from the innermost frame on. A task of which nothing was
 * recorded has none, which Linux answers with -EFAULT.
 */
#include "vm/helpers/helper.h"
#include "vm/maps/stack_trace.h"
#include "vm/world/world.h"

enum {
    SKIP = 0xff,
    USER_STACK = 1 << 8,
    FAST_STACK_CMP = 1 << 9,
    REUSE_STACKID = 1 << 10,
    USER_BUILD_ID = 1 << 11,
    MAX_FRAMES = 127
};

/* struct bpf_stack_build_id, of a frame whose file is not known. */
struct build_id {
    int32_t status;
    unsigned char id[20];
    uint64_t ip;
};
_Static_assert(sizeof(struct build_id) == 32, "struct bpf_stack_build_id has 32 bytes");
enum { STATUS_IP = 2 };

/* The frames behind the skipped ones. @return how many; 0: there is no stack. */
static uint32_t frames_of(const struct world_task *task, uint64_t flags, const uint64_t **ips)
{
    const struct world_stack *s = !task ? NULL : flags & USER_STACK ? &task->user : &task->kernel;
    uint32_t skip = flags & SKIP, n = s ? s->n : 0;

    n = n < MAX_FRAMES ? n : MAX_FRAMES;
    if (n <= skip)
        return 0;
    *ips = s->ips + skip;
    return n - skip;
}

static void put_frames(unsigned char *to, const uint64_t *ips, uint32_t n, bool build_id)
{
    for (uint32_t i = 0; i < n; i++) {
        struct build_id frame = {.status = STATUS_IP, .ip = ips[i]};

        if (build_id)
            memcpy(to + i * sizeof(frame), &frame, sizeof(frame));
        else
            memcpy(to + i * sizeof(*ips), &ips[i], sizeof(*ips));
    }
}

static uint64_t get_stack(const struct world_task *task, uint64_t buf, uint64_t size, uint64_t flags)
{
    uint32_t room = (uint32_t)size, unit = flags & USER_BUILD_ID ? sizeof(struct build_id) : sizeof(uint64_t), n;
    bool bad = flags & ~(uint64_t)(SKIP | USER_STACK | USER_BUILD_ID) ||
               (flags & USER_BUILD_ID && !(flags & USER_STACK)) || room % unit;
    const uint64_t *ips = NULL;

    if (room)
        memset(helper_ptr(buf), 0, room);
    n = bad ? 0 : frames_of(task, flags, &ips);
    if (!n)
        return helper_error(bad ? -EINVAL : -EFAULT);
    n = n < room / unit ? n : room / unit;
    put_frames(helper_ptr(buf), ips, n, flags & USER_BUILD_ID);
    return n * unit;
}

HELPER_BODY(get_stack)
{
    return get_stack(env->current, a2, a3, a4);
}

HELPER_BODY(get_task_stack)
{
    return get_stack(env->world ? world_task_at(env->world, a1) : NULL, a2, a3, a4);
}

HELPER_BODY(get_stackid)
{
    struct map *map = helper_map(a2);
    bool build_id = map->def.flags & MAP_F_STACK_BUILD_ID;
    uint32_t unit = build_id ? sizeof(struct build_id) : sizeof(uint64_t), n;
    unsigned char frames[MAX_FRAMES * sizeof(struct build_id)];
    const uint64_t *ips = NULL;

    if (a3 & ~(uint64_t)(SKIP | USER_STACK | FAST_STACK_CMP | REUSE_STACKID))
        return helper_error(-EINVAL);
    n = frames_of(env->current, a3, &ips);
    if (!n)
        return helper_error(-EFAULT);
    n = n < map->def.value_size / unit ? n : map->def.value_size / unit;
    put_frames(frames, ips, n, build_id);
    return (uint64_t)stack_trace_put(map, frames, n * unit, a3 & FAST_STACK_CMP, a3 & REUSE_STACKID);
}
