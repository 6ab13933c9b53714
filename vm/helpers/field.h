/* Special fields as helpers get them: by address. What the verifier proved of an address, checked execution finds out
 * here: each of these ends a checked run that is wrong, and returns NULL. */
#ifndef VM_HELPERS_FIELD_H
#define VM_HELPERS_FIELD_H

#include "vm/helpers/helper.h"
#include "vm/object.h"

/** A field of this kind in a value of this map, 0: of any of the program's. */
bool field_is(struct skep_env *env, uint64_t addr, enum field_kind kind, uint64_t map);
/** A root, in a map's value or in an object; in checked runs, the lock beside it must be held. */
void *field_root(struct skep_env *env, uint64_t addr, enum field_kind kind);
/** The object in which this node stands. owned: the run has a reference to it. */
struct object *field_node(struct skep_env *env, uint64_t addr, enum field_kind kind, bool owned);
/** The same, of an object's address itself. */
struct object *field_object(struct skep_env *env, uint64_t addr, bool owned);
/** A kptr, in a map's value or in an object. */
uint64_t *field_kptr(struct skep_env *env, uint64_t addr);

/** The run has a reference to the object from now on, which is dropped however the run ends. @return false with a
 *  trap noted, and the reference dropped. */
bool object_hold(struct skep_env *env, struct object *o);
/** It has one less. */
void object_let_go(struct skep_env *env, struct object *o);

#endif
