/*
 * What programs keep beside objects of the run's world: sockets, tasks, inodes, cgroups. An owner is a number: the
 * object's own where it has one (a socket's cookie, a thread's id, an inode's number, a cgroup's id), else the address
 * that the world gave it.
 */
#ifndef VM_MAPS_STORAGE_H
#define VM_MAPS_STORAGE_H

#include "vm/maps/map.h"

/** The value that belongs to owner, to be used under an epoch. create: when there is none yet, it comes to be with
 * what stands in init (NULL: zeroes). @return NULL: there is none, or memory is short. */
void *storage_get(struct map *map, uint64_t owner, const void *init, bool create);
/** 0, -ENOENT. */
int storage_delete(struct map *map, uint64_t owner);

/** CGROUP_STORAGE and PERCPU_CGROUP_STORAGE: the value of a cgroup (keys of 16 bytes: and of a way to attach) that
 * this CPU sees, which comes to be with zeroes. NULL: memory is short. */
void *storage_of_cgroup(struct map *map, uint64_t cgroup, uint32_t attach_type, uint32_t cpu);

#endif
