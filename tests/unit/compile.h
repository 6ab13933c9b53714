/* Objects of tests/api, compiled now with whichever clang there is; without one, the tests that want them are skipped.
 */
#ifndef TESTS_UNIT_COMPILE_H
#define TESTS_UNIT_COMPILE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Sets path to where tests/api/NAME.bpf.c was compiled to, or to nothing. */
static inline void compile_one(const char *name, char path[64])
{
    char command[512];

    snprintf(path, 64, "/tmp/skep-%s-%d.bpf.o", name, (int)getpid());
    snprintf(command, sizeof(command),
             "for c in ${BPF_CLANG:-clang-19} clang-16 clang-14 clang; do command -v $c >/dev/null && exec $c -O2 -g "
             "-target bpf -mcpu=v3 -I/usr/include/$(uname -m)-linux-gnu -c tests/api/%s.bpf.c -o %s; done; exit 1",
             name, path);
    if (system(command)) {
        print_message("skip: no clang that compiles tests/api/%s.bpf.c\n", name);
        *path = 0;
    }
}

static inline void remove_one(const char *path)
{
    if (*path)
        unlink(path);
}

#endif
