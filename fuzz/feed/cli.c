/*
 * Files that the command line reads, through the command itself: captures, maps, contexts, worlds. FEED_ARGS is the
 * command with @ where the file stands; what it prints goes nowhere, and it must end with one of its three statuses.
 */
#include "fuzz/feed/feed.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int cli_main(int argc, char **argv); /* cli/main.c */

enum { MOST_ARGS = 32 };

static int put_file(const uint8_t *data, size_t size)
{
    static int fd = -1;

    if (fd < 0)
        fd = memfd_create("fed", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const words[] = {"skep", FEED_ARGS, NULL};
    char *argv[MOST_ARGS + 1], path[64];
    int argc = 0, status;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", put_file(data, size));
    for (; words[argc] && argc < MOST_ARGS; argc++)
        argv[argc] = strcmp(words[argc], "@") ? strdup(words[argc]) : strdup(path);
    argv[argc] = NULL;
    status = cli_main(argc, argv);
    if (status < 0 || status > 2)
        feed_wrong("exit status %d", status);
    while (argc--)
        free(argv[argc]);
    return 0;
}
