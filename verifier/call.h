/*
 * What the rooms of a helper's call share: call_args.c judges the arguments by the kinds of the helper's row and notes
 * here what they said, call_ret.c makes of that what the call returns, call.c does what the row says besides.
 */
#ifndef VERIFIER_CALL_H
#define VERIFIER_CALL_H

#include "verifier/verifier.h"

/* What the arguments said, for those after them and for the result. */
struct call_args {
    const struct helper *helper;
    const struct map_def *map;
    uint32_t map_uid;
    uint64_t mem_size;  /* CONST_SIZE argument */
    uint64_t max_size;  /* of the last SIZE argument */
    uint32_t ref;       /* of an argument that carries one */
    uint32_t const_key; /* map key when it is constant */
    bool has_const_key;
    unsigned lock_reg;
    uint32_t func;            /* that is to be called */
    const struct field *kptr; /* that is exchanged */
    struct reg dynptr;        /* an argument */
    struct reg variable;      /* of each CPU */
    struct reg made;          /* where a dynptr is to be made; kind REG_NONE: nowhere */
    unsigned made_type;
    bool size_varies; /* of the memory that is being looked at */
    /* Memory that the helper writes, to be marked once all is judged. */
    struct {
        struct reg base;
        struct access a;
    } out[5];
    unsigned n_out;
};
/* call_args.c: judges argument i (from 0), of the kind that the row says. */
enum reason call_argument(struct verifier *v, struct state *s, struct call_args *c, unsigned i);
/* A register is not what is needed; also for what only the whole call shows. */
enum reason call_wants(struct verifier *v, unsigned reg, const struct reg *r, const char *what);

/* call_ret.c: what the helper returns; a new reference that it holds is not the state's yet. */
struct reg call_result(struct verifier *v, const struct call_args *c);
/* Does that hold a reference of its own? */
bool call_acquires(const struct call_args *c);

#endif
