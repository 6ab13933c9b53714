/*
 * bpf_snprintf_btf and bpf_seq_printf_btf: values of the kernel by the target's types. A struct btf_ptr says where the
 * value is and which type it has; what stands there is read as probes read it.
 */
#include "vm/btf/kernel_show.h"
#include "vm/helpers/helper.h"
#include "vm/helpers/seq.h"
#include "vm/world/world.h"

/* struct btf_ptr */
struct btf_ptr {
    uint64_t ptr;
    uint32_t type_id, flags;
};
_Static_assert(sizeof(struct btf_ptr) == 16, "struct btf_ptr has 16 bytes");

struct text {
    struct skep_env *env;
    char *buf;
    uint64_t room, len; /* len: what there would be, whatever the room */
    bool full;          /* of the file */
};

static bool read_value(void *ctx, uint64_t addr, void *to, uint32_t size)
{
    const void *from = env_probe(((struct text *)ctx)->env, addr, size, ENV_MEM_KERNEL);

    if (from)
        memcpy(to, from, size);
    return from;
}

static void put_buf(void *ctx, const char *text, size_t len)
{
    struct text *t = ctx;
    uint64_t left = t->len < t->room ? t->room - t->len : 0, fits = len < left ? len : left ? left - 1 : 0;

    if (left) {
        memcpy(t->buf + t->len, text, fits);
        t->buf[t->len + fits] = 0;
    }
    t->len += len;
}

static void put_seq(void *ctx, const char *text, size_t len)
{
    struct text *t = ctx;

    t->full |= seq_write_text(t->env, text, len) != 0;
}

/* @return 0 and the types to go by. */
static int prepare(struct skep_env *env, const struct btf_ptr *p, uint32_t size, uint64_t flags, const struct btf **btf)
{
    *btf = env->code->prog->kernel_btf;
    if (!*btf && env->world)
        *btf = env->world->btf;
    if (flags & ~(uint64_t)KERNEL_SHOW_ALL || size != sizeof(*p) || !*btf || !p->type_id || p->type_id > INT32_MAX)
        return -EINVAL;
    return p->type_id < btf_count(*btf) ? 0 : -ENOENT;
}

HELPER_BODY(snprintf_btf)
{
    struct text t = {.env = env, .buf = helper_ptr(a1), .room = (uint32_t)a2};
    const struct kernel_show_to to = {.read = read_value, .put = put_buf, .ctx = &t};
    const struct btf *btf;
    struct btf_ptr p = {0};
    int err;

    memcpy(&p, helper_ptr(a3), (uint32_t)a4 < sizeof(p) ? (uint32_t)a4 : sizeof(p));
    err = prepare(env, &p, (uint32_t)a4, a5, &btf);
    if (!err)
        err = kernel_show(btf, p.type_id, p.ptr, (unsigned)a5, &to);
    return err ? helper_error(err) : t.len;
}

HELPER_BODY(seq_printf_btf)
{
    struct text t = {.env = env};
    const struct kernel_show_to to = {.read = read_value, .put = put_seq, .ctx = &t};
    const struct btf *btf;
    struct btf_ptr p = {0};
    int err;

    if (!env->seq)
        return helper_refuse(env, seq_missing);
    memcpy(&p, helper_ptr(a2), (uint32_t)a3 < sizeof(p) ? (uint32_t)a3 : sizeof(p));
    err = prepare(env, &p, (uint32_t)a3, a4, &btf);
    return helper_error(err ? err : kernel_show(btf, p.type_id, p.ptr, (unsigned)a4, &to));
}
