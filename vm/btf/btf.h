/*
 * BTF: a validated, immutable store of types with a name index. btf_parse() accepts nothing that any function here
 * could trip over later: every id, string offset, member count and size is checked once, reference cycles that have no
 * size are refused, so that readers need no checks. Ids of a split BTF continue its base. libc only.
 */
#ifndef VM_BTF_BTF_H
#define VM_BTF_BTF_H

#include "base/buf.h"
#include "base/log.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum btf_kind {
    BTF_VOID,
    BTF_INT,
    BTF_PTR,
    BTF_ARRAY,
    BTF_STRUCT,
    BTF_UNION,
    BTF_ENUM,
    BTF_FWD,
    BTF_TYPEDEF,
    BTF_VOLATILE,
    BTF_CONST,
    BTF_RESTRICT,
    BTF_FUNC,
    BTF_FUNC_PROTO,
    BTF_VAR,
    BTF_DATASEC,
    BTF_FLOAT,
    BTF_DECL_TAG,
    BTF_TYPE_TAG,
    BTF_ENUM64,
};

struct btf;

/* The wire's structures, in the host's byte order after parsing. */
struct btf_type {
    uint32_t name_off;
    uint32_t info;
    union {
        uint32_t size;
        uint32_t type;
    };
};
struct btf_member {
    uint32_t name_off, type, offset;
};
struct btf_param {
    uint32_t name_off, type;
};
struct btf_enum {
    uint32_t name_off;
    int32_t val;
};
struct btf_enum64 {
    uint32_t name_off, val_lo32, val_hi32;
};
struct btf_array {
    uint32_t type, index_type, nelems;
};
struct btf_secinfo {
    uint32_t type, offset, size;
};

static inline unsigned btf_kind(const struct btf_type *t)
{
    return t->info >> 24 & 0x1f;
}
static inline unsigned btf_vlen(const struct btf_type *t)
{
    return t->info & 0xffff;
}
static inline bool btf_kflag(const struct btf_type *t)
{
    return t->info >> 31;
}

/**
 * Reads BTF (the bytes of a .BTF section or of /sys/kernel/btf/vmlinux), either byte order.
 * @param data  copied, unless `borrow`: then it must outlive the result and be in the host's byte order to stay in
 * place.
 * @param base  for split BTF; borrowed, must outlive the result. NULL otherwise.
 * @return 0 and *out; -EINVAL with a message that names the type, -ENOMEM, -E2BIG.
 */
int btf_parse(const void *data, size_t size, const struct btf *base, bool borrow, const struct log *log,
              struct btf **out);
void btf_free(struct btf *btf);

/**
 * Fills in what compilers leave to the linker: the size of a DATASEC and the offsets of its variables. Only between
 * btf_parse() and the first other use.
 *
 * @param offsets  one a variable, in the order of btf_secinfos().
 * @return 0; -EINVAL when a variable does not fit, with the store unchanged.
 */
int btf_set_datasec(struct btf *btf, uint32_t id, uint32_t size, const uint32_t *offsets, const struct log *log);

/**
 * Reads a file of raw BTF, such as /sys/kernel/btf/vmlinux; maps it where that works. (ELF files with a .BTF section:
 * loader/btf_file.h.) @return 0; the errno of the system; what btf_parse() returns.
 */
int btf_load_raw(const char *path, const struct btf *base, const struct log *log, struct btf **out);

/** Number of types, void (0) included, base included. Ids are below it. */
uint32_t btf_count(const struct btf *btf);
/** The type of an id below btf_count(); NULL otherwise. */
const struct btf_type *btf_type_at(const struct btf *btf, uint32_t id);
/** A name; "" for none. Never NULL. */
const char *btf_str(const struct btf *btf, uint32_t off);
/** Is there a string at this offset? For offsets that come from elsewhere than a type (.BTF.ext). */
bool btf_str_ok(const struct btf *btf, uint32_t off);
const char *btf_name(const struct btf *btf, uint32_t id);

/** The first id of this kind and name (kind BTF_VOID: any), 0 for none. The index is made on first use, by one thread
 * at a time under a lock of its own. */
uint32_t btf_find(const struct btf *btf, const char *name, unsigned kind);
/** The next id after `id` with the same name, any kind; 0 at the end. */
uint32_t btf_find_next(const struct btf *btf, uint32_t id);
/** CO-RE: the first data type above id `after` whose essential name (see below) is name[0..len); 0 for none. */
uint32_t btf_find_flavour(const struct btf *btf, const char *name, size_t len, uint32_t after);
/** Length of a name without its CO-RE flavour: 3 for "foo___v2". */
size_t btf_essential_length(const char *name);

/** Follows typedefs and modifiers (const, volatile, restrict, type tags). */
uint32_t btf_resolve(const struct btf *btf, uint32_t id);
/** Size in bytes of any sized type (pointers 8), -1 for others (functions, void, forward declarations). */
int64_t btf_size(const struct btf *btf, uint32_t id);
int64_t btf_align(const struct btf *btf, uint32_t id);

/* What follows the common part of a type; each for its kind only. */
#define BTF_TAIL(name, type)                                                                                           \
    static inline const type *name(const struct btf_type *t)                                                           \
    {                                                                                                                  \
        return (const type *)(t + 1);                                                                                  \
    }
BTF_TAIL(btf_members, struct btf_member)
BTF_TAIL(btf_params, struct btf_param)
BTF_TAIL(btf_enums, struct btf_enum)
BTF_TAIL(btf_enums64, struct btf_enum64)
BTF_TAIL(btf_array_of, struct btf_array)
BTF_TAIL(btf_secinfos, struct btf_secinfo)
#undef BTF_TAIL

/** DECL_TAG: the member or argument that it belongs to, -1: the whole type. */
static inline int32_t btf_tag_component(const struct btf_type *t)
{
    return *(const int32_t *)(t + 1);
}

/** INT: encoding << 24 | offset << 16 | bits; encoding has bits 1 signed, 2 char, 4 bool. */
static inline uint32_t btf_int_info(const struct btf_type *t)
{
    return *(const uint32_t *)(t + 1);
}

/** Name and value (sign-extended where its 32 bits are) of the i-th value of an ENUM or ENUM64. */
static inline uint32_t btf_enum_name_off(const struct btf_type *t, unsigned i)
{
    return btf_kind(t) == BTF_ENUM ? btf_enums(t)[i].name_off : btf_enums64(t)[i].name_off;
}

static inline uint64_t btf_enum_value(const struct btf_type *t, unsigned i)
{
    if (btf_kind(t) == BTF_ENUM)
        return (uint64_t)(int64_t)btf_enums(t)[i].val;
    return (uint64_t)btf_enums64(t)[i].val_hi32 << 32 | btf_enums64(t)[i].val_lo32;
}

/** Offset and width in bits of member i of a struct or union (width 0: not a bitfield). */
static inline uint32_t btf_member_bit_off(const struct btf_type *t, unsigned i)
{
    return btf_kflag(t) ? btf_members(t)[i].offset & 0xffffff : btf_members(t)[i].offset;
}

static inline uint32_t btf_member_bits(const struct btf_type *t, unsigned i)
{
    return btf_kflag(t) ? btf_members(t)[i].offset >> 24 : 0;
}

/** A type as C writes it: "struct foo *", "u32[4]". */
void btf_type_text(const struct btf *btf, uint32_t id, struct buf *out);
/** A declaration: "int (*name)(struct foo *arg)". A FUNC or VAR with name "" declares itself. */
void btf_decl_text(const struct btf *btf, uint32_t id, const char *name, struct buf *out);
/** A definition: "struct foo {\n\tint a;\n};", "typedef int foo;"; for other kinds the declaration. */
void btf_define_text(const struct btf *btf, uint32_t id, struct buf *out);

#endif
