/* The few kernel types that the programs here name, by the fields that they read: CO-RE finds their places. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_tracing.h>

#define KERNEL __attribute__((preserve_access_index))

struct mm_struct;
struct task_struct;
struct inode {
    unsigned long i_ino;
} KERNEL;
struct file {
    struct inode *f_inode;
    void *private_data;
} KERNEL;
struct mm_struct {
    struct file *exe_file;
    unsigned long start_stack;
} KERNEL;
struct task_struct {
    int pid, tgid;
    char comm[16];
    struct task_struct *real_parent, *group_leader;
    struct mm_struct *mm;
} KERNEL;
struct sock_common {
    unsigned short skc_family;
} KERNEL;
struct sock {
    struct sock_common __sk_common;
} KERNEL;
struct sk_buff {
    unsigned int len;
} KERNEL;
struct seq_file;
struct bpf_iter_meta {
    struct seq_file *seq;
    __u64 session_id;
} KERNEL;
struct bpf_iter__task {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
} KERNEL;

extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern void bpf_preempt_disable(void) __ksym;
extern void bpf_preempt_enable(void) __ksym;
extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern struct task_struct *bpf_task_from_pid(int pid) __ksym;

volatile long out;
