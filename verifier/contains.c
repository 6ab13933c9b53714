/*
 * The kept states own their frames by the frames' reference counts, and the pool that they lie in when the verification
 * is over. Nothing changes a kept state. Of a kept state, `next` and `kept` are no list: they name the states that were
 * kept of its successors, which a run is likely to go through next, and serve as hints only.
 *
 * contains: for each frame, each live register and each live stack byte of a state, what the machine holds there is
 * among what the state stands for. Whatever cannot be told from outside (which value of a map a pointer was made from,
 * once it left it) counts as inside: a violation that is reported is one.
 */
#include "verifier/contains.h"
#include "verifier/print.h"
#include "verifier/verifier.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KEPT = 1 << 18, MAX_KEPT_BYTES = 1 << 29, MAX_LINKS = 64 };

struct kept {
    struct state **states;
    uint32_t n, cap, last; /* last: the one that held before, looked at first */
};

struct explored {
    struct kept *at; /* one a slot */
    uint16_t *live_regs;
    uint64_t *live_slots;
    uint32_t n_insns, n_states;
    bool exact; /* scalars mean what they say */
    bool full;  /* some are missing */
    struct pool pool;
};

static void drop_states(struct explored *x, struct pool *pool)
{
    for (uint32_t i = 0; x->at && i < x->n_insns; i++) {
        for (uint32_t k = 0; k < x->at[i].n; k++)
            state_free(pool, x->at[i].states[k]);
        free(x->at[i].states);
        x->at[i] = (struct kept){0};
    }
}

void explored_take(struct explored *x, struct pool *pool)
{
    if (x->full) /* nothing of it is needed */
        return;
    x->pool = *pool;
    *pool = (struct pool){0};
}

void explored_free(struct explored *x)
{
    if (!x)
        return;
    for (uint32_t i = 0; x->at && i < x->n_insns; i++)
        free(x->at[i].states);
    pool_free(&x->pool);
    free(x->at);
    free(x->live_regs);
    free(x->live_slots);
    free(x);
}

struct explored *explored_new(const struct verifier *v)
{
    uint32_t n = v->prog->n_insns;
    struct explored *x = calloc(1, sizeof(*x));

    if (!x)
        return NULL;
    *x = (struct explored){.at = calloc(n + 1, sizeof(*x->at)),
                           .live_regs = calloc(n + 1, sizeof(*x->live_regs)),
                           .live_slots = calloc(n + 1, sizeof(*x->live_slots)),
                           .n_insns = n,
                           .exact = v->opts->keep_states == VERIFY_KEEP_EXACT};
    if (!x->at || !x->live_regs || !x->live_slots) {
        explored_free(x);
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++) {
        x->live_regs[i] = v->info[i].live_regs;
        x->live_slots[i] = v->info[i].live_slots;
    }
    return x;
}

static void hint(struct state *before, struct state *after)
{
    if (!before->next)
        before->next = after;
    else
        before->kept = after;
}

bool explored_keep(struct explored *x, struct pool *pool, struct state *s)
{
    struct kept *k = &x->at[s->insn];
    struct state *copy;

    if (x->full)
        return true;
    if (x->n_states == MAX_KEPT || pool->bytes > MAX_KEPT_BYTES) {
        x->full = true;
        drop_states(x, pool);
        return true;
    }
    if (k->n == k->cap) {
        uint32_t cap = k->cap ? k->cap * 2 : 4;
        struct state **more = realloc(k->states, cap * sizeof(struct state *));

        if (!more)
            return false;
        k->states = more;
        k->cap = cap;
    }
    copy = state_new(pool);
    if (!copy)
        return false;
    state_share(copy, s);
    copy->parent = NULL;
    copy->kept = NULL;
    if (s->kept)
        hint(s->kept, copy);
    s->kept = copy;
    k->states[k->n++] = copy;
    x->n_states++;
    return true;
}

const char *explored_unfit(const struct explored *x)
{
    if (!x)
        return "no states were kept";
    return x->full ? "the verifier went through too many states to keep them" : NULL;
}

/* One look at the machine. */
struct look {
    const struct invariants *inv;
    const struct explored *explored;
    struct skep_env *env;
    const struct state *s;
    uint32_t slot;
    uint32_t base;   /* frames below the last global function that was called: in states it is the entry */
    struct buf *why; /* what does not fit; NULL: nobody asks */
    /* Values of linked scalars seen so far in this state. */
    struct {
        uint32_t id;
        uint64_t base;
    } links[MAX_LINKS];
    uint32_t n_links;
};

static uint64_t frame_pointer(const struct skep_env *env, uint32_t frame)
{
    return (uintptr_t)env->stack + (PROG_MAX_DEPTH - env->first_frame - frame) * (uint64_t)PROG_STACK_FRAME;
}

/* Is address = base + off + s for a number of s? */
static bool at(const struct reg *r, uint64_t address, uint64_t base)
{
    return scalar_has(&r->s, address - base - (uint64_t)(int64_t)r->off);
}

/* Where the value that holds this address begins, in any map of this definition. */
static bool value_of(const struct look *l, const struct map_def *def, uint64_t address, uint64_t *start)
{
    const struct code *code = l->env->code;

    for (uint32_t i = 0; i < code->prog->n_maps; i++) {
        struct map *map = code->maps[i];
        struct map_region r;

        if (code->prog->maps[i] != def || !map || !map->ops->find_region ||
            !map->ops->find_region(map, (uintptr_t)address, &r) || address - r.base >= r.size)
            continue;
        *start = (r.stride ? r.base + (address - r.base) / r.stride * r.stride : r.base) + r.elem_off;
        return true;
    }
    return false;
}

static bool is_own_map(const struct look *l, const struct map_def *def)
{
    for (uint32_t i = 0; i < l->env->code->prog->n_maps; i++)
        if (l->env->code->prog->maps[i] == def)
            return true;
    return false;
}

/* Some value of the map begins where the register's base may be. A base further away than FAR from all that it may be
 * is not looked for. */
static bool in_value(const struct look *l, const struct reg *r, uint64_t v)
{
    enum { FAR = 4096, ALIGN = 8 };
    const uint64_t moved = v - (uint64_t)(int64_t)r->off;
    uint64_t start, lo = moved - (uint64_t)r->s.r.smax, hi = moved - (uint64_t)r->s.r.smin;

    if (!is_own_map(l, r->map)) /* an inner map, of which there may be many */
        return true;
    if (value_of(l, r->map, v, &start) && at(r, v, start))
        return true;
    if ((uint64_t)r->s.r.smax - (uint64_t)r->s.r.smin > FAR)
        return true;
    /* By distance from lo: addresses may wrap. */
    for (uint64_t d = (0 - lo) & (ALIGN - 1); d <= hi - lo; d += ALIGN)
        if (value_of(l, r->map, lo + d, &start) && start == lo + d && at(r, v, lo + d))
            return true;
    return false;
}

static bool in_packet(const struct look *l, const struct reg *r, uint64_t v)
{
    const struct env_packet *p = &l->env->packet;
    const unsigned char *base = r->kind == REG_PACKET ? p->data : p->data_meta ? p->data_meta : p->data;
    const unsigned char *end = r->kind == REG_PACKET ? p->data_end : p->data;
    uint64_t proved = v - (uint64_t)(int64_t)r->off + r->size;

    if (!at(r, v, (uintptr_t)base) || (r->size && proved > (uintptr_t)end))
        return false;
    if (r->kind == REG_PACKET && r->flags & REG_BEYOND_END && v <= (uintptr_t)end)
        return false;
    return !(r->kind == REG_PACKET && r->flags & REG_AT_END && v < (uintptr_t)end);
}

static bool in_mem(const struct look *l, const struct reg *r, uint64_t v)
{
    const struct env_ref *ref;
    uint64_t base = v - (uint64_t)(int64_t)r->off - r->s.t.value;

    if (!(r->flags & REG_RECORD))
        return l->inv->prog->type || (l->env->ctx_size >= r->size && at(r, v, (uintptr_t)l->env->ctx));
    if (!scalar_is_const(&r->s))
        return true;
    ref = env_ref_find(l->env, base);
    return ref && r->size <= ref->size;
}

static bool in_link(struct look *l, const struct reg *r, uint64_t v)
{
    uint64_t base = r->flags & REG_LINK_OFF ? v - (uint64_t)(int64_t)r->off : v;

    if (!r->id || !l->explored->exact)
        return true;
    for (uint32_t i = 0; i < l->n_links; i++)
        if (l->links[i].id == r->id)
            return l->links[i].base == base;
    if (l->n_links < MAX_LINKS) {
        l->links[l->n_links].id = r->id;
        l->links[l->n_links++].base = base;
    }
    return true;
}

/* Does the state's register stand for this value? */
static bool holds(struct look *l, const struct reg *r, uint64_t v)
{
    if (r->flags & REG_MAYBE_NULL && reg_is_pointer(r) && !v)
        return true;
    switch (r->kind) {
    case REG_SCALAR: return !l->explored->exact || (scalar_has(&r->s, v) && in_link(l, r, v));
    case REG_CTX: return at(r, v, (uintptr_t)l->env->ctx);
    case REG_STACK: return at(r, v, frame_pointer(l->env, l->base + r->frame));
    case REG_MAP:
        if (!is_own_map(l, r->map))
            return true;
        for (uint32_t i = 0; i < l->env->code->prog->n_maps; i++)
            if (l->env->code->prog->maps[i] == r->map && v == (uintptr_t)l->env->code->maps[i])
                return true;
        return false;
    case REG_MAP_VALUE: return in_value(l, r, v);
    case REG_PACKET:
    case REG_PACKET_META: return in_packet(l, r, v);
    case REG_PACKET_END: return at(r, v, (uintptr_t)l->env->packet.data_end);
    case REG_MEM: return in_mem(l, r, v);
    default: return true; /* never written: no matter what */
    }
}

static bool differs(struct look *l, const struct reg *r, uint64_t v, const char *fmt, ...)
{
    va_list ap;

    if (!l->why)
        return false;
    va_start(ap, fmt);
    buf_vprintf(l->why, fmt, ap);
    va_end(ap);
    buf_printf(l->why, " is %#" PRIx64 " (%" PRId64 "), the state has ", v, (int64_t)v);
    reg_print(l->why, r, l->s->n_frames - 1);
    return false;
}

/* Does a slot say anything of what is in it? */
static bool slot_says(const struct slot *slot)
{
    static const uint8_t unknown[SLOT] = {SLOT_MISC, SLOT_MISC, SLOT_MISC, SLOT_MISC,
                                          SLOT_MISC, SLOT_MISC, SLOT_MISC, SLOT_MISC};
    static const uint8_t unwritten[SLOT];

    return memcmp(slot->type, unknown, SLOT) && memcmp(slot->type, unwritten, SLOT);
}

static bool slot_holds(struct look *l, uint32_t f, unsigned i)
{
    const struct slot *slot = frame_slot(l->s->frames[f], i);
    uint64_t address = frame_pointer(l->env, l->base + f) - SLOT * (uint64_t)(i + 1), value = 0;
    const unsigned char *bytes = (const unsigned char *)(uintptr_t)address;
    unsigned held = slot_spill_size(slot);

    for (unsigned b = 0; b < SLOT; b++)
        if (slot->type[b] == SLOT_ZERO && bytes[b])
            return differs(l, &(struct reg){.kind = REG_SCALAR, .s = scalar_const(0)}, bytes[b],
                           "byte r10-%u of frame %u", SLOT * (i + 1) - b, f);
    memcpy(&value, bytes, held);
    if (held && !holds(l, &slot->reg, value))
        return differs(l, &slot->reg, value, "%u bytes at r10-%u of frame %u", held, SLOT * (i + 1), f);
    return true;
}

static bool frame_holds(struct look *l, uint32_t f)
{
    const struct explored *x = l->explored;
    const struct frame *frame = l->s->frames[f];
    bool top = f + 1 == l->s->n_frames;
    uint32_t at = l->base + f, call = top ? l->slot : l->inv->frames[at].slot;
    uint16_t regs = top ? x->live_regs[call] : x->live_regs[call + 1] & (uint16_t)~0x3f;
    uint64_t slots = x->exact ? x->live_slots[call] : 0; /* else those that no path was seen to read count as dead */

    if (f && frame->callsite != l->inv->frames[at - 1].slot) {
        if (l->why)
            buf_printf(l->why, "frame %u was called at instruction %u, the state's at %u", f,
                       l->inv->frames[at - 1].slot, frame->callsite);
        return false;
    }
    for (unsigned left = regs | 1u << 10; left; left &= left - 1) {
        unsigned r = (unsigned)__builtin_ctz(left);

        if (!holds(l, &frame->regs[r], l->inv->frames[at].regs[r]))
            return differs(l, &frame->regs[r], l->inv->frames[at].regs[r], "r%u of frame %u", r, f);
    }
    if (frame->n_slots < MAX_SLOTS)
        slots &= ((uint64_t)1 << frame->n_slots) - 1;
    for (; slots; slots &= slots - 1) {
        unsigned i = (unsigned)__builtin_ctzll(slots);

        if (slot_says(frame_slot(frame, i)) && !slot_holds(l, f, i))
            return false;
    }
    return true;
}

/* A reservation that failed counts as held in the state until its result was compared with NULL. */
static bool same_refs(const struct skep_env *env, const struct state *s)
{
    uint32_t open = 0, held = 0;

    for (uint32_t i = 0; i < s->n_refs; i++) {
        bool maybe = false;

        if (s->refs->at[i].kind != REF_OBJECT)
            continue;
        held++;
        for (uint32_t f = 0; f < s->n_frames; f++)
            for (unsigned r = 0; r < REGS; r++)
                maybe |= s->frames[f]->regs[r].ref == s->refs->at[i].id && s->frames[f]->regs[r].flags & REG_MAYBE_NULL;
        for (uint32_t f = 0; f < s->n_frames; f++)
            for (unsigned k = 0; k < s->frames[f]->n_slots; k++)
                maybe |= slot_is_spill(frame_slot(s->frames[f], k)) &&
                         frame_slot(s->frames[f], k)->reg.ref == s->refs->at[i].id &&
                         frame_slot(s->frames[f], k)->reg.flags & REG_MAYBE_NULL;
        for (uint32_t f = 0; f < s->n_frames; f++) /* a dynptr that could not be made points to nothing */
            for (unsigned k = 0; k < s->frames[f]->n_slots; k++)
                maybe |= slot_is_dynptr(frame_slot(s->frames[f], k)) &&
                         frame_slot(s->frames[f], k)->reg.ref == s->refs->at[i].id;
        open += maybe;
    }
    return env->n_refs <= held && env->n_refs + open >= held;
}

/* Is this a call of a global function, which is explored by itself? */
static bool is_global_call(const struct prog *prog, uint32_t slot)
{
    const struct insn *insn = &prog->insns[slot];

    for (uint32_t f = 1; f < prog->n_funcs && insn->op == ISA_CALL_LOCAL; f++)
        if (prog->funcs[f].start == insn->target)
            return prog->funcs[f].global;
    return false;
}

static bool contains(const struct invariants *inv, const struct explored *x, struct skep_env *env,
                     const struct state *s, struct buf *why)
{
    struct look l;

    l.inv = inv, l.explored = x, l.env = env, l.s = s, l.slot = s->insn, l.why = why, l.n_links = 0;
    for (l.base = env->frame; l.base && !is_global_call(inv->prog, inv->frames[l.base - 1].slot);)
        l.base--;
    /* What callers of a global function hold is not known in it. */
    if (s->n_frames + l.base != env->frame + 1 || (!l.base && !same_refs(env, s)) || !s->locked != !env->spin_lock) {
        if (why)
            buf_printf(why, "there are %u frames, %u references, %s lock; the state has %u, %u, %s",
                       env->frame + 1 - l.base, env->n_refs, env->spin_lock ? "a" : "no", s->n_frames, s->n_refs,
                       s->locked ? "one" : "none");
        return false;
    }
    for (uint32_t f = s->n_frames; f-- > 0;)
        if (!frame_holds(&l, f))
            return false;
    return true;
}

static void violated(const struct invariants *inv, const struct explored *x, struct skep_env *env, uint32_t slot)
{
    const struct kept *k = &x->at[slot];
    struct buf why = {0};

    if (!k->n)
        env_trap(env, TRAP_invariant, 0, 0, "the verifier explored no path to this instruction");
    else
        for (uint32_t i = 0; i < k->n && why.len < 1000; i++) {
            buf_puts(&why, i ? "; or " : "");
            contains(inv, x, env, k->states[i], &why);
        }
    if (k->n)
        env_trap(env, TRAP_invariant, 0, 0, "outside all %u states explored here%s: %s", k->n,
                 x->exact ? "" : ", numbers left out", buf_text(&why));
    env->trap.insn = slot;
    buf_free(&why);
}

static bool hint_holds(const struct invariants *inv, const struct explored *x, struct skep_env *env, uint32_t slot,
                       const struct state *s)
{
    return s && s->insn == slot && contains(inv, x, env, s, NULL);
}

/* Looks for a state that holds: first those that followed on the one which held at the last instruction, then the
 * others, from the one that did here last time on. *at: the last one that held, anywhere. */
static bool explored_has(const struct invariants *inv, const struct explored *x, struct skep_env *env, uint32_t slot,
                         const struct state **at)
{
    struct kept *k = &x->at[slot];
    const struct state *was = *at;

    if (was && (hint_holds(inv, x, env, slot, *at = was->next) || hint_holds(inv, x, env, slot, *at = was->kept)))
        return true;
    for (uint32_t n = 0, i = k->last; n < k->n; n++, i = i + 1 < k->n ? i + 1 : 0)
        if (contains(inv, x, env, k->states[i], NULL)) {
            k->last = i;
            *at = k->states[i];
            return true;
        }
    *at = NULL;
    return false;
}

static void before_insn(struct skep_env *env, void *ctx, uint32_t slot, const uint64_t *regs)
{
    struct invariants *inv = ctx;

    if (env->code->prog != inv->prog || env->frame >= PROG_MAX_FRAMES) /* after a tail call */
        return;
    memcpy(inv->frames[env->frame].regs, regs, sizeof(inv->frames[0].regs));
    inv->frames[env->frame].slot = slot;
    inv->checked++;
    if (!explored_has(inv, inv->explored, env, slot, &inv->at))
        violated(inv, inv->explored, env, slot);
    else if (inv->also && !explored_has(inv, inv->also, env, slot, &inv->also_at))
        violated(inv, inv->also, env, slot);
}

void invariants_watch(struct invariants *inv, const struct explored *explored, const struct prog *prog,
                      struct skep_env *env)
{
    *inv = (struct invariants){.explored = explored, .prog = prog};
    env->on_insn = before_insn;
    env->on_insn_ctx = inv;
}

void invariants_watch_also(struct invariants *inv, const struct explored *explored)
{
    inv->also = explored;
}
