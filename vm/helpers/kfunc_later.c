/* Work queues and task work: what is started here runs once the program that started it has ended (vm/timer.h). */
#include "vm/helpers/field.h"
#include "vm/helpers/kfunc.h"
#include "vm/timer.h"

KFUNC_BODY(bpf_wq_init)
{
    if (!field_is(env, a1, FIELD_WQ, a2))
        return 0;
    return helper_error((uint32_t)a3 ? -EINVAL : timer_init(helper_map(a2), helper_ptr(a1), TIMER_WORK));
}

KFUNC_BODY(bpf_wq_set_callback_impl)
{
    if (!field_is(env, a1, FIELD_WQ, 0))
        return 0;
    return helper_error((uint32_t)a3 ? -EINVAL : timer_set_callback(helper_ptr(a1), env->code, a2));
}

KFUNC_BODY(bpf_wq_start)
{
    if (!field_is(env, a1, FIELD_WQ, 0))
        return 0;
    return helper_error((uint32_t)a2 ? -EINVAL : timer_start(helper_ptr(a1), 0));
}
