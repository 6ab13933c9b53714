/*
 * What the programs execute, counted by a plain stepper over the bytes that shares nothing with the engines but the
 * instruction table. A pair is two instructions that follow each other without a jump between or into their middle, so
 * every pair counted is one that could become one operation. Each program weighs the same, whatever its length.
 */
#include "bench/bench.h"

#include "vm/isa/isa.h"
#include <stdlib.h>
#include <string.h>

enum { STACK = 512, FRAMES = 8, LONGEST = 3, SHOWN = 60 };

/* How the second of two instructions uses what the first made. */
enum flow { FLOW_NONE, FLOW_DST, FLOW_SRC, FLOW_COUNT };

struct sequence {
    uint16_t op[LONGEST];
    uint8_t flow[LONGEST - 1];
    uint8_t length;
};

struct count {
    struct sequence seq;
    double weight;
};

struct counts {
    struct count *items; /* open addressing */
    size_t size, used;
};

struct machine {
    const struct skep_insn *insns;
    uint32_t n;
    enum isa_op *ops;
    bool *target;    /* something jumps here */
    uint64_t *times; /* each instruction was executed */
    uint64_t regs[11];
    struct {
        uint32_t pc;
        uint64_t saved[4];
    } frames[FRAMES];
    unsigned depth;
    unsigned char stack[FRAMES][STACK];
};

static bool is_jump(const struct machine *m, uint32_t pc)
{
    unsigned form = isa_rows[m->ops[pc]].form;

    return form == ISA_FORM_JMP_K || form == ISA_FORM_JMP_X || form == ISA_FORM_GOTO_OFF || form == ISA_FORM_GOTO_IMM ||
           form == ISA_FORM_CALL || form == ISA_FORM_NO_OPERANDS;
}

static bool decode(struct machine *m)
{
    m->ops = calloc(m->n, sizeof(*m->ops));
    m->target = calloc(m->n, sizeof(*m->target));
    m->times = calloc(m->n, sizeof(*m->times));
    if (!m->ops || !m->target || !m->times)
        return false;
    for (uint32_t pc = 0; pc < m->n; pc++) {
        unsigned form;

        m->ops[pc] = isa_decode(&m->insns[pc]);
        form = isa_rows[m->ops[pc]].form;
        if (form == ISA_FORM_JMP_K || form == ISA_FORM_JMP_X || form == ISA_FORM_GOTO_OFF)
            m->target[(uint32_t)((int64_t)pc + 1 + m->insns[pc].off)] = true;
        if (form == ISA_FORM_CALL || form == ISA_FORM_GOTO_IMM)
            m->target[(uint32_t)((int64_t)pc + 1 + m->insns[pc].imm)] = true;
        if (isa_is_wide(m->ops[pc]))
            pc++;
    }
    return true;
}

static uint64_t load(enum isa_op op, const void *at)
{
    switch (op) {
#define ISA_MEM(name, code, form, type, text) ISA_MEM_##form(name, type)
#define ISA_MEM_LDX(name, type)                                                                                        \
    case ISA_##name: {                                                                                                 \
        type v;                                                                                                        \
        memcpy(&v, at, sizeof(v));                                                                                     \
        return (uint64_t)(int64_t)v;                                                                                   \
    }
#define ISA_MEM_ST(name, type)
#define ISA_MEM_STX(name, type)
#include "vm/isa/isa.def"
    default: return 0;
    }
}

/* Executes one instruction. @return false at the end, or where it does not know how. */
static bool step(struct machine *m, uint32_t *pc)
{
    const struct skep_insn *insn = &m->insns[*pc];
    enum isa_op op = m->ops[*pc];
    uint64_t *dst = &m->regs[insn->dst_reg], src = m->regs[insn->src_reg];
    uint64_t k = (uint64_t)(int64_t)insn->imm;

    m->times[*pc]++;
    switch (isa_rows[op].form) {
    case ISA_FORM_ALU_K:
    case ISA_FORM_NEG:
    case ISA_FORM_END: *dst = isa_eval_alu(op, *dst, k); break;
    case ISA_FORM_ALU_X:
    case ISA_FORM_MOVSX: *dst = isa_eval_alu(op, *dst, src); break;
    case ISA_FORM_JMP_K: *pc += isa_eval_jmp(op, *dst, k) ? (uint32_t)insn->off : 0; break;
    case ISA_FORM_JMP_X: *pc += isa_eval_jmp(op, *dst, src) ? (uint32_t)insn->off : 0; break;
    case ISA_FORM_GOTO_OFF: *pc += (uint32_t)insn->off; break;
    case ISA_FORM_GOTO_IMM: *pc += (uint32_t)insn->imm; break;
    case ISA_FORM_LDX: *dst = load(op, (const void *)(uintptr_t)(src + (uint64_t)(int64_t)insn->off)); break;
    case ISA_FORM_ST:
    case ISA_FORM_STX: {
        uint64_t v = isa_rows[op].form == ISA_FORM_ST ? k : src;

        memcpy((void *)(uintptr_t)(*dst + (uint64_t)(int64_t)insn->off), &v, isa_access_size(op)); /* little-endian */
        break;
    }
    case ISA_FORM_LDIMM:
        *dst = (uint32_t)insn->imm | (uint64_t)(uint32_t)insn[1].imm << 32;
        ++*pc;
        break;
    case ISA_FORM_CALL:
        if (op != ISA_CALL_LOCAL || m->depth + 1 == FRAMES)
            return false;
        m->frames[m->depth].pc = *pc;
        memcpy(m->frames[m->depth].saved, m->regs + 6, sizeof(m->frames[0].saved));
        m->regs[10] = (uintptr_t)m->stack[++m->depth] + STACK;
        *pc += (uint32_t)insn->imm;
        break;
    case ISA_FORM_NO_OPERANDS:
        if (!m->depth)
            return false;
        m->depth--;
        memcpy(m->regs + 6, m->frames[m->depth].saved, sizeof(m->frames[0].saved));
        m->regs[10] = (uintptr_t)m->stack[m->depth] + STACK;
        *pc = m->frames[m->depth].pc;
        break;
    default: return false;
    }
    ++*pc;
    return true;
}

static void run(struct machine *m, unsigned char *mem, uint32_t size)
{
    uint32_t pc = 0;

    m->regs[1] = (uintptr_t)mem;
    m->regs[2] = size;
    m->regs[10] = (uintptr_t)m->stack[0] + STACK;
    while (pc < m->n && step(m, &pc))
        ;
}

static void grow(struct counts *c);

static void add(struct counts *c, struct sequence seq, double weight)
{
    size_t at = 0;

    if (c->used * 2 >= c->size)
        grow(c);
    for (size_t i = 0; i < sizeof(seq); i++)
        at = (at ^ ((unsigned char *)&seq)[i]) * 0x100000001b3;
    for (at %= c->size; c->items[at].seq.length; at = (at + 1) % c->size)
        if (!memcmp(&c->items[at].seq, &seq, sizeof(seq))) {
            c->items[at].weight += weight;
            return;
        }
    c->items[at] = (struct count){seq, weight};
    c->used++;
}

static void grow(struct counts *c)
{
    struct counts bigger = {.size = c->size ? c->size * 2 : 1024};

    bigger.items = calloc(bigger.size, sizeof(*bigger.items));
    if (!bigger.items)
        abort();
    for (size_t i = 0; i < c->size; i++)
        if (c->items[i].seq.length)
            add(&bigger, c->items[i].seq, c->items[i].weight);
    free(c->items);
    *c = bigger;
}

static uint8_t flow_between(const struct skep_insn *a, const struct skep_insn *b)
{
    return b->dst_reg == a->dst_reg ? FLOW_DST : b->src_reg == a->dst_reg ? FLOW_SRC : FLOW_NONE;
}

static uint64_t count_sequences(struct counts *c, const struct machine *m)
{
    uint64_t total = 0;

    for (uint32_t pc = 0; pc < m->n; pc++)
        total += m->times[pc];
    for (uint32_t pc = 0; total && pc < m->n; pc++) {
        struct sequence seq = {0};

        for (uint32_t at = pc; seq.length < LONGEST && at < m->n && m->times[at]; at++) {
            if (at > pc && (is_jump(m, at - 1) || m->target[at] || isa_is_wide(m->ops[at - 1])))
                break;
            if (at > pc)
                seq.flow[seq.length - 1] = flow_between(&m->insns[at - 1], &m->insns[at]);
            seq.op[seq.length++] = (uint16_t)m->ops[at];
            add(c, seq, (double)m->times[pc] / (double)total);
        }
    }
    return total;
}

static int heavier(const void *a, const void *b)
{
    const struct count *x = a, *y = b;

    return x->weight < y->weight ? 1 : x->weight > y->weight ? -1 : 0;
}

static void print(FILE *out, const struct counts *c, unsigned length, unsigned n_progs)
{
    static const char *const flows[FLOW_COUNT] = {"  ", "=d", "=s"};
    unsigned shown = 0;

    fprintf(out, "\nSequences of %u; share of all instructions executed, as places where it begins:\n", length);
    for (size_t i = 0; i < c->used && shown < SHOWN; i++) {
        const struct sequence *seq = &c->items[i].seq;

        if (seq->length != length)
            continue;
        shown++;
        fprintf(out, "%6.2f%%  ", 100 * c->items[i].weight / n_progs);
        for (unsigned k = 0; k < length; k++)
            fprintf(out, "%s%s%s", k ? flows[seq->flow[k - 1]] : "", k ? " " : "", isa_rows[seq->op[k]].name),
                fprintf(out, "%*s", k + 1 < length ? 14 - (int)strlen(isa_rows[seq->op[k]].name) : 0, "");
        fprintf(out, "\n");
    }
}

void bench_profile(FILE *out, const struct bench_prog *progs, unsigned n, unsigned char *mem,
                   void (*prepare)(const struct bench_prog *prog, unsigned char *mem))
{
    struct counts c = {0};
    size_t to = 0;

    for (unsigned i = 0; i < n; i++) {
        struct machine *m = calloc(1, sizeof(*m));

        if (!m)
            break;
        m->insns = progs[i].insns;
        m->n = progs[i].n_insns;
        if (decode(m)) {
            prepare(&progs[i], mem);
            run(m, mem, progs[i].size);
            fprintf(out, "%-16s %10llu instructions\n", progs[i].name, (unsigned long long)count_sequences(&c, m));
        }
        free(m->ops);
        free(m->target);
        free(m->times);
        free(m);
    }
    for (size_t i = 0; i < c.size; i++)
        if (c.items[i].seq.length)
            c.items[to++] = c.items[i];
    qsort(c.items, to, sizeof(*c.items), heavier);
    fprintf(out, "=d: the next one has the same destination; =s: the next one's source is this one's destination.\n");
    for (unsigned length = 1; length <= LONGEST; length++)
        print(out, &c, length, n);
    free(c.items);
}
