/*
 * Classic BPF: the filters of tcpdump and of seccomp, and their translation. Their 32-bit accumulator A is r0, their
 * index X r7, their memory the lowest 64 bytes of the stack, as in Linux's conversion.
 */
#ifndef VM_ISA_CBPF_H
#define VM_ISA_CBPF_H

#include "base/buf.h"
#include "base/log.h"
#include <skep/types.h>

/* One instruction, as in struct sock_filter. */
struct cbpf_insn {
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
};

enum { CBPF_MAX_INSNS = 4096 };

/* What a filter looks at: a packet (the result is a program of socket_filter), or a struct seccomp_data (a raw program,
 * r1 = the struct). */
enum cbpf_input { CBPF_PACKET, CBPF_SECCOMP };

/**
 * Checks a filter as Linux does before it takes it, and translates it.
 * @param out  struct skep_insn, appended.
 * @return 0; -EINVAL with a message that names the instruction; -ENOMEM.
 */
int cbpf_translate(const struct cbpf_insn *insns, uint32_t n, enum cbpf_input input, const struct log *log,
                   struct buf *out);

/** Reads the text of `tcpdump -ddd` (a count, then "code jt jf k" a line; commas do for newlines).
 *  @param out  struct cbpf_insn, appended. @return 0, -EINVAL with a message, -ENOMEM. */
int cbpf_parse(const char *text, size_t size, const struct log *log, struct buf *out);

#endif
