/*
 * One program, judged twice: by the verifier of the kernel that runs here, and by ours. A side that could not judge
 * (the kernel refused before its verifier ran, or lacks the hook; we lack a feature) is JUDGED_UNKNOWN and says why.
 * Programs are loaded into the kernel one at a time and never attached; whoever judges an object does so in a process
 * of its own, since neither loader is trusted with it here.
 */
#ifndef TESTS_KERNEL_PAIR_H
#define TESTS_KERNEL_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum judged { JUDGED_UNKNOWN, JUDGED_ACCEPT, JUDGED_REJECT };

struct judgement {
    enum judged judged;
    uint64_t processed, states;
    uint64_t time_us;  /* of the verification alone */
    uint64_t memory;   /* at the peak, bytes; ours only */
    char reason[48];   /* ours: the reason's name; Linux: the error */
    char message[320]; /* why not, in the words of who judged */
};

struct pair {
    char program[64], section[64];
    bool asked;    /* the kernel's side is done */
    bool finished; /* false: the process died while it judged this one; libbpf's death, if not asked */
    struct judgement kernel, ours;
};

/** Is this process allowed to load programs? */
bool linux_allows(void);
/** Does libbpf open this object? */
bool linux_reads(const char *path);
/** Loads one program of an object into the kernel, `repeat` times, and keeps the fastest. */
void linux_judge(const char *path, const char *program, unsigned repeat, struct judgement *out);

struct ours;
/** Opens and links an object. NULL: cannot be read; why says what is wrong. */
struct ours *ours_open(const char *path, char *why, size_t n);
/** Names of the i-th program. @return false: there are no more. */
bool ours_program(const struct ours *o, unsigned i, struct pair *out);
/** Verifies the i-th program, `repeat` times, and keeps the fastest by CPU time. */
void ours_judge(struct ours *o, unsigned i, unsigned repeat, struct judgement *out);

/** Judges the programs of one object in a process of its own, both ways. Out: an array to free; pairs whose other side
 *  was not asked are unknown. @return how many, or a negative errno with *why: -ENOEXEC when neither side can read it.
 */
int pair_object(const char *path, unsigned repeat, struct pair **out, char *why, size_t n);

/** The same in two halves, so that several objects are judged at a time. */
struct pair_job {
    int fd, pid;
};
int pair_start(const char *path, unsigned repeat, struct pair_job *job);
int pair_wait(struct pair_job *job, struct pair **out, char *why, size_t n);

#endif
