/* Helpers that need no packet against the running kernel: checksums, numbers, strings, formats, loops, probes. */
#include "base/buf.h"
#include "tests/unit/both.h"

static unsigned char value_a[BOTH_VALUE], value_b[BOTH_VALUE], value_c[BOTH_VALUE], zeroes[BOTH_VALUE];
static unsigned char frame[64];

static void compare(const char *what, const char *text, bool first_is_read_only)
{
    const struct both_in in = {.text = text,
                               .type = BPF_PROG_TYPE_SCHED_CLS,
                               .data = frame,
                               .size = sizeof(frame),
                               .maps = {value_a, value_b, value_c, zeroes},
                               .read_only = {first_is_read_only}};

    both_compare(what, &in);
}

static void compare_tracing(const char *what, const char *text)
{
    const struct both_in in = {
        .text = text, .type = BPF_PROG_TYPE_RAW_TRACEPOINT, .maps = {value_a, value_b, value_c, zeroes}};

    both_compare(what, &in);
}

static void checksums_differ_alike(void **state)
{
    static const uint64_t seeds[] = {0, 1, 0xffff, 0x10000, 0xffffffff, 0x12345678, 0xfffffffffffffffe};
    static const int sizes[] = {0, 4, 8, 12, 60, 512, 2, 7};
    char text[400];

    (void)state;
    if (!both_kernel_ok())
        skip();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < BOTH_VALUE; i++) {
            value_a[i] = round == 0 ? 0 : round == 1 ? 0xff : (unsigned char)(i * 91 + 5);
            value_b[i] = round == 0 ? 0xff : round == 1 ? 0xff : (unsigned char)(i * 17 + 3);
        }
        for (size_t f = 0; f < 8; f++)
            for (size_t t = 0; t < 8; t++)
                for (size_t s = 0; s < sizeof(seeds) / sizeof(seeds[0]); s++) {
                    snprintf(text, sizeof(text),
                             "r1 = map[a][0]\nr2 = %d\nr3 = map[b][0]\nr4 = %d\nr5 = 0x%llx ll\ncall csum_diff\n"
                             "r1 = r0\nr1 >>= 32\nr0 ^= r1\nexit\n",
                             sizes[f], sizes[t], (unsigned long long)seeds[s]);
                    compare(text, text, false);
                }
    }
}

static void numbers_are_read_alike(void **state)
{
    static const char *const numbers[] = {"0",
                                          "7",
                                          "-7",
                                          "  12",
                                          "\t\n 12x",
                                          "0x1F",
                                          "0X1f ",
                                          "0x",
                                          "0xg",
                                          "x1",
                                          "010",
                                          "08",
                                          "-0",
                                          "- 1",
                                          "--1",
                                          "+1",
                                          "",
                                          " ",
                                          "-",
                                          "9223372036854775807",
                                          "9223372036854775808",
                                          "-9223372036854775808",
                                          "-9223372036854775809",
                                          "18446744073709551615",
                                          "18446744073709551616",
                                          "0xffffffffffffffff",
                                          "0x10000000000000000",
                                          "00000000000000000000000000000000000000000000000000000000000000000000001",
                                          "123abc",
                                          "1777777777777777777777",
                                          "abcdef"};
    static const char *const bases[] = {"0", "8", "10", "16", "2", "32", "0x100000000 ll"};
    char text[400], what[128];

    (void)state;
    if (!both_kernel_ok())
        skip();
    for (size_t n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++) {
        memset(value_a, 0, sizeof(value_a));
        memcpy(value_a, numbers[n], strlen(numbers[n]));
        for (size_t b = 0; b < sizeof(bases) / sizeof(bases[0]); b++)
            for (int is_signed = 0; is_signed < 2; is_signed++)
                for (size_t cut = 0; cut < 2; cut++) {
                    size_t size = strlen(numbers[n]) + (cut ? 0 : 3);

                    if (!size)
                        size = 1;
                    snprintf(text, sizeof(text),
                             "r1 = map[a][0]\nr2 = %zu\nr3 = %s\n*(u64 *)(r10 - 8) = 77\nr4 = r10\nr4 += -8\n"
                             "call %s\nr1 = map[b][0]\nr2 = *(u64 *)(r10 - 8)\n*(u64 *)(r1 + 0) = r2\nexit\n",
                             size, bases[b], is_signed ? "strtol" : "strtoul");
                    snprintf(what, sizeof(what), "%s of '%s' in base %s, %zu bytes", is_signed ? "strtol" : "strtoul",
                             numbers[n], bases[b], size);
                    compare(what, text, false);
                }
    }
}

static void strings_compare_alike(void **state)
{
    static const char *const pairs[][2] = {{"", ""},       {"a", "b"},      {"b", "a"},    {"abc", "abc"},
                                           {"abc", "abd"}, {"abc", "abcd"}, {"\xff", "a"}, {"abcd", "abc"}};
    char text[256];

    (void)state;
    if (!both_kernel_ok())
        skip();
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        for (int size = 1; size < 6; size++) {
            memset(value_a, 0, sizeof(value_a));
            memset(value_b, 0, sizeof(value_b));
            strcpy((char *)value_a, pairs[i][1]);
            strcpy((char *)value_b, pairs[i][0]);
            snprintf(text, sizeof(text), "r1 = map[b][0]\nr2 = %d\nr3 = map[a][0]\ncall strncmp\nexit\n", size);
            compare(text, text, true);
        }
}

struct format {
    const char *format;
    int n; /* arguments */
    uint64_t args[12];
    unsigned pointers; /* bit i: argument i is the address of the strings, its value an offset into them */
};

/* The kernel's verifier reads constant formats before a program may run; here they are judged when they are used. */
static void compare_format(const char *what, const char *text)
{
    static struct both_out kernel, here;
    const struct both_in in = {.text = text,
                               .type = BPF_PROG_TYPE_SCHED_CLS,
                               .data = frame,
                               .size = sizeof(frame),
                               .maps = {value_a, value_b, value_c, zeroes},
                               .read_only = {true}};

    both_run_kernel(&in, &kernel);
    if (!kernel.refused) {
        both_compare(what, &in);
        return;
    }
    assert_non_null(strstr(kernel.text, "Invalid format string"));
    both_run_here(&in, true, &here);
    if (here.refused || here.retval != (uint32_t)-EINVAL)
        fail_msg("%s: the kernel refuses it, here it %s %d", what, here.refused ? here.text : "returns",
                 (int)here.retval);
}

static void format_alike(const struct format *f, int room)
{
    struct buf text = {0};
    char what[128];

    memset(value_a, 0, sizeof(value_a));
    memcpy(value_a, f->format, strlen(f->format));
    memset(value_b, 0xee, sizeof(value_b));
    memset(value_c, 0, sizeof(value_c));
    memcpy(value_c + 512, "hello\0\x7f\0\0\1\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 27);
    memset(value_c + 600, 'x', 400);
    for (int i = 0; i < 12; i++)
        memcpy(value_c + 8 * i, &f->args[i], 8);
    /* The arguments go to the stack, which is as long in both; addresses differ, so none of them stays in a map. */
    for (int i = 0; i < f->n; i++) {
        if (f->pointers >> i & 1)
            buf_printf(&text, "r1 = map[c][0]\nr1 += %u\n", (unsigned)f->args[i]);
        else
            buf_printf(&text, "r1 = 0x%llx ll\n", (unsigned long long)f->args[i]);
        buf_printf(&text, "*(u64 *)(r10 - %d) = r1\n", 8 * (f->n - i));
    }
    buf_printf(&text, "r1 = map[b][0]\nr2 = %d\nr3 = map[a][0]\nr4 = r10\nr4 += %d\nr5 = %d\n", room, -8 * f->n,
               8 * f->n);
    if (!f->n)
        buf_puts(&text, "r4 = 0\n");
    buf_puts(&text, "call snprintf\nexit\n");
    snprintf(what, sizeof(what), "snprintf of '%s' into %d bytes", f->format, room);
    compare_format(what, buf_text(&text));
    buf_free(&text);
}

static void formats_are_written_alike(void **state)
{
    static const struct format formats[] = {
        {"", 0, {0}, 0},
        {"plain text, 100%%\n", 0, {0}, 0},
        {"%d %i %u", 3, {1, (uint64_t)-1, (uint64_t)-1}, 0},
        {"%ld %li %lu", 3, {1, (uint64_t)-1, (uint64_t)-1}, 0},
        {"%lld %llu %llx %llX", 4, {(uint64_t)INT64_MIN, UINT64_MAX, 0xABCDEF0123456789, 0xABCDEF0123456789}, 0},
        {"%x %X %lx %lX", 4, {0x1abcdef01, 0x1abcdef01, 0x1abcdef01, 0x1abcdef01}, 0},
        {"[%5d] [%-5d] [%05d] [%+d] [% d] [%+5d]", 6, {42, 42, 42, 42, 42, 42}, 0},
        {"[%5d] [%-5d] [%05d] [%+d] [% d] [%-05d]", 6, {-42ull, -42ull, -42ull, -42ull, -42ull, -42ull}, 0},
        {"[%3x] [%08x] [%-8x] [%+x] [% x] [%012llx]", 6, {0xabcd, 0xabcd, 0xabcd, 0xabcd, 0xabcd, 0xabcd}, 0},
        {"%c%c%c [%3c] [%-3c]", 5, {'a', 'b', 'c', 'd', 'e'}, 0},
        {"%s", 1, {512}, 1},
        {"[%s] [%10s] [%-10s] [%2s] [%010s]", 5, {512, 512, 512, 512, 512}, 31},
        {"%s and %d", 2, {600, 5}, 1},
        {"%s%s", 2, {600, 600}, 3},
        {"%pks %pus.", 2, {512, 1}, 1},
        {"%s", 1, {1}, 0},
        {"%px %px", 2, {0x1234, 0xffffffff81000000}, 0},
        {"[%20px] [%-20px] [%020px] [%4px]", 4, {0x1234, 0x1234, 0x1234, 0x1234}, 0},
        {"%p", 1, {0}, 0},
        {"%pI4 %pi4", 2, {518, 518}, 3},
        {"%pI6 %pi6", 2, {522, 522}, 3},
        {"%pI6c %pI4h.", 2, {522, 518}, 3},
        {"[%20pI4]", 1, {518}, 1},
        {"%pI4", 1, {8}, 0},
        {"%d", 0, {0}, 0},
        {"%d %d", 1, {1}, 0},
        {"none", 1, {1}, 0},
        {"%", 1, {1}, 0},
        {"%5%", 1, {1}, 0},
        {"%%%%d", 1, {1}, 0},
        {"%f", 1, {1}, 0},
        {"%o", 1, {1}, 0},
        {"%hd", 1, {1}, 0},
        {"%hhx", 1, {1}, 0},
        {"%llld", 1, {1}, 0},
        {"%zu", 1, {1}, 0},
        {"%.3d", 1, {1}, 0},
        {"%*d", 1, {1}, 0},
        {"%#x", 1, {1}, 0},
        {"%sx", 1, {512}, 1},
        {"%s!", 1, {512}, 1},
        {"%s%d", 2, {512, 3}, 1},
        {"%p%d", 2, {0, 3}, 0},
        {"%pz", 1, {0}, 0},
        {"%pI5", 1, {518}, 1},
        {"%pIc", 1, {518}, 1},
        {"%pkx", 1, {512}, 1},
        {"%pksx", 1, {512}, 1},
        {"%ls", 1, {512}, 1},
        {"\x01", 0, {0}, 0},
        {"\x80 \xff", 0, {0}, 0},
        {"\xc3\xa9 %d\xc3\xa9 %s\xa0", 2, {1, 512}, 2},
        {"%s\xc3\xa9", 1, {512}, 1},
        {"%s\x90", 1, {512}, 1},
        {"%s\xd7 %s\xbf", 2, {512, 512}, 3},
        {"%pI4\xc3\xa9", 1, {518}, 1},
        {"%px\xc3\xa9", 1, {7}, 0},
        {"%p%", 1, {7}, 0},
        {"tab\tok\v\f\r", 0, {0}, 0},
        {"%d %d %d %d %d %d %d %d %d %d %d %d", 12, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 0},
        {"%0-5d|%-05d|%+ d|% +d", 4, {7, 7, 7, 7}, 0},
        {"%300d|%-300d|", 2, {7, 8}, 0},
        {"%10c%20s", 2, {'x', 512}, 2},
    };

    (void)state;
    if (!both_kernel_ok())
        skip();
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        format_alike(&formats[i], 512);
        format_alike(&formats[i], 8);
        format_alike(&formats[i], 1);
    }
}

static void probes_fail_alike(void **state)
{
    static const char *const helpers[] = {"probe_read",     "probe_read_kernel",     "probe_read_user",
                                          "probe_read_str", "probe_read_kernel_str", "probe_read_user_str"};
    static const char *const from[] = {"r3 = 0", "r3 = 8", "r3 = 0xffffffffffff0000 ll", "r3 = map[c][0]+600"};
    char text[400];

    (void)state;
    if (!both_kernel_ok())
        skip();
    memset(value_c, 'x', sizeof(value_c));
    memcpy(value_c + 603, "\0yz", 3);
    for (size_t h = 0; h < 6; h++)
        for (size_t f = 0; f < 4; f++)
            for (int size = 0; size < 9; size += 4) {
                /* The kernel's maps are not user memory; ours are. */
                if (f == 3 && (h == 2 || h == 5))
                    continue;
                snprintf(text, sizeof(text),
                         "r1 = r10\nr1 += -8\n*(u64 *)(r10 - 8) = -1\nr2 = %d\n%s\ncall %s\nr1 = *(u64 *)(r10 - 8)\n"
                         "r2 = map[b][0]\n*(u64 *)(r2 + 0) = r1\nexit\n",
                         size, from[f], helpers[h]);
                memset(value_b, 0, sizeof(value_b));
                compare_tracing(text, text);
            }
}

static void trace_formats_are_judged_alike(void **state)
{
    static const char *const formats[] = {"skep unit test %d\n", "%d %d %d %d", "%f", "no end", "%s", "%pz", "%d%%"};
    char text[300];

    (void)state;
    if (!both_kernel_ok())
        skip();
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        for (int cut = 0; cut < 2; cut++) {
            memset(value_b, 0, sizeof(value_b));
            memcpy(value_b, formats[i], strlen(formats[i]));
            snprintf(text, sizeof(text), "r1 = map[b][0]\nr2 = %zu\nr3 = 1\nr4 = 2\nr5 = 3\ncall trace_printk\nexit\n",
                     strlen(formats[i]) + !cut);
            compare(text, text, false);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_differ_alike), cmocka_unit_test(numbers_are_read_alike),
        cmocka_unit_test(strings_compare_alike),  cmocka_unit_test(formats_are_written_alike),
        cmocka_unit_test(probes_fail_alike),      cmocka_unit_test(trace_formats_are_judged_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
