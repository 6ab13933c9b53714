/*
 * The reader: recursive descent over the text, which it never leaves and never changes. Values go into the arena as
 * soon as they are whole; items of an array or object that is still open wait on one stack (struct parser) and move
 * into the arena when it closes, so that time and memory grow with the text. Depth is bounded by MAX_DEPTH.
 */
#include "base/json.h"

#include "base/utf8.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64 };

/* name is NULL in arrays. */
struct item {
    const char *name;
    const struct json *value;
};

struct parser {
    struct arena *arena;
    const struct log *log;
    const char *text, *at, *end;
    uint32_t line;
    unsigned depth;
    struct item *stack;
    size_t n_stack, cap_stack;
    locale_t c_locale; /* made for the first number with a fraction */
};

static int fail_at(const struct parser *p, const char *where, const char *what)
{
    size_t line = 1, col = 1;

    for (const char *s = p->text; s < where; s++) {
        /* Columns count characters: bytes that continue one do not count. */
        if (*s == '\n') {
            line++;
            col = 1;
        } else if (((unsigned char)*s & 0xc0) != 0x80) {
            col++;
        }
    }
    return log_fail(p->log, -EINVAL, "JSON: line %zu, column %zu: %s", line, col, what);
}

static int no_memory(const struct parser *p)
{
    return log_fail(p->log, -ENOMEM, "JSON: out of memory");
}

static void skip_space(struct parser *p)
{
    for (; p->at < p->end; p->at++) {
        if (*p->at == '\n')
            p->line++;
        else if (*p->at != ' ' && *p->at != '\t' && *p->at != '\r')
            return;
    }
}

/* The next character that is no space, 0 at the end. */
static char peek(struct parser *p)
{
    skip_space(p);
    return p->at < p->end ? *p->at : 0;
}

static bool is_digit(const char *s, const char *end)
{
    return s < end && *s >= '0' && *s <= '9';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Four hex digits at s, -1 when they are none. */
static int32_t hex4(const char *s, const char *end)
{
    int32_t v = 0;

    if (end - s < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(s[i]);

        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

static char *put_utf8(char *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3f));
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    }
    return to;
}

/* \uXXXX, with p->at behind the u; a surrogate must come as a pair. */
static int parse_unicode(struct parser *p, char **to)
{
    const char *where = p->at - 2;
    int32_t c = hex4(p->at, p->end), low;

    if (c < 0)
        return fail_at(p, where, "\\u needs four hex digits");
    p->at += 4;
    if (c >= 0xd800 && c <= 0xdfff) {
        if (c >= 0xdc00 || p->end - p->at < 6 || p->at[0] != '\\' || p->at[1] != 'u')
            return fail_at(p, where, "half of a surrogate pair");
        low = hex4(p->at + 2, p->end);
        if (low < 0xdc00 || low > 0xdfff)
            return fail_at(p, where, "half of a surrogate pair");
        p->at += 6;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    *to = put_utf8(*to, (uint32_t)c);
    return 0;
}

static int parse_escape(struct parser *p, char **to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    const char *found;

    if (p->end - p->at < 2)
        return fail_at(p, p->at, "the text ends inside a string");
    if (p->at[1] == 'u') {
        p->at += 2;
        return parse_unicode(p, to);
    }
    found = p->at[1] ? strchr(from, p->at[1]) : NULL;
    if (!found)
        return fail_at(p, p->at, "unknown escape");
    *(*to)++ = into[found - from];
    p->at += 2;
    return 0;
}

/* A string with p->at on its opening quote. No escape is shorter than what it stands for, so the raw length suffices.
 */
static int parse_string(struct parser *p, const char **out, size_t *length)
{
    const char *open = p->at, *scan = open + 1;
    char *start, *to;
    int err;

    while (scan < p->end && *scan != '"')
        scan += *scan == '\\' ? 2 : 1;
    if (scan >= p->end)
        return fail_at(p, open, "a string without an end");
    to = start = arena_alloc(p->arena, (size_t)(scan - open));
    if (!to)
        return no_memory(p);
    for (p->at++; *p->at != '"';) {
        unsigned len;

        if (*p->at == '\\') {
            err = parse_escape(p, &to);
            if (err)
                return err;
            continue;
        }
        if ((unsigned char)*p->at < 0x20)
            return fail_at(p, p->at, "a control character in a string");
        len = utf8_length((const unsigned char *)p->at, (size_t)(p->end - p->at));
        if (!len)
            return fail_at(p, p->at, "bytes that are no UTF-8");
        memcpy(to, p->at, len);
        to += len;
        p->at += len;
    }
    p->at++;
    *to = 0;
    *out = start;
    *length = (size_t)(to - start);
    return 0;
}

static int parse_double(struct parser *p, const char *start, struct json *v)
{
    char *copy = strndup(start, (size_t)(p->at - start));

    if (!copy)
        return no_memory(p);
    if (!p->c_locale)
        p->c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    v->number = p->c_locale ? strtod_l(copy, NULL, p->c_locale) : strtod(copy, NULL);
    v->kind = JSON_DOUBLE;
    free(copy);
    if (!isfinite(v->number))
        return fail_at(p, start, "a number that is too large");
    return 0;
}

static int parse_number(struct parser *p, struct json *v)
{
    const char *start = p->at, *digits;
    bool negative = *p->at == '-', whole = true;
    uint64_t n = 0;

    p->at += negative;
    digits = p->at;
    if (!is_digit(p->at, p->end))
        return fail_at(p, start, "a value was expected");
    if (*p->at == '0' && is_digit(p->at + 1, p->end))
        return fail_at(p, start, "a number may not begin with 0");
    while (is_digit(p->at, p->end))
        p->at++;
    if (p->at < p->end && *p->at == '.') {
        whole = false;
        p->at++;
        if (!is_digit(p->at, p->end))
            return fail_at(p, start, "a number ends in its point");
        while (is_digit(p->at, p->end))
            p->at++;
    }
    if (p->at < p->end && (*p->at == 'e' || *p->at == 'E')) {
        whole = false;
        p->at++;
        if (p->at < p->end && (*p->at == '+' || *p->at == '-'))
            p->at++;
        if (!is_digit(p->at, p->end))
            return fail_at(p, start, "a number without its exponent");
        while (is_digit(p->at, p->end))
            p->at++;
    }
    for (const char *s = digits; whole && s < p->at; s++)
        whole = !__builtin_mul_overflow(n, 10, &n) && !__builtin_add_overflow(n, (uint64_t)(*s - '0'), &n);
    if (!whole || (negative && n > 1ull << 63))
        return parse_double(p, start, v);
    v->kind = JSON_INT;
    v->negative = negative && n;
    v->integer = negative ? -n : n;
    v->number = negative ? -(double)n : (double)n;
    return 0;
}

static int parse_word(struct parser *p, const char *word, enum json_kind kind, bool boolean, struct json *v)
{
    size_t n = strlen(word);

    if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n))
        return fail_at(p, p->at, "a value was expected");
    p->at += n;
    v->kind = kind;
    v->boolean = boolean;
    return 0;
}

static int push(struct parser *p, const char *name, const struct json *value)
{
    if (p->n_stack == p->cap_stack) {
        size_t cap = p->cap_stack ? p->cap_stack * 2 : 64;
        struct item *stack = reallocarray(p->stack, cap, sizeof(*stack));

        if (!stack)
            return no_memory(p);
        p->stack = stack;
        p->cap_stack = cap;
    }
    p->stack[p->n_stack++] = (struct item){name, value};
    return 0;
}

/* Moves what was pushed since `from` into v. */
static int collect(struct parser *p, size_t from, bool named, struct json *v)
{
    size_t n = p->n_stack - from;
    const struct json **items = arena_array(p->arena, n, sizeof(*items));
    const char **names = named ? arena_array(p->arena, n, sizeof(*names)) : NULL;

    if (!items || (named && !names))
        return no_memory(p);
    for (size_t i = 0; i < n; i++) {
        items[i] = p->stack[from + i].value;
        if (named)
            names[i] = p->stack[from + i].name;
    }
    p->n_stack = from;
    v->items = items;
    v->names = names;
    v->length = n;
    return 0;
}

static int parse_value(struct parser *p, const struct json **out);

static int parse_member(struct parser *p, bool named)
{
    const struct json *value;
    const char *name = NULL;
    size_t length;
    int err;

    if (named) {
        if (peek(p) != '"')
            return fail_at(p, p->at, "a member's name was expected");
        const char *where = p->at;

        err = parse_string(p, &name, &length);
        if (err)
            return err;
        if (strlen(name) != length)
            return fail_at(p, where, "a NUL in a name");
        if (peek(p) != ':')
            return fail_at(p, p->at, "':' was expected");
        p->at++;
    }
    err = parse_value(p, &value);
    return err ? err : push(p, name, value);
}

static int parse_items(struct parser *p, char close, struct json *v)
{
    bool named = close == '}';
    size_t from = p->n_stack;
    int err;

    if (p->depth == MAX_DEPTH)
        return fail_at(p, p->at, "nested too deeply (64 levels at most)");
    p->depth++;
    p->at++;
    if (peek(p) != close) {
        for (;;) {
            err = parse_member(p, named);
            if (err)
                return err;
            if (peek(p) == close)
                break;
            if (peek(p) != ',')
                return fail_at(p, p->at, named ? "',' or '}' was expected" : "',' or ']' was expected");
            p->at++;
        }
    }
    p->at++;
    p->depth--;
    v->kind = named ? JSON_OBJECT : JSON_ARRAY;
    return collect(p, from, named, v);
}

static int parse_value(struct parser *p, const struct json **out)
{
    char c = peek(p);
    struct json *v = ARENA_NEW(p->arena, struct json);

    if (!v)
        return no_memory(p);
    *out = v;
    v->line = p->line;
    switch (c) {
    case '{': return parse_items(p, '}', v);
    case '[': return parse_items(p, ']', v);
    case '"': v->kind = JSON_STRING; return parse_string(p, &v->string, &v->length);
    case 't': return parse_word(p, "true", JSON_BOOL, true, v);
    case 'f': return parse_word(p, "false", JSON_BOOL, false, v);
    case 'n': return parse_word(p, "null", JSON_NULL, false, v);
    default:
        if (p->at == p->end)
            return fail_at(p, p->at, "the text ends where a value was expected");
        return parse_number(p, v);
    }
}

int json_parse(struct arena *arena, const char *text, size_t size, const struct log *log, const struct json **out)
{
    struct parser p = {.arena = arena, .log = log, .text = text, .at = text, .end = text + size, .line = 1};
    const struct json *root;
    int err;

    /* RFC 8259 lets a reader pass over a byte order mark. */
    if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        p.text = p.at = text + 3;
    err = parse_value(&p, &root);
    if (!err) {
        skip_space(&p);
        if (p.at < p.end)
            err = fail_at(&p, p.at, "more text after the value");
    }
    free(p.stack);
    if (p.c_locale)
        freelocale(p.c_locale);
    if (!err)
        *out = root;
    return err;
}

const struct json *json_get(const struct json *object, const char *name)
{
    if (!object || object->kind != JSON_OBJECT)
        return NULL;
    for (size_t i = object->length; i-- > 0;)
        if (!strcmp(object->names[i], name))
            return object->items[i];
    return NULL;
}

/* C's notation: decimal, 0x hexadecimal, 0 octal; nothing before or after it. */
static bool read_integer(const char *s, size_t n, uint64_t *out)
{
    const char *end = s + n;
    bool negative = s < end && *s == '-';
    unsigned base = 10;
    uint64_t v = 0;

    s += negative;
    if (end - s > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
        base = 16;
        s += 2;
    } else if (end - s > 1 && s[0] == '0') {
        base = 8;
        s++;
    }
    if (s == end)
        return false;
    for (; s < end; s++) {
        int d = hex_digit(*s);

        if (d < 0 || d >= (int)base || __builtin_mul_overflow(v, base, &v) ||
            __builtin_add_overflow(v, (uint64_t)d, &v))
            return false;
    }
    if (negative && v > 1ull << 63)
        return false;
    *out = negative ? -v : v;
    return true;
}

bool json_as_u64(const struct json *value, uint64_t *out)
{
    if (!value)
        return false;
    if (value->kind == JSON_INT) {
        *out = value->integer;
        return true;
    }
    return value->kind == JSON_STRING && read_integer(value->string, value->length, out);
}
