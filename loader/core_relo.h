/*
 * CO-RE: an instruction of an object was compiled against the object's own types (local); here it is made to fit the
 * types of the kernel at hand (target). Meaning, matching rules and what becomes of instructions follow libbpf 1.x
 * (relo_core.c). A relocation that finds no match either has a value of its own (the *_exists and *_matches kinds: 0)
 * or is left unresolved with a reason, and the caller makes a poisoned operation of its instruction.
 */
#ifndef LOADER_CORE_RELO_H
#define LOADER_CORE_RELO_H

#include "base/arena.h"
#include "base/log.h"
#include "vm/btf/btf.h"

/* Linux's enum bpf_core_relo_kind; ours because old headers lack the last one. */
enum core_kind {
    CORE_FIELD_BYTE_OFFSET,
    CORE_FIELD_BYTE_SIZE,
    CORE_FIELD_EXISTS,
    CORE_FIELD_SIGNED,
    CORE_FIELD_LSHIFT_U64,
    CORE_FIELD_RSHIFT_U64,
    CORE_TYPE_ID_LOCAL,
    CORE_TYPE_ID_TARGET,
    CORE_TYPE_EXISTS,
    CORE_TYPE_SIZE,
    CORE_ENUMVAL_EXISTS,
    CORE_ENUMVAL_VALUE,
    CORE_TYPE_MATCHES,
    CORE_KIND_COUNT
};

struct core_relo {
    uint32_t off;       /* of the instruction in its section, bytes */
    uint32_t type_id;   /* the root type, in the object's BTF */
    const char *access; /* "0:1:2", in the object's BTF */
    enum core_kind kind;
};

struct core_result {
    bool resolved;
    uint64_t value;     /* when resolved: what stands in the instruction now */
    const char *spec;   /* what was asked for: "struct task_struct.pid (0:45)"; never NULL */
    const char *target; /* what it became, the same way; "" when nothing matched or is needed */
    const char *reason; /* when not resolved: "field 'bar' is not in the target's 'struct foo'"; else "" */
};

struct core_ctx;

/**
 * A context for the relocations of one object against one target. Both BTFs are borrowed; results' texts and caches
 * live in the arena. @return NULL when out of memory.
 */
struct core_ctx *core_new(struct arena *arena, const struct btf *local, const struct btf *target);
/** Gives back what is not in the arena. NULL is fine. */
void core_free(struct core_ctx *ctx);

/** "field_byte_offset" and so on, as libbpf and llvm-readelf call them. */
const char *core_kind_name(enum core_kind kind);

/**
 * Applies one relocation to insns[insn_idx] (and its second slot where it is ld_imm64). An unresolved one leaves the
 * instruction as it was.
 *
 * @param n  instructions at insns.
 * @return 0 and *res (resolved or not). What depends on the target alone (nothing matches, candidates differ, an access
 *         that cannot be made to fit) leaves it unresolved. -EINVAL with a message for a relocation that is malformed
 * or stands on an instruction that cannot carry it; -ENOMEM.
 */
int core_relocate(struct core_ctx *ctx, const struct core_relo *relo, struct skep_insn *insns, uint32_t n,
                  uint32_t insn_idx, const struct log *log, struct core_result *res);

#endif
