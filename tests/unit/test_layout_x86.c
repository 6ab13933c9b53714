/*
 * Where the x86-64 assembler puts things: jumps short and long at their borders, labels, alignments, targets outside,
 * and limits, read back with Capstone.
 */
#include "tests/unit/x86_read.h"

#ifdef CAN_READ

/* exact: nothing but jumps moves, so that a jump is long only where it must be. Alignments may shrink after a jump
 * grew. */
static void check_jump(size_t *at, const char *name, uint32_t label, bool exact)
{
    bool is_near, is_short;
    int64_t d;

    read_at(at);
    assert_string_equal(in->mnemonic, name);
    assert_int_equal(in->detail->x86.op_count, 1);
    assert_int_equal(in->detail->x86.operands[0].imm, RUN_AT + x86_offset(&as, label));
    d = (int64_t)x86_offset(&as, label) - (int64_t)*at;
    /* Backwards, a short one would have had less way to go. */
    is_near = d < 0 ? d + in->size - 2 >= INT8_MIN : d <= INT8_MAX;
    is_short = in->size == 2;
    if (!strcmp(name, "call")) {
        assert_int_equal(in->size, 5);
    } else {
        assert_true(!is_short || (d >= INT8_MIN && d <= INT8_MAX));
        assert_true(is_short || !is_near || !exact);
        assert_true(is_short || in->size == (!strcmp(name, "jmp") ? 5 : 6));
    }
    checked++;
}

static void jumps_at_borders(void **state)
{
    (void)state;
    for (unsigned gap = 115; gap < 140; gap++)
        for (unsigned cc = 0; cc <= 16; cc++) {
            const char *name = cc < 16 ? with_cc("j", cc) : "jmp";
            uint32_t back, forth;
            size_t at;

            x86_reset(&as);
            back = x86_label(&as);
            forth = x86_label(&as);
            cc < 16 ? x86_jcc(&as, cc, forth) : x86_jmp(&as, forth);
            x86_bind(&as, back);
            x86_nop(&as, gap);
            x86_bind(&as, forth);
            cc < 16 ? x86_jcc(&as, cc, back) : x86_jmp(&as, back);
            assert_int_equal(x86_finish(&as), 0);
            assert_int_equal(x86_write(&as, out, RUN_AT), 0);
            at = 0;
            check_jump(&at, name, forth, true);
            at += gap;
            check_jump(&at, name, back, true);
            assert_int_equal(at, as.size);
        }
}

static uint32_t seed = 1;
static uint32_t rnd(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)seed * n >> 32);
}

/* Labels each stand before a mov that bears their number; a trace of what was added is read back beside the code. */
static void random_layouts(void **state)
{
    enum { LABELS = 60, STEPS = 600 };
    static struct {
        char kind;
        uint32_t arg, cc;
    } trace[STEPS + LABELS];

    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        unsigned n = 0, bound = 0, spread = rnd(40);
        size_t at = 0;

        x86_reset(&as);
        for (unsigned i = 0; i < LABELS; i++)
            assert_int_equal(x86_label(&as), i);
        for (unsigned i = 0; i < STEPS; i++, n++) {
            trace[n].arg = rnd(LABELS);
            trace[n].cc = rnd(16);
            switch (rnd(8)) {
            case 0: trace[n].kind = 'j', x86_jmp(&as, trace[n].arg); break;
            case 1:
            case 2: trace[n].kind = 'c', x86_jcc(&as, trace[n].cc, trace[n].arg); break;
            case 3: trace[n].kind = 'f', x86_call(&as, trace[n].arg); break;
            case 4: trace[n].kind = 'a', x86_align(&as, 1u << rnd(7), rnd(64)); break;
            case 5: trace[n].kind = 'l', x86_lea(&as, 8, X86_RSI, x86_in(trace[n].arg, 3)); break;
            case 6: trace[n].kind = 'n', x86_nop(&as, rnd(spread + 1)); break;
            default:
                if (bound < LABELS) {
                    x86_bind(&as, bound);
                    trace[n].kind = 'b';
                    trace[n].arg = bound;
                    x86_mov_imm(&as, 4, x86_r(X86_RAX), bound++);
                } else {
                    trace[n].kind = 'n';
                }
            }
        }
        while (bound < LABELS) {
            x86_bind(&as, bound);
            trace[n].kind = 'b';
            trace[n++].arg = bound;
            x86_mov_imm(&as, 4, x86_r(X86_RAX), bound++);
        }
        assert_int_equal(x86_finish(&as), 0);
        assert_true(as.size <= sizeof(out));
        assert_int_equal(x86_write(&as, out, RUN_AT), 0);
        for (unsigned i = 0; i < n; i++) {
            size_t from;

            if (trace[i].kind == 'a' || trace[i].kind == 'n')
                continue;
            do {
                from = at;
                read_at(&at);
            } while (!strcmp(in->mnemonic, "nop"));
            at = from;
            switch (trace[i].kind) {
            case 'j': check_jump(&at, "jmp", trace[i].arg, false); break;
            case 'f': check_jump(&at, "call", trace[i].arg, false); break;
            case 'b':
                assert_int_equal(x86_offset(&as, trace[i].arg), at);
                read_at(&at);
                assert_string_equal(in->mnemonic, "mov");
                assert_int_equal(in->detail->x86.operands[1].imm, trace[i].arg);
                break;
            case 'l':
                read_at(&at);
                assert_string_equal(in->mnemonic, "lea");
                assert_int_equal(address_seen(&in->detail->x86.operands[1].mem),
                                 address_meant(x86_in(trace[i].arg, 3)));
                break;
            default: check_jump(&at, with_cc("j", trace[i].cc), trace[i].arg, false);
            }
        }
    }
}

static void alignment(void **state)
{
    (void)state;
    for (unsigned align = 1; align <= 4096; align *= 2)
        for (unsigned before = 0; before < 70; before++)
            for (unsigned most = 0; most <= 4096; most = most * 3 + 7) {
                unsigned pad = -before & (align - 1);

                x86_reset(&as);
                x86_nop(&as, before);
                x86_align(&as, align, most);
                x86_bind(&as, x86_label(&as));
                x86_plain(&as, X86_RET);
                assert_int_equal(x86_finish(&as), 0);
                assert_int_equal(x86_offset(&as, 0), before + (pad <= most ? pad : 0));
                assert_int_equal(as.size, x86_offset(&as, 0) + 1);
            }
}

/* Each jump reaches only as long as all others are short: the worst that lengthening can meet. */
static void chains_end(void **state)
{
    enum { N = 200000 };
    uint8_t *code;

    (void)state;
    x86_reset(&as);
    for (unsigned i = 0; i < N + 64; i++)
        x86_label(&as);
    for (unsigned i = 0; i < N; i++) {
        x86_bind(&as, i);
        x86_jmp(&as, i + 64);
    }
    x86_nop(&as, 1);
    for (unsigned i = N; i < N + 64; i++)
        x86_bind(&as, i);
    assert_int_equal(x86_finish(&as), 0);
    code = malloc(as.size);
    assert_non_null(code);
    assert_int_equal(x86_write(&as, code, 0), 0);
    for (unsigned i = 0; i < N; i++) {
        size_t at = x86_offset(&as, i);
        int32_t far;
        int64_t d;

        if (code[at] == 0xeb) {
            d = (int64_t)at + 2 + (int8_t)code[at + 1];
        } else {
            assert_int_equal(code[at], 0xe9);
            memcpy(&far, code + at + 1, 4);
            d = (int64_t)at + 5 + far;
        }
        assert_int_equal(d, x86_offset(&as, i + 64));
    }
    free(code);
}

static void far_targets(void **state)
{
    static const struct {
        uint64_t from, to;
        int err;
    } row[] = {
        {0x1000, 0x1000, 0},
        {0x1000, 0x1005 + 0x7fffffffull, 0},
        {0x1000, 0x1006 + 0x7fffffffull, -ERANGE},
        {0x7f0000000000, 0x7f0000000005 - 0x80000000ull, 0},
        {0x7f0000000000, 0x7f0000000004 - 0x80000000ull, -ERANGE},
        {0x7f0000000000, 0x550000000000, -ERANGE},
    };

    (void)state;
    for (unsigned i = 0; i < COUNT(row); i++)
        for (int call = 0; call < 2; call++) {
            int32_t d;

            x86_reset(&as);
            call ? x86_call_to(&as, row[i].to) : x86_jmp_to(&as, row[i].to);
            assert_int_equal(x86_finish(&as), 0);
            assert_int_equal(as.size, 5);
            assert_int_equal(x86_write(&as, out, row[i].from), row[i].err);
            if (row[i].err)
                continue;
            memcpy(&d, out + 1, 4);
            assert_int_equal(out[0], call ? 0xe8 : 0xe9);
            assert_int_equal(row[i].from + 5 + (uint64_t)(int64_t)d, row[i].to);
        }
}

/* A jump or an alignment may be what a fresh assembler gets first. */
static void items_come_first(void **state)
{
    struct x86_asm fresh;

    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        static const size_t size[] = {2, 2, 5, 0};

        x86_init(&fresh, 0);
        x86_label(&fresh);
        switch (kind) {
        case 0: x86_jmp(&fresh, 0); break;
        case 1: x86_jcc(&fresh, X86_E, 0); break;
        case 2: x86_call(&fresh, 0); break;
        default: x86_align(&fresh, 16, 16);
        }
        x86_bind(&fresh, 0);
        assert_int_equal(x86_finish(&fresh), 0);
        assert_int_equal(fresh.size, size[kind]);
        assert_int_equal(x86_write(&fresh, out, RUN_AT), 0);
        x86_free(&fresh);
    }
}

static void limits(void **state)
{
    struct x86_asm small;
    uint32_t l;

    (void)state;
    x86_init(&small, 1000);
    for (unsigned i = 0; i < 1000; i++)
        x86_plain(&small, X86_RET);
    assert_int_equal(x86_finish(&small), 0);
    x86_reset(&small);
    for (unsigned i = 0; i < 100000; i++)
        x86_movabs(&small, X86_RAX, i);
    assert_int_equal(x86_finish(&small), -E2BIG);
    assert_true(small.cap < 4096);
    /* What jumps and alignments take counts too. */
    x86_reset(&small);
    l = x86_label(&small);
    x86_bind(&small, l);
    for (unsigned i = 0; i < 250; i++)
        x86_jmp(&small, l);
    assert_int_equal(x86_finish(&small), -E2BIG);
    x86_reset(&small);
    x86_plain(&small, X86_RET);
    x86_align(&small, 1024, 4096);
    assert_int_equal(x86_finish(&small), -E2BIG);
    x86_reset(&small);
    x86_bytes(&small, "abc", 3);
    assert_int_equal(x86_finish(&small), 0);
    assert_int_equal(small.size, 3);
    x86_free(&small);
    x86_free(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jumps_at_borders), cmocka_unit_test(random_layouts), cmocka_unit_test(alignment),
        cmocka_unit_test(chains_end),       cmocka_unit_test(far_targets),    cmocka_unit_test(items_come_first),
        cmocka_unit_test(limits),
    };

    return cmocka_run_group_tests(tests, open_reader, close_reader);
}

#endif
