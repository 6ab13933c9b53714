#include "verifier/state.h"

#include <stdlib.h>
#include <string.h>

static const uint16_t capacities[] = {4, 8, 16, 32, MAX_SLOTS};
enum { CLASSES = sizeof(capacities) / sizeof(capacities[0]) };

static unsigned class_of(unsigned slots)
{
    unsigned c = 0;

    while (c < CLASSES - 1 && capacities[c] < slots)
        c++;
    return c;
}

static void *take(struct pool *pool, size_t size)
{
    void *p = NULL;

    if (!pool->limit || pool->bytes + size <= pool->limit)
        p = malloc(size);
    if (!p) {
        pool->failed = true;
        return NULL;
    }
    pool->bytes += size;
    if (pool->bytes > pool->peak)
        pool->peak = pool->bytes;
    return p;
}

/* A free frame keeps its list in `regs[0].map`: its own fields are all dead. */
static struct frame *frame_new(struct pool *pool, unsigned slots)
{
    unsigned c = class_of(slots);
    struct frame *f = pool->free_frames[c];

    if (f) {
        memcpy(&pool->free_frames[c], f->regs, sizeof(f));
    } else {
        f = take(pool, sizeof(*f) + capacities[c] * sizeof(struct slot));
        if (!f)
            return NULL;
        f->cap = capacities[c];
    }
    f->shared = 1;
    return f;
}

static void frame_put(struct pool *pool, struct frame *f)
{
    unsigned c;

    if (--f->shared)
        return;
    c = class_of(f->cap);
    memcpy(f->regs, &pool->free_frames[c], sizeof(f));
    pool->free_frames[c] = f;
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
    for (unsigned c = 0; c < CLASSES; c++) {
        struct frame *f = pool->free_frames[c], *next;

        for (; f; f = next) {
            memcpy(&next, f->regs, sizeof(next));
            free(f);
        }
        pool->free_frames[c] = NULL;
    }
    while (pool->free_states) {
        struct state *s = pool->free_states;

        pool->free_states = s->next;
        free(s);
    }
}

void state_share(struct state *to, const struct state *from)
{
    struct history past = to->past;

    *to = *from;
    to->past = past;
    to->next = NULL;
    for (uint32_t i = 0; i < to->n_frames; i++)
        to->frames[i]->shared++;
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
    s->n_frames = 0;
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
    struct frame *f = frame_new(pool, 1);

    if (!f)
        return false;
    f->callsite = callsite;
    f->func = func;
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

/* A copy of a frame with room for `slots`. */
static struct frame *frame_clone(struct pool *pool, const struct frame *from, unsigned slots)
{
    struct frame *f = frame_new(pool, slots > from->n_slots ? slots : from->n_slots);

    if (!f)
        return NULL;
    f->callsite = from->callsite;
    f->func = from->func;
    f->inst = from->inst;
    f->n_slots = from->n_slots;
    memcpy(f->regs, from->regs, sizeof(f->regs) + from->n_slots * sizeof(struct slot));
    return f;
}

struct frame *state_slots_mut(struct pool *pool, struct state *s, uint32_t frame, uint32_t n_slots)
{
    struct frame *f = s->frames[frame];

    if (f->shared > 1 || f->cap < n_slots) {
        struct frame *mine = frame_clone(pool, f, n_slots);

        if (!mine)
            return NULL;
        frame_put(pool, f);
        s->frames[frame] = f = mine;
    }
    if (f->n_slots < n_slots) {
        memset(&f->slots[f->n_slots], 0, (n_slots - f->n_slots) * sizeof(struct slot));
        f->n_slots = (uint16_t)n_slots;
    }
    return f;
}

struct frame *state_frame_mut(struct pool *pool, struct state *s, uint32_t frame)
{
    return state_slots_mut(pool, s, frame, 0);
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
        if (slot_is_spill(&f->slots[i]) && want(&f->slots[i].reg, ctx))
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
            struct slot *slot = &f->slots[i];

            if (!slot_is_spill(slot) || !want(&slot->reg, ctx))
                continue;
            change(&slot->reg, ctx);
            if (slot->reg.kind == REG_NONE)
                memset(slot->type, SLOT_MISC, sizeof(slot->type));
        }
    }
    return true;
}

bool state_has_ref(const struct state *s, uint32_t ref)
{
    for (uint32_t i = 0; i < s->n_refs; i++)
        if (s->refs[i] == ref)
            return true;
    return false;
}

bool state_drop_ref(struct state *s, uint32_t ref)
{
    for (uint32_t i = 0; i < s->n_refs; i++)
        if (s->refs[i] == ref) {
            s->refs[i] = s->refs[--s->n_refs];
            return true;
        }
    return false;
}
