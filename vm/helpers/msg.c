/*
 * Messages of sk_msg programs and the redirections of data between sockets. A message is one piece here, of which
 * programs see the window between the packet's ends, at first all of it; what Linux would copy to make a range
 * contiguous is so already.
 */
#include "vm/ctx/hook.h"
#include "vm/ctx/packet.h"
#include "vm/effect.h"
#include "vm/helpers/packet_skb.h"
#include "vm/helpers/sock_map.h"

enum { SK_DROP = 0, SK_PASS = 1, INGRESS = 1, SIZE_OFF = 68, MAX_MSG = 1 << 20 };

static const char no_msg[] = "this helper needs the context of an sk_msg program";

static uint32_t msg_size(const struct skep_env *env, const struct hook_msg *m)
{
    return m->front + packet_len(env) + m->behind;
}

/* Programs see [start, end) of the message from now on. */
static void show(struct skep_env *env, struct hook_msg *m, uint32_t start, uint32_t end)
{
    uint32_t size = msg_size(env, m);
    unsigned char *first = env->packet.data - m->front;

    env->packet.data = env->packet.data_meta = first + start;
    env->packet.data_end = first + end;
    m->front = start;
    m->behind = size - end;
    memcpy((char *)env->ctx + SIZE_OFF, &size, sizeof(size));
    packet_moved(env);
}

HELPER_BODY(msg_apply_bytes)
{
    struct hook_msg *m = hook_msg(env);

    if (!m)
        return helper_refuse(env, no_msg);
    m->apply_bytes = (uint32_t)a2;
    effect_tell(env, &(struct skep_effect){.what = "msg_apply_bytes", .args = {(uint32_t)a2}});
    return 0;
}

HELPER_BODY(msg_cork_bytes)
{
    struct hook_msg *m = hook_msg(env);

    if (!m)
        return helper_refuse(env, no_msg);
    m->cork_bytes = (uint32_t)a2;
    effect_tell(env, &(struct skep_effect){.what = "msg_cork_bytes", .args = {(uint32_t)a2}});
    return 0;
}

HELPER_BODY(msg_pull_data)
{
    struct hook_msg *m = hook_msg(env);
    uint32_t start = (uint32_t)a2, end = (uint32_t)a3;

    if (!m)
        return helper_refuse(env, no_msg);
    if (a4 || end <= start || start >= msg_size(env, m) || end > msg_size(env, m))
        return helper_error(-EINVAL);
    show(env, m, start, end);
    return 0;
}

/* The message as a whole, for len bytes to be put in or taken out; NULL: what the helper returns instead. */
static struct hook_msg *open_msg(struct skep_env *env, uint64_t flags, uint32_t len, uint64_t *result)
{
    struct hook_msg *m = hook_msg(env);

    *result = !m ? helper_refuse(env, no_msg) : flags ? helper_error(-EINVAL) : 0;
    return m && !flags && len ? m : NULL;
}

/* New bytes are zero: Linux leaves what lay in the page, which is nobody's to rely on. */
HELPER_BODY(msg_push_data)
{
    uint32_t start = (uint32_t)a2, len = (uint32_t)a3, size;
    uint64_t result;
    struct hook_msg *m = open_msg(env, a4, len, &result);
    unsigned char *first;

    if (!m)
        return result;
    size = msg_size(env, m);
    if (start > size || len > MAX_MSG || size + len > MAX_MSG)
        return helper_error(start > size ? -EINVAL : -ENOMEM);
    show(env, m, 0, size);
    if (!packet_room(env, 0, len))
        return helper_error(-ENOMEM);
    first = env->packet.data;
    memmove(first + start + len, first + start, size - start);
    memset(first + start, 0, len);
    env->packet.data_end += len;
    show(env, m, 0, size + len);
    return 0;
}

HELPER_BODY(msg_pop_data)
{
    uint32_t start = (uint32_t)a2, len = (uint32_t)a3, size;
    uint64_t result;
    struct hook_msg *m = open_msg(env, a4, len, &result);
    unsigned char *first;

    if (!m)
        return result;
    size = msg_size(env, m);
    if (start >= size || (uint64_t)start + len > size)
        return helper_error(-EINVAL);
    show(env, m, 0, size);
    first = env->packet.data;
    memmove(first + start, first + start + len, size - start - len);
    env->packet.data_end -= len;
    show(env, m, 0, size - len);
    return 0;
}

/* ---- Redirections ---- */

static uint64_t to_sock(struct skep_env *env, const char *what, struct map *map, const void *key, uint64_t flags)
{
    struct sock *sk = flags & ~(uint64_t)INGRESS ? NULL : sock_map_at(env, map, key);

    if (!sk || sk->view.state == SOCK_LISTEN)
        return SK_DROP;
    if (hook_msg(env) && !(flags & INGRESS) && !sock_is_tcp(sk))
        return SK_DROP;
    effect_aim(env, what, 0, flags);
    env->redirect.map = map;
    if (map->def.key_size == sizeof(uint32_t))
        env->redirect.key = *(const uint32_t *)key;
    env->redirect.socket = sock_cookie(env, sk);
    return SK_PASS;
}

HELPER_BODY(msg_redirect_map)
{
    uint32_t key = (uint32_t)a3;

    return hook_msg(env) ? to_sock(env, "msg_redirect", helper_map(a2), &key, a4) : helper_refuse(env, no_msg);
}

HELPER_BODY(msg_redirect_hash)
{
    return hook_msg(env) ? to_sock(env, "msg_redirect", helper_map(a2), helper_ptr(a3), a4)
                         : helper_refuse(env, no_msg);
}

HELPER_BODY(sk_redirect_map)
{
    uint32_t key = (uint32_t)a3;

    NEED_SKB(env);
    return to_sock(env, "sk_redirect", helper_map(a2), &key, a4);
}

HELPER_BODY(sk_redirect_hash)
{
    NEED_SKB(env);
    return to_sock(env, "sk_redirect", helper_map(a2), helper_ptr(a3), a4);
}

/* ---- Maps of sockets ---- */

/* sock_ops programs put their connection into a map; only one that is open may stand there. */
static uint64_t put(struct skep_env *env, struct map *map, const void *key, uint64_t flags)
{
    struct sock *sk = env->sk;

    if (env->ctx_layout != &ctx_sock_ops)
        return helper_refuse(env, "this helper needs the context of a sock_ops program");
    if (!sk || !sock_is_full(sk) || (sk->view.state != SOCK_ESTABLISHED && sk->view.state != SOCK_LISTEN))
        return helper_error(-EOPNOTSUPP);
    return helper_error(sock_map_put(env, map, key, sk, flags));
}

HELPER_BODY(sock_map_update)
{
    return put(env, helper_map(a2), helper_ptr(a3), a4);
}

HELPER_BODY(sock_hash_update)
{
    return put(env, helper_map(a2), helper_ptr(a3), a4);
}

HELPER_BODY(sk_select_reuseport)
{
    struct sock *sk = sock_map_at(env, helper_map(a2), helper_ptr(a3));

    if (env->ctx_layout != &ctx_sk_reuseport_md)
        return helper_refuse(env, "this helper needs the context of an sk_reuseport program");
    if (a4)
        return helper_error(-EINVAL);
    if (!sk)
        return helper_error(-ENOENT);
    if (sk->view.protocol != env->sk->view.protocol)
        return helper_error(-EPROTOTYPE);
    if (sk->view.family != env->sk->view.family)
        return helper_error(-EAFNOSUPPORT);
    effect_aim(env, "select_reuseport", 0, 0);
    env->redirect.map = helper_map(a2);
    env->redirect.socket = sock_cookie(env, sk);
    return 0;
}
