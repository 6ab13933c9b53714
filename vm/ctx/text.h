/*
 * Contexts by the names of their fields, in and out, as people write them: world files and `--ctx` read them so,
 * results show them so. Fields that a layout has in pieces ("remote_ip6[0]" ...) go by one name and are an address, or
 * an array of numbers.
 */
#ifndef VM_CTX_TEXT_H
#define VM_CTX_TEXT_H

#include "base/json.h"
#include "vm/abi/ctx.h"

/** Do the fields of this layout have names? */
bool ctx_text_names(const struct ctx_layout *layout);
/**
 * Stores the field of this name; data has layout->size bytes.
 * @return 1; 0: there is no such field; -EINVAL, said with its place.
 */
int ctx_text_put(const struct ctx_layout *layout, const char *name, const struct json *v, const struct json_path *at,
                 const struct log *log, unsigned char *data);
/** Writes an object of all fields that are not pointers, when there are as many bytes as the layout has. */
void ctx_text_show(const struct ctx_layout *layout, const unsigned char *data, uint32_t size, struct json_writer *w);

#endif
