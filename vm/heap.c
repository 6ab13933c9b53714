/*
 * The heap: see heap.h. Memory comes in blocks of 256 KiB, aligned, each cut into cells of one size; an object that
 * does not fit has a run of blocks of its own. A table of blocks by number is only ever added to, under a lock, so that
 * readers need none. Cells that are free stand in a list by class.
 */
#include "vm/heap.h"
#include "vm/epoch.h"
#include "vm/maps/mem.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { BLOCK_SHIFT = 18, BLOCK = 1 << BLOCK_SHIFT, SLOTS = 1 << 16, CLASSES = 10, BIG = CLASSES, LISTS = 24 };

static const uint32_t cells[CLASSES] = {64, 96, 128, 192, 256, 384, 512, 1024, 2048, 4096 + 64};

/* One block: cells of this size from base on; of a large object, base is that of its first block. */
struct block {
    uint64_t number;
    uint64_t base;
    uint64_t cell;
};

static struct block *table[SLOTS]; /* atomic: open addressing by number */
static uint32_t n_blocks;
static struct map_lock lock;
static struct object *lists[LISTS]; /* by class; BIG + k: large ones of 2^k blocks */
static uint64_t bytes;              /* of blocks */
static uint64_t in_use;             /* atomic: objects */

static uint32_t slot_of(uint64_t number)
{
    return (uint32_t)(number * 0x9e3779b97f4a7c15 >> 48);
}

static const struct block *block_of(uint64_t addr)
{
    uint64_t number = addr >> BLOCK_SHIFT;

    for (uint32_t i = slot_of(number);; i = (i + 1) % SLOTS) {
        const struct block *b = __atomic_load_n(&table[i], __ATOMIC_ACQUIRE);

        if (!b || b->number == number)
            return b;
    }
}

/* Under the lock. */
static bool note(uint64_t number, uint64_t base, uint64_t cell)
{
    struct block *b = n_blocks < SLOTS / 2 ? malloc(sizeof(*b)) : NULL;
    uint32_t i = slot_of(number);

    if (!b)
        return false;
    *b = (struct block){number, base, cell};
    while (__atomic_load_n(&table[i], __ATOMIC_RELAXED))
        i = (i + 1) % SLOTS;
    __atomic_store_n(&table[i], b, __ATOMIC_RELEASE);
    n_blocks++;
    return true;
}

/* Blocks side by side, aligned. */
static unsigned char *take_blocks(uint64_t n)
{
    uint64_t want = (n + 1) << BLOCK_SHIFT, before;
    unsigned char *p;

    if (!map_mem_fits(bytes + (n << BLOCK_SHIFT)))
        return NULL;
    p = mmap(NULL, want, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    before = (BLOCK - (uintptr_t)p % BLOCK) % BLOCK;
    if (before)
        munmap(p, before);
    munmap(p + before + (n << BLOCK_SHIFT), BLOCK - before);
    bytes += n << BLOCK_SHIFT;
    return p + before;
}

static void put(unsigned list, struct object *o)
{
    o->next = lists[list];
    lists[list] = o;
}

static unsigned list_of(uint64_t need)
{
    unsigned k = 0;

    while (k < CLASSES && cells[k] < need)
        k++;
    for (uint64_t n = 1; k >= BIG && k < LISTS && n << BLOCK_SHIFT < need; n <<= 1)
        k++;
    return k;
}

/* Under the lock: more cells for a list that is empty. */
static void fill(unsigned list)
{
    uint64_t n = list < BIG ? 1 : (uint64_t)1 << (list - BIG), cell = list < BIG ? cells[list] : n << BLOCK_SHIFT;
    unsigned char *p = take_blocks(n);

    for (uint64_t i = 0; p && i < n; i++)
        if (!note(((uintptr_t)p >> BLOCK_SHIFT) + i, (uintptr_t)p, cell))
            return;
    for (uint64_t off = 0; p && off + cell <= n << BLOCK_SHIFT; off += cell)
        put(list, (struct object *)(p + off));
}

static uint64_t need_of(uint32_t size, uint32_t cpus)
{
    return sizeof(struct object) + round_up8(size) * (cpus ? cpus : 1);
}

struct object *heap_take(uint32_t size, uint32_t cpus, const struct fields *fields, uint32_t type)
{
    uint64_t need = need_of(size, cpus);
    unsigned list = list_of(need);
    struct object *o;

    if (list >= LISTS)
        return NULL;
    map_lock(&lock);
    if (!lists[list])
        fill(list);
    o = lists[list];
    if (o)
        lists[list] = o->next;
    map_unlock(&lock);
    if (!o)
        return NULL;
    memset(object_mem(o), 0, need - sizeof(*o));
    if (fields && fields->table) /* the host's own have none */
        field_table_get(fields->table);
    o->fields = fields;
    o->next = NULL;
    o->size = size;
    o->cpus = cpus;
    o->type = type;
    __atomic_store_n(&o->state, OBJECT_LIVE, __ATOMIC_RELEASE);
    __atomic_fetch_add(&in_use, 1, __ATOMIC_RELAXED);
    return o;
}

static void reuse(void *p)
{
    struct object *o = p;
    unsigned list = list_of(need_of(o->size, o->cpus));

    if (o->fields)
        field_table_put(o->fields->table); /* NULL is fine */
    __atomic_store_n(&o->state, OBJECT_FREE, __ATOMIC_RELEASE);
    map_lock(&lock);
    put(list, o);
    map_unlock(&lock);
}

void heap_give(struct object *o)
{
    __atomic_store_n(&o->state, OBJECT_DYING, __ATOMIC_RELEASE);
    __atomic_fetch_sub(&in_use, 1, __ATOMIC_RELAXED);
    epoch_retire(o, reuse);
}

struct object *heap_find(uint64_t addr)
{
    const struct block *b = block_of(addr);
    struct object *o;
    uint64_t off;

    if (!b)
        return NULL;
    o = (struct object *)(uintptr_t)(b->base + (addr - b->base) / b->cell * b->cell);
    off = addr - (uintptr_t)o;
    if (b->cell <= BLOCK && (uintptr_t)o - b->base + b->cell > BLOCK) /* what is left at the end of a block */
        return NULL;
    if (__atomic_load_n(&o->state, __ATOMIC_ACQUIRE) == OBJECT_FREE || off < sizeof(*o) ||
        off >= need_of(o->size, o->cpus))
        return NULL;
    return o;
}

struct object *heap_at(uint64_t addr)
{
    struct object *o = heap_find(addr);

    return o && addr == (uintptr_t)object_mem(o) ? o : NULL;
}

uint64_t heap_count(void)
{
    return __atomic_load_n(&in_use, __ATOMIC_RELAXED);
}
