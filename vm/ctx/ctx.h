/*
 * Contexts: from what a caller has (packet bytes, context bytes) to what r1 points to, and back, with the meaning of
 * BPF_PROG_TEST_RUN for each program type. ctx_open() prepares an environment for one run, ctx_close() reads the
 * results and gives the buffers back to the environment, which keeps them for the next run.
 *
 * Types that Linux has no test run for (kprobe, tracepoint, perf_event and other hooks of the tracer) take ctx_in as
 * the record itself; what is not given is zero. A program without a type (type NULL) gets a copy of data_in as
 * env->ctx, and data_out is what that memory became. Interface numbers are taken as they are: a run's world has no
 * devices.
 */
#ifndef VM_CTX_CTX_H
#define VM_CTX_CTX_H

#include "vm/env.h"

enum { CTX_HEADROOM = 256 /* XDP_PACKET_HEADROOM */, CTX_TAILROOM = 320 /* skb_shared_info of Linux on 64 bits */ };

struct ctx_io {
    const void *data_in;
    uint32_t data_size_in;
    const void *ctx_in;
    uint32_t ctx_size_in;
    void *data_out;         /* NULL: not wanted */
    uint32_t data_size_out; /* in: room; out: full length */
    void *ctx_out;
    uint32_t ctx_size_out;
    bool link; /* socket_filter: the packet is seen from its link-level header on, as by packet sockets, and may be any
                * bytes */
    int32_t result; /* out, of ctx_close(): what the hook's caller gets (hook_result) */
};

/** Sets env->ctx and what belongs to it. @return 0; -EINVAL where bpf(2) would say so, with a message; -E2BIG; -ENOMEM.
 */
int ctx_open(struct skep_env *env, const struct prog_type *type, const struct ctx_io *io, const struct log *log);

/** Before each repetition: the packet's ends stay as the last run left them, as in Linux. After the last: fills the
 * outputs.
 *  @return 0; -ENOSPC when data_out or ctx_out was too short (it holds what fits). */
int ctx_close(struct skep_env *env, const struct prog_type *type, struct ctx_io *io, uint64_t retval);

/** Sets env->ctx to size bytes of the caller's, which need no buffers, for a program without a type. */
void ctx_borrow(struct skep_env *env, void *mem, uint32_t size);
/** Ends what ctx_borrow() began. */
void ctx_return(struct skep_env *env);

/** Frees what ctx_open() keeps in the environment. env_free() calls it. */
void ctx_drop(struct skep_env *env);

#endif
