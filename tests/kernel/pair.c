#include "tests/kernel/pair.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 300 };

/* The records go to a file, the one in work last: after a crash it is the one that is not finished. */
static bool put(int fd, unsigned i, const struct pair *p)
{
    return pwrite(fd, p, sizeof(*p), (off_t)(i * sizeof(*p))) == sizeof(*p);
}

static void judge(const char *path, unsigned repeat, int fd)
{
    char why[320] = "";
    struct ours *o = ours_open(path, why, sizeof(why));
    struct pair p;

    if (!o) {
        memset(&p, 0, sizeof(p));
        snprintf(p.ours.message, sizeof(p.ours.message), "%s", why);
        p.finished = true;
        put(fd, 0, &p);
        _exit(linux_reads(path) ? 3 : 5);
    }
    for (unsigned i = 0; memset(&p, 0, sizeof(p)), ours_program(o, i, &p); i++) {
        if (!put(fd, i, &p))
            _exit(4);
        linux_judge(path, p.program, repeat, &p.kernel);
        p.asked = true;
        if (!put(fd, i, &p))
            _exit(4);
        ours_judge(o, i, repeat, &p.ours);
        p.finished = true;
        if (!put(fd, i, &p))
            _exit(4);
    }
    _exit(0);
}

int pair_start(const char *path, unsigned repeat, struct pair_job *job)
{
    job->fd = memfd_create("pairs", MFD_CLOEXEC);
    if (job->fd < 0)
        return -errno;
    fflush(stdout);
    job->pid = fork();
    if (job->pid < 0) {
        close(job->fd);
        return -errno;
    }
    if (!job->pid) {
        alarm(SECONDS);
        judge(path, repeat, job->fd);
    }
    return 0;
}

int pair_wait(struct pair_job *job, struct pair **out, char *why, size_t n)
{
    off_t size;
    int status = 0, count;

    *out = NULL;
    while (waitpid(job->pid, &status, 0) < 0 && errno == EINTR)
        ;
    size = lseek(job->fd, 0, SEEK_END);
    *out = malloc((size_t)size + 1);
    if (!*out || pread(job->fd, *out, (size_t)size, 0) != size) {
        close(job->fd);
        free(*out);
        return -ENOMEM;
    }
    close(job->fd);
    count = (int)((size_t)size / sizeof(**out));
    if (WIFEXITED(status) && (WEXITSTATUS(status) == 3 || WEXITSTATUS(status) == 5) && count) {
        snprintf(why, n, "%s", (*out)->ours.message);
        free(*out);
        *out = NULL;
        return WEXITSTATUS(status) == 3 ? -EINVAL : -ENOEXEC;
    }
    return count;
}

int pair_object(const char *path, unsigned repeat, struct pair **out, char *why, size_t n)
{
    struct pair_job job;
    int err = pair_start(path, repeat, &job);

    if (err) {
        snprintf(why, n, "%s", strerror(-err));
        return err;
    }
    return pair_wait(&job, out, why, n);
}
