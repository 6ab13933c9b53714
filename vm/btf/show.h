/*
 * Values shown and read through their types, as bpftool shows map contents: structs as JSON objects, enums and integers
 * as numbers, char arrays as text where they are text, bitfields, pointers as hex strings. Never reads past `size`.
 */
#ifndef VM_BTF_SHOW_H
#define VM_BTF_SHOW_H

#include "base/json.h"
#include "vm/btf/btf.h"

/** Writes the value of type id at data (size bytes) as one JSON value. */
void btf_show_json(const struct btf *btf, uint32_t id, const void *data, size_t size, struct json_writer *out);
/** The inverse: fills data (size bytes, zeroed first) from a JSON value. Numbers may be given as strings ("0x1f"),
 * bytes as arrays of numbers or hex, char arrays as strings. @return 0, -EINVAL with a message naming the member. */
int btf_read_json(const struct btf *btf, uint32_t id, const struct json *value, void *data, size_t size,
                  const struct log *log);

#endif
