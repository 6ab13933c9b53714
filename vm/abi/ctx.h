/* The context layouts of ctx.def, by the names that prog_types.def uses. */
#ifndef VM_ABI_CTX_H
#define VM_ABI_CTX_H

#include "vm/abi/prog_types.h"

extern const struct ctx_layout ctx_skb_filter, ctx_skb_cgroup, ctx_skb_lwt, ctx_skb_tc, ctx_skb_sk, ctx_skb_flow;

#define BEGIN(symbol)
#define FIELD(name, off, size, kind, parts, may)
#define END(symbol, name, size, packets)   extern const struct ctx_layout ctx_##symbol;
#define PLAIN_CTX(symbol, name, size, may) extern const struct ctx_layout ctx_##symbol;
#include "vm/abi/ctx.def"

#endif
