/* SipHash-2-4 (Aumasson, Bernstein), which Linux keys its SYN cookies with. */
#ifndef VM_HELPERS_SIPHASH_H
#define VM_HELPERS_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
    uint64_t k[2];
};

uint64_t siphash(const void *data, size_t size, const struct siphash_key *key);

#endif
