/* A cookie has 8 bytes, or 4 in maps whose values are that short; 0 is nobody's. */
#include "vm/helpers/sock_map.h"
#include "vm/env.h"
#include <errno.h>
#include <string.h>

struct sock *sock_map_at(struct skep_env *env, struct map *map, const void *key)
{
    uint64_t cookie = map_socket_at(map, key);

    return cookie ? sock_by_cookie(env, cookie) : NULL;
}

int sock_map_put(struct skep_env *env, struct map *map, const void *key, struct sock *sk, uint64_t flags)
{
    uint64_t cookie = sock_cookie(env, sk);
    uint32_t narrow = (uint32_t)cookie;
    bool is_narrow = map->def.value_size == sizeof(narrow);

    if (!map->ops->host_update || (!is_narrow && map->def.value_size != sizeof(cookie)))
        return -EOPNOTSUPP;
    if (is_narrow && narrow != cookie)
        return -ENOSPC;
    return map->ops->host_update(map, key, is_narrow ? (void *)&narrow : (void *)&cookie, flags);
}
