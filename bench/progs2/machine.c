/* An interpreter of a small register machine whose code, registers and data stand in the memory. */
#include "prog.h"

enum { REGS = 16, CODE = 1024, DATA = 1024, STEPS = 60000 };

struct machine {
    u32 reg[REGS];
    u32 code[CODE];
    u32 data[DATA];
};

PROG(mem, len)
{
    struct machine *m = mem;
    u32 pc = (u32)(len >> 32);
    u64 sum = 0;

    for (u32 step = START(0, len); LOOP(step < STEPS); step++) {
        u32 insn = m->code[pc], a = insn >> 4 & 15, b = insn >> 8 & 15, c = insn >> 12 & 15, imm = insn >> 16;

        pc = (pc + 1) % CODE;
        switch (insn & 15) {
        case 0:
        case 1: m->reg[a] = m->reg[b] + m->reg[c]; break;
        case 2: m->reg[a] = m->reg[b] - m->reg[c]; break;
        case 3: m->reg[a] = m->reg[b] ^ m->reg[c]; break;
        case 4: m->reg[a] = m->reg[b] & (m->reg[c] | 1); break;
        case 5: m->reg[a] = m->reg[b] * m->reg[c]; break;
        case 6: m->reg[a] = m->reg[b] >> (m->reg[c] & 31); break;
        case 7: m->reg[a] = m->reg[b] << (m->reg[c] & 31); break;
        case 8: m->reg[a] = imm; break;
        case 9: m->reg[a] += imm; break;
        case 10: m->reg[a] = m->data[(m->reg[b] + imm) % DATA]; break;
        case 11: m->data[(m->reg[b] + imm) % DATA] = m->reg[a]; break;
        case 12:
            if (m->reg[a] < m->reg[b])
                pc = (pc + imm % 16) % CODE;
            break;
        case 13:
            if (m->reg[a] & 1)
                pc = (pc + imm % 16) % CODE;
            break;
        case 14: sum += m->reg[a]; break;
        default: m->reg[a] = ~m->reg[b]; break;
        }
    }
    return sum;
}
