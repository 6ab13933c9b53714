/*
 * What the tests of the x86-64 assembler share: one assembler, its finished code, and Capstone to read it back. Where
 * Capstone is not installed there is only a main() that skips, and CAN_READ is not defined.
 */
#ifndef TESTS_UNIT_X86_READ_H
#define TESTS_UNIT_X86_READ_H

#include "jit/x86_64/encode.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define RUN_AT   0x7f1234567000u

#if __has_include(<capstone/capstone.h>)
#define CAN_READ
#define x86_reg capstone_x86_reg /* a name of ours too */
#include <capstone/capstone.h>
#undef x86_reg

static csh cs;
static cs_insn *in;
static struct x86_asm as;
static uint8_t out[1 << 16];
static unsigned long checked;

static const char *reg_name(unsigned size, unsigned reg)
{
    static const char *const name[4][16] = {
        {"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b",
         "r15b"},
        {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w"},
        {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d",
         "r15d"},
        {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"},
    };

    return name[__builtin_ctz(size)][reg];
}

static uint64_t content(unsigned reg)
{
    return (reg + 3) * 0x9e3779b97f4a7c15u;
}

static uint64_t content_of(unsigned cs_reg)
{
    for (unsigned r = 0; r < 16; r++)
        if (!strcmp(cs_reg_name(cs, cs_reg), reg_name(8, r)))
            return content(r);
    fail_msg("address register %s", cs_reg_name(cs, cs_reg));
    return 0;
}

static uint64_t address_seen(const x86_op_mem *m)
{
    uint64_t v = (uint64_t)m->disp;

    if (m->base == X86_REG_RIP)
        v += in->address + in->size;
    else if (m->base != X86_REG_INVALID)
        v += content_of(m->base);
    if (m->index != X86_REG_INVALID && m->index != X86_REG_RIZ)
        v += content_of(m->index) * (uint64_t)m->scale;
    return v;
}

static uint64_t address_meant(struct x86_rm m)
{
    uint64_t v = (uint64_t)(int64_t)m.disp;

    if (m.kind == X86_RM_LABEL)
        return v + RUN_AT + x86_offset(&as, m.label);
    if (m.base != X86_NONE)
        v += content(m.base);
    if (m.index != X86_NONE)
        v += content(m.index) * m.scale;
    return v;
}

static void read_at(size_t *at)
{
    const uint8_t *code = out + *at;
    size_t left = as.size - *at;
    uint64_t address = RUN_AT + *at;

    if (!cs_disasm_iter(cs, &code, &left, &address, in))
        fail_msg("not an instruction: %02x %02x %02x %02x", out[*at], out[*at + 1], out[*at + 2], out[*at + 3]);
    *at += in->size;
}

static const char *const cc_name[] = {"o", "no", "b", "ae", "e", "ne", "be", "a",
                                      "s", "ns", "p", "np", "l", "ge", "le", "g"};

static const char *with_cc(const char *stem, unsigned cc)
{
    static char text[16];

    snprintf(text, sizeof(text), "%s%s", stem, cc_name[cc]);
    return text;
}

static int open_reader(void **state)
{
    (void)state;
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &cs) != CS_ERR_OK)
        return -1;
    cs_option(cs, CS_OPT_DETAIL, CS_OPT_ON);
    in = cs_malloc(cs);
    x86_init(&as, 0);
    return 0;
}

static int close_reader(void **state)
{
    (void)state;
    x86_free(&as);
    cs_free(in, 1);
    cs_close(&cs);
    printf("%lu instructions read back\n", checked);
    return 0;
}

#else

static void reads_back(void **state)
{
    (void)state;
    print_message("skip: built without Capstone (libcapstone-dev)\n");
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_back)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif

#endif
