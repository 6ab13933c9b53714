/* CO-RE relocations of every kind against types made by hand, and .BTF.ext, sound and damaged. */
#include "loader/btf_ext.h"
#include "loader/core_relo.h"
#include "tests/unit/btf_make.h"
#include "tests/unit/said.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { SIGNED = 1 };
enum { MOV_K = 0xb7, ADD_X = 0x0f, LDX_B = 0x71, LDX_H = 0x69, LDX_W = 0x61, LDX_DW = 0x79, ST_W = 0x62, LD64 = 0x18 };

static struct btf *finish(struct make *m)
{
    struct buf b = {0};
    struct btf *btf = NULL;

    make_done(m, &b);
    if (btf_parse(b.data, b.len, NULL, false, &said_all, &btf))
        fail_msg("refused: %s", said);
    buf_free(&b);
    return btf;
}

/* The two sides and a context over them. */
struct world {
    struct arena arena;
    struct btf *local, *target;
    struct core_ctx *ctx;
};

static struct world world_new(struct make *local, struct make *target)
{
    struct world w = {.local = finish(local), .target = finish(target)};

    return w;
}

static void world_free(struct world *w)
{
    core_free(w->ctx);
    arena_free(&w->arena);
    btf_free(w->local);
    btf_free(w->target);
}

static int apply(struct world *w, enum core_kind kind, const char *type, const char *access, struct skep_insn *insns,
                 struct core_result *res)
{
    struct core_relo relo = {.type_id = btf_find(w->local, type, BTF_VOID), .access = access, .kind = kind};

    if (!w->ctx)
        w->ctx = core_new(&w->arena, w->local, w->target);
    said[0] = 0;
    return core_relocate(w->ctx, &relo, insns, 2, 0, &said_all, res);
}

/* The value that a relocation gives to `r = imm`, where the compiler wrote `was`. */
static void becomes(struct world *w, enum core_kind kind, const char *type, const char *access, int32_t was,
                    uint64_t value)
{
    struct skep_insn insns[2] = {{.code = MOV_K, .imm = was}};
    struct core_result res;

    if (apply(w, kind, type, access, insns, &res))
        fail_msg("%s of %s %s: %s", core_kind_name(kind), type, access, said);
    if (!res.resolved)
        fail_msg("%s of %s %s: %s", core_kind_name(kind), type, access, res.reason);
    assert_int_equal(res.value, value);
    assert_int_equal(insns[0].imm, (int32_t)value);
}

static void stays_open(struct world *w, enum core_kind kind, const char *type, const char *access, const char *reason)
{
    struct skep_insn insns[2] = {{.code = MOV_K, .imm = 77}}, before = insns[0];
    struct core_result res;

    assert_int_equal(apply(w, kind, type, access, insns, &res), 0);
    assert_false(res.resolved);
    assert_string_equal(res.reason, reason);
    assert_memory_equal(&insns[0], &before, sizeof(before));
}

static void is_refused(struct world *w, enum core_kind kind, const char *type, const char *access,
                       struct skep_insn insn, const char *message)
{
    struct skep_insn insns[2] = {insn};
    struct core_result res;

    assert_int_equal(apply(w, kind, type, access, insns, &res), -EINVAL);
    assert_string_equal(said, message);
}

/* The object's types: struct s with plain members, an anonymous union, an array and bitfields; and flavours. */
static void make_local(struct make *m)
{
    uint32_t i = make_int(m, "int", 4, SIGNED), u = make_int(m, "unsigned int", 4, 0);
    uint32_t u64 = make_int(m, "unsigned long long", 8, 0), arr = make_array(m, i, 4), flex = make_array(m, i, 0);
    uint32_t ptr = make_ref(m, BTF_PTR, NULL, 0), in, un, fwd;

    in = make_struct(m, BTF_STRUCT, "inner", 8, (struct make_member[]){{"x", i, 0, 0}, {"y", i, 32, 0}}, 2);
    un = make_struct(m, BTF_UNION, NULL, 8, (struct make_member[]){{"deep", u64, 0, 0}, {"in", in, 0, 0}}, 2);
    make_struct(m, BTF_STRUCT, "s", 64,
                (struct make_member[]){
                    {"a", u, 0, 0},         /* 0 */
                    {"i", i, 32, 0},        /* 1 */
                    {NULL, un, 64, 0},      /* 2 */
                    {"arr", arr, 128, 0},   /* 3 */
                    {"bf", u, 256, 3},      /* 4 */
                    {"sbf", i, 259, 5},     /* 5 */
                    {"ptr", ptr, 320, 0},   /* 6 */
                    {"gone", i, 384, 0},    /* 7 */
                    {"moved", ptr, 448, 0}, /* 8 */
                    {"flex", flex, 512, 0}, /* 9 */
                },
                10);
    make_struct(m, BTF_STRUCT, "s___old", 4, (struct make_member[]){{"gone", i, 0, 0}}, 1);
    make_struct(m, BTF_STRUCT, "none", 4, (struct make_member[]){{"a", i, 0, 0}}, 1);
    make_enum(m, BTF_ENUM, "e", 4, false, (struct make_value[]){{"ONE", 1}, {"TWO", 2}, {"LOST", 3}}, 3);
    make_enum(m, BTF_ENUM64, "e64", 8, false, (struct make_value[]){{"LARGE", 1}}, 1);
    make_ref(m, BTF_TYPEDEF, "word", u);
    make_struct(m, BTF_STRUCT, "twice", 4, (struct make_member[]){{"a", i, 0, 0}, {"b", i, 0, 0}}, 2);
    make_struct(m, BTF_STRUCT, "far", 8, (struct make_member[]){{"a", i, 0, 0}}, 1);
    fwd = make_fwd(m, "opaque", false);
    make_struct(m, BTF_STRUCT, "match", 16,
                (struct make_member[]){{"u", u, 0, 0}, {"p", make_ref(m, BTF_PTR, NULL, fwd), 64, 0}}, 2);
    make_struct(m, BTF_STRUCT, "match___sign", 4, (struct make_member[]){{"u", i, 0, 0}}, 1);
    make_struct(m, BTF_STRUCT, "match___more", 4, (struct make_member[]){{"v", u, 0, 0}}, 1);
}

/* The target's: everything stands elsewhere. */
static void make_target(struct make *m)
{
    uint32_t u64 = make_int(m, "unsigned long", 8, 0), i = make_int(m, "int", 4, SIGNED), u16, s64, arr, flex, ptr, in,
             an, op;

    u16 = make_int(m, "unsigned short", 2, 0);
    s64 = make_int(m, "long", 8, SIGNED);
    arr = make_array(m, i, 3);
    flex = make_array(m, i, 0);
    ptr = make_ref(m, BTF_PTR, NULL, i);
    in = make_struct(m, BTF_STRUCT, "inner", 16, (struct make_member[]){{"y", i, 32, 0}, {"x", i, 64, 0}}, 2);
    an = make_struct(m, BTF_STRUCT, NULL, 24, (struct make_member[]){{"in", in, 0, 0}, {"deep", u64, 128, 0}}, 2);
    make_struct(m, BTF_STRUCT, "s___new", 512,
                (struct make_member[]){
                    {"pad", u64, 0, 0},
                    {"a", u16, 64, 0},
                    {"i", s64, 128, 0},
                    {NULL, an, 192, 0},
                    {"arr", arr, 384, 0},
                    {"bf", u64, 492, 9},
                    {"sbf", i, 512, 7},
                    {"ptr", ptr, 576, 0},
                    {"moved", i, 640, 0},
                    {"flex", flex, 672, 0},
                },
                10);
    make_enum(m, BTF_ENUM, "e", 4, false, (struct make_value[]){{"TWO___v2", 20}, {"ONE", 10}}, 2);
    make_enum(m, BTF_ENUM64, "e64", 8, false, (struct make_value[]){{"LARGE", 0x123456789ll}}, 1);
    make_ref(m, BTF_TYPEDEF, "word", u64);
    make_struct(m, BTF_STRUCT, "twice", 8, (struct make_member[]){{"a", i, 0, 0}, {"b", i, 32, 0}}, 2);
    make_struct(m, BTF_STRUCT, "twice___2", 8, (struct make_member[]){{"a", i, 32, 0}, {"b", i, 32, 0}}, 2);
    make_struct(m, BTF_STRUCT, "far", 70000, (struct make_member[]){{"a", i, 40000 * 8, 0}}, 1);
    op = make_struct(m, BTF_STRUCT, "opaque", 4, (struct make_member[]){{"z", i, 0, 0}}, 1);
    make_struct(m, BTF_STRUCT, "match", 16,
                (struct make_member[]){{"p", make_ref(m, BTF_PTR, NULL, op), 0, 0},
                                       {"u", make_int(m, "unsigned int", 4, 0), 64, 0}},
                2);
}

static struct world usual(void)
{
    struct make local = make_new(), target = make_new();

    make_local(&local);
    make_target(&target);
    return world_new(&local, &target);
}

static void test_fields(void **state)
{
    struct world w = usual();

    (void)state;
    becomes(&w, CORE_FIELD_BYTE_OFFSET, "s", "0:0", 0, 8);
    becomes(&w, CORE_FIELD_BYTE_OFFSET, "s", "0:1", 4, 16);
    /* Through anonymous members, in whatever order the target nests them. */
    becomes(&w, CORE_FIELD_BYTE_OFFSET, "s", "0:2:0", 8, 24 + 16);
    becomes(&w, CORE_FIELD_BYTE_OFFSET, "s", "0:2:1:0", 8, 24 + 8);
    becomes(&w, CORE_FIELD_BYTE_OFFSET, "s", "0:3:2", 16 + 8, 48 + 8);
    /* The pointer's own index multiplies the target's size. */
    becomes(&w, CORE_FIELD_BYTE_OFFSET, "s", "2:0", 128, 1024 + 8);
    becomes(&w, CORE_FIELD_BYTE_OFFSET, "s", "0:9:5", 64 + 20, 84 + 20);
    becomes(&w, CORE_FIELD_BYTE_SIZE, "s", "0:0", 4, 2);
    becomes(&w, CORE_FIELD_BYTE_SIZE, "s", "0:3", 16, 12);
    becomes(&w, CORE_FIELD_BYTE_SIZE, "s", "0:3:0", 4, 4);
    becomes(&w, CORE_FIELD_SIGNED, "s", "0:0", 0, 0);
    becomes(&w, CORE_FIELD_SIGNED, "s", "0:1", 1, 1);
    becomes(&w, CORE_FIELD_SIGNED, "s", "0:6", 0, 0);
    becomes(&w, CORE_FIELD_LSHIFT_U64, "s", "0:0", 32, 48);
    becomes(&w, CORE_FIELD_RSHIFT_U64, "s", "0:0", 32, 48);
    becomes(&w, CORE_FIELD_EXISTS, "s", "0:0", 1, 1);
    becomes(&w, CORE_FIELD_EXISTS, "s", "0:7", 1, 0);
    becomes(&w, CORE_FIELD_EXISTS, "s", "0:8", 1, 0);
    becomes(&w, CORE_FIELD_EXISTS, "none", "0:0", 1, 0);
    becomes(&w, CORE_FIELD_EXISTS, "s___old", "0:0", 1, 0);
    becomes(&w, CORE_FIELD_EXISTS, "s", "0:3:3", 1, 0);
    world_free(&w);
}

static void test_bitfields(void **state)
{
    struct world w = usual();

    (void)state;
    /* 9 bits at bit 492 of the target: the 8-byte word at 56 does not hold them (56 * 8 + 64 = 512 does). */
    becomes(&w, CORE_FIELD_BYTE_OFFSET, "s", "0:4", 32, 56);
    becomes(&w, CORE_FIELD_BYTE_SIZE, "s", "0:4", 4, 8);
    becomes(&w, CORE_FIELD_LSHIFT_U64, "s", "0:4", 61, 64 - (492 + 9 - 448));
    becomes(&w, CORE_FIELD_RSHIFT_U64, "s", "0:4", 61, 55);
    becomes(&w, CORE_FIELD_SIGNED, "s", "0:5", 1, 1);
    becomes(&w, CORE_FIELD_BYTE_OFFSET, "s", "0:5", 32, 64);
    becomes(&w, CORE_FIELD_RSHIFT_U64, "s", "0:5", 59, 57);
    /* The compiler may have chosen another word, so its offset is not compared. */
    becomes(&w, CORE_FIELD_BYTE_OFFSET, "s", "0:4", 12345, 56);
    world_free(&w);
}

static void test_types_and_enums(void **state)
{
    struct world w = usual();
    uint32_t local_s = btf_find(w.local, "s", BTF_STRUCT);

    (void)state;
    becomes(&w, CORE_TYPE_ID_LOCAL, "s", "0", 1, local_s);
    becomes(&w, CORE_TYPE_ID_TARGET, "s", "0", 1, btf_find(w.target, "s___new", BTF_STRUCT));
    becomes(&w, CORE_TYPE_ID_TARGET, "none", "0", 1, 0);
    becomes(&w, CORE_TYPE_EXISTS, "s", "0", 1, 1);
    becomes(&w, CORE_TYPE_EXISTS, "none", "0", 1, 0);
    becomes(&w, CORE_TYPE_EXISTS, "word", "0", 1, 1);
    becomes(&w, CORE_TYPE_SIZE, "s", "0", 64, 512);
    becomes(&w, CORE_TYPE_SIZE, "word", "0", 4, 8);
    becomes(&w, CORE_TYPE_SIZE, "none", "0", 4, 0);
    becomes(&w, CORE_TYPE_MATCHES, "match", "0", 1, 1);
    becomes(&w, CORE_TYPE_MATCHES, "match___sign", "0", 1, 0);
    becomes(&w, CORE_TYPE_MATCHES, "match___more", "0", 1, 0);
    becomes(&w, CORE_TYPE_MATCHES, "s", "0", 1, 0);
    becomes(&w, CORE_ENUMVAL_EXISTS, "e", "0", 1, 1);
    becomes(&w, CORE_ENUMVAL_EXISTS, "e", "2", 1, 0);
    becomes(&w, CORE_ENUMVAL_VALUE, "e", "0", 1, 10);
    becomes(&w, CORE_ENUMVAL_VALUE, "e", "1", 2, 20);
    world_free(&w);
}

static void test_what_cannot_be_resolved(void **state)
{
    struct world w = usual();

    (void)state;
    stays_open(&w, CORE_FIELD_BYTE_OFFSET, "s", "0:7", "field 'gone' is not in the target's 'struct s___new'");
    stays_open(&w, CORE_FIELD_BYTE_SIZE, "s", "0:8",
               "field 'moved' of the target's 'struct s___new' has a type that does not fit");
    stays_open(&w, CORE_FIELD_BYTE_OFFSET, "none", "0:0", "no type 'struct none' in the target's BTF");
    stays_open(&w, CORE_FIELD_BYTE_OFFSET, "s", "0:3:3", "index 3 lies outside of the target's 'int[3]'");
    stays_open(&w, CORE_ENUMVAL_VALUE, "e", "2", "value 'LOST' is not in the target's 'enum e'");
    stays_open(&w, CORE_FIELD_BYTE_OFFSET, "twice", "0:0",
               "types 14 and 15 of the target's BTF lead to different places or values (0 and 4)");
    world_free(&w);
}

static void test_candidates_that_agree(void **state)
{
    struct world w = usual();

    (void)state;
    /* Both flavours of the target have b at 4. */
    becomes(&w, CORE_FIELD_BYTE_OFFSET, "twice", "0:1", 0, 4);
    world_free(&w);
}

static void insn_becomes(struct world *w, const char *type, const char *access, struct skep_insn insn, uint8_t code,
                         int16_t off)
{
    struct skep_insn insns[2] = {insn};
    struct core_result res;

    assert_int_equal(apply(w, CORE_FIELD_BYTE_OFFSET, type, access, insns, &res), 0);
    assert_true(res.resolved);
    assert_int_equal(insns[0].code, code);
    assert_int_equal(insns[0].off, off);
    assert_int_equal(insns[0].imm, insn.imm);
}

static void test_memory_accesses(void **state)
{
    struct world w = usual();
    struct skep_insn insns[2] = {{.code = LDX_W, .off = 4}};
    struct core_result res;

    (void)state;
    /* An unsigned integer that shrank: the access shrinks with it. */
    insn_becomes(&w, "s", "0:0", (struct skep_insn){.code = LDX_W}, LDX_H, 8);
    insn_becomes(&w, "s", "0:0", (struct skep_insn){.code = ST_W, .imm = 5}, 0x6a, 8);
    insn_becomes(&w, "s", "0:6", (struct skep_insn){.code = LDX_DW, .off = 40}, LDX_DW, 72);
    /* Arrays are read an element at a time, whatever their lengths. */
    insn_becomes(&w, "s", "0:3", (struct skep_insn){.code = LDX_W, .off = 16}, LDX_W, 48);
    /* A signed one that grew: extending with zeros would be wrong. */
    assert_int_equal(apply(&w, CORE_FIELD_BYTE_OFFSET, "s", "0:1", insns, &res), 0);
    assert_false(res.resolved);
    assert_string_equal(res.reason, "the access of 4 bytes would become one of 8, which only pointers and unsigned "
                                    "integers allow");
    assert_int_equal(insns[0].off, 4);
    insns[0] = (struct skep_insn){.code = LDX_W};
    assert_int_equal(apply(&w, CORE_FIELD_BYTE_OFFSET, "far", "0:0", insns, &res), 0);
    assert_string_equal(res.reason, "offset 40000 is too large for a load or store");
    is_refused(&w, CORE_FIELD_BYTE_OFFSET, "s", "0:0", (struct skep_insn){.code = LDX_B},
               "CO-RE relocation at byte 0 (field_byte_offset of struct s.a (0:0 @ offset 0)): the access is not "
               "of 4 bytes");
    is_refused(&w, CORE_FIELD_BYTE_OFFSET, "s", "0:0", (struct skep_insn){.code = LDX_W, .off = 1},
               "CO-RE relocation at byte 0 (field_byte_offset of struct s.a (0:0 @ offset 0)): the access is at "
               "offset 1, not 0");
    world_free(&w);
}

static void test_wide_loads(void **state)
{
    struct world w = usual();
    struct skep_insn insns[2] = {{.code = LD64, .imm = 1}};
    struct core_result res;

    (void)state;
    assert_int_equal(apply(&w, CORE_ENUMVAL_VALUE, "e64", "0", insns, &res), 0);
    assert_true(res.resolved);
    assert_int_equal(insns[0].imm, 0x23456789);
    assert_int_equal(insns[1].imm, 1);
    insns[0].imm = 2;
    insns[1].imm = 0;
    assert_int_equal(apply(&w, CORE_ENUMVAL_VALUE, "e64", "0", insns, &res), -EINVAL);
    insns[0] = (struct skep_insn){.code = LD64, .imm = 1, .src_reg = 1};
    assert_int_equal(apply(&w, CORE_ENUMVAL_VALUE, "e64", "0", insns, &res), -EINVAL);
    world_free(&w);
}

static void test_malformed(void **state)
{
    struct world w = usual();
    static const char *const bad[] = {
        "",      ":",  "0:",   "a",    "0:10",       "0:0:0",        "0:-1",          "0 :1", "99999999999",
        "0:3:4", "+0", "0::1", "0:1x", "2147483648", "2147483647:0", "0:9:2147483647"};
    struct skep_insn mov = {.code = MOV_K}, insns[2];
    struct core_relo relo = {.access = "0:0", .kind = CORE_FIELD_EXISTS};
    struct core_result res;
    char deep[200];

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        insns[0] = mov;
        assert_int_equal(apply(&w, CORE_FIELD_EXISTS, "s", bad[i], insns, &res), -EINVAL);
    }
    for (size_t i = 0; i < 65; i++)
        snprintf(deep + 2 * i, 3, "%s", i < 64 ? "0:" : "0");
    assert_int_equal(apply(&w, CORE_FIELD_EXISTS, "s", deep, insns, &res), -EINVAL);
    is_refused(&w, CORE_TYPE_EXISTS, "s", "1", mov,
               "CO-RE relocation at byte 0 (type_exists of 1): '1' means no part of type 9 (s)");
    assert_int_equal(apply(&w, CORE_ENUMVAL_VALUE, "e", "3", insns, &res), -EINVAL);
    assert_int_equal(apply(&w, CORE_ENUMVAL_VALUE, "e", "0:0", insns, &res), -EINVAL);
    assert_int_equal(apply(&w, CORE_ENUMVAL_VALUE, "s", "0", insns, &res), -EINVAL);
    assert_int_equal(apply(&w, CORE_FIELD_SIGNED, "s", "0:3:0", insns, &res), -EINVAL);
    is_refused(&w, CORE_FIELD_EXISTS, "s", "0:0", (struct skep_insn){.code = ADD_X},
               "CO-RE relocation at byte 0 (field_exists of struct s.a (0:0 @ offset 0)): an instruction of code "
               "0x0f cannot carry it");
    is_refused(&w, CORE_FIELD_EXISTS, "s", "0:0", (struct skep_insn){.code = MOV_K, .imm = 2},
               "CO-RE relocation at byte 0 (field_exists of struct s.a (0:0 @ offset 0)): the instruction holds "
               "2, not 1");
    /* Types without a name, instructions and types that are not there. */
    relo.type_id = 8;
    assert_int_equal(core_relocate(w.ctx, &relo, insns, 2, 0, NULL, &res), -EINVAL);
    relo.type_id = 9999;
    assert_int_equal(core_relocate(w.ctx, &relo, insns, 2, 0, NULL, &res), -EINVAL);
    relo.type_id = 9;
    assert_int_equal(core_relocate(w.ctx, &relo, insns, 2, 2, NULL, &res), -EINVAL);
    insns[1] = (struct skep_insn){.code = LD64, .imm = 1};
    assert_int_equal(core_relocate(w.ctx, &relo, insns, 2, 1, NULL, &res), -EINVAL);
    relo.kind = CORE_KIND_COUNT;
    assert_int_equal(core_relocate(w.ctx, &relo, insns, 2, 0, NULL, &res), -EINVAL);
    world_free(&w);
}

static void test_spec_texts(void **state)
{
    struct world w = usual();
    struct skep_insn insns[2] = {{.code = MOV_K, .imm = 24}};
    struct core_result res;

    (void)state;
    assert_int_equal(apply(&w, CORE_FIELD_BYTE_OFFSET, "s", "0:3:2", insns, &res), 0);
    assert_string_equal(res.spec, "struct s.arr[2] (0:3:2 @ offset 24)");
    assert_string_equal(res.target, "struct s___new.arr[2] (0:4:2 @ offset 56)");
    insns[0].imm = 1;
    assert_int_equal(apply(&w, CORE_ENUMVAL_EXISTS, "e", "2", insns, &res), 0);
    assert_string_equal(res.spec, "enum e::LOST = 3");
    assert_string_equal(res.target, "");
    assert_string_equal(res.reason, "");
    insns[0].imm = 1;
    assert_int_equal(apply(&w, CORE_TYPE_EXISTS, "word", "0", insns, &res), 0);
    assert_string_equal(res.spec, "word");
    for (int k = 0; k < CORE_KIND_COUNT; k++)
        assert_true(strlen(core_kind_name((enum core_kind)k)) > 5);
    assert_string_equal(core_kind_name(CORE_KIND_COUNT), "?");
    world_free(&w);
}

/* Names and nesting that multiply must not take for ever: anonymous members that fan out, prototypes of prototypes. */
static void test_nothing_multiplies(void **state)
{
    struct make local = make_new(), target = make_new();
    struct world w;

    (void)state;
    for (int side = 0; side < 2; side++) {
        struct make *m = side ? &target : &local;
        uint32_t i = make_int(m, "int", 4, SIGNED), deep = i, proto;

        for (int k = 0; k < 40; k++)
            deep =
                make_struct(m, BTF_UNION, NULL, 4, (struct make_member[]){{NULL, deep, 0, 0}, {NULL, deep, 0, 0}}, 2);
        make_struct(m, BTF_STRUCT, "fan", 8, (struct make_member[]){{NULL, deep, 0, 0}, {side ? "b" : "a", i, 32, 0}},
                    2);
        proto = i;
        for (int k = 0; k < 30; k++)
            proto = make_ref(m, BTF_PTR, NULL,
                             make_proto(m, i, (struct make_member[]){{"a", proto, 0, 0}, {"b", proto, 0, 0}}, 2));
        make_ref(m, BTF_TYPEDEF, "fn", proto);
    }
    w = world_new(&local, &target);
    is_refused(&w, CORE_TYPE_EXISTS, "fn", "0", (struct skep_insn){.code = MOV_K, .imm = 1},
               "CO-RE relocation at byte 0 (type_exists of fn): comparing it with the target's type 103 takes too "
               "long");
    is_refused(&w, CORE_FIELD_EXISTS, "fan", "0:1", (struct skep_insn){.code = MOV_K, .imm = 1},
               "CO-RE relocation at byte 0 (field_exists of struct fan.a (0:1 @ offset 4)): comparing it with the "
               "target's type 42 takes too long");
    world_free(&w);
}

/* ---- .BTF.ext ---- */

static void word(struct buf *b, uint32_t v)
{
    buf_add(b, &v, sizeof(v));
}

/* Two sections with functions, lines and relocations; line records are longer than known ones. */
static struct btf *make_ext(struct buf *b)
{
    struct make m = make_new();
    uint32_t i = make_int(&m, "int", 4, SIGNED), proto = make_proto(&m, i, NULL, 0), fn, xdp, tc, file, text, access;
    uint32_t lens[6] = {0};
    size_t start;
    struct btf *btf;

    fn = make_ref(&m, BTF_FUNC, "main", proto);
    make_struct(&m, BTF_STRUCT, "s", 4, (struct make_member[]){{"a", i, 0, 0}}, 1);
    xdp = make_str(&m, "xdp");
    tc = make_str(&m, "tc");
    file = make_str(&m, "a.c");
    text = make_str(&m, "return 1;");
    access = make_str(&m, "0:0");
    btf = finish(&m);
    word(b, 0x0001eb9f);
    word(b, 32);
    for (int k = 0; k < 6; k++)
        word(b, 0);
    start = b->len;
    word(b, 8);
    word(b, xdp), word(b, 2), word(b, 16), word(b, fn), word(b, 0), word(b, fn);
    word(b, tc), word(b, 1), word(b, 0), word(b, fn);
    lens[1] = (uint32_t)(b->len - start);
    lens[2] = lens[1];
    word(b, 20);
    word(b, xdp), word(b, 1), word(b, 8), word(b, file), word(b, text), word(b, 31 << 10 | 18), word(b, 0xdead);
    lens[3] = (uint32_t)(b->len - start) - lens[2];
    lens[4] = lens[2] + lens[3];
    word(b, 16);
    word(b, tc), word(b, 1), word(b, 24), word(b, fn + 1), word(b, access), word(b, CORE_FIELD_EXISTS);
    lens[5] = (uint32_t)(b->len - start) - lens[4];
    memcpy(b->data + 8, lens, sizeof(lens));
    return btf;
}

static int parse_ext(struct arena *a, const void *data, size_t size, const struct btf *btf, const struct btf_ext **out)
{
    void *copy = malloc(size ? size : 1);
    int err;

    memcpy(copy, data, size);
    said[0] = 0;
    err = btf_ext_parse(a, copy, size, btf, &said_all, out);
    free(copy);
    return err;
}

static void test_ext(void **state)
{
    struct buf b = {0};
    struct btf *btf = make_ext(&b);

    (void)state;
    for (int swapped = 0; swapped < 2; swapped++) {
        struct arena a = {0};
        const struct btf_ext *ext = NULL;
        const struct btf_ext_section *s;

        assert_int_equal(parse_ext(&a, b.data, b.len, btf, &ext), 0);
        assert_int_equal(ext->n_sections, 2);
        s = btf_ext_find(ext, "xdp");
        assert_non_null(s);
        assert_int_equal(s->n_funcs, 2);
        /* Sorted, though the file was not. */
        assert_int_equal(s->funcs[0].off, 0);
        assert_int_equal(s->funcs[1].off, 16);
        assert_string_equal(btf_name(btf, s->funcs[0].type_id), "main");
        assert_int_equal(s->n_lines, 1);
        assert_int_equal(s->lines[0].off, 8);
        assert_int_equal(s->lines[0].line, 31);
        assert_int_equal(s->lines[0].col, 18);
        assert_string_equal(s->lines[0].file, "a.c");
        assert_string_equal(s->lines[0].text, "return 1;");
        assert_int_equal(s->n_relos, 0);
        s = btf_ext_find(ext, "tc");
        assert_int_equal(s->n_relos, 1);
        assert_int_equal(s->relos[0].off, 24);
        assert_int_equal(s->relos[0].kind, CORE_FIELD_EXISTS);
        assert_string_equal(s->relos[0].access, "0:0");
        assert_null(btf_ext_find(ext, "none"));
        assert_null(btf_ext_find(NULL, "xdp"));
        arena_free(&a);
        for (size_t i = 4; i + 4 <= b.len; i += 4) {
            uint32_t v;

            memcpy(&v, b.data + i, 4);
            v = bswap_32(v);
            memcpy(b.data + i, &v, 4);
        }
        b.data[0] = (char)0xeb;
        b.data[1] = (char)0x9f;
    }
    buf_free(&b);
    btf_free(btf);
}

static void test_damaged_ext(void **state)
{
    struct buf b = {0};
    struct btf *btf = make_ext(&b);
    unsigned taken = 0;

    (void)state;
    for (size_t n = 0; n < b.len; n++) {
        struct arena a = {0};
        const struct btf_ext *ext = NULL;

        assert_int_equal(parse_ext(&a, b.data, n, btf, &ext), -EINVAL);
        assert_true(strstr(said, ".BTF.ext: ") == said);
        arena_free(&a);
    }
    for (size_t bit = 0; bit < b.len * 8; bit++) {
        struct arena a = {.limit = 1 << 20};
        const struct btf_ext *ext = NULL;

        b.data[bit / 8] ^= (char)(1 << bit % 8);
        if (!parse_ext(&a, b.data, b.len, btf, &ext)) {
            taken++;
            for (uint32_t s = 0; s < ext->n_sections; s++)
                for (uint32_t r = 0; r < ext->sections[s].n_relos; r++)
                    assert_true(strlen(ext->sections[s].relos[r].access) < 100);
        } else {
            assert_true(said[0]);
        }
        b.data[bit / 8] ^= (char)(1 << bit % 8);
        arena_free(&a);
    }
    assert_true(taken > 20);
    buf_free(&b);
    btf_free(btf);
}

/* Relocations over types that were damaged but taken: they may fail, and no more. */
static void test_damaged_types(void **state)
{
    static const char *const types[] = {"s", "s___old", "none", "e", "e64", "word", "twice", "match", "far"};
    static const char *const accesses[] = {"0", "1", "0:0", "0:2:1:0", "0:3:2", "0:4", "0:5", "0:9:5"};
    struct make local = make_new(), target = make_new();
    struct buf l = {0}, t = {0};
    unsigned taken = 0;

    (void)state;
    make_local(&local);
    make_target(&target);
    make_done(&local, &l);
    make_done(&target, &t);
    for (size_t bit = 24 * 8; bit < t.len * 8; bit += 3) {
        struct world w = {0};

        t.data[bit / 8] ^= (char)(1 << bit % 8);
        l.data[bit / 8 % l.len] ^= (char)(bit & 16 ? 1 << bit % 8 : 0);
        if (!btf_parse(l.data, l.len, NULL, false, NULL, &w.local) &&
            !btf_parse(t.data, t.len, NULL, false, NULL, &w.target)) {
            taken++;
            for (size_t i = 0; i < COUNT(types) * COUNT(accesses) * CORE_KIND_COUNT; i++) {
                struct skep_insn insns[2] = {{.code = i % 5 ? MOV_K : i % 2 ? LDX_W : LD64, .imm = 1}};
                struct core_result res;

                apply(&w, (enum core_kind)(i % CORE_KIND_COUNT), types[i / CORE_KIND_COUNT / COUNT(accesses)],
                      accesses[i / CORE_KIND_COUNT % COUNT(accesses)], insns, &res);
            }
        }
        t.data[bit / 8] ^= (char)(1 << bit % 8);
        l.data[bit / 8 % l.len] ^= (char)(bit & 16 ? 1 << bit % 8 : 0);
        world_free(&w);
    }
    assert_true(taken > 100);
    buf_free(&l);
    buf_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_bitfields),
        cmocka_unit_test(test_types_and_enums),
        cmocka_unit_test(test_what_cannot_be_resolved),
        cmocka_unit_test(test_candidates_that_agree),
        cmocka_unit_test(test_memory_accesses),
        cmocka_unit_test(test_wide_loads),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_spec_texts),
        cmocka_unit_test(test_nothing_multiplies),
        cmocka_unit_test(test_ext),
        cmocka_unit_test(test_damaged_ext),
        cmocka_unit_test(test_damaged_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
