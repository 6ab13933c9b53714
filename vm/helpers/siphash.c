/* The four words of state are mixed twice for each 8 bytes, and four times at the end. */
#include "vm/helpers/siphash.h"
#include <string.h>

struct sip {
    uint64_t v[4];
};

static uint64_t rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void mix(struct sip *s, unsigned rounds)
{
    uint64_t *v = s->v;

    while (rounds--) {
        v[0] += v[1];
        v[1] = rotl(v[1], 13) ^ v[0];
        v[0] = rotl(v[0], 32);
        v[2] += v[3];
        v[3] = rotl(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotl(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotl(v[1], 17) ^ v[2];
        v[2] = rotl(v[2], 32);
    }
}

static uint64_t load(const unsigned char *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

uint64_t siphash(const void *data, size_t size, const struct siphash_key *key)
{
    const unsigned char *p = data;
    struct sip s = {{key->k[0] ^ 0x736f6d6570736575, key->k[1] ^ 0x646f72616e646f6d, key->k[0] ^ 0x6c7967656e657261,
                     key->k[1] ^ 0x7465646279746573}};
    size_t left = size;
    uint64_t m;

    for (; left >= 8; left -= 8, p += 8) {
        m = load(p, 8);
        s.v[3] ^= m;
        mix(&s, 2);
        s.v[0] ^= m;
    }
    m = load(p, left) | (uint64_t)size << 56;
    s.v[3] ^= m;
    mix(&s, 2);
    s.v[0] ^= m;
    s.v[2] ^= 0xff;
    mix(&s, 4);
    return s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
}
