/*
 * The fuzzer of the verifier: a program is judged, and what is accepted is run under every watch that there is. Any
 * complaint about an accepted program is a bug of the verifier or of an engine.
 */
#ifndef FUZZ_VFUZZ_H
#define FUZZ_VFUZZ_H

#include "fuzz/gen.h"
#include "verifier/verify.h"
#include "vm/env.h"

enum { MAX_PACKET = GEN_PACKET };

/* What a run starts from. */
struct input {
    uint8_t packet[MAX_PACKET];
    uint32_t size;
    uint8_t array[4][64], hash[3][24], one[128], percpu[2][GEN_PERCPU_VALUE], inner[2][4][GEN_INNER_VALUE];
    uint8_t lock[2][GEN_LOCK_VALUE]; /* the locks themselves are 0 */
};

/* What a run leaves: of the maps that the program names. */
struct result {
    uint32_t retval;
    uint8_t array[4][64], hash[6][24], one[128]; /* hash: keys 0 to 5, zero where there is none */
    uint8_t inner[2][4][GEN_INNER_VALUE], lock[2][GEN_LOCK_VALUE];
    bool hash_has[6];
};

/* How a program fared. */
enum fate {
    FATE_REFUSED,
    FATE_UNSUPPORTED,
    FATE_RAN,
    FATE_VIOLATED, /* outside what was explored */
    FATE_TRAPPED,  /* checked memory */
    FATE_PRUNED,   /* refused when pruning looks at all numbers, so it was pruned where it must not be */
    FATE_DIFFERS,  /* two ways of running, two results */
    FATE_LEAKS,    /* unprivileged, and its result depends on addresses */
    FATE_LAXER,    /* Linux refuses it */
    FATE_FINER,    /* Linux refuses it, which knows nothing of remainders and of numbers compared with themselves */
    FATE_LARGE,    /* Linux gives up after a million instructions */
    FATE_STRICTER, /* Linux accepts it */
    FATE_RESULT,   /* Linux has another result */
    FATE_BROKEN,   /* could not be judged */
    FATE_COUNT
};

struct verdict_of_us {
    enum fate fate;
    enum reason reason;
    uint32_t insn;
    char text[1200];
    bool exact;     /* also watched with all numbers */
    bool unwritten; /* not so, since a pointer stands where an older state had unknown bytes (equal.c) */
    bool addresses; /* what it leaves depends on where things lie */
    uint64_t insns_processed, insns_watched;
    struct result results[2]; /* of the inputs, when it ran */
};

/* ours.c */
struct ours;
/* interp: nothing runs as machine code, or as what becomes it. */
struct ours *ours_new(bool interp);
void ours_free(struct ours *o);
/* Is the program accepted by what Linux knows of quotients, remainders and numbers compared with themselves? */
bool ours_accepts_plainly(const struct gen_prog *p);
void ours_judge(struct ours *o, const struct gen_prog *p, const struct input inputs[2], struct verdict_of_us *out);

/* linux.c: the same programs in Linux. */
struct linux_side;
/** @return NULL and *why when bpf(2) cannot be used. */
struct linux_side *linux_new(const char **why);
void linux_free(struct linux_side *k);
/** Loads a program. @return its descriptor, or a negative errno; log: its last words, when room is given. */
int linux_load(struct linux_side *k, const struct gen_prog *p, char *log, size_t room);
bool linux_run(struct linux_side *k, const struct gen_prog *p, int fd, const struct input *in, struct result *out);

void input_make(uint64_t seed, struct input *out);
#endif
