/* Linux's backend of the public API: an instance's maps and programs are descriptors that its kernel_object owns. */
#ifndef API_KERNEL_H
#define API_KERNEL_H

#include "api/object.h"
#include "loader/kernel.h"

extern const struct map_backend kernel_map;
extern const struct program_backend kernel_program;

struct skep_link *kernel_link_attach_prog(struct skep_program *prog, const struct skep_attach_opts *opts);
struct skep_link *kernel_link_attach_map(struct skep_object *o, const char *name);

/** Says why Linux refused an object, in the shape of our own reports. */
void kernel_report(struct skep_object *o, int err, const struct kernel_refusal *why, const struct log *log);

#endif
