/*
 * Changing a trie, under its lock: see lpm.h for what holds. A node is opened into a form where each of its places can
 * be set, and closed into a new node, whose skipped bits are those of any key below it.
 */
#include "vm/epoch.h"
#include "vm/maps/lpm.h"

#include <errno.h>
#include <stdlib.h>

struct open_node {
    uint32_t bit;
    lpm_ref kid[LPM_KIDS];
    /* Its own prefixes: that of r bits with the value p stands at 1 << r | p. */
    struct elem *own[LPM_KIDS];
};

static uint32_t own_place(const uint64_t *words, uint32_t bit, uint32_t prefix)
{
    uint32_t r = prefix - bit;

    return 1u << r | lpm_six(words, bit) >> (LPM_BITS - r);
}

static void open_empty(struct open_node *o, uint32_t bit)
{
    memset(o, 0, sizeof(*o));
    o->bit = bit;
}

static void open_node(struct open_node *o, struct lpm_node *n)
{
    const lpm_ref *kid = lpm_kids(n);

    open_empty(o, n->bit);
    for (uint64_t left = n->kids; left; left &= left - 1)
        o->kid[__builtin_ctzll(left)] = lpm_load(kid++);
    for (unsigned i = 0; i < n->n_own; i++) {
        struct elem *e = (struct elem *)(uintptr_t)lpm_own(n)[i];

        o->own[own_place(lpm_words(e), n->bit, lpm_prefix(e))] = e;
    }
}

/* Sets what belongs below or in the node. */
static void put(struct open_node *o, lpm_ref ref, const uint64_t *words, uint32_t prefix)
{
    if (lpm_is_entry(ref) && prefix < o->bit + LPM_BITS)
        o->own[own_place(words, o->bit, prefix)] = lpm_entry(ref);
    else
        o->kid[lpm_six(words, o->bit)] = ref;
}

static struct elem *longest_own(const struct open_node *o, uint32_t v)
{
    for (int r = LPM_BITS - 1; r >= 0; r--) {
        struct elem *e = o->own[1u << r | v >> (LPM_BITS - r)];

        if (e)
            return e;
    }
    return NULL;
}

static uint64_t node_size(const struct lpm_node *n)
{
    return sizeof(*n) + 8ull * (n->n_skip + n->n_kids + n->n_best + n->n_own);
}

static struct lpm_node *close_node(struct lpm *t, const struct open_node *o, uint32_t from, const uint64_t *words)
{
    uint64_t rest[LPM_MAX_WORDS + 3 * LPM_KIDS], size;
    struct lpm_node head = {.bit = (uint16_t)o->bit, .skip = (uint16_t)(o->bit - from)}, *n;
    struct elem *last = NULL;
    uint32_t at = 0;

    for (uint32_t bit = from; bit < o->bit; bit += 64, head.n_skip++)
        rest[at++] = lpm_bits(words, bit);
    for (uint32_t v = 0; v < LPM_KIDS; v++)
        if (o->kid[v]) {
            head.kids |= 1ull << v;
            head.n_kids++;
            rest[at++] = o->kid[v];
        }
    for (uint32_t v = 0; v < LPM_KIDS; v++) {
        struct elem *e = longest_own(o, v);

        if (e == last && v)
            continue;
        head.starts |= 1ull << v;
        head.n_best++;
        rest[at++] = (uintptr_t)e;
        last = e;
    }
    /* One run of nothing. */
    if (head.n_best == 1 && !last) {
        head.n_best = 0;
        head.starts = 0;
        at--;
    }
    for (uint32_t i = 1; i < LPM_KIDS; i++)
        if (o->own[i]) {
            head.n_own++;
            rest[at++] = (uintptr_t)o->own[i];
        }
    size = node_size(&head);
    if (!map_mem_fits(t->pool.taken + t->node_bytes + size) || !(n = malloc(size)))
        return NULL;
    *n = head;
    memcpy(n->rest, rest, size - sizeof(*n));
    t->node_bytes += size;
    return n;
}

static void retire_node(struct lpm *t, struct lpm_node *n)
{
    t->node_bytes -= node_size(n);
    epoch_retire(n, free);
}

/* Some key below it, for the bits that all of them share. */
static const uint64_t *any_words(lpm_ref ref)
{
    while (!lpm_is_entry(ref)) {
        struct lpm_node *n = lpm_node(ref);

        if (n->n_own)
            return lpm_words((struct elem *)(uintptr_t)lpm_own(n)[0]);
        ref = lpm_load(lpm_kids(n));
    }
    return lpm_words(lpm_entry(ref));
}

/* The first bit in which they differ, n when there is none before it. */
static uint32_t first_difference(const uint64_t *a, const uint64_t *b, uint32_t n)
{
    for (uint32_t i = 0; i * 64 < n; i++)
        if (a[i] != b[i]) {
            uint32_t at = i * 64 + (uint32_t)__builtin_clzll(a[i] ^ b[i]);

            return at < n ? at : n;
        }
    return n;
}

static void set_link(lpm_ref *link, lpm_ref ref)
{
    __atomic_store_n(link, ref, __ATOMIC_RELEASE);
}

/* Replaces what the link says by what was opened. */
static int set_opened(struct lpm *t, lpm_ref *link, const struct open_node *o, uint32_t from, const uint64_t *words)
{
    struct lpm_node *n = close_node(t, o, from, words);

    if (!n)
        return -ENOMEM;
    set_link(link, (uintptr_t)n);
    return 0;
}

static int check_add(struct lpm *t, uint32_t max_entries, uint64_t flags)
{
    if (flags == MAP_EXIST)
        return -ENOENT;
    return t->count == max_entries ? -ENOSPC : 0;
}

/* Two things below one link, which differ at `bit` or of which one ends there. */
static int part(struct lpm *t, lpm_ref *link, uint32_t from, uint32_t bit, lpm_ref there, const struct elem *e)
{
    const uint64_t *words = any_words(there);
    uint32_t prefix = lpm_is_entry(there) ? lpm_prefix(lpm_entry(there)) : UINT32_MAX;
    struct lpm_node *shorter = NULL;
    struct open_node o;
    int err;

    bit -= bit % LPM_BITS;
    if (!lpm_is_entry(there)) {
        /* The node skips less from here on. */
        open_node(&o, lpm_node(there));
        shorter = close_node(t, &o, bit + LPM_BITS, words);
        if (!shorter)
            return -ENOMEM;
    }
    open_empty(&o, bit);
    put(&o, shorter ? (uintptr_t)shorter : there, words, prefix);
    put(&o, lpm_ref_entry(e), lpm_words(e), lpm_prefix(e));
    err = set_opened(t, link, &o, from, lpm_words(e));
    if (err && shorter) {
        t->node_bytes -= node_size(shorter);
        free(shorter);
    } else if (!err && shorter) {
        retire_node(t, lpm_node(there));
    }
    return err;
}

/* Sets a place of a node: its own prefix, or a kid. */
static int set_place(struct lpm *t, lpm_ref *link, uint32_t from, struct lpm_node *n, const struct elem *e)
{
    struct open_node o;
    int err;

    open_node(&o, n);
    put(&o, lpm_ref_entry(e), lpm_words(e), lpm_prefix(e));
    err = set_opened(t, link, &o, from, lpm_words(e));
    if (!err)
        retire_node(t, n);
    return err;
}

/* Where an entry would stand: the link that leads there, and what is on it. */
struct spot {
    lpm_ref *link;
    uint32_t from; /* the first bit that nobody above looked at */
    struct lpm_node
        *node;         /* whose own it would be, or which has no kid for it; NULL: what the link says is in its place */
    uint32_t differs;  /* the first bit in which the link's content differs */
    struct elem *same; /* the entry of this very prefix */
    /* One further up, for who takes the entry out. */
    struct lpm_node *parent; /* on whose kid the link is; NULL: it is the root */
    lpm_ref *parent_link;
    uint32_t parent_from;
};

static struct elem *own_of(struct lpm_node *n, const uint64_t *words, uint32_t prefix)
{
    for (unsigned i = 0; i < n->n_own; i++) {
        struct elem *e = (struct elem *)(uintptr_t)lpm_own(n)[i];

        if (lpm_prefix(e) == prefix && lpm_agree(lpm_words(e), words, prefix))
            return e;
    }
    return NULL;
}

static void find_spot(struct lpm *t, const uint64_t *words, uint32_t prefix, struct spot *s)
{
    *s = (struct spot){.link = &t->root};
    for (;;) {
        lpm_ref ref = *s->link;
        struct lpm_node *n;
        uint32_t end, six;

        if (!ref)
            return;
        if (lpm_is_entry(ref)) {
            uint32_t other = lpm_prefix(lpm_entry(ref)), shorter = other < prefix ? other : prefix;

            s->differs = first_difference(lpm_words(lpm_entry(ref)), words, shorter);
            if (other == prefix && s->differs == prefix)
                s->same = lpm_entry(ref);
            return;
        }
        n = lpm_node(ref);
        end = n->bit < prefix ? n->bit : prefix;
        s->differs = n->skip ? first_difference(any_words(ref), words, end) : end;
        if (s->differs < n->bit)
            return;
        if (prefix < (uint32_t)n->bit + LPM_BITS) {
            s->node = n;
            s->same = own_of(n, words, prefix);
            return;
        }
        six = lpm_six(words, n->bit);
        if (!(n->kids >> six & 1)) {
            s->node = n;
            return;
        }
        s->parent = n;
        s->parent_link = s->link;
        s->parent_from = s->from;
        s->link = lpm_kids(n) + __builtin_popcountll(n->kids & ((1ull << six) - 1));
        s->from = n->bit + LPM_BITS;
    }
}

int lpm_insert(struct lpm *t, struct elem *e, uint32_t max_entries, uint64_t flags, struct elem **old)
{
    struct spot s;
    int err;

    find_spot(t, lpm_words(e), lpm_prefix(e), &s);
    *old = s.same;
    if (s.same)
        err = flags == MAP_NOEXIST ? -EEXIST : 0;
    else
        err = check_add(t, max_entries, flags);
    if (err)
        return err;
    if (s.node)
        err = set_place(t, s.link, s.from, s.node, e);
    else if (!*s.link || s.same)
        set_link(s.link, lpm_ref_entry(e));
    else
        err = part(t, s.link, s.from, s.differs, *s.link, e);
    if (!err)
        t->count += !s.same;
    return err;
}

/* What is left of a node that lost something: itself, or the one thing that it still has. */
static int shrink(struct lpm *t, lpm_ref *link, uint32_t from, struct lpm_node *n, struct open_node *o)
{
    lpm_ref last = 0;
    unsigned things = 0;
    int err = 0;

    for (unsigned i = 0; i < LPM_KIDS; i++) {
        if (o->kid[i])
            last = o->kid[i], things++;
        if (o->own[i])
            last = lpm_ref_entry(o->own[i]), things++;
    }
    if (things > 1) {
        err = set_opened(t, link, o, from, any_words(last));
    } else if (lpm_is_entry(last)) {
        set_link(link, last);
    } else {
        /* The kid skips what this one looked at. */
        struct lpm_node *kid = lpm_node(last);

        open_node(o, kid);
        err = set_opened(t, link, o, from, any_words(last));
        if (!err)
            retire_node(t, kid);
    }
    if (!err)
        retire_node(t, n);
    return err;
}

struct elem *lpm_remove(struct lpm *t, const uint64_t *words, uint32_t prefix, int *err)
{
    struct open_node o;
    struct spot s;

    find_spot(t, words, prefix, &s);
    *err = s.same ? 0 : -ENOENT;
    if (*err)
        return NULL;
    if (s.node) {
        open_node(&o, s.node);
        o.own[own_place(words, s.node->bit, prefix)] = NULL;
        *err = shrink(t, s.link, s.from, s.node, &o);
    } else if (s.parent) {
        open_node(&o, s.parent);
        o.kid[lpm_six(words, s.parent->bit)] = 0;
        *err = shrink(t, s.parent_link, s.parent_from, s.parent, &o);
    } else {
        set_link(&t->root, 0);
    }
    t->count -= !*err;
    return *err ? NULL : s.same;
}

void lpm_free_nodes(lpm_ref ref)
{
    struct lpm_node *n = lpm_node(ref);

    if (!ref || lpm_is_entry(ref))
        return;
    for (unsigned i = 0; i < n->n_kids; i++)
        lpm_free_nodes(lpm_kids(n)[i]);
    free(n);
}

/* ---- In order ---- */

/* Places of a node in order: after the kid of v the own prefixes that end with it, longest first. */
enum { STEPS = LPM_BITS + 1, PLACES = LPM_KIDS * STEPS };

static lpm_ref at_place(const struct open_node *o, uint32_t place)
{
    uint32_t v = place / STEPS, step = place % STEPS, r = LPM_BITS - step, inside = (1u << step) - 1;

    if (!step)
        return o->kid[v];
    return (v & inside) == inside && o->own[1u << r | v >> step] ? lpm_ref_entry(o->own[1u << r | v >> step]) : 0;
}

static struct elem *first_below(lpm_ref ref)
{
    while (ref && !lpm_is_entry(ref)) {
        struct open_node o;
        uint32_t place = 0;

        open_node(&o, lpm_node(ref));
        while (!at_place(&o, place))
            place++;
        ref = at_place(&o, place);
    }
    return ref ? lpm_entry(ref) : NULL;
}

/* The first thing of a node at this place or later. */
static struct elem *first_from(struct lpm_node *n, uint32_t place)
{
    struct open_node o;

    open_node(&o, n);
    for (; place < PLACES; place++)
        if (at_place(&o, place))
            return first_below(at_place(&o, place));
    return NULL;
}

struct elem *lpm_next(struct lpm *t, const uint64_t *words, uint32_t prefix)
{
    struct lpm_node *path[LPM_MAX_DEPTH];
    uint32_t depth = 0, r, six;
    struct elem *next = NULL;
    struct spot s = {0};

    if (words)
        find_spot(t, words, prefix, &s);
    if (!s.same)
        return first_below(t->root);
    for (lpm_ref ref = t->root; !lpm_is_entry(ref);) {
        struct lpm_node *n = lpm_node(ref);

        path[depth++] = n;
        if (n == s.node)
            break;
        six = lpm_six(words, n->bit);
        ref = lpm_kids(n)[__builtin_popcountll(n->kids & ((1ull << six) - 1))];
    }
    if (s.node) {
        struct lpm_node *n = path[--depth];

        /* Its own prefix stands behind the last v that it covers. */
        r = prefix - n->bit;
        six = lpm_six(words, n->bit) | ((1u << (LPM_BITS - r)) - 1);
        next = first_from(n, six * STEPS + LPM_BITS - r + 1);
    }
    while (!next && depth) {
        struct lpm_node *n = path[--depth];

        next = first_from(n, lpm_six(words, n->bit) * STEPS + 1);
    }
    return next;
}
