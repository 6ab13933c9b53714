/*
 * An arena holds what lives as long as one object, program or verification: blocks are handed out zeroed (but for those
 * of arena_room) and aligned to 16 bytes, none is freed alone, all go with arena_free(). An arena belongs to one thread
 * at a time. `limit` bounds the bytes it may ever take; past it, and when malloc fails, allocation returns NULL and the
 * arena stays as it was.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena {
    struct arena_block *head;
    struct arena_block *spare; /* after arena_reset() */
    size_t used;               /* bytes handed out */
    size_t limit;              /* 0: none */
};

/** Takes size bytes, zeroed. size 0 gives a valid unique-enough pointer. @return NULL when out of memory or over the
 * limit. */
void *arena_alloc(struct arena *a, size_t size);

/** The same, but nobody knows what stands in it: for what is written at once. */
void *arena_room(struct arena *a, size_t size);

/** Takes count * size bytes, zeroed, with the product checked. */
void *arena_array(struct arena *a, size_t count, size_t size);

char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
void *arena_memdup(struct arena *a, const void *p, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Gives everything back; the arena is then as good as new (its limit stays). */
void arena_free(struct arena *a);

/** The same, but what was taken from the system is kept for what is asked for next: for an arena of scratch. */
void arena_reset(struct arena *a);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
/* Not zeroed. n * sizeof(type) must not overflow. */
#define ARENA_ROOM(a, type, n)  ((type *)arena_room((a), (size_t)(n) * sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_array((a), (n), sizeof(type)))

#endif
