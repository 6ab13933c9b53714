/* Text for people: bpf_trace_printk, bpf_trace_vprintk, bpf_snprintf. */
#include "vm/helpers/format.h"
#include "vm/helpers/helper.h"

enum { LINE = 1024 /* MAX_BPRINTF_BUF: what is longer is cut */ };

static uint64_t say(struct skep_env *env, const char *fmt, uint64_t size, const uint64_t *args, unsigned n)
{
    char line[LINE];
    int64_t len = format_text(env, line, sizeof(line), fmt, (uint32_t)size, args, n);

    if (len >= 0 && env->out.printk)
        env->out.printk(env->out.ctx, line, strlen(line));
    return (uint64_t)len;
}

HELPER_BODY(trace_printk)
{
    return say(env, helper_ptr(a1), a2, (uint64_t[]){a3, a4, a5}, 3);
}

/* Arguments as an array of 8-byte values; copied, since it may be the memory that is written. */
static bool take_args(uint64_t args[FORMAT_MAX_ARGS], uint64_t data, uint64_t size)
{
    size = (uint32_t)size;
    if (size % 8 || size > FORMAT_MAX_ARGS * 8 || (size && !data))
        return false;
    if (size)
        memcpy(args, helper_ptr(data), size);
    return true;
}

HELPER_BODY(trace_vprintk)
{
    uint64_t args[FORMAT_MAX_ARGS];

    if (!take_args(args, a3, a4))
        return helper_error(-EINVAL);
    return say(env, helper_ptr(a1), a2, args, (uint32_t)a4 / 8);
}

HELPER_BODY(snprintf)
{
    uint64_t args[FORMAT_MAX_ARGS];
    int64_t len;

    if (!take_args(args, a4, a5))
        return helper_error(-EINVAL);
    len = format_text(env, helper_ptr(a1), (uint32_t)a2, helper_ptr(a3), UINT32_MAX, args, (uint32_t)a5 / 8);
    return (uint64_t)(len < 0 ? len : len + 1);
}
