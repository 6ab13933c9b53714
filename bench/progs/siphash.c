/* SipHash-2-4 of the whole memory behind its key, which is the first 16 bytes. */
#include "prog.h"

struct sip {
    u64 v0, v1, v2, v3;
};

INLINE void sip_round(struct sip *s)
{
    s->v0 += s->v1, s->v1 = rotl64(s->v1, 13) ^ s->v0, s->v0 = rotl64(s->v0, 32);
    s->v2 += s->v3, s->v3 = rotl64(s->v3, 16) ^ s->v2;
    s->v0 += s->v3, s->v3 = rotl64(s->v3, 21) ^ s->v0;
    s->v2 += s->v1, s->v1 = rotl64(s->v1, 17) ^ s->v2, s->v2 = rotl64(s->v2, 32);
}

PROG(mem, len)
{
    const u64 *words = mem;
    u64 k0 = words[0], k1 = words[1];
    struct sip s = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573};
    u32 n = (u32)len / 8;

    for (u32 i = 2; LOOP(i < n); i++) {
        s.v3 ^= words[i];
        sip_round(&s);
        sip_round(&s);
        s.v0 ^= words[i];
    }
    s.v3 ^= len << 56;
    sip_round(&s);
    sip_round(&s);
    s.v0 ^= len << 56;
    s.v2 ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
