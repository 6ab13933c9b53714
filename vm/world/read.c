/* Strict reading of a world file: what is not known, not of the right kind or out of range is refused with its place.
 */
#include "vm/world/read.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

int world_is_object(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    return v->kind == JSON_OBJECT ? 0 : WORLD_REFUSE(r, at, v, "an object was expected");
}

int world_is_array(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    return v->kind == JSON_ARRAY ? 0 : WORLD_REFUSE(r, at, v, "an array was expected");
}

int world_members(struct world_reader *r, const struct json_path *at, const struct json *v,
                  const struct world_member *rows, unsigned n, void *to)
{
    uint64_t seen = 0;
    int err = world_is_object(r, at, v);

    for (size_t i = 0; i < (err ? 0 : v->length); i++) {
        struct json_path here = {.up = at, .name = v->names[i]};
        unsigned k = 0;

        while (k < n && strcmp(rows[k].name, v->names[i]))
            k++;
        if (k == n)
            return WORLD_REFUSE(r, &here, v->items[i], "there is no such member here");
        if (seen >> k & 1)
            return WORLD_REFUSE(r, &here, v->items[i], "it stands here twice");
        seen |= UINT64_C(1) << k;
        err = rows[k].read(r, &here, v->items[i], (char *)to + rows[k].off);
        if (err)
            return err;
    }
    for (unsigned k = 0; k < n && !err; k++)
        if (rows[k].required && !(seen >> k & 1))
            err = WORLD_REFUSE(r, at, v, "\"%s\" is missing", rows[k].name);
    return err;
}

static bool is_negative(const struct json *v)
{
    return v->kind == JSON_INT ? v->negative : v->kind == JSON_STRING && *v->string == '-';
}

int world_take_u64(struct world_reader *r, const struct json_path *at, const struct json *v, void *to)
{
    uint64_t n;

    if (!json_as_u64(v, &n) || is_negative(v))
        return WORLD_REFUSE(r, at, v, "a number that is not negative was expected");
    memcpy(to, &n, sizeof(n));
    return 0;
}

int world_take_u32(struct world_reader *r, const struct json_path *at, const struct json *v, void *to)
{
    uint64_t n = 0;
    uint32_t narrow;
    int err = world_take_u64(r, at, v, &n);

    if (err)
        return err;
    if (n > UINT32_MAX)
        return WORLD_REFUSE(r, at, v, "%" PRIu64 " does not fit into 32 bits", n);
    narrow = (uint32_t)n;
    memcpy(to, &narrow, sizeof(narrow));
    return 0;
}

int world_take_i64(struct world_reader *r, const struct json_path *at, const struct json *v, void *to)
{
    uint64_t n;

    if (!json_as_u64(v, &n))
        return WORLD_REFUSE(r, at, v, "a whole number was expected");
    memcpy(to, &n, sizeof(n));
    return 0;
}

int world_take_bool(struct world_reader *r, const struct json_path *at, const struct json *v, void *to)
{
    if (v->kind != JSON_BOOL)
        return WORLD_REFUSE(r, at, v, "true or false was expected");
    *(bool *)to = v->boolean;
    return 0;
}

int world_take_text(struct world_reader *r, const struct json_path *at, const struct json *v, void *to)
{
    if (v->kind != JSON_STRING)
        return WORLD_REFUSE(r, at, v, "a text was expected");
    if (strlen(v->string) != v->length)
        return WORLD_REFUSE(r, at, v, "a text without NUL was expected");
    *(const char **)to = v->string;
    return 0;
}

int world_take_json(struct world_reader *r, const struct json_path *at, const struct json *v, void *to)
{
    (void)r;
    (void)at;
    *(const struct json **)to = v;
    return 0;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int hex_bytes(struct world_reader *r, const struct json_path *at, const struct json *v, unsigned char *to,
                     size_t *n)
{
    const char *s = v->string, *end = s + v->length;

    if (v->length > 2 && s[0] == '0' && (s[1] | 0x20) == 'x')
        s += 2;
    while (s < end) {
        int high = digit(s[0]), low = end - s > 1 ? digit(s[1]) : -1;

        if (high < 0 || low < 0)
            return WORLD_REFUSE(r, at, v, "bytes as hex were expected, two digits each");
        to[(*n)++] = (unsigned char)(high << 4 | low);
        s += 2;
        if (s < end && (*s == ':' || *s == ' '))
            s++;
    }
    return 0;
}

int world_bytes(struct world_reader *r, const struct json_path *at, const struct json *v, unsigned char **data,
                size_t *size)
{
    size_t room = v->kind == JSON_STRING ? v->length / 2 + 1 : v->kind == JSON_ARRAY ? v->length : 0;

    if (v->kind != JSON_STRING && v->kind != JSON_ARRAY)
        return WORLD_REFUSE(r, at, v, "bytes were expected: hex text, or an array of numbers");
    *size = 0;
    *data = arena_alloc(&r->w->arena, room);
    if (!*data)
        return log_fail(r->log, -ENOMEM, "no memory for a world of this size");
    if (v->kind == JSON_STRING)
        return hex_bytes(r, at, v, *data, size);
    for (size_t i = 0; i < v->length; i++) {
        struct json_path here = {.up = at, .index = i};
        uint64_t n;

        if (!json_as_u64(v->items[i], &n) || n > 255)
            return WORLD_REFUSE(r, &here, v->items[i], "a byte was expected, 0 to 255");
        (*data)[(*size)++] = (unsigned char)n;
    }
    return 0;
}
