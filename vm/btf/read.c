/* JSON to values. Nothing is written past the size of the data; a path of names leads to what a message speaks of. */
#include "vm/btf/bits.h"
#include "vm/btf/show.h"
#include "vm/btf/store.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct reader {
    const struct btf *btf;
    const struct log *log;
    unsigned char *data;
    size_t size;
    const struct btf_read_hooks *hooks; /* NULL: none */
    const struct json_path *top;        /* of the outermost value */
};

static int read_value(const struct reader *r, const struct json_path *at, uint32_t id, const struct json *v,
                      size_t off);

#define refuse(r, at, v, ...) json_refuse((r)->log, at, v, __VA_ARGS__)

static bool inside(const struct reader *r, size_t off, size_t n)
{
    return off <= r->size && n <= r->size - off;
}

static bool is_negative(const struct json *v)
{
    return v->kind == JSON_INT ? v->negative : v->kind == JSON_STRING && v->string[0] == '-';
}

/* More than 64 bits come as hex. */
static bool read_hex128(const struct json *v, unsigned __int128 *out)
{
    unsigned __int128 n = 0;

    if (v->kind != JSON_STRING || v->length < 3 || v->length > 34 || v->string[0] != '0' ||
        (v->string[1] | 0x20) != 'x')
        return false;
    for (const char *s = v->string + 2; s < v->string + v->length; s++) {
        unsigned d = *s >= '0' && *s <= '9' ? (unsigned)(*s - '0') : (unsigned)((*s | 0x20) - 'a' + 10);

        if (d > 15)
            return false;
        n = n << 4 | d;
    }
    *out = n;
    return true;
}

/* Reads an integer into a run of bits. What does not fit is refused; signed ones may be given by their bits too. */
static int read_bits(const struct reader *r, const struct json_path *at, const struct json *v, uint64_t bit_off,
                     unsigned bits, bool is_signed)
{
    unsigned __int128 n;
    uint64_t u;

    if (!inside(r, bit_off / 8, (bit_off % 8 + bits + 7) / 8))
        return refuse(r, at, v, "lies past the value's %zu bytes", r->size);
    if (v->kind == JSON_BOOL) {
        n = v->boolean;
    } else if (json_as_u64(v, &u)) {
        n = is_negative(v) ? (unsigned __int128)(__int128)(int64_t)u : u;
        if (is_negative(v) && (!is_signed || (bits <= 64 && bits_extend(u, bits) != (int64_t)u)))
            return refuse(r, at, v, "%" PRId64 " does not fit into %u %s bits", (int64_t)u, bits,
                          is_signed ? "signed" : "unsigned");
        if (!is_negative(v) && bits < 64 && u >> bits)
            return refuse(r, at, v, "%" PRIu64 " does not fit into %u bits", u, bits);
    } else if (!read_hex128(v, &n) || (bits < 128 && n >> bits)) {
        return refuse(r, at, v, "an integer of %u bits was expected", bits);
    }
    bits_set(r->data, bit_off, bits, n);
    return 0;
}

static int read_enum(const struct reader *r, const struct json_path *at, const struct btf_type *t, const struct json *v,
                     uint64_t bit_off, unsigned bits)
{
    if (v->kind == JSON_STRING) {
        for (unsigned i = 0; i < btf_vlen(t); i++) {
            if (!strcmp(btf_str(r->btf, btf_enum_name_off(t, i)), v->string)) {
                if (!inside(r, bit_off / 8, (bit_off % 8 + bits + 7) / 8))
                    return refuse(r, at, v, "lies past the value's %zu bytes", r->size);
                bits_set(r->data, bit_off, bits, btf_enum_value(t, i));
                return 0;
            }
        }
    }
    return read_bits(r, at, v, bit_off, bits, btf_kflag(t));
}

static int read_float(const struct reader *r, const struct json_path *at, const struct btf_type *t,
                      const struct json *v, size_t off)
{
    double d;
    float f;

    if (t->size != sizeof(f) && t->size != sizeof(d))
        return read_bits(r, at, v, off * 8ull, t->size * 8, true);
    if (v->kind != JSON_INT && v->kind != JSON_DOUBLE)
        return refuse(r, at, v, "a number was expected");
    d = v->number;
    f = (float)d;
    if (t->size == sizeof(f))
        memcpy(r->data + off, &f, sizeof(f));
    else
        memcpy(r->data + off, &d, sizeof(d));
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Two digits a byte, with or without 0x before all and colons or spaces between. */
static int read_hex_bytes(const struct reader *r, const struct json_path *at, const struct json *v, size_t off,
                          size_t n)
{
    const char *s = v->string, *end = s + v->length;
    size_t i = 0;

    if (v->length > 2 && s[0] == '0' && (s[1] | 0x20) == 'x')
        s += 2;
    while (s < end) {
        int high = hex_digit(s[0]), low = end - s > 1 ? hex_digit(s[1]) : -1;

        if (high < 0 || low < 0)
            return refuse(r, at, v, "bytes as hex were expected, two digits each");
        if (i == n)
            return refuse(r, at, v, "more than %zu bytes", n);
        r->data[off + i++] = (unsigned char)(high << 4 | low);
        s += 2;
        if (s < end && (*s == ':' || *s == ' '))
            s++;
    }
    return 0;
}

static int read_array(const struct reader *r, const struct json_path *at, const struct btf_array *a,
                      const struct json *v, size_t off)
{
    uint32_t elem = btf_size_of(r->btf, a->type);

    if (v->kind == JSON_STRING && btf_is_char(r->btf, a->type)) {
        if (v->length > a->nelems)
            return refuse(r, at, v, "%zu bytes of text do not fit into %u", v->length, a->nelems);
        memcpy(r->data + off, v->string, v->length);
        return 0;
    }
    if (v->kind == JSON_STRING && elem == 1)
        return read_hex_bytes(r, at, v, off, a->nelems);
    if (v->kind != JSON_ARRAY)
        return refuse(r, at, v, "an array was expected");
    if (v->length > a->nelems)
        return refuse(r, at, v, "%zu elements do not fit into %u", v->length, a->nelems);
    for (size_t i = 0; i < v->length; i++) {
        struct json_path here = {.up = at, .index = i};
        int err = read_value(r, &here, a->type, v->items[i], off + i * elem);

        if (err)
            return err;
    }
    return 0;
}

static int read_member(const struct reader *r, const struct json_path *at, const struct btf_type *t, unsigned i,
                       const struct json *v, size_t off)
{
    const struct btf_member *m = &btf_members(t)[i];
    uint32_t bit_off = btf_member_bit_off(t, i), bits = btf_member_bits(t, i);
    const struct btf_type *mt = btf_at(r->btf, btf_resolve(r->btf, m->type));

    if (!bits && bit_off % 8) {
        bits = btf_int_info(mt) & 0xff;
        bit_off += btf_int_info(mt) >> 16 & 0xff;
    }
    if (!bits)
        return read_value(r, at, m->type, v, off + bit_off / 8);
    if (btf_kind(mt) == BTF_ENUM || btf_kind(mt) == BTF_ENUM64)
        return read_enum(r, at, mt, v, off * 8ull + bit_off, bits);
    return read_bits(r, at, v, off * 8ull + bit_off, bits, btf_kind(mt) == BTF_INT && btf_int_info(mt) >> 24 & 1);
}

/* A member by name: the struct that holds it (t or an anonymous member of it), its index, and where that struct begins.
 */
struct found {
    const struct btf_type *t;
    unsigned i;
    size_t off;
};

/* Looks from member `from` on and round, so that members in order are found at once. */
static bool find_member(const struct reader *r, const struct btf_type *t, const char *name, unsigned from, size_t off,
                        unsigned *budget, struct found *out, unsigned *top)
{
    unsigned n = btf_vlen(t);

    for (unsigned k = 0; k < n && *budget; k++) {
        unsigned i = (from + k) % n;
        const struct btf_member *m = &btf_members(t)[i];
        const struct btf_type *mt;
        unsigned ignored;

        --*budget;
        *top = i;
        if (!strcmp(btf_str(r->btf, m->name_off), name)) {
            *out = (struct found){t, i, off};
            return true;
        }
        mt = btf_at(r->btf, btf_resolve(r->btf, m->type));
        if (!*btf_str(r->btf, m->name_off) && *name && (btf_kind(mt) == BTF_STRUCT || btf_kind(mt) == BTF_UNION) &&
            find_member(r, mt, name, 0, off + btf_member_bit_off(t, i) / 8, budget, out, &ignored))
            return true;
    }
    return false;
}

static int read_struct(const struct reader *r, const struct json_path *at, const struct btf_type *t,
                       const struct json *v, size_t off)
{
    unsigned from = 0;

    if (v->kind != JSON_OBJECT)
        return refuse(r, at, v, "an object was expected");
    for (size_t i = 0; i < v->length; i++) {
        struct json_path here = {.up = at, .name = v->names[i]};
        unsigned budget = 1 << 20, top = 0;
        struct found f;
        int err;

        if (r->hooks && at == r->top && r->hooks->passes && r->hooks->passes(r->hooks->ctx, v->names[i]))
            continue;
        if (!find_member(r, t, v->names[i], from, off, &budget, &f, &top))
            return refuse(r, &here, v->items[i], "'%.64s' has no such member",
                          *btf_str(r->btf, t->name_off) ? btf_str(r->btf, t->name_off) : "the struct");
        err = read_member(r, &here, f.t, f.i, v->items[i], f.off);
        if (err)
            return err;
        /* The next member named "" is the next anonymous one. */
        from = top + 1;
    }
    return 0;
}

static int read_var(const struct reader *r, const struct json_path *at, const struct btf_type *t, const char *name,
                    const struct json *v)
{
    const struct btf_secinfo *s = btf_secinfos(t);
    struct json_path here = {.up = at, .name = name};

    for (unsigned i = 0; i < btf_vlen(t); i++) {
        const struct btf_type *var = btf_at(r->btf, s[i].type);

        if (btf_kind(var) == BTF_VAR && !strcmp(btf_str(r->btf, var->name_off), name))
            return read_value(r, &here, var->type, v, s[i].offset);
    }
    return refuse(r, &here, v, "section '%.64s' has no such variable", btf_str(r->btf, t->name_off));
}

/* {".data": [{"a": 1}, {"b": 2}]}, or {"a": 1, "b": 2}, or a list of such. */
static int read_datasec(const struct reader *r, const struct json_path *at, const struct btf_type *t,
                        const struct json *v)
{
    const struct json *list = json_get(v, btf_str(r->btf, t->name_off));
    int err = 0;

    if (list)
        v = list;
    if (v->kind == JSON_OBJECT) {
        for (size_t i = 0; !err && i < v->length; i++)
            err = read_var(r, at, t, v->names[i], v->items[i]);
        return err;
    }
    if (v->kind != JSON_ARRAY)
        return refuse(r, at, v, "an object of variables was expected");
    for (size_t i = 0; !err && i < v->length; i++) {
        if (v->items[i]->kind != JSON_OBJECT)
            return refuse(r, at, v->items[i], "an object of variables was expected");
        for (size_t k = 0; !err && k < v->items[i]->length; k++)
            err = read_var(r, at, t, v->items[i]->names[k], v->items[i]->items[k]);
    }
    return err;
}

/* bpftool's raw bytes: an array of exactly size strings. */
static bool is_raw(const struct json *v, size_t size)
{
    if (v->kind != JSON_ARRAY || v->length != size || !size)
        return false;
    for (size_t i = 0; i < v->length; i++)
        if (v->items[i]->kind != JSON_STRING || strncmp(v->items[i]->string, "0x", 2))
            return false;
    return true;
}

static int read_raw(const struct reader *r, const struct json_path *at, const struct json *v, size_t off)
{
    for (size_t i = 0; i < v->length; i++) {
        struct json_path here = {.up = at, .index = i};
        int err = read_bits(r, &here, v->items[i], (off + i) * 8ull, 8, false);

        if (err)
            return err;
    }
    return 0;
}

static int read_value(const struct reader *r, const struct json_path *at, uint32_t id, const struct json *v, size_t off)
{
    const struct btf_type *t = btf_at(r->btf, id = btf_resolve(r->btf, id));
    int64_t size = btf_size(r->btf, id);
    uint32_t info;

    if (v->kind == JSON_NULL)
        return 0;
    if (r->hooks && r->hooks->value) {
        int done = r->hooks->value(r->hooks->ctx, at, id, v, off);

        if (done)
            return done < 0 ? done : 0;
    }
    if (btf_kind(t) == BTF_VAR)
        return read_value(r, at, t->type, v, off);
    if (size < 0)
        return refuse(r, at, v, "nothing of this type can be set");
    if (!inside(r, off, (size_t)size))
        return refuse(r, at, v, "lies past the value's %zu bytes", r->size);
    if (btf_kind(t) != BTF_ARRAY && is_raw(v, (size_t)size))
        return read_raw(r, at, v, off);
    switch (btf_kind(t)) {
    case BTF_INT:
        info = btf_int_info(t);
        return read_bits(r, at, v, off * 8ull + (info >> 16 & 0xff), info & 0xff, info >> 24 & 1);
    case BTF_PTR: return read_bits(r, at, v, off * 8ull, 64, false);
    case BTF_ARRAY: return read_array(r, at, btf_array_of(t), v, off);
    case BTF_STRUCT:
    case BTF_UNION: return read_struct(r, at, t, v, off);
    case BTF_ENUM:
    case BTF_ENUM64: return read_enum(r, at, t, v, off * 8ull, t->size * 8);
    case BTF_FLOAT: return read_float(r, at, t, v, off);
    case BTF_DATASEC: return read_datasec(r, at, t, v);
    default: return refuse(r, at, v, "nothing of this type can be set");
    }
}

int btf_read_json_at(const struct btf *btf, uint32_t id, const struct json *value, const struct json_path *at,
                     void *data, size_t size, const struct btf_read_hooks *hooks, const struct log *log)
{
    struct reader r = {.btf = btf, .log = log, .data = data, .size = size, .hooks = hooks, .top = at};

    if (id >= btf->count)
        return log_fail(log, -EINVAL, "BTF: there is no type %u", id);
    return read_value(&r, at, id, value, 0);
}

int btf_read_json(const struct btf *btf, uint32_t id, const struct json *value, void *data, size_t size,
                  const struct log *log)
{
    memset(data, 0, size);
    return btf_read_json_at(btf, id, value, NULL, data, size, NULL, log);
}
