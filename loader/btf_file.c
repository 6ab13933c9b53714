/* BTF from files: what begins with ELF's magic is searched for a .BTF section, anything else is taken for raw BTF. */
#include "loader/btf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_BTF = 1 << 30 };

/* Finds the .BTF section. libelf checks the section's bounds against the file. */
static Elf_Data *find_section(Elf *elf, const struct log *log)
{
    Elf_Scn *scn = NULL;
    size_t names;

    if (elf_getshdrstrndx(elf, &names))
        return NULL;
    while ((scn = elf_nextscn(elf, scn))) {
        GElf_Shdr sh;
        const char *name = gelf_getshdr(scn, &sh) ? elf_strptr(elf, names, sh.sh_name) : NULL;

        if (!name || strcmp(name, ".BTF") || sh.sh_type == SHT_NOBITS)
            continue;
        if (sh.sh_flags & SHF_COMPRESSED) {
            log_fail(log, -EINVAL, "its .BTF section is compressed");
            return NULL;
        }
        return sh.sh_size <= MAX_BTF ? elf_rawdata(scn, NULL) : NULL;
    }
    return NULL;
}

static int load_elf(int fd, const struct btf *base, const struct log *log, struct btf **out)
{
    Elf_Data *data;
    Elf *elf;
    int err;

    elf_version(EV_CURRENT);
    elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    if (!elf || elf_kind(elf) != ELF_K_ELF) {
        elf_end(elf);
        return log_fail(log, -EINVAL, "not a sound ELF file");
    }
    data = find_section(elf, log);
    if (data && data->d_buf)
        err = btf_parse(data->d_buf, data->d_size, base, false, log, out);
    else
        err = log_fail(log, -ENOENT, "has no .BTF section");
    elf_end(elf);
    return err;
}

int btf_load_file(const char *path, const struct btf *base, const struct log *log, struct btf **out)
{
    struct log at = LOG_AT(log, path);
    char magic[4] = "";
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;

    if (fd < 0)
        return log_fail(&at, -errno, "%s", strerror(errno));
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        err = log_fail(&at, -EINVAL, "no regular file");
    else if (pread(fd, magic, sizeof(magic), 0) == sizeof(magic) && !memcmp(magic, "\177ELF", 4))
        err = load_elf(fd, base, &at, out);
    else
        err = btf_load_raw(path, base, log, out);
    close(fd);
    return err;
}

int btf_load_kernel(const struct log *log, struct btf **out)
{
    static const char path[] = "/sys/kernel/btf/vmlinux";

    /* Its absence is for the caller to judge: not every run needs it. */
    if (access(path, R_OK))
        return -errno;
    return btf_load_raw(path, NULL, log, out);
}
