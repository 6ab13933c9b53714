/* Values to JSON. Every read is checked against the size of the data, and the number of values written is bounded:
 * types without size may stand in arrays of any length. */
#include "vm/btf/show.h"
#include "vm/btf/bits.h"
#include "vm/btf/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_NEST = 56,         /* of JSON, below what the writer takes */
    FREE_VALUES = 1 << 16, /* how many values may be written beside those that the data's size explains */
};

struct shower {
    const struct btf *btf;
    const unsigned char *data;
    size_t size;
    struct json_writer *out;
    uint64_t left; /* values that may still be written */
};

static void show(struct shower *s, uint32_t id, size_t off);

static bool inside(const struct shower *s, size_t off, size_t n)
{
    return off <= s->size && n <= s->size - off;
}

static void show_hex128(struct shower *s, unsigned __int128 v)
{
    char text[40];

    if (v >> 64)
        snprintf(text, sizeof(text), "0x%" PRIx64 "%016" PRIx64, (uint64_t)(v >> 64), (uint64_t)v);
    else
        snprintf(text, sizeof(text), "0x%" PRIx64, (uint64_t)v);
    json_string(s->out, text);
}

static void show_bits(struct shower *s, uint64_t bit_off, unsigned bits)
{
    if (bit_off / 8 >= s->size || (bit_off % 8 + bits + 7) / 8 > s->size - bit_off / 8)
        json_null(s->out);
    else
        show_hex128(s, bits_get(s->data, bit_off, bits));
}

static void show_int(struct shower *s, const struct btf_type *t, size_t off)
{
    uint32_t info = btf_int_info(t), encoding = info >> 24, bits = info & 0xff;
    unsigned __int128 v;

    if (bits != t->size * 8 || info >> 16 & 0xff || bits > 64) {
        show_bits(s, off * 8ull + (info >> 16 & 0xff), bits);
        return;
    }
    v = bits_get(s->data, off * 8ull, bits);
    if (encoding & 4)
        json_bool(s->out, v != 0);
    else if (encoding & 1)
        json_i64(s->out, bits_extend((uint64_t)v, bits));
    else
        json_u64(s->out, (uint64_t)v);
}

static void show_enum(struct shower *s, const struct btf_type *t, size_t off)
{
    uint64_t raw = (uint64_t)bits_get(s->data, off * 8ull, t->size * 8);
    uint64_t mask = t->size < 8 ? (1ull << t->size * 8) - 1 : UINT64_MAX;

    for (unsigned i = 0; i < btf_vlen(t); i++) {
        if ((btf_enum_value(t, i) & mask) == raw) {
            json_string(s->out, btf_str(s->btf, btf_enum_name_off(t, i)));
            return;
        }
    }
    if (btf_kflag(t))
        json_i64(s->out, bits_extend(raw, t->size * 8));
    else
        json_u64(s->out, raw);
}

static void show_float(struct shower *s, const struct btf_type *t, size_t off)
{
    float f;
    double d;

    if (t->size == sizeof(f)) {
        memcpy(&f, s->data + off, sizeof(f));
        json_double(s->out, (double)f);
    } else if (t->size == sizeof(d)) {
        memcpy(&d, s->data + off, sizeof(d));
        json_double(s->out, d);
    } else {
        show_bits(s, off * 8ull, t->size * 8);
    }
}

bool btf_is_char(const struct btf *btf, uint32_t id)
{
    const struct btf_type *t;

    /* A typedef of char is a number to bpftool, such as int8_t. */
    while (btf_is_modifier(btf_kind(t = btf_at(btf, id))) && btf_kind(t) != BTF_TYPEDEF)
        id = t->type;
    return btf_kind(t) == BTF_INT && t->size == 1 &&
           (btf_int_info(t) >> 24 == 2 || !strcmp(btf_str(btf, t->name_off), "char"));
}

/* Is it printable text with a NUL? */
static bool is_text(const unsigned char *p, size_t n, size_t *length)
{
    for (size_t i = 0; i < n; i++) {
        *length = i;
        if (!p[i])
            return true;
        if (p[i] < 0x20 || p[i] > 0x7e)
            return false;
    }
    return false;
}

static void show_array(struct shower *s, const struct btf_array *a, size_t off)
{
    uint32_t elem = btf_size_of(s->btf, a->type);
    size_t length;

    if (btf_is_char(s->btf, a->type) && is_text(s->data + off, a->nelems, &length)) {
        json_string_n(s->out, (const char *)s->data + off, length);
        return;
    }
    json_array_begin(s->out);
    for (uint32_t i = 0; i < a->nelems && s->left; i++)
        show(s, a->type, off + (size_t)i * elem);
    json_array_end(s->out);
}

static void show_struct(struct shower *s, const struct btf_type *t, size_t off)
{
    json_object_begin(s->out);
    for (unsigned i = 0; i < btf_vlen(t) && s->left; i++) {
        const struct btf_member *m = &btf_members(t)[i];
        uint32_t bit_off = btf_member_bit_off(t, i), bits = btf_member_bits(t, i);
        const struct btf_type *mt = btf_at(s->btf, btf_resolve(s->btf, m->type));

        json_name(s->out, btf_str(s->btf, m->name_off));
        /* Before kind_flag an INT of few bits stood for a bitfield and could begin at any bit. */
        if (!bits && bit_off % 8) {
            bits = btf_int_info(mt) & 0xff;
            bit_off += btf_int_info(mt) >> 16 & 0xff;
        }
        if (bits)
            show_bits(s, off * 8ull + bit_off, bits);
        else
            show(s, m->type, off + bit_off / 8);
    }
    json_object_end(s->out);
}

static void show_datasec(struct shower *s, const struct btf_type *t)
{
    const struct btf_secinfo *v = btf_secinfos(t);

    json_object_begin(s->out);
    json_name(s->out, btf_str(s->btf, t->name_off));
    json_array_begin(s->out);
    for (unsigned i = 0; i < btf_vlen(t) && s->left; i++) {
        const struct btf_type *var = btf_at(s->btf, v[i].type);

        json_object_begin(s->out);
        json_name(s->out, btf_str(s->btf, var->name_off));
        if (btf_kind(var) == BTF_VAR)
            show(s, var->type, v[i].offset);
        else
            json_null(s->out);
        json_object_end(s->out);
    }
    json_array_end(s->out);
    json_object_end(s->out);
}

static void show(struct shower *s, uint32_t id, size_t off)
{
    const struct btf_type *t = btf_at(s->btf, id = btf_resolve(s->btf, id));
    int64_t size = btf_size(s->btf, id);

    if (s->left)
        s->left--;
    if (btf_kind(t) == BTF_DATASEC) {
        show_datasec(s, t);
        return;
    }
    if (size < 0 || !inside(s, off, (size_t)size) || s->out->depth > MAX_NEST) {
        json_null(s->out);
        return;
    }
    switch (btf_kind(t)) {
    case BTF_INT: show_int(s, t, off); break;
    case BTF_PTR: json_hex(s->out, (uint64_t)bits_get(s->data, off * 8ull, 64)); break;
    case BTF_ARRAY: show_array(s, btf_array_of(t), off); break;
    case BTF_STRUCT:
    case BTF_UNION: show_struct(s, t, off); break;
    case BTF_ENUM:
    case BTF_ENUM64: show_enum(s, t, off); break;
    case BTF_FLOAT: show_float(s, t, off); break;
    case BTF_VAR: show(s, t->type, off); break;
    default: json_null(s->out); break;
    }
}

void btf_show_json(const struct btf *btf, uint32_t id, const void *data, size_t size, struct json_writer *out)
{
    struct shower s = {.btf = btf, .data = data, .size = size, .out = out};

    /* A union shows the same bytes through each member, so a byte explains more than one value. */
    s.left = FREE_VALUES + 64ull * size;
    if (id < btf->count)
        show(&s, id, 0);
    else
        json_null(out);
}
