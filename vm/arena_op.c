/* The functions behind operations on arenas, one a row of isa.def: see arena_op.h. */
#include "vm/arena_op.h"
#include "vm/abi/map_types.h"
#include "vm/env.h"
#include "vm/isa/atomics.h"
#include "vm/maps/arena.h"

#include <errno.h>
#include <string.h>

/* Where the access is made; NULL: nowhere, or it was a trap. */
static unsigned char *where(struct skep_env *env, const struct arena_op *op, uint64_t base)
{
    unsigned char *p;

    if (op->anywhere) {
        uint64_t addr = base + (uint64_t)(int64_t)op->off;

        p = env_find_mem(env, addr, op->size, op->access);
        if (p)
            return p;
        if (base >> 32) {
            env_trap_mem(env, addr, op->size, op->access);
            return NULL;
        }
    }
    return map_arena_at(op->arena, base, op->off, op->size);
}

/* An atomic operation has to be on one word. */
static unsigned char *where_atomic(struct skep_env *env, const struct arena_op *op, uint64_t base)
{
    unsigned char *p = where(env, op, base);

    if (p && (uintptr_t)p % op->size) {
        env_trap(env, TRAP_misaligned, base + (uint64_t)(int64_t)op->off, op->size, "%u bytes of the arena at 0x%llx",
                 op->size, (unsigned long long)(base + (uint64_t)(int64_t)op->off));
        return NULL;
    }
    return p;
}

#define FUNCTION(name)                                                                                                 \
    static uint64_t do_##name(struct skep_env *env, const struct arena_op *op, uint64_t base,                          \
                              uint64_t value __attribute__((unused)), uint64_t r0 __attribute__((unused)))

#define BODY_LDX(name, type)                                                                                           \
    FUNCTION(name)                                                                                                     \
    {                                                                                                                  \
        const unsigned char *p = where(env, op, base);                                                                 \
        type loaded = 0;                                                                                               \
        if (p)                                                                                                         \
            memcpy(&loaded, p, sizeof(loaded));                                                                        \
        return (uint64_t)loaded;                                                                                       \
    }
#define BODY_STORE(name, type, what)                                                                                   \
    FUNCTION(name)                                                                                                     \
    {                                                                                                                  \
        unsigned char *p = where(env, op, base);                                                                       \
        type stored = (type)(what);                                                                                    \
        if (p)                                                                                                         \
            memcpy(p, &stored, sizeof(stored));                                                                        \
        return 0;                                                                                                      \
    }
#define BODY_ST(name, type)                   BODY_STORE(name, type, op->imm)
#define BODY_STX(name, type)                  BODY_STORE(name, type, value)
#define ISA_MEM(name, code, form, type, text) BODY_##form(name, type)

/* Where nothing stands, registers stay as they were. */
#define BODY_ATOMIC(name, i, bits)                                                                                     \
    FUNCTION(ATOMIC_##name##bits)                                                                                      \
    {                                                                                                                  \
        void *p = where_atomic(env, op, base);                                                                         \
        return p ? body_ATOMIC_##name##bits(p, value, r0) : (i) == 0xf1 ? r0 : value;                                  \
    }
#define ISA_ATOMIC(name, i, text, expr) BODY_ATOMIC(name, i, 64) BODY_ATOMIC(name, i, 32)
#define ISA_ORDERED(name, code, i, type, text)                                                                         \
    FUNCTION(name)                                                                                                     \
    {                                                                                                                  \
        void *p = where_atomic(env, op, base);                                                                         \
        if (!p)                                                                                                        \
            return 0;                                                                                                  \
        if ((i) == 0x100)                                                                                              \
            return __atomic_load_n((type *)p, __ATOMIC_ACQUIRE);                                                       \
        __atomic_store_n((type *)p, (type)value, __ATOMIC_RELEASE);                                                    \
        return 0;                                                                                                      \
    }
#include "vm/isa/isa.def"

static const arena_fn functions[ISA_OP_COUNT] = {
#define ISA_MEM(name, code, form, type, text) [ISA_##name] = do_##name,
#define ISA_ATOMIC(name, i, text, expr)                                                                                \
    [ISA_ATOMIC_##name##64] = do_ATOMIC_##name##64, [ISA_ATOMIC_##name##32] = do_ATOMIC_##name##32,
#define ISA_ORDERED(name, code, i, type, text) [ISA_##name] = do_##name,
#include "vm/isa/isa.def"
};

struct map *arena_of_code(const struct code *code)
{
    const struct prog *prog = code->prog;

    for (uint32_t i = 0; i < prog->n_insns; i++) {
        const struct insn *insn = &prog->insns[i];
        uint32_t map;

        if (insn->poisoned || insn->wide_tail || (insn->op != ISA_LD_MAP_FD && insn->op != ISA_LD_MAP_VALUE))
            continue;
        map = insn->op == ISA_LD_MAP_VALUE ? (uint32_t)((uint64_t)insn->imm >> 32) : (uint32_t)insn->imm;
        if (code->maps[map] && code->maps[map]->def.type == MAP_TYPE_ARENA)
            return code->maps[map];
    }
    return NULL;
}

static enum op_kind kind_of(const struct insn *insn)
{
    switch (isa_rows[insn->op].form) {
    case ISA_FORM_LDX:
    case ISA_FORM_LOAD_ACQ: return OP_ARENA_LOAD;
    case ISA_FORM_ST:
    case ISA_FORM_STX:
    case ISA_FORM_STORE_REL: return OP_ARENA_STORE;
    default: break;
    }
    if (insn->op == ISA_ATOMIC_CMPXCHG64 || insn->op == ISA_ATOMIC_CMPXCHG32)
        return OP_ARENA_CMPXCHG;
    return insn->op >= ISA_ATOMIC_FETCH_ADD64 && insn->op < ISA_ATOMIC_CMPXCHG64 ? OP_ARENA_FETCH : OP_ARENA_STORE;
}

int arena_lower(struct code *code, struct op *op, const struct insn *insn, bool anywhere)
{
    struct arena_op *a = arena_alloc(&code->arena, sizeof(*a));

    if (!a)
        return -ENOMEM;
    op->kind = (uint16_t)kind_of(insn);
    *a = (struct arena_op){
        .fn = functions[insn->op],
        .arena = code->arena_map->priv,
        .imm = (uint64_t)insn->imm,
        .off = insn->off,
        .size = (uint8_t)isa_access_size((enum isa_op)insn->op),
        .access = op->kind == OP_ARENA_LOAD ? ENV_READ : ENV_WRITE,
        .anywhere = anywhere,
    };
    if (op->kind == OP_ARENA_FETCH || op->kind == OP_ARENA_CMPXCHG || isa_rows[insn->op].form == ISA_FORM_ATOMIC)
        a->access = ENV_READ | ENV_WRITE;
    op->imm = (uintptr_t)a;
    return 0;
}

/* To programs the lower half of an address is the pointer. Seen from outside it gets the arena's upper half, but for
 * NULL, unless the map says that nobody looks at it from there. */
void arena_lower_cast(struct code *code, struct op *op, const struct insn *insn)
{
    if (insn->imm == 1 || code->arena_map->def.flags & MAP_F_NO_USER_CONV) {
        op->kind = ISA_MOV32_X;
        op->imm = 0;
        return;
    }
    op->kind = OP_ARENA_USER;
    op->imm = map_arena_start(code->arena_map) >> 32 << 32;
}
