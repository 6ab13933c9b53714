/*
 * Linux's way to show a value walks it twice: structs and arrays inside of it are looked through for something that is
 * not zero, and shown when there is. One walk does both here: while `looking` is set nothing is written, and `shown` is
 * the greatest depth at which something was, or would have been.
 *
 * The value is read in windows of 32 bytes, since only what is read can be missing: the window moves when less than 16
 * bytes of it, or than the part that is wanted, are left.
 */
#include "vm/btf/kernel_show.h"
#include "vm/btf/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { WINDOW = 32, BASE = 16, NAME = 80, MAX_NEST = 10, MAX_INDENT = 32, MAX_PARTS = 1 << 20 };

struct show {
    const struct btf *btf;
    const struct kernel_show_to *to;
    unsigned flags, depth, looking, shown; /* looking: the depth that began it, +1; 0: everything is written */
    uint32_t parts, nested;
    int status;
    uint32_t id;                     /* the type that is shown, modifiers and all; 0: none */
    const struct btf_member *member; /* the member that it is */
    bool element;                    /* it is an array's, or inside one: nothing has a name there */
    bool chars, ended;               /* the array is text; its end was seen */
    uint64_t head, size, window;
    unsigned char bytes[2 * WINDOW]; /* what is looked at may reach past the window: zeroes */
};

static void put(struct show *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct show *s, const char *fmt, ...)
{
    char text[NAME + 1024];
    va_list ap;
    int len;

    if (s->looking)
        return;
    va_start(ap, fmt);
    len = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (len > 0)
        s->to->put(s->to->ctx, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
}

/* ---- Names ---- */

static uint32_t skip_qualifiers(const struct btf *btf, uint32_t id)
{
    for (unsigned i = 0; i < BTF_MAX_DEPTH; i++) {
        unsigned kind = btf_kind_of(btf, id);

        if (kind != BTF_CONST && kind != BTF_VOLATILE && kind != BTF_RESTRICT && kind != BTF_TYPE_TAG)
            break;
        id = btf_at(btf, id)->type;
    }
    return id;
}

/* What a declaration is made of. */
struct declared {
    uint32_t id; /* what is left without typedefs, pointers and arrays */
    const char *name;
    bool is_typedef, is_array, is_pointer;
    unsigned stars, brackets;
};

/* @return false: it nests more than Linux follows. */
static bool declare(const struct btf *btf, uint32_t id, struct declared *d)
{
    memset(d, 0, sizeof(*d));
    for (unsigned i = 0; i < MAX_NEST; i++) {
        const struct btf_type *t = btf_at(btf, id);
        uint32_t next = 0;

        d->id = id;
        switch (btf_kind(t)) {
        case BTF_TYPEDEF:
            d->name = d->name ? d->name : btf_str(btf, t->name_off);
            d->is_typedef = true;
            next = t->type;
            break;
        case BTF_ARRAY:
            d->is_array = true;
            d->brackets++;
            next = btf_array_of(t)->type;
            break;
        case BTF_PTR:
            d->is_pointer = true;
            d->stars++;
            next = t->type;
            break;
        default: break;
        }
        if (!next) {
            d->name = d->name ? d->name : btf_str(btf, t->name_off);
            return true;
        }
        id = skip_qualifiers(btf, next);
    }
    return false;
}

static const char *name_of(const struct show *s, char *text)
{
    static const char stars[] = "**********", brackets[] = "[][][][][][][][][][]";
    const char *member = s->member ? btf_str(s->btf, s->member->name_off) : "", *prefix = "", *opens = "";
    struct declared d;
    unsigned kind;

    *text = 0;
    if (s->element || !declare(s->btf, s->member ? s->member->type : s->id, &d))
        return text;
    kind = btf_kind_of(s->btf, d.id);
    if (kind == BTF_STRUCT || kind == BTF_UNION) {
        prefix = kind == BTF_STRUCT ? "struct" : "union";
        opens = "{";
    } else if (kind == BTF_ENUM || kind == BTF_ENUM64) {
        prefix = "enum";
    }
    if (d.is_array)
        opens = "[";
    if (d.is_pointer)
        opens = "";
    if (d.is_typedef)
        prefix = "";
    if (s->flags & KERNEL_SHOW_NONAME)
        snprintf(text, NAME, "%s", opens);
    else
        snprintf(text, NAME, "%s%s%s(%s%s%s%s%.*s%.*s)%s", *member ? "." : "", member, *member ? " = " : "", prefix,
                 *prefix && *d.name ? " " : "", d.name, d.stars ? " " : "", (int)d.stars, stars, (int)d.brackets * 2,
                 brackets, opens);
    return text;
}

static int indent_of(const struct show *s)
{
    return s->flags & KERNEL_SHOW_COMPACT ? 0 : s->depth < MAX_INDENT ? (int)s->depth : MAX_INDENT;
}

static const char *newline_of(const struct show *s)
{
    return s->flags & KERNEL_SHOW_COMPACT ? "" : "\n";
}

static const char *comma_of(const struct show *s)
{
    if (!s->depth)
        return "";
    return s->flags & KERNEL_SHOW_COMPACT && s->id && btf_kind_of(s->btf, btf_resolve(s->btf, s->id)) == BTF_UNION
               ? "|"
               : ",";
}

static void put_value(struct show *s, bool zero, const char *text)
{
    char name[NAME];

    if (zero && !(s->flags & KERNEL_SHOW_ZERO) && s->depth)
        return;
    put(s, "%*s%s%s%s%s", indent_of(s), "", name_of(s, name), text, comma_of(s), newline_of(s));
    if (s->depth > s->shown)
        s->shown = s->depth;
}

/* ---- Reading ---- */

/* Begins a value. @return what stands there, at least 16 bytes or all of it; NULL: it is not there. */
static const unsigned char *begin(struct show *s, uint32_t id, uint64_t addr)
{
    int64_t size = btf_size(s->btf, id);
    uint64_t wanted = size < BASE ? (uint64_t)size : BASE, left;

    s->id = id;
    if (++s->parts > MAX_PARTS)
        s->status = -E2BIG;
    if (s->status == -E2BIG)
        return NULL;
    if (size < 0) {
        s->status = -EINVAL;
        return NULL;
    }
    if (!s->depth) {
        s->size = (uint64_t)size;
        s->head = addr;
    } else if (addr >= s->window && addr - s->window + wanted < WINDOW) {
        return s->bytes + (addr - s->window);
    }
    left = s->head + s->size - addr;
    s->status = s->to->read(s->to->ctx, addr, s->bytes, left < WINDOW ? (uint32_t)left : WINDOW) ? 0 : -EFAULT;
    if (s->status)
        return NULL;
    s->window = addr;
    return s->bytes;
}

static bool begin_parts(struct show *s, uint32_t id, uint64_t addr)
{
    char name[NAME];

    if (!begin(s, id, addr))
        return false;
    put(s, "%*s%s%s", indent_of(s), "", name_of(s, name), newline_of(s));
    s->depth++;
    return true;
}

static void end_parts(struct show *s, const char *closes)
{
    s->depth--;
    put(s, "%*s%s%s%s", indent_of(s), "", closes, comma_of(s), newline_of(s));
    s->id = 0;
}

/* ---- Plain values ---- */

static void show_128(struct show *s, unsigned __int128 n)
{
    uint64_t high = (uint64_t)(n >> 64), low = (uint64_t)n;
    char text[40];

    if (high)
        snprintf(text, sizeof(text), "0x%" PRIx64 "%016" PRIx64, high, low);
    else
        snprintf(text, sizeof(text), "0x%" PRIx64, low);
    put_value(s, !n, text);
}

static void show_bits(struct show *s, const unsigned char *data, unsigned off, unsigned bits)
{
    unsigned __int128 n = 0;

    memcpy(&n, data, (off + bits + 7) / 8 < BASE ? (off + bits + 7) / 8 : BASE);
    n >>= off;
    if (bits < 128)
        n &= ((unsigned __int128)1 << bits) - 1;
    show_128(s, n);
}

/* Linux's idea of what can be printed is Latin 1's. */
static bool is_printable(unsigned char c)
{
    return (c >= 0x20 && c < 0x7f) || c >= 0xa0;
}

/* @return true: it was a character of text, or behind its end. */
static bool show_char(struct show *s, unsigned char c)
{
    char text[4] = {'\'', (char)c, '\'', 0};

    if (!s->chars)
        return false;
    s->ended |= !c;
    if (!s->ended && is_printable(c))
        put_value(s, false, text);
    return s->ended || is_printable(c);
}

static void show_int(struct show *s, uint32_t id, uint32_t named, uint64_t addr, unsigned bit_off)
{
    uint32_t info = btf_int_info(btf_at(s->btf, id));
    unsigned bits = info & 0xff, off = info >> 16 & 0xff;
    const unsigned char *data = begin(s, named, addr);
    bool is_signed = info >> 24 & 1;
    uint64_t n = 0;
    char text[24];

    if (!data)
        return;
    if (bits == 128 && !bit_off && !off) {
        show_bits(s, data, 0, 128);
    } else if (bit_off || off || (bits != 8 && bits != 16 && bits != 32 && bits != 64)) {
        show_bits(s, data + (bit_off + off) / 8, (bit_off + off) % 8, bits);
    } else {
        memcpy(&n, data, bits / 8);
        if (is_signed && bits < 64 && n >> (bits - 1))
            n |= ~UINT64_C(0) << bits;
        if (bits == 8 && show_char(s, (unsigned char)n)) {
            s->id = 0;
            return;
        }
        snprintf(text, sizeof(text), is_signed ? "%" PRId64 : "%" PRIu64, n);
        put_value(s, !n, text);
    }
    s->id = 0;
}

static void show_pointer(struct show *s, uint32_t named, uint64_t addr)
{
    const unsigned char *data = begin(s, named, addr);
    uint64_t n;
    char text[24];

    if (!data)
        return;
    memcpy(&n, data, sizeof(n));
    snprintf(text, sizeof(text), "0x%016" PRIx64, n);
    put_value(s, !n, text);
    s->id = 0;
}

static void show_enum(struct show *s, uint32_t id, uint32_t named, uint64_t addr)
{
    const struct btf_type *t = btf_at(s->btf, id);
    const unsigned char *data = begin(s, named, addr);
    bool wide = btf_kind(t) == BTF_ENUM64;
    int64_t n = 0;
    char text[24];

    if (!data)
        return;
    if (wide)
        memcpy(&n, data, 8);
    else
        n = (int32_t)(data[0] | data[1] << 8 | data[2] << 16 | (uint32_t)data[3] << 24);
    for (unsigned i = 0; i < btf_vlen(t); i++)
        if ((uint64_t)n == btf_enum_value(t, i)) {
            put_value(s, false, btf_str(s->btf, btf_enum_name_off(t, i)));
            s->id = 0;
            return;
        }
    if (btf_kflag(t))
        snprintf(text, sizeof(text), "%" PRId64, n);
    else
        snprintf(text, sizeof(text), "%" PRIu64, wide ? (uint64_t)n : (uint64_t)(uint32_t)n);
    put_value(s, !n, text);
    s->id = 0;
}

/* ---- Structs and arrays ---- */

static void show(struct show *s, uint32_t id, uint64_t addr, unsigned bit_off);

static void show_members(struct show *s, uint32_t id, uint32_t named, uint64_t addr)
{
    const struct btf_type *t = btf_at(s->btf, id);

    if (!begin_parts(s, named, addr))
        return;
    for (unsigned i = 0; i < btf_vlen(t); i++) {
        const struct btf_member *m = &btf_members(t)[i];
        uint32_t bit = btf_member_bit_off(t, i), bits = btf_member_bits(t, i);
        const unsigned char *data;

        s->member = m;
        if (!bits) {
            show(s, m->type, addr + bit / 8, bit % 8);
        } else {
            data = begin(s, m->type, addr + bit / 8);
            if (data)
                show_bits(s, data, bit % 8, bits);
            s->id = 0;
        }
        s->member = NULL;
    }
    end_parts(s, "}");
}

/* Elements that are pointers or arrays have no size of their own for Linux: each is where the first one is. */
static uint64_t element_size(const struct btf_type *t)
{
    switch (btf_kind(t)) {
    case BTF_INT:
    case BTF_STRUCT:
    case BTF_UNION:
    case BTF_ENUM:
    case BTF_ENUM64:
    case BTF_FLOAT: return t->size;
    default: return 0;
    }
}

static void show_value(struct show *s, uint32_t id, uint32_t named, uint64_t addr, unsigned bit_off);

static void show_elements(struct show *s, uint32_t id, uint32_t named, uint64_t addr)
{
    const struct btf_array *a = btf_array_of(btf_at(s->btf, id));
    uint32_t type = btf_resolve(s->btf, a->type);
    const struct btf_type *t = btf_at(s->btf, type);
    uint64_t size = element_size(t);

    s->chars = btf_kind(t) == BTF_INT && (size == 1 || (btf_int_info(t) >> 24) == 2);
    s->ended = false;
    if (!begin_parts(s, named, addr))
        return;
    for (uint32_t i = 0; i < a->nelems && s->status != -E2BIG && !(i && s->ended); i++) {
        s->element = true;
        s->member = NULL;
        show_value(s, type, a->type, addr, 0);
        addr += size;
        s->element = false;
        s->member = NULL;
    }
    s->chars = s->ended = false;
    end_parts(s, "]");
}

/* Is there something in it? Then it is shown. */
static void show_parts(struct show *s, uint32_t id, uint32_t named, uint64_t addr)
{
    void (*walk)(struct show *, uint32_t, uint32_t, uint64_t) =
        btf_kind_of(s->btf, id) == BTF_ARRAY ? show_elements : show_members;
    const struct btf_member *member = s->member;

    if (++s->nested > BTF_MAX_DEPTH) {
        s->status = -E2BIG;
    } else if (s->depth && !(s->flags & KERNEL_SHOW_ZERO)) {
        bool first = !s->looking;

        if (first) {
            s->looking = s->depth + 1;
            s->shown = 0;
        }
        walk(s, id, named, addr);
        s->member = member;
        if (first) {
            s->looking = 0;
            if (s->shown > s->depth)
                walk(s, id, named, addr);
        }
    } else {
        walk(s, id, named, addr);
    }
    s->nested--;
}

static void show_section(struct show *s, uint32_t id, uint64_t addr)
{
    const struct btf_type *t = btf_at(s->btf, id);
    char text[128];

    if (!begin(s, id, addr))
        return;
    snprintf(text, sizeof(text), "section (\"%.80s\") = {", btf_str(s->btf, t->name_off));
    put_value(s, false, text);
    for (unsigned i = 0; i < btf_vlen(t) && s->status != -E2BIG; i++) {
        if (i)
            put(s, ",");
        show(s, btf_secinfos(t)[i].type, addr + btf_secinfos(t)[i].offset, 0);
    }
    s->id = 0;
}

/* id: without modifiers; named: with them, as the name says it. */
static void show_value(struct show *s, uint32_t id, uint32_t named, uint64_t addr, unsigned bit_off)
{
    switch (btf_kind_of(s->btf, id)) {
    case BTF_INT: show_int(s, id, named, addr, bit_off); break;
    case BTF_PTR: show_pointer(s, named, addr); break;
    case BTF_ENUM:
    case BTF_ENUM64: show_enum(s, id, named, addr); break;
    case BTF_ARRAY:
    case BTF_STRUCT:
    case BTF_UNION: show_parts(s, id, named, addr); break;
    case BTF_DATASEC: show_section(s, id, addr); break;
    default: put(s, "<unsupported kind:%u>", btf_kind_of(s->btf, id)); break;
    }
}

static void show(struct show *s, uint32_t id, uint64_t addr, unsigned bit_off)
{
    uint32_t named = id;

    if (btf_kind_of(s->btf, id) == BTF_VAR)
        named = id = btf_at(s->btf, id)->type;
    show_value(s, btf_resolve(s->btf, id), named, addr, bit_off);
}

int kernel_show(const struct btf *btf, uint32_t id, uint64_t addr, unsigned flags, const struct kernel_show_to *to)
{
    struct show s = {.btf = btf, .to = to, .flags = flags};

    show(&s, id, addr, 0);
    return s.status;
}
