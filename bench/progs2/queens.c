/* Ways to place ten queens, by bits of columns and diagonals with an explicit stack of what is still to be tried. */
#include "prog.h"

enum { N = 10, ALL = (1 << N) - 1, DEPTH = 16 };

struct row {
    u32 columns, left, right, free;
};

PROG(mem, len)
{
    struct row *stack = mem;
    u32 found = 0, tried = 0;
    s32 depth = (s32)START(0, len);

    (void)len;
    stack[0] = (struct row){0, 0, 0, ALL};
    while (LOOP(depth >= 0)) {
        struct row *row = &stack[depth];
        u32 place = row->free & -row->free, columns, left, right;

        if (!place) {
            depth--;
            continue;
        }
        tried++;
        row->free ^= place;
        columns = row->columns | place;
        left = (row->left | place) << 1;
        right = (row->right | place) >> 1;
        if (columns == ALL)
            found++;
        else
            stack[++depth] = (struct row){columns, left, right, ALL & ~(columns | left | right)};
    }
    return (u64)found << 32 | tried;
}
