/*
 * What a C source says about its object, in comments of their own lines: `// name: words`. Each is one check.
 *
 *   expect-prog: NAME TYPE FUNCS            type as bpftool writes it; functions of the linked program, "-" for
 * unlinked expect-map: NAME TYPE KEY VALUE MAX [FLAGS] expect-inner: NAME TYPE KEY VALUE MAX   the inner map's
 * definition expect-init: MAP INDEX TARGET           a static initialiser: a map's or a program's name expect-var: NAME
 * SECTION SIZE expect-data: NAME HEX                   a variable's initial bytes expect-reloc: KIND SYMBOL yes|no one
 * that is resolved, or not expect-func: PROG NAME global|static    a function of a linked program, with its BTF
 *   expect-line: PROG TEXT                  a source line of a linked program that contains the text
 *   expect-warn: TEXT                       a warning that contains it
 *   expect-error: TEXT                      opening or linking fails and says so
 *   result: PROG VALUE                      what a run returns (64 zero bytes of packet, or a zeroed context)
 *   trap: PROG KIND                         a run ends so
 *   kconfig: LINE                           given when opening; no check
 */
#ifndef TESTS_LOADER_EXPECT_H
#define TESTS_LOADER_EXPECT_H

#include "base/buf.h"
#include "loader/object.h"

struct counts {
    unsigned passed, failed;
};

/* What was opened and linked, and all that was said meanwhile, one message a line, its level's letter first. */
struct outcome {
    const char *path, *source; /* the object; the text of its C source */
    const char *btf;           /* file of the target's types; NULL: the running kernel's */
    int err;
    struct object *obj; /* NULL when err */
    const char *messages;
};

/** The next `// name: rest` at or after *text; rest is cut at the line's end. @return false at the end. */
bool expect_next(const char **text, char name[32], char rest[512]);

/** Makes every check of the source. */
void expect_all(const struct outcome *o, struct counts *counts);

#endif
