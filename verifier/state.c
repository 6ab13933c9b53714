#include "verifier/state.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_REFS = 4, FIRST_SLAB = 1 << 14, LAST_SLAB = 1 << 20, ALIGN = 16 };

/* What the pool's things lie in, in the order in which they were first taken. */
struct slab {
    struct slab *next;
    size_t size;
    _Alignas(ALIGN) unsigned char bytes[];
};

static bool more(struct pool *pool, size_t least)
{
    size_t size = pool->slabs ? pool->slabs->size * 2 : FIRST_SLAB;
    struct slab *slab;

    if (size > LAST_SLAB)
        size = LAST_SLAB;
    if (size < least + sizeof(*slab))
        size = least + sizeof(*slab);
    slab = malloc(size);
    if (!slab)
        return false;
    slab->next = pool->slabs;
    slab->size = size;
    pool->slabs = slab;
    pool->at = slab->bytes;
    pool->end = (unsigned char *)slab + size;
    return true;
}

static void *take(struct pool *pool, size_t size)
{
    void *p;

    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if ((pool->limit && pool->bytes + size > pool->limit) ||
        ((size_t)(pool->end - pool->at) < size && !more(pool, size))) {
        pool->failed = true;
        return NULL;
    }
    p = pool->at;
    pool->at += size;
    pool->bytes += size;
    if (pool->bytes > pool->peak)
        pool->peak = pool->bytes;
    return p;
}

static struct frame *frame_new(struct pool *pool)
{
    struct frame *f = pool->free_frames;

    if (f)
        memcpy(&pool->free_frames, f->chunks, sizeof(f));
    else
        f = take(pool, sizeof(*f));
    if (f)
        f->shared = 1;
    return f;
}

static struct chunk *chunk_new(struct pool *pool)
{
    struct chunk *c = pool->free_chunks;

    if (c)
        memcpy(&pool->free_chunks, c->slots, sizeof(c));
    else
        c = take(pool, sizeof(*c));
    if (c)
        c->shared = 1;
    return c;
}

static void chunk_put(struct pool *pool, struct chunk *c)
{
    if (--c->shared)
        return;
    memcpy(c->slots, &pool->free_chunks, sizeof(c));
    pool->free_chunks = c;
}

static unsigned class_of(uint32_t cap)
{
    return (unsigned)__builtin_ctz(cap);
}

static struct refs *refs_new(struct pool *pool, uint32_t cap)
{
    struct refs **list = &pool->free_refs[class_of(cap)], *r = *list;

    if (r)
        memcpy(list, r->at, sizeof(r));
    else
        r = take(pool, sizeof(*r) + cap * sizeof(r->at[0]));
    if (r) {
        r->shared = 1;
        r->cap = cap;
    }
    return r;
}

static void refs_put(struct pool *pool, struct refs *r)
{
    struct refs **list;

    if (!r || --r->shared)
        return;
    list = &pool->free_refs[class_of(r->cap)];
    memcpy(r->at, list, sizeof(r));
    *list = r;
}

static unsigned chunks_of(unsigned slots)
{
    return (slots + CHUNK_SLOTS - 1) / CHUNK_SLOTS;
}

static void frame_put(struct pool *pool, struct frame *f)
{
    if (--f->shared)
        return;
    for (unsigned i = chunks_of(f->n_slots); i-- > 0;)
        chunk_put(pool, f->chunks[i]);
    memcpy(f->chunks, &pool->free_frames, sizeof(f));
    pool->free_frames = f;
}

struct state *state_new(struct pool *pool)
{
    struct state *s = pool->free_states;

    if (s)
        pool->free_states = s->next;
    else
        s = take(pool, sizeof(*s));
    if (s)
        memset(s, 0, sizeof(*s));
    return s;
}

void pool_free(struct pool *pool)
{
    while (pool->slabs) {
        struct slab *slab = pool->slabs;

        pool->slabs = slab->next;
        free(slab);
    }
    *pool = (struct pool){0};
}

void state_share(struct state *to, const struct state *from)
{
    struct history past = to->past;

    *to = *from;
    to->past = past;
    to->next = NULL;
    for (uint32_t i = 0; i < to->n_frames; i++)
        to->frames[i]->shared++;
    if (to->refs)
        to->refs->shared++;
}

struct state *state_copy(struct pool *pool, const struct state *from)
{
    struct state *s = state_new(pool);

    if (!s)
        return NULL;
    state_share(s, from);
    if (!history_copy(&s->past, &from->past)) {
        pool->failed = true;
        state_free(pool, s);
        return NULL;
    }
    return s;
}

void state_release_frames(struct pool *pool, struct state *s)
{
    for (uint32_t i = 0; i < s->n_frames; i++)
        frame_put(pool, s->frames[i]);
    refs_put(pool, s->refs);
    s->n_frames = s->n_refs = 0;
    s->refs = NULL;
}

void state_free(struct pool *pool, struct state *s)
{
    state_release_frames(pool, s);
    history_free(&s->past);
    s->next = pool->free_states;
    pool->free_states = s;
}

bool state_push_frame(struct pool *pool, struct state *s, uint32_t func, uint32_t callsite)
{
    struct frame *f = frame_new(pool);

    if (!f)
        return false;
    f->callsite = callsite;
    f->func = func;
    f->rounds = 0;
    f->callback = false;
    f->async = false;
    f->n_slots = 0;
    memset(f->regs, 0, sizeof(f->regs));
    f->regs[10] = (struct reg){.kind = REG_STACK, .frame = (uint8_t)s->n_frames, .s = scalar_const(0)};
    s->frames[s->n_frames++] = f;
    return true;
}

void state_pop_frame(struct pool *pool, struct state *s)
{
    frame_put(pool, s->frames[--s->n_frames]);
}

static struct frame *frame_clone(struct pool *pool, const struct frame *from)
{
    struct frame *f = frame_new(pool);
    unsigned n = chunks_of(from->n_slots);

    if (!f)
        return NULL;
    f->callsite = from->callsite;
    f->func = from->func;
    f->inst = from->inst;
    f->rounds = from->rounds;
    f->callback = from->callback;
    f->async = from->async;
    f->n_slots = from->n_slots;
    memcpy(f->regs, from->regs, sizeof(f->regs));
    memcpy(f->chunks, from->chunks, n * sizeof(f->chunks[0]));
    while (n-- > 0)
        f->chunks[n]->shared++;
    return f;
}

/* Makes a chunk the frame's own. */
static bool own_chunk(struct pool *pool, struct frame *f, unsigned i)
{
    struct chunk *old = f->chunks[i], *mine;

    if (old->shared == 1)
        return true;
    mine = chunk_new(pool);
    if (!mine)
        return false;
    memcpy(mine->slots, old->slots, sizeof(mine->slots));
    chunk_put(pool, old);
    f->chunks[i] = mine;
    return true;
}

static bool grow(struct pool *pool, struct frame *f, unsigned n_slots)
{
    for (unsigned i = chunks_of(f->n_slots); i < chunks_of(n_slots); i++) {
        f->chunks[i] = chunk_new(pool);
        if (!f->chunks[i]) {
            f->n_slots = (uint16_t)(i * CHUNK_SLOTS);
            return false;
        }
        memset(f->chunks[i]->slots, 0, sizeof(f->chunks[i]->slots));
    }
    f->n_slots = (uint16_t)n_slots;
    return true;
}

struct frame *state_slots_mut(struct pool *pool, struct state *s, uint32_t frame, uint32_t first, uint32_t n_slots)
{
    struct frame *f = s->frames[frame];

    if (f->shared > 1) {
        struct frame *mine = frame_clone(pool, f);

        if (!mine)
            return NULL;
        frame_put(pool, f);
        s->frames[frame] = f = mine;
    }
    if (n_slots > f->n_slots && !grow(pool, f, n_slots))
        return NULL;
    for (unsigned i = first / CHUNK_SLOTS; i < chunks_of(n_slots); i++)
        if (!own_chunk(pool, f, i))
            return NULL;
    return f;
}

struct frame *state_frame_mut(struct pool *pool, struct state *s, uint32_t frame)
{
    return state_slots_mut(pool, s, frame, 0, 0);
}

struct reg *state_reg_mut(struct pool *pool, struct state *s, unsigned r)
{
    struct frame *f = state_frame_mut(pool, s, s->n_frames - 1);

    return f ? &f->regs[r] : NULL;
}

bool history_add(struct history *h, struct step_record step, const struct link_set *links)
{
    if (h->n == h->cap) {
        uint32_t cap = h->cap ? h->cap * 2 : 32;
        struct step_record *steps = realloc(h->steps, cap * sizeof(*steps));

        if (!steps)
            return false;
        h->steps = steps;
        h->cap = cap;
    }
    if (links) {
        if (h->n_links == h->cap_links) {
            uint32_t cap = h->cap_links ? h->cap_links * 2 : 4;
            struct link_set *more = realloc(h->links, cap * sizeof(*more));

            if (!more)
                return false;
            h->links = more;
            h->cap_links = cap;
        }
        if (h->n_links == UINT16_MAX)
            return false;
        h->links[h->n_links++] = *links;
        step.links = (uint16_t)h->n_links;
    }
    h->steps[h->n++] = step;
    return true;
}

bool history_copy(struct history *to, const struct history *from)
{
    *to = (struct history){0};
    if (from->n) {
        to->steps = malloc(from->n * sizeof(*to->steps));
        if (!to->steps)
            return false;
        memcpy(to->steps, from->steps, from->n * sizeof(*to->steps));
        to->n = to->cap = from->n;
    }
    if (from->n_links) {
        to->links = malloc(from->n_links * sizeof(*to->links));
        if (!to->links)
            return false;
        memcpy(to->links, from->links, from->n_links * sizeof(*to->links));
        to->n_links = to->cap_links = from->n_links;
    }
    return true;
}

void history_free(struct history *h)
{
    free(h->steps);
    free(h->links);
    *h = (struct history){0};
}

static bool any_wanted(const struct frame *f, reg_want want, const void *ctx)
{
    for (unsigned r = 0; r < REGS; r++)
        if (want(&f->regs[r], ctx))
            return true;
    for (unsigned i = 0; i < f->n_slots; i++)
        if (slot_is_spill(frame_slot(f, i)) && want(&frame_slot(f, i)->reg, ctx))
            return true;
    return false;
}

bool state_change_regs(struct pool *pool, struct state *s, reg_want want, reg_change change, const void *ctx)
{
    for (uint32_t n = 0; n < s->n_frames; n++) {
        struct frame *f;

        if (!any_wanted(s->frames[n], want, ctx))
            continue;
        f = state_frame_mut(pool, s, n);
        if (!f)
            return false;
        for (unsigned r = 0; r < REGS; r++)
            if (want(&f->regs[r], ctx))
                change(&f->regs[r], ctx);
        for (unsigned i = 0; i < f->n_slots; i++) {
            struct slot *slot;

            if (!slot_is_spill(frame_slot(f, i)) || !want(&frame_slot(f, i)->reg, ctx))
                continue;
            if (!own_chunk(pool, f, i / CHUNK_SLOTS))
                return false;
            slot = frame_slot_own(f, i);
            change(&slot->reg, ctx);
            if (slot->reg.kind == REG_NONE)
                memset(slot->type, SLOT_MISC, sizeof(slot->type));
        }
    }
    return true;
}

/* The references for writing, with room for n. */
static bool own_refs(struct pool *pool, struct state *s, uint32_t n)
{
    uint32_t cap = s->refs ? s->refs->cap : FIRST_REFS;
    struct refs *mine;

    if (s->refs && s->refs->shared == 1 && n <= cap)
        return true;
    while (cap < n)
        cap *= 2;
    mine = refs_new(pool, cap);
    if (!mine)
        return false;
    if (s->n_refs)
        memcpy(mine->at, s->refs->at, s->n_refs * sizeof(mine->at[0]));
    refs_put(pool, s->refs);
    s->refs = mine;
    return true;
}

bool state_hold(struct pool *pool, struct state *s, uint32_t id, enum ref_kind kind)
{
    if (!own_refs(pool, s, s->n_refs + 1))
        return false;
    s->refs->at[s->n_refs++] = (struct ref){.id = id, .kind = kind};
    return true;
}

bool state_has_ref(const struct state *s, uint32_t id)
{
    for (uint32_t i = 0; i < s->n_refs; i++)
        if (s->refs->at[i].id == id)
            return true;
    return false;
}

uint32_t state_last_ref(const struct state *s, enum ref_kind kind)
{
    for (uint32_t i = s->n_refs; i-- > 0;)
        if (s->refs->at[i].kind == kind)
            return s->refs->at[i].id;
    return 0;
}

uint32_t state_refs_but(const struct state *s, enum ref_kind kind)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->n_refs; i++)
        n += s->refs->at[i].kind != kind;
    return n;
}

bool state_drop_ref(struct pool *pool, struct state *s, uint32_t id)
{
    uint32_t i = 0;

    while (i < s->n_refs && s->refs->at[i].id != id)
        i++;
    if (i == s->n_refs)
        return true;
    if (!own_refs(pool, s, s->n_refs))
        return false;
    memmove(&s->refs->at[i], &s->refs->at[i + 1], (--s->n_refs - i) * sizeof(s->refs->at[0]));
    return true;
}
