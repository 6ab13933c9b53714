/*
 * Memory for machine code: what is published runs, nothing is ever writable and executable, guard pages stand where
 * they should, and the allocator keeps its blocks apart, under threads, forks, limits and systems that refuse.
 */
#include "jit/memory.h"
#include "jit/x86_64/encode.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cmocka.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE              65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- tiny functions that return a number ---- */

#if defined(__x86_64__)
#define CAN_RUN 1
static const uint8_t trap[4] = {0xcc, 0xcc, 0xcc, 0xcc};

static size_t make(uint8_t *to, size_t size, uint32_t value)
{
    struct x86_asm a;
    size_t n;

    x86_init(&a, size);
    x86_mov_imm(&a, 4, x86_r(X86_RAX), value);
    x86_plain(&a, X86_RET);
    if (x86_finish(&a) || x86_write(&a, to, 0))
        abort();
    n = a.size;
    x86_free(&a);
    return n;
}
#elif defined(__aarch64__)
#define CAN_RUN 1
static const uint8_t trap[4] = {0x00, 0x00, 0x20, 0xd4};

static size_t make(uint8_t *to, size_t size, uint32_t value)
{
    const uint32_t code[] = {0x52800000 | (value & 0xffff) << 5, 0x72a00000 | (value >> 16) << 5, 0xd65f03c0};

    (void)size;
    memcpy(to, code, sizeof(code));
    return sizeof(code);
}
#else
#define CAN_RUN 0
static const uint8_t trap[4] = {0xff, 0xff, 0xff, 0xff};

static size_t make(uint8_t *to, size_t size, uint32_t value)
{
    (void)size;
    memcpy(to, &value, sizeof(value));
    return sizeof(value);
}
#endif

JITMEM_CALLER static uint32_t run(const struct jitmem_block *b)
{
    uint32_t v;

    if (CAN_RUN)
        return ((uint32_t(*)(void))jitmem_address(b))();
    memcpy(&v, jitmem_address(b), sizeof(v));
    return v;
}

static struct jitmem *new_jm(bool harden, size_t limit)
{
    struct jitmem_opts opts = {.limit = limit, .harden = harden};
    struct jitmem *jm = NULL;

    memcpy(opts.trap, trap, sizeof(trap));
    return jitmem_new(&jm, &opts, NULL) ? NULL : jm;
}

/* A block of `size` bytes whose function returns value. NULL when something failed. */
static struct jitmem_block *add(struct jitmem *jm, size_t size, uint32_t value)
{
    struct jitmem_block *b;
    uint8_t code[32];
    size_t n = make(code, sizeof(code), value);

    if (jitmem_take(jm, &b, size, 16, NULL))
        return NULL;
    if (jitmem_publish(b, code, n, NULL)) {
        jitmem_give(b);
        return NULL;
    }
    return b;
}

/* ---- /proc/self/maps ---- */

struct line {
    uintptr_t from, to;
    char perms[5];
    bool ours;
};

static unsigned read_maps(struct line *line, unsigned max)
{
    FILE *f = fopen("/proc/self/maps", "r");
    char text[512];
    unsigned n = 0;

    if (!f)
        return 0;
    while (n < max && fgets(text, sizeof(text), f)) {
        if (sscanf(text, "%" SCNxPTR "-%" SCNxPTR " %4s", &line[n].from, &line[n].to, line[n].perms) != 3)
            continue;
        line[n++].ours = strstr(text, "memfd:skep-code") != NULL;
    }
    fclose(f);
    return n;
}

static unsigned count_ours(char perm)
{
    static struct line line[8192];
    unsigned n = read_maps(line, COUNT(line)), ours = 0;

    for (unsigned i = 0; i < n; i++)
        ours += line[i].ours && strchr(line[i].perms, perm);
    return ours;
}

static unsigned count_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;

    if (!d)
        return 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* Runs fn in a child. @return its exit status; 128 and the signal when one ended it. */
static int in_child(int (*fn)(void *), void *arg)
{
    pid_t pid;
    int status;

    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (!pid)
        _exit(fn(arg));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

#define SKIPPED 77

/* ---- tests ---- */

static void published_code_runs(void **state)
{
    (void)state;
    for (int harden = 0; harden < 2; harden++) {
        struct jitmem *jm = new_jm(harden, 0);
        struct jitmem_block *b[100];

        assert_non_null(jm);
        for (unsigned i = 0; i < COUNT(b); i++)
            assert_non_null(b[i] = add(jm, 16 + i * 50, 1000 + i));
        for (unsigned i = 0; i < COUNT(b); i++) {
            assert_int_equal(run(b[i]), 1000 + i);
            assert_int_equal((uintptr_t)jitmem_address(b[i]) % JITMEM_ALIGN, 0);
        }
        assert_int_equal(jitmem_usage(jm).blocks, COUNT(b));
        for (unsigned i = 0; i < COUNT(b); i++)
            jitmem_give(b[i]);
        assert_int_equal(jitmem_usage(jm).blocks, 0);
        assert_int_equal(jitmem_usage(jm).used, 0);
        assert_int_equal(jitmem_usage(jm).regions, 1);
        jitmem_free(jm);
        assert_int_equal(count_ours('r'), 0);
    }
}

static void one_block_calls_another(void **state)
{
    struct jitmem *jm = new_jm(false, 0);
    struct jitmem_block *callee, *caller;
    struct x86_asm a;
    uint8_t code[64];

    (void)state;
#ifndef __x86_64__
    jitmem_free(jm);
    skip();
#endif
    assert_non_null(callee = add(jm, 16, 41));
    x86_init(&a, 0);
    x86_call_to(&a, (uintptr_t)jitmem_address(callee));
    x86_unary(&a, X86_INC, 4, x86_r(X86_RAX));
    x86_plain(&a, X86_RET);
    assert_int_equal(x86_finish(&a), 0);
    assert_int_equal(jitmem_take(jm, &caller, a.size, 64, NULL), 0);
    assert_int_equal(x86_write(&a, code, (uintptr_t)jitmem_address(caller)), 0);
    assert_int_equal(jitmem_publish(caller, code, a.size, NULL), 0);
    assert_int_equal(run(caller), 42);
    x86_free(&a);
    jitmem_give(caller);
    jitmem_give(callee);
    jitmem_free(jm);
}

/* Whether the memory behind a mapping can be mapped anew to be written, through /proc as root could. */
static bool opens_again(const struct line *l)
{
    char path[96];
    void *p;
    int fd;

    snprintf(path, sizeof(path), "/proc/self/map_files/%" PRIxPTR "-%" PRIxPTR, l->from, l->to);
    fd = open(path, O_RDWR);
    if (fd < 0)
        return false;
    p = mmap(NULL, l->to - l->from, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        return false;
    munmap(p, l->to - l->from);
    return true;
}

static void nothing_is_writable_and_executable(void **state)
{
    static struct line line[8192];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    (void)state;
    for (int harden = 0; harden < 2; harden++) {
        struct jitmem *jm = new_jm(harden, 0);
        struct jitmem_block *b = add(jm, 64, 7);
        uintptr_t at;
        unsigned n, found = 0;

        assert_non_null(b);
        at = (uintptr_t)jitmem_address(b);
        n = read_maps(line, COUNT(line));
        assert_true(n > 0);
        for (unsigned i = 0; i < n; i++) {
            assert_false(strchr(line[i].perms, 'w') && strchr(line[i].perms, 'x'));
            if (line[i].ours) {
                assert_true(i > 0 && i + 1 < n);
                assert_string_equal(line[i - 1].perms, "---p");
                assert_int_equal(line[i - 1].to, line[i].from);
                assert_string_equal(line[i + 1].perms, "---p");
                assert_int_equal(line[i + 1].from, line[i].to);
            }
            if (line[i].from <= at && at < line[i].to) {
                assert_string_equal(line[i].perms, "r-xs");
                assert_true(harden || !opens_again(&line[i]));
                found++;
            }
        }
        assert_int_equal(found, 1);
        assert_int_equal(count_ours('x'), 1);
        assert_int_equal(count_ours('w'), harden ? 0 : 1);
        /* Nor can it become so. */
        assert_int_equal(mprotect((void *)(at & ~(page - 1)), page, PROT_READ | PROT_WRITE), -1);
        assert_int_equal(errno, EACCES);
        assert_int_equal(mprotect((void *)(at & ~(page - 1)), page, PROT_READ | PROT_WRITE | PROT_EXEC), -1);
        assert_int_equal(run(b), 7);
        jitmem_give(b);
        jitmem_free(jm);
    }
}

static int touch(void *p)
{
    signal(SIGSEGV, SIG_DFL);
    signal(SIGTRAP, SIG_DFL);
    return *(volatile uint8_t *)p & 0;
}

static int jump(void *b)
{
    signal(SIGTRAP, SIG_DFL);
    signal(SIGILL, SIG_DFL);
    run(b);
    return 0;
}

static void what_holds_no_code_traps(void **state)
{
    struct jitmem *jm = new_jm(false, 0);
    struct jitmem_block *keep, *b;
    size_t mapped;
    uint8_t *first;

    (void)state;
    keep = add(jm, 64, 1);
    mapped = jitmem_usage(jm).mapped;
    first = jitmem_address(keep);
    assert_int_equal(in_child(touch, first + mapped - 1), 0);
    assert_int_equal(in_child(touch, first + mapped), 128 + SIGSEGV);
    assert_int_equal(in_child(touch, first - 1), 128 + SIGSEGV);

    assert_int_equal(jitmem_take(jm, &b, 200, 1, NULL), 0);
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(((uint8_t *)jitmem_address(b))[i], trap[i % 4]);
    if (CAN_RUN)
        assert_int_equal(in_child(jump, b), 128 + SIGTRAP);
    jitmem_give(b);
    b = add(jm, 200, 99);
    first = jitmem_address(b);
    assert_int_not_equal(memcmp(first, trap, 4), 0);
    jitmem_give(b);
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(first[i], trap[i % 4]);
    jitmem_give(keep);
    jitmem_free(jm);
}

static void hardened_places_are_random(void **state)
{
    enum { N = 16 };
    uintptr_t at[2][N], region[2];
    unsigned ascending = 0, same = 0;

    (void)state;
    for (int k = 0; k < 2; k++) {
        struct jitmem *jm = new_jm(true, 0);
        struct jitmem_block *b[N];

        for (unsigned i = 0; i < N; i++) {
            assert_non_null(b[i] = add(jm, 64, i));
            at[k][i] = (uintptr_t)jitmem_address(b[i]);
        }
        assert_int_equal(jitmem_usage(jm).regions, 1);
        for (unsigned i = 0; i < N; i++) {
            assert_int_equal(run(b[i]), i);
            jitmem_give(b[i]);
        }
        region[k] = at[k][0] >> 20;
        jitmem_free(jm);
    }
    for (unsigned i = 1; i < N; i++) {
        ascending += at[0][i] > at[0][i - 1];
        same += at[0][i] - at[0][0] == at[1][i] - at[1][0];
    }
    assert_true(ascending < N - 1);
    assert_true(same < 3);
#ifdef __SANITIZE_THREAD__
    (void)region; /* it has no room for addresses of our choice */
#else
    assert_int_not_equal(region[0], region[1]);
#endif
}

static uint32_t seed = 1;
static uint32_t rnd(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)seed * n >> 32);
}

static void blocks_keep_apart(void **state)
{
    enum { N = 400 };
    static struct {
        struct jitmem_block *b;
        uintptr_t at;
        size_t size;
        uint32_t value;
    } live[N];

    (void)state;
    for (int harden = 0; harden < 2; harden++) {
        struct jitmem *jm = new_jm(harden, 0);
        size_t used = 0;

        memset(live, 0, sizeof(live));
        for (unsigned step = 0; step < 6000; step++) {
            unsigned i = rnd(N);

            if (live[i].b) {
                assert_int_equal(run(live[i].b), live[i].value);
                jitmem_give(live[i].b);
                live[i].b = NULL;
                used -= live[i].size;
            } else {
                size_t size = 1 + (rnd(20) ? rnd(3000) : rnd(100000)), align = (size_t)1 << rnd(13);
                uint8_t code[32];

                if (size < sizeof(code))
                    size = sizeof(code);
                live[i].value = step;
                assert_int_equal(jitmem_take(jm, &live[i].b, size, align, NULL), 0);
                assert_int_equal(jitmem_publish(live[i].b, code, make(code, sizeof(code), step), NULL), 0);
                live[i].at = (uintptr_t)jitmem_address(live[i].b);
                live[i].size = (size + JITMEM_ALIGN - 1) / JITMEM_ALIGN * JITMEM_ALIGN;
                used += live[i].size;
                assert_int_equal(live[i].at % align, 0);
                for (unsigned k = 0; k < N; k++)
                    assert_true(k == i || !live[k].b || live[k].at + live[k].size <= live[i].at ||
                                live[i].at + live[i].size <= live[k].at);
            }
            assert_int_equal(jitmem_usage(jm).used, used);
        }
        for (unsigned i = 0; i < N; i++)
            if (live[i].b) {
                assert_int_equal(run(live[i].b), live[i].value);
                jitmem_give(live[i].b);
            }
        assert_int_equal(jitmem_usage(jm).regions, 1);
        jitmem_free(jm);
        assert_int_equal(count_ours('r'), 0);
    }
}

struct worker {
    struct jitmem *jm;
    uint32_t id;
    bool good;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    struct jitmem_block *b[8] = {0};
    uint32_t x = w->id * 7919 + 1;

    w->good = true;
    for (uint32_t i = 0; i < 2000 && w->good; i++) {
        x = x * 1664525 + 1013904223;
        uint32_t k = x >> 29, value = w->id << 24 | k;

        if (b[k]) {
            w->good = run(b[k]) == value;
            jitmem_give(b[k]);
            b[k] = NULL;
        } else {
            b[k] = add(w->jm, 32 + (x >> 12 & 0x1fff), value);
            w->good = b[k] && run(b[k]) == value;
        }
    }
    for (unsigned k = 0; k < 8; k++)
        jitmem_give(b[k]);
    return NULL;
}

static void threads_share_it(void **state)
{
    (void)state;
    for (int harden = 0; harden < 2; harden++) {
        struct jitmem *jm = new_jm(harden, 0);
        struct worker w[4];
        pthread_t t[4];

        for (unsigned i = 0; i < 4; i++) {
            w[i] = (struct worker){jm, i, false};
            assert_int_equal(pthread_create(&t[i], NULL, work, &w[i]), 0);
        }
        for (unsigned i = 0; i < 4; i++) {
            pthread_join(t[i], NULL);
            assert_true(w[i].good);
        }
        assert_int_equal(jitmem_usage(jm).blocks, 0);
        jitmem_free(jm);
    }
}

static void limits_hold(void **state)
{
    struct jitmem *jm = new_jm(false, 1 << 20);
    struct jitmem_block *b[1024], *more;
    static uint8_t code[256];
    unsigned n = 0;

    (void)state;
    assert_int_equal(jitmem_take(jm, &more, 0, 16, NULL), -EINVAL);
    assert_int_equal(jitmem_take(jm, &more, 16, 0, NULL), -EINVAL);
    assert_int_equal(jitmem_take(jm, &more, 16, 24, NULL), -EINVAL);
    assert_int_equal(jitmem_take(jm, &more, 16, 8192, NULL), -EINVAL);
    assert_int_equal(jitmem_take(jm, &more, (1 << 20) + 1, 16, NULL), -ENOSPC);
    assert_int_equal(jitmem_take(jm, &more, SIZE_MAX, 16, NULL), -ENOSPC);
    while (n < COUNT(b) && !jitmem_take(jm, &b[n], 4000, 16, NULL))
        n++;
    assert_in_range(n, 240, 262); /* of 4032 bytes, in regions that they do not fill */
    assert_int_equal(jitmem_usage(jm).mapped, 1 << 20);
    assert_int_equal(jitmem_take(jm, &more, 4096, 16, NULL), -ENOSPC);
    assert_int_equal(jitmem_usage(jm).blocks, n);
    while (n > 1)
        jitmem_give(b[--n]);
    assert_int_equal(jitmem_take(jm, &more, 65536, 16, NULL), 0);
    jitmem_give(more);
    assert_int_equal(jitmem_publish(b[0], code, sizeof(code), NULL), 0);
    assert_int_equal(jitmem_publish(b[0], code, sizeof(code), NULL), -EINVAL);
    jitmem_give(b[0]);
    assert_int_equal(jitmem_take(jm, &b[0], 100, 16, NULL), 0);
    assert_int_equal(jitmem_publish(b[0], code, 129, NULL), -EINVAL);
    assert_int_equal(jitmem_publish(b[0], code, 128, NULL), 0);
    jitmem_give(b[0]);
    jitmem_give(NULL);
    jitmem_free(jm);
    jitmem_free(NULL);

    /* Less than a page is a page that the limit refuses. */
    assert_null(new_jm(false, 100));
    assert_non_null(jm = new_jm(false, 1 << 16));
    jitmem_free(jm);
}

static void large_blocks(void **state)
{
    struct jitmem *jm = new_jm(false, 0);
    struct jitmem_block *b = add(jm, 9 << 20, 5), *c = add(jm, 64, 6);

    (void)state;
    assert_non_null(b);
    assert_non_null(c);
    assert_int_equal(run(b), 5);
    jitmem_give(b);
    assert_int_equal(run(c), 6);
    jitmem_give(c);
    assert_true(jitmem_usage(jm).mapped <= 10 << 20);
    jitmem_free(jm);
}

static void last_block_takes_all_along(void **state)
{
    unsigned fds = count_fds();

    (void)state;
    for (int harden = 0; harden < 2; harden++) {
        struct jitmem *jm = new_jm(harden, 0);
        struct jitmem_block *a = add(jm, 64, 1), *b = add(jm, 64, 2);

        jitmem_free(jm);
        assert_int_equal(run(a), 1);
        jitmem_give(a);
        assert_int_equal(run(b), 2);
        jitmem_give(b);
        assert_int_equal(count_ours('r'), 0);
    }
    assert_int_equal(count_fds(), fds);
}

/* ---- systems that refuse ---- */

static int under_mdwe(void *arg)
{
    bool harden = *(bool *)arg;
    struct jitmem_block *b[50];
    struct jitmem *jm;

    if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0))
        return SKIPPED;
    if (mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        return 1;
    jm = new_jm(harden, 0);
    if (!jm)
        return 2;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < COUNT(b); i++)
            if (!(b[i] = add(jm, 4000, i)))
                return 3;
        for (unsigned i = 0; i < COUNT(b); i++) {
            if (run(b[i]) != i)
                return 4;
            jitmem_give(b[i]);
        }
    }
    jitmem_free(jm);
    return 0;
}

static void works_under_mdwe(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        bool harden = i;
        int rc = in_child(under_mdwe, &harden);

        if (rc == SKIPPED) {
            print_message("skip: this kernel has no PR_SET_MDWE\n");
            skip();
        }
        assert_int_equal(rc, 0);
    }
}

static void remember(void *ctx, enum skep_log_level level, const char *text)
{
    (void)level;
    snprintf(ctx, 256, "%s", text);
}

struct refusal {
    int call;
    int error;
    bool exec; /* only with PROT_EXEC */
    const char *text;
};

static int refused(void *arg)
{
    const struct refusal *want = arg;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)want->call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, want->exec ? PROT_EXEC : 0xffffffff, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)want->error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {COUNT(filter), filter};
    char text[256] = "";
    struct log log = {.fn = remember, .ctx = text};
    struct jitmem *jm = NULL;
    unsigned fds;

    if (!want->exec) /* whatever the third argument is */
        filter[2] = filter[3] =
            (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)want->error);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
        return SKIPPED;
    fds = count_fds();
    for (int harden = 0; harden < 2; harden++) {
        struct jitmem_opts opts = {.harden = harden};

        if (jitmem_new(&jm, &opts, &log) != -want->error || jm)
            return 1;
        if (!strstr(text, want->text) || !strstr(text, strerror(want->error)))
            return 2;
        if (count_ours('r') || count_fds() != fds)
            return 3;
    }
    return 0;
}

static void refusals_are_told(void **state)
{
    static struct refusal row[] = {
        {SYS_memfd_create, EPERM, false, "memfd_create"}, {SYS_memfd_create, ENOSYS, false, "memfd_create"},
        {SYS_mmap, EACCES, true, "executable mapping"},   {SYS_mmap, EPERM, true, "executable mapping"},
        {SYS_ftruncate, ENOSPC, false, "memfd_create"},
    };

    (void)state;
    for (unsigned i = 0; i < COUNT(row); i++) {
        int rc = in_child(refused, &row[i]);

        if (rc == SKIPPED) {
            print_message("skip: no seccomp filters here\n");
            skip();
        }
        assert_int_equal(rc, 0);
    }
}

/* ---- forks ---- */

struct forked {
    struct jitmem *jm;
    struct jitmem_block *ran, *open;
};

static int child(void *arg)
{
    struct forked *f = arg;
    struct jitmem_block *own;
    uint8_t code[32];
    size_t n = make(code, sizeof(code), 666);

    if (run(f->ran) != 1)
        return 1;
    if (count_ours('w'))
        return 4;
    if (jitmem_publish(f->open, code, n, NULL) != -EPERM)
        return 2;
    for (unsigned i = 0; i < 40; i++) {
        own = add(f->jm, 4000, i);
        if (!own || run(own) != i)
            return 3;
        if (i % 2)
            jitmem_give(own);
    }
    jitmem_give(f->ran); /* of which the parent must see nothing */
    jitmem_give(f->open);
    jitmem_free(f->jm);
    return 0;
}

static void children_leave_parents_alone(void **state)
{
    (void)state;
    for (int harden = 0; harden < 2; harden++) {
        struct forked f = {.jm = new_jm(harden, 0)};
        uint8_t code[32];

        assert_non_null(f.ran = add(f.jm, 64, 1));
        assert_int_equal(jitmem_take(f.jm, &f.open, 64, 16, NULL), 0);
        assert_int_equal(in_child(child, &f), 0);
        assert_int_equal(run(f.ran), 1);
        assert_memory_equal(jitmem_address(f.open), trap, 4);
        assert_int_equal(jitmem_publish(f.open, code, make(code, sizeof(code), 2), NULL), 0);
        assert_int_equal(run(f.open), 2);
        jitmem_give(f.ran);
        jitmem_give(f.open);
        jitmem_free(f.jm);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_code_runs),
        cmocka_unit_test(one_block_calls_another),
        cmocka_unit_test(nothing_is_writable_and_executable),
        cmocka_unit_test(what_holds_no_code_traps),
        cmocka_unit_test(hardened_places_are_random),
        cmocka_unit_test(blocks_keep_apart),
        cmocka_unit_test(threads_share_it),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(large_blocks),
        cmocka_unit_test(last_block_takes_all_along),
        cmocka_unit_test(works_under_mdwe),
        cmocka_unit_test(refusals_are_told),
        cmocka_unit_test(children_leave_parents_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
