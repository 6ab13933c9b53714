/*
 * As much of a kernel as Linux's lib/test_bpf.c needs to be compiled here in place, unchanged. Each <linux/...> header
 * that it includes is a generated one that leads to this file; what Linux shows to user space (struct bpf_insn,
 * operation codes, classic filters) comes from the system's own headers. Three kinds of things follow: the language of
 * the kernel (types, attributes, printing), the instruction macros, and the machine: memory, packets and programs. What
 * is declared without a body in kernel.c belongs to the suite's network part, which nothing here calls.
 */
#ifndef TESTS_LINUX_KERNEL_H
#define TESTS_LINUX_KERNEL_H

#include_next <linux/bpf.h>
#include_next <linux/bpf_common.h>
#include_next <linux/filter.h>

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A kernel defines its own byte order's name only; libc both, as numbers. */
#include <endian.h>
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#undef __BIG_ENDIAN
#else
#undef __LITTLE_ENDIAN
#endif

/* The language. */
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

#define __init
#define __exit
#define __initconst
#define BIT(n)                    (1UL << (n))
#define BUG_ON(bad)               ((bad) ? abort() : (void)0)
#define S16_MAX                   INT16_MAX
#define S16_MIN                   INT16_MIN
#define S32_MAX                   INT32_MAX
#define S32_MIN                   INT32_MIN
#define S64_MAX                   INT64_MAX
#define S64_MIN                   INT64_MIN
#define U32_MAX                   UINT32_MAX
#define U64_MAX                   UINT64_MAX
#define div64_u64(a, b)           ((u64)(a) / (u64)(b))
#define div64_u64_rem(a, b, rest) (*(rest) = (u64)(a) % (u64)(b), (u64)(a) / (u64)(b))
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define cpu_to_be16(v) ((u16)__builtin_bswap16(v))
#define cpu_to_be32(v) __builtin_bswap32(v)
#define cpu_to_be64(v) __builtin_bswap64(v)
#define cpu_to_le16(v) ((u16)(v))
#define cpu_to_le32(v) ((u32)(v))
#define cpu_to_le64(v) ((u64)(v))
#else
#define cpu_to_be16(v) ((u16)(v))
#define cpu_to_be32(v) ((u32)(v))
#define cpu_to_be64(v) ((u64)(v))
#define cpu_to_le16(v) ((u16)__builtin_bswap16(v))
#define cpu_to_le32(v) __builtin_bswap32(v)
#define cpu_to_le64(v) __builtin_bswap64(v)
#endif
#define ARRAY_SIZE(a)           (sizeof(a) / sizeof((a)[0]))
#define IS_ENABLED(conf)        0
#define min(a, b)               ((a) < (b) ? (a) : (b))
#define max(a, b)               ((a) > (b) ? (a) : (b))
#define do_div(n, by)           ((n) /= (by))
#define fallthrough             __attribute__((fallthrough))
#define cond_resched()          ((void)0)
#define migrate_disable()       ((void)0)
#define migrate_enable()        ((void)0)
#define strscpy(to, from, size) snprintf(to, size, "%s", from)

#define module_init(fn)
#define module_exit(fn)
#define MODULE_LICENSE(text)
#define module_param(name, type, mode)
#define module_param_array(name, type, count, mode)
#define module_param_string(name, string, len, mode)

/* What the suite prints goes into a buffer, which the driver shows for tests that fail. */
void kernel_print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#define pr_info kernel_print
#define pr_err  kernel_print
#define pr_cont kernel_print

/* Random numbers for the constants of classic filters. */
struct rnd_state {
    u64 x;
};
void prandom_seed_state(struct rnd_state *state, u64 seed);
u32 prandom_u32_state(struct rnd_state *state);

/* Memory. Every block knows its size, since checked execution has to be told what a program may touch. */
#define GFP_KERNEL 0
void *kmalloc(size_t size, int flags);
void *kzalloc(size_t size, int flags);
void *kmalloc_array(size_t count, size_t size, int flags);
void *kcalloc(size_t count, size_t size, int flags);
void kfree(const void *block);
size_t ksize(const void *block);

/* Instructions. */
#define MAX_BPF_STACK     512
#define MAX_TAIL_CALL_CNT 33
#define BPF_TAIL_CALL     0xf0
#define BPF_REG_FP        BPF_REG_10

#define KERNEL_INSN(c, d, s, o, i)                                                                                     \
    ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})

#define BPF_RAW_INSN(code, dst, src, off, imm) KERNEL_INSN(code, dst, src, off, imm)
#define BPF_ALU64_REG(op, dst, src)            KERNEL_INSN(BPF_ALU64 | BPF_OP(op) | BPF_X, dst, src, 0, 0)
#define BPF_ALU32_REG(op, dst, src)            KERNEL_INSN(BPF_ALU | BPF_OP(op) | BPF_X, dst, src, 0, 0)
#define BPF_ALU64_IMM(op, dst, imm)            KERNEL_INSN(BPF_ALU64 | BPF_OP(op) | BPF_K, dst, 0, 0, imm)
#define BPF_ALU32_IMM(op, dst, imm)            KERNEL_INSN(BPF_ALU | BPF_OP(op) | BPF_K, dst, 0, 0, imm)
#define BPF_MOV64_REG(dst, src)                BPF_ALU64_REG(BPF_MOV, dst, src)
#define BPF_MOV32_REG(dst, src)                BPF_ALU32_REG(BPF_MOV, dst, src)
#define BPF_MOV64_IMM(dst, imm)                BPF_ALU64_IMM(BPF_MOV, dst, imm)
#define BPF_MOV32_IMM(dst, imm)                BPF_ALU32_IMM(BPF_MOV, dst, imm)
#define BPF_ENDIAN(order, dst, bits)           KERNEL_INSN(BPF_ALU | BPF_END | BPF_SRC(order), dst, 0, 0, bits)
#define BPF_LDX_MEM(size, dst, src, off)       KERNEL_INSN(BPF_LDX | BPF_SIZE(size) | BPF_MEM, dst, src, off, 0)
#define BPF_STX_MEM(size, dst, src, off)       KERNEL_INSN(BPF_STX | BPF_SIZE(size) | BPF_MEM, dst, src, off, 0)
#define BPF_ST_MEM(size, dst, off, imm)        KERNEL_INSN(BPF_ST | BPF_SIZE(size) | BPF_MEM, dst, 0, off, imm)
#define BPF_ATOMIC_OP(size, op, dst, src, off) KERNEL_INSN(BPF_STX | BPF_SIZE(size) | BPF_ATOMIC, dst, src, off, op)
#define BPF_JMP_REG(op, dst, src, off)         KERNEL_INSN(BPF_JMP | BPF_OP(op) | BPF_X, dst, src, off, 0)
#define BPF_JMP_IMM(op, dst, imm, off)         KERNEL_INSN(BPF_JMP | BPF_OP(op) | BPF_K, dst, 0, off, imm)
#define BPF_JMP32_REG(op, dst, src, off)       KERNEL_INSN(BPF_JMP32 | BPF_OP(op) | BPF_X, dst, src, off, 0)
#define BPF_JMP32_IMM(op, dst, imm, off)       KERNEL_INSN(BPF_JMP32 | BPF_OP(op) | BPF_K, dst, 0, off, imm)
#define BPF_JMP_A(off)                         KERNEL_INSN(BPF_JMP | BPF_JA, 0, 0, off, 0)
#define BPF_CALL_REL(target)                   KERNEL_INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, target)
#define BPF_EMIT_CALL(fn)                      KERNEL_INSN(BPF_JMP | BPF_CALL, 0, 0, 0, (s32)((fn) - (long)__bpf_call_base))
#define BPF_EXIT_INSN()                        KERNEL_INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
/* The kernel marks extensions that its verifier added; what they do is what any 32-bit move of a register to itself
 * does. */
#define BPF_ZEXT_REG(dst) BPF_MOV32_REG(dst, dst)
/* Two slots: the upper half of the constant stands in the second, whose other fields are zero. */
#define BPF_LD_IMM64(dst, imm64)                                                                                       \
    KERNEL_INSN(BPF_LD | BPF_DW | BPF_IMM, dst, 0, 0, (u32)(imm64)), KERNEL_INSN(0, 0, 0, 0, (u64)(imm64) >> 32)

/* The suite defines one helper of one argument in this way; it is called with five. */
#define BPF_CALL_1(name, type, arg)                                                                                    \
    static u64 name##_body(type arg);                                                                                  \
    static u64 name(u64 a1, u64 a2, u64 a3, u64 a4, u64 a5)                                                            \
    {                                                                                                                  \
        (void)a2, (void)a3, (void)a4, (void)a5;                                                                        \
        return name##_body((type)a1);                                                                                  \
    }                                                                                                                  \
    static u64 name##_body(type arg)

#define BPF_STX_XADD(size, dst, src, off) BPF_ATOMIC_OP(size, BPF_ADD, dst, src, off)

/* Filters of the classic kind. */
#define __BPF_STMT(op, constant)                    ((struct sock_filter)BPF_STMT(op, constant))
#define __BPF_JUMP(op, constant, if_true, if_false) ((struct sock_filter)BPF_JUMP(op, constant, if_true, if_false))
struct sock_fprog_kern {
    u16 len;
    struct sock_filter *filter;
};

/* Programs: run by an engine of ours, which the driver has chosen. */
struct bpf_prog_aux {
    u32 stack_depth;
    bool verifier_zext;
};

struct bpf_prog {
    u32 len;
    u32 type;
    bool jited;
    struct bpf_prog_aux *aux;
    void *code; /* struct code, once its runtime was selected */
    struct bpf_insn insnsi[];
};

struct bpf_map {
    u32 max_entries;
};

struct bpf_array {
    struct bpf_map map;
    void *ptrs[];
};

#define bpf_prog_size(len) (sizeof(struct bpf_prog) + (len) * sizeof(struct bpf_insn))
struct bpf_prog *bpf_prog_alloc(unsigned size, int flags);
struct bpf_prog *bpf_prog_select_runtime(struct bpf_prog *prog, int *err);
u32 bpf_prog_run(const struct bpf_prog *prog, const void *ctx);
void bpf_prog_free(struct bpf_prog *prog);
int bpf_prog_create(struct bpf_prog **out, struct sock_fprog_kern *filter);
void bpf_prog_destroy(struct bpf_prog *prog);
u64 ktime_get_ns(void);

/* The tail call tests find the kernel's functions through these; the driver relocates those tests itself. */
u64 __bpf_call_base(u64 a1, u64 a2, u64 a3, u64 a4, u64 a5);
int numa_node_id(void);
u64 ktime_get_boot_fast_ns(void);
u64 ktime_get_coarse_ns(void);
u64 get_jiffies_64(void);

/* Packets. */
#define ETH_P_IP     0x0800
#define ETH_P_IPV6   0x86dd
#define ETH_HLEN     14
#define PAGE_SIZE    4096
#define NET_IP_ALIGN 0
#define NET_SKB_PAD  64

typedef u64 netdev_features_t;
struct net {
    int unused;
};
extern struct net init_net;

struct net_device {
    int ifindex;
    u16 type;
};

struct page;

struct skb_shared_info {
    u16 gso_size, gso_segs;
    u32 gso_type;
    struct sk_buff *frag_list;
    struct {
        s64 hwtstamp;
    } hwtstamps;
};

struct sk_buff {
    struct net_device *dev;
    u8 *data;
    u32 len, data_len, truesize, room;
    u32 mark, hash;
    u16 queue_mapping, vlan_tci, protocol, vlan_proto;
    u8 pkt_type, vlan_present;
};

struct sk_buff *alloc_skb(unsigned size, int flags);
void *__skb_put_data(struct sk_buff *skb, const void *data, unsigned len);
void kfree_skb(struct sk_buff *skb);
#define skb_reset_mac_header(skb)        ((void)(skb))
#define skb_reset_network_header(skb)    ((void)(skb))
#define skb_set_mac_header(skb, off)     ((void)(skb), (void)(off))
#define skb_set_network_header(skb, off) ((void)(skb), (void)(off))
#define dev_net_set(dev, net)            ((void)(dev), (void)(net))

/* Pages for packets in fragments, and the segmentation tests: only the classic and the network tests ask for them. */
struct page *alloc_page(int flags);
void __free_page(struct page *page);
void *kmap(struct page *page);
void kunmap(struct page *page);
void skb_add_rx_frag(struct sk_buff *skb, int i, struct page *page, int off, int size, unsigned truesize);
struct sk_buff *dev_alloc_skb(unsigned size);
void skb_reserve(struct sk_buff *skb, int len);
void *skb_put(struct sk_buff *skb, unsigned len);
void *__skb_pull(struct sk_buff *skb, unsigned len);
struct skb_shared_info *skb_shinfo(const struct sk_buff *skb);
struct sk_buff *skb_segment(struct sk_buff *skb, netdev_features_t features);
void kfree_skb_list(struct sk_buff *skb);
bool IS_ERR(const void *p);

enum { SKB_GSO_TCPV4 = 1, SKB_GSO_TCPV6 = 2, SKB_GSO_DODGY = 4 };
#define NETIF_F_SG              BIT(0)
#define NETIF_F_GSO_PARTIAL     BIT(1)
#define NETIF_F_IP_CSUM         BIT(2)
#define NETIF_F_IPV6_CSUM       BIT(3)
#define NETIF_F_RXCSUM          BIT(4)
#define NETIF_F_FRAGLIST        BIT(5)
#define NETIF_F_HW_VLAN_CTAG_TX BIT(6)
#define NETIF_F_GSO             BIT(7)
#define NETIF_F_LLTX            BIT(8)
#define NETIF_F_GRO             BIT(9)
#define NETIF_F_HW_VLAN_STAG_TX BIT(10)

#endif
