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

#endif
