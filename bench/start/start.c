/*
 * start MS KB NAME COMMAND...: runs a command many times and prints its time from start to finish (least and median,
 * and CPU time), and the most memory that was resident. Exit status 1 when the least time is above MS milliseconds, or
 * memory above KB kilobytes (0: no limit), or the command fails.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RUNS = 41 };

struct sample {
    double wall, cpu; /* milliseconds */
    long resident;    /* kilobytes */
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static double milliseconds(struct timeval t)
{
    return (double)t.tv_sec * 1e3 + (double)t.tv_usec * 1e-3;
}

static bool run(char **command, struct sample *sample)
{
    double start = now();
    struct rusage usage;
    int status;
    pid_t pid = fork();

    if (pid < 0)
        return false;
    if (!pid) {
        int null = open("/dev/null", O_WRONLY);

        if (null < 0 || dup2(null, 1) < 0)
            _exit(127);
        execvp(command[0], command);
        _exit(127);
    }
    if (wait4(pid, &status, 0, &usage) != pid)
        return false;
    sample->wall = now() - start;
    sample->cpu = milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime);
    sample->resident = usage.ru_maxrss;
    return WIFEXITED(status) && !WEXITSTATUS(status);
}

static int by_wall(const void *a, const void *b)
{
    double x = ((const struct sample *)a)->wall, y = ((const struct sample *)b)->wall;

    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    struct sample samples[RUNS];
    double most_ms, cpu;
    long most_kb, resident = 0;
    bool over;

    if (argc < 5) {
        fprintf(stderr, "usage: start MS KB NAME COMMAND...\n");
        return 2;
    }
    most_ms = strtod(argv[1], NULL);
    most_kb = strtol(argv[2], NULL, 10);
    for (int i = 0; i < RUNS; i++) {
        if (!run(argv + 4, &samples[i])) {
            fprintf(stderr, "start: %s: the command failed\n", argv[3]);
            return 1;
        }
        cpu = i && cpu < samples[i].cpu ? cpu : samples[i].cpu;
        resident = samples[i].resident > resident ? samples[i].resident : resident;
    }
    qsort(samples, RUNS, sizeof(samples[0]), by_wall);
    over = (most_ms > 0 && samples[0].wall > most_ms) || (most_kb > 0 && resident > most_kb);
    printf("%-30s least %6.2f ms, median %6.2f ms, CPU %6.2f ms, resident %6ld KB", argv[3], samples[0].wall,
           samples[RUNS / 2].wall, cpu, resident);
    if (most_ms > 0)
        printf("; at most %g ms", most_ms);
    if (most_kb > 0)
        printf("; at most %ld KB", most_kb);
    printf("%s\n", over ? ": OVER" : "");
    return over;
}
