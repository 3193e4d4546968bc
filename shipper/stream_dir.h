/* The directory that a stream's producers share with the shipper: who may create, who may read, who may remove. */
#ifndef EHRING_STREAM_DIR_H
#define EHRING_STREAM_DIR_H

#include <stddef.h>

/* Makes `rings` (others may pass) and `dir` if missing and opens `dir`. With a `group` (not empty): mode 3770, so that its members create
 * and only the owner of the directory removes, and a default ACL that gives each new ring to its producer and to this process's user, and
 * not to the group. Without: mode 0700 when made. A descriptor, or a negative errno with a sentence in `why`. Main thread. */
int stream_dir_open(const char *rings, const char *dir, const char *group, char *why, size_t why_len);

#endif
