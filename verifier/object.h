/* What the rooms of a kernel function's call share: kfunc.c judges plain arguments, object.c those that name objects of
 * the program, lists and trees. */
#ifndef VERIFIER_OBJECT_H
#define VERIFIER_OBJECT_H

#include "verifier/verifier.h"
#include "vm/abi/kfuncs.h"

/* What the arguments said. */
struct kcall {
    const struct kfunc *k;
    uint32_t ref; /* of an argument that holds one */
    bool takes_ref;
    uint64_t constant; /* the last CONST */
    const struct iter_type *iter;
    struct reg iter_at; /* the iterator, on the stack */
    struct reg dynptr;  /* the last one */
    struct reg made;    /* where one is to be made; kind NONE: nowhere */
    struct reg any;     /* the last ANY */
    struct {
        struct reg base;
        struct access a;
    } out[5];
    unsigned n_out;
    struct reg object;         /* COUNTED */
    const struct field *root;  /* LIST_HEAD, RB_ROOT */
    uint32_t added;            /* the reference of a node that is to hang there */
    const struct map_def *map; /* that a field stands in */
    uint32_t map_uid;
    uint32_t func; /* FUNC */
};

enum reason object_argument(struct verifier *v, struct state *s, struct kcall *c, unsigned reg,
                            enum kfunc_arg_kind kind);
/* Of a function that returns an object: without what goes for every result (NULL, reference). */
enum reason object_result(struct verifier *v, const struct kcall *c, struct reg *out);
/* The object with this reference hangs at a list or tree, which owns it from now on. @return false: out of memory. */
bool object_lend(struct verifier *v, struct state *s, uint32_t ref);

#endif
