/* What programs on their own objects need, without the kernel's headers. */
/* The first is what the second needs, and macros stay as they are. */
/* clang-format off */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define __kptr_tag           __attribute__((btf_type_tag("kptr")))
#define __kptr_plain         __attribute__((btf_type_tag("kptr_untrusted")))
#define __kptr_percpu        __attribute__((btf_type_tag("percpu_kptr")))
#define contains(type, node) __attribute__((btf_decl_tag("contains:" #type ":" #node)))
#define private(name) SEC(".data." #name) __attribute__((aligned(8)))
#define container(ptr, type, member) ((type *)((void *)(ptr) - __builtin_offsetof(type, member)))

struct bpf_list_head {
    __u64 opaque[2];
} __attribute__((aligned(8)));
struct bpf_list_node {
    __u64 opaque[3];
} __attribute__((aligned(8)));
struct bpf_rb_root {
    __u64 opaque[2];
} __attribute__((aligned(8)));
struct bpf_rb_node {
    __u64 opaque[4];
} __attribute__((aligned(8)));
struct bpf_refcount {
    __u32 opaque[1];
} __attribute__((aligned(4)));
struct bpf_wq {
    __u64 opaque[2];
} __attribute__((aligned(8)));

extern void *bpf_obj_new_impl(__u64 type, void *meta) __ksym;
extern void bpf_obj_drop_impl(void *p, void *meta) __ksym;
extern void *bpf_percpu_obj_new_impl(__u64 type, void *meta) __ksym;
extern void bpf_percpu_obj_drop_impl(void *p, void *meta) __ksym;
extern void *bpf_refcount_acquire_impl(void *p, void *meta) __ksym;
extern int bpf_list_push_front_impl(struct bpf_list_head *, struct bpf_list_node *, void *meta, __u64 off) __ksym;
extern int bpf_list_push_back_impl(struct bpf_list_head *, struct bpf_list_node *, void *meta, __u64 off) __ksym;
extern struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *) __ksym;
extern struct bpf_list_node *bpf_list_pop_back(struct bpf_list_head *) __ksym;
extern struct bpf_list_node *bpf_list_front(struct bpf_list_head *) __ksym;
extern struct bpf_list_node *bpf_list_back(struct bpf_list_head *) __ksym;
extern int bpf_rbtree_add_impl(struct bpf_rb_root *, struct bpf_rb_node *,
                               _Bool (*less)(struct bpf_rb_node *, const struct bpf_rb_node *), void *meta,
                               __u64 off) __ksym;
extern struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *, struct bpf_rb_node *) __ksym;
extern struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *) __ksym;
extern struct bpf_rb_node *bpf_rbtree_root(struct bpf_rb_root *) __ksym;
extern struct bpf_rb_node *bpf_rbtree_left(struct bpf_rb_root *, struct bpf_rb_node *) __ksym;
extern struct bpf_rb_node *bpf_rbtree_right(struct bpf_rb_root *, struct bpf_rb_node *) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern int bpf_wq_init(struct bpf_wq *, void *map, unsigned int flags) __ksym;
extern int bpf_wq_start(struct bpf_wq *, unsigned int flags) __ksym;
extern int bpf_wq_set_callback_impl(struct bpf_wq *, int (*cb)(void *map, int *key, void *value), unsigned int flags,
                                    void *aux) __ksym;

#define new(type)                  ((type *)bpf_obj_new_impl(__builtin_btf_type_id(*(type *)0, 0), 0))
#define drop(p)                    bpf_obj_drop_impl(p, 0)
#define share(p)                   bpf_refcount_acquire_impl(p, 0)
#define push_front(head, node)     bpf_list_push_front_impl(head, node, 0, 0)
#define push_back(head, node)      bpf_list_push_back_impl(head, node, 0, 0)
#define tree_add(root, node, less) bpf_rbtree_add_impl(root, node, less, 0, 0)

/* clang-format on */

char LICENSE[] SEC("license") = "GPL";
