/* What the files of the check share: check.c (lines and status), check_machine.c (this machine), check_peer.c (the way to a hub). Private
 * to them. */
#ifndef EHRING_CHECK_INTERNAL_H
#define EHRING_CHECK_INTERNAL_H

#include "check.h"

struct check {
    FILE *to;
    const char *scope; /* "machine", or the stream's name */
    enum check_status status;
    bool has_rings; /* their directory can be used */
    unsigned ok_count, warn_count, fail_count;
};

/* Each writes a line. What is seen may hold texts of others: control characters are replaced. `remedy` NULL: none. */
void check_ok(struct check *check, const char *item, const char *format, ...) __attribute__((format(printf, 3, 4)));
void check_warn(struct check *check, const char *item, const char *remedy, const char *format, ...) __attribute__((format(printf, 4, 5)));
void check_fail(struct check *check, enum check_status status, const char *item, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* ---- check_machine.c ---- */
void check_machine(struct check *check, const struct config *config);
void check_stream_dir(struct check *check, const struct config *config, const struct config_stream *stream);

/* ---- check_peer.c ---- */
void check_peer(struct check *check, const struct config_stream *stream);

#endif
