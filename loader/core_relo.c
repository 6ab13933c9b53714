/*
 * One relocation: find candidates by name, match the spec in each, compute what the instruction must hold, patch it.
 * Candidates are found once a root type and shrink to those that matched, as in libbpf: a type that did not fit the
 * first relocation of a root does not make a later one ambiguous.
 */
#include "loader/core_relo.h"

#include "loader/core_spec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CANDIDATES = 256, MAX_STEPS = 20 * 1000 * 1000 };

/* Fields of an instruction's code byte (RFC 9669). */
enum {
    CLASS = 0x07,
    CLASS_LD = 0x00,
    CLASS_LDX = 0x01,
    CLASS_ST = 0x02,
    CLASS_STX = 0x03,
    CLASS_ALU = 0x04,
    CLASS_ALU64 = 0x07,
    SOURCE_X = 0x08,
    SIZE = 0x18,
    LD_IMM64 = 0x18,
};

struct candidates {
    uint32_t n;
    uint32_t ids[];
};

struct core_ctx {
    struct arena *arena;
    struct core_match match;
    struct candidates **cands; /* by local root */
    struct core_spec local, found, best;
    bool matched; /* best is the match of the relocation at hand */
};

/* What an instruction held and is to hold. */
struct value {
    uint64_t val;
    uint32_t access;  /* bytes that a load or store of the field takes; 0: not known */
    uint32_t type_id; /* of what is accessed */
    bool exact;       /* the compiler can only have written val */
};

static const char *const kind_names[CORE_KIND_COUNT] = {
    [CORE_FIELD_BYTE_OFFSET] = "field_byte_offset",
    [CORE_FIELD_BYTE_SIZE] = "field_byte_size",
    [CORE_FIELD_EXISTS] = "field_exists",
    [CORE_FIELD_SIGNED] = "field_signed",
    [CORE_FIELD_LSHIFT_U64] = "field_lshift_u64",
    [CORE_FIELD_RSHIFT_U64] = "field_rshift_u64",
    [CORE_TYPE_ID_LOCAL] = "type_id_local",
    [CORE_TYPE_ID_TARGET] = "type_id_target",
    [CORE_TYPE_EXISTS] = "type_exists",
    [CORE_TYPE_SIZE] = "type_size",
    [CORE_ENUMVAL_EXISTS] = "enumval_exists",
    [CORE_ENUMVAL_VALUE] = "enumval_value",
    [CORE_TYPE_MATCHES] = "type_matches",
};

const char *core_kind_name(enum core_kind kind)
{
    return (unsigned)kind < CORE_KIND_COUNT ? kind_names[kind] : "?";
}

struct core_ctx *core_new(struct arena *arena, const struct btf *local, const struct btf *target)
{
    struct core_ctx *ctx = ARENA_NEW(arena, struct core_ctx);

    if (!ctx)
        return NULL;
    ctx->arena = arena;
    ctx->match = (struct core_match){.local = local, .target = target, .steps = MAX_STEPS};
    ctx->cands = calloc(btf_count(local), sizeof(struct candidates *));
    return ctx->cands ? ctx : NULL;
}

void core_free(struct core_ctx *ctx)
{
    if (!ctx)
        return;
    free(ctx->cands);
    ctx->cands = NULL;
}

/* The text of a buf, moved into the arena. */
static const char *keep(struct core_ctx *ctx, struct buf *b)
{
    const char *text = b->failed ? NULL : arena_strdup(ctx->arena, buf_text(b));

    buf_free(b);
    return text ? text : "";
}

__attribute__((format(printf, 3, 4))) static int unresolved(struct core_ctx *ctx, struct core_result *res,
                                                            const char *fmt, ...)
{
    struct buf b = {0};
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&b, fmt, ap);
    va_end(ap);
    res->resolved = false;
    res->reason = keep(ctx, &b);
    return 0;
}

__attribute__((format(printf, 4, 5))) static int malformed(const struct core_relo *relo, const struct core_result *res,
                                                           const struct log *log, const char *fmt, ...)
{
    char why[192];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    return log_fail(log, -EINVAL, "CO-RE relocation at byte %u (%s of %.96s): %s", relo->off,
                    core_kind_name(relo->kind), *res->spec ? res->spec : relo->access, why);
}

/* Finds the target's types that may stand for the local root. */
static int find_candidates(struct core_ctx *ctx, uint32_t root, struct candidates **out)
{
    const struct btf *target = ctx->match.target;
    const struct btf_type *lt = btf_type_at(ctx->match.local, root);
    const char *name = btf_name(ctx->match.local, root);
    size_t len = btf_essential_length(name);
    uint32_t ids[MAX_CANDIDATES], n = 0;

    if (!ctx->cands[root]) {
        for (uint32_t id = 0; (id = btf_find_flavour(target, name, len, id)) && n < MAX_CANDIDATES;)
            if (core_kinds_compat(btf_type_at(target, id), lt))
                ids[n++] = id;
        ctx->cands[root] = arena_alloc(ctx->arena, sizeof(struct candidates) + n * sizeof(ids[0]));
        if (!ctx->cands[root])
            return -ENOMEM;
        ctx->cands[root]->n = n;
        memcpy(ctx->cands[root]->ids, ids, n * sizeof(ids[0]));
    }
    *out = ctx->cands[root];
    return 0;
}

/* The type of one access: arrays are read an element at a time (libbpf 1.6). */
static void set_access(const struct btf *btf, uint32_t id, struct value *v)
{
    const struct btf_type *t;
    int64_t size;

    while (btf_kind(t = btf_type_at(btf, id = btf_resolve(btf, id))) == BTF_ARRAY)
        id = btf_array_of(t)->type;
    size = btf_size(btf, id);
    v->access = size < 0 ? 0 : (uint32_t)size;
    v->type_id = id;
}

static int element_value(const struct core_spec *spec, struct value *v)
{
    const struct core_accessor *acc = &spec->acc[spec->n_acc - 1];
    int64_t size = btf_size(spec->btf, acc->type_id);

    v->exact = true;
    if (spec->kind == CORE_FIELD_BYTE_SIZE) {
        v->val = (uint64_t)size;
    } else if (spec->kind == CORE_FIELD_BYTE_OFFSET) {
        v->val = spec->bit_off / 8;
        set_access(spec->btf, acc->type_id, v);
    } else {
        return -EINVAL;
    }
    return size < 0 ? -EINVAL : 0;
}

/* The naturally aligned word of at most 8 bytes that holds a bitfield. */
static bool bitfield_word(uint64_t bit_off, uint32_t bits, uint64_t *byte_off, uint32_t *bytes)
{
    for (;; *bytes *= 2) {
        *byte_off = bit_off / 8 / *bytes * *bytes;
        if (bit_off + bits <= (*byte_off + *bytes) * 8)
            return true;
        if (*bytes >= 8)
            return false;
    }
}

static bool field_is_signed(const struct btf_type *t)
{
    if (core_is_enum(t))
        return btf_kflag(t);
    return btf_kind(t) == BTF_INT && (btf_int_info(t) >> 24 & 1);
}

/* What a field relocation yields for a spec of either side. */
static int field_value(const struct core_spec *spec, struct value *v)
{
    const struct core_accessor *acc = &spec->acc[spec->n_acc - 1];
    const struct btf_type *t = btf_type_at(spec->btf, acc->type_id);
    uint32_t bits, bytes, type;
    uint64_t byte_off;
    int64_t size;

    if (!acc->name)
        return element_value(spec, v);
    type = btf_resolve(spec->btf, btf_members(t)[acc->idx].type);
    bits = btf_member_bits(t, acc->idx);
    size = btf_size(spec->btf, type);
    if (size < 0 || size > INT32_MAX)
        return -EINVAL;
    bytes = (uint32_t)size;
    byte_off = spec->bit_off / 8;
    /* The compiler may have chosen another word for a bitfield than we do. */
    v->exact = !bits;
    if (bits && (!bytes || !bitfield_word(spec->bit_off, bits, &byte_off, &bytes)))
        return -E2BIG;
    switch (spec->kind) {
    case CORE_FIELD_BYTE_OFFSET:
        v->val = byte_off;
        if (!bits)
            set_access(spec->btf, type, v);
        return 0;
    case CORE_FIELD_BYTE_SIZE: v->val = bytes; return 0;
    case CORE_FIELD_SIGNED:
        v->val = field_is_signed(btf_type_at(spec->btf, type));
        v->exact = true;
        return 0;
    default: break;
    }
    if (!bits)
        bits = bytes * 8;
    if (spec->kind == CORE_FIELD_RSHIFT_U64) {
        v->val = (uint32_t)(64 - bits);
        v->exact = true;
        return 0;
    }
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    v->val = (uint32_t)(64 - (spec->bit_off + bits - byte_off * 8));
#else
    v->val = (uint32_t)((8 - bytes) * 8 + (spec->bit_off - byte_off * 8));
#endif
    return 0;
}

/* What a relocation yields where its spec was found. */
static int value_of(const struct core_spec *spec, struct value *v)
{
    int64_t size;

    *v = (struct value){.exact = true};
    switch (spec->kind) {
    case CORE_FIELD_EXISTS:
    case CORE_TYPE_EXISTS:
    case CORE_TYPE_MATCHES:
    case CORE_ENUMVAL_EXISTS: v->val = 1; return 0;
    case CORE_TYPE_ID_LOCAL:
    case CORE_TYPE_ID_TARGET:
        /* Linking objects renumbers types without touching instructions. */
        v->exact = false;
        v->val = spec->root;
        return 0;
    case CORE_TYPE_SIZE:
        size = btf_size(spec->btf, spec->root);
        v->val = (uint64_t)size;
        return size < 0 ? -EINVAL : 0;
    case CORE_ENUMVAL_VALUE:
        v->val = btf_enum_value(btf_type_at(spec->btf, spec->acc[0].type_id), spec->acc[0].idx);
        return 0;
    default: return field_value(spec, v);
    }
}

/* Does a relocation of this kind have a value where nothing was found? */
static bool absence_is_zero(enum core_kind kind)
{
    return core_is_type(kind) || kind == CORE_FIELD_EXISTS || kind == CORE_ENUMVAL_EXISTS;
}

/* Says why nothing was found, as far as the last candidate tells. */
static int explain_miss(struct core_ctx *ctx, const struct candidates *cands, struct core_result *res)
{
    const struct core_miss *miss = &ctx->match.miss;
    uint32_t where = miss->type_id;
    struct buf want = {0}, in = {0};

    /* Of an anonymous struct the root that it stands in says more. */
    if (miss->what != CORE_MISS_INDEX && !*btf_name(ctx->match.target, where))
        where = ctx->found.root;
    btf_type_text(ctx->match.local, ctx->local.root, &want);
    if (cands->n)
        btf_type_text(ctx->match.target, where, &in);
    if (!cands->n)
        unresolved(ctx, res, "no type '%s' in the target's BTF", buf_text(&want));
    else if (miss->what == CORE_MISS_MEMBER)
        unresolved(ctx, res, "field '%s' is not in the target's '%s'", miss->name, buf_text(&in));
    else if (miss->what == CORE_MISS_TYPE)
        unresolved(ctx, res, "field '%s' of the target's '%s' has a type that does not fit", miss->name, buf_text(&in));
    else if (miss->what == CORE_MISS_INDEX)
        unresolved(ctx, res, "index %u lies outside of the target's '%s'", miss->idx, buf_text(&in));
    else if (miss->what == CORE_MISS_VALUE)
        unresolved(ctx, res, "value '%s' is not in the target's '%s'", miss->name, buf_text(&in));
    else
        unresolved(ctx, res, "the target's '%s' is something else", buf_text(&in));
    buf_free(&want);
    buf_free(&in);
    return 0;
}

/* Tries every candidate; all that match must lead to the same value. @return as core_relocate(); ctx->best and *v are
 * set when res->resolved. */
static int choose(struct core_ctx *ctx, const struct core_relo *relo, struct candidates *cands, const struct log *log,
                  struct value *v, struct core_result *res)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < cands->n; i++) {
        struct value one;
        int r = core_spec_match(&ctx->match, &ctx->local, cands->ids[i], &ctx->found);

        if (r < 0)
            return malformed(relo, res, log, "comparing it with the target's type %u %s", cands->ids[i],
                             ctx->match.steps ? "leads too deep" : "takes too long");
        if (!r)
            continue;
        r = value_of(&ctx->found, &one);
        if (r)
            return unresolved(ctx, res,
                              r == -E2BIG ? "the target's bitfield spans more than 8 bytes"
                                          : "what it means has no size in the target's BTF");
        if (n && (ctx->found.bit_off != ctx->best.bit_off || one.val != v->val))
            return unresolved(ctx, res,
                              "types %u and %u of the target's BTF lead to different places or values (%" PRIu64
                              " and %" PRIu64 ")",
                              ctx->best.root, ctx->found.root, v->val, one.val);
        if (!n) {
            ctx->best = ctx->found;
            *v = one;
        }
        cands->ids[n++] = cands->ids[i];
    }
    if (n) {
        cands->n = n;
        ctx->matched = res->resolved = true;
        return 0;
    }
    if (!absence_is_zero(relo->kind))
        return explain_miss(ctx, cands, res);
    *v = (struct value){0};
    res->resolved = true;
    return 0;
}

/* Does the size of the access have to change, and may it? Only loads that extend with zeros may: unsigned integers, and
 * pointers. */
static bool may_resize(struct core_ctx *ctx, const struct value *was, const struct value *now)
{
    const struct btf_type *l = btf_type_at(ctx->match.local, was->type_id);
    const struct btf_type *t = btf_type_at(ctx->match.target, now->type_id);

    if (btf_kind(l) == BTF_PTR && btf_kind(t) == BTF_PTR)
        return true;
    /* The encoding is SIGNED alone, as libbpf has it: a bool or char that is signed too does not count. */
    return btf_kind(l) == BTF_INT && btf_kind(t) == BTF_INT && btf_int_info(l) >> 24 != 1 && btf_int_info(t) >> 24 != 1;
}

static int size_code(uint32_t bytes)
{
    switch (bytes) {
    case 1: return 0x10;
    case 2: return 0x08;
    case 4: return 0x00;
    case 8: return 0x18;
    default: return -1;
    }
}

static int patch_memory(struct core_ctx *ctx, const struct core_relo *relo, struct skep_insn *insn,
                        const struct value *was, const struct value *now, const struct log *log,
                        struct core_result *res)
{
    if (!res->resolved)
        return 0;
    if (was->exact && insn->off != (int64_t)was->val)
        return malformed(relo, res, log, "the access is at offset %d, not %" PRIu64, insn->off, was->val);
    if (now->val > INT16_MAX)
        return unresolved(ctx, res, "offset %" PRIu64 " is too large for a load or store", now->val);
    if (was->access != now->access) {
        if (!may_resize(ctx, was, now))
            return unresolved(ctx, res,
                              "the access of %u bytes would become one of %u, which only pointers and "
                              "unsigned integers allow",
                              was->access, now->access);
        if ((insn->code & SIZE) != size_code(was->access))
            return malformed(relo, res, log, "the access is not of %u bytes", was->access);
        if (size_code(now->access) < 0)
            return unresolved(ctx, res, "no access is %u bytes wide", now->access);
        insn->code = (uint8_t)((insn->code & ~SIZE) | size_code(now->access));
    }
    insn->off = (int16_t)now->val;
    return 0;
}

static int patch_wide(const struct core_relo *relo, struct skep_insn *insn, const struct value *was,
                      const struct value *now, const struct log *log, struct core_result *res)
{
    uint64_t imm = (uint32_t)insn[0].imm | (uint64_t)(uint32_t)insn[1].imm << 32;

    if (!res->resolved)
        return 0;
    if (was->exact && imm != was->val)
        return malformed(relo, res, log, "the instruction holds %" PRIu64 ", not %" PRIu64, imm, was->val);
    insn[0].imm = (int32_t)(uint32_t)now->val;
    insn[1].imm = (int32_t)(uint32_t)(now->val >> 32);
    return 0;
}

static int patch(struct core_ctx *ctx, const struct core_relo *relo, struct skep_insn *insn, uint32_t left,
                 const struct value *was, const struct value *now, const struct log *log, struct core_result *res)
{
    switch (insn->code & CLASS) {
    case CLASS_ALU:
    case CLASS_ALU64:
        if (insn->code & SOURCE_X)
            break;
        if (!res->resolved)
            return 0;
        if (was->exact && (uint64_t)(int64_t)insn->imm != was->val)
            return malformed(relo, res, log, "the instruction holds %d, not %" PRIu64, insn->imm, was->val);
        insn->imm = (int32_t)(uint32_t)now->val;
        return 0;
    case CLASS_LDX:
    case CLASS_ST:
    case CLASS_STX: return patch_memory(ctx, relo, insn, was, now, log, res);
    case CLASS_LD:
        if (insn->code != LD_IMM64 || left < 2 || insn->src_reg || insn->off || insn[1].code || insn[1].dst_reg ||
            insn[1].src_reg || insn[1].off)
            break;
        return patch_wide(relo, insn, was, now, log, res);
    }
    return malformed(relo, res, log, "an instruction of code 0x%02x cannot carry it", insn->code);
}

/* The value that the compiler wrote, by its own types. */
static int local_value(struct core_ctx *ctx, const struct core_relo *relo, const struct log *log, struct value *was,
                       struct core_result *res)
{
    int err = core_spec_parse(ctx->match.local, relo, &ctx->local);
    struct buf text = {0};

    if (err)
        return malformed(relo, res, log, "'%.64s' means no part of type %u (%.64s)", relo->access, relo->type_id,
                         btf_name(ctx->match.local, relo->type_id));
    core_spec_text(&ctx->local, &text);
    res->spec = keep(ctx, &text);
    err = value_of(&ctx->local, was);
    return err ? malformed(relo, res, log, "it has no value in the object's own types") : 0;
}

int core_relocate(struct core_ctx *ctx, const struct core_relo *relo, struct skep_insn *insns, uint32_t n,
                  uint32_t insn_idx, const struct log *log, struct core_result *res)
{
    struct value was = {0}, now = {0};
    struct candidates *cands;
    struct buf text = {0};
    int err;

    *res = (struct core_result){.spec = "", .target = "", .reason = ""};
    if (insn_idx >= n || !btf_type_at(ctx->match.local, relo->type_id) || (unsigned)relo->kind >= CORE_KIND_COUNT)
        return malformed(relo, res, log, "it lies outside of the program or is unknown");
    err = local_value(ctx, relo, log, &was, res);
    if (err)
        return err;
    ctx->match.miss = (struct core_miss){0};
    ctx->matched = false;
    if (relo->kind == CORE_TYPE_ID_LOCAL) {
        now = was;
        res->resolved = true;
    } else {
        if (!*btf_name(ctx->match.local, relo->type_id))
            return malformed(relo, res, log, "types without a name cannot be looked for");
        err = find_candidates(ctx, relo->type_id, &cands);
        if (!err)
            err = choose(ctx, relo, cands, log, &now, res);
        else
            log_fail(log, err, "out of memory");
    }
    if (!err)
        err = patch(ctx, relo, &insns[insn_idx], n - insn_idx, &was, &now, log, res);
    if (err || !res->resolved)
        return err;
    res->value = now.val;
    if (ctx->matched) {
        core_spec_text(&ctx->best, &text);
        res->target = keep(ctx, &text);
    }
    return 0;
}
