/*
 * JSON: one writer, one reader. The writer streams into a buf and puts the commas itself; misuse is an assertion. The
 * reader makes an immutable tree in an arena, bounds depth (64) and says line and column of what is wrong. Integers
 * keep all 64 bits, signed or not.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include <stdint.h>

struct json_writer {
    struct buf *out;
    bool pretty; /* newlines and two-space indents */
    unsigned depth;
    bool after_name;
    uint64_t has_items; /* bit d: something stands at depth d already */
};

void json_object_begin(struct json_writer *w);
void json_object_end(struct json_writer *w);
void json_array_begin(struct json_writer *w);
void json_array_end(struct json_writer *w);
void json_name(struct json_writer *w, const char *name);
void json_string(struct json_writer *w, const char *s);
void json_string_n(struct json_writer *w, const char *s, size_t n); /* bytes that are no UTF-8 become U+FFFD */
void json_u64(struct json_writer *w, uint64_t v);
void json_i64(struct json_writer *w, int64_t v);
void json_double(struct json_writer *w, double v);
void json_bool(struct json_writer *w, bool v);
void json_null(struct json_writer *w);
void json_hex(struct json_writer *w, uint64_t v);                 /* "0x1f" */
void json_raw(struct json_writer *w, const char *text, size_t n); /* one value that was written elsewhere */
/* json_name() and a value in one. */
void json_str_at(struct json_writer *w, const char *name, const char *s);
void json_u64_at(struct json_writer *w, const char *name, uint64_t v);
void json_i64_at(struct json_writer *w, const char *name, int64_t v);
void json_bool_at(struct json_writer *w, const char *name, bool v);

enum json_kind { JSON_NULL, JSON_BOOL, JSON_INT, JSON_DOUBLE, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
    enum json_kind kind;
    uint32_t line; /* where it stands in the text */
    bool boolean;
    bool negative; /* INT: value is -(int64) */
    union {
        uint64_t integer;                /* INT: two's complement when negative */
        const char *string;              /* STRING: NUL-terminated, may hold NULs inside */
        const struct json *const *items; /* ARRAY, OBJECT */
    };
    union {
        double number; /* INT and DOUBLE */
        size_t length; /* STRING: bytes; ARRAY, OBJECT: items */
    };
    const char *const *names; /* OBJECT */
};

/** Reads text; the whole must be one value. @return 0 and *out in the arena; -EINVAL with line and column, -ENOMEM. */
int json_parse(struct arena *arena, const char *text, size_t size, const struct log *log, const struct json **out);
/** The member of an object (the last one of that name), NULL when it has none or is no object. */
const struct json *json_get(const struct json *object, const char *name);
/** An integer, given as a number or as a string in C's notation ("0x1f", "-3"). */
bool json_as_u64(const struct json *value, uint64_t *out);

/* Where a value stands in its text: a member's name, or an index when that is NULL. Lives on the stack of who walks. */
struct json_path {
    const struct json_path *up; /* NULL: the whole text */
    const char *name;
    size_t index;
};

/** "tasks[2].pid"; nothing for the whole text. */
void json_path_text(const struct json_path *at, struct buf *out);
/** Says what is wrong with a value: its line, its path, why. @return -EINVAL */
int json_refuse(const struct log *log, const struct json_path *at, const struct json *v, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
