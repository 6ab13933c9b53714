/*
 * Memory for machine code. It is never writable and executable at once, and no page that holds live code ever changes
 * its protection: code lives in memfds, each mapped once to be run and once to be written, at addresses that have
 * nothing to do with one another. So it works under PR_SET_MDWE and the like too, and other threads run on while code
 * is added. Where the system allows it, the mapping that is run can not be made writable any more.
 *
 * Memory comes in regions with a guard page at either end of both mappings; blocks share regions, and what belongs to
 * no block is filled with instructions that trap. A block is taken (its address is then known, so that code can be
 * written for it), published once, run by whoever likes, and given back after its last run; epochs are the caller's
 * matter.
 *
 * A `struct jitmem` belongs to whoever made it; any thread may call anything here at any time. After a fork the child
 * may run what was published, and what it adds goes to regions of its own: it never writes to what its parent runs.
 */
#ifndef JIT_MEMORY_H
#define JIT_MEMORY_H

#include "base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JITMEM_ALIGN 64u /* of every block, in bytes */

/* Goes before a function that calls into a block: -fsanitize=function looks for a type in front of what is called. */
#ifdef __clang__
#define JITMEM_CALLER __attribute__((no_sanitize("function")))
#else
#define JITMEM_CALLER
#endif

struct jitmem;
struct jitmem_block;

struct jitmem_opts {
    size_t limit;    /* the most bytes that regions may have together; 0: 256 MiB */
    bool harden;     /* random addresses, and a mapping to write through only while something is written */
    uint8_t trap[4]; /* what the target traps on; repeated in all memory that holds no code */
};

struct jitmem_usage {
    size_t mapped; /* bytes of all regions */
    size_t used;   /* bytes of all blocks, rounded to JITMEM_ALIGN */
    size_t blocks, regions;
};

/**
 * Makes an allocator, and its first region, so that a system that refuses is known at once.
 *
 * @param opts  NULL: all zero.
 * @return 0; -EPERM, -EACCES, -ENOSYS ... as memfd_create() or an executable mapping was refused: there is no other way
 * to run machine code here, and the interpreter remains; -ENOMEM. The log says which.
 */
int jitmem_new(struct jitmem **out, const struct jitmem_opts *opts, const struct log *log);

/** The caller needs it no more. Blocks that are still out stay as they are; the last to be given back takes all along.
 */
void jitmem_free(struct jitmem *jm);

/**
 * Takes a block.
 *
 * @param align  a power of two up to 4096; less than JITMEM_ALIGN counts as that.
 * @return 0; -EINVAL: size 0 or a bad align; -ENOSPC: past the limit; otherwise as jitmem_new().
 */
int jitmem_take(struct jitmem *jm, struct jitmem_block **out, size_t size, size_t align, const struct log *log);

/** Where the block's code will run. Its bytes trap until it is published. */
void *jitmem_address(const struct jitmem_block *b);

/**
 * Puts code into a block, once; when it returns, every thread that learns the address from the caller may run it.
 *
 * @return 0; -EINVAL: more than was taken, or published before; -EPERM: the block is the parent's, from before a fork;
 * with `harden` also what mmap() says, and the block is as it was.
 */
int jitmem_publish(struct jitmem_block *b, const void *code, size_t size, const struct log *log);

/** Gives a block back, after its last run. NULL does nothing. */
void jitmem_give(struct jitmem_block *b);

struct jitmem_usage jitmem_usage(struct jitmem *jm);

#endif
