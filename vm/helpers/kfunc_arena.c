/* Kernel functions on arenas. Nodes of memory there are none but 0; a map of another type has no pages. */
#include "vm/abi/map_types.h"
#include "vm/helpers/kfunc.h"
#include "vm/maps/arena.h"

enum { ANY_NODE = -1 };

static struct map *arena_at(uint64_t addr)
{
    struct map *map = helper_map(addr);

    return map->def.type == MAP_TYPE_ARENA ? map : NULL;
}

KFUNC_BODY(bpf_arena_alloc_pages)
{
    struct map *map = arena_at(a1);

    if (!map || a5 || ((int32_t)a4 != ANY_NODE && (int32_t)a4 != 0))
        return 0;
    return map_arena_alloc(map, a2, (uint32_t)a3);
}

KFUNC_BODY(bpf_arena_free_pages)
{
    struct map *map = arena_at(a1);

    if (map && a2 && (uint32_t)a3)
        map_arena_free(map, a2, (uint32_t)a3);
    return 0;
}

KFUNC_BODY(bpf_arena_reserve_pages)
{
    struct map *map = arena_at(a1);

    return helper_error(map ? map_arena_reserve(map, a2, (uint32_t)a3) : -EINVAL);
}
