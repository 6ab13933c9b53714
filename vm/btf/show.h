/*
 * Values shown and read through their types, as bpftool shows map contents: structs as JSON objects (an anonymous
 * member's name is ""), enums by name where the value has one, char arrays as strings where they are NUL-terminated
 * printable text, bitfields and 128-bit integers as hex strings of their bits; pointers as hex strings, floats as
 * numbers; a section as
 * {".data": [{"var": value}, ...]}. What has no value (functions, forward declarations) or lies past the data is null.
 */
#ifndef VM_BTF_SHOW_H
#define VM_BTF_SHOW_H

#include "base/json.h"
#include "vm/btf/btf.h"

/** Writes the value of type id at data (size bytes, never read past) as one JSON value. data need not be aligned. */
void btf_show_json(const struct btf *btf, uint32_t id, const void *data, size_t size, struct json_writer *out);

/**
 * The inverse: fills data (size bytes, zeroed first) from a JSON value. What the value leaves out stays zero.
 *
 * Beside what btf_show_json() writes: integers, pointers and enums as numbers or as strings in C's notation ("0x1f");
 * bytes of arrays as hex in one string ("02:00:5e:10:00:01", "0x0a0b"); members of anonymous members by their own
 * names; any value as an array of exactly its bytes, each a string ("0x1f"), as bpftool prints raw ones; a section's
 * variables as members of an object.
 *
 * @return 0; -EINVAL with a message naming the member and the line, data being undefined then.
 */
int btf_read_json(const struct btf *btf, uint32_t id, const struct json *value, void *data, size_t size,
                  const struct log *log);

/* What a reader does otherwise than its type says. */
struct btf_read_hooks {
    /* Sees each value before it is read: id is its type without modifiers, off where it goes; never a bitfield.
     * @return 1: it is done; 0: read it as usual; a negative errno, said. */
    int (*value)(void *ctx, const struct json_path *at, uint32_t id, const struct json *v, size_t off);
    /* Is this member of the outermost object no member of the struct, but for somebody else to read? */
    bool (*passes)(void *ctx, const char *name);
    void *ctx;
};

/** btf_read_json() of a value that stands at a path of a larger text, with hooks (NULL: none); data is not zeroed. */
int btf_read_json_at(const struct btf *btf, uint32_t id, const struct json *value, const struct json_path *at,
                     void *data, size_t size, const struct btf_read_hooks *hooks, const struct log *log);

/* A part of a struct. */
struct btf_place {
    uint32_t type;          /* without modifiers */
    uint64_t off;           /* bytes */
    uint64_t size;          /* bytes; of a bitfield 0 */
    uint32_t bit_off, bits; /* of a bitfield, counted from off; bits 0: none */
};

/** Follows ".member" and "[index]" from a type; the first '.' may be left out, "" is the type itself. Members of
 *  anonymous members are found by their own names. @return false: there is no such part. */
bool btf_find_place(const struct btf *btf, uint32_t id, const char *path, struct btf_place *out);

#endif
