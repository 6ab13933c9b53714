/* Packets: Ethernet with up to two VLAN tags, IPv4 with options or IPv6, TCP and UDP; counts by kind and hashes flows.
 */
#include "prog.h"

enum { PASSES = 8, SLOT = 128, VLAN = 0x8100, IPV4 = 0x0800, IPV6 = 0x86dd, TCP = 6, UDP = 17 };

INLINE u32 ports(const u8 *l4, const u8 *end, u32 protocol)
{
    if (protocol == TCP && l4 + 20 <= end)
        return load_be32(l4) ^ ((u32)l4[13] << 8);
    if (protocol == UDP && l4 + 8 <= end)
        return load_be32(l4) ^ load_be16(l4 + 4);
    return 0;
}

INLINE u32 flow(const u8 *p, const u8 *end)
{
    u32 type = load_be16(p + 12), hash = 0;
    const u8 *l3 = p + 14;

#pragma clang loop unroll(full)
    for (u32 i = 0; i < 2; i++)
        if (type == VLAN) {
            hash += load_be16(l3) & 0xfff;
            type = load_be16(l3 + 2);
            l3 += 4;
        }
    if (type == IPV4) {
        u32 header = (l3[0] & 15) * 4u;

        if (header < 20 || l3 + header > end)
            return 1;
        return hash + (load_be32(l3 + 12) ^ load_be32(l3 + 16) * 3) + ports(l3 + header, end, l3[9]);
    }
    if (type == IPV6) {
        if (l3 + 40 > end)
            return 2;
#pragma clang loop unroll(disable)
        for (u32 i = 8; i < 40; i += 4)
            hash = rotl32(hash, 5) ^ load_be32(l3 + i);
        return hash + ports(l3 + 40, end, l3[6]);
    }
    return 3;
}

PROG(mem, len)
{
    u32 n = (u32)len / SLOT;
    u64 sum = 0;

    for (u32 pass = 0; LOOP(pass < PASSES); pass++) {
        const u8 *p = mem;

        for (u32 i = 0; LOOP(i < n); i++, p += SLOT)
            sum += flow(p, p + 54 + (p[pass] & 63));
    }
    return sum;
}

#ifndef __bpf__
FILL(mem, len)
{
    for (u64 at = 0; at + SLOT <= len; at += SLOT) {
        u8 *p = mem + at, kind = p[1], *l3 = p + 14;
        u32 tags = kind % 8 == 0 ? 2 : kind % 8 < 3;

        for (u32 i = 0; i < tags; i++, l3 += 4)
            l3[-2] = 0x81, l3[-1] = 0;
        if (kind & 0x80) {
            l3[-2] = 0x86, l3[-1] = 0xdd;
            l3[6] = kind & 0x40 ? TCP : UDP;
        } else {
            l3[-2] = 8, l3[-1] = 0;
            l3[0] = 0x45 + (kind % 16 == 5);
            l3[9] = kind & 0x40 ? TCP : UDP;
        }
    }
}
#endif
