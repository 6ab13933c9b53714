/*
 * Text into a variable. A `struct place` is a part of a value: where it begins in bits, how wide it is when it is a
 * bitfield, and its type with typedefs and modifiers followed. It always lies inside the value, since every step takes
 * a member or an element whose end is compared with the value's size.
 */
#include "api/object.h"
#include "vm/btf/show.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

struct place {
    uint32_t type; /* resolved; 0: unknown, an integer of `size` bytes */
    uint64_t bit_off;
    uint32_t bits; /* of a bitfield, 0: none */
    uint64_t size; /* bytes, of what is no bitfield */
};

struct setting {
    const struct btf *btf;
    const char *name;
    const struct log *log;
    size_t size; /* of the variable */
};

/* ---- Following a path ---- */

static int step_into(const struct setting *s, struct place *at, uint32_t type, uint64_t bit_off, uint32_t bits)
{
    int64_t size = btf_size(s->btf, type);
    uint64_t end = bit_off + (bits ? bits : (uint64_t)(size < 0 ? 0 : size) * 8);
    if (size < 0 || end > (uint64_t)s->size * 8)
        return log_fail(s->log, -EINVAL, "variable '%s': a part lies outside it", s->name);
    *at = (struct place){.type = btf_resolve(s->btf, type), .bit_off = bit_off, .bits = bits, .size = (uint64_t)size};
    return 0;
}

/* Finds a member, also inside anonymous structs and unions. @return 1 found, 0 not, or an error. */
static int find_member(const struct setting *s, struct place *at, const char *name, size_t len, unsigned depth)
{
    const struct btf_type *t = btf_type_at(s->btf, at->type);
    const struct btf_member *m = btf_members(t);
    struct place from = *at;
    for (unsigned i = 0; i < btf_vlen(t); i++) {
        const char *have = btf_str(s->btf, m[i].name_off);
        bool same = strlen(have) == len && !memcmp(have, name, len);
        uint32_t inner = btf_resolve(s->btf, m[i].type);
        unsigned kind = btf_kind(btf_type_at(s->btf, inner));
        if (!same && (*have || (kind != BTF_STRUCT && kind != BTF_UNION) || depth > 16))
            continue;
        int err = step_into(s, at, m[i].type, from.bit_off + btf_member_bit_off(t, i), btf_member_bits(t, i));
        if (!err)
            err = same ? 1 : find_member(s, at, name, len, depth + 1);
        if (err)
            return err;
        *at = from;
    }
    return 0;
}

static int step_member(const struct setting *s, struct place *at, const char **path)
{
    const char *name = *path + 1;
    size_t len = strcspn(name, ".[");
    const struct btf_type *t = at->type ? btf_type_at(s->btf, at->type) : NULL;
    if (!t || (btf_kind(t) != BTF_STRUCT && btf_kind(t) != BTF_UNION))
        return log_fail(s->log, -EINVAL, "variable '%s': what comes before '.%.*s' is no struct", s->name, (int)len,
                        name);
    int found = find_member(s, at, name, len, 0);
    if (found <= 0)
        return found ? found
                     : log_fail(s->log, -ENOENT, "variable '%s': struct %s has no member '%.*s'", s->name,
                                btf_name(s->btf, at->type), (int)len, name);
    *path = name + len;
    return 0;
}

static int step_element(const struct setting *s, struct place *at, const char **path)
{
    const struct btf_type *t = at->type ? btf_type_at(s->btf, at->type) : NULL;
    char *end;
    if (!t || btf_kind(t) != BTF_ARRAY)
        return log_fail(s->log, -EINVAL, "variable '%s': what comes before '%s' is no array", s->name, *path);
    const struct btf_array *a = btf_array_of(t);
    errno = 0;
    unsigned long long index = strtoull(*path + 1, &end, 0);
    if (!isdigit((unsigned char)(*path)[1]) || *end != ']' || errno)
        return log_fail(s->log, -EINVAL, "variable '%s': '%s' does not begin with an index", s->name, *path);
    if (index >= a->nelems)
        return log_fail(s->log, -EINVAL, "variable '%s': index %llu is outside the array's %u elements", s->name, index,
                        a->nelems);
    int64_t size = btf_size(s->btf, a->type);
    *path = end + 1;
    return step_into(s, at, a->type, at->bit_off + index * (uint64_t)(size < 0 ? 0 : size) * 8, 0);
}

static int follow(const struct setting *s, struct place *at, const char *path)
{
    int err = 0;
    while (*path && !err) {
        if (*path != '.' && *path != '[')
            return log_fail(s->log, -EINVAL, "variable '%s': expected '.' or '[' at '%s'", s->name, path);
        err = *path == '.' ? step_member(s, at, &path) : step_element(s, at, &path);
    }
    return err;
}

/* ---- Numbers ---- */

static bool parse_number(const char *text, bool *negative, uint64_t *out)
{
    char *end;
    if (text[0] == '\'' && text[1] && text[2] == '\'' && !text[3]) {
        *negative = false;
        *out = (unsigned char)text[1];
        return true;
    }
    *negative = *text == '-';
    if (!isdigit((unsigned char)text[*negative]))
        return false;
    errno = 0;
    uint64_t v = strtoull(text + *negative, &end, 0);
    *out = *negative ? -v : v;
    return !*end && !errno && (!*negative || v <= (uint64_t)INT64_MAX + 1);
}

static bool parse_enumerator(const struct btf *btf, uint32_t type, const char *text, bool *negative, uint64_t *out)
{
    const struct btf_type *t = btf_type_at(btf, type);
    bool is_signed = btf_kflag(t);
    for (unsigned i = 0; i < btf_vlen(t); i++) {
        bool wide = btf_kind(t) == BTF_ENUM64;
        uint32_t name = wide ? btf_enums64(t)[i].name_off : btf_enums(t)[i].name_off;
        if (strcmp(btf_str(btf, name), text))
            continue;
        if (wide)
            *out = (uint64_t)btf_enums64(t)[i].val_hi32 << 32 | btf_enums64(t)[i].val_lo32;
        else
            *out = is_signed ? (uint64_t)(int64_t)btf_enums(t)[i].val : (uint32_t)btf_enums(t)[i].val;
        *negative = is_signed && (int64_t)*out < 0;
        return true;
    }
    return false;
}

/* A number fits when it can be read back as what was written, signed or not: -1 and 255 both fit a byte. */
static bool fits(uint64_t v, bool negative, unsigned bits)
{
    if (bits >= 64)
        return true;
    return negative ? (int64_t)v >= -(1ll << (bits - 1)) : v < 1ull << bits;
}

/* Little-endian bit order, as BTF's offsets count; on big-endian hosts whole bytes alone are reversed. */
static void store(void *data, const struct place *at, uint64_t v)
{
    unsigned bits = at->bits ? at->bits : (unsigned)at->size * 8;
    unsigned char *bytes = data;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (unsigned i = 0; i < bits; i++, v >>= 1) {
        uint64_t bit = at->bit_off + bits - 1 - i;
        unsigned char mask = 0x80 >> bit % 8;
        bytes[bit / 8] = v & 1 ? bytes[bit / 8] | mask : bytes[bit / 8] & ~mask;
    }
#else
    for (unsigned i = 0; i < bits; i++, v >>= 1) {
        uint64_t bit = at->bit_off + i;
        unsigned char mask = 1u << bit % 8;
        bytes[bit / 8] = v & 1 ? bytes[bit / 8] | mask : bytes[bit / 8] & ~mask;
    }
#endif
}

static bool is_bool(const struct btf *btf, uint32_t type)
{
    enum { INT_BOOL = 4 };
    const struct btf_type *t = type ? btf_type_at(btf, type) : NULL;
    return t && btf_kind(t) == BTF_INT && btf_int_info(t) >> 24 & INT_BOOL;
}

static int set_number(const struct setting *s, const struct place *at, const char *text, void *data)
{
    unsigned kind = at->type ? btf_kind(btf_type_at(s->btf, at->type)) : BTF_INT;
    unsigned bits = at->bits ? at->bits : (unsigned)(at->size * 8);
    bool negative = false, ok;
    uint64_t v = 0;
    if (is_bool(s->btf, at->type) && (!strcmp(text, "true") || !strcmp(text, "false"))) {
        v = *text == 't';
        ok = true;
    } else {
        ok = parse_number(text, &negative, &v) ||
             ((kind == BTF_ENUM || kind == BTF_ENUM64) && parse_enumerator(s->btf, at->type, text, &negative, &v));
    }
    if (!ok)
        return log_fail(s->log, -EINVAL, "variable '%s' takes a number%s, not '%s'", s->name,
                        kind == BTF_ENUM || kind == BTF_ENUM64 ? " or the name of an enumerator" : "", text);
    if (!bits || bits > 64)
        return log_fail(s->log, -EINVAL, "variable '%s' has %llu bytes, which no number fills", s->name,
                        (unsigned long long)at->size);
    if (is_bool(s->btf, at->type) ? v > 1 : !fits(v, negative, bits))
        return log_fail(s->log, -ERANGE, "variable '%s': %s does not fit %u bits", s->name, text,
                        is_bool(s->btf, at->type) ? 1 : bits);
    store(data, at, v);
    return 0;
}

static int set_float(const struct setting *s, const struct place *at, const char *text, void *data)
{
    char *end;
    double d = strtod(text, &end);
    float f = (float)d;
    if (!*text || *end || (at->size != 4 && at->size != 8))
        return log_fail(s->log, -EINVAL, "variable '%s' takes a number, not '%s'", s->name, text);
    memcpy((char *)data + at->bit_off / 8, at->size == 4 ? (void *)&f : (void *)&d, at->size);
    return 0;
}

/* ---- Strings, structs, arrays ---- */

static bool is_char_array(const struct btf *btf, uint32_t type)
{
    const struct btf_type *t = type ? btf_type_at(btf, type) : NULL;
    if (!t || btf_kind(t) != BTF_ARRAY)
        return false;
    uint32_t elem = btf_resolve(btf, btf_array_of(t)->type);
    const struct btf_type *e = btf_type_at(btf, elem);
    return btf_kind(e) == BTF_INT && btf_size(btf, elem) == 1 && !is_bool(btf, elem);
}

static int set_string(const struct setting *s, const struct place *at, const char *text, void *data)
{
    size_t len = strlen(text);
    unsigned char *to = (unsigned char *)data + at->bit_off / 8;
    if (len > at->size)
        return log_fail(s->log, -ERANGE, "variable '%s': a text of %zu bytes does not fit %llu", s->name, len,
                        (unsigned long long)at->size);
    memset(to, 0, at->size);
    memcpy(to, text, len);
    return 0;
}

static int set_json(const struct setting *s, const struct place *at, const char *text, void *data)
{
    struct arena arena = {.limit = 64 << 20};
    const struct json *value;
    unsigned char *tmp = calloc(1, at->size ? at->size : 1);
    int err = tmp ? json_parse(&arena, text, strlen(text), s->log, &value) : -ENOMEM;
    if (!err)
        err = btf_read_json(s->btf, at->type, value, tmp, at->size, s->log);
    if (!err)
        memcpy((unsigned char *)data + at->bit_off / 8, tmp, at->size);
    free(tmp);
    arena_free(&arena);
    return err;
}

static int set_place(const struct setting *s, const struct place *at, const char *text, void *data)
{
    switch (at->type ? btf_kind(btf_type_at(s->btf, at->type)) : BTF_INT) {
    case BTF_FLOAT: return set_float(s, at, text, data);
    case BTF_ARRAY:
        /* '[' begins a list of numbers and '"' a quoted string; anything else is the string itself. */
        if (is_char_array(s->btf, at->type) && *text != '[' && *text != '"')
            return set_string(s, at, text, data);
        return set_json(s, at, text, data);
    case BTF_STRUCT:
    case BTF_UNION: return set_json(s, at, text, data);
    default: return set_number(s, at, text, data);
    }
}

int value_set(const struct btf *btf, uint32_t type, const char *name, const char *path, const char *text, void *data,
              size_t size, const struct log *log)
{
    struct setting s = {.btf = btf, .name = name, .log = log, .size = size};
    struct place at = {.size = size};
    if (btf && type) {
        int err = step_into(&s, &at, type, 0, 0);
        if (!err)
            err = follow(&s, &at, path);
        return err ? err : set_place(&s, &at, text, data);
    }
    if (*path)
        return log_fail(log, -EINVAL, "variable '%s' has no type information that '%s' could be looked up in", name,
                        path);
    return set_place(&s, &at, text, data);
}
