/*
 * Maps of sockets (SOCKMAP, SOCKHASH, REUSEPORT_SOCKARRAY): what stands in them are cookies of sockets of the run's
 * world, so that a map outlives the run whose sockets it names.
 */
#ifndef VM_HELPERS_SOCK_MAP_H
#define VM_HELPERS_SOCK_MAP_H

#include "vm/maps/map.h"
#include "vm/sock.h"

/** The socket that stands there; NULL: none, or one that this run's world does not have. */
struct sock *sock_map_at(struct skep_env *env, struct map *map, const void *key);
/** The socket that stands there, held for the program; 0: none. */
uint64_t sock_map_hold(struct skep_env *env, struct map *map, const void *key);
/** Puts one there. @return 0 or the error of a map's update. */
int sock_map_put(struct skep_env *env, struct map *map, const void *key, struct sock *sk, uint64_t flags);

#endif
