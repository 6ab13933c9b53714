/* The game of life on a torus 64 wide, a word a row: neighbours are added bit by bit in three words. */
#include "prog.h"

enum { ROWS = 128, TURNS = 400 };

INLINE void add(u64 *ones, u64 *twos, u64 *fours, u64 x)
{
    u64 carry = *ones & x, more = *twos & carry;

    *ones ^= x;
    *twos ^= carry;
    *fours |= more;
}

PROG(mem, len)
{
    u64 *now = mem, *next = now + ROWS, sum = 0;

    (void)len;
    for (u32 turn = START(0, len); LOOP(turn < TURNS); turn++) {
        u64 *t = now;

        for (u32 y = 0; LOOP(y < ROWS); y++) {
            u64 up = now[(y + ROWS - 1) % ROWS], self = now[y], down = now[(y + 1) % ROWS];
            u64 ones = rotl64(up, 1), twos = 0, fours = 0;

            add(&ones, &twos, &fours, up);
            add(&ones, &twos, &fours, rotl64(up, 63));
            add(&ones, &twos, &fours, rotl64(self, 1));
            add(&ones, &twos, &fours, rotl64(self, 63));
            add(&ones, &twos, &fours, rotl64(down, 1));
            add(&ones, &twos, &fours, down);
            add(&ones, &twos, &fours, rotl64(down, 63));
            next[y] = twos & ~fours & (ones | self);
            sum += next[y];
        }
        now = next;
        next = t;
    }
    return sum;
}
