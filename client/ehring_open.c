/* Opening and closing a ring: options, directories, and the sentence about what failed. */
#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ehring_internal.h"

#define RINGS_DIR_DEFAULT "/dev/shm/ehring"

static _Thread_local char open_error[512]; /* a sentence about a longer path is cut */

static int open_ring(const struct ehring_options *options, struct ehring **out);
static int check_options(const struct ehring_options *options);
static int check_name(const char *what, const char *name);
static const char *rings_dir_of(const struct ehring_options *options);
static int stream_path(const char *rings_dir, const char *stream, char *path);
static int make_dirs(const char *rings_dir, const char *stream_dir);
static int make_dir(const char *path, mode_t mode);
static int code_of(int err);
static int fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A thread that is cancelled in the middle would leave a ring that lives and is nobody's. */
int ehring_open(const struct ehring_options *options, struct ehring **out)
{
    int saved_errno = errno, cancel_state;
    int err;

    if (!out)
        return fail(EHRING_E_INVALID, "out is NULL");
    *out = NULL;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    err = check_options(options);
    if (!err)
        err = open_ring(options, out);
    pthread_setcancelstate(cancel_state, &cancel_state);
    errno = saved_errno;
    return err;
}

/* Nor may it end here: while it waits for a sync it holds the lock of all rings. */
void ehring_close(struct ehring *ring)
{
    int saved_errno = errno, cancel_state;

    if (!ring)
        return;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    if (ring_writer_alive(writer_of(ring))) {
        sync_remove(ring);
        if (ring->reserved)
            ring_writer_discard(writer_of(ring));
    }
    ring_writer_close(writer_of(ring)); /* and the handle with it */
    pthread_setcancelstate(cancel_state, &cancel_state);
    errno = saved_errno;
}

const char *ehring_open_error(void)
{
    return open_error;
}

static int open_ring(const struct ehring_options *options, struct ehring **out)
{
    struct ring_refusal why = {0};
    const char *rings_dir = rings_dir_of(options);
    char stream_dir[PATH_MAX];
    struct ring_writer *writer;
    struct ehring *ring;
    int err;

    err = stream_path(rings_dir, options->stream, stream_dir);
    if (!err && options->make_stream_dir)
        err = make_dirs(rings_dir, stream_dir);
    if (err)
        return err;
    const struct ring_writer_options writer_options = {
        .stream_dir = stream_dir,
        .name = options->name,
        .capacity = options->capacity_bytes ? options->capacity_bytes : EHRING_CAPACITY_DEFAULT_BYTES,
        .times_all = options->times_all,
        .group_sync = options->sync == EHRING_SYNC,
    };
    err = ring_writer_open(&writer_options, &writer, &why);
    if (err)
        return fail(code_of(err), "%s", why.text[0] ? why.text : ehring_error_text(code_of(err)));
    static_assert(sizeof(*ring) <= RING_BESIDE_BYTES, "handle");
    ring = ring_writer_beside(writer);
    ring->full = options->full;
    ring->wait_ms = options->wait_ms;
    ring_writer_words(writer_of(ring), &ring->words);
    if (ring_writer_wants_sync(writer_of(ring)))
        err = sync_add(ring, options->sync_ms ? options->sync_ms : EHRING_SYNC_MS_DEFAULT);
    if (err) {
        unlink(ring_writer_path(writer_of(ring)));
        ehring_close(ring);
        return fail(EHRING_E_NO_MEMORY, "the thread that syncs rings cannot start: %s", strerrordesc_np(-err));
    }
    *out = ring;
    return 0;
}

static int check_options(const struct ehring_options *options)
{
    int err;

    if (!options || !options->stream)
        return fail(EHRING_E_INVALID, "options name no stream");
    if ((err = check_name("stream", options->stream)) != 0)
        return err;
    if (options->name && (err = check_name("name", options->name)) != 0)
        return err;
    if (options->capacity_bytes != 0 && (options->capacity_bytes < RING_CAPACITY_MIN || options->capacity_bytes > RING_CAPACITY_MAX))
        return fail(EHRING_E_INVALID, "capacity_bytes %llu is not within %llu and %llu", (unsigned long long)options->capacity_bytes,
                    (unsigned long long)RING_CAPACITY_MIN, (unsigned long long)RING_CAPACITY_MAX);
    if ((unsigned)options->full > EHRING_FULL_DROP)
        return fail(EHRING_E_INVALID, "full policy %d is unknown", (int)options->full);
    if ((unsigned)options->sync > EHRING_SYNC)
        return fail(EHRING_E_INVALID, "sync policy %d is unknown", (int)options->sync);
    if (options->sync_ms > EHRING_SYNC_MS_MAX || (options->sync_ms > 0 && options->sync != EHRING_SYNC))
        return fail(EHRING_E_INVALID, "sync_ms %u is more than %u, or given without EHRING_SYNC", options->sync_ms, EHRING_SYNC_MS_MAX);
    for (size_t i = 0; i < sizeof(options->reserved) / sizeof(options->reserved[0]); i++)
        if (options->reserved[i] != 0)
            return fail(EHRING_E_INVALID, "a reserved option is not zero: set the struct to zero first");
    return 0;
}

/* A name becomes a part of a file name. */
static int check_name(const char *what, const char *name)
{
    size_t len = strnlen(name, EHRING_NAME_BYTES_MAX + 1);

    if (len > EHRING_NAME_BYTES_MAX)
        return fail(EHRING_E_PATH_TOO_LONG, "%s has more than %u bytes: %.63s…", what, EHRING_NAME_BYTES_MAX, name);
    if (len == 0 || name[0] == '.' || strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") != len)
        return fail(EHRING_E_INVALID, "%s \"%s\" is not made of A-Z a-z 0-9 . _ - or begins with a dot", what, name);
    return 0;
}

static const char *rings_dir_of(const struct ehring_options *options)
{
    const char *dir = options->rings_dir;

    if (!dir)
        dir = secure_getenv("EHRING_RINGS");
    return dir && dir[0] ? dir : RINGS_DIR_DEFAULT;
}

static int stream_path(const char *rings_dir, const char *stream, char *path)
{
    int len = snprintf(path, PATH_MAX, "%s/%s", rings_dir, stream);

    if (len < 0 || len >= PATH_MAX)
        return fail(EHRING_E_PATH_TOO_LONG, "the rings' directory has a path of more than %d bytes", PATH_MAX);
    return 0;
}

/* As the shipper makes them: <rings> for its user alone, <rings>/<stream> for producers of the group, who may remove only what is theirs.
 */
static int make_dirs(const char *rings_dir, const char *stream_dir)
{
    int err = make_dir(rings_dir, 0755);

    return err ? err : make_dir(stream_dir, 03770);
}

static int make_dir(const char *path, mode_t mode)
{
    if (mkdir(path, 0700) != 0)
        return errno == EEXIST ? 0 : fail(code_of(-errno), "cannot make the directory %s: %s", path, strerrordesc_np(errno));
    if (chmod(path, mode) != 0) /* mkdir's own mode is cut by the umask */
        return fail(code_of(-errno), "cannot set the mode of %s: %s", path, strerrordesc_np(errno));
    return 0;
}

/* Several errno values of the kernel are one thing to the caller. */
static int code_of(int err)
{
    switch (err) {
    case -EPERM:
    case -EROFS:
        return EHRING_E_NOT_WRITABLE;
    case -EDQUOT:
        return EHRING_E_NO_SPACE;
    default:
        return err;
    }
}

static int fail(int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(open_error, sizeof(open_error), format, args);
    va_end(args);
    return code;
}
