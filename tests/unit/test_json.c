/* JSON: what the writer makes, what the reader takes, and what it says of what it refuses. */
#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void keep_message(void *ctx, enum skep_log_level level, const char *text)
{
    (void)level;
    snprintf(ctx, 256, "%s", text);
}

static const struct json *parse_n(struct arena *a, const char *text, size_t n)
{
    const struct json *v = NULL;
    /* A copy of exactly this size lets ASan see a read past the end. */
    char *copy = malloc(n ? n : 1);

    memcpy(copy, text, n);
    if (json_parse(a, copy, n, NULL, &v))
        v = NULL;
    free(copy);
    return v;
}

static const struct json *parse(struct arena *a, const char *text)
{
    return parse_n(a, text, strlen(text));
}

static void refuse(const char *text, const char *message)
{
    struct arena a = {0};
    char said[256] = "";
    struct log log = {keep_message, said, NULL, SKEP_LOG_DEBUG};
    const struct json *v = NULL;

    assert_int_equal(json_parse(&a, text, strlen(text), &log, &v), -EINVAL);
    assert_null(v);
    assert_string_equal(said, message);
    arena_free(&a);
}

static void write_some(struct json_writer *w)
{
    json_object_begin(w);
    json_str_at(w, "a\"b", "x\ny\x01\\\xc3\xa4\xff");
    json_u64_at(w, "u", UINT64_MAX);
    json_i64_at(w, "i", INT64_MIN);
    json_bool_at(w, "t", true);
    json_name(w, "list");
    json_array_begin(w);
    json_double(w, 0.1);
    json_null(w);
    json_hex(w, 0x1f);
    json_array_begin(w);
    json_array_end(w);
    json_array_end(w);
    json_name(w, "empty");
    json_object_begin(w);
    json_object_end(w);
    json_object_end(w);
}

static void test_writer(void **state)
{
    struct buf out = {0};
    struct json_writer w = {.out = &out};

    (void)state;
    write_some(&w);
    assert_string_equal(buf_text(&out), "{\"a\\\"b\":\"x\\ny\\u0001\\\\\xc3\xa4\xef\xbf\xbd\","
                                        "\"u\":18446744073709551615,\"i\":-9223372036854775808,\"t\":true,"
                                        "\"list\":[0.1,null,\"0x1f\",[]],\"empty\":{}}");
    buf_clear(&out);
    w = (struct json_writer){.out = &out, .pretty = true};
    json_object_begin(&w);
    json_u64_at(&w, "a", 1);
    json_name(&w, "b");
    json_array_begin(&w);
    json_u64(&w, 2);
    json_u64(&w, 3);
    json_array_end(&w);
    json_object_end(&w);
    assert_string_equal(buf_text(&out), "{\n  \"a\": 1,\n  \"b\": [\n    2,\n    3\n  ]\n}");
    buf_clear(&out);
    w = (struct json_writer){.out = &out};
    json_array_begin(&w);
    json_double(&w, NAN);
    json_double(&w, INFINITY);
    json_double(&w, 1e300);
    json_double(&w, -2.5);
    json_array_end(&w);
    assert_string_equal(buf_text(&out), "[null,null,1e+300,-2.5]");
    buf_free(&out);
}

static void test_writer_replaces_bad_utf8(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\""},                                 /* overlong */
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},                 /* surrogate */
        {"\xf0\x9f\x90\x9d", "\"\xf0\x9f\x90\x9d\""},                                 /* a bee */
        {"\xf0\x9f\x90", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},                 /* cut off */
        {"\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* past U+10FFFF */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = {0};
        struct json_writer w = {.out = &out};

        json_string(&w, cases[i].in);
        assert_string_equal(buf_text(&out), cases[i].out);
        buf_free(&out);
    }
}

static void test_round_trip(void **state)
{
    struct arena a = {0};
    struct buf out = {0};
    struct json_writer w = {.out = &out, .pretty = true};
    const struct json *v, *list;

    (void)state;
    write_some(&w);
    v = parse(&a, buf_text(&out));
    assert_non_null(v);
    assert_int_equal(v->kind, JSON_OBJECT);
    assert_int_equal(v->length, 6);
    assert_string_equal(json_get(v, "a\"b")->string, "x\ny\x01\\\xc3\xa4\xef\xbf\xbd");
    assert_true(json_get(v, "u")->integer == UINT64_MAX && !json_get(v, "u")->negative);
    assert_true(json_get(v, "i")->integer == 1ull << 63 && json_get(v, "i")->negative);
    assert_true(json_get(v, "t")->kind == JSON_BOOL && json_get(v, "t")->boolean);
    list = json_get(v, "list");
    assert_int_equal(list->length, 4);
    assert_true(list->items[0]->kind == JSON_DOUBLE && list->items[0]->number == 0.1);
    assert_int_equal(list->items[1]->kind, JSON_NULL);
    assert_string_equal(list->items[2]->string, "0x1f");
    assert_int_equal(list->items[3]->length, 0);
    assert_int_equal(json_get(v, "u")->line, 3);
    assert_null(json_get(v, "nothing"));
    assert_null(json_get(list, "u"));
    buf_free(&out);
    arena_free(&a);
}

static void test_numbers(void **state)
{
    struct arena a = {0};
    const struct json *v;

    (void)state;
    v = parse(&a, "[0,-0,18446744073709551615,18446744073709551616,-9223372036854775808,-9223372036854775809,1e3,-1]");
    assert_non_null(v);
    assert_true(v->items[0]->kind == JSON_INT && !v->items[0]->integer);
    assert_true(v->items[1]->kind == JSON_INT && !v->items[1]->negative);
    assert_true(v->items[2]->kind == JSON_INT && v->items[2]->integer == UINT64_MAX);
    assert_true(v->items[3]->kind == JSON_DOUBLE && v->items[3]->number == 18446744073709551616.0);
    assert_true(v->items[4]->kind == JSON_INT && v->items[4]->integer == 1ull << 63);
    assert_int_equal(v->items[5]->kind, JSON_DOUBLE);
    assert_true(v->items[6]->kind == JSON_DOUBLE && v->items[6]->number == 1000);
    assert_true(v->items[7]->negative && v->items[7]->integer == UINT64_MAX && v->items[7]->number == -1);
    arena_free(&a);
}

static void test_as_u64(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t value;
    } cases[] = {
        {"5", true, 5},
        {"-5", true, (uint64_t)-5},
        {"\"0x1f\"", true, 31},
        {"\"-0x1\"", true, UINT64_MAX},
        {"\"010\"", true, 8},
        {"\"0\"", true, 0},
        {"\"0xffffffffffffffff\"", true, UINT64_MAX},
        {"\"18446744073709551616\"", false, 0},
        {"\"-9223372036854775809\"", false, 0},
        {"\"08\"", false, 0},
        {"\"0x\"", false, 0},
        {"\"\"", false, 0},
        {"\"-\"", false, 0},
        {"\"5 \"", false, 0},
        {"\" 5\"", false, 0},
        {"\"5\\u0000\"", false, 0},
        {"1.5", false, 0},
        {"true", false, 0},
        {"null", false, 0},
        {"[1]", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena a = {0};
        uint64_t got = 0;
        const struct json *v = parse(&a, cases[i].text);

        assert_non_null(v);
        assert_int_equal(json_as_u64(v, &got), cases[i].ok);
        assert_true(got == cases[i].value);
        arena_free(&a);
    }
    assert_false(json_as_u64(NULL, NULL));
}

static void test_strings(void **state)
{
    struct arena a = {0};
    const struct json *v = parse(&a, "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\ud83d\\udc1d\\u20ac\\u0000x\"");

    (void)state;
    assert_non_null(v);
    assert_int_equal(v->length, 8 + 2 + 4 + 3 + 2);
    assert_memory_equal(v->string, "\"\\/\b\f\n\r\t\xc3\xa4\xf0\x9f\x90\x9d\xe2\x82\xac\0x", v->length + 1);
    v = parse(&a, "\xef\xbb\xbf \"\"");
    assert_non_null(v);
    assert_int_equal(v->length, 0);
    v = parse(&a, "{\"a\":1,\"a\":2}");
    assert_int_equal(json_get(v, "a")->integer, 2);
    arena_free(&a);
}

static void test_refusals_say_where(void **state)
{
    (void)state;
    refuse("", "JSON: line 1, column 1: the text ends where a value was expected");
    refuse("{\n  \"a\": tru\n}", "JSON: line 2, column 8: a value was expected");
    refuse("{\"a\" 1}", "JSON: line 1, column 6: ':' was expected");
    refuse("{\"a\":1,}", "JSON: line 1, column 8: a member's name was expected");
    refuse("{1:2}", "JSON: line 1, column 2: a member's name was expected");
    refuse("[1 2]", "JSON: line 1, column 4: ',' or ']' was expected");
    refuse("[1,]", "JSON: line 1, column 4: a value was expected");
    refuse("{\"a\":1", "JSON: line 1, column 7: ',' or '}' was expected");
    refuse("1 2", "JSON: line 1, column 3: more text after the value");
    refuse("01", "JSON: line 1, column 1: a number may not begin with 0");
    refuse("1.", "JSON: line 1, column 1: a number ends in its point");
    refuse("1e+", "JSON: line 1, column 1: a number without its exponent");
    refuse("1e999", "JSON: line 1, column 1: a number that is too large");
    refuse("-", "JSON: line 1, column 1: a value was expected");
    refuse("\"abc", "JSON: line 1, column 1: a string without an end");
    refuse("\"abc\\\"", "JSON: line 1, column 1: a string without an end");
    refuse("\"\\q\"", "JSON: line 1, column 2: unknown escape");
    refuse("\"\\u12g4\"", "JSON: line 1, column 2: \\u needs four hex digits");
    refuse("\"\\ud83d\"", "JSON: line 1, column 2: half of a surrogate pair");
    refuse("\"\\udc1d\\ud83d\"", "JSON: line 1, column 2: half of a surrogate pair");
    refuse("\"\\ud83d\\u0041\"", "JSON: line 1, column 2: half of a surrogate pair");
    refuse("\"\xc3\xa4\t\"", "JSON: line 1, column 3: a control character in a string");
    refuse("\"\xc3\"", "JSON: line 1, column 2: bytes that are no UTF-8");
    refuse("\"\xed\xa0\x80\"", "JSON: line 1, column 2: bytes that are no UTF-8");
    refuse("{\"a\\u0000b\":1}", "JSON: line 1, column 2: a NUL in a name");
    refuse("NaN", "JSON: line 1, column 1: a value was expected");
}

static void test_depth_is_bounded(void **state)
{
    char text[200001];
    struct arena a = {0};

    (void)state;
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    assert_non_null(parse_n(&a, text, 128));
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    assert_null(parse_n(&a, text, 130));
    memset(text, '[', 200000);
    text[200000] = 0;
    refuse(text, "JSON: line 1, column 65: nested too deeply (64 levels at most)");
    arena_free(&a);
}

static void test_every_prefix_and_flip(void **state)
{
    static const char text[] =
        "{\"a\":[1,-2.5e-3,\"x\\u00e4\\ud83d\\udc1d\xc3\xa4\",true,false,null],\"b\":{\"c\":\"\"}}";
    char copy[sizeof(text)];

    (void)state;
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        struct arena a = {0};

        assert_null(parse_n(&a, text, n));
        arena_free(&a);
    }
    for (size_t i = 0; i < (sizeof(text) - 1) * 8; i++) {
        struct arena a = {0};

        memcpy(copy, text, sizeof(text));
        copy[i / 8] ^= (char)(1 << i % 8);
        parse_n(&a, copy, sizeof(text) - 1);
        arena_free(&a);
    }
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Time for n items, nested lists of lists included. */
static double time_for(size_t n)
{
    struct arena a = {0};
    struct buf out = {0};
    struct json_writer w = {.out = &out};
    double start;

    json_array_begin(&w);
    for (size_t i = 0; i < n; i++) {
        json_object_begin(&w);
        json_u64_at(&w, "key", i);
        json_str_at(&w, "value", "some text");
        json_object_end(&w);
        buf_putc(&out, '\n');
    }
    json_array_end(&w);
    start = seconds();
    assert_non_null(parse_n(&a, out.data, out.len));
    start = seconds() - start;
    buf_free(&out);
    arena_free(&a);
    return start;
}

static void test_time_grows_with_the_text(void **state)
{
    double small = time_for(5000), large = time_for(80000);

    (void)state;
    /* 16 times the text; quadratic behaviour would be 256 times the time. */
    assert_true(large < (small + 0.002) * 100);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (size_t limit = 16; limit < 800; limit += 16) {
        struct arena a = {.limit = limit};
        const struct json *v = NULL;
        static const char text[] = "{\"a\":[1,2,3],\"b\":\"text\"}";
        int err = json_parse(&a, text, sizeof(text) - 1, NULL, &v);

        assert_true(err == -ENOMEM || (!err && v));
        arena_free(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_writer_replaces_bad_utf8),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_as_u64),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_refusals_say_where),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_every_prefix_and_flip),
        cmocka_unit_test(test_time_grows_with_the_text),
        cmocka_unit_test(test_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
