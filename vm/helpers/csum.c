/*
 * bpf_csum_diff and the arithmetic of the internet checksum (RFC 1071) that the packet helpers share: sums of 16-bit
 * words with the carry added back, in the host's byte order.
 */
#include "vm/helpers/csum.h"
#include "vm/helpers/helper.h"

uint32_t csum_add(uint32_t a, uint32_t b)
{
    uint32_t sum = a + b;
    return sum + (sum < b);
}

uint32_t csum_partial(const void *data, uint64_t size, uint32_t sum)
{
    const unsigned char *p = data;
    uint64_t wide = sum;

    for (; size >= 4; p += 4, size -= 4) {
        uint32_t word;

        memcpy(&word, p, 4);
        wide += word;
    }
    if (size) {
        uint32_t word = 0;

        memcpy(&word, p, size);
        wide += word;
    }
    wide = (wide & UINT32_MAX) + (wide >> 32);
    return (uint32_t)(wide + (wide >> 32));
}

uint16_t csum_fold16(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)(sum + (sum >> 16));
}

HELPER_BODY(csum_diff)
{
    uint64_t from_size = (uint32_t)a2, to_size = (uint32_t)a4;
    uint32_t sum = (uint32_t)a5;
    const void *from = helper_ptr(a1), *to = helper_ptr(a3);

    /* Zero has two forms in this arithmetic; the order of steps, which is Linux's, decides which comes out. */
    if (from_size && to_size)
        sum = csum_add(csum_partial(to, to_size, sum), ~csum_partial(from, from_size, 0));
    else if (to_size)
        sum = csum_partial(to, to_size, sum);
    else if (from_size)
        sum = ~csum_partial(from, from_size, ~sum);
    return csum_fold16(sum);
}
