/*
 * A program sets r0 to r8 to numbers and fills its stack, does a few dozen random operations on registers, 64 bytes of
 * memory (r9) and 64 bytes of stack (r10), and folds all registers and the stack into r0. Jumps go forwards; some
 * bodies are the inside of a loop that counts in r8, and some call a function of a few operations on registers alone.
 * The reference is the plainest possible reading of the table: one instruction after the other through isa_eval_alu()
 * and isa_eval_jmp().
 */
#include "tests/runner/random.h"
#include "vm/abi/map_types.h"
#include "vm/isa/disasm.h"
#include "vm/isa/isa.h"

#include <string.h>

enum { AREA = 64, MAX_BODY = 48, MAX_JUMPS = 8, MAX_CALLS = 3, MAX_INSNS = 768, FOLD = 0x01000193 };

struct maker {
    uint64_t state;
    struct skep_insn insns[MAX_INSNS];
    uint32_t n, end;       /* end: where the body ends */
    unsigned jumps, calls; /* left to make */
    unsigned regs;         /* r0 up to this one are free */
    bool no_memory;
    bool whole[MAX_INSNS]; /* no jump may land here: something begun before must be done */
};

static uint64_t draw(struct maker *m)
{
    m->state ^= m->state << 13;
    m->state ^= m->state >> 7;
    m->state ^= m->state << 17;
    return m->state * 0x2545f4914f6cdd1d;
}

static uint32_t below(struct maker *m, uint32_t n)
{
    return (uint32_t)(draw(m) >> 33) % n;
}

/* Numbers at the borders of all widths more often than others. */
static uint64_t value(struct maker *m)
{
    static const uint64_t borders[] = {
        0,         1,          0x7f,       0x80,       0xff,        0x7fff,    0x8000,
        0xffff,    0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, INT64_MAX, (uint64_t)INT64_MIN,
        UINT64_MAX};

    switch (below(m, 3)) {
    case 0: return borders[below(m, sizeof(borders) / sizeof(borders[0]))];
    case 1: return below(m, 100);
    default: return draw(m);
    }
}

static void put(struct maker *m, enum isa_op op, unsigned dst, unsigned src, int off, int64_t imm)
{
    m->insns[m->n++] = isa_encode(op, (uint8_t)dst, (uint8_t)src, (int16_t)off, (int32_t)imm);
}

static void put_wide(struct maker *m, unsigned dst, uint64_t imm)
{
    put(m, ISA_LD_IMM64, dst, 0, 0, (int32_t)imm);
    m->insns[m->n++] = (struct skep_insn){.imm = (int32_t)(imm >> 32)};
}

/* An immediate that Linux takes: no shift as wide as the operand, no division by zero. */
static int32_t immediate(struct maker *m, enum isa_op op)
{
    uint8_t kind = isa_rows[op].code & 0xf0;
    bool shifts = isa_rows[op].form == ISA_FORM_ALU_K && (kind == 0x60 || kind == 0x70 || kind == 0xc0);
    bool divides = isa_rows[op].form == ISA_FORM_ALU_K && (kind == 0x30 || kind == 0x90);
    int32_t imm = (int32_t)value(m);

    if (shifts)
        return (int32_t)below(m, isa_rows[op].width);
    return divides && !imm ? 1 : imm;
}

/* A base register and an offset inside its area; aligned where the stack or an atomic needs it. */
static void place(struct maker *m, unsigned size, bool aligned, unsigned *base, int *off)
{
    *base = below(m, 2) ? 9 : 10;
    *off = (int)below(m, AREA - size + 1);
    if (aligned || *base == 10)
        *off -= *off % (int)size;
    if (*base == 10)
        *off -= AREA;
}

static void memory(struct maker *m, enum isa_op op)
{
    uint8_t form = isa_rows[op].form;
    bool loads = form == ISA_FORM_LDX || form == ISA_FORM_LOAD_ACQ;
    bool aligned = form == ISA_FORM_ATOMIC || form == ISA_FORM_LOAD_ACQ || form == ISA_FORM_STORE_REL;
    unsigned reg = below(m, m->regs), base;
    int off;

    if (m->no_memory)
        return;
    place(m, isa_access_size(op), aligned, &base, &off);
    put(m, op, loads ? reg : base,
        loads                 ? base
        : form == ISA_FORM_ST ? 0
                              : reg,
        off, form == ISA_FORM_ST ? (int32_t)value(m) : 0);
}

static void jump(struct maker *m, enum isa_op op)
{
    bool by_register = isa_rows[op].form == ISA_FORM_JMP_X;

    if (!m->jumps)
        return;
    m->jumps--; /* each doubles the paths that a verifier walks */
    put(m, op, below(m, m->regs), by_register ? below(m, m->regs) : 0, 1 + (int)below(m, 8),
        by_register ? 0 : (int32_t)value(m));
}

/* A call of the function, whose place is put in later; r1 to r5 are lost. */
static void call(struct maker *m)
{
    if (!m->calls)
        return;
    m->calls--;
    put(m, ISA_CALL_LOCAL, 0, 0, 0, 0);
    for (unsigned r = 1; r < 6; r++)
        put(m, ISA_MOV64_K, r, 0, 0, (int32_t)value(m));
}

static void operation(struct maker *m)
{
    enum isa_op op = (enum isa_op)(1 + below(m, ISA_OP_COUNT - 1));

    switch (isa_rows[op].form) {
    case ISA_FORM_ALU_K: put(m, op, below(m, m->regs), 0, 0, immediate(m, op)); break;
    case ISA_FORM_ALU_X:
    case ISA_FORM_MOVSX: put(m, op, below(m, m->regs), below(m, m->regs), 0, 0); break;
    case ISA_FORM_NEG:
    case ISA_FORM_END: put(m, op, below(m, m->regs), 0, 0, 0); break;
    case ISA_FORM_JMP_K:
    case ISA_FORM_JMP_X: jump(m, op); break;
    case ISA_FORM_LDX:
    case ISA_FORM_ST:
    case ISA_FORM_STX:
    case ISA_FORM_ATOMIC:
    case ISA_FORM_LOAD_ACQ:
    case ISA_FORM_STORE_REL: memory(m, op); break;
    default:
        if (op == ISA_CALL_LOCAL)
            call(m);
        else if (op == ISA_LD_IMM64)
            put_wide(m, below(m, m->regs), value(m));
    }
}

/* Jumps end at instructions, and at the body's end at the latest. */
static void settle_jumps(struct maker *m, uint32_t start)
{
    for (uint32_t i = start; i < m->end; i++) {
        enum isa_op op = isa_decode(&m->insns[i]);
        uint32_t to = i + 1 + (uint32_t)m->insns[i].off;

        if (isa_is_wide(op)) {
            i++;
        } else if (isa_rows[op].form == ISA_FORM_JMP_K || isa_rows[op].form == ISA_FORM_JMP_X) {
            while (to < m->end && (m->whole[to] || isa_is_wide(isa_decode(&m->insns[to - 1]))))
                to++;
            m->insns[i].off = (int16_t)((to < m->end ? to : m->end) - i - 1);
        }
    }
}

/* What compilers write in several instructions, and engines may do at once. Registers are drawn so that they often
 * meet. */

static unsigned any(struct maker *m)
{
    return below(m, m->regs);
}

/* r << n | r >> width - n */
static void rotate(struct maker *m)
{
    bool narrow = below(m, 2), left_first = below(m, 2);
    unsigned width = narrow ? 32 : 64, n = 1 + below(m, width - 1), s = any(m), t = any(m), u = any(m);
    enum isa_op mov = narrow ? ISA_MOV32_X : ISA_MOV64_X, shift = narrow ? ISA_LSH32_K : ISA_LSH64_K;
    enum isa_op back = narrow ? ISA_RSH32_K : ISA_RSH64_K;

    if (below(m, 8) == 0)
        n = n / 2 + 1; /* not a rotation after all, mostly */
    if (below(m, 2))
        put(m, mov, t, s, 0, 0);
    put(m, left_first ? shift : back, t, 0, 0, n);
    if (below(m, 2))
        put(m, mov, u, s, 0, 0);
    put(m, left_first ? back : shift, u, 0, 0, width - n);
    put(m, narrow ? ISA_OR32_X : ISA_OR64_X, below(m, 2) ? t : u, below(m, 2) ? t : u, 0, 0);
}

/* base[index << scale], base being either area; the address's register is a number again afterwards. */
static void indexed(struct maker *m)
{
    unsigned scale = below(m, 4), t = any(m), d = any(m), base = below(m, 3) ? 9 : 10, start = m->n;
    enum isa_op op = (enum isa_op)(ISA_LDX_W + below(m, 4)), store = (enum isa_op)(ISA_STX_W + below(m, 4));
    int size, low = base == 10 ? -AREA : 0;
    bool stores = below(m, 2), swapped = below(m, 3) == 0;
    unsigned address = swapped ? t : d, value_reg = any(m);

    if (m->no_memory || t == d || (stores && value_reg == address))
        return;
    op = stores ? store : op;
    size = (int)isa_access_size(op);
    if (base == 10 && (1 << scale) < size)
        scale = 3; /* Linux wants the stack's accesses aligned */
    if (below(m, 2))
        put(m, ISA_MOV64_X, t, any(m), 0, 0);
    put(m, ISA_AND64_K, t, 0, 0, (AREA - 8) >> scale);
    if (scale || below(m, 2))
        put(m, ISA_LSH64_K, t, 0, 0, scale);
    if (swapped) {
        put(m, ISA_ADD64_X, t, base, 0, 0);
    } else {
        put(m, ISA_MOV64_X, d, base, 0, 0);
        put(m, ISA_ADD64_X, d, t, 0, 0);
    }
    if (below(m, 2)) {
        put(m, ISA_ADD64_K, address, 0, 0, low);
        low = 0;
    }
    if (stores)
        put(m, op, address, value_reg, low, 0);
    else
        put(m, op, any(m), address, low, 0);
    if (stores || m->insns[m->n - 1].dst_reg != address)
        put(m, ISA_MOV64_K, address, 0, 0, (int32_t)value(m));
    for (uint32_t i = start + 1; i < m->n; i++)
        m->whole[i] = true;
}

/* d = s; d op= t */
static void three(struct maker *m)
{
    enum isa_op op = (enum isa_op)(ISA_ADD64_K + below(m, ISA_ARSH32_X - ISA_ADD64_K + 1));
    unsigned d = any(m);

    put(m, isa_rows[op].width == 32 ? ISA_MOV32_X : ISA_MOV64_X, d, any(m), 0, 0);
    if (isa_rows[op].form == ISA_FORM_ALU_K)
        put(m, op, d, 0, 0, immediate(m, op));
    else
        put(m, op, d, any(m), 0, 0);
}

/* d += K; if d cond s goto */
static void advance(struct maker *m)
{
    enum isa_op op = (enum isa_op)(ISA_JEQ64_K + below(m, ISA_JSET32_X - ISA_JEQ64_K + 1));

    put(m, isa_rows[op].width == 32 ? ISA_ADD32_K : ISA_ADD64_K, any(m), 0, 0, below(m, 2) ? 1 : (int32_t)value(m));
    jump(m, op);
    if (isa_decode(&m->insns[m->n - 1]) == op && below(m, 4))
        m->insns[m->n - 1].dst_reg = m->insns[m->n - 2].dst_reg;
}

/* The same kind twice, and zero or sign extension by two shifts. */
static void twice(struct maker *m)
{
    unsigned d = any(m);

    switch (below(m, 3)) {
    case 0:
        put(m, ISA_ADD64_K, any(m), 0, 0, (int32_t)value(m));
        put(m, ISA_ADD64_K, any(m), 0, 0, (int32_t)value(m));
        break;
    case 1:
        put(m, ISA_MOV64_X, any(m), any(m), 0, 0);
        put(m, ISA_MOV64_X, any(m), any(m), 0, 0);
        break;
    default:
        put(m, ISA_LSH64_K, d, 0, 0, below(m, 2) ? 32 : 56);
        put(m, below(m, 2) ? ISA_RSH64_K : ISA_ARSH64_K, d, 0, 0, below(m, 2) ? 32 : 56);
        break;
    }
}

static void idiom(struct maker *m)
{
    switch (below(m, 6)) {
    case 0: rotate(m); break;
    case 1:
    case 2: indexed(m); break;
    case 3: three(m); break;
    case 4: advance(m); break;
    default: twice(m); break;
    }
    if (below(m, 2)) /* what was only needed on the way may be left out when nobody looks at it again */
        put(m, ISA_MOV64_K, any(m), 0, 0, (int32_t)value(m));
}

/* Random operations, of which none jumps past the last. */
static void operations(struct maker *m, uint32_t count)
{
    uint32_t start = m->n;

    while (count--)
        if (below(m, 3))
            operation(m);
        else
            idiom(m);
    m->end = m->n;
    settle_jumps(m, start);
}

/* The function: registers alone, and all of them, since r6 to r9 must be the caller's again. */
static void function(struct maker *m)
{
    uint32_t start = m->n;

    for (uint32_t i = 0; i < start; i++)
        if (m->insns[i].code == 0x85)
            m->insns[i].imm = (int32_t)(start - i - 1);
    put(m, ISA_MOV64_K, 0, 0, 0, (int32_t)value(m));
    for (unsigned r = 6; r < 10; r++)
        put(m, ISA_MOV64_X, r, r - 5, 0, 0);
    m->no_memory = true;
    m->calls = 0;
    m->jumps = 1;
    m->regs = 10;
    operations(m, 1 + below(m, 8));
    put(m, ISA_EXIT, 0, 0, 0, 0);
}

static void make(struct maker *m)
{
    bool loops = below(m, 3) == 0;
    uint32_t start;

    m->calls = below(m, 3) == 0 ? MAX_CALLS : 0;
    m->jumps = loops ? 2 : MAX_JUMPS;
    m->regs = loops ? 8 : 9;
    put(m, ISA_MOV64_X, 9, 1, 0, 0);
    for (unsigned r = 0; r < 9; r++)
        put_wide(m, r, value(m));
    for (int at = -AREA; at < 0; at += 8)
        put(m, ISA_STX_DW, 10, below(m, 9), at, 0);
    if (loops)
        put(m, ISA_MOV64_K, 8, 0, 0, 1 + below(m, 4));
    start = m->n;
    operations(m, 1 + below(m, MAX_BODY));
    if (loops) {
        put(m, ISA_SUB64_K, 8, 0, 0, 1);
        put(m, ISA_JNE64_K, 8, 0, (int)start - (int)m->n - 1, 0);
    }
    for (unsigned r = 1; r < 9; r++) {
        put(m, ISA_MUL64_K, 0, 0, 0, FOLD);
        put(m, ISA_XOR64_X, 0, r, 0, 0);
    }
    for (int at = -AREA; at < 0; at += 8) {
        put(m, ISA_LDX_DW, 1, 10, at, 0);
        put(m, ISA_MUL64_K, 0, 0, 0, FOLD);
        put(m, ISA_XOR64_X, 0, 1, 0, 0);
    }
    put(m, ISA_EXIT, 0, 0, 0, 0);
    for (uint32_t i = 0; i < m->n; i++)
        if (m->insns[i].code == 0x85)
            return function(m);
}

/* The reference. */

struct machine {
    uint64_t r[11], saved[4];
    uint32_t ret; /* 0: in the entry function */
    uint8_t *mem, stack[AREA];
};

/* Addresses of the two areas in the reference; no program can see them. */
enum { MEM_AT = 0x10000, STACK_AT = 0x20000 };

static uint8_t *at(struct machine *x, unsigned base, int16_t off)
{
    uint64_t addr = x->r[base] + (uint64_t)(int64_t)off;

    return addr >= STACK_AT ? x->stack + (addr - STACK_AT) : x->mem + (addr - MEM_AT);
}

static uint64_t fetch(const uint8_t *p, unsigned size, bool is_signed)
{
    uint64_t v = 0;

    memcpy(&v, p, size);
    if (is_signed && v >> (8 * size - 1))
        v |= UINT64_MAX << (8 * size);
    return v;
}

static void atomic(struct machine *x, const struct skep_insn *insn, unsigned size)
{
    uint8_t *p = at(x, insn->dst_reg, insn->off);
    uint64_t old = fetch(p, size, false), b = x->r[insn->src_reg], new = b, compare = x->r[0];

    if (size == 4)
        compare = (uint32_t)compare;
    switch (insn->imm & ~1) {
    case 0x00: new = old + b; break;
    case 0x40: new = old | b; break;
    case 0x50: new = old &b; break;
    case 0xa0: new = old ^ b; break;
    case 0xf0: new = old == compare ? b : old; break;
    default: break;
    }
    memcpy(p, &new, size);
    if (insn->imm == 0xf1)
        x->r[0] = old;
    else if (insn->imm & 1)
        x->r[insn->src_reg] = old;
}

/* Does one instruction. @return the slot of the next. */
static uint32_t step(struct machine *x, const struct skep_insn *insn, uint32_t pc)
{
    enum isa_op op = isa_decode(insn);
    unsigned size = isa_access_size(op);
    uint64_t *dst = &x->r[insn->dst_reg], src = x->r[insn->src_reg], imm = (uint64_t)(int64_t)insn->imm;

    switch (isa_rows[op].form) {
    case ISA_FORM_ALU_K: *dst = isa_eval_alu(op, *dst, imm); break;
    case ISA_FORM_ALU_X:
    case ISA_FORM_MOVSX:
    case ISA_FORM_NEG:
    case ISA_FORM_END: *dst = isa_eval_alu(op, *dst, src); break;
    case ISA_FORM_JMP_K: pc += isa_eval_jmp(op, *dst, imm) ? (uint32_t)insn->off : 0; break;
    case ISA_FORM_JMP_X: pc += isa_eval_jmp(op, *dst, src) ? (uint32_t)insn->off : 0; break;
    case ISA_FORM_LDX:
    case ISA_FORM_LOAD_ACQ: *dst = fetch(at(x, insn->src_reg, insn->off), size, isa_rows[op].text[0] == 's'); break;
    case ISA_FORM_ST: memcpy(at(x, insn->dst_reg, insn->off), &imm, size); break;
    case ISA_FORM_STX:
    case ISA_FORM_STORE_REL: memcpy(at(x, insn->dst_reg, insn->off), &src, size); break;
    case ISA_FORM_ATOMIC: atomic(x, insn, size); break;
    case ISA_FORM_CALL:
        memcpy(x->saved, &x->r[6], sizeof(x->saved));
        x->ret = pc + 1;
        return pc + 1 + (uint32_t)insn->imm;
    case ISA_FORM_NO_OPERANDS:
        memcpy(&x->r[6], x->saved, sizeof(x->saved));
        pc = x->ret;
        x->ret = 0;
        return pc;
    case ISA_FORM_LDIMM: *dst = (uint32_t)insn->imm | (uint64_t)(uint32_t)insn[1].imm << 32; return pc + 2;
    default: break;
    }
    return pc + 1;
}

bool random_test(uint64_t seed, struct arena *arena, struct test *t)
{
    struct maker m = {.state = (seed + 1) * 0x9e3779b97f4a7c15};
    struct machine x = {.r = {[1] = MEM_AT, [10] = STACK_AT + AREA}};

    make(&m);
    *t = (struct test){.file = "random", .line = 1, .n_insns = m.n, .result_line = 1};
    t->name = arena_printf(arena, "--seed %llu", (unsigned long long)seed);
    t->insns = arena_memdup(arena, m.insns, m.n * sizeof(m.insns[0]));
    t->lines = arena_array(arena, m.n, sizeof(uint32_t));
    t->mem = t->mem_out = (struct bytes){.size = AREA, .line = 1};
    t->mem.data = arena_alloc(arena, AREA);
    t->mem_out.data = arena_alloc(arena, AREA);
    if (!t->name || !t->insns || !t->lines || !t->mem.data || !t->mem_out.data)
        return false;
    for (unsigned i = 0; i < AREA; i++)
        t->mem_out.data[i] = t->mem.data[i] = (uint8_t)draw(&m);
    x.mem = t->mem_out.data;
    for (uint32_t pc = 0; m.insns[pc].code != 0x95 || x.ret;)
        pc = step(&x, &m.insns[pc], pc);
    t->result = x.r[0];
    return true;
}

/* Garbage. */

static void add_map(struct test *t, const char *name, uint32_t type, uint32_t key, uint32_t value, uint32_t max)
{
    struct map_def *def = &t->maps[t->n_maps++];

    *def =
        (struct map_def){.type = type, .key_size = key, .value_size = value, .max_entries = max, .spin_lock_off = -1};
    memcpy(def->name, name, strlen(name) + 1);
}

/* Clears fields that the operation reserves. */
static void tidy(struct skep_insn *insn, enum isa_op op)
{
    const struct skep_insn was = *insn;

    for (unsigned cleared = 0; cleared < 16 && !isa_fields_ok(insn, op); cleared++)
        *insn = isa_encode(op, cleared & 8 ? 0 : was.dst_reg, cleared & 2 ? 0 : was.src_reg, cleared & 4 ? 0 : was.off,
                           cleared & 1 ? 0 : was.imm);
}

/* Mostly instructions that exist, on registers that exist, near where they stand. */
static void garbage(struct maker *m, const struct test *t)
{
    enum isa_op op = (enum isa_op)(1 + below(m, ISA_OP_COUNT - 1));
    bool jumps = isa_rows[op].form == ISA_FORM_JMP_K || isa_rows[op].form == ISA_FORM_JMP_X || op == ISA_JA;
    int off = jumps ? (int)below(m, 12) - 4 : below(m, 4) ? -(int)below(m, 80) : (int)value(m);

    if (op == ISA_CALL_HELPER || below(m, 16) == 0) {
        put(m, ISA_CALL_HELPER, 0, 0, 0, below(m, 220));
    } else if (below(m, 12) == 0) {
        bool of_value = below(m, 2); /* only the first map has a value that an instruction may name */

        put(m, of_value ? ISA_LD_MAP_IDX_VALUE : ISA_LD_MAP_IDX, below(m, 6), 0, 0, of_value ? 0 : below(m, t->n_maps));
        m->insns[m->n++] = (struct skep_insn){0};
    } else if (below(m, 12) == 0) {
        put(m, ISA_MOV64_X, below(m, 6), 10, 0, 0);
        put(m, ISA_ADD64_K, m->insns[m->n - 1].dst_reg, 0, 0, -8 * (int)below(m, 8));
    } else if (below(m, 40) == 0) {
        uint64_t bytes = draw(m);

        memcpy(&m->insns[m->n++], &bytes, sizeof(bytes));
    } else {
        put(m, op, below(m, 40) ? below(m, 10) : 10, below(m, 11), off, (int32_t)value(m));
        tidy(&m->insns[m->n - 1], op);
        if (isa_is_wide(op))
            m->insns[m->n++] = (struct skep_insn){.imm = (int32_t)value(m)};
    }
}

bool random_garbage(uint64_t seed, struct arena *arena, struct test *t)
{
    static const char *const types[] = {NULL, "xdp", "sched_cls", "syscall", "raw_tracepoint", "kprobe"};
    struct maker m = {.state = (seed + 1) * 0xd1342543de82ef95};
    const char *type = types[below(&m, 6)];
    struct bytes bytes = {.size = AREA, .data = arena_alloc(arena, AREA), .line = 1};

    *t = (struct test){
        .file = "garbage", .line = 1, .trap = TRAP_bad_insn, .type = type ? prog_type_by_name(type) : NULL};
    add_map(t, "array", MAP_TYPE_ARRAY, 4, 16, 1);
    add_map(t, "hash", MAP_TYPE_HASH, 4, 8, 4);
    add_map(t, "lru", MAP_TYPE_LRU_HASH, 8, 8, 4);
    add_map(t, "progs", MAP_TYPE_PROG_ARRAY, 4, 4, 4);
    add_map(t, "ring", MAP_TYPE_RINGBUF, 0, 0, 4096);
    add_map(t, "percpu", MAP_TYPE_PERCPU_ARRAY, 4, 8, 4);
    if (!type)
        t->mem = bytes;
    else if (!strcmp(type, "xdp") || !strcmp(type, "sched_cls"))
        t->data = bytes;
    else
        t->ctx = bytes;
    put(&m, ISA_MOV64_X, 6, 1, 0, 0);
    for (unsigned r = 0; r < 10 && below(&m, 4); r++) /* what was never written may not be read */
        if (r != 1 && r != 6)
            put(&m, ISA_MOV64_K, r, 0, 0, (int32_t)value(&m));
    for (uint32_t n = 1 + below(&m, below(&m, 2) ? 6 : 60); n; n--)
        garbage(&m, t);
    put(&m, ISA_EXIT, 0, 0, 0, 0);
    t->n_insns = m.n;
    t->insns = arena_memdup(arena, m.insns, m.n * sizeof(m.insns[0]));
    t->lines = arena_array(arena, m.n, sizeof(uint32_t));
    t->name = arena_printf(arena, "--seed %llu", (unsigned long long)seed);
    return bytes.data && t->insns && t->lines && t->name;
}

void random_show(const struct test *test, struct buf *out)
{
    disasm_text(test->insns, test->n_insns, NULL, out);
}
