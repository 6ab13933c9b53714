/*
 * vfuzz [--seed N] [--count N] [--kernel] [--interp] [--show] [-v]
 *
 * Random programs before the verifier (fuzz/gen.h); those that it accepts run watched, checked and trusted; with
 * --kernel Linux judges and runs them too; with --interp they run in the interpreter alone, which is faster. A failure
 * is shown with its seed and the smallest program that still fails in the same way. What Linux accepts and we refuse is
 * counted by reason, and no failure.
 */
#include "fuzz/vfuzz.h"
#include "vm/isa/disasm.h"
#include "vm/isa/isa.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SHOWN = 20 };

struct fuzz {
    struct ours *ours, *elsewhere; /* elsewhere: the same at other addresses */
    struct linux_side *kernel;
    bool verbose;
    uint64_t fates[FATE_COUNT], exact, unwritten, addresses, watched, processed;
    uint64_t reasons[REASON_COUNT], stricter[REASON_COUNT], example[REASON_COUNT];
    unsigned shown;
};

static const char *const fate_names[FATE_COUNT] = {
    [FATE_REFUSED] = "refused",
    [FATE_UNSUPPORTED] = "unsupported",
    [FATE_RAN] = "ran",
    [FATE_VIOLATED] = "outside what was explored",
    [FATE_TRAPPED] = "trapped",
    [FATE_PRUNED] = "pruned wrongly",
    [FATE_DIFFERS] = "two results",
    [FATE_LEAKS] = "shows addresses to who may not see them",
    [FATE_LAXER] = "laxer than Linux",
    [FATE_LARGE] = "too large for Linux",
    [FATE_STRICTER] = "stricter than Linux",
    [FATE_FINER] = "known better than Linux knows",
    [FATE_RESULT] = "another result than Linux",
    [FATE_BROKEN] = "could not be judged",
};

static volatile uint64_t current; /* for the last words of a crash */

static void crashed(int sig)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "signal %d at --seed %llu\n", sig, (unsigned long long)current);

    if (write(STDOUT_FILENO, text, (size_t)n) < 0)
        _exit(3);
    _exit(2);
}

void input_make(uint64_t seed, struct input *in)
{
    static const uint8_t sizes[] = {14, 15, 18, 22, 30, 34, 42, 54, 64, 96};
    uint64_t state = seed * 0xd1342543de82ef95 + 99;
    uint64_t *words = (uint64_t *)in;

    for (size_t i = 0; i < sizeof(*in) / sizeof(*words); i++)
        words[i] = gen_number(&state);
    in->packet[12] = 0x88, in->packet[13] = 0xb5; /* no protocol of which a test run would want the header whole */
    memset(in->lock[0], 0, 4), memset(in->lock[1], 0, 4);
    in->size = sizes[gen_draw(&state) % sizeof(sizes)];
}

static bool is_failure(enum fate f)
{
    return f > FATE_RAN && f != FATE_STRICTER && f != FATE_FINER && f != FATE_LARGE;
}

/* Does its result depend on addresses? */
static bool is_steady(struct fuzz *f, const struct gen_prog *p, const struct input inputs[2],
                      const struct verdict_of_us *here)
{
    struct verdict_of_us there;

    ours_judge(f->elsewhere, p, inputs, &there);
    return !memcmp(here->results, there.results, sizeof(there.results));
}

/* Do two results differ only in upper halves of addresses, the kernel's and ours? Ours are the same everywhere here. */
static bool halves_of_addresses(const struct result *theirs, const struct result *ours)
{
    for (size_t i = 0; i + 4 <= sizeof(*ours); i += 4) {
        uint32_t a, b;

        memcpy(&a, (const uint8_t *)theirs + i, 4);
        memcpy(&b, (const uint8_t *)ours + i, 4);
        if (a != b && (a < 0xffff8000 || b < 0x5000 || b > 0x7fff))
            return false;
    }
    return true;
}

/* Did Linux not come to an end? Or did it remove a function whose address is taken and that nothing can call, and
 * then miss it? */
static bool gave_up(int err, const char *log)
{
    return err == -E2BIG || strstr(log, "jumps is too complex") || strstr(log, "infinite loop detected") ||
           strstr(log, "No program to jit");
}

/* Judges a program everywhere. */
static void judge(struct fuzz *f, const struct gen_prog *p, uint64_t seed, struct verdict_of_us *v)
{
    struct input inputs[2];
    struct result theirs;
    int fd;

    for (unsigned i = 0; i < 2; i++)
        input_make(seed * 2 + i, &inputs[i]);
    ours_judge(f->ours, p, inputs, v);
    if (v->fate == FATE_DIFFERS && !p->unprivileged && !is_steady(f, p, inputs, v)) {
        v->fate = FATE_RAN;
        v->addresses = true;
    }
    if (v->fate == FATE_RAN && p->unprivileged && !p->unsteady && !is_steady(f, p, inputs, v)) {
        v->fate = FATE_LEAKS;
        snprintf(v->text, sizeof(v->text), "the result is another one at other addresses");
        return;
    }
    if (p->unprivileged || !p->type) /* for Linux this process has all rights, and there are no raw programs */
        return;
    if (!f->kernel || v->fate > FATE_RAN || v->fate == FATE_UNSUPPORTED)
        return;
    fd = linux_load(f->kernel, p, v->fate == FATE_RAN ? v->text : NULL, sizeof(v->text));
    if (fd < 0) {
        if (v->fate == FATE_RAN)
            v->fate = gave_up(fd, v->text) ? FATE_LARGE : ours_accepts_plainly(p) ? FATE_LAXER : FATE_FINER;
        return;
    }
    if (v->fate == FATE_REFUSED)
        v->fate = FATE_STRICTER;
    for (unsigned i = 0; i < 2 && v->fate == FATE_RAN && !v->addresses && !p->unsteady && !p->raw_stack; i++)
        if (linux_run(f->kernel, p, fd, &inputs[i], &theirs) && memcmp(&theirs, &v->results[i], sizeof(theirs)) &&
            is_steady(f, p, inputs, v)) {
            if (halves_of_addresses(&theirs, &v->results[i])) {
                v->addresses = true;
                break;
            }
            v->fate = FATE_RESULT;
            snprintf(v->text, sizeof(v->text), "input %u: Linux returned %#x, we %#x", i, theirs.retval,
                     v->results[i].retval);
        }
    close(fd);
}

/* The program without the instruction at `at`: jumps across it become shorter. @return false: it is not to be had. */
static bool without(const struct gen_prog *p, uint32_t at, struct gen_prog *out)
{
    enum isa_op gone = isa_decode(&p->insns[at]);
    uint32_t n = isa_is_wide(gone) ? 2 : 1;

    *out = *p;
    for (uint32_t i = 0; i < p->n; i++) {
        enum isa_op op = isa_decode(&p->insns[i]);
        uint8_t form = isa_rows[op].form;
        bool by_imm = op == ISA_CALL_LOCAL || form == ISA_FORM_GOTO_IMM;
        bool by_off =
            form == ISA_FORM_JMP_K || form == ISA_FORM_JMP_X || form == ISA_FORM_GOTO_OFF || form == ISA_FORM_MAY_GOTO;
        int64_t dist = by_imm ? p->insns[i].imm : p->insns[i].off, to = i + 1 + dist;

        if (by_imm || by_off) {
            if (i < at && to > at)
                dist -= to == at + 1 && n == 2 ? 1 : n;
            else if (i > at && to <= at)
                dist += n;
            if (by_imm)
                out->insns[i].imm = (int32_t)dist;
            else
                out->insns[i].off = (int16_t)dist;
        }
        i += isa_is_wide(op);
    }
    memmove(&out->insns[at], &out->insns[at + n], (p->n - at - n) * sizeof(out->insns[0]));
    out->n -= n;
    return out->n > 0;
}

static void minimise(struct fuzz *f, struct gen_prog *p, uint64_t seed, struct verdict_of_us *v)
{
    struct gen_prog less;
    bool changed = true;

    while (changed) {
        changed = false;
        for (uint32_t at = p->n; at-- > 0;) {
            struct verdict_of_us now;

            if (at && isa_is_wide(isa_decode(&p->insns[at - 1])) && !p->insns[at].code)
                continue;
            /* What fills the stack stays where results are compared. */
            if (v->fate >= FATE_DIFFERS && p->insns[at].code == isa_rows[ISA_ST_DW].code && p->insns[at].dst_reg == 10)
                continue;
            if (!without(p, at, &less))
                continue;
            judge(f, &less, seed, &now);
            if (now.fate != v->fate || now.reason != v->reason)
                continue;
            *p = less;
            *v = now;
            changed = true;
        }
    }
}

static void show(const struct gen_prog *p)
{
    struct buf text = {0};

    disasm_text(p->insns, p->n, NULL, &text);
    fputs(buf_text(&text), stdout);
    buf_free(&text);
}

static void report(struct fuzz *f, struct gen_prog *p, uint64_t seed, struct verdict_of_us *v)
{
    if (f->shown++ >= MAX_SHOWN)
        return;
    minimise(f, p, seed, v);
    printf("fail --seed %llu (%s%s): %s: %s", (unsigned long long)seed, p->unprivileged ? "unprivileged " : "",
           p->type ? p->type->name : "raw", fate_names[v->fate],
           v->fate == FATE_STRICTER ? reason_name(v->reason) : "");
    printf("\n    %s\n", v->text);
    show(p);
    fflush(stdout);
}

static void one(struct fuzz *f, uint64_t seed)
{
    struct gen_prog p;
    struct verdict_of_us v;

    current = seed;
    gen_make(seed, &p);
    judge(f, &p, seed, &v);
    f->fates[v.fate]++;
    f->exact += v.exact;
    f->unwritten += v.unwritten;
    f->addresses += v.addresses;
    f->watched += v.insns_watched;
    f->processed += v.insns_processed;
    if (v.fate == FATE_REFUSED)
        f->reasons[v.reason]++;
    if (v.fate == FATE_STRICTER && !f->stricter[v.reason]++)
        f->example[v.reason] = seed;
    if (is_failure(v.fate) || (v.fate == FATE_STRICTER && f->verbose))
        report(f, &p, seed, &v);
}

static void sum_up(const struct fuzz *f, uint64_t count)
{
    uint64_t failed = 0;

    for (unsigned i = 0; i < FATE_COUNT; i++) {
        if (f->fates[i])
            printf("%8llu %s\n", (unsigned long long)f->fates[i], fate_names[i]);
        failed += is_failure((enum fate)i) ? f->fates[i] : 0;
    }
    for (unsigned i = 0; i < REASON_COUNT && f->verbose; i++)
        if (f->reasons[i])
            printf("%8llu refused: %s\n", (unsigned long long)f->reasons[i], reason_name((enum reason)i));
    for (unsigned i = 0; i < REASON_COUNT; i++)
        if (f->stricter[i])
            printf("%8llu stricter: %s, as --seed %llu\n", (unsigned long long)f->stricter[i],
                   reason_name((enum reason)i), (unsigned long long)f->example[i]);
    printf("%llu accepted ones were watched with all numbers; %llu instructions processed, %llu watched\n",
           (unsigned long long)f->exact, (unsigned long long)f->processed, (unsigned long long)f->watched);
    if (f->unwritten || f->addresses)
        printf("%llu had pointers where older states had unknown bytes; %llu left what depends on addresses\n",
               (unsigned long long)f->unwritten, (unsigned long long)f->addresses);
    printf("%llu passed, %llu failed, %llu skipped\n",
           (unsigned long long)(count - failed - f->fates[FATE_UNSUPPORTED]), (unsigned long long)failed,
           (unsigned long long)f->fates[FATE_UNSUPPORTED]);
}

int main(int argc, char **argv)
{
    static struct fuzz f;
    uint64_t seed = 1, count = 1000;
    bool shows = false, kernel = false, interp = false;
    const char *why = NULL;

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--seed") && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 0);
        else if (!strcmp(argv[i], "--count") && i + 1 < argc)
            count = strtoull(argv[++i], NULL, 0);
        else if (!strcmp(argv[i], "--kernel"))
            kernel = true;
        else if (!strcmp(argv[i], "--interp"))
            interp = true;
        else if (!strcmp(argv[i], "--show"))
            shows = true;
        else if (!strcmp(argv[i], "-v"))
            f.verbose = true;
        else
            return fprintf(stderr, "vfuzz [--seed N] [--count N] [--kernel] [--interp] [--show] [-v]\n"), 2;
    }
    if (kernel && !(f.kernel = linux_new(&why))) {
        printf("skip: bpf(2): %s\n0 passed, 0 failed, %llu skipped\n", why, (unsigned long long)count);
        return 0;
    }
    mallopt(M_MMAP_THRESHOLD, 1 << 28); /* memory that was used once is kept: the next program wants as much */
    mallopt(M_TRIM_THRESHOLD, 1 << 28);
    signal(SIGSEGV, crashed);
    signal(SIGABRT, crashed);
    signal(SIGBUS, crashed);
    f.ours = ours_new(interp);
    f.elsewhere = ours_new(interp);
    if (!f.ours || !f.elsewhere)
        return fprintf(stderr, "out of memory\n"), 2;
    if (shows) {
        struct gen_prog p;

        gen_make(seed, &p);
        show(&p);
    }
    for (uint64_t i = 0; i < count; i++)
        one(&f, seed + i);
    sum_up(&f, count);
    ours_free(f.ours);
    ours_free(f.elsewhere);
    linux_free(f.kernel);
    for (unsigned i = FATE_VIOLATED; i < FATE_COUNT; i++)
        if (is_failure((enum fate)i) && f.fates[i])
            return 1;
    return 0;
}
