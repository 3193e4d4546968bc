/* The one-call form: a ring per thread and stream, opened at first use, closed when the thread ends. */
#include <pthread.h>
#include <string.h>

#include "ehring_internal.h"

#define RETRY_NS INT64_C(1000000000) /* a stream that cannot be opened is not tried at every event */

struct slot {
    char stream[EHRING_NAME_BYTES_MAX + 1]; /* empty: never used */
    struct ehring *ring;                    /* NULL: could not be opened */
    int open_code;
    int64_t retry_ns;
};

static _Thread_local struct slot slots[EHRING_THREAD_STREAMS_MAX];
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int key_error;

static int slot_of(const char *stream, struct slot **out);
static struct slot *slot_find(const char *stream);
static int slot_open(struct slot *slot, const char *stream);
static void slot_close(struct slot *slot);
static int at_thread_end(void);
static void make_key(void);
static void thread_ends(void *unused);

int ehring_post(const char *stream, const void *data, size_t len, const char *partition_key)
{
    struct slot *slot;
    int err = slot_of(stream, &slot);

    return err ? err : ehring_send(slot->ring, data, len, partition_key);
}

int ehring_thread_ring(const char *stream, struct ehring **out)
{
    struct slot *slot;
    int err = slot_of(stream, &slot);

    *out = err ? NULL : slot->ring;
    return err;
}

void ehring_thread_close(void)
{
    for (size_t i = 0; i < EHRING_THREAD_STREAMS_MAX; i++)
        slot_close(&slots[i]);
}

/* The slot with an open ring of this process. */
static int slot_of(const char *stream, struct slot **out)
{
    struct slot *slot = stream ? slot_find(stream) : NULL;

    if (!stream)
        return EHRING_E_INVALID;
    if (!slot)
        return EHRING_E_THREAD_STREAMS;
    if (slot->ring && ring_writer_alive(writer_of(slot->ring))) {
        *out = slot;
        return 0;
    }
    *out = slot;
    return slot_open(slot, stream);
}

/* The stream's slot, else a free one, else one whose stream could not be opened, else NULL. */
static struct slot *slot_find(const char *stream)
{
    struct slot *spare = NULL;

    for (size_t i = 0; i < EHRING_THREAD_STREAMS_MAX; i++) {
        if (slots[i].stream[0] && strcmp(slots[i].stream, stream) == 0)
            return &slots[i];
        if (!slots[i].ring && (!spare || (spare->stream[0] && !slots[i].stream[0])))
            spare = &slots[i];
    }
    return spare;
}

static int slot_open(struct slot *slot, const char *stream)
{
    const struct ehring_options options = {.stream = stream, .capacity_bytes = EHRING_THREAD_CAPACITY_BYTES};
    int err;

    if (slot->ring) /* of the parent process */
        slot_close(slot);
    if (slot->stream[0] && strcmp(slot->stream, stream) == 0 && clock_now_ns() < slot->retry_ns)
        return slot->open_code;
    err = at_thread_end();
    if (!err)
        err = ehring_open(&options, &slot->ring);
    if (strlen(stream) >= sizeof(slot->stream)) /* refused, and not to be remembered under the name that is there */
        return err;
    strcpy(slot->stream, stream);
    slot->open_code = err;
    slot->retry_ns = err ? clock_now_ns() + RETRY_NS : 0;
    return err;
}

static void slot_close(struct slot *slot)
{
    ehring_close(slot->ring);
    memset(slot, 0, sizeof(*slot));
}

static int at_thread_end(void)
{
    int err = pthread_once(&key_once, make_key);

    if (!err)
        err = key_error;
    if (!err)
        err = pthread_setspecific(key, slots);
    return -err;
}

static void make_key(void)
{
    key_error = pthread_key_create(&key, thread_ends);
}

static void thread_ends(void *unused)
{
    (void)unused;
    ehring_thread_close();
}
