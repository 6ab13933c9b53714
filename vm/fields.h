/*
 * Special fields (vm/abi/fields.def) of an object's types. A table holds those of every struct that programs may
 * allocate, and of the values of the object's maps; it is filled while the object is read, immutable afterwards, and
 * shared by reference: the object, and each map that was created with one of its records. Nothing in it points into the
 * BTF that it was read from.
 */
#ifndef VM_FIELDS_H
#define VM_FIELDS_H

#include "base/log.h"
#include <stdbool.h>
#include <stdint.h>

enum field_kind {
#define FIELD(kind, name, bytes, align, how, maps) FIELD_##kind,
#include "vm/abi/fields.def"
    FIELD_KINDS
};

enum { FIELDS_MAX = 11 /* of one struct, as in Linux */ };

#define FIELD_BIT(kind) (1u << FIELD_##kind)
enum {
    FIELD_KPTRS = FIELD_BIT(KPTR_UNTRUSTED) | FIELD_BIT(KPTR) | FIELD_BIT(KPTR_PERCPU),
    FIELD_ROOTS = FIELD_BIT(LIST_HEAD) | FIELD_BIT(RB_ROOT),
    FIELD_NODES = FIELD_BIT(LIST_NODE) | FIELD_BIT(RB_NODE),
    FIELD_LOCKS = FIELD_BIT(SPIN_LOCK) | FIELD_BIT(RES_SPIN_LOCK),
};

struct fields;

struct field {
    uint32_t off, size;
    uint8_t kind; /* enum field_kind */
    /* Pointers: what they point to; roots: what their nodes stand in. */
    uint32_t type;           /* in the object's BTF */
    const char *type_name;   /* of that struct */
    uint32_t type_size;      /* bytes */
    uint32_t node_off;       /* roots: of the node in it */
    const struct fields *of; /* that struct's own special fields; NULL: none */
};

/* Those of one struct, by offset. */
struct fields {
    struct field_table *table;
    uint32_t type, n, kinds; /* kinds: a bit a field_kind */
    struct field at[FIELDS_MAX];
};

struct btf;
struct field_table;

/**
 * Reads the special fields of all structs of the object.
 * @return 0 and *out with one reference; -ENOMEM. What Linux would refuse in the types is told by field_table_error().
 */
int field_table_read(const struct btf *btf, const struct log *log, struct field_table **out);
struct field_table *field_table_get(struct field_table *t);
void field_table_put(struct field_table *t);
/** Why Linux would not take these types at all: 0, -EINVAL, -E2BIG, -ELOOP, -ENOENT. */
int field_table_error(const struct field_table *t);

/** Those of a struct that programs may allocate; NULL: it has none. */
const struct fields *fields_of(const struct field_table *t, uint32_t type);

/**
 * Those of a map's value, or of a section of data, whose type this is. Only while the object is read.
 * @return 0 and *out, NULL when there are none; as field_table_error() when they are not as they must be: Linux then
 * treats the value as plain memory.
 */
int fields_read_value(struct field_table *t, const struct btf *btf, uint32_t type, const struct fields **out);

/** The field of one of these kinds that begins there; NULL: none. */
const struct field *fields_at(const struct fields *f, uint64_t off, uint32_t kinds);
/** The only field of a kind that there is once; NULL: none. */
const struct field *fields_the(const struct fields *f, enum field_kind kind);
/** The first field that [off, end) touches; NULL: none. */
const struct field *fields_touched(const struct fields *f, int64_t off, int64_t end);

/** Do both hold the same where the other does? */
bool fields_equal(const struct fields *a, const struct fields *b);

/** "bpf_timer": the struct's name, or the tag of a pointer. */
const char *field_name(enum field_kind kind);
/** A bit a map type: whose values may hold one. */
uint64_t field_maps(enum field_kind kind);

#endif
