/* BTF made by hand, for tests: types are numbered from 1 (or from the base's end) in the order in which they are added.
 */
#ifndef TESTS_UNIT_BTF_MAKE_H
#define TESTS_UNIT_BTF_MAKE_H

#include "base/buf.h"
#include "vm/btf/btf.h"

#include <byteswap.h>
#include <string.h>

struct make {
    struct buf types, strs;
    uint32_t next;     /* id of the next type */
    uint32_t str_base; /* strings of the base */
};

struct make_member {
    const char *name;
    uint32_t type, bit_off, bits;
};

struct make_value {
    const char *name;
    int64_t value;
};

struct make_header {
    uint16_t magic;
    uint8_t version, flags;
    uint32_t hdr_len, type_off, type_len, str_off, str_len;
};

__attribute__((unused)) static struct make make_new(void)
{
    struct make m = {.next = 1};

    buf_putc(&m.strs, 0);
    return m;
}

__attribute__((unused)) static struct make make_split(const struct btf *base, uint32_t base_strs)
{
    return (struct make){.next = btf_count(base), .str_base = base_strs};
}

__attribute__((unused)) static uint32_t make_str(struct make *m, const char *s)
{
    uint32_t off = m->str_base + (uint32_t)m->strs.len;

    if (!s || !*s)
        return 0;
    buf_add(&m->strs, s, strlen(s) + 1);
    return off;
}

static void make_word(struct make *m, uint32_t v)
{
    buf_add(&m->types, &v, sizeof(v));
}

static uint32_t make_head(struct make *m, unsigned kind, const char *name, unsigned vlen, bool kflag, uint32_t size)
{
    make_word(m, make_str(m, name));
    make_word(m, kind << 24 | vlen | (uint32_t)kflag << 31);
    make_word(m, size);
    return m->next++;
}

/* PTR, TYPEDEF, CONST, VOLATILE, RESTRICT, TYPE_TAG, FUNC, FWD (kflag as given through `to` 1: union) */
__attribute__((unused)) static uint32_t make_ref(struct make *m, unsigned kind, const char *name, uint32_t to)
{
    return make_head(m, kind, name, 0, false, to);
}

__attribute__((unused)) static uint32_t make_fwd(struct make *m, const char *name, bool is_union)
{
    return make_head(m, BTF_FWD, name, 0, is_union, 0);
}

__attribute__((unused)) static uint32_t make_int(struct make *m, const char *name, uint32_t size, unsigned encoding)
{
    uint32_t id = make_head(m, BTF_INT, name, 0, false, size);

    make_word(m, encoding << 24 | size * 8);
    return id;
}

__attribute__((unused)) static uint32_t make_array(struct make *m, uint32_t elem, uint32_t n)
{
    uint32_t id = make_head(m, BTF_ARRAY, NULL, 0, false, 0);

    make_word(m, elem);
    make_word(m, elem);
    make_word(m, n);
    return id;
}

__attribute__((unused)) static uint32_t make_struct(struct make *m, unsigned kind, const char *name, uint32_t size,
                                                    const struct make_member *members, unsigned n)
{
    uint32_t id, names[64];
    bool kflag = false;

    for (unsigned i = 0; i < n; i++) {
        names[i] = make_str(m, members[i].name);
        kflag |= members[i].bits != 0;
    }
    id = make_head(m, kind, name, n, kflag, size);
    for (unsigned i = 0; i < n; i++) {
        make_word(m, names[i]);
        make_word(m, members[i].type);
        make_word(m, members[i].bit_off | (kflag ? members[i].bits << 24 : 0));
    }
    return id;
}

__attribute__((unused)) static uint32_t make_enum(struct make *m, unsigned kind, const char *name, uint32_t size,
                                                  bool is_signed, const struct make_value *values, unsigned n)
{
    uint32_t id, names[64];

    for (unsigned i = 0; i < n; i++)
        names[i] = make_str(m, values[i].name);
    id = make_head(m, kind, name, n, is_signed, size);
    for (unsigned i = 0; i < n; i++) {
        make_word(m, names[i]);
        make_word(m, (uint32_t)values[i].value);
        if (kind == BTF_ENUM64)
            make_word(m, (uint32_t)((uint64_t)values[i].value >> 32));
    }
    return id;
}

__attribute__((unused)) static uint32_t make_proto(struct make *m, uint32_t ret, const struct make_member *params,
                                                   unsigned n)
{
    uint32_t id, names[64];

    for (unsigned i = 0; i < n; i++)
        names[i] = make_str(m, params[i].name);
    id = make_head(m, BTF_FUNC_PROTO, NULL, n, false, ret);
    for (unsigned i = 0; i < n; i++) {
        make_word(m, names[i]);
        make_word(m, params[i].type);
    }
    return id;
}

__attribute__((unused)) static uint32_t make_tagged(struct make *m, unsigned kind, const char *name, uint32_t to,
                                                    uint32_t extra)
{
    uint32_t id = make_head(m, kind, name, 0, false, to);

    make_word(m, extra); /* VAR: linkage; DECL_TAG: component */
    return id;
}

/* name is unused: variables have their own; bit_off is the offset in bytes, bits the size in bytes. */
__attribute__((unused)) static uint32_t make_datasec(struct make *m, const char *name, uint32_t size,
                                                     const struct make_member *vars, unsigned n)
{
    uint32_t id = make_head(m, BTF_DATASEC, name, n, false, size);

    for (unsigned i = 0; i < n; i++) {
        make_word(m, vars[i].type);
        make_word(m, vars[i].bit_off);
        make_word(m, vars[i].bits);
    }
    return id;
}

/* Puts it all together and gives the parts back. */
__attribute__((unused)) static void make_done(struct make *m, struct buf *out)
{
    struct make_header h = {.magic = 0xeb9f, .version = 1, .hdr_len = sizeof(h)};

    h.type_len = (uint32_t)m->types.len;
    h.str_off = h.type_len;
    h.str_len = (uint32_t)m->strs.len;
    buf_add(out, &h, sizeof(h));
    buf_add(out, m->types.data, m->types.len);
    buf_add(out, m->strs.data, m->strs.len);
    buf_free(&m->types);
    buf_free(&m->strs);
}

/* Turns finished BTF into the other byte order. */
__attribute__((unused)) static void make_swap(struct buf *b)
{
    struct make_header *h = (struct make_header *)(void *)b->data;
    uint32_t *words = (uint32_t *)(void *)(b->data + sizeof(*h)), n = h->type_len / 4;

    while (n--) {
        *words = bswap_32(*words);
        words++;
    }
    words = &h->hdr_len;
    for (int i = 0; i < 5; i++)
        words[i] = bswap_32(words[i]);
    h->magic = bswap_16(h->magic);
}

#endif
