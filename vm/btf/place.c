/* Parts of structs by path. A step never leaves the type it begins in, so that a place lies inside its value. */
#include "vm/btf/show.h"
#include "vm/btf/store.h"

#include <stdlib.h>
#include <string.h>

/* budget: members looked at so far, since anonymous members nest. */
static bool find_member(const struct btf *btf, const struct btf_type *t, const char *name, size_t len, unsigned *budget,
                        struct btf_place *at)
{
    const struct btf_member *m = btf_members(t);

    for (unsigned i = 0; i < btf_vlen(t) && *budget; i++) {
        const char *have = btf_str(btf, m[i].name_off);
        uint32_t type = btf_resolve(btf, m[i].type), bit_off = btf_member_bit_off(t, i), bits = btf_member_bits(t, i);
        const struct btf_type *mt = btf_at(btf, type);

        --*budget;
        if (len == strlen(have) && !memcmp(have, name, len)) {
            int64_t size = btf_size(btf, type);

            at->type = type;
            at->off += bit_off / 8;
            at->bit_off = bit_off % 8;
            at->bits = bits;
            at->size = bits || size < 0 ? 0 : (uint64_t)size;
            return true;
        }
        if (!*have && (btf_kind(mt) == BTF_STRUCT || btf_kind(mt) == BTF_UNION)) {
            struct btf_place inner = {.off = at->off + bit_off / 8};

            if (find_member(btf, mt, name, len, budget, &inner)) {
                *at = inner;
                return true;
            }
        }
    }
    return false;
}

static bool find_element(const struct btf *btf, const char **path, struct btf_place *at)
{
    const struct btf_type *t = btf_at(btf, at->type);
    const struct btf_array *a;
    char *end;
    unsigned long long index;
    int64_t size;

    if (btf_kind(t) != BTF_ARRAY || (*path)[1] < '0' || (*path)[1] > '9')
        return false;
    a = btf_array_of(t);
    index = strtoull(*path + 1, &end, 10);
    size = btf_size(btf, a->type);
    if (*end != ']' || index >= a->nelems || size < 0)
        return false;
    *path = end + 1;
    at->type = btf_resolve(btf, a->type);
    at->off += index * (uint64_t)size;
    at->size = (uint64_t)size;
    return true;
}

bool btf_find_place(const struct btf *btf, uint32_t id, const char *path, struct btf_place *out)
{
    struct btf_place at = {.type = btf_resolve(btf, id)};
    int64_t size = btf_size(btf, at.type);
    unsigned budget = 1 << 16;

    at.size = size < 0 ? 0 : (uint64_t)size;
    while (*path) {
        const struct btf_type *t = btf_at(btf, at.type);
        size_t len;

        if (*path == '[') {
            if (at.bits || !find_element(btf, &path, &at))
                return false;
            continue;
        }
        path += *path == '.';
        len = strcspn(path, ".[");
        if (at.bits || !len || (btf_kind(t) != BTF_STRUCT && btf_kind(t) != BTF_UNION) ||
            !find_member(btf, t, path, len, &budget, &at))
            return false;
        path += len;
    }
    *out = at;
    return true;
}
