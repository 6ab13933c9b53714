/* Linux's error numbers by name: those of errno-base.h and errno.h that helpers return. */
#include "vm/world/errors.h"
#include <errno.h>
#include <string.h>

#define NAMED(name)                                                                                                    \
    {                                                                                                                  \
#name, name                                                                                                    \
    }
static const struct {
    const char *name;
    int number;
} errors[] = {
    NAMED(EPERM),       NAMED(ENOENT),       NAMED(ESRCH),        NAMED(EINTR),         NAMED(EIO),
    NAMED(ENXIO),       NAMED(E2BIG),        NAMED(ENOEXEC),      NAMED(EBADF),         NAMED(ECHILD),
    NAMED(EAGAIN),      NAMED(ENOMEM),       NAMED(EACCES),       NAMED(EFAULT),        NAMED(EBUSY),
    NAMED(EEXIST),      NAMED(EXDEV),        NAMED(ENODEV),       NAMED(ENOTDIR),       NAMED(EISDIR),
    NAMED(EINVAL),      NAMED(ENFILE),       NAMED(EMFILE),       NAMED(ENOTTY),        NAMED(EFBIG),
    NAMED(ENOSPC),      NAMED(ESPIPE),       NAMED(EROFS),        NAMED(EPIPE),         NAMED(EDOM),
    NAMED(ERANGE),      NAMED(EDEADLK),      NAMED(ENAMETOOLONG), NAMED(ENOSYS),        NAMED(ELOOP),
    NAMED(ENOMSG),      NAMED(EPROTO),       NAMED(EBADMSG),      NAMED(EOVERFLOW),     NAMED(EILSEQ),
    NAMED(EOPNOTSUPP),  NAMED(EAFNOSUPPORT), NAMED(EADDRINUSE),   NAMED(EADDRNOTAVAIL), NAMED(ENETDOWN),
    NAMED(ENETUNREACH), NAMED(ECONNABORTED), NAMED(ECONNRESET),   NAMED(ENOBUFS),       NAMED(EISCONN),
    NAMED(ENOTCONN),    NAMED(ETIMEDOUT),    NAMED(ECONNREFUSED), NAMED(EHOSTUNREACH),  NAMED(EALREADY),
    NAMED(EINPROGRESS), NAMED(ESTALE),       NAMED(EDQUOT),       NAMED(ECANCELED),     NAMED(EPROTONOSUPPORT),
    NAMED(EMSGSIZE),    NAMED(ENODATA),      NAMED(ETIME),        {"ENOTSUPP", 524},
};

int64_t world_errno(const char *name)
{
    for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (!strcmp(errors[i].name, name))
            return -errors[i].number;
    return 0;
}
