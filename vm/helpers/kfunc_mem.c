/*
 * Kernel functions that read memory of processes. A run has the memory of one process, that of its world.
 */
#include "vm/helpers/kfunc.h"
#include "vm/helpers/probe.h"

enum { PAD_ZEROS = 1 };

/* Unlike bpf_probe_read_user_str, what is left of the room stays as it was unless the flag says otherwise. */
KFUNC_BODY(bpf_copy_from_user_str)
{
    uint64_t room = (uint32_t)a2;
    char *to = helper_ptr(a1);
    int64_t len;

    if (a4 & ~(uint64_t)PAD_ZEROS)
        return helper_error(-EINVAL);
    if (!room)
        return 0;
    len = probe_str(env, to, room, a3, ENV_MEM_USER);
    if (a4 & PAD_ZEROS)
        memset(to + (len < 0 ? 0 : len), 0, room - (uint64_t)(len < 0 ? 0 : len));
    return (uint64_t)len;
}
