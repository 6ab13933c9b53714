/*
 * A program to look at: `worker run` calls handle() with sizes from 1 to 1000 bytes. `worker regs FILE` writes the
 * registers that a probe of handle() would see in those calls, for a run without Linux.
 */
#include <linux/ptrace.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

__attribute__((noinline)) void handle(long size);
void handle(long size)
{
    __asm__ volatile("" ::"r"(size) : "memory");
}

/* Where the first argument is: in rdi, or in x0. */
#ifdef __x86_64__
enum { ARGUMENT = offsetof(struct pt_regs, rdi), REGS = sizeof(struct pt_regs) };
#else
enum { ARGUMENT = 0, REGS = sizeof(struct user_pt_regs) };
#endif

int main(int argc, char **argv)
{
    FILE *f = argc == 3 && !strcmp(argv[1], "regs") ? fopen(argv[2], "w") : NULL;
    if (!f && (argc != 2 || strcmp(argv[1], "run")))
        return fprintf(stderr, "usage: worker run | worker regs FILE\n"), 2;
    for (long size = 1; size <= 1000; size += 3) {
        unsigned char regs[REGS] = {0};
        memcpy(regs + ARGUMENT, &size, sizeof(size));
        if (!f)
            handle(size);
        else if (fwrite(regs, REGS, 1, f) != 1)
            return 1;
    }
    return f && fclose(f);
}
