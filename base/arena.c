/*
 * Blocks in a list, of which the head is handed out from; what is larger than a quarter of one gets a block of its own.
 * `used` counts what was handed out, not what was taken, so that the limit means what callers asked for.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN      16u
#define BLOCK_SIZE (16u * 1024 - 64)

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    _Alignas(ALIGN) unsigned char data[];
};

enum { LOOK_AT = 16 };

/* One of the first spare blocks that has room; NULL: none. */
static struct arena_block *reuse(struct arena *a, size_t size)
{
    struct arena_block **link = &a->spare, *b;

    for (unsigned i = 0; i < LOOK_AT && (b = *link); i++, link = &b->next)
        if (b->size >= size) {
            *link = b->next;
            b->used = 0;
            return b;
        }
    return NULL;
}

/* Large blocks that are to be zeroed come from the system, which has zeroed pages. */
static void *take(struct arena *a, size_t size, bool zeroed)
{
    struct arena_block *b = a->head;
    void *p;

    if (size > SIZE_MAX / 2)
        return NULL;
    size = size ? (size + ALIGN - 1) & ~(size_t)(ALIGN - 1) : ALIGN;
    if (a->limit && (size > a->limit || a->used > a->limit - size))
        return NULL;
    if (!b || b->size - b->used < size) {
        size_t want = size > BLOCK_SIZE / 4 ? size : BLOCK_SIZE;

        b = reuse(a, size);
        if (b) {
            want = b->size > size ? b->size : want;
        } else {
            b = zeroed && want == size ? calloc(1, sizeof(*b) + want) : malloc(sizeof(*b) + want);
            if (!b)
                return NULL;
            zeroed &= want != size;
            b->size = want;
            b->used = 0;
        }
        /* A large block goes behind the head, so that the room left in the head stays in use. */
        if (a->head && want == size) {
            b->next = a->head->next;
            a->head->next = b;
        } else {
            b->next = a->head;
            a->head = b;
        }
    }
    p = b->data + b->used;
    b->used += size;
    a->used += size;
    return zeroed ? memset(p, 0, size) : p;
}

void *arena_alloc(struct arena *a, size_t size)
{
    return take(a, size, true);
}

void *arena_room(struct arena *a, size_t size)
{
    return take(a, size, false);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return arena_alloc(a, bytes);
}

void *arena_memdup(struct arena *a, const void *p, size_t n)
{
    void *to = arena_room(a, n);

    if (to && n)
        memcpy(to, p, n);
    return to;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *to;

    n = strnlen(s, n);
    to = arena_alloc(a, n + 1);
    if (to)
        memcpy(to, s, n);
    return to;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    char *to;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    to = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (to)
        vsnprintf(to, (size_t)n + 1, fmt, again);
    va_end(again);
    return to;
}

static void free_list(struct arena_block *b)
{
    while (b) {
        struct arena_block *next = b->next;

        free(b);
        b = next;
    }
}

void arena_free(struct arena *a)
{
    free_list(a->head);
    free_list(a->spare);
    a->head = a->spare = NULL;
    a->used = 0;
}

void arena_reset(struct arena *a)
{
    while (a->head) {
        struct arena_block *b = a->head;

        a->head = b->next;
        b->next = a->spare;
        a->spare = b;
    }
    a->used = 0;
}
