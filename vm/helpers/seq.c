/*
 * What iterators write. The file is a buffer of the run, as long as a reader of Linux's could make it; what does not
 * fit is not written at all, as Linux begins again with a larger buffer.
 */
#include "vm/helpers/seq.h"
#include "vm/helpers/format.h"
#include "vm/helpers/helper.h"

enum { MAX_TEXT = 16 << 20, LINE = 1024 /* MAX_BPRINTF_BUF */ };

const char seq_missing[] = "this run has no file that it could write to: the program is no iterator";

uint64_t seq_write_text(struct skep_env *env, const void *text, uint64_t size)
{
    if (env->seq->len + size > MAX_TEXT)
        return helper_error(-EOVERFLOW);
    buf_add(env->seq, text, size);
    return env->seq->failed ? helper_error(-EOVERFLOW) : 0;
}

HELPER_BODY(seq_write)
{
    if (!env->seq)
        return helper_refuse(env, seq_missing);
    return seq_write_text(env, helper_ptr(a2), (uint32_t)a3);
}

HELPER_BODY(seq_printf)
{
    uint64_t args[FORMAT_MAX_ARGS];
    uint32_t size = (uint32_t)a5;
    char line[LINE];
    int64_t len;

    if (!env->seq)
        return helper_refuse(env, seq_missing);
    if (size % 8 || size > sizeof(args) || (size && !a4))
        return helper_error(-EINVAL);
    if (size)
        memcpy(args, helper_ptr(a4), size);
    len = format_text(env, line, sizeof(line), helper_ptr(a2), (uint32_t)a3, args, size / 8);
    return len < 0 ? (uint64_t)len : seq_write_text(env, line, strlen(line));
}
