/*
 * Names to ids. Two hash tables a store, one for types and one for functions, variables and sections, each made when it
 * is first asked for: vmlinux has three times as many functions as types, and CO-RE asks for types only. Keys are
 * essential names, so that one table finds both `foo` and its CO-RE flavours `foo___v2`; whoever looks for a full name
 * compares it.
 */
#include "vm/btf/store.h"

#include <stdlib.h>
#include <string.h>

/* Only so many bytes of a name count in its hash: names of types are short, and hostile ones may be not. */
enum { HASHED = 256 };

size_t btf_essential_length(const char *name)
{
    size_t n = strlen(name);

    /* libbpf's flavour separator: three underscores with something else on either side. */
    for (size_t i = n; i-- > 4;) {
        /* No separator ends here nor one before when its common underscore is missing. */
        if (name[i - 2] != '_')
            i--;
        else if (name[i] != '_' && name[i - 1] == '_' && name[i - 3] == '_' && name[i - 4] != '_')
            return i - 3;
    }
    return n;
}

static uint32_t hash(const struct btf *btf, const char *s, size_t n)
{
    /* The store's address seeds it, so that a file cannot be made whose names all collide. */
    uint64_t h = (uintptr_t)btf * 0x9e3779b97f4a7c15ull;

    if (n > HASHED)
        n = HASHED;
    for (; n >= 8; s += 8, n -= 8) {
        uint64_t word;

        memcpy(&word, s, 8);
        h = (h ^ word) * 0xff51afd7ed558ccdull;
        h ^= h >> 32;
    }
    while (n--)
        h = (h ^ (unsigned char)*s++) * 0xff51afd7ed558ccdull;
    return (uint32_t)(h >> 32 ^ h);
}

static bool build(struct btf *btf, unsigned which)
{
    struct btf_index *index = &btf->index[which];
    uint32_t size = 16, n = btf->n_named[which];

    while (size < n)
        size *= 2;
    index->heads = calloc(size, sizeof(*index->heads));
    index->entries = malloc((n + 1ull) * sizeof(*index->entries));
    if (!index->heads || !index->entries) {
        free(index->heads);
        free(index->entries);
        index->heads = NULL;
        index->entries = NULL;
        return false;
    }
    index->mask = size - 1;
    /* From the last id down, so that each chain ascends. */
    for (uint32_t id = btf->count; id-- > btf->first;) {
        struct btf_index_entry *e;
        const char *name;
        uint32_t *head;

        if (btf_index_of(btf_kind_of(btf, id)) != which)
            continue;
        name = btf_name(btf, id);
        if (!*name)
            continue;
        e = &index->entries[index->n];
        e->hash = hash(btf, name, btf_essential_length(name));
        e->id = id;
        head = &index->heads[e->hash & index->mask];
        e->next = *head;
        *head = ++index->n;
    }
    return true;
}

static const struct btf_index *index_for(const struct btf *btf, unsigned which)
{
    /* The store is immutable but for its index, which only comes into being here. */
    struct btf *w = (struct btf *)(uintptr_t)btf;

    if (!__atomic_load_n(&w->index_ready[which], __ATOMIC_ACQUIRE)) {
        pthread_mutex_lock(&w->lock);
        if (!w->index_ready[which])
            __atomic_store_n(&w->index_ready[which], build(w, which), __ATOMIC_RELEASE);
        pthread_mutex_unlock(&w->lock);
    }
    return __atomic_load_n(&w->index_ready[which], __ATOMIC_ACQUIRE) ? &w->index[which] : NULL;
}

void btf_index_free(struct btf *btf)
{
    for (unsigned i = 0; i < BTF_INDEX_COUNT; i++) {
        free(btf->index[i].heads);
        free(btf->index[i].entries);
    }
}

/* What is looked for. essential: any flavour of name[0..len) will do. */
struct want {
    const char *name;
    size_t len;
    unsigned kind;
    bool essential;
};

static bool fits(const struct btf *btf, uint32_t id, const struct want *w)
{
    const struct btf_type *t = btf_at(btf, id);
    const char *name = btf_str(btf, t->name_off);

    if (w->kind && btf_kind(t) != w->kind)
        return false;
    if (strncmp(name, w->name, w->len))
        return false;
    return !name[w->len] || (w->essential && btf_essential_length(name) == w->len);
}

/* The first id above `after` among this store's own types that is as wanted, 0 for none. */
static uint32_t find_in(const struct btf *btf, unsigned which, const struct want *w, uint32_t after)
{
    const struct btf_index *index = index_for(btf, which);
    size_t essential = w->essential ? w->len : btf_essential_length(w->name);
    uint32_t h;

    if (!index)
        return 0;
    h = hash(btf, w->name, essential);
    for (uint32_t i = index->heads[h & index->mask]; i; i = index->entries[i - 1].next) {
        const struct btf_index_entry *e = &index->entries[i - 1];

        if (e->hash == h && e->id > after && fits(btf, e->id, w))
            return e->id;
    }
    return 0;
}

static uint32_t find(const struct btf *btf, const struct want *w, uint32_t after)
{
    uint32_t found = btf->base ? find(btf->base, w, after) : 0;
    unsigned only = w->essential ? BTF_INDEX_TYPES : w->kind ? btf_index_of(w->kind) : BTF_INDEX_COUNT;

    if (found)
        return found;
    for (unsigned i = 0; i < BTF_INDEX_COUNT; i++) {
        uint32_t id = only == BTF_INDEX_COUNT || only == i ? find_in(btf, i, w, after) : 0;

        if (id && (!found || id < found))
            found = id;
    }
    return found;
}

uint32_t btf_find(const struct btf *btf, const char *name, unsigned kind)
{
    struct want w = {.name = name, .len = strlen(name), .kind = kind};

    return w.len ? find(btf, &w, 0) : 0;
}

uint32_t btf_find_next(const struct btf *btf, uint32_t id)
{
    const char *name = btf_name(btf, id);
    struct want w = {.name = name, .len = strlen(name)};

    return w.len ? find(btf, &w, id) : 0;
}

uint32_t btf_find_flavour(const struct btf *btf, const char *name, size_t len, uint32_t after)
{
    struct want w = {.name = name, .len = len, .essential = true};

    return len ? find(btf, &w, after) : 0;
}
