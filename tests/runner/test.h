/*
 * A test as a .bpf file says it. A file is assembly with directives in its comments, `; key: value`; each test begins
 * at
 * `; test: NAME` (a file without one is a single test), and what stands before the first one holds for every test of
 * the file. A comment that begins with a word and a colon must be a directive, so that a slip of the pen is no silent
 * pass.
 *
 *     ; type: xdp                       program type; without it r1 is the memory and r2 its length
 *     ; mem: 01 02 00*6                 memory given to a program without a type (bytes; `*N` repeats one)
 *     ; ctx: HEX   ; data: HEX          context and packet of a typed program
 *     ; map: NAME TYPE KEY VALUE MAX [WORD]...  a map; the text refers to it as map[NAME]. A WORD is a number (flags),
 *                                       `rdonly`, `wronly`, `frozen` (its elements are constants), `lock@OFF`,
 *                                       `extra=N` (map_extra), `inner=NAME` (maps of maps: a map of the test that
 *                                       inner maps look like)
 *     ; map-set: NAME KEY VALUE         an element before the run (hex bytes)
 *     ; tail: NAME INDEX [TEST]         puts the program of TEST (or this one) into a program array
 *     ; result: V                       r0 at the end, 64 bits: decimal, negative or hex
 *     ; mem-out: HEX  ; data-out: HEX  ; ctx-out: HEX  ; map-out: NAME KEY VALUE
 *     ; trap: NAME                      on an instruction: there a checked run must trap, of this kind
 *     ; error: NAME                     on an instruction: there the verifier must refuse, for this reason
 *     ; accept:                         the verifier takes it: expectation enough, and it must run without a trap
 *     ; unsupported: TEXT               the verifier does not know this; its message holds TEXT
 *     ; unpriv:   ; strict:   ; sleepable:   ; max-insns: N   ; license: TEXT   ; attach: TYPE   how it is loaded
 *     ; differs: WHY                    Linux's verdict is the other one, on purpose
 *     ; kernel: WHY                     Linux cannot run this, or means something else on purpose
 */
#ifndef TESTS_RUNNER_TEST_H
#define TESTS_RUNNER_TEST_H

#include "base/arena.h"
#include "base/log.h"
#include "verifier/verify.h"
#include "vm/abi/prog_types.h"
#include "vm/abi/trap.h"
#include "vm/isa/asm.h"
#include "vm/maps/map.h"

struct bytes {
    uint8_t *data;
    uint32_t size;
    uint32_t line; /* where the directive stands; 0: not given */
};

enum { TEST_MAX_MAPS = 8, TEST_MAX_ELEMS = 16 };

struct test_elem { /* map-set, map-out */
    uint32_t map;
    struct bytes key, value;
};

struct test_tail {
    uint32_t map, index, line;
    const struct test *of; /* whose program */
    const char *name;
};

struct test {
    const char *file, *name; /* name "" in a file of one test */
    uint32_t line;
    const struct prog_type *type; /* NULL: raw */
    struct bytes mem, ctx, data, mem_out, ctx_out, data_out;
    struct map_def maps[TEST_MAX_MAPS];
    uint32_t n_maps;
    struct test_elem sets[TEST_MAX_ELEMS], outs[TEST_MAX_ELEMS];
    uint32_t n_sets, n_outs;
    struct test_tail tails[TEST_MAX_ELEMS];
    uint32_t n_tails;
    uint64_t result;
    uint32_t result_line;
    enum trap_kind trap; /* TRAP_none: the run ends well */
    uint32_t trap_line;
    const char *error; /* NULL: the verifier takes it */
    uint32_t error_line;
    bool accept, unprivileged, strict, sleepable;
    const char *unsupported; /* NULL: the verifier knows it */
    const char *differs;     /* NULL: Linux has the same verdict */
    const char *license;
    uint32_t attach_type;
    uint64_t max_insns;
    bool frozen[TEST_MAX_MAPS];
    const char *no_kernel; /* NULL: Linux runs it too */
    struct skep_insn *insns;
    uint32_t *lines; /* of each slot */
    uint32_t n_insns;
};

struct test_file {
    struct arena arena;
    struct test *tests;
    uint32_t n_tests;
};

/** How the test wants to be verified; `test` is borrowed. */
struct verify_opts test_verify_opts(const struct test *test);
/** The program of a test, over the maps of one (its own, or those of the test that calls it as its tail). */
int test_make_prog(const struct test *test, const struct test *maps, bool lenient, const struct log *log,
                   struct prog **out);

/** Reads a file. @return 0, or a negative errno with a message that begins with "line N". */
int test_file_read(struct test_file *file, const char *path, const struct log *log);
void test_file_free(struct test_file *file);

#endif
