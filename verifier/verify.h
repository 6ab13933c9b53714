/*
 * The verifier: walks every path of a program over abstract states, prunes what was seen, and ends with a verdict. The
 * rules are Linux 6.18's. Rejects with a reason of reasons.def at an instruction; programs that use what is not known
 * here yet are `unsupported`, never accepted.
 */
#ifndef VERIFIER_VERIFY_H
#define VERIFIER_VERIFY_H

#include "vm/facts.h"
#include "vm/prog.h"

enum reason {
#define REASON(name, rule, cure) REASON_##name,
#include "verifier/reasons.def"
    REASON_COUNT
};

const char *reason_name(enum reason r);
const char *reason_rule(enum reason r);
const char *reason_cure(enum reason r);

enum verdict { VERDICT_ACCEPT, VERDICT_REJECT, VERDICT_UNSUPPORTED };

enum verify_keep {
    VERIFY_KEEP_NONE,
    VERIFY_KEEP_POINTERS, /* explores as always; of numbers the kept states say nothing */
    VERIFY_KEEP_EXACT,    /* prunes only where all numbers are covered: loops may not come to rest */
};

struct explored;

struct verify_opts {
    enum verify_keep keep_states; /* result.explored, for contains.h */
    bool unprivileged;            /* without CAP_BPF and CAP_PERFMON */
    bool strict_alignment;        /* BPF_F_STRICT_ALIGNMENT */
    /* Where an old state has unknown bytes of stack, a pointer is no number like any other: such paths are walked on,
     * and may be refused for what they do with the pointer. For the fuzzers (equal.c). */
    bool numbers_apart;
    /* Quotients and remainders may be anything, and so may the sign of what was shifted to the left and the outcome of
     * comparing a register with itself: to Linux they may. For those who compare verdicts. */
    bool linux_numbers;
    /* EXT programs: the program that this one extends, and which function of it, "" or its own name for all of it.
     * NULL: nobody says. Must outlive the verification. */
    const struct prog *extends;
    const char *extends_func;
    uint64_t max_insns;    /* processed; 0: one million */
    size_t max_memory;     /* bytes of states; 0: 1 GiB */
    uint32_t raw_mem_size; /* raw programs: bytes that r1 points to at least; the length in r2 is not known */
    bool raw_mem_writable;
    /* Contents of a map that can no longer change (.rodata after loading): the value at off, size bytes, little-endian.
     * @return false: not constant. NULL: none are. */
    bool (*read_const)(void *ctx, const struct map_def *map, uint64_t off, unsigned size, uint64_t *value);
    void *read_const_ctx;
    int log_level; /* 0 none, 1 and 2 as Linux's, to `log` at info level */
};

/* A branch decision on the way to the refusal, oldest first. */
struct verify_step {
    uint32_t insn;
    bool taken;
};

enum { VERIFY_MAX_PATH = 64 };

struct verify_result {
    enum verdict verdict;
    enum reason reason;
    uint32_t insn;
    char message[320]; /* what was needed and what was known, in words; for unsupported: what is missing */
    struct verify_step path[VERIFY_MAX_PATH]; /* the last decisions */
    uint32_t n_path;
    char known[640];  /* lines: what was known of the registers that the instruction names */
    char inputs[640]; /* lines: conditions on the input that hold on this path */
    char cost[1024];  /* lines, for too_complex: where the instructions were processed */
    uint64_t insns_processed;
    uint32_t states_total, states_peak, max_states_per_insn;
    size_t memory_peak;
    uint32_t stack_depth;      /* of the deepest call chain, bytes */
    struct facts facts;        /* on ACCEPT; freed with verify_result_free() */
    struct explored *explored; /* on ACCEPT when keep_states asks for it; freed with verify_result_free() */
};

/**
 * Verifies a program.
 * @return 0 with a verdict in *out; -ENOMEM, -EINVAL when it could not be judged at all.
 */
int verify_prog(const struct prog *prog, const struct verify_opts *opts, const struct log *log,
                struct verify_result *out);
void verify_result_free(struct verify_result *result);

#endif
