/*
 * Linux's verifier suite, tools/testing/selftests/bpf/test_verifier.c with its verifier/ folder, compiled where it was
 * unpacked: its tables, its map fixups, its program generators. The calls that it would make into libbpf end here: a
 * map that it creates is a definition of ours, and its file descriptor our index. What it would load into the kernel is
 * judged by our verifier, and both verdicts are laid side by side: whether it is accepted, the kind of reason when it
 * is not, and what it returns when it runs. --kernel asks the running kernel as well, and shows where that differs.
 */
#include <stdint.h>

typedef uint32_t u32;
typedef uint64_t u64;

#define main suite_main
#include SUITE_FILE
#undef main

#include "tests/linux/world.h"
#include "verifier/verify.h"
#include <getopt.h>

enum { FIRST_FD = 1000, FIRST_PROG_FD = 2000 };

static struct world world;
static bool asking_kernel, map_missing;

static int note_map(uint32_t type, const char *name, uint32_t key, uint32_t value, uint32_t max, uint32_t flags,
                    int inner_fd)
{
    struct map_def *m = &world.maps[world.n_maps];

    if (world.n_maps == WORLD_MAPS)
        return -1;
    *m = (struct map_def){
        .type = type, .key_size = key, .value_size = value, .max_entries = max, .flags = flags, .spin_lock_off = -1};
    snprintf(m->name, sizeof(m->name), "%s", name ? name : "map");
    if (inner_fd >= FIRST_FD) {
        world.inner = world.maps[inner_fd - FIRST_FD];
        m->inner = &world.inner;
    }
    return FIRST_FD + world.n_maps++;
}

static int kernel_map(enum bpf_map_type type, const char *name, __u32 key, __u32 value, __u32 max,
                      const struct bpf_map_create_opts *opts)
{
    struct oracle_map m = {.type = type, .name = name, .key = key, .value = value, .max = max};
    int fd;

    if (opts) {
        m.flags = opts->map_flags;
        m.inner_fd = opts->inner_map_fd;
        m.btf_fd = opts->btf_fd;
        m.btf_key = opts->btf_key_type_id;
        m.btf_value = opts->btf_value_type_id;
    }
    fd = oracle_map(&m);
    map_missing |= fd < 0;
    return fd;
}

static const struct fields timer_fields = {
    .n = 1, .kinds = FIELD_BIT(TIMER), .at = {{.off = 0, .size = 16, .kind = FIELD_TIMER}}};

int bpf_map_create(enum bpf_map_type type, const char *name, __u32 key, __u32 value, __u32 max,
                   const struct bpf_map_create_opts *opts)
{
    int fd;

    if (asking_kernel)
        return kernel_map(type, name, key, value, max, opts);
    fd = note_map(type, name, key, value, max, opts ? opts->map_flags : 0, opts ? (int)opts->inner_map_fd : 0);
    /* The suite's struct val has its lock behind an int, its struct timer is one; its kptrs lead to types of the kernel
     * that are not known here. */
    if (fd >= 0 && opts && opts->btf_value_type_id == 3)
        world.maps[fd - FIRST_FD].spin_lock_off = 4;
    if (fd >= 0 && opts && opts->btf_value_type_id == 5)
        world.maps[fd - FIRST_FD].fields = &timer_fields;
    if (fd >= 0 && opts && opts->btf_value_type_id > 5)
        world.maps[fd - FIRST_FD].type = UINT32_MAX;
    return fd;
}

int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
    struct world_elem *e = &world.elems[world.n_elems];
    uint32_t size;

    if (asking_kernel)
        return oracle_update(fd, key, value, flags);
    if (fd < FIRST_FD || world.n_elems == WORLD_ELEMS)
        return -1;
    *e = (struct world_elem){.map = fd - FIRST_FD, .key = *(const uint32_t *)key, .prog = -1};
    size = world.maps[e->map].value_size;
    if (world.maps[e->map].type == BPF_MAP_TYPE_PROG_ARRAY)
        e->prog = *(const int *)value - FIRST_PROG_FD;
    else
        memcpy(e->value, value, size < sizeof(e->value) ? size : sizeof(e->value));
    world.n_elems++;
    return 0;
}

/* Descriptors of maps become indices. */
static void rewrite(struct skep_insn *insns, unsigned n)
{
    for (unsigned i = 0; i + 1 < n; i++) {
        if (insns[i].code != 0x18)
            continue;
        if ((insns[i].src_reg == 1 || insns[i].src_reg == 2) && insns[i].imm >= FIRST_FD &&
            insns[i].imm < FIRST_FD + (int)world.n_maps) {
            insns[i].imm -= FIRST_FD;
            insns[i].src_reg += 4;
        }
        i++;
    }
}

/* The suite loads the small programs of its program arrays by itself. */
int bpf_prog_load(enum bpf_prog_type type, const char *name, const char *license, const struct bpf_insn *insns,
                  size_t n, const struct bpf_prog_load_opts *opts)
{
    struct world_prog *p = &world.progs[world.n_progs];

    if (asking_kernel)
        return oracle_simple_prog(type, insns, n);
    if (world.n_progs == WORLD_PROGS || n > WORLD_INSNS)
        return -1;
    p->n = n;
    memcpy(p->insns, insns, n * sizeof(*insns));
    rewrite(p->insns, p->n);
    return FIRST_PROG_FD + world.n_progs++;
}

int bpf_btf_load(const void *data, size_t size, const struct bpf_btf_load_opts *opts)
{
    if (asking_kernel)
        return oracle_btf(data, size);
    return data && size ? dup(0) : -1;
}

int libbpf_probe_bpf_map_type(enum bpf_map_type type, const void *opts)
{
    return type && !opts;
}

/* The suite's own driver changes its capabilities; this one loads nothing. */
int cap_enable_effective(__u64 caps, __u64 *old_caps)
{
    (void)caps;
    (void)old_caps;
    return 0;
}

int cap_disable_effective(__u64 caps, __u64 *old_caps)
{
    (void)caps;
    (void)old_caps;
    return 0;
}

enum agreement { AGREE, LAXER, STRICTER, MISSING, UNKNOWN, AGREEMENTS };

static const char *const agreement_names[] = {"agree", "laxer", "stricter", "unsupported", "no verdict"};

/* Linux 6.18 accepts these, which 6.1's suite expects to be refused. */
static const char *const since_accepted[] = {
    "invalid 64-bit BPF_END",
    "bounds checks mixing signed and unsigned, variant 10",
    "bounded loop, start in the middle",
    "read non-existent field rejected",
    "Spill a u32 const scalar.  Refill as u16.  Offset to skb->data",
    "Spill u32 const scalars.  Refill as u64.  Offset to skb->data",
    "spin_lock: test10 lock in subprog without unlock",
};

static bool accepted_since(const char *name, bool unprivileged)
{
    static const char *const others[] = {
#define SINCE(name) name,
#define TYPE(name)  name,
#include "tests/linux/verifier_unprivileged.def"
    };

    for (unsigned i = 0; unprivileged && i < sizeof(others) / sizeof(others[0]); i++)
        if (!strcmp(name, others[i]))
            return true;
    for (unsigned i = 0; !unprivileged && i < sizeof(since_accepted) / sizeof(since_accepted[0]); i++)
        if (strstr(name, since_accepted[i]))
            return true;
    return false;
}

struct judged {
    enum agreement how;
    struct verify_result result;
    bool refused, expected_refusal, other_kind;
    const char *expected_words;
    unsigned runs, wrong_runs;
    char form[256]; /* what prog_new said when the form was refused already */
    char run[320];
};

static void keep(void *ctx, enum skep_log_level level, const char *text)
{
    struct judged *j = ctx;

    if (level == SKEP_LOG_ERROR)
        snprintf(j->form, sizeof(j->form), "%s", text);
}

/* Is our reason one of those that this message of Linux's stands for? */
static bool same_kind(const struct judged *j)
{
    static const struct {
        enum reason reason;
        const char *words;
    } rows[] = {
#define STANDS(reason, words) {REASON_##reason, words},
#define FORM(words)           {REASON_ok, words},
#include "tests/linux/verifier_reasons.def"
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].reason == j->result.reason && strstr(j->expected_words, rows[i].words))
            return true;
    return false;
}

/* The suite's fixups write into its tables: what is judged is a copy. */
static struct bpf_insn *take_insns(struct bpf_test *test, int *n)
{
    struct bpf_insn *insns = test->insns, *copy;
    int fds[MAX_NR_MAPS];

    memset(&world, 0, sizeof(world));
    map_missing = false;
    if (test->fill_helper)
        bpf_semi_rand_init();
    do_test_fixup(test, test->prog_type ? test->prog_type : BPF_PROG_TYPE_SOCKET_FILTER, insns, fds);
    *n = test->fill_insns ? test->prog_len : probe_filter_length(insns);
    copy = malloc((*n + 1) * sizeof(*copy));
    memcpy(copy, test->fill_insns ? test->fill_insns : insns, *n * sizeof(*copy));
    free(test->fill_insns);
    test->fill_insns = NULL;
    return copy;
}

static void run_it(struct bpf_test *test, bool unprivileged, struct prog *prog, struct judged *j)
{
    int runs = test->runs ? test->runs : 1;

    if (test->runs < 0 || !world_runs(prog->type))
        return;
    for (int i = 0; i < runs; i++) {
        uint32_t expected =
            unprivileged && test->retvals[i].retval_unpriv ? test->retvals[i].retval_unpriv : test->retvals[i].retval;

        j->runs++;
        j->wrong_runs += !world_run(&world, prog, &j->result.facts, test->retvals[i].data, TEST_DATA_LEN,
                                    expected == POINTER_VALUE ? NULL : &expected, j->run, sizeof(j->run));
    }
}

static void judge(struct bpf_test *test, bool unprivileged, struct judged *j)
{
    const struct map_def *defs[WORLD_MAPS];
    struct verify_opts opts = {.unprivileged = unprivileged};
    struct log log = {.fn = keep, .ctx = j, .max = SKEP_LOG_WARN};
    int expected = unprivileged && test->result_unpriv != UNDEF ? test->result_unpriv : test->result;
    bool accept = expected == ACCEPT || expected == VERBOSE_ACCEPT;
    struct prog_spec spec = {.name = "test", .section = "", .file = "", .license = "GPL", .attach_target = ""};
    struct bpf_insn *insns;
    struct prog *prog;
    int n;

    memset(j, 0, sizeof(*j));
    insns = take_insns(test, &n);
    rewrite((struct skep_insn *)insns, (unsigned)n);
    for (uint32_t i = 0; i < world.n_maps; i++)
        defs[i] = &world.maps[i];
    spec.insns = (const struct skep_insn *)insns;
    spec.n_insns = (uint32_t)n;
    spec.type = prog_type_find(test->prog_type ? test->prog_type : BPF_PROG_TYPE_SOCKET_FILTER);
    spec.attach_type = test->expected_attach_type;
    spec.sleepable = test->flags & BPF_F_SLEEPABLE;
    spec.maps = defs;
    spec.n_maps = world.n_maps;
    opts.strict_alignment = test->flags & F_LOAD_WITH_STRICT_ALIGNMENT;
    j->expected_words = unprivileged && test->errstr_unpriv ? test->errstr_unpriv : test->errstr;
    if (accepted_since(test->descr, unprivileged))
        accept = true;
    j->expected_refusal = !accept && j->expected_words && *j->expected_words;
    if (prog_new(&spec, false, &log, &prog)) {
        j->how = accept ? STRICTER : AGREE;
        j->refused = true;
    } else {
        if (verify_prog(prog, &opts, &log, &j->result))
            j->how = UNKNOWN;
        else if (j->result.verdict == VERDICT_UNSUPPORTED)
            j->how = MISSING;
        else if ((j->result.verdict == VERDICT_ACCEPT) == accept)
            j->how = AGREE;
        else
            j->how = accept ? STRICTER : LAXER;
        j->refused = j->result.verdict == VERDICT_REJECT;
        if (j->how == AGREE && accept && !accepted_since(test->descr, unprivileged))
            run_it(test, unprivileged, prog, j);
        prog_put(prog);
    }
    j->other_kind = j->how == AGREE && j->refused && j->expected_refusal && !same_kind(j);
    free(insns);
}

struct tally {
    unsigned programs, count[AGREEMENTS], refusals, other_kinds, runs, wrong_runs;
};

static void report(const struct bpf_test *test, const struct judged *j, bool all)
{
    const char *words = j->expected_refusal ? j->expected_words : NULL;

    if (j->how != AGREE || j->other_kind || all)
        printf("%s: %s: %s @%u %s%s%s%s\n", j->other_kind ? "other kind" : agreement_names[j->how], test->descr,
               reason_name(j->result.reason), j->result.insn, j->result.message, j->form, words ? " | Linux: " : "",
               words ? words : "");
    if (j->wrong_runs)
        printf("run: %s: %s\n", test->descr, j->run);
}

static void add(struct tally *t, const struct judged *j)
{
    t->programs++;
    t->count[j->how]++;
    t->refusals += j->how == AGREE && j->refused && j->expected_refusal;
    t->other_kinds += j->other_kind;
    t->runs += j->runs;
    t->wrong_runs += j->wrong_runs;
}

static struct tally judge_all(bool unprivileged, bool all, const char *only)
{
    struct tally t = {0};

    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++) {
        struct judged j;

        if ((only && !strstr(tests[i].descr, only)) || (unprivileged && tests[i].result_unpriv == UNDEF))
            continue;
        judge(&tests[i], unprivileged, &j);
        add(&t, &j);
        report(&tests[i], &j, all);
        verify_result_free(&j.result);
    }
    printf("verifier suite%s: %u programs:", unprivileged ? ", unprivileged" : "", t.programs);
    for (unsigned a = 0; a < AGREEMENTS; a++)
        printf(" %u %s%s", t.count[a], agreement_names[a], a + 1 < AGREEMENTS ? "," : "\n");
    printf("verifier suite%s: %u refusals, %u for a reason of another kind; %u runs in every way, %u went otherwise\n",
           unprivileged ? ", unprivileged" : "", t.refusals, t.other_kinds, t.runs, t.wrong_runs);
    return t;
}

static unsigned failures(const struct tally *t)
{
    return t->count[LAXER] + t->count[STRICTER] + t->count[UNKNOWN] + t->wrong_runs;
}

/* At most one refusal in a hundred may have a reason of another kind; unprivileged programs are only counted, since
 * there several rules forbid the same thing. */
static unsigned wrong_kinds(const struct tally *t)
{
    return t->other_kinds * 100 > t->refusals ? t->other_kinds : 0;
}

static enum oracle_verdict ask_kernel(struct bpf_test *test, bool unprivileged, char *last, size_t size,
                                      uint64_t *processed)
{
    struct oracle_prog p = {.type = test->prog_type ? test->prog_type : BPF_PROG_TYPE_SOCKET_FILTER,
                            .attach_type = test->expected_attach_type,
                            .flags = BPF_F_TEST_RND_HI32};
    enum oracle_verdict verdict = ORACLE_UNKNOWN;
    static struct bpf_test before;
    struct bpf_insn *insns;
    int n;

    before = *test; /* generators read what they then overwrite */
    asking_kernel = true;
    insns = take_insns(test, &n);
    if (test->flags & F_LOAD_WITH_STRICT_ALIGNMENT)
        p.flags |= BPF_F_STRICT_ALIGNMENT;
    if (test->flags & F_NEEDS_EFFICIENT_UNALIGNED_ACCESS)
        p.flags |= BPF_F_ANY_ALIGNMENT;
    if (test->flags & ~3)
        p.flags |= test->flags;
    if ((p.type == BPF_PROG_TYPE_TRACING || p.type == BPF_PROG_TYPE_LSM) && test->kfunc) {
        int id = libbpf_find_vmlinux_btf_id(test->kfunc, test->expected_attach_type);

        map_missing |= id < 0;
        p.attach_btf_id = id;
    }
    if (test->btf_types[0]) {
        int fd = load_btf_for_test(test);

        map_missing |= fd < 0;
        p.prog_btf_fd = fd;
    }
    map_missing |= test->fixup_kfunc_btf_id[0].kfunc != NULL; /* of a module that is not there */
    p.insns = insns;
    p.n_insns = n;
    p.func_info = test->func_info;
    p.n_func_info = test->func_info_cnt;
    p.func_info_size = sizeof(test->func_info[0]);
    *last = 0;
    if (unprivileged && !oracle_drop_capabilities(true))
        map_missing = true;
    if (!map_missing)
        verdict = oracle_judge(&p, last, size, processed);
    oracle_drop_capabilities(false);
    asking_kernel = false;
    *test = before;
    free(insns);
    n = errno;
    for (int fd = 3; fd < 64; fd++)
        close(fd);
    errno = n;
    return verdict;
}

/* The running kernel beside the suite's expectation and beside us. */
static int compare_with_kernel(bool unprivileged, const char *only)
{
    unsigned programs = 0, unknown = 0, since = 0, otherwise = 0, same = 0, laxer = 0, stricter = 0, missing = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++) {
        int result = unprivileged ? tests[i].result_unpriv : tests[i].result;
        bool expected = result == ACCEPT || result == VERBOSE_ACCEPT, accepts;
        uint64_t processed = 0;
        enum oracle_verdict verdict;
        struct judged j;
        char last[256];

        if ((only && !strstr(tests[i].descr, only)) || (unprivileged && result == UNDEF))
            continue;
        programs++;
        verdict = ask_kernel(&tests[i], unprivileged, last, sizeof(last), &processed);
        if (verdict == ORACLE_UNKNOWN) {
            unknown++;
            if (only)
                printf("no verdict: %s: %s\n", tests[i].descr, strerror(errno));
            continue;
        }
        accepts = verdict == ORACLE_ACCEPT;
        judge(&tests[i], unprivileged, &j);
        if (accepts != expected && accepted_since(tests[i].descr, unprivileged))
            since++;
        else if (accepts != expected && ++otherwise)
            printf("kernel %s what the suite %s: %s: %s\n", accepts ? "accepts" : "refuses",
                   expected ? "accepts" : "refuses", tests[i].descr, last);
        if (j.result.verdict == VERDICT_UNSUPPORTED)
            missing++;
        else if (accepts == !j.refused)
            same++;
        else if (accepts)
            stricter++;
        else
            laxer++;
        if (j.result.verdict != VERDICT_UNSUPPORTED && accepts == j.refused)
            printf("we %s what the kernel %s: %s: %s %s%s | kernel: %s (%llu processed)\n",
                   j.refused ? "refuse" : "accept", accepts ? "accepts" : "refuses", tests[i].descr,
                   reason_name(j.result.reason), j.result.message, j.form, last, (unsigned long long)processed);
        verify_result_free(&j.result);
    }
    printf("kernel: %u programs, %u without a verdict; %u accepted since, %u otherwise than the suite expects\n",
           programs, unknown, since, otherwise);
    printf("kernel: of its verdicts ours are the same for %u, laxer for %u, stricter for %u, unsupported for %u\n",
           same, laxer, stricter, missing);
    if (unknown == programs)
        printf("0 passed, 0 failed, %u skipped (bpf(2) gives no verdicts here)\n", programs);
    else
        printf("%u passed, %u failed, %u skipped\n", same, laxer + stricter, unknown + missing);
    return laxer + stricter != 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"verbose", 0, 0, 'v'}, {"unprivileged", 0, 0, 'u'}, {"only", 1, 0, 'o'}, {"kernel", 0, 0, 'k'}, {0}};
    bool all = false, unprivileged = false, kernel = false;
    const char *only = NULL;
    struct tally t, u = {0};
    unsigned wrong;
    int c;

    while ((c = getopt_long(argc, argv, "vuo:k", options, NULL)) >= 0) {
        if (c == '?')
            return 2;
        all |= c == 'v';
        unprivileged |= c == 'u';
        kernel |= c == 'k';
        if (c == 'o')
            only = optarg;
    }
    if (kernel)
        return compare_with_kernel(unprivileged, only);
    t = judge_all(unprivileged, all, only);
    if (!unprivileged)
        u = judge_all(true, all, only);
    wrong = unprivileged ? 0 : wrong_kinds(&t);
    printf("%u passed, %u failed, %u skipped\n", t.count[AGREE] + u.count[AGREE], failures(&t) + failures(&u) + wrong,
           t.count[MISSING] + u.count[MISSING]);
    return failures(&t) + failures(&u) + wrong != 0;
}
