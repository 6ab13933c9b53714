/*
 * Formatting goes in two walks over the format, as in Linux: the first refuses what is not allowed and fetches what
 * arguments point to, the second writes. Both read conversions with read_spec(), so they agree on where each ends.
 */
#include "vm/helpers/format.h"
#include "vm/helpers/probe.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { FETCHED = 512 /* MAX_BPRINTF_BIN_ARGS */ };

enum kind { INTEGER, CHARACTER, STRING, POINTER, SYMBOL, ADDRESS };

struct spec {
    enum kind kind;
    const char *end; /* where the literal text goes on */
    bool left, zero, plus, space;
    bool has_width;
    uint32_t width;
    uint8_t size; /* INTEGER: 4 or 8; ADDRESS: 4 or 16 */
    char conv;    /* INTEGER: d, u, x, X; STRING: s, k, u; ADDRESS: i, I */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Linux's ctype table is Latin-1: letters from 0xc0 on, but for two signs; signs from 0xa0 on. */
static bool is_latin_letter(char c)
{
    unsigned char u = (unsigned char)c;

    return u >= 0xc0 && u != 0xd7 && u != 0xf7;
}

static bool is_alnum(char c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || is_latin_letter(c);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Bytes above ASCII may stand in plain text, so that it may be UTF-8. */
static bool is_text(char c)
{
    return (unsigned char)c >= 0x80 || (c >= ' ' && c <= '~') || is_space(c);
}

/* May a conversion that takes no more letters end before this character? */
static bool ends(char c)
{
    unsigned char u = (unsigned char)c;

    if (u >= 0xa0)
        return !is_latin_letter(c);
    return !c || is_space(c) || (c > ' ' && c <= '~' && !is_alnum(c));
}

static const char *read_width(const char *p, struct spec *s)
{
    enum { MAX_WIDTH = (1 << 23) - 1 };

    for (;; p++) {
        if (*p == '0')
            s->zero = true;
        else if (*p == '+')
            s->plus = true;
        else if (*p == '-')
            s->left = true;
        else if (*p == ' ')
            s->space = true;
        else
            break;
    }
    for (; is_digit(*p); p++) {
        s->has_width = true;
        s->width = s->width * 10 + (uint32_t)(*p - '0');
        if (s->width > MAX_WIDTH)
            s->width = MAX_WIDTH;
    }
    return p;
}

/* What follows "%p". Linux skips all letters and digits behind it when it writes, whatever they say. */
static bool read_pointer(const char *p, struct spec *s)
{
    if ((p[0] == 'k' || p[0] == 'u') && p[1] == 's') {
        s->kind = STRING;
        s->conv = p[0];
        s->end = p + 2;
        return ends(p[2]);
    }
    if (p[0] == 's' || p[0] == 'S' || p[0] == 'B') {
        s->kind = SYMBOL;
    } else if (ends(p[0]) || p[0] == 'K' || p[0] == 'x') {
        s->kind = POINTER;
    } else if ((p[0] == 'i' || p[0] == 'I') && (p[1] == '4' || p[1] == '6')) {
        s->kind = ADDRESS;
        s->conv = p[0];
        s->size = p[1] == '4' ? 4 : 16;
    } else {
        return false;
    }
    while (is_alnum(*p))
        p++;
    s->end = p;
    return true;
}

/* Reads a conversion; p stands behind its '%'. @return false: Linux has no such one. */
static bool read_spec(const char *p, struct spec *s)
{
    memset(s, 0, sizeof(*s));
    p = read_width(p, s);
    switch (*p) {
    case 'p': return read_pointer(p + 1, s);
    case 's':
        s->kind = STRING;
        s->conv = 's';
        s->end = p + 1;
        return ends(p[1]);
    case 'c':
        s->kind = CHARACTER;
        s->end = p + 1;
        return true;
    }
    s->size = *p == 'l' ? 8 : 4;
    for (int i = 0; i < 2 && *p == 'l'; i++)
        p++;
    s->conv = *p == 'i' ? 'd' : *p;
    s->end = p + 1;
    return s->conv == 'd' || s->conv == 'u' || s->conv == 'x' || s->conv == 'X';
}

/* What arguments point to, copied before anything is written, in Linux's 512 bytes. */
struct fetched {
    char bytes[FETCHED];
    uint32_t used;
    const char *text[FORMAT_MAX_ARGS];
};

static int fetch_string(struct skep_env *env, struct fetched *f, const struct spec *s, uint64_t arg, unsigned i)
{
    enum env_mem_kind kind = s->conv == 'k' ? ENV_MEM_KERNEL : s->conv == 'u' ? ENV_MEM_USER : probe_kind(arg);
    char *to = f->bytes + f->used;
    int64_t n;

    if (f->used == FETCHED)
        return -ENOSPC;
    n = probe_str(env, to, FETCHED - f->used, arg, kind);
    if (n < 0) {
        *to = 0;
        n = 1;
    }
    f->text[i] = to;
    f->used += (uint32_t)n;
    return 0;
}

static int write_address(char *out, size_t cap, const struct spec *s, const unsigned char *ip)
{
    int n = 0;

    if (s->size == 4)
        return snprintf(out, cap, s->conv == 'i' ? "%03u.%03u.%03u.%03u" : "%u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
    for (int i = 0; i < 16; i += 2)
        n += snprintf(out + n, cap - (size_t)n, "%s%02x%02x", i && s->conv == 'I' ? ":" : "", ip[i], ip[i + 1]);
    return n;
}

static int fetch_address(struct skep_env *env, struct fetched *f, const struct spec *s, uint64_t arg, unsigned i)
{
    char text[48];
    unsigned char ip[16] = {0};
    const void *from = env_probe(env, arg, s->size, probe_kind(arg));
    int n;

    if (FETCHED - f->used < s->size)
        return -ENOSPC;
    if (from)
        memcpy(ip, from, s->size);
    n = write_address(text, sizeof(text), s, ip) + 1;
    if ((uint32_t)n > FETCHED - f->used)
        n = (int)(FETCHED - f->used);
    f->text[i] = f->bytes + f->used;
    memcpy(f->bytes + f->used, text, (size_t)n);
    f->bytes[f->used + (uint32_t)n - 1] = 0;
    f->used += (uint32_t)n;
    return 0;
}

/* Numbers take their size, aligned to 4 bytes. */
static int count_number(struct fetched *f, uint32_t size)
{
    f->used = (f->used + 3) & ~3u;
    if (f->used > FETCHED || FETCHED - f->used < size)
        return -ENOSPC;
    f->used += size;
    return 0;
}

static int fetch(struct skep_env *env, struct fetched *f, const struct spec *s, uint64_t arg, unsigned i)
{
    switch (s->kind) {
    case STRING: return fetch_string(env, f, s, arg, i);
    case ADDRESS: return fetch_address(env, f, s, arg, i);
    case CHARACTER: return f->used == FETCHED ? -ENOSPC : (f->used++, 0);
    case INTEGER: return count_number(f, s->size);
    default: return count_number(f, 8);
    }
}

static int prepare(struct skep_env *env, struct fetched *f, const char *fmt, const uint64_t *args, unsigned n_args)
{
    unsigned i = 0;

    for (const char *p = fmt; *p; p++) {
        struct spec s;
        int err;

        if (!is_text(*p))
            return -EINVAL;
        if (*p != '%')
            continue;
        if (p[1] == '%') {
            p++;
            continue;
        }
        if (i >= n_args || !read_spec(p + 1, &s))
            return -EINVAL;
        err = fetch(env, f, &s, args[i], i);
        if (err)
            return err;
        i++;
        p = s.end - 1;
    }
    return 0;
}

/* Text that is counted whole and kept as far as it fits. */
struct out {
    char *at;
    uint64_t cap, len;
};

static void put(struct out *o, const char *text, uint64_t n)
{
    if (o->len < o->cap)
        memcpy(o->at + o->len, text, n < o->cap - o->len ? n : o->cap - o->len);
    o->len += n;
}

static void fill(struct out *o, char c, uint64_t n)
{
    if (o->len < o->cap)
        memset(o->at + o->len, c, n < o->cap - o->len ? n : o->cap - o->len);
    o->len += n;
}

static void put_padded(struct out *o, const struct spec *s, const char *text, uint64_t n)
{
    uint64_t pad = s->width > n ? s->width - n : 0;

    if (!s->left)
        fill(o, ' ', pad);
    put(o, text, n);
    if (s->left)
        fill(o, ' ', pad);
}

/* Digits with a sign before them, "" for none: zeroes go between the two, blanks outside. */
static void put_number(struct out *o, const struct spec *s, const char *sign, const char *digits)
{
    uint64_t n = strlen(sign) + strlen(digits), pad = s->width > n ? s->width - n : 0;

    if (!s->left && !s->zero)
        fill(o, ' ', pad);
    put(o, sign, strlen(sign));
    if (!s->left && s->zero)
        fill(o, '0', pad);
    put(o, digits, strlen(digits));
    if (s->left)
        fill(o, ' ', pad);
}

static void put_integer(struct out *o, const struct spec *s, uint64_t arg)
{
    char digits[24];
    const char *sign = "";
    int64_t value = s->size == 4 ? (int32_t)arg : (int64_t)arg;

    if (s->size == 4)
        arg = (uint32_t)arg;
    if (s->conv == 'd') {
        sign = value < 0 ? "-" : s->plus ? "+" : s->space ? " " : "";
        arg = value < 0 ? -(uint64_t)value : (uint64_t)value;
    }
    snprintf(digits, sizeof(digits),
             s->conv == 'x'   ? "%llx"
             : s->conv == 'X' ? "%llX"
                              : "%llu",
             (unsigned long long)arg);
    put_number(o, s, sign, digits);
}

/* All 16 digits, unless a width is given. Linux hides addresses behind a hash here; ours are shown. */
static void put_pointer(struct out *o, struct spec *s, uint64_t arg)
{
    char digits[24];

    if (!s->has_width) {
        s->width = 16;
        s->zero = true;
    }
    snprintf(digits, sizeof(digits), "%llx", (unsigned long long)arg);
    put_number(o, s, "", digits);
}

static void put_symbol(struct out *o, const struct spec *s, uint64_t arg)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "0x%llx", (unsigned long long)arg);

    put_padded(o, s, text, (uint64_t)n);
}

static void put_spec(struct out *o, struct spec *s, const struct fetched *f, uint64_t arg, unsigned i)
{
    char c = (char)arg;

    switch (s->kind) {
    case INTEGER: put_integer(o, s, arg); break;
    case CHARACTER: put_padded(o, s, &c, 1); break;
    case POINTER: put_pointer(o, s, arg); break;
    case SYMBOL: put_symbol(o, s, arg); break;
    case STRING: put_padded(o, s, f->text[i], strlen(f->text[i])); break;
    case ADDRESS:
        /* Linux counts an address only where text still fits. */
        if (o->len < o->cap)
            put(o, f->text[i], strlen(f->text[i]));
        break;
    }
}

static void print(struct out *o, const char *fmt, const struct fetched *f, const uint64_t *args)
{
    unsigned i = 0;

    while (*fmt) {
        struct spec s;
        uint64_t plain = strcspn(fmt, "%");

        put(o, fmt, plain);
        fmt += plain;
        if (!*fmt)
            break;
        if (fmt[1] == '%') {
            put(o, "%", 1);
            fmt += 2;
            continue;
        }
        read_spec(fmt + 1, &s);
        put_spec(o, &s, f, args[i], i);
        fmt = s.end;
        i++;
    }
}

int64_t format_text(struct skep_env *env, char *out, uint64_t cap, const char *fmt, uint64_t size, const uint64_t *args,
                    unsigned n_args)
{
    struct fetched f = {.used = 0};
    struct out o = {.at = out, .cap = cap};
    int err;

    if (strnlen(fmt, size) == size)
        return -EINVAL;
    err = prepare(env, &f, fmt, args, n_args);
    if (err)
        return err;
    print(&o, fmt, &f, args);
    if (cap)
        out[o.len < cap ? o.len : cap - 1] = 0;
    return (int64_t)o.len;
}
