/*
 * Options of TCP headers in sock_ops programs. The segment that the context shows begins with its TCP header; what a
 * program stores is put behind its end, as far as a header has room.
 */
#include "vm/ctx/hook.h"
#include "vm/ctx/packet.h"
#include "vm/helpers/packet_skb.h"

enum { OP_OFF = 0, CB_FLAGS_OFF = 84, IS_FULLSOCK_OFF = 72 };
enum { PARSE_HDR_OPT = 13, HDR_OPT_LEN = 14, WRITE_HDR_OPT = 15 };
enum { HEADER = 20, KIND_EOL = 0, KIND_NOP = 1, KIND_EXP = 254, KIND_EXP_TOO = 253 };

static const char no_sock_ops[] = "this helper needs the context of a sock_ops program";

static uint32_t field(const struct skep_env *env, uint32_t off)
{
    uint32_t v;

    memcpy(&v, (const char *)env->ctx + off, sizeof(v));
    return v;
}

/* Which events of the connection the program wants to see; kept in the context and the socket. */
HELPER_BODY(sock_ops_cb_flags_set)
{
    enum { ALL_FLAGS = 0x7f };
    uint32_t flags = (uint32_t)a2 & ALL_FLAGS;

    if (env->ctx_layout != &ctx_sock_ops)
        return helper_refuse(env, no_sock_ops);
    if (!field(env, IS_FULLSOCK_OFF))
        return helper_error(-EINVAL);
    memcpy((char *)env->ctx + CB_FLAGS_OFF, &flags, sizeof(flags));
    if (env->sk)
        env->sk->cb_flags = flags;
    return (uint64_t)(int64_t)((int32_t)a2 & ~ALL_FLAGS);
}

static bool is_experiment(uint8_t kind)
{
    return kind == KIND_EXP || kind == KIND_EXP_TOO;
}

/* The option of this kind between two places, and with these first bytes where there are some. @return its offset from
 * `op`; -ENOMSG: none (*ended: the options end with EOL); -EFAULT: what stands there are no options. */
static int search(const unsigned char *op, const unsigned char *end, uint8_t kind, const unsigned char *magic,
                  uint32_t magic_len, bool *ended)
{
    const unsigned char *start = op;

    *ended = false;
    while (op < end) {
        if (op[0] == KIND_EOL) {
            *ended = true;
            return -ENOMSG;
        }
        if (op[0] == KIND_NOP) {
            op++;
            continue;
        }
        if (end - op < 2 || end - op < op[1] || op[1] < 2)
            return -EFAULT;
        if (op[0] == kind && magic_len > (uint32_t)op[1] - 2)
            return -ENOMSG;
        if (op[0] == kind && (!magic_len || !memcmp(op + 2, magic, magic_len)))
            return (int)(op - start);
        op += op[1];
    }
    return -ENOMSG;
}

/* What a search for `want` looks for. @return false: it asks for nothing that can be found. */
static bool read_search(const unsigned char *want, uint32_t len, uint32_t *magic_len)
{
    uint8_t kind = want[0], search_len = want[1];

    *magic_len = 0;
    if (search_len > len || kind == KIND_NOP || kind == KIND_EOL)
        return false;
    if (!is_experiment(kind))
        return search_len == 0;
    *magic_len = search_len - 2u;
    return search_len == 4 || search_len == 6;
}

HELPER_BODY(load_hdr_opt)
{
    enum { OF_SYN = 1 };
    unsigned char *want = helper_ptr(a2);
    const unsigned char *first = env->packet.data + HEADER;
    uint32_t len = (uint32_t)a3, magic_len, size;
    bool ended;
    int at;

    if (env->ctx_layout != &ctx_sock_ops)
        return helper_refuse(env, no_sock_ops);
    if (len < 2 || a4 & ~(uint64_t)OF_SYN || !read_search(want, len, &magic_len))
        return helper_error(-EINVAL);
    if (a4 & OF_SYN) /* nobody saved one */
        return helper_error(-ENOENT);
    if (!packet_len(env) || field(env, OP_OFF) == HDR_OPT_LEN)
        return helper_error(-EPERM);
    at = packet_len(env) < HEADER ? -ENOMSG : search(first, env->packet.data_end, want[0], want + 2, magic_len, &ended);
    if (at < 0)
        return helper_error(at);
    size = first[at + 1];
    memcpy(want, first + at, size < len ? size : len);
    return size <= len ? size : helper_error(-ENOSPC);
}

HELPER_BODY(store_hdr_opt)
{
    const unsigned char *option = helper_ptr(a2);
    struct hook_hdr_opts *o = hook_hdr_opts(env);
    uint32_t len = (uint32_t)a3, size;
    bool ended;
    int at;

    if (!o)
        return helper_refuse(env, no_sock_ops);
    if (field(env, OP_OFF) != WRITE_HDR_OPT)
        return helper_error(-EPERM);
    if (len < 2 || a4)
        return helper_error(-EINVAL);
    size = option[1];
    if (size > len || option[0] == KIND_NOP || option[0] == KIND_EOL)
        return helper_error(-EINVAL);
    if (size > o->remaining)
        return helper_error(-ENOSPC);
    if (is_experiment(option[0]) && size < 4)
        return helper_error(-EINVAL);
    if (packet_len(env) < HEADER)
        return helper_error(-EFAULT);
    at = search(env->packet.data + HEADER, env->packet.data_end, option[0], option + 2,
                is_experiment(option[0]) ? 2 : 0, &ended);
    if (at != -ENOMSG)
        return helper_error(at < 0 ? at : -EEXIST);
    if (ended)
        return helper_error(-ENOSPC);
    if (!packet_room(env, 0, size))
        return helper_error(-ENOMEM);
    memmove(env->packet.data_end, option, size);
    env->packet.data_end += size;
    o->remaining -= size;
    packet_moved(env);
    return 0;
}

HELPER_BODY(reserve_hdr_opt)
{
    struct hook_hdr_opts *o = hook_hdr_opts(env);
    uint32_t len = (uint32_t)a2;

    if (!o)
        return helper_refuse(env, no_sock_ops);
    if (field(env, OP_OFF) != HDR_OPT_LEN)
        return helper_error(-EPERM);
    if (a3 || len < 2)
        return helper_error(-EINVAL);
    if (len > o->remaining)
        return helper_error(-ENOSPC);
    o->remaining -= len;
    o->reserved += len;
    return 0;
}
