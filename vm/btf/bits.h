/*
 * Runs of bits in memory as BTF counts them: from the lowest address, within a byte from the least significant bit on
 * little-endian machines and from the most significant one on big-endian ones. Up to 128 bits, of any alignment;
 * callers have checked that the bytes are there.
 */
#ifndef VM_BTF_BITS_H
#define VM_BTF_BITS_H

#include <stdint.h>

static inline unsigned bits_shift(uint64_t bit_off, unsigned bits)
{
    unsigned in_byte = bit_off % 8;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    (void)bits;
    return in_byte;
#else
    return (8 - (in_byte + bits) % 8) % 8;
#endif
}

/* The byte of significance i (0: lowest) among those that hold the run. */
static inline uint64_t bits_byte(uint64_t bit_off, unsigned bits, unsigned i)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    (void)bits;
    return bit_off / 8 + i;
#else
    return (bit_off + bits - 1) / 8 - i;
#endif
}

static inline unsigned __int128 bits_get(const unsigned char *p, uint64_t bit_off, unsigned bits)
{
    unsigned shift = bits_shift(bit_off, bits), n = (shift + bits + 7) / 8;
    unsigned __int128 v = 0;

    for (unsigned i = 0; i < n; i++) {
        unsigned __int128 byte = p[bits_byte(bit_off, bits, i)];

        v |= i ? byte << (8 * i - shift) : byte >> shift;
    }
    return bits < 128 ? v & (((unsigned __int128)1 << bits) - 1) : v;
}

static inline void bits_set(unsigned char *p, uint64_t bit_off, unsigned bits, unsigned __int128 v)
{
    unsigned shift = bits_shift(bit_off, bits), n = (shift + bits + 7) / 8;

    for (unsigned i = 0; i < n; i++) {
        unsigned char *byte = &p[bits_byte(bit_off, bits, i)];
        unsigned from = i ? 0 : shift, to = i + 1 == n ? shift + bits - 8 * i : 8;
        unsigned char mask = (unsigned char)((0xffu >> (8 - to)) & (0xffu << from));
        unsigned char part = (unsigned char)(i ? v >> (8 * i - shift) : v << shift);

        *byte = (unsigned char)((*byte & ~mask) | (part & mask));
    }
}

/* Sign-extends a value of so many bits (1 to 64). */
static inline int64_t bits_extend(uint64_t v, unsigned bits)
{
    return bits < 64 ? (int64_t)(v << (64 - bits)) >> (64 - bits) : (int64_t)v;
}

#endif
