/* Assembler and disassembler: every spelling means its bytes, every byte string survives the round trip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "vm/isa/asm.h"
#include "vm/isa/disasm.h"
#include "vm/isa/isa.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static uint64_t random_state = 0x2545f4914f6cdd1d;

static uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static bool find_helper(void *ctx, const char *name, size_t len, uint32_t *id)
{
    (void)ctx;
    *id = 1;
    return len == 15 && !memcmp(name, "map_lookup_elem", 15);
}

static bool find_map(void *ctx, const char *name, size_t len, uint32_t *index)
{
    (void)ctx;
    *index = 3;
    return len == 5 && !memcmp(name, "stats", 5);
}

static const struct asm_opts names = {.helper = find_helper, .map = find_map};

static void keep_message(void *ctx, enum skep_log_level level, const char *text)
{
    (void)level;
    snprintf(ctx, 512, "%s", text);
}

static void says(const char *text, const char *needle)
{
    char message[512] = "";
    struct log log = {.fn = keep_message, .ctx = message, .max = SKEP_LOG_DEBUG};
    struct asm_out out;

    assert_int_equal(asm_text(text, strlen(text), &names, &log, &out), -EINVAL);
    assert_null(out.insns);
    if (!strstr(message, needle))
        fail_msg("'%s' gives: %s", text, message);
}

/* The text is one instruction with these bytes. */
static void means(const char *text, uint64_t bytes)
{
    char message[512] = "", line[64];
    struct log log = {.fn = keep_message, .ctx = message, .max = SKEP_LOG_DEBUG};
    struct asm_out out, raw;

    if (asm_text(text, strlen(text), &names, &log, &out))
        fail_msg("'%s': %s", text, message);
    snprintf(line, sizeof(line), ".insn 0x%llx", (unsigned long long)bytes);
    assert_int_equal(asm_text(line, strlen(line), NULL, NULL, &raw), 0);
    if (out.n_insns != 1 || memcmp(out.insns, raw.insns, sizeof(*out.insns))) {
        struct buf b = {0};

        disasm_text(out.insns, out.n_insns, NULL, &b);
        fail_msg("'%s' became %s", text, buf_text(&b));
    }
    asm_free(&out);
    asm_free(&raw);
}

static void spellings_of_arithmetic(void **state)
{
    (void)state;
    means("r0 = 7", 0x00000007000000b7);
    means("  r0=7 ; comment", 0x00000007000000b7);
    means("r0 = 0x7 # comment", 0x00000007000000b7);
    means("r0 = 07 // comment", 0x00000007000000b7);
    means("r0 = 0b111", 0x00000007000000b7);
    means("r0 = - 1", 0xffffffff000000b7);
    means("r0 = 0xffffffff", 0xffffffff000000b7);
    means("r0 = -2147483648", 0x80000000000000b7);
    means("w1 += w2", 0x000000000000210c);
    means("r1 += r10", 0x000000000000a10f);
    means("r0 s/= r1", 0x000000000001103f);
    means("w0 s%= 3", 0x0000000300010094);
    means("r3 s>>= 0x3f", 0x0000003f000003c7);
    means("w3>>=w4", 0x000000000000437c);
    means("r1 = (s8)r2", 0x00000000000821bf);
    means("w1 = ( s16 ) w2", 0x00000000001021bc);
    means("r1 = (s32) r2", 0x00000000002021bf);
    means("r1 = -r1", 0x0000000000000187);
    means("w1 = - w1", 0x0000000000000184);
    means("r1 = bswap32 r1", 0x00000020000001d7);
    means("r1 = be16 r1", 0x00000010000001dc);
    means("r1 = le64 r1", 0x00000040000001d4);
    means("r1 = addr_space_cast(r2, 0x0, 1)", 0x00000001000121bf);
    means("r1 = addr_space_cast(r2, 1, 0)", 0x00010000000121bf);
    means("(b7) r0 = 7", 0x00000007000000b7);
    means("12: (b7) r0 = 7", 0x00000007000000b7);
    means("      40:\tr0 = 7", 0x00000007000000b7);
}

static void spellings_of_memory(void **state)
{
    (void)state;
    means("r0 = *(u32 *)(r1 + 4)", 0x0000000000041061);
    means("w0 = *(u32 *)(r1 + 0x4)", 0x0000000000041061);
    means("r0=*(u32*)(r1+4)", 0x0000000000041061);
    means("r0 = *(u32 *)(r1 +4)", 0x0000000000041061);
    means("r0 = *(u32 *)(r1 - -4)", 0x0000000000041061);
    means("r0 = *(u32 *)(r1)", 0x0000000000001061);
    means("r0 = *(s16 *)(r1 + -8)", 0x00000000fff81089);
    means("r0 = *(u8 *)(r1 - 32768)", 0x0000000080001071);
    means("*(u64 *)(r10 - 8) = r1", 0x00000000fff81a7b);
    means("*(u32 *)(r1 + 0) = w5", 0x0000000000005163);
    means("*(u8 *)(r1 +0) = 255", 0x000000ff00000172);
    means("*(u64 *)(r1 + 0) = -5", 0xfffffffb0000017a);
    means("lock *(u64 *)(r1 + 0) += r2", 0x00000000000021db);
    means("lock *(u32 *)(r1 + 4) |= w2", 0x00000040000421c3);
    means("lock *(u32 *)(r1 + 4) ^= r2", 0x000000a0000421c3);
    means("r2 = atomic_fetch_add((u64 *)(r1 + 0), r2)", 0x00000001000021db);
    means("r2 = atomic64_fetch_add((u64 *)(r1 +0), r2)", 0x00000001000021db);
    means("w2 = atomic_fetch_and((u32 *)(r1 + 0), w2)", 0x00000051000021c3);
    means("r2 = atomic_fetch_or((u32 *)(r1 +0), r2)", 0x00000041000021c3);
    means("r2 = xchg_64(r1 + 0, r2)", 0x000000e1000021db);
    means("r2 = xchg(r1 + 0, r2)", 0x000000e1000021db);
    means("w2 = xchg32_32(r1 + 8, w2)", 0x000000e1000821c3);
    means("r2 = atomic64_xchg((u64 *)(r1 +0), r2)", 0x000000e1000021db);
    means("r2 = atomic_xchg((u32 *)(r1 +0), r2)", 0x000000e1000021c3);
    means("r0 = cmpxchg_64(r1 + 0, r0, r2)", 0x000000f1000021db);
    means("w0 = cmpxchg32_32(r1 + 0, w0, w2)", 0x000000f1000021c3);
    means("r0 = atomic64_cmpxchg((u64 *)(r1 +0), r0, r2)", 0x000000f1000021db);
    means("r0 = load_acquire((u64 *)(r1 + 0))", 0x00000100000010db);
    means("w0 = load_acquire((u8 *)(r1 + 0))", 0x00000100000010d3);
    means("store_release((u16 *)(r1 + 2), w2)", 0x00000110000221cb);
    means("store_release((u64 *)(r1 + 0), r2)", 0x00000110000021db);
    means("r0 = *(u8 *)skb[14]", 0x0000000e00000030);
    means("r0 = *(u32 *)skb[-1]", 0xffffffff00000020);
    means("r0 = *(u16 *)skb[r1 + 2]", 0x0000000200001048);
    means("r0 = *(u16 *)skb[r1]", 0x0000000000001048);
    means("r0 = *(u16 *)skb[r1 + -2]", 0xfffffffe00001048);
}

static void spellings_of_control(void **state)
{
    (void)state;
    means("if r1 s> 5 goto +3", 0x0000000500030165);
    means("if r1 s> 5 goto pc+3", 0x0000000500030165);
    means("if r1 s> 5 goto +0x3 <main+0x20>", 0x0000000500030165);
    means("if r1 == -1 goto -1", 0xffffffffffff0115);
    means("if w1 & 0x7 goto +0", 0x0000000700000146);
    means("if w1 s<= w2 goto +0", 0x00000000000021de);
    means("x: if r1 != r2 goto x", 0x00000000ffff215d);
    means("1: if r1 != r2 goto 1b", 0x00000000ffff215d);
    means("goto 1f\n1:", 0x0000000000000005);
    means("goto pc-1", 0x00000000ffff0005);
    means("gotol +70000", 0x0001117000000006);
    means("may_goto pc+1", 0x00000000000100e5);
    means("call 1", 0x0000000100000085);
    means("call map_lookup_elem", 0x0000000100000085);
    means("call bpf_map_lookup_elem", 0x0000000100000085);
    means("call bpf_map_lookup_elem#1", 0x0000000100000085);
    means("call pc+3", 0x0000000300001085);
    means("call -0x9", 0xfffffff700001085);
    means("call pc+3#prog", 0x0000000300001085);
    means("call kfunc#12", 0x0000000c00002085);
    means("call kernel-function#12", 0x0000000c00002085);
    means("call kfunc#12[btf:1]", 0x0000000c00012085);
    means("callx r3", 0x000000000000038d);
    means("exit", 0x0000000000000095);
    means("f: call f", 0xffffffff00001085);
}

static void wide_is(const char *text, unsigned src, uint32_t low, uint32_t high)
{
    struct asm_out out;

    assert_int_equal(asm_text(text, strlen(text), &names, NULL, &out), 0);
    assert_int_equal(out.n_insns, 2);
    assert_int_equal(out.insns[0].code, 0x18);
    assert_int_equal(out.insns[0].dst_reg, 1);
    assert_int_equal(out.insns[0].src_reg, src);
    assert_int_equal((uint32_t)out.insns[0].imm, low);
    assert_int_equal((uint32_t)out.insns[1].imm, high);
    assert_int_equal(out.insns[1].code, 0);
    asm_free(&out);
}

static void spellings_of_wide_loads(void **state)
{
    (void)state;
    wide_is("r1 = 0x123456789 ll", 0, 0x23456789, 1);
    wide_is("r1 = -1ll", 0, 0xffffffff, 0xffffffff);
    wide_is("r1 = 18446744073709551615 ll", 0, 0xffffffff, 0xffffffff);
    wide_is("12: (18) r1 = 0x7", 0, 7, 0);
    wide_is("r1 = map[id:3]", 1, 3, 0);
    wide_is("r1 = map[fd:3]", 1, 3, 0);
    wide_is("r1 = map[id:3][0]+4", 2, 3, 4);
    wide_is("r1 = btf[id:5]", 3, 5, 0);
    wide_is("r1 = btf[id:5][btf:6]", 3, 5, 6);
    wide_is("r1 = subprog[+2]", 4, 2, 0);
    wide_is("f: r1 = subprog[f]", 4, 0xffffffff, 0);
    wide_is("f: r1 = f ll", 4, 0xffffffff, 0);
    wide_is("r1 = stats ll", 5, 3, 0);
    wide_is("r1 = map[stats]", 5, 3, 0);
    wide_is("r1 = map[idx:7]", 5, 7, 0);
    wide_is("r1 = map[stats][0]+8", 6, 3, 8);
    wide_is("r1 = map[idx:7]+8", 6, 7, 8);
}

static void labels_and_lines(void **state)
{
    static const char text[] = "; a program\n"
                               "start:\n"
                               "  r0 = 1 ll\n"
                               "  goto end\n"
                               "\n"
                               "end: exit\n"
                               "after:";
    struct asm_out out;

    (void)state;
    assert_int_equal(asm_text(text, strlen(text), NULL, NULL, &out), 0);
    assert_int_equal(out.n_insns, 4);
    assert_int_equal(out.lines[0], 3);
    assert_int_equal(out.lines[1], 3);
    assert_int_equal(out.lines[2], 4);
    assert_int_equal(out.lines[3], 6);
    assert_int_equal(out.insns[2].off, 0);
    assert_int_equal(out.n_labels, 3);
    assert_string_equal(out.labels[0].name, "start");
    assert_int_equal(out.labels[0].slot, 0);
    assert_string_equal(out.labels[1].name, "end");
    assert_int_equal(out.labels[1].slot, 3);
    assert_int_equal(out.labels[1].line, 6);
    assert_string_equal(out.labels[2].name, "after");
    assert_int_equal(out.labels[2].slot, 4);
    asm_free(&out);
    assert_int_equal(asm_text("", 0, NULL, NULL, &out), 0);
    assert_int_equal(out.n_insns, 0);
    asm_free(&out);
}

static void numeric_labels_are_the_nearest(void **state)
{
    static const char text[] = "1: goto 1f\n1: goto 1b\ngoto 1b\n1: exit\n";
    struct asm_out out;

    (void)state;
    assert_int_equal(asm_text(text, strlen(text), NULL, NULL, &out), 0);
    assert_int_equal(out.insns[0].off, 0);
    assert_int_equal(out.insns[1].off, -1);
    assert_int_equal(out.insns[2].off, -2);
    asm_free(&out);
}

static void errors_name_line_and_column(void **state)
{
    (void)state;
    says("r0 = 1\n  r11 = 2", "line 2, column 3: there is no register r11");
    says("r0 = 1\n  r11 = 2", "\n    r11 = 2\n    ^");
    says("r0 = r11", "line 1, column 6");
    says("r0 = r00", "there is no register");
    says("r0 = 4294967296", "column 6: an immediate does not fit in 32 bits (a wide one has 'll'");
    says("w0 = -2147483649", "does not fit in 32 bits");
    says("r0 += 4294967296", "an immediate does not fit");
    says("r0 = 0x10000000000000000 ll", "more than 64 bits");
    says("r0 = -9223372036854775809 ll", "does not fit in 64 bits");
    says("r0 = *(u32 *)(r1 + 32768)", "column 18: the offset does not fit");
    says("r0 = *(u32 *)(r1 - 32769)", "the offset does not fit");
    says("r0 = *(s64 *)(r1 + 0)", "a type is needed");
    says("w0 = *(u64 *)(r1 + 0)", "needs an r register");
    says("w0 = *(s8 *)(r1 + 0)", "needs an r register");
    says("r0 = *(u32 *)(w1 + 0)", "all r (64 bits)");
    says("*(s32 *)(r1 + 0) = r2", "a store has no sign");
    says("*(u64 *)(r1 + 0) = w2", "needs an r register");
    says("r0 += w1", "all r (64 bits)");
    says("w0 = r1", "all w (32 bits)");
    says("if r1 == w2 goto +1", "all r (64 bits)");
    says("if r1 = 2 goto +1", "a comparison is needed");
    says("if r1 == 2 jump +1", "'goto' is needed");
    says("goto 3", "a label or a distance with its sign");
    says("goto +32768", "does not fit in 16");
    says("goto nowhere", "line 1, column 6: there is no label 'nowhere'");
    says("goto 1b\n1: exit", "there is no label '1'");
    says("1: goto 1f\nexit", "there is no label '1'");
    says("call nothing", "no label or helper 'nothing'");
    says("call 4294967296", "does not fit in 32 bits");
    says("x: r0 = 1\nx: exit", "line 2, column 1: label 'x' stands on line 1 as well");
    says("lock *(u8 *)(r1 + 0) += r2", "u32 or u64");
    says("lock *(u64 *)(r1 + 0) -= r2", "an atomic operation is needed");
    says("r1 = atomic_fetch_add((u64 *)(r1 + 0), r2)", "the register that the operand comes from");
    says("r1 = cmpxchg_64(r1 + 0, r0, r2)", "cmpxchg compares with r0");
    says("w2 = xchg_64(r1 + 0, w2)", "widths");
    says("r1 = -r2", "one register");
    says("r1 = bswap32 r2", "one r register");
    says("w1 = (s32)w2", "(s8) or (s16)");
    says("r1 = *(u32 *)skb[0]", "goes to r0");
    says("r0 = *(u64 *)skb[0]", "u8, u16 or u32");
    says("r1 = map[nosuch]", "there is no map 'nosuch'");
    says("r1 = stats", "needs 'll'");
    says("r1 = ", "a value is needed");
    says("r1", "an operator is needed");
    says("mov r1, r2", "this begins no instruction");
    says("exit exit", "nothing more is expected");
    says("r1 = 5x", "nothing more is expected");
    says(".insn 0x10000000000000000", "more than 64 bits");
}

/* A label may be too far for 16 bits. */
static void far_labels_are_refused(void **state)
{
    struct buf text = {0};
    struct asm_out out;

    (void)state;
    buf_puts(&text, "goto end\n");
    for (int i = 0; i < 32767; i++)
        buf_puts(&text, "r0 = 0\n");
    buf_puts(&text, "end: exit\n");
    assert_int_equal(asm_text(text.data, text.len, NULL, NULL, &out), 0);
    asm_free(&out);
    buf_clear(&text);
    buf_puts(&text, "goto end\n");
    for (int i = 0; i < 32768; i++)
        buf_puts(&text, "r0 = 0\n");
    buf_puts(&text, "end: exit\n");
    says(text.data, "the label is 32768 instructions away");
    buf_free(&text);
}

static void survives(const struct skep_insn *insns, size_t n)
{
    char message[512] = "";
    struct log log = {.fn = keep_message, .ctx = message, .max = SKEP_LOG_DEBUG};
    struct buf text = {0};
    struct asm_out out;

    disasm_text(insns, n, NULL, &text);
    if (asm_text(text.data, text.len, NULL, &log, &out))
        fail_msg("%s\n%s", text.data, message);
    if (out.n_insns != n || memcmp(out.insns, insns, n * sizeof(*insns)))
        fail_msg("these bytes change: %s", text.data);
    asm_free(&out);
    buf_free(&text);
}

/* Values that keys and limits make likely to matter, or any. */
static int32_t random_field(void)
{
    static const int32_t likely[] = {0,    0,    0,     1,         2,      8,      16,      32,     64,
                                     0x40, 0x41, 0x50,  0x51,      0xa0,   0xa1,   0xe1,    0xf1,   0x100,
                                     -1,   -8,   0x110, INT32_MIN, 0xffff, 0x7fff, -0x8000, 1 << 16};

    return random64() % 4 ? likely[random64() % (sizeof(likely) / sizeof(likely[0]))] : (int32_t)random64();
}

static struct skep_insn random_insn(unsigned code)
{
    bool tidy = random64() % 2;

    return (struct skep_insn){.code = (uint8_t)code,
                              .dst_reg = (tidy ? random64() % 11 : random64()) & 15,
                              .src_reg = (tidy ? random64() % 3 * (random64() % 4) : random64()) & 15,
                              .off = (int16_t)random_field(),
                              .imm = random_field()};
}

static void any_bytes_survive(void **state)
{
    struct skep_insn insns[64];

    (void)state;
    for (int round = 0; round < 40; round++)
        for (unsigned code = 0; code < 256; code++) {
            for (int i = 0; i < 63; i++)
                insns[i] = random_insn(random64() % 8 ? code : random64() % 3 ? 0 : (unsigned)random64());
            insns[63] = random_insn(code);
            survives(insns, 64);
        }
}

/* What every operation looks like must survive as text that is not .insn. */
static void every_operation_has_text(void **state)
{
    (void)state;
    for (unsigned op = ISA_INVALID + 1; op < ISA_OP_COUNT; op++) {
        struct skep_insn insns[2] = {isa_encode((enum isa_op)op, 0, 0, 0, op == ISA_ADDR_SPACE_CAST)};
        struct buf text = {0};

        assert_int_equal(disasm_insn(insns, 2, 0, NULL, &text), isa_is_wide((enum isa_op)op) ? 2 : 1);
        assert_null(strstr(buf_text(&text), ".insn"));
        buf_free(&text);
        survives(insns, 2);
    }
}

static const char *name_helper(void *ctx, uint32_t id)
{
    (void)ctx;
    return id == 1 ? "map_lookup_elem" : NULL;
}

static const char *name_map(void *ctx, const struct skep_insn *insn)
{
    (void)ctx;
    return insn->imm == 3 ? "stats" : NULL;
}

static const char *name_func(void *ctx, uint32_t slot)
{
    (void)ctx;
    return slot == 9 ? "parse" : NULL;
}

static void names_are_shown_and_read_again(void **state)
{
    static const char text[] = "call bpf_map_lookup_elem#1\n"
                               "r1 = map[stats]\n"
                               "r1 = map[stats][0]+4\n"
                               "call pc+3#parse\n"
                               "r2 = subprog[+2] ; parse\n"
                               "call 2\n";
    const struct disasm_opts opts = {.helper = name_helper, .map = name_map, .func = name_func};
    struct buf again = {0};
    struct asm_out out;

    (void)state;
    assert_int_equal(asm_text(text, strlen(text), &names, NULL, &out), 0);
    disasm_text(out.insns, out.n_insns, &opts, &again);
    assert_string_equal(again.data, text);
    asm_free(&out);
    buf_free(&again);
}

/* Text with noise in it is refused or taken, and never read past its end. */
static void noise_is_harmless(void **state)
{
    static const char *const lines[] = {"r2 = atomic_fetch_add((u64 *)(r1 + 0), r2)",
                                        "if r1 s> 5 goto +3",
                                        "r0 = *(u16 *)skb[r1 + 2]",
                                        "r1 = map[id:3][0]+4",
                                        "call kfunc#12[btf:1]",
                                        "r1 = 0x123 ll",
                                        "l: store_release((u16 *)(r1 + 2), w2)",
                                        "r1 = addr_space_cast(r2, 0, 1)",
                                        "goto l",
                                        "12: (b7) r0 = -7 # x",
                                        "*(u32 *)(r10 - 4) = 0xffffffff"};
    char text[128];

    (void)state;
    for (int round = 0; round < 100000; round++) {
        struct asm_out out;
        size_t len = (size_t)snprintf(text, sizeof(text), "%s\n%s", lines[random64() % 11], lines[random64() % 11]);

        for (uint64_t n = random64() % 4; n; n--)
            text[random64() % len] = random64() % 3 ? "()[]*+-=:#; \n0xrwsl"[random64() % 19] : (char)random64();
        len = random64() % (len + 1);
        if (!asm_text(text, len, &names, NULL, &out))
            asm_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spellings_of_arithmetic),
        cmocka_unit_test(spellings_of_memory),
        cmocka_unit_test(spellings_of_control),
        cmocka_unit_test(spellings_of_wide_loads),
        cmocka_unit_test(labels_and_lines),
        cmocka_unit_test(numeric_labels_are_the_nearest),
        cmocka_unit_test(errors_name_line_and_column),
        cmocka_unit_test(far_labels_are_refused),
        cmocka_unit_test(any_bytes_survive),
        cmocka_unit_test(every_operation_has_text),
        cmocka_unit_test(names_are_shown_and_read_again),
        cmocka_unit_test(noise_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
