/*
 * Arguments and result of a traced function. Linux knows their number from the function's type; here the context says
 * it: as many arguments of 8 bytes as the caller gave, of which fexit and fmod_ret programs have the result last.
 */
#include "vm/ctx/store.h"
#include "vm/helpers/helper.h"

static bool has_result(const struct skep_env *env)
{
    uint32_t attach = env->code->prog->attach_type;

    return attach == ATTACH_TRACE_FEXIT || attach == ATTACH_MODIFY_RETURN;
}

/* What the caller gave, as far as there is context to hold it. */
static uint32_t n_args(const struct skep_env *env)
{
    uint32_t given = env->ctx_store ? env->ctx_store->given : 0;

    given = (given < env->ctx_size ? given : env->ctx_size) / 8;
    return given - (given && has_result(env));
}

static uint64_t value_at(const struct skep_env *env, uint32_t i)
{
    uint64_t value;

    memcpy(&value, (const char *)env->ctx + 8 * i, 8);
    return value;
}

HELPER_BODY(get_func_arg)
{
    uint64_t value;

    if ((uint32_t)a2 >= n_args(env))
        return helper_error(-EINVAL);
    value = value_at(env, (uint32_t)a2);
    memcpy(helper_ptr(a3), &value, 8);
    return 0;
}

HELPER_BODY(get_func_ret)
{
    uint64_t value;

    if (!has_result(env) || env->ctx_size < 8)
        return helper_error(-EOPNOTSUPP);
    value = value_at(env, n_args(env));
    memcpy(helper_ptr(a2), &value, 8);
    return 0;
}

HELPER_BODY(get_func_arg_cnt)
{
    return n_args(env);
}
