/* bpf_sock_ops_cb_flags_set: which events of the connection the program wants to see; kept in the context. */
#include "vm/abi/ctx.h"
#include "vm/helpers/helper.h"

HELPER_BODY(sock_ops_cb_flags_set)
{
    enum { ALL_FLAGS = 0x7f, CB_FLAGS_OFF = 84 };
    uint32_t flags = (uint32_t)a2 & ALL_FLAGS;

    if (env->ctx_layout != &ctx_sock_ops)
        return helper_refuse(env, "this helper needs the context of a sock_ops program");
    memcpy((char *)env->ctx + CB_FLAGS_OFF, &flags, sizeof(flags));
    return (uint64_t)(int64_t)((int32_t)a2 & ~ALL_FLAGS);
}
