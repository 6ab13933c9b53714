/*
 * A host that embeds skep's core alone: a server asks a policy, written in eBPF, whether a request may go on.
 *
 * The policy counts the requests of each user in a hash map, asks the host for the user's quota through a helper of the
 * host's own, and answers. Several threads ask at once. Then two bad policies: one that never ends meets the
 * instruction limit, one that reads past its request is stopped by checked execution.
 *
 *     cc examples/embed.c -Iinclude build/libskep-core.a -pthread -o embed
 */
#include <errno.h>
#include <pthread.h>
#include <skep/buffer.h>
#include <skep/insn.h>
#include <skep/program.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
    uint32_t user;
    uint32_t size;
    char path[16];
};

enum { USERS = 4, THREADS = 4, REQUESTS = 2000, QUOTA_HELPER = 1 << 16, MAP_LOOKUP = 1, MAP_UPDATE = 2 };

static void check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "embed: %s failed\n", what);
        exit(1);
    }
}

/* A helper: quota(path, size) says how many requests a user may make. What it gets of the program's memory was checked
 * against its prototype before it is called. */
static uint64_t quota(struct skep_env *env, uint64_t path, uint64_t size, uint64_t user, uint64_t a4, uint64_t a5)
{
    const uint32_t *quotas = skep_env__user(env);
    const char *text = skep_env__mem(env, path, size, SKEP_READ);
    (void)a4, (void)a5;
    if (!text)
        return 0;
    if (user >= USERS)
        return skep_env__trap(env, "there is no user %llu", (unsigned long long)user);
    return strncmp(text, "/free", 5) ? quotas[user] : UINT32_MAX;
}

static const struct skep_helper_def helpers[] = {
    {.id = QUOTA_HELPER,
     .name = "quota",
     .fn = quota,
     .ret = SKEP_RET_INT,
     .arg = {SKEP_ARG_MEM, SKEP_ARG_SIZE, SKEP_ARG_ANYTHING}},
};

/* r1 = request, r2 = its length. Returns 1: allowed, 0: not. */
static const struct skep_insn policy[] = {
    SKEP_MOV64_REG(SKEP_R6, SKEP_R1),
    SKEP_JMP_IMM(SKEP_JLT, SKEP_R2, sizeof(struct request), 19), /* too short: no */
    SKEP_LDX_MEM(SKEP_W, SKEP_R7, SKEP_R6, 0),                   /* r7 = user */
    SKEP_STX_MEM(SKEP_W, SKEP_R10, SKEP_R7, -4),
    SKEP_LD_MAP(SKEP_R1, 0), /* count = lookup(&counts, &user) */
    SKEP_MOV64_REG(SKEP_R2, SKEP_R10),
    SKEP_ALU64_IMM(SKEP_ADD, SKEP_R2, -4),
    SKEP_CALL_HELPER(MAP_LOOKUP),
    SKEP_JMP_IMM(SKEP_JEQ, SKEP_R0, 0, 11), /* unknown user: no */
    SKEP_MOV64_IMM(SKEP_R1, 1),             /* r9 = (*count)++, atomically */
    SKEP_INSN(0xdb, SKEP_R0, SKEP_R1, 0, 0x01),
    SKEP_MOV64_REG(SKEP_R9, SKEP_R1),
    SKEP_MOV64_REG(SKEP_R1, SKEP_R6), /* quota(request->path, 16, user) */
    SKEP_ALU64_IMM(SKEP_ADD, SKEP_R1, 8),
    SKEP_MOV64_IMM(SKEP_R2, 16),
    SKEP_MOV64_REG(SKEP_R3, SKEP_R7),
    SKEP_CALL_HELPER(QUOTA_HELPER),
    SKEP_MOV64_REG(SKEP_R1, SKEP_R0),
    SKEP_MOV64_IMM(SKEP_R0, 1),
    SKEP_JMP_REG(SKEP_JLT, SKEP_R9, SKEP_R1, 1), /* count < quota? */
    SKEP_MOV64_IMM(SKEP_R0, 0),
    SKEP_EXIT_INSN(),
};

static const struct skep_insn endless[] = {SKEP_JA(-1), SKEP_EXIT_INSN()};
static const struct skep_insn curious[] = {SKEP_LDX_MEM(SKEP_DW, SKEP_R0, SKEP_R1, sizeof(struct request)),
                                           SKEP_EXIT_INSN()};

struct worker {
    const struct skep_program *prog;
    uint32_t *quotas;
    uint32_t allowed[USERS];
    int failed;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        struct request request = {.user = i % USERS, .size = i, .path = "/index.html"};
        SKEP_OPTS(skep_run_opts, opts, .data_in = &request, .data_size_in = sizeof(request), .user = w->quotas);
        if (skep_program__run(w->prog, &opts))
            w->failed = 1;
        w->allowed[i % USERS] += opts.retval;
    }
    return NULL;
}

static void serve(struct skep_vm *vm, struct skep_map *counts)
{
    SKEP_OPTS(skep_prog_load_opts, load, .maps = &counts, .map_cnt = 1, .mem_size = sizeof(struct request));
    struct skep_program *prog =
        skep_prog_load(vm, SKEP_PROG_TYPE_RAW, "policy", NULL, policy, sizeof(policy) / sizeof(*policy), &load);
    check(prog != NULL, "loading the policy");
    uint32_t quotas[USERS] = {100, 200, 300, 1000000};
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.prog = prog, .quotas = quotas};
        check(!pthread_create(&threads[i], NULL, work, &workers[i]), "pthread_create");
    }
    uint32_t allowed[USERS] = {0};
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        check(!workers[i].failed, "a run");
        for (int u = 0; u < USERS; u++)
            allowed[u] += workers[i].allowed[u];
    }
    for (uint32_t u = 0; u < USERS; u++) {
        uint64_t asked = 0;
        check(!skep_map__lookup_elem(counts, &u, sizeof(u), &asked, sizeof(asked), 0), "lookup");
        printf("user %u: %llu requests, %u allowed\n", u, (unsigned long long)asked, allowed[u]);
        check(asked == (uint64_t)THREADS * REQUESTS / USERS, "counting");
        check(allowed[u] == (quotas[u] < asked ? quotas[u] : asked), "the policy");
    }
    skep_program__free(prog);
}

/* What is wrong does not load; the log says why. Where it must be tried all the same, checked execution ends it. */
static void refuse(struct skep_vm *vm, const char *name, const struct skep_insn *insns, size_t n, const char *why)
{
    SKEP_OPTS(skep_prog_load_opts, load, .mem_size = sizeof(struct request));
    check(!skep_prog_load(vm, SKEP_PROG_TYPE_RAW, name, NULL, insns, n, &load) && errno == EACCES, name);
    SKEP_OPTS(skep_exec_opts, checked, .checked = true);
    load.exec = &checked;
    struct skep_program *prog = skep_prog_load(vm, SKEP_PROG_TYPE_RAW, name, NULL, insns, n, &load);
    check(prog != NULL, name);
    struct request request = {.user = 1};
    struct skep_trap trap = {.sz = sizeof(trap)};
    SKEP_OPTS(skep_run_opts, opts, .data_in = &request, .data_size_in = sizeof(request), .max_insns = 100000,
              .trap = &trap);
    check(skep_program__run(prog, &opts) == -EFAULT, name);
    printf("%s: %s (%s) at instruction %u\n", name, trap.kind, trap.detail, trap.insn);
    check(!strcmp(trap.kind, why), "the trap");
    skep_program__free(prog);
}

static void on_log(void *ctx, enum skep_log_level level, const char *text)
{
    (void)ctx, (void)level;
    fprintf(stderr, "skep: %s\n", text);
}

int main(void)
{
    SKEP_OPTS(skep_vm_opts, opts, .cpus = THREADS, .helpers = helpers, .helper_cnt = 1, .log = on_log);
    struct skep_vm *vm = skep_vm__new(&opts);
    check(vm != NULL, "a vm");
    struct skep_map *counts =
        skep_map_create(vm, SKEP_MAP_TYPE_HASH, "counts", sizeof(uint32_t), sizeof(uint64_t), 1024, NULL);
    check(counts != NULL, "a map");
    for (uint32_t u = 0; u < USERS; u++) {
        uint64_t zero = 0;
        check(!skep_map__update_elem(counts, &u, sizeof(u), &zero, sizeof(zero), SKEP_NOEXIST), "filling the map");
    }
    serve(vm, counts);
    refuse(vm, "endless", endless, 2, "insn_limit");
    refuse(vm, "curious", curious, 2, "mem_out_of_bounds");
    skep_map__free(counts);
    skep_vm__free(vm);
    return 0;
}
