/*
 * BTF from files: raw BTF, or the .BTF section of an ELF file.
 */
#ifndef LOADER_BTF_FILE_H
#define LOADER_BTF_FILE_H

#include "vm/btf/btf.h"

/** Reads either kind of file. @return 0 and *out (btf_free() it); -ENOENT and the like; -EINVAL with a message. */
int btf_load_file(const char *path, const struct btf *base, const struct log *log, struct btf **out);

/** Types of the running kernel (/sys/kernel/btf/vmlinux). @return 0; -ENOENT where there are none. */
int btf_load_kernel(const struct log *log, struct btf **out);

#endif
