/*
 * What Linux wants to be told of a program's functions before it takes the address of one, or lets one make tail calls:
 * their types, here those of static functions without arguments, which it believes.
 */
#ifndef TESTS_RUNNER_FUNC_INFO_H
#define TESTS_RUNNER_FUNC_INFO_H

#include "base/buf.h"
#include <skep/types.h>

struct func_info {
    int btf;            /* a file descriptor of the caller's; -1: none are needed */
    struct buf records; /* of struct bpf_func_info; freed by the caller */
    uint32_t n;
};

/** Loads types for the functions of these instructions, when they are needed.
 *  @return 0 or a negative errno. */
int func_info_load(const struct skep_insn *insns, uint32_t n, struct func_info *out);

#endif
