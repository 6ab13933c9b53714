/* The type store: what it takes, what it refuses, what it says about types; values shown and read. */
#include "base/json.h"
#include "tests/unit/btf_make.h"
#include "tests/unit/said.h"
#include "vm/btf/btf.h"
#include "vm/btf/show.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Parses a copy of exactly its size, so that ASan sees a step past the end. */
static int parse_bytes(const void *data, size_t size, const struct btf *base, struct btf **out)
{
    void *copy = malloc(size ? size : 1);
    int err;

    memcpy(copy, data, size);
    said[0] = 0;
    *out = NULL;
    err = btf_parse(copy, size, base, false, &said_all, out);
    free(copy);
    return err;
}

static struct btf *finish(struct make *m)
{
    struct buf b = {0};
    struct btf *btf;

    make_done(m, &b);
    if (parse_bytes(b.data, b.len, NULL, &btf))
        fail_msg("refused: %s", said);
    buf_free(&b);
    return btf;
}

static void refuse(struct make *m, const char *message)
{
    struct buf b = {0};
    struct btf *btf;

    make_done(m, &b);
    assert_int_equal(parse_bytes(b.data, b.len, NULL, &btf), -EINVAL);
    assert_null(btf);
    assert_string_equal(said, message);
    buf_free(&b);
}

enum { SIGNED = 1, BOOL = 4 };

/* One of every kind, and what refers to it in every way; the ids of what the tests look at. */
struct zoo {
    uint32_t u8, u32, s32, u64, b, ch, ptr, arr, str, in, st, un, en, en64, fwd, td, cst, fn, proto, var, sec, flt, dbl,
        i128, tag, node;
};

static struct zoo make_zoo(struct make *m)
{
    struct zoo z;
    uint32_t node_ptr, flex;

    z.u8 = make_int(m, "unsigned char", 1, 0);
    z.u32 = make_int(m, "unsigned int", 4, 0);
    z.s32 = make_int(m, "int", 4, SIGNED);
    z.u64 = make_int(m, "unsigned long long", 8, 0);
    z.b = make_int(m, "_Bool", 1, BOOL);
    z.ch = make_int(m, "char", 1, SIGNED);
    z.ptr = make_ref(m, BTF_PTR, NULL, 0);
    z.arr = make_array(m, z.s32, 3);
    z.str = make_array(m, z.ch, 8);
    z.in = make_struct(m, BTF_STRUCT, "in", 8, (struct make_member[]){{"a", z.s32, 0, 0}, {"b", z.u8, 32, 0}}, 2);
    z.un = make_struct(m, BTF_UNION, "un", 8, (struct make_member[]){{"x", z.u64, 0, 0}, {"y", z.in, 0, 0}}, 2);
    z.en = make_enum(m, BTF_ENUM, "color", 4, true, (struct make_value[]){{"RED", 0}, {"NEG", -1}}, 2);
    z.en64 = make_enum(m, BTF_ENUM64, "big", 8, false, (struct make_value[]){{"BIG", 1ll << 40}}, 1);
    z.fwd = make_fwd(m, "later", false);
    z.cst = make_ref(m, BTF_CONST, NULL, z.u32);
    z.td = make_ref(m, BTF_TYPEDEF, "word", z.cst);
    make_ref(m, BTF_VOLATILE, NULL, z.td);
    make_ref(m, BTF_RESTRICT, NULL, z.ptr);
    z.flt = make_head(m, BTF_FLOAT, "float", 0, false, 4);
    z.dbl = make_head(m, BTF_FLOAT, "double", 0, false, 8);
    z.i128 = make_int(m, "__int128", 16, SIGNED);
    z.proto = make_proto(m, z.s32, (struct make_member[]){{"a", z.s32, 0, 0}, {NULL, 0, 0, 0}}, 2);
    z.fn = make_head(m, BTF_FUNC, "fn", 1, false, z.proto);
    make_tagged(m, BTF_DECL_TAG, "arg:nonnull", z.fn, 1);
    make_tagged(m, BTF_DECL_TAG, "all", z.fn, (uint32_t)-1);
    make_head(m, BTF_TYPE_TAG, "user", 0, true, z.u32);
    z.node = m->next + 1;
    node_ptr = make_ref(m, BTF_PTR, NULL, z.node);
    make_struct(m, BTF_STRUCT, "node", 8, (struct make_member[]){{"next", node_ptr, 0, 0}}, 1);
    z.tag = make_tagged(m, BTF_DECL_TAG, "member", z.node, 0);
    flex = make_array(m, z.u8, 0);
    z.st = make_struct(m, BTF_STRUCT, "st", 48,
                       (struct make_member[]){
                           {"f3", z.u32, 0, 3},
                           {"f7", z.u32, 3, 7},
                           {"s5", z.s32, 10, 5},
                           {"wide", z.u64, 64, 40},
                           {"in", z.in, 128, 0},
                           {NULL, z.un, 192, 0},
                           {"arr", z.arr, 256, 0},
                           {"e", z.en, 352, 2},
                           {"ok", z.b, 360, 0},
                           {"flex", flex, 384, 0},
                       },
                       10);
    z.var = make_tagged(m, BTF_VAR, "counter", z.u64, 1);
    z.sec = make_datasec(m, ".data", 16, (struct make_member[]){{NULL, z.var, 8, 8}}, 1);
    return z;
}

static char *text_of(const struct btf *btf, uint32_t id, void (*fn)(const struct btf *, uint32_t, struct buf *))
{
    static char text[2048];
    struct buf b = {0};

    fn(btf, id, &b);
    snprintf(text, sizeof(text), "%s", buf_text(&b));
    buf_free(&b);
    return text;
}

static void test_every_kind_is_taken(void **state)
{
    struct make m = make_new();
    struct zoo z = make_zoo(&m);
    uint32_t count = m.next;
    struct btf *btf = finish(&m);

    (void)state;
    assert_int_equal(btf_count(btf), count);
    assert_int_equal(btf_kind(btf_type_at(btf, 0)), BTF_VOID);
    assert_null(btf_type_at(btf, count));
    assert_int_equal(btf_size(btf, z.st), 48);
    assert_int_equal(btf_size(btf, z.td), 4);
    assert_int_equal(btf_size(btf, z.arr), 12);
    assert_int_equal(btf_size(btf, z.ptr), 8);
    assert_int_equal(btf_size(btf, z.var), 8);
    assert_int_equal(btf_size(btf, z.sec), 16);
    assert_int_equal(btf_size(btf, z.fwd), -1);
    assert_int_equal(btf_size(btf, z.fn), -1);
    assert_int_equal(btf_size(btf, 0), -1);
    assert_int_equal(btf_size(btf, count), -1);
    assert_int_equal(btf_align(btf, z.st), 8);
    assert_int_equal(btf_align(btf, z.in), 4);
    assert_int_equal(btf_align(btf, z.arr), 4);
    assert_int_equal(btf_resolve(btf, z.td), z.u32);
    assert_int_equal(btf_member_bits(btf_type_at(btf, z.st), 1), 7);
    assert_int_equal(btf_member_bit_off(btf_type_at(btf, z.st), 2), 10);
    assert_string_equal(btf_name(btf, z.td), "word");
    assert_string_equal(btf_name(btf, count), "");
    assert_string_equal(btf_str(btf, 0xffffffff), "");
    assert_false(btf_str_ok(btf, 0xffffffff));
    btf_free(btf);
}

static void test_text(void **state)
{
    struct make m = make_new();
    struct zoo z = make_zoo(&m);
    uint32_t cptr = make_ref(&m, BTF_CONST, NULL, make_ref(&m, BTF_PTR, NULL, make_ref(&m, BTF_CONST, NULL, z.ch)));
    uint32_t fptr = make_ref(&m, BTF_PTR, NULL, z.proto);
    uint32_t fptrs = make_array(&m, fptr, 4);
    uint32_t aptr = make_ref(&m, BTF_PTR, NULL, make_array(&m, make_array(&m, z.s32, 3), 2));
    struct btf *btf = finish(&m);

    (void)state;
    assert_string_equal(text_of(btf, 0, btf_type_text), "void");
    assert_string_equal(text_of(btf, z.ptr, btf_type_text), "void *");
    assert_string_equal(text_of(btf, z.arr, btf_type_text), "int[3]");
    assert_string_equal(text_of(btf, z.st, btf_type_text), "struct st");
    assert_string_equal(text_of(btf, z.fwd, btf_type_text), "struct later");
    assert_string_equal(text_of(btf, cptr, btf_type_text), "const char *const");
    assert_string_equal(text_of(btf, fptrs, btf_type_text), "int (*[4])(int a, ...)");
    assert_string_equal(text_of(btf, aptr, btf_type_text), "int (*)[2][3]");
    assert_string_equal(text_of(btf, z.fn, btf_define_text), "int fn(int a, ...);");
    assert_string_equal(text_of(btf, z.td, btf_define_text), "typedef const unsigned int word;");
    assert_string_equal(text_of(btf, z.en, btf_define_text), "enum color {\n\tRED = 0,\n\tNEG = -1,\n};");
    assert_string_equal(text_of(btf, z.en64, btf_define_text), "enum big {\n\tBIG = 1099511627776ULL,\n};");
    assert_string_equal(text_of(btf, z.in, btf_define_text), "struct in {\n\tint a;\n\tunsigned char b;\n};");
    assert_non_null(strstr(text_of(btf, z.st, btf_define_text), "\tunsigned int f7: 7;\n"));
    btf_free(btf);
}

static void test_names_and_flavours(void **state)
{
    struct make m = make_new();
    uint32_t i = make_int(&m, "int", 4, SIGNED), s1, s2, fl, td, fn;
    struct btf *btf;

    (void)state;
    s1 = make_struct(&m, BTF_STRUCT, "foo", 4, (struct make_member[]){{"a", i, 0, 0}}, 1);
    td = make_ref(&m, BTF_TYPEDEF, "foo", i);
    fl = make_struct(&m, BTF_STRUCT, "foo___v2", 4, (struct make_member[]){{"a", i, 0, 0}}, 1);
    s2 = make_struct(&m, BTF_STRUCT, "foo", 4, (struct make_member[]){{"b", i, 0, 0}}, 1);
    fn = make_ref(&m, BTF_FUNC, "foo", make_proto(&m, 0, NULL, 0));
    btf = finish(&m);
    assert_int_equal(btf_find(btf, "foo", BTF_STRUCT), s1);
    assert_int_equal(btf_find(btf, "foo", BTF_TYPEDEF), td);
    assert_int_equal(btf_find(btf, "foo", BTF_FUNC), fn);
    assert_int_equal(btf_find(btf, "foo", BTF_VOID), s1);
    assert_int_equal(btf_find(btf, "foo", BTF_UNION), 0);
    assert_int_equal(btf_find(btf, "foo___v2", BTF_STRUCT), fl);
    assert_int_equal(btf_find(btf, "fo", BTF_VOID), 0);
    assert_int_equal(btf_find(btf, "", BTF_VOID), 0);
    assert_int_equal(btf_find_next(btf, s1), td);
    assert_int_equal(btf_find_next(btf, td), s2);
    assert_int_equal(btf_find_next(btf, s2), fn);
    assert_int_equal(btf_find_next(btf, fn), 0);
    assert_int_equal(btf_find_flavour(btf, "foo", 3, 0), s1);
    assert_int_equal(btf_find_flavour(btf, "foo___x", 3, td), fl);
    assert_int_equal(btf_find_flavour(btf, "foo", 3, fl), s2);
    assert_int_equal(btf_find_flavour(btf, "foo", 3, s2), 0);
    btf_free(btf);
    assert_int_equal(btf_essential_length("foo"), 3);
    assert_int_equal(btf_essential_length("foo___v2"), 3);
    assert_int_equal(btf_essential_length("foo___v2___x"), 8);
    assert_int_equal(btf_essential_length("foo___"), 6);
    assert_int_equal(btf_essential_length("___foo"), 6);
    assert_int_equal(btf_essential_length("foo____v2"), 9);
    assert_int_equal(btf_essential_length("a___b"), 1);
    assert_int_equal(btf_essential_length("a_b__c"), 6);
    assert_int_equal(btf_essential_length(""), 0);
}

static void test_other_byte_order(void **state)
{
    struct make m = make_new();
    struct zoo z = make_zoo(&m);
    struct buf b = {0};
    struct btf *btf, *swapped;
    char text[2048];

    (void)state;
    make_done(&m, &b);
    assert_int_equal(parse_bytes(b.data, b.len, NULL, &btf), 0);
    make_swap(&b);
    assert_int_equal(parse_bytes(b.data, b.len, NULL, &swapped), 0);
    assert_int_equal(btf_count(btf), btf_count(swapped));
    for (uint32_t id = 0; id < btf_count(btf); id++) {
        snprintf(text, sizeof(text), "%s", text_of(btf, id, btf_define_text));
        assert_string_equal(text, text_of(swapped, id, btf_define_text));
    }
    assert_int_equal(btf_size(swapped, z.st), 48);
    btf_free(btf);
    btf_free(swapped);
    buf_free(&b);
}

static void test_split(void **state)
{
    struct make m = make_new(), sp;
    uint32_t i = make_int(&m, "int", 4, SIGNED), s;
    uint32_t base_s = make_struct(&m, BTF_STRUCT, "foo", 4, (struct make_member[]){{"a", i, 0, 0}}, 1);
    uint32_t strs = (uint32_t)m.strs.len;
    struct btf *base = finish(&m), *btf;
    struct buf b = {0};

    (void)state;
    sp = make_split(base, strs);
    s = make_struct(&sp, BTF_STRUCT, "foo", 8, (struct make_member[]){{"base", base_s, 0, 0}, {"own", i, 32, 0}}, 2);
    make_done(&sp, &b);
    assert_int_equal(parse_bytes(b.data, b.len, base, &btf), 0);
    assert_int_equal(s, btf_count(base));
    assert_int_equal(btf_count(btf), s + 1);
    assert_int_equal(btf_find(btf, "foo", BTF_STRUCT), base_s);
    assert_int_equal(btf_find_next(btf, base_s), s);
    assert_int_equal(btf_size(btf, base_s), 4);
    assert_string_equal(btf_name(btf, i), "int");
    assert_string_equal(text_of(btf, s, btf_define_text), "struct foo {\n\tstruct foo base;\n\tint own;\n};");
    /* The same bytes without their base name types that are not there. */
    btf_free(btf);
    assert_int_equal(parse_bytes(b.data, b.len, NULL, &btf), -EINVAL);
    buf_free(&b);
    btf_free(base);
}

static void test_headers_are_refused(void **state)
{
    struct make m = make_new();
    struct buf b = {0};
    struct make_header *h;
    struct btf *btf;

    (void)state;
    make_int(&m, "int", 4, SIGNED);
    make_done(&m, &b);
    h = (struct make_header *)(void *)b.data;
    assert_int_equal(parse_bytes("", 0, NULL, &btf), -EINVAL);
    assert_string_equal(said, "BTF: 0 bytes are too short for a header");
#define REFUSED(change, back, message)                                                                                 \
    change;                                                                                                            \
    assert_int_equal(parse_bytes(b.data, b.len, NULL, &btf), -EINVAL);                                                 \
    assert_string_equal(said, message);                                                                                \
    back
    REFUSED(h->magic = 1, h->magic = 0xeb9f, "BTF: does not begin with the magic number 0xeb9f");
    REFUSED(h->version = 2, h->version = 1, "BTF: version 2, only 1 is known");
    REFUSED(h->hdr_len = 20, h->hdr_len = 24, "BTF: a header of 20 bytes in 45");
    REFUSED(h->hdr_len = 100, h->hdr_len = 24, "BTF: a header of 100 bytes in 45");
    REFUSED(h->type_off = 2, h->type_off = 0, "BTF: types (16 bytes at 2) lie outside of the data");
    REFUSED(h->type_len = 0xfffffff0, h->type_len = 16, "BTF: types (4294967280 bytes at 0) lie outside of the data");
    REFUSED(h->str_len = 6, h->str_len = 5, "BTF: strings (6 bytes at 16) lie outside of the data");
    REFUSED(h->str_len = 4, h->str_len = 5, "BTF: strings must begin and end with a NUL");
    REFUSED(h->str_len = 0, h->str_len = 5, "BTF: strings must begin and end with a NUL");
    REFUSED(h->type_len = 15, h->type_len = 16, "BTF: type 1 at byte 0 runs over the end of the types");
#undef REFUSED
    buf_free(&b);
}

static void test_bad_types_are_refused(void **state)
{
    struct make m;
    uint32_t i;

    (void)state;
#define START                                                                                                          \
    m = make_new();                                                                                                    \
    i = make_int(&m, "int", 4, SIGNED)
    START;
    make_ref(&m, BTF_PTR, NULL, 99);
    refuse(&m, "BTF: type 2 (PTR ''): refers to type 99, which it cannot");
    START;
    make_head(&m, 20, NULL, 0, false, 0);
    refuse(&m, "BTF: type 2 (? ''): unknown kind 20");
    START;
    make_head(&m, BTF_VOID, NULL, 0, false, 0);
    refuse(&m, "BTF: type 2 (VOID ''): unknown kind 0");
    START;
    make_head(&m, BTF_INT, "odd", 0, false, 4);
    make_word(&m, 33);
    refuse(&m, "BTF: type 2 (INT 'odd'): 33 bits at bit 0 in 4 bytes");
    START;
    make_head(&m, BTF_FLOAT, "f", 0, false, 3);
    refuse(&m, "BTF: type 2 (FLOAT 'f'): a float of 3 bytes");
    START;
    make_struct(&m, BTF_STRUCT, "s", 4, (struct make_member[]){{"a", i, 8, 0}}, 1);
    refuse(&m, "BTF: type 2 (STRUCT 's'): member 'a' ends past 4 bytes");
    START;
    make_struct(&m, BTF_STRUCT, "s", 8, (struct make_member[]){{"a", i, 0, 33}}, 1);
    refuse(&m, "BTF: type 2 (STRUCT 's'): member 'a': 33 bits of 4 bytes");
    START;
    make_struct(&m, BTF_STRUCT, "s", 8, (struct make_member[]){{"a", i, 0, 1}, {"b", i, 3, 0}}, 2);
    refuse(&m, "BTF: type 2 (STRUCT 's'): member 'b' begins at bit 3");
    START;
    make_struct(&m, BTF_UNION, "u", 8, (struct make_member[]){{"a", i, 32, 0}}, 1);
    refuse(&m, "BTF: type 2 (UNION 'u'): member 'a' of a union does not begin at 0");
    START;
    make_struct(&m, BTF_STRUCT, "s", 8, (struct make_member[]){{"a", 0, 0, 0}}, 1);
    refuse(&m, "BTF: type 2 (STRUCT 's'): member 'a': type 0 cannot be a member");
    START;
    make_struct(&m, BTF_STRUCT, "s", 8, (struct make_member[]){{"a", make_fwd(&m, "x", false), 0, 0}}, 1);
    refuse(&m, "BTF: type 3 (STRUCT 's'): member 'a' (type 2) has no size");
    START;
    make_array(&m, make_ref(&m, BTF_CONST, NULL, 0), 3);
    refuse(&m, "BTF: type 3 (ARRAY ''): its elements (type 2) have no size");
    START;
    make_array(&m, i, 0x40000000);
    refuse(&m, "BTF: type 2 (ARRAY ''): 1073741824 elements of 4 bytes are too large");
    START;
    make_ref(&m, BTF_FUNC, "f", i);
    refuse(&m, "BTF: type 2 (FUNC 'f'): type 1 is no prototype");
    START;
    make_proto(&m, i, (struct make_member[]){{"a", 0, 0, 0}, {"b", i, 0, 0}}, 2);
    refuse(&m, "BTF: type 2 (FUNC_PROTO ''): parameter 0: type 0 cannot be a parameter");
    START;
    make_datasec(&m, ".data", 8, (struct make_member[]){{NULL, i, 0, 4}}, 1);
    refuse(&m, "BTF: type 2 (DATASEC '.data'): entry 0: type 1 is neither variable nor function");
    START;
    make_datasec(&m, ".data", 8, (struct make_member[]){{NULL, make_tagged(&m, BTF_VAR, "v", i, 0), 6, 4}}, 1);
    refuse(&m, "BTF: type 3 (DATASEC '.data'): entry 0: 4 bytes at 6 lie outside of 8");
    START;
    make_tagged(&m, BTF_DECL_TAG, "t", i, 0);
    refuse(&m, "BTF: type 2 (DECL_TAG 't'): tags type 1, a INT");
    START;
    make_tagged(&m, BTF_DECL_TAG, "t", make_struct(&m, BTF_STRUCT, "s", 0, NULL, 0), 0);
    refuse(&m, "BTF: type 3 (DECL_TAG 't'): tags component 0 of 0");
    START;
    make_enum(&m, BTF_ENUM, "e", 3, false, NULL, 0);
    refuse(&m, "BTF: type 2 (ENUM 'e'): an enum of 3 bytes");
    START;
    make_word(&m, 0x7777);
    make_word(&m, BTF_FWD << 24);
    make_word(&m, 0);
    refuse(&m, "BTF: type 2: name at 30583, past the strings");
    START;
    make_struct(&m, BTF_STRUCT, "s", 4, (struct make_member[]){{"a", i, 0, 0}, {"b", i, 0, 0}}, 2);
    buf_add(&m.types, "xxxx", 4);
    refuse(&m, "BTF: type 3 at byte 52 runs over the end of the types");
#undef START
}

static void test_types_that_contain_themselves(void **state)
{
    struct make m = make_new();
    uint32_t i;
    struct btf *btf;

    (void)state;
    make_struct(&m, BTF_STRUCT, "s", 8, (struct make_member[]){{"me", 1, 0, 0}}, 1);
    refuse(&m, "BTF: type 1 (STRUCT 's'): contains itself");
    m = make_new();
    make_array(&m, 1, 2);
    refuse(&m, "BTF: type 1 (ARRAY ''): contains itself");
    m = make_new();
    make_ref(&m, BTF_TYPEDEF, "a", 2);
    make_ref(&m, BTF_CONST, NULL, 3);
    make_ref(&m, BTF_TYPEDEF, "b", 1);
    refuse(&m, "BTF: type 3 (TYPEDEF 'b'): contains itself");
    m = make_new();
    make_struct(&m, BTF_STRUCT, "s", 8, (struct make_member[]){{"a", 2, 0, 0}}, 1);
    make_array(&m, 3, 1);
    make_ref(&m, BTF_TYPEDEF, "t", 1);
    refuse(&m, "BTF: type 3 (TYPEDEF 't'): contains itself");
    /* Pointers may run in circles; text does not. */
    m = make_new();
    make_ref(&m, BTF_PTR, NULL, 1);
    make_ref(&m, BTF_PTR, NULL, 3);
    make_ref(&m, BTF_CONST, NULL, 2);
    i = make_ref(&m, BTF_PTR, NULL, 5);
    make_proto(&m, i, (struct make_member[]){{"f", i, 0, 0}, {"g", i, 0, 0}}, 2);
    btf = finish(&m);
    for (uint32_t id = 0; id < btf_count(btf); id++)
        assert_true(strlen(text_of(btf, id, btf_define_text)) > 0);
    btf_free(btf);
}

static void test_depth_is_bounded(void **state)
{
    struct make m;
    struct btf *btf;

    (void)state;
    for (int order = 0; order < 2; order++) {
        m = make_new();
        make_int(&m, "int", 4, SIGNED);
        for (uint32_t n = 0; n < 90; n++)
            make_ref(&m, BTF_TYPEDEF, "t", order ? (n == 89 ? 1 : m.next + 1) : m.next - 1);
        btf = finish(&m);
        assert_int_equal(btf_size(btf, order ? 2 : 91), 4);
        btf_free(btf);
        m = make_new();
        make_int(&m, "int", 4, SIGNED);
        for (uint32_t n = 0; n < 200; n++)
            make_ref(&m, BTF_TYPEDEF, "t", order ? (n == 199 ? 1 : m.next + 1) : m.next - 1);
        refuse(&m, "BTF: type 97 (TYPEDEF 't'): nested more than 96 levels deep");
    }
}

/* clang writes `enum e;` as an enum without values and without size. */
static void test_declared_enums_have_no_size(void **state)
{
    struct make m = make_new();
    uint32_t e = make_enum(&m, BTF_ENUM, "e", 0, false, NULL, 0);
    struct btf *btf = finish(&m);

    (void)state;
    assert_int_equal(btf_size(btf, e), -1);
    assert_int_equal(btf_align(btf, e), -1);
    btf_free(btf);
    m = make_new();
    e = make_enum(&m, BTF_ENUM, "e", 0, false, NULL, 0);
    make_struct(&m, BTF_STRUCT, "s", 4, (struct make_member[]){{"a", e, 0, 0}}, 1);
    refuse(&m, "BTF: type 2 (STRUCT 's'): member 'a' (type 1) has no size");
}

static void test_long_strings_are_refused(void **state)
{
    struct make m = make_new();
    struct buf name = {0};

    (void)state;
    memset(buf_grow(&name, 70000), 'x', 70000);
    make_ref(&m, BTF_TYPEDEF, buf_text(&name), 0);
    refuse(&m, "BTF: a string at 1 is longer than 65536 bytes");
    buf_free(&name);
}

static void test_datasec_can_be_filled_in(void **state)
{
    struct make m = make_new();
    uint32_t i = make_int(&m, "int", 4, SIGNED);
    uint32_t a = make_tagged(&m, BTF_VAR, "a", i, 0), b = make_tagged(&m, BTF_VAR, "b", i, 0);
    uint32_t sec = make_datasec(&m, ".bss", 0, (struct make_member[]){{NULL, a, 0, 4}, {NULL, b, 0, 4}}, 2);
    struct btf *btf = finish(&m);

    (void)state;
    assert_int_equal(btf_set_datasec(btf, sec, 8, (uint32_t[]){0, 6}, &said_all), -EINVAL);
    assert_string_equal(said, "BTF: section '.bss': 'b' (4 bytes at 6) lies outside of 8 bytes");
    assert_int_equal(btf_size(btf, sec), 0);
    assert_int_equal(btf_set_datasec(btf, a, 8, (uint32_t[]){0, 4}, NULL), -EINVAL);
    assert_int_equal(btf_set_datasec(btf, sec, 8, (uint32_t[]){4, 0}, NULL), 0);
    assert_int_equal(btf_size(btf, sec), 8);
    assert_int_equal(btf_secinfos(btf_type_at(btf, sec))[0].offset, 4);
    btf_free(btf);
}

/* ---- values ---- */

static char *json_of(const struct btf *btf, uint32_t id, const void *data, size_t size)
{
    static char text[8192];
    struct buf b = {0};
    struct json_writer w = {.out = &b};

    btf_show_json(btf, id, data, size, &w);
    snprintf(text, sizeof(text), "%s", buf_text(&b));
    buf_free(&b);
    return text;
}

static int read_text(const struct btf *btf, uint32_t id, const char *text, void *data, size_t size)
{
    struct arena a = {0};
    const struct json *v;
    int err = json_parse(&a, text, strlen(text), &said_all, &v);

    assert_int_equal(err, 0);
    said[0] = 0;
    err = btf_read_json(btf, id, v, data, size, &said_all);
    arena_free(&a);
    return err;
}

static void test_values_are_shown(void **state)
{
    struct make m = make_new();
    struct zoo z = make_zoo(&m);
    uint32_t strs = make_array(&m, z.str, 2);
    struct btf *btf = finish(&m);
    unsigned char st[48] = {0};
    uint32_t fields = 5 | 100 << 3 | (uint32_t)(-3 & 31) << 10;
    uint64_t wide = 0xabcdef0123, p = 0xffff888012345678;
    double d = 0.1;
    float f = 1.5;
    __int128 big = -2;
    int32_t s = -7, one = 1;

    (void)state;
    memcpy(st, &fields, 4);
    memcpy(st + 8, &wide, 8);
    memcpy(st + 16, &s, 4);
    memcpy(st + 24, &one, 4);
    st[20] = 200;
    memcpy(st + 36, &s, 4);
    st[44] = 3;
    st[45] = 1;
    assert_string_equal(json_of(btf, z.st, st, 48),
                        "{\"f3\":\"0x5\",\"f7\":\"0x64\",\"s5\":\"0x1d\",\"wide\":\"0xabcdef0123\",\"in\":{\"a\":-7,"
                        "\"b\":200},\"\":{\"x\":1,\"y\":{\"a\":1,\"b\":0}},\"arr\":[0,-7,0],\"e\":\"0x3\",\"ok\":true,"
                        "\"flex\":[]}");
    assert_string_equal(json_of(btf, z.ptr, &p, 8), "\"0xffff888012345678\"");
    assert_string_equal(json_of(btf, z.dbl, &d, 8), "0.1");
    assert_string_equal(json_of(btf, z.flt, &f, 4), "1.5");
    assert_string_equal(json_of(btf, z.i128, &big, 16), "\"0xfffffffffffffffffffffffffffffffe\"");
    assert_string_equal(json_of(btf, z.en, &s, 4), "-7");
    s = -1;
    assert_string_equal(json_of(btf, z.en, &s, 4), "\"NEG\"");
    wide = 1ull << 40;
    assert_string_equal(json_of(btf, z.en64, &wide, 8), "\"BIG\"");
    assert_string_equal(json_of(btf, z.str, "bash\0xyz", 8), "\"bash\"");
    assert_string_equal(json_of(btf, z.str, "abcdefgh", 8), "[97,98,99,100,101,102,103,104]");
    assert_string_equal(json_of(btf, z.str, "a\1\0\0\0\0\0", 8), "[97,1,0,0,0,0,0,0]");
    assert_string_equal(json_of(btf, strs, "abc\0\0\0\0\0de\0\0\0\0\0", 16), "[\"abc\",\"de\"]");
    assert_string_equal(json_of(btf, z.sec, "\0\0\0\0\0\0\0\0\5\0\0\0\0\0\0", 16), "{\".data\":[{\"counter\":5}]}");
    assert_string_equal(json_of(btf, z.fn, st, 48), "null");
    assert_string_equal(json_of(btf, 0, st, 48), "null");
    assert_string_equal(json_of(btf, 9999, st, 48), "null");
    /* Data that is too short is never read past. */
    assert_string_equal(json_of(btf, z.in, st, 7), "null");
    assert_string_equal(json_of(btf, z.sec, st, 8), "{\".data\":[{\"counter\":null}]}");
    btf_free(btf);
}

static void test_nothing_multiplies(void **state)
{
    struct make m = make_new();
    uint32_t empty = make_struct(&m, BTF_STRUCT, "empty", 0, NULL, 0), deep, arr;
    struct btf *btf;
    struct buf b = {0};
    struct json_writer w = {.out = &b};

    (void)state;
    arr = make_array(&m, empty, 0xffffffff);
    deep = empty;
    for (int i = 0; i < 40; i++)
        deep = make_struct(&m, BTF_STRUCT, "twice", 0, (struct make_member[]){{"a", deep, 0, 0}, {"b", deep, 0, 0}}, 2);
    btf = finish(&m);
    btf_show_json(btf, arr, "", 0, &w);
    assert_true(b.len < 1 << 20);
    buf_clear(&b);
    w = (struct json_writer){.out = &b};
    btf_show_json(btf, deep, "", 0, &w);
    assert_true(b.len < 4 << 20);
    assert_true(btf_align(btf, deep) > 0);
    buf_free(&b);
    btf_free(btf);
}

static void test_values_are_read(void **state)
{
    struct make m = make_new();
    struct zoo z = make_zoo(&m);
    uint32_t mac = make_array(&m, z.u8, 6);
    struct btf *btf = finish(&m);
    unsigned char st[48], raw[16];

    (void)state;
    /* Members of the anonymous union by their own names, in any order, and a bitfield as a number. */
    assert_int_equal(
        read_text(btf, z.st, "{\"ok\":true,\"x\":258,\"f7\":100,\"s5\":-3,\"e\":\"NEG\",\"arr\":[1]}", st, 48), 0);
    assert_string_equal(json_of(btf, z.st, st, 48),
                        "{\"f3\":\"0x0\",\"f7\":\"0x64\",\"s5\":\"0x1d\",\"wide\":\"0x0\",\"in\":{\"a\":0,\"b\":0},"
                        "\"\":{\"x\":258,\"y\":{\"a\":258,\"b\":0}},\"arr\":[1,0,0],\"e\":\"0x3\",\"ok\":true,"
                        "\"flex\":[]}");
    assert_int_equal(read_text(btf, mac, "\"02:00:5e:10:0a:Ff\"", raw, 6), 0);
    assert_memory_equal(raw, "\x02\x00\x5e\x10\x0a\xff", 6);
    assert_int_equal(read_text(btf, mac, "\"0x0203\"", raw, 6), 0);
    assert_memory_equal(raw, "\x02\x03\0\0\0", 6);
    assert_int_equal(read_text(btf, z.u32, "[\"0x01\",\"0x02\",\"0x03\",\"0x04\"]", raw, 4), 0);
    assert_memory_equal(raw, "\1\2\3\4", 4);
    assert_int_equal(read_text(btf, z.u32, "\"0xffffffff\"", raw, 4), 0);
    assert_memory_equal(raw, "\xff\xff\xff\xff", 4);
    assert_int_equal(read_text(btf, z.s32, "\"0xffffffff\"", raw, 4), 0);
    assert_memory_equal(raw, "\xff\xff\xff\xff", 4);
    assert_int_equal(read_text(btf, z.s32, "-2147483648", raw, 4), 0);
    assert_memory_equal(raw, "\0\0\0\x80", 4);
    assert_int_equal(read_text(btf, z.i128, "-2", raw, 16), 0);
    assert_memory_equal(raw, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16);
    assert_int_equal(read_text(btf, z.str, "\"abcdefgh\"", raw, 8), 0);
    assert_memory_equal(raw, "abcdefgh", 8);
    assert_int_equal(read_text(btf, z.sec, "{\"counter\":7}", raw, 16), 0);
    assert_memory_equal(raw + 8, "\7\0\0\0", 4);
    assert_int_equal(read_text(btf, z.sec, "{\".data\":[{\"counter\":8}]}", raw, 16), 0);
    assert_memory_equal(raw + 8, "\10\0\0\0", 4);
    assert_int_equal(read_text(btf, z.in, "null", raw, 8), 0);
    assert_memory_equal(raw, "\0\0\0\0\0\0\0", 8);
    btf_free(btf);
}

static void test_bad_values_are_refused(void **state)
{
    struct make m = make_new();
    struct zoo z = make_zoo(&m);
    struct btf *btf = finish(&m);
    unsigned char st[48];
    static const char *const cases[][2] = {
        {"[1]", "JSON: line 1: an object was expected"},
        {"{\n\"nope\":1}", "JSON: line 2: nope: 'st' has no such member"},
        {"{\"f3\":8}", "JSON: line 1: f3: 8 does not fit into 3 bits"},
        {"{\"f3\":-1}", "JSON: line 1: f3: -1 does not fit into 3 unsigned bits"},
        {"{\"s5\":-17}", "JSON: line 1: s5: -17 does not fit into 5 signed bits"},
        {"{\"in\":{\"b\":256}}", "JSON: line 1: in.b: 256 does not fit into 8 bits"},
        {"{\"in\":{\"b\":1.5}}", "JSON: line 1: in.b: an integer of 8 bits was expected"},
        {"{\"in\":{\"b\":\"x\"}}", "JSON: line 1: in.b: an integer of 8 bits was expected"},
        {"{\"arr\":[1,2,3,4]}", "JSON: line 1: arr: 4 elements do not fit into 3"},
        {"{\"arr\":[1,[2]]}", "JSON: line 1: arr[1]: an integer of 32 bits was expected"},
        {"{\"arr\":1}", "JSON: line 1: arr: an array was expected"},
        {"{\"e\":\"GREEN\"}", "JSON: line 1: e: an integer of 2 bits was expected"},
        {"{\"flex\":[1]}", "JSON: line 1: flex: 1 elements do not fit into 0"},
        {"{\"\":{\"y\":{\"a\":99999999999}}}", "JSON: line 1: y.a: 99999999999 does not fit into 32 bits"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(read_text(btf, z.st, cases[i][0], st, 48), -EINVAL);
        assert_string_equal(said, cases[i][1]);
    }
    assert_int_equal(read_text(btf, z.str, "\"123456789\"", st, 8), -EINVAL);
    assert_string_equal(said, "JSON: line 1: 9 bytes of text do not fit into 8");
    assert_int_equal(read_text(btf, z.in, "{}", st, 7), -EINVAL);
    assert_int_equal(read_text(btf, z.fn, "1", st, 8), -EINVAL);
    assert_int_equal(read_text(btf, z.sec, "{\"x\":1}", st, 16), -EINVAL);
    assert_string_equal(said, "JSON: line 1: x: section '.data' has no such variable");
    btf_free(btf);
}

static uint64_t random_state = 88172645463325252ull;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* A struct of random bitfields and integers, filled with random bits, must come back from its JSON unchanged. */
static void test_round_trips(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        struct make m = make_new();
        uint32_t ints[] = {make_int(&m, "u8", 1, 0),   make_int(&m, "s8", 1, SIGNED),
                           make_int(&m, "u16", 2, 0),  make_int(&m, "s32", 4, SIGNED),
                           make_int(&m, "u64", 8, 0),  make_int(&m, "s64", 8, SIGNED),
                           make_int(&m, "i128", 16, 0)};
        static const uint32_t sizes[] = {1, 1, 2, 4, 8, 8, 16};
        struct make_member mem[24];
        char names[24][8];
        uint32_t bit = 0, id, size;
        unsigned char data[512], back[512];
        struct btf *btf;

        for (unsigned i = 0; i < COUNT(mem); i++) {
            unsigned k = random_bits() % COUNT(ints);
            uint32_t bits = random_bits() % 3 ? 1 + random_bits() % (sizes[k] * 8) : 0;

            snprintf(names[i], sizeof(names[i]), "m%u", i);
            if (!bits)
                bit = (bit + 7) & ~7u;
            mem[i] = (struct make_member){names[i], ints[k], bit, bits};
            bit += bits ? bits : sizes[k] * 8;
        }
        size = (bit + 7) / 8;
        id = make_struct(&m, BTF_STRUCT, "s", size, mem, COUNT(mem));
        btf = finish(&m);
        memset(data, 0, sizeof(data));
        for (unsigned i = 0; i < COUNT(mem); i++)
            for (uint32_t b = mem[i].bit_off; b < (i + 1 < COUNT(mem) ? mem[i + 1].bit_off : bit); b++)
                if (b < mem[i].bit_off + (mem[i].bits ? mem[i].bits : 128) && random_bits() & 1)
                    data[b / 8] |= (unsigned char)(1 << b % 8);
        /* Gaps between members are not shown; clear what random bits fell there. */
        for (unsigned i = 0; i + 1 < COUNT(mem); i++)
            if (mem[i].bits)
                for (uint32_t b = mem[i].bit_off + mem[i].bits; b < mem[i + 1].bit_off; b++)
                    data[b / 8] &= (unsigned char)~(1 << b % 8);
        assert_int_equal(read_text(btf, id, json_of(btf, id, data, size), back, size), 0);
        assert_memory_equal(data, back, size);
        btf_free(btf);
    }
}

/* ---- hostile input ---- */

/* Uses everything of a store that was taken. */
static void exercise(const struct btf *btf, uint32_t limit)
{
    static const unsigned char data[256] = {1, 2, 3, 255, 128};
    struct buf b = {0};

    for (uint32_t id = 0; id < btf_count(btf) && id < limit; id++) {
        struct json_writer w = {.out = &b};

        btf_define_text(btf, id, &b);
        btf_align(btf, id);
        btf_size(btf, id);
        btf_find(btf, btf_name(btf, id), BTF_VOID);
        btf_find_next(btf, id);
        buf_clear(&b);
        btf_show_json(btf, id, data, sizeof(data), &w);
        assert_int_equal(w.depth, 0);
        buf_clear(&b);
    }
    buf_free(&b);
}

static void test_truncated_and_flipped(void **state)
{
    struct make m = make_new();
    struct buf b = {0};
    struct btf *btf;
    unsigned taken = 0;

    (void)state;
    make_zoo(&m);
    make_done(&m, &b);
    for (size_t n = 0; n < b.len; n++)
        assert_int_equal(parse_bytes(b.data, n, NULL, &btf), -EINVAL);
    for (size_t bit = 0; bit < b.len * 8; bit++) {
        b.data[bit / 8] ^= (char)(1 << bit % 8);
        if (!parse_bytes(b.data, b.len, NULL, &btf)) {
            exercise(btf, UINT32_MAX);
            btf_free(btf);
            taken++;
        } else {
            assert_true(said[0]);
        }
        b.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_true(taken > 100);
    for (int round = 0; round < 4000; round++) {
        struct buf c = {0};

        buf_add(&c, b.data, b.len);
        for (unsigned k = 1 + random_bits() % 6; k--;)
            c.data[24 + random_bits() % (c.len - 24)] = (char)random_bits();
        if (!parse_bytes(c.data, c.len, NULL, &btf)) {
            exercise(btf, UINT32_MAX);
            btf_free(btf);
        }
        buf_free(&c);
    }
    buf_free(&b);
}

static void test_vmlinux(void **state)
{
    static const char path[] = "/sys/kernel/btf/vmlinux";
    struct btf *btf;
    FILE *f = fopen(path, "rb");
    struct buf b = {0};
    char chunk[65536];
    size_t n;

    (void)state;
    if (!f)
        skip();
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_add(&b, chunk, n);
    fclose(f);
    assert_int_equal(btf_load_raw(path, NULL, &said_all, &btf), 0);
    assert_true(btf_find(btf, "task_struct", BTF_STRUCT) > 0);
    assert_true(btf_size(btf, btf_find(btf, "task_struct", BTF_STRUCT)) > 1000);
    exercise(btf, 3000);
    btf_free(btf);
    /* Borrowed in place, damaged here and there. */
    for (int round = 0; round < 60; round++) {
        uint64_t bit = (24 + random_bits() % (b.len - 24)) * 8 + random_bits() % 8;

        b.data[bit / 8] ^= (char)(1 << bit % 8);
        if (!btf_parse(b.data, b.len, NULL, true, &said_all, &btf)) {
            exercise(btf, 200);
            btf_free(btf);
        }
        b.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (int round = 0; round < 20; round++)
        assert_int_not_equal(btf_parse(b.data, random_bits() % b.len, NULL, true, &said_all, &btf), 0);
    buf_free(&b);
}

static void test_files(void **state)
{
    struct btf *btf;

    (void)state;
    assert_int_equal(btf_load_raw("/nonexistent", NULL, &said_all, &btf), -ENOENT);
    assert_string_equal(said, "/nonexistent: No such file or directory");
    assert_int_equal(btf_load_raw("/dev/null", NULL, &said_all, &btf), -EINVAL);
    assert_int_equal(btf_load_raw("/", NULL, &said_all, &btf), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_is_taken),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_names_and_flavours),
        cmocka_unit_test(test_other_byte_order),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_headers_are_refused),
        cmocka_unit_test(test_bad_types_are_refused),
        cmocka_unit_test(test_types_that_contain_themselves),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_declared_enums_have_no_size),
        cmocka_unit_test(test_long_strings_are_refused),
        cmocka_unit_test(test_datasec_can_be_filled_in),
        cmocka_unit_test(test_values_are_shown),
        cmocka_unit_test(test_nothing_multiplies),
        cmocka_unit_test(test_values_are_read),
        cmocka_unit_test(test_bad_values_are_refused),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_truncated_and_flipped),
        cmocka_unit_test(test_vmlinux),
        cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
