/* What is being written elsewhere, until it is there. */
#include "jit/target.h"
#include <errno.h>

__attribute__((weak)) int ir_build(const struct code *code, const struct facts *facts, uint32_t opts, struct ir **out)
{
    (void)code, (void)facts, (void)opts, (void)out;
    return -EOPNOTSUPP;
}
__attribute__((weak)) int ir_optimize(struct ir *ir, const struct ir_target *target, uint32_t opts)
{
    (void)ir, (void)target, (void)opts;
    return 0;
}
__attribute__((weak)) void ir_free(struct ir *ir)
{
    (void)ir;
}
__attribute__((weak)) int jit_allocate(struct ir_func *f, const struct jit_target *target, const struct jit_opts *opts,
                                       struct jit_alloc *out)
{
    (void)f, (void)target, (void)opts, (void)out;
    return -EOPNOTSUPP;
}
__attribute__((weak)) void jit_alloc_free(struct jit_alloc *alloc)
{
    (void)alloc;
}
