/*
 * Classic filters beside libpcap's bpf_filter() on random programs and packets, beside Linux's socket filters and
 * seccomp, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above */
#include "tests/unit/said.h"
#include <cmocka.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pcap/pcap.h>
#include <skep/skep.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct skep_vm *make_vm(void)
{
    struct skep_vm_opts opts = {.sz = sizeof(opts), .log = said_keep, .log_level = SKEP_LOG_ERROR};

    said[0] = 0;
    return skep_vm__new(&opts);
}

static struct skep_program *load(struct skep_vm *vm, const struct bpf_insn *f, size_t n, const char *engine)
{
    struct skep_exec_opts exec = {.sz = sizeof(exec), .engine = engine};

    return skep_prog_load_cbpf(vm, "filter", false, (const struct skep_cbpf_insn *)f, n, &exec);
}

static uint32_t run(struct skep_program *p, const unsigned char *packet, uint32_t len)
{
    struct skep_run_opts o = {.sz = sizeof(o), .data_in = packet, .data_size_in = len, .flags = SKEP_RUN_LINK};

    assert_int_equal(skep_program__run(p, &o), 0);
    return o.retval;
}

static uint32_t seed = 12345;

static uint32_t dice(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

/* What Linux and libpcap agree on: no ancillary loads, no division by a constant 0, memory written before it is read.
 */
static uint32_t random_filter(struct bpf_insn *f)
{
    static const uint16_t alu[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_MOD,
                                   BPF_AND, BPF_OR,  BPF_XOR, BPF_LSH, BPF_RSH};
    static const uint16_t jmp[] = {BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET};
    static const uint16_t sizes[] = {BPF_W, BPF_H, BPF_B};
    uint32_t n = 6 + dice(24), i = 0;

    for (; i < 2; i++)
        f[i] = (struct bpf_insn)BPF_STMT(BPF_ST, i);
    for (; i < n - 1; i++) {
        uint32_t left = n - i - 1, k = dice(64);
        uint16_t op;

        switch (dice(9)) {
        case 0: f[i] = (struct bpf_insn)BPF_STMT(BPF_LD | BPF_ABS | sizes[dice(3)], k); break;
        case 1: f[i] = (struct bpf_insn)BPF_STMT(BPF_LD | BPF_IND | sizes[dice(3)], k); break;
        case 2: f[i] = (struct bpf_insn)BPF_STMT(BPF_LDX | BPF_MSH | BPF_B, k); break;
        case 3: f[i] = (struct bpf_insn)BPF_STMT(dice(2) ? BPF_LD | BPF_LEN : BPF_LDX | BPF_IMM, dice(70)); break;
        case 4: f[i] = (struct bpf_insn)BPF_STMT(dice(2) ? BPF_LD | BPF_MEM : BPF_STX, dice(2)); break;
        case 5: f[i] = (struct bpf_insn)BPF_STMT(BPF_MISC | (dice(2) ? BPF_TAX : BPF_TXA), 0); break;
        case 6:
            op = alu[dice(10)];
            /* A shift by a register of 32 or more is nobody's to define. */
            f[i] = dice(2) && op != BPF_LSH && op != BPF_RSH
                       ? (struct bpf_insn)BPF_STMT(BPF_ALU | op | BPF_X, 0)
                       : (struct bpf_insn)BPF_STMT(BPF_ALU | op | BPF_K, 1 + k % 31);
            break;
        case 7:
            f[i] = (struct bpf_insn)BPF_JUMP(BPF_JMP | jmp[dice(4)] | (dice(2) ? BPF_X : BPF_K), dice(2) ? k : seed,
                                             dice(left), dice(left));
            break;
        default: f[i] = (struct bpf_insn)BPF_STMT(BPF_RET | (dice(2) ? BPF_A : BPF_K), k); break;
        }
    }
    f[i] = (struct bpf_insn)BPF_STMT(BPF_RET | BPF_A, 0);
    return n;
}

static void random_filters_do_what_libpcaps_do(void **state)
{
    static const char *const engines[] = {"interp", NULL};
    struct skep_vm *vm = make_vm();
    struct bpf_insn f[32];
    unsigned char packet[80];

    (void)state;
    for (int i = 0; i < 400; i++) {
        uint32_t n = random_filter(f);
        struct skep_program *p[2];

        for (int e = 0; e < 2; e++) {
            p[e] = load(vm, f, n, engines[e]);
            if (!p[e])
                fail_msg("filter %d: %s", i, said);
        }
        for (int j = 0; j < 8; j++) {
            uint32_t len = dice(sizeof(packet)), want;

            for (uint32_t b = 0; b < len; b++)
                packet[b] = (unsigned char)dice(256);
            want = bpf_filter(f, packet, len, len);
            for (int e = 0; e < 2; e++)
                if (run(p[e], packet, len) != want)
                    fail_msg("filter %d, packet %d of %u bytes, %s: %u, libpcap says %u", i, j, len,
                             skep_program__engine(p[e]), run(p[e], packet, len), want);
        }
        for (int e = 0; e < 2; e++)
            skep_program__free(p[e]);
    }
    skep_vm__free(vm);
}

/* The same filters in Linux, on a socket pair: what is kept of a datagram is the result. */
static void random_filters_do_what_linux_does(void **state)
{
    struct skep_vm *vm = make_vm();
    struct bpf_insn f[32];
    unsigned char packet[80], got[128];
    int compared = 0;

    (void)state;
    for (int i = 0; i < 200; i++) {
        uint32_t n = random_filter(f), len = 1 + dice(sizeof(packet) - 1), want;
        struct sock_fprog prog = {.len = (unsigned short)n, .filter = (struct sock_filter *)f};
        struct skep_program *p;
        int fds[2];
        ssize_t kept;

        assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds), 0);
        if (setsockopt(fds[1], SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog))) {
            close(fds[0]), close(fds[1]);
            if (errno == EPERM || errno == ENOPROTOOPT) {
                printf("SO_ATTACH_FILTER: %s\n", strerror(errno));
                skip();
            }
            fail_msg("Linux refuses filter %d: %s", i, strerror(errno));
        }
        for (uint32_t b = 0; b < len; b++)
            packet[b] = (unsigned char)dice(256);
        assert_true(send(fds[0], packet, len, 0) == (ssize_t)len || errno == EPERM);
        kept = recv(fds[1], got, sizeof(got), 0);
        p = load(vm, f, n, NULL);
        assert_non_null(p);
        want = run(p, packet, len);
        if ((kept < 0 ? 0 : (uint32_t)kept) != (want < len ? want : len))
            fail_msg("filter %d on %u bytes: Linux keeps %zd, here %u", i, len, kept, want);
        compared += kept > 0;
        skep_program__free(p);
        close(fds[0]), close(fds[1]);
    }
    assert_true(compared > 10);
    skep_vm__free(vm);
}

static void what_is_no_filter_is_refused(void **state)
{
    static const struct {
        struct bpf_insn f[2];
        const char *why;
    } bad[] = {
        {{BPF_STMT(BPF_LD | BPF_IMM, 0), BPF_STMT(BPF_LD | BPF_IMM, 0)}, "does not return"},
        {{BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), BPF_STMT(BPF_RET, 0)}, "division by 0"},
        {{BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), BPF_STMT(BPF_RET, 0)}, "shift"},
        {{BPF_STMT(BPF_LD | BPF_MEM, 0), BPF_STMT(BPF_RET, 0)}, "not written"},
        {{BPF_STMT(BPF_ST, 16), BPF_STMT(BPF_RET, 0)}, "16 words"},
        {{BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), BPF_STMT(BPF_RET, 0)}, "past the end"},
        {{BPF_STMT(BPF_JMP | BPF_JA, 1), BPF_STMT(BPF_RET, 0)}, "past the end"},
        {{BPF_STMT(0xffff, 0), BPF_STMT(BPF_RET, 0)}, "no such instruction"},
        {{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0xfffff0f0), BPF_STMT(BPF_RET, 0)}, "not known here"},
    };
    struct skep_vm *vm = make_vm();

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_null(load(vm, bad[i].f, 2, NULL));
        assert_int_equal(errno, EINVAL);
        if (!strstr(said, bad[i].why))
            fail_msg("'%s' does not say '%s'", said, bad[i].why);
    }
    assert_null(load(vm, bad[0].f, 0, NULL));
    skep_vm__free(vm);
}

/* getppid() fails with EXDEV, getuid() only with an odd argument, everything else is allowed. */
static const struct sock_filter policy[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 3, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getuid, 0, 3),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

static int in_child(long nr, long arg)
{
    struct sock_fprog prog = {.len = sizeof(policy) / sizeof(policy[0]), .filter = (struct sock_filter *)policy};
    int status;
    pid_t pid = fork();

    if (!pid) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
            _exit(99);
        _exit(syscall(nr, arg) == -1 && errno == EXDEV ? 1 : 0);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void seccomp_filters_do_what_linux_does(void **state)
{
    static const struct {
        long nr, arg;
    } calls[] = {{SYS_getppid, 0}, {SYS_getuid, 1}, {SYS_getuid, 2}, {SYS_getgid, 1}};
    struct skep_vm *vm = make_vm();
    struct skep_program *p = skep_prog_load_cbpf(vm, NULL, true, (const struct skep_cbpf_insn *)policy,
                                                 sizeof(policy) / sizeof(policy[0]), NULL);

    (void)state;
    if (!p)
        fail_msg("%s", said);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        struct seccomp_data data = {.nr = (int)calls[i].nr, .args = {(uint64_t)calls[i].arg}};
        struct skep_run_opts o = {.sz = sizeof(o), .data_in = &data, .data_size_in = sizeof(data)};
        int linux_says = in_child(calls[i].nr, calls[i].arg);

        if (linux_says == 99) {
            printf("seccomp filters cannot be set here\n");
            skip();
        }
        assert_int_equal(skep_program__run(p, &o), 0);
        assert_int_equal(o.retval, linux_says ? SECCOMP_RET_ERRNO | EXDEV : SECCOMP_RET_ALLOW);
    }
    skep_program__free(p);
    skep_vm__free(vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_filters_do_what_libpcaps_do),
        cmocka_unit_test(random_filters_do_what_linux_does),
        cmocka_unit_test(what_is_no_filter_is_refused),
        cmocka_unit_test(seccomp_filters_do_what_linux_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
