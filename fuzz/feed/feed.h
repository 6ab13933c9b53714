/*
 * Feeds: libFuzzer targets, one file and one kind of hostile input each. A feed takes any bytes and must come back,
 * with everything given back that it took; what is wrong beyond what the sanitizers see is said by feed_wrong(), which
 * aborts, so that libFuzzer keeps the input.
 */
#ifndef FUZZ_FEED_H
#define FUZZ_FEED_H

#include "base/buf.h"
#include "base/log.h"
#include <skep/insn.h>
#include <stddef.h>
#include <stdint.h>

/* libFuzzer's. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

/** Ends the process after saying what is wrong. */
_Noreturn void feed_wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** A log that formats everything, and keeps the last of it in *said, an empty buf of the caller's. */
struct log feed_log(struct buf *said);

/** Takes up to n bytes from the front of the input; what is missing is zero. */
void feed_take(const uint8_t **data, size_t *size, void *out, size_t n);

/** One random instruction that is well-formed more often than not, at insns[0]; wide ones fill insns[1] too.
 *  @return slots, 1 or 2. */
unsigned feed_insn(uint64_t *random, struct skep_insn insns[2]);
/** A custom mutator for inputs that are a header and then instructions. */
size_t feed_mutate_insns(uint8_t *data, size_t size, size_t max, unsigned seed, size_t header);

#endif
