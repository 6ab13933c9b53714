/*
 * The life of code. References are counted; a count of zero is final: code_get() refuses from then on, so that a
 * program array that is read without a lock never revives what is going away. Runs borrow code under their epoch, so
 * the memory goes when every run that might have seen it has ended.
 */
#include "vm/code.h"
#include "vm/epoch.h"
#include "vm/lower.h"
#include <stdlib.h>

void code_destroy(struct code *code)
{
    if (code->engine && code->engine->release)
        code->engine->release(code);
    for (uint32_t i = 0; code->maps && i < code->prog->n_maps; i++)
        map_put(code->maps[i]);
    prog_put(code->prog);
    arena_free(&code->arena);
    free(code);
}

static void destroy(void *p)
{
    code_destroy(p);
}

struct code *code_get(struct code *code)
{
    uint32_t refs = __atomic_load_n(&code->refs, __ATOMIC_RELAXED);

    do {
        if (!refs)
            return NULL;
    } while (!__atomic_compare_exchange_n(&code->refs, &refs, refs + 1, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
    return code;
}

void code_put(struct code *code)
{
    if (code && !__atomic_sub_fetch(&code->refs, 1, __ATOMIC_ACQ_REL))
        epoch_retire(code, destroy);
}

static void *elem_get(void *thing)
{
    return code_get(thing);
}

static void elem_put(void *thing)
{
    code_put(thing);
}

static uint32_t elem_id(void *thing)
{
    return ((struct code *)thing)->id;
}

const struct map_elem_ops code_elem_ops = {.get = elem_get, .put = elem_put, .id = elem_id};
