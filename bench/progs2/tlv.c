/* Nested records of type, length and value, as ASN.1 has them: an explicit stack of ends, numbers of any length. */
#include "prog.h"

enum { DEPTH = 8, PASSES = 6 };

PROG(mem, len)
{
    const u8 *bytes = mem;
    u64 sum = 0;

    for (u32 pass = START(0, len); LOOP(pass < PASSES); pass++) {
        u32 at = pass, depth = 0, ends[DEPTH];

        while (LOOP(at + 8 < (u32)len)) {
            u32 type = bytes[at], size = bytes[at + 1];

            at += 2;
            if (size & 0x80) {
                size = load_be16(bytes + at) & 31;
                at += 2;
            }
            while (LOOP(depth > 0 && at >= ends[(depth - 1) % DEPTH]))
                depth--;
            if (type & 0x20 && depth < DEPTH) { /* what it holds follows */
                ends[depth % DEPTH] = at + size;
                depth++;
                sum += depth;
                continue;
            }
            switch (type & 7) {
            case 0: sum ^= size; break;
            case 1:
            case 2: {
                u64 number = 0;

                for (u32 i = 0; LOOP(i < (size & 7)); i++)
                    number = number << 8 | bytes[at + i];
                sum += number;
                break;
            }
            case 3: sum = rotl64(sum, 7) + bytes[at]; break;
            case 4: sum += load_be32(bytes + at); break;
            default: sum += type * size;
            }
            at += size & 15;
        }
    }
    return sum;
}
