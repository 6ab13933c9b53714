/* Machine code of loaded programs as text, for `skep dump`. */
#ifndef CLI_JITED_H
#define CLI_JITED_H

#include "cli/cli.h"
#include "jit/engine.h"

struct jited_opts {
    bool opcodes, no_lines;
};

/** Prints a program's machine code, or writes it as an element of the open JSON array. @return the status, said. */
int jited_dump(struct cli *c, const struct code *code, const struct jited_opts *o);

#endif
