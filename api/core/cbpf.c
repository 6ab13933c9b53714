/* Classic filters: translated, then loaded as any program. */
#include "vm/isa/cbpf.h"
#include "api/core/core.h"
#include <errno.h>

_Static_assert(sizeof(struct skep_cbpf_insn) == sizeof(struct cbpf_insn) &&
                   offsetof(struct skep_cbpf_insn, k) == offsetof(struct cbpf_insn, k),
               "the API's instruction is the translator's");

struct skep_program *skep_prog_load_cbpf(struct skep_vm *vm, const char *name, bool seccomp,
                                         const struct skep_cbpf_insn *insns, size_t insn_cnt,
                                         const struct skep_exec_opts *exec)
{
    enum { SECCOMP_DATA = 64 };
    struct skep_exec_opts own = {.sz = sizeof(own)};
    struct buf out = {0};
    struct skep_program *prog = NULL;
    if (!vm || (insn_cnt && !insns) || (exec && !opts_read(&own, sizeof(own), exec))) {
        errno = EINVAL;
        return NULL;
    }
    if (own.privilege == SKEP_PRIVILEGE_DEFAULT)
        own.privilege = SKEP_PRIVILEGED;
    uint32_t n = insn_cnt > CBPF_MAX_INSNS ? CBPF_MAX_INSNS + 1 : (uint32_t)insn_cnt;
    int err = cbpf_translate((const struct cbpf_insn *)insns, n, seccomp ? CBPF_SECCOMP : CBPF_PACKET, &vm->log, &out);
    struct skep_prog_load_opts opts = {
        .sz = sizeof(opts), .exec = &own, .mem_size = seccomp ? SECCOMP_DATA : 0, .mem_read_only = seccomp};
    if (!err)
        prog = skep_prog_load(vm, seccomp ? SKEP_PROG_TYPE_RAW : SKEP_PROG_TYPE_SOCKET_FILTER, name ? name : "filter",
                              "GPL", (const struct skep_insn *)out.data, out.len / sizeof(struct skep_insn), &opts);
    else
        errno = -err;
    buf_free(&out);
    return prog;
}
