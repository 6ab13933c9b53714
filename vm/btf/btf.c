/*
 * Taking BTF in: the header, the byte order, the strings; then btf_validate() looks at the types. And the accessors,
 * which rely on that and check nothing but ids.
 */
#include "vm/btf/btf.h"
#include "vm/btf/store.h"

#include <byteswap.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MAGIC = 0xeb9f, VERSION = 1 };

struct header {
    uint16_t magic;
    uint8_t version, flags;
    uint32_t hdr_len, type_off, type_len, str_off, str_len;
};

const struct btf_type btf_void_type;

static void swap_words(uint32_t *p, size_t n)
{
    while (n--) {
        *p = bswap_32(*p);
        p++;
    }
}

static int read_header(const void *data, size_t size, bool *swapped, struct header *h, const struct log *log)
{
    if (size < sizeof(*h))
        return log_fail(log, -EINVAL, "BTF: %zu bytes are too short for a header", size);
    memcpy(h, data, sizeof(*h));
    *swapped = h->magic == bswap_16(MAGIC);
    if (h->magic != MAGIC && !*swapped)
        return log_fail(log, -EINVAL, "BTF: does not begin with the magic number 0xeb9f");
    if (*swapped)
        swap_words(&h->hdr_len, 5);
    if (h->version != VERSION)
        return log_fail(log, -EINVAL, "BTF: version %u, only %u is known", h->version, VERSION);
    if (h->hdr_len < sizeof(*h) || h->hdr_len > size)
        return log_fail(log, -EINVAL, "BTF: a header of %u bytes in %zu", h->hdr_len, size);
    size -= h->hdr_len;
    if (h->type_off > size || h->type_len > size - h->type_off || h->type_off % 4)
        return log_fail(log, -EINVAL, "BTF: types (%u bytes at %u) lie outside of the data", h->type_len, h->type_off);
    if (h->str_off > size || h->str_len > size - h->str_off)
        return log_fail(log, -EINVAL, "BTF: strings (%u bytes at %u) lie outside of the data", h->str_len, h->str_off);
    return 0;
}

/* Strings end, the first is empty, and none is so long that names would become a burden. */
static int check_strings(const struct btf *btf, const struct header *h, const struct log *log)
{
    const char *s = btf->strs, *end = s + h->str_len;

    if (btf->base && !h->str_len)
        return 0;
    if (!h->str_len || end[-1] || (!btf->base && s[0]))
        return log_fail(log, -EINVAL, "BTF: strings must begin and end with a NUL");
    while (end - s > BTF_MAX_STRING) {
        const char *last = memrchr(s, 0, BTF_MAX_STRING);

        if (!last)
            return log_fail(log, -EINVAL, "BTF: a string at %td is longer than %u bytes", s - btf->strs,
                            BTF_MAX_STRING);
        s = last + 1;
    }
    return 0;
}

/* Puts types and strings in place: where they are, or copied into memory that can be written and is aligned. */
static int settle(struct btf *btf, const void *data, const struct header *h, bool swapped, bool borrow)
{
    const unsigned char *types = (const unsigned char *)data + h->hdr_len + h->type_off;
    const char *strs = (const char *)data + h->hdr_len + h->str_off;
    unsigned char *own;

    if (borrow && !swapped && (uintptr_t)types % 4 == 0) {
        btf->types = types;
        btf->strs = strs;
        return 0;
    }
    own = malloc((size_t)h->type_len + h->str_len + 1);
    if (!own)
        return -ENOMEM;
    memcpy(own, types, h->type_len);
    memcpy(own + h->type_len, strs, h->str_len);
    /* Everything in types is 32-bit words, whatever their kinds. */
    if (swapped)
        swap_words((uint32_t *)(void *)own, h->type_len / 4);
    btf->types = own;
    btf->strs = (const char *)own + h->type_len;
    btf->owned = own;
    return 0;
}

int btf_parse(const void *data, size_t size, const struct btf *base, bool borrow, const struct log *log,
              struct btf **out)
{
    struct header h;
    struct btf *btf;
    bool swapped = false;
    int err = read_header(data, size, &swapped, &h, log);

    if (err)
        return err;
    btf = calloc(1, sizeof(*btf));
    if (!btf)
        return log_fail(log, -ENOMEM, "BTF: out of memory");
    pthread_mutex_init(&btf->lock, NULL);
    btf->base = base;
    btf->first = base ? base->count : 0;
    btf->count = btf->first;
    btf->first_str = base ? base->end_str : 0;
    if (__builtin_add_overflow(btf->first_str, h.str_len, &btf->end_str))
        err = log_fail(log, -E2BIG, "BTF: more than 4 GiB of strings");
    else if (settle(btf, data, &h, swapped, borrow))
        err = log_fail(log, -ENOMEM, "BTF: out of memory for %u bytes of types", h.type_len);
    if (!err)
        err = check_strings(btf, &h, log);
    if (!err)
        err = btf_validate(btf, h.type_len, log);
    if (err)
        btf_free(btf);
    else
        *out = btf;
    return err;
}

void btf_free(struct btf *btf)
{
    if (!btf)
        return;
    btf_index_free(btf);
    pthread_mutex_destroy(&btf->lock);
    free(btf->offs);
    free(btf->sizes);
    free(btf->kinds);
    if (btf->mapped_size)
        munmap(btf->owned, btf->mapped_size);
    else
        free(btf->owned);
    free(btf);
}

int btf_set_datasec(struct btf *btf, uint32_t id, uint32_t size, const uint32_t *offsets, const struct log *log)
{
    struct btf_type *t;
    struct btf_secinfo *s;

    if (id < btf->first || id >= btf->count || btf_kind(btf_at(btf, id)) != BTF_DATASEC || !btf->owned ||
        btf->mapped_size)
        return log_fail(log, -EINVAL, "BTF: type %u is no section that can be filled in", id);
    t = (struct btf_type *)(uintptr_t)btf_at(btf, id);
    s = (struct btf_secinfo *)(t + 1);
    for (unsigned i = 0; i < btf_vlen(t); i++)
        if (offsets[i] > size || s[i].size > size - offsets[i])
            return log_fail(log, -EINVAL, "BTF: section '%.64s': '%.64s' (%u bytes at %u) lies outside of %u bytes",
                            btf_name(btf, id), btf_name(btf, s[i].type), s[i].size, offsets[i], size);
    t->size = size;
    for (unsigned i = 0; i < btf_vlen(t); i++)
        s[i].offset = offsets[i];
    return 0;
}

uint32_t btf_count(const struct btf *btf)
{
    return btf->count;
}

const struct btf_type *btf_type_at(const struct btf *btf, uint32_t id)
{
    return id < btf->count ? btf_at(btf, id) : NULL;
}

bool btf_str_ok(const struct btf *btf, uint32_t off)
{
    return off < btf->end_str;
}

const char *btf_str(const struct btf *btf, uint32_t off)
{
    if (off >= btf->end_str)
        return "";
    while (off < btf->first_str)
        btf = btf->base;
    return btf->strs + (off - btf->first_str);
}

const char *btf_name(const struct btf *btf, uint32_t id)
{
    return id < btf->count ? btf_str(btf, btf_at(btf, id)->name_off) : "";
}

uint32_t btf_resolve(const struct btf *btf, uint32_t id)
{
    if (id >= btf->count)
        return 0;
    for (;;) {
        const struct btf_type *t = btf_at(btf, id);

        if (!btf_is_modifier(btf_kind(t)))
            return id;
        id = t->type;
    }
}

int64_t btf_size(const struct btf *btf, uint32_t id)
{
    const struct btf_type *t = btf_type_at(btf, id);
    uint32_t size;

    if (!t)
        return -1;
    if (btf_kind(t) == BTF_DATASEC)
        return t->size;
    if (btf_kind(t) == BTF_VAR)
        id = t->type;
    size = btf_size_of(btf, id);
    return size == BTF_UNSIZED ? -1 : (int64_t)size;
}

/* Looks at no more than `budget` members, since nested structs multiply. */
static int64_t align_of(const struct btf *btf, uint32_t id, unsigned *budget)
{
    const struct btf_type *t = btf_at(btf, id = btf_resolve(btf, id));
    int64_t align = 1, a;

    switch (btf_kind(t)) {
    case BTF_INT:
    case BTF_ENUM:
    case BTF_ENUM64:
    case BTF_FLOAT:
        if (!t->size)
            return -1;
        /* 16-byte integers too, as in libbpf. */
        return t->size < 8 ? t->size & -t->size : 8;
    case BTF_PTR: return 8;
    case BTF_ARRAY: return align_of(btf, btf_array_of(t)->type, budget);
    case BTF_VAR: return align_of(btf, t->type, budget);
    case BTF_STRUCT:
    case BTF_UNION:
        for (unsigned i = 0; i < btf_vlen(t) && *budget; i++) {
            --*budget;
            a = align_of(btf, btf_members(t)[i].type, budget);
            if (a < 0)
                return a;
            /* A member that stands off its alignment means a packed struct. */
            if (!btf_member_bits(t, i) && btf_member_bit_off(t, i) % (8 * a))
                return 1;
            if (a > align)
                align = a;
        }
        return t->size % align ? 1 : align;
    default: return -1;
    }
}

int64_t btf_align(const struct btf *btf, uint32_t id)
{
    unsigned budget = 1 << 16;

    return id < btf->count ? align_of(btf, id, &budget) : -1;
}
