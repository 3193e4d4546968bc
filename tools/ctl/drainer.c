/* Whether a shipper drains a stream. */
#include "drainer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum drainer drainer_look(const char *rings_dir, const char *stream, char *why, size_t why_cap)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s.lock", rings_dir, stream);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        int err = errno;
        snprintf(why, why_cap,
                 err == ENOENT ? "no shipper drains stream %s (%s does not exist)" : "whether a shipper drains stream %s: %s: %s", stream,
                 path, strerror(err));
        return err == ENOENT ? DRAINER_NONE : DRAINER_UNKNOWN;
    }
    int err = fcntl(fd, F_OFD_GETLK, &lock) == 0 ? 0 : errno;
    close(fd);
    if (err == 0 && lock.l_type != F_UNLCK)
        return DRAINER_LIVES;
    snprintf(why, why_cap, err == 0 ? "no shipper drains stream %s (nobody holds %s)" : "whether a shipper drains stream %s: %s: %s",
             stream, path, strerror(err));
    return err == 0 ? DRAINER_NONE : DRAINER_UNKNOWN;
}

void drainer_wake(const char *rings_dir, const char *stream)
{
    struct sockaddr_un bell = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return;
    if (snprintf(bell.sun_path, sizeof(bell.sun_path), "%s/%s.bell", rings_dir, stream) < (int)sizeof(bell.sun_path))
        sendto(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&bell, sizeof(bell));
    close(fd);
}
