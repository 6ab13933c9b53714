/* The internet checksum's arithmetic, in the host's byte order. */
#ifndef VM_HELPERS_CSUM_H
#define VM_HELPERS_CSUM_H

#include <stdint.h>

/** a + b with the carry added back. */
uint32_t csum_add(uint32_t a, uint32_t b);
/** Adds bytes to a sum; an odd last byte counts as the first half of a word. */
uint32_t csum_partial(const void *data, uint64_t size, uint32_t sum);
/** 32 bits to 16, without complement. */
uint16_t csum_fold16(uint32_t sum);

#endif
