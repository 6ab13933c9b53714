/*
 * The checks of Linux's bpf_check_classic() and seccomp_check_filter(), and the conversion. A first pass says how long
 * each instruction becomes, which settles the targets of jumps; the second writes.
 */
#include "vm/isa/cbpf.h"
#include "vm/isa/isa.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CLASS = 7, LD = 0, LDX = 1, ST = 2, STX = 3, ALU = 4, JMP = 5, RET = 6, MISC = 7 };
enum { SIZE = 0x18, W = 0, H = 8, B = 0x10 };
enum { MODE = 0xe0, IMM = 0, ABS = 0x20, IND = 0x40, MEM = 0x60, LEN = 0x80, MSH = 0xa0 };
enum { OP = 0xf0, ADD = 0, SUB = 0x10, MUL = 0x20, DIV = 0x30, OR = 0x40, AND = 0x50, LSH = 0x60, RSH = 0x70 };
enum { NEG = 0x80, MOD = 0x90, XOR = 0xa0, JA = 0, JEQ = 0x10, JGT = 0x20, JGE = 0x30, JSET = 0x40 };
enum { X = 8, RVAL = 0x18, A_VAL = 0x10, TAX = 0, TXA = 0x80 };
enum { MEM_WORDS = 16, SECCOMP_SIZE = 64 };

/* Loads at these offsets are no loads of the packet (SKF_AD_OFF). */
#define AD_OFF 0xfffff000u
enum {
    AD_PROTOCOL = 0,
    AD_PKTTYPE = 4,
    AD_IFINDEX = 8,
    AD_MARK = 20,
    AD_QUEUE = 24,
    AD_HATYPE = 28,
    AD_RXHASH = 32,
    AD_CPU = 36,
    AD_ALU_XOR_X = 40,
    AD_VLAN_TAG = 44,
    AD_VLAN_PRESENT = 48,
    AD_RANDOM = 56,
    AD_VLAN_TPID = 60,
};

enum { RA = 0, RX = 7, RCTX = 6, RTMP = 8, RFP = 10 };
enum { HELPER_CPU = 8, HELPER_RANDOM = 7 };
enum { SKB_LEN = 0, SKB_PKTTYPE = 4, SKB_MARK = 8, SKB_QUEUE = 12, SKB_PROTOCOL = 16, SKB_VLAN_PRESENT = 20 };
enum { SKB_VLAN_TCI = 24, SKB_VLAN_PROTO = 28, SKB_IFINDEX = 40, SKB_HASH = 68, ETHER = 1 };

/* ---- Checking ---- */

struct check {
    const struct log *log;
    const struct cbpf_insn *insns;
    uint32_t n, at;
    enum cbpf_input input;
};

static int refuse(const struct check *c, const char *why)
{
    return log_fail(c->log, -EINVAL, "filter: instruction %u (code 0x%x, k 0x%x): %s", c->at, c->insns[c->at].code,
                    c->insns[c->at].k, why);
}

static bool is_ancillary(uint32_t off)
{
    switch (off) {
    case AD_PROTOCOL:
    case AD_PKTTYPE:
    case AD_IFINDEX:
    case AD_MARK:
    case AD_QUEUE:
    case AD_HATYPE:
    case AD_RXHASH:
    case AD_CPU:
    case AD_ALU_XOR_X:
    case AD_VLAN_TAG:
    case AD_VLAN_PRESENT:
    case AD_RANDOM:
    case AD_VLAN_TPID: return true;
    default: return false;
    }
}

static bool is_known(uint16_t code)
{
    switch (code & CLASS) {
    case LD:
        if (code == (LD | IMM) || code == (LD | MEM) || code == (LD | LEN))
            return true;
        return ((code & MODE) == ABS || (code & MODE) == IND) && (code & SIZE) != SIZE && code < 0x100;
    case LDX: return code == (LDX | IMM) || code == (LDX | MEM) || code == (LDX | LEN) || code == (LDX | MSH | B);
    case ST: return code == ST;
    case STX: return code == STX;
    case ALU: return (code & OP) <= XOR && code < 0x100 && !(code & ~(CLASS | OP | X)) && code != (ALU | NEG | X);
    case JMP: return (code & OP) <= JSET && code < 0x100 && !(code & ~(CLASS | OP | X)) && code != (JMP | JA | X);
    case RET: return code == RET || code == (RET | A_VAL);
    default: return code == (MISC | TAX) || code == (MISC | TXA);
    }
}

static int check_load(const struct check *c)
{
    const struct cbpf_insn *i = &c->insns[c->at];
    uint32_t mode = i->code & MODE;

    if ((i->code & CLASS) == LD && mode == ABS && c->input == CBPF_PACKET && i->k >= AD_OFF &&
        !is_ancillary(i->k - AD_OFF))
        return refuse(c, "this word about the packet is not known here");
    if (mode == MEM && i->k >= MEM_WORDS)
        return refuse(c, "there are 16 words of memory");
    if (c->input == CBPF_PACKET)
        return 0;
    if (mode == IND || mode == MSH || (mode == ABS && (i->code & SIZE) != W))
        return refuse(c, "seccomp filters load whole words at fixed places");
    if (mode == ABS && (i->k % 4 || i->k >= SECCOMP_SIZE))
        return refuse(c, "struct seccomp_data has 16 words");
    return 0;
}

static int check_one(const struct check *c)
{
    const struct cbpf_insn *i = &c->insns[c->at];
    uint32_t left = c->n - c->at - 1;

    if (!is_known(i->code))
        return refuse(c, "there is no such instruction");
    switch (i->code & CLASS) {
    case LD:
    case LDX: return check_load(c);
    case ST:
    case STX: return i->k < MEM_WORDS ? 0 : refuse(c, "there are 16 words of memory");
    case ALU:
        if (!(i->code & X) && ((i->code & OP) == DIV || (i->code & OP) == MOD) && !i->k)
            return refuse(c, "division by 0");
        if (!(i->code & X) && ((i->code & OP) == LSH || (i->code & OP) == RSH) && i->k >= 32)
            return refuse(c, "a shift by 32 bits or more");
        if (c->input == CBPF_SECCOMP && (i->code & OP) == MOD)
            return refuse(c, "seccomp filters have no remainder");
        return 0;
    case JMP:
        if ((i->code & OP) == JA)
            return i->k < left ? 0 : refuse(c, "a jump past the end");
        return i->jt < left && i->jf < left ? 0 : refuse(c, "a jump past the end");
    default: return 0;
    }
}

/* Words of memory are written before they are read, on every path: jumps go forward, so one pass in order will do. */
static int check_memory(struct check *c, uint16_t *written)
{
    uint16_t now = 0;

    memset(written, 0xff, c->n * sizeof(*written));
    for (c->at = 0; c->at < c->n; c->at++) {
        const struct cbpf_insn *i = &c->insns[c->at];

        now &= written[c->at];
        switch (i->code & CLASS) {
        case ST:
        case STX: now |= (uint16_t)(1u << i->k); break;
        case LD:
        case LDX:
            if ((i->code & MODE) == MEM && !(now >> i->k & 1))
                return refuse(c, "this word of memory was not written on every path");
            break;
        case JMP:
            if ((i->code & OP) == JA) {
                written[c->at + 1 + i->k] &= now;
            } else {
                written[c->at + 1 + i->jt] &= now;
                written[c->at + 1 + i->jf] &= now;
            }
            now = 0xffff;
            break;
        case RET: now = 0xffff; break;
        default: break;
        }
    }
    return 0;
}

static int check(struct check *c, uint16_t *written)
{
    int err = 0;

    if (!c->n || c->n > CBPF_MAX_INSNS)
        return log_fail(c->log, -EINVAL, "filter: %u instructions; 1 to %u are taken", c->n, CBPF_MAX_INSNS);
    for (c->at = 0; c->at < c->n && !err; c->at++)
        err = check_one(c);
    if (err)
        return err;
    c->at = c->n - 1;
    if ((c->insns[c->at].code & CLASS) != RET)
        return refuse(c, "the last instruction does not return");
    return check_memory(c, written);
}

/* ---- Translating ---- */

struct writer {
    struct buf *out; /* NULL: only counts */
    uint32_t n;      /* slots so far */
    const uint32_t *place;
    enum cbpf_input input;
};

static void put(struct writer *w, struct skep_insn insn)
{
    if (w->out)
        buf_add(w->out, &insn, sizeof(insn));
    w->n++;
}

static void emit(struct writer *w, enum isa_op op, unsigned dst, unsigned src, int off, uint32_t imm)
{
    put(w, isa_encode(op, (uint8_t)dst, (uint8_t)src, (int16_t)off, (int32_t)imm));
}

static int mem_off(uint32_t k)
{
    return -(int)(MEM_WORDS * 4) + (int)k * 4;
}

/* A jump to where a filter's instruction begins; 16 bits reach it, since no filter becomes longer. */
static void jump(struct writer *w, enum isa_op op, unsigned dst, unsigned src, uint32_t imm, uint32_t to)
{
    int off = w->out ? (int)(w->place[to] - w->n - 1) : 0;

    emit(w, op, dst, src, off, imm);
}

static void put_ctx(struct writer *w, int off)
{
    emit(w, ISA_LDX_W, RA, RCTX, off, 0);
}

static void ancillary(struct writer *w, uint32_t what)
{
    switch (what) {
    case AD_PROTOCOL:
        put_ctx(w, SKB_PROTOCOL);
        emit(w, ISA_BE16, RA, 0, 0, 16);
        break;
    case AD_PKTTYPE: put_ctx(w, SKB_PKTTYPE); break;
    case AD_IFINDEX: put_ctx(w, SKB_IFINDEX); break;
    case AD_MARK: put_ctx(w, SKB_MARK); break;
    case AD_QUEUE: put_ctx(w, SKB_QUEUE); break;
    case AD_HATYPE: emit(w, ISA_MOV32_K, RA, 0, 0, ETHER); break;
    case AD_RXHASH: put_ctx(w, SKB_HASH); break;
    case AD_CPU: emit(w, ISA_CALL_HELPER, 0, 0, 0, HELPER_CPU); break;
    case AD_ALU_XOR_X: emit(w, ISA_XOR32_X, RA, RX, 0, 0); break;
    case AD_VLAN_TAG: put_ctx(w, SKB_VLAN_TCI); break;
    case AD_VLAN_PRESENT: put_ctx(w, SKB_VLAN_PRESENT); break;
    case AD_VLAN_TPID:
        put_ctx(w, SKB_VLAN_PROTO);
        emit(w, ISA_BE16, RA, 0, 0, 16);
        break;
    default: emit(w, ISA_CALL_HELPER, 0, 0, 0, HELPER_RANDOM); break;
    }
}

static enum isa_op sized(uint32_t size, enum isa_op w, enum isa_op h, enum isa_op b)
{
    return size == W ? w : size == H ? h : b;
}

static void load_a(struct writer *w, const struct cbpf_insn *i)
{
    uint32_t size = i->code & SIZE;

    switch (i->code & MODE) {
    case IMM: emit(w, ISA_MOV32_K, RA, 0, 0, i->k); break;
    case MEM: emit(w, ISA_LDX_W, RA, RFP, mem_off(i->k), 0); break;
    case LEN:
        if (w->input == CBPF_SECCOMP)
            emit(w, ISA_MOV32_K, RA, 0, 0, SECCOMP_SIZE);
        else
            put_ctx(w, SKB_LEN);
        break;
    case ABS:
        if (w->input == CBPF_SECCOMP)
            put_ctx(w, (int)i->k);
        else if (i->k >= AD_OFF)
            ancillary(w, i->k - AD_OFF);
        else
            emit(w, sized(size, ISA_LD_ABS_W, ISA_LD_ABS_H, ISA_LD_ABS_B), 0, 0, 0, i->k);
        break;
    default: emit(w, sized(size, ISA_LD_IND_W, ISA_LD_IND_H, ISA_LD_IND_B), 0, RX, 0, i->k); break;
    }
}

static void load_x(struct writer *w, const struct cbpf_insn *i)
{
    switch (i->code & MODE) {
    case IMM: emit(w, ISA_MOV32_K, RX, 0, 0, i->k); break;
    case MEM: emit(w, ISA_LDX_W, RX, RFP, mem_off(i->k), 0); break;
    case LEN:
        if (w->input == CBPF_SECCOMP)
            emit(w, ISA_MOV32_K, RX, 0, 0, SECCOMP_SIZE);
        else
            emit(w, ISA_LDX_W, RX, RCTX, SKB_LEN, 0);
        break;
    default: /* the length of an IPv4 header: four times the low half of a byte; A stays */
        emit(w, ISA_MOV64_X, RTMP, RA, 0, 0);
        emit(w, ISA_LD_ABS_B, 0, 0, 0, i->k);
        emit(w, ISA_AND32_K, RA, 0, 0, 15);
        emit(w, ISA_LSH32_K, RA, 0, 0, 2);
        emit(w, ISA_MOV32_X, RX, RA, 0, 0);
        emit(w, ISA_MOV64_X, RA, RTMP, 0, 0);
        break;
    }
}

static void alu(struct writer *w, const struct cbpf_insn *i)
{
    static const enum isa_op with_k[] = {ISA_ADD32_K, ISA_SUB32_K, ISA_MUL32_K, ISA_DIV32_K, ISA_OR32_K, ISA_AND32_K,
                                         ISA_LSH32_K, ISA_RSH32_K, ISA_NEG32,   ISA_MOD32_K, ISA_XOR32_K};
    static const enum isa_op with_x[] = {ISA_ADD32_X, ISA_SUB32_X, ISA_MUL32_X, ISA_DIV32_X, ISA_OR32_X, ISA_AND32_X,
                                         ISA_LSH32_X, ISA_RSH32_X, ISA_NEG32,   ISA_MOD32_X, ISA_XOR32_X};
    uint32_t op = i->code & OP;

    if (!(i->code & X)) {
        emit(w, with_k[op >> 4], RA, 0, 0, op == NEG ? 0 : i->k);
        return;
    }
    if (op == DIV || op == MOD) { /* division by 0 ends a filter with 0 */
        emit(w, ISA_JNE32_K, RX, 0, 2, 0);
        emit(w, ISA_MOV32_K, RA, 0, 0, 0);
        emit(w, ISA_EXIT, 0, 0, 0, 0);
    }
    emit(w, with_x[op >> 4], RA, RX, 0, 0);
}

static void branch(struct writer *w, const struct cbpf_insn *i, uint32_t at)
{
    uint32_t op = i->code & OP, yes = at + 1 + i->jt, no = at + 1 + i->jf;
    bool x = i->code & X;

    if (op == JA) {
        jump(w, ISA_JA, 0, 0, 0, at + 1 + i->k);
        return;
    }
    if (yes == no) {
        jump(w, ISA_JA, 0, 0, 0, yes);
        return;
    }
    switch (op) {
    case JEQ: jump(w, x ? ISA_JEQ32_X : ISA_JEQ32_K, RA, x ? RX : 0, x ? 0 : i->k, yes); break;
    case JGT: jump(w, x ? ISA_JGT32_X : ISA_JGT32_K, RA, x ? RX : 0, x ? 0 : i->k, yes); break;
    case JGE: jump(w, x ? ISA_JGE32_X : ISA_JGE32_K, RA, x ? RX : 0, x ? 0 : i->k, yes); break;
    default: jump(w, x ? ISA_JSET32_X : ISA_JSET32_K, RA, x ? RX : 0, x ? 0 : i->k, yes); break;
    }
    jump(w, ISA_JA, 0, 0, 0, no);
}

static void translate(struct writer *w, const struct cbpf_insn *i, uint32_t at)
{
    switch (i->code & CLASS) {
    case LD: load_a(w, i); break;
    case LDX: load_x(w, i); break;
    case ST: emit(w, ISA_STX_W, RFP, RA, mem_off(i->k), 0); break;
    case STX: emit(w, ISA_STX_W, RFP, RX, mem_off(i->k), 0); break;
    case ALU: alu(w, i); break;
    case JMP: branch(w, i, at); break;
    case RET:
        if (!(i->code & RVAL))
            emit(w, ISA_MOV32_K, RA, 0, 0, i->k);
        emit(w, ISA_EXIT, 0, 0, 0, 0);
        break;
    default: emit(w, ISA_MOV32_X, i->code & TXA ? RA : RX, i->code & TXA ? RX : RA, 0, 0); break;
    }
}

/* @param keep  what can be reached; classic filters may carry dead code, which eBPF's verifier does not take. */
static void whole(struct writer *w, const struct check *c, const bool *keep, uint32_t *place)
{
    emit(w, ISA_MOV64_X, RCTX, 1, 0, 0);
    emit(w, ISA_MOV32_K, RA, 0, 0, 0);
    emit(w, ISA_MOV32_K, RX, 0, 0, 0);
    for (uint32_t i = 0; i < c->n; i++) {
        if (!w->out)
            place[i] = w->n;
        if (keep[i])
            translate(w, &c->insns[i], i);
    }
}

static void find_reached(const struct check *c, bool *keep)
{
    keep[0] = true;
    for (uint32_t i = 0; i < c->n; i++) {
        const struct cbpf_insn *insn = &c->insns[i];
        uint32_t class = insn->code & CLASS;

        if (!keep[i] || class == RET)
            continue;
        if (class != JMP) {
            keep[i + 1] = true;
        } else if ((insn->code & OP) == JA) {
            keep[i + 1 + insn->k] = true;
        } else {
            keep[i + 1 + insn->jt] = true;
            keep[i + 1 + insn->jf] = true;
        }
    }
}

int cbpf_translate(const struct cbpf_insn *insns, uint32_t n, enum cbpf_input input, const struct log *log,
                   struct buf *out)
{
    struct check c = {.log = log, .insns = insns, .n = n, .input = input};
    uint32_t room = n < CBPF_MAX_INSNS ? n : CBPF_MAX_INSNS;
    uint32_t *place = calloc(room + 1, sizeof(*place));
    bool *keep = calloc(room + 1, sizeof(*keep));
    uint16_t *written = calloc(room + 1, sizeof(*written));
    struct writer w = {.place = place, .input = input};
    int err = place && keep && written ? check(&c, written) : log_fail(log, -ENOMEM, "no memory for a filter");

    if (!err) {
        find_reached(&c, keep);
        whole(&w, &c, keep, place);
        w.n = 0;
        w.out = out;
        whole(&w, &c, keep, place);
        if (out->failed)
            err = log_fail(log, -ENOMEM, "no memory for a filter");
    }
    free(place);
    free(keep);
    free(written);
    return err;
}

/* ---- Text ---- */

static bool number(const char **p, const char *end, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    const char *start;

    while (*p < end && (**p == ' ' || **p == '\t' || **p == '\r' || **p == '\n' || **p == ','))
        (*p)++;
    start = *p;
    while (*p < end && **p >= '0' && **p <= '9' && v <= max)
        v = v * 10 + (uint64_t)(*(*p)++ - '0');
    *out = v;
    return *p > start && v <= max;
}

int cbpf_parse(const char *text, size_t size, const struct log *log, struct buf *out)
{
    const char *p = size ? text : "", *end = p + size;
    uint64_t n, code, jt, jf, k;

    if (!number(&p, end, CBPF_MAX_INSNS, &n) || !n)
        return log_fail(log, -EINVAL, "filter: text begins with the number of instructions, 1 to %u", CBPF_MAX_INSNS);
    for (uint64_t i = 0; i < n; i++) {
        struct cbpf_insn insn;

        if (!number(&p, end, UINT16_MAX, &code) || !number(&p, end, UINT8_MAX, &jt) ||
            !number(&p, end, UINT8_MAX, &jf) || !number(&p, end, UINT32_MAX, &k))
            return log_fail(log, -EINVAL, "filter: instruction %llu of %llu is not `code jt jf k` in decimal numbers",
                            (unsigned long long)i, (unsigned long long)n);
        insn = (struct cbpf_insn){.code = (uint16_t)code, .jt = (uint8_t)jt, .jf = (uint8_t)jf, .k = (uint32_t)k};
        buf_add(out, &insn, sizeof(insn));
    }
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n' || *p == ','))
        p++;
    if (p < end)
        return log_fail(log, -EINVAL, "filter: more text follows after %llu instructions", (unsigned long long)n);
    return out->failed ? log_fail(log, -ENOMEM, "no memory for a filter") : 0;
}
