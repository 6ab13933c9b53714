/*
 * Programs of any size, each shape straining one part of compilation. They are made to be compiled, not run. The same
 * size gives the same program.
 */
#include "bench/compile/compile.h"

enum {
    ALU_IMM = 0x07, /* add; the operation's other bits are or-ed to these */
    ALU_REG = 0x0f,
    MOV_IMM = 0xb7,
    MOV_REG = 0xbf,
    LOAD = 0x79,
    STORE = 0x7b,
    JA = 0x05,
    JNE_IMM = 0x55,
    JGT_IMM = 0x25,
    CALL = 0x85,
    EXIT = 0x95,
    LOCAL = 1, /* src_reg of CALL */
    HELPER_KTIME = 5,
};

/* What is being written. */
struct made {
    struct skep_insn *out;
    uint32_t n, size;
    uint64_t random;
};

static uint32_t draw(struct made *m, uint32_t below)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (uint32_t)((m->random >> 32) % below);
}

static void put(struct made *m, uint8_t code, unsigned dst, unsigned src, int off, int32_t imm)
{
    m->out[m->n++] =
        (struct skep_insn){.code = code, .dst_reg = dst & 15, .src_reg = src & 15, .off = (int16_t)off, .imm = imm};
}

static struct made begin(struct skep_insn *out, uint32_t size)
{
    struct made m = {.out = out, .size = size, .random = 88172645463325252u};

    for (unsigned r = 0; r < 10; r++) /* numbers that nobody knows */
        if (r != 1)
            put(&m, LOAD, r, 1, 8 * (int)r, 0);
    return m;
}

/* Everything counts for the result. */
static uint32_t end(struct made *m)
{
    for (unsigned r = 1; r < 10; r++)
        put(m, ALU_REG | 0xa0, 0, r, 0, 0);
    put(m, EXIT, 0, 0, 0, 0);
    return m->n;
}

/* One operation on two of the registers `first` .. 9, none that would make numbers of them that are known in the end:
 * add, subtract, exclusive or, multiply by an odd number. */
static void alu(struct made *m, unsigned first)
{
    static const uint8_t ops[] = {0x00, 0x10, 0xa0, 0x20};
    unsigned k = draw(m, sizeof(ops)), dst = first + draw(m, 10 - first), src = first + draw(m, 10 - first);

    if (ops[k] == 0x20 || src == dst || !draw(m, 4))
        put(m, ALU_IMM | ops[k], dst, 0, 0, (int32_t)draw(m, 1 << 20) | 1);
    else
        put(m, ALU_REG | ops[k], dst, src, 0, 0);
}

static uint32_t straight(struct skep_insn *out, uint32_t size)
{
    struct made m = begin(out, size);

    while (m.n < size)
        alu(&m, 0);
    return end(&m);
}

static uint32_t branches(struct skep_insn *out, uint32_t size)
{
    struct made m = begin(out, size);

    while (m.n < size) {
        unsigned over = 1 + draw(&m, 6);

        put(&m, draw(&m, 2) ? JNE_IMM : JGT_IMM, draw(&m, 10), 0, (int)over, (int32_t)draw(&m, 1000));
        for (unsigned i = 0; i < over; i++)
            alu(&m, 0);
        alu(&m, 0);
    }
    return end(&m);
}

/* As branches, but each jumps to one of few places far ahead, so that blocks have hundreds of predecessors. */
static uint32_t joins(struct skep_insn *out, uint32_t size)
{
    enum { SPAN = 2000 };
    struct made m = begin(out, size);

    while (m.n < size) {
        uint32_t to = m.n + SPAN;

        while (m.n < to) {
            put(&m, JNE_IMM, draw(&m, 10), 0, (int)(to - m.n - 1), (int32_t)draw(&m, 1000));
            alu(&m, 0);
        }
    }
    return end(&m);
}

static void slots_begin(struct made *m, unsigned n)
{
    for (unsigned i = 1; i <= n; i++) {
        put(m, LOAD, 2, 1, 8 * (int)i, 0);
        put(m, STORE, 10, 2, -8 * (int)i, 0);
    }
}

static void slots_end(struct made *m, unsigned n)
{
    for (unsigned i = 1; i <= n; i++) {
        put(m, LOAD, 1, 10, -8 * (int)i, 0);
        put(m, ALU_REG, 0, 1, 0, 0);
    }
}

static void slot_op(struct made *m, unsigned n)
{
    int at = -8 * (int)(1 + draw(m, n));

    switch (draw(m, 3)) {
    case 0: put(m, LOAD, 2 + draw(m, 8), 10, at, 0); break;
    case 1: put(m, STORE, 10, 2 + draw(m, 8), at, 0); break;
    default: alu(m, 2);
    }
}

/* 60 slots that are all alive, in one block. */
static uint32_t spills(struct skep_insn *out, uint32_t size)
{
    struct made m = begin(out, size);

    slots_begin(&m, 60);
    while (m.n < size)
        slot_op(&m, 60);
    slots_end(&m, 60);
    return end(&m);
}

/* The same over blocks. */
static uint32_t slots(struct skep_insn *out, uint32_t size)
{
    struct made m = begin(out, size);

    slots_begin(&m, 60);
    while (m.n < size) {
        unsigned over = 1 + draw(&m, 10);

        put(&m, JNE_IMM, 2 + draw(&m, 8), 0, (int)over, (int32_t)draw(&m, 1000));
        for (unsigned i = 0; i < over; i++)
            slot_op(&m, 60);
        slot_op(&m, 60);
    }
    slots_end(&m, 60);
    return end(&m);
}

/* Nests of 32 loops whose counters lie in slots. */
static uint32_t loops(struct skep_insn *out, uint32_t size)
{
    enum { DEPTH = 32 };
    struct made m = begin(out, size);

    while (m.n < size) {
        uint32_t head[DEPTH];

        for (int d = 0; d < DEPTH; d++) {
            put(&m, MOV_IMM, 2, 0, 0, 10);
            put(&m, STORE, 10, 2, -8 * (d + 1), 0);
            head[d] = m.n;
            alu(&m, 3);
        }
        for (int d = DEPTH; d-- > 0;) {
            alu(&m, 3);
            put(&m, LOAD, 2, 10, -8 * (d + 1), 0);
            put(&m, ALU_IMM, 2, 0, 0, -1);
            put(&m, STORE, 10, 2, -8 * (d + 1), 0);
            put(&m, JNE_IMM, 2, 0, (int)head[d] - (int)m.n - 1, 0);
        }
    }
    return end(&m);
}

static uint32_t memory(struct skep_insn *out, uint32_t size)
{
    struct made m = begin(out, size);

    while (m.n < size) {
        unsigned reg = 2 + draw(&m, 8);
        int at = (int)draw(&m, 4096) * 8;

        switch (draw(&m, 4)) {
        case 0: put(&m, LOAD, reg, 1, at, 0); break;
        case 1: put(&m, STORE, 1, reg, at, 0); break;
        case 2: /* an element of an array */
            put(&m, ALU_IMM | 0x50, reg, 0, 0, 255);
            put(&m, ALU_IMM | 0x60, reg, 0, 0, 3);
            put(&m, ALU_REG, reg, 1, 0, 0);
            put(&m, LOAD, reg, reg, at, 0);
            break;
        default: alu(&m, 2);
        }
    }
    return end(&m);
}

static uint32_t calls(struct skep_insn *out, uint32_t size)
{
    struct made m = begin(out, size);

    while (m.n < size) {
        put(&m, CALL, 0, 0, 0, HELPER_KTIME);
        put(&m, ALU_REG, 6 + draw(&m, 4), 0, 0, 0);
        for (unsigned i = draw(&m, 6); i; i--)
            alu(&m, 6);
    }
    for (unsigned r = 1; r < 6; r++)
        put(&m, MOV_IMM, r, 0, 0, 0);
    return end(&m);
}

/* Many functions of some twenty instructions, called by the entry. */
static uint32_t functions(struct skep_insn *out, uint32_t size)
{
    enum { LENGTH = 20 };
    struct made m = begin(out, size);
    uint32_t n = size / (LENGTH + 4), first;

    first = m.n + 4 * n + 15;
    for (uint32_t i = 0; i < n; i++) {
        for (unsigned r = 1; r < 4; r++)
            put(&m, MOV_REG, r, 6 + draw(&m, 4), 0, 0);
        put(&m, CALL, 0, LOCAL, 0, (int32_t)(first + i * LENGTH - m.n - 1));
    }
    for (unsigned r = 1; r < 6; r++)
        put(&m, MOV_IMM, r, 0, 0, 0);
    end(&m);
    for (uint32_t i = 0; i < n; i++) {
        put(&m, MOV_REG, 0, 1, 0, 0);
        for (unsigned k = 2; k < LENGTH; k++)
            put(&m, ALU_REG | (k & 1 ? 0xa0 : 0x00), draw(&m, 4), draw(&m, 4), 0, 0);
        put(&m, EXIT, 0, 0, 0, 0);
    }
    return m.n;
}

const struct shape shapes[] = {
    {"straight", "one block of arithmetic", straight},
    {"branches", "blocks of a few operations", branches},
    {"joins", "blocks with a thousand predecessors", joins},
    {"spills", "60 slots alive in one block", spills},
    {"slots", "60 slots alive over blocks", slots},
    {"loops", "nests of 32 loops", loops},
    {"memory", "loads, stores, arrays", memory},
    {"calls", "a helper every few operations", calls},
    {"functions", "functions of twenty operations", functions},
};
const unsigned n_shapes = sizeof(shapes) / sizeof(shapes[0]);
