/* Codes: their sentences, and the slots under which the ring counts them. Also the library's version. */
#include <string.h>

#include "ehring_internal.h"
#include "ringbuf/ring_dropped.h"
#include "ringbuf/ring_refused.h"

static_assert((int)EHRING_REFUSED_FULL == RING_REFUSED_FULL, "slots");
static_assert((int)EHRING_REFUSED_TIMED_OUT == RING_REFUSED_TIMED_OUT, "slots");
static_assert((int)EHRING_REFUSED_DROPPED_FULL == RING_REFUSED_DROPPED_FULL, "slots");
static_assert((int)EHRING_REFUSED_LARGER_THAN_STREAM == RING_REFUSED_LARGER_THAN_STREAM, "slots");
static_assert((int)EHRING_REFUSED_LARGER_THAN_RING == RING_REFUSED_LARGER_THAN_RING, "slots");
static_assert((int)EHRING_REFUSED_KEY_TOO_LONG == RING_REFUSED_KEY_TOO_LONG, "slots");
static_assert((int)EHRING_REFUSED_KEY_NOT_UTF8 == RING_REFUSED_KEY_NOT_UTF8, "slots");
static_assert((int)EHRING_REFUSED_KEY_AND_PARTITION == RING_REFUSED_KEY_AND_PARTITION, "slots");
static_assert((int)EHRING_REFUSED_PARTITION_ID == RING_REFUSED_PARTITION_ID, "slots");
static_assert((int)EHRING_REFUSED_PROPERTY == RING_REFUSED_PROPERTY, "slots");
static_assert((int)EHRING_REFUSED_TEXT_NOT_UTF8 == RING_REFUSED_TEXT_NOT_UTF8, "slots");
static_assert((int)EHRING_REFUSED_META_TOO_LARGE == RING_REFUSED_META_TOO_LARGE, "slots");
static_assert((int)EHRING_REFUSED_INVALID == RING_REFUSED_INVALID, "slots");
static_assert(EHRING_REFUSED_SLOTS == RING_REFUSED_REASONS, "slots");
static_assert((int)EHRING_ABANDONED_REBOOT == RING_DROPPED_REBOOT, "slots");
static_assert(EHRING_ABANDONED_SLOTS == RING_DROPPED_REASONS, "slots");

static const struct {
    int code;
    enum ring_refused reason; /* RING_REFUSED_KNOWN: not about an event, never counted */
    const char *text;
} codes[] = {
    {0, RING_REFUSED_KNOWN, "success"},
    {EHRING_DROPPED, RING_REFUSED_DROPPED_FULL, "the ring is full: the event was dropped and counted"},
    {EHRING_E_FULL, RING_REFUSED_FULL, "the ring is full"},
    {EHRING_E_TIMED_OUT, RING_REFUSED_TIMED_OUT, "timed out"},
    {EHRING_E_EVENT_TOO_LARGE, RING_REFUSED_LARGER_THAN_STREAM, "the event is larger than the stream takes"},
    {EHRING_E_RING_TOO_SMALL, RING_REFUSED_LARGER_THAN_RING, "the event is larger than an eighth of the ring: open it with more capacity"},
    {EHRING_E_KEY_TOO_LONG, RING_REFUSED_KEY_TOO_LONG, "the partition key has more than 128 characters"},
    {EHRING_E_KEY_NOT_UTF8, RING_REFUSED_KEY_NOT_UTF8, "the partition key is not UTF-8"},
    {EHRING_E_KEY_AND_PARTITION, RING_REFUSED_KEY_AND_PARTITION, "the event has a partition key and a partition id: one of them at most"},
    {EHRING_E_PARTITION_ID, RING_REFUSED_PARTITION_ID, "the partition id is not a decimal number below 2032"},
    {EHRING_E_PROPERTY, RING_REFUSED_PROPERTY,
     "a property has a name that is missing, too long, not UTF-8 or there twice, an unknown type, or a value that is missing or not UTF-8"},
    {EHRING_E_TEXT_NOT_UTF8, RING_REFUSED_TEXT_NOT_UTF8,
     "message id, correlation id, schema version or traceparent is not UTF-8, or content type is not ASCII"},
    {EHRING_E_META_TOO_LARGE, RING_REFUSED_META_TOO_LARGE,
     "the event's optional fields are larger than 65528 bytes, or its traceparent than 255"},
    {EHRING_E_INVALID, RING_REFUSED_INVALID, "invalid argument"},
    {EHRING_E_CLOSED, RING_REFUSED_KNOWN, "the ring is closed"},
    {EHRING_E_FORKED, RING_REFUSED_KNOWN, "the ring belongs to the parent process: open another one after fork"},
    {EHRING_E_RESERVED, RING_REFUSED_INVALID, "a reservation is open: commit or discard it first"},
    {EHRING_E_NOT_RESERVED, RING_REFUSED_KNOWN, "there is no reservation to commit or discard"},
    {EHRING_E_NO_STREAM_DIR, RING_REFUSED_KNOWN,
     "the stream's directory does not exist: start the shipper with this stream, or open with make_stream_dir"},
    {EHRING_E_NOT_WRITABLE, RING_REFUSED_KNOWN, "the stream's directory is not writable for this user"},
    {EHRING_E_NO_SPACE, RING_REFUSED_KNOWN, "there is no space for the ring"},
    {EHRING_E_NO_MEMORY, RING_REFUSED_KNOWN, "out of memory"},
    {EHRING_E_PATH_TOO_LONG, RING_REFUSED_KNOWN, "a name or path is too long"},
    {EHRING_E_NO_EVENT, RING_REFUSED_KNOWN, "no event was sent yet"},
    {EHRING_E_THREAD_STREAMS, RING_REFUSED_KNOWN, "this thread uses 8 other streams already: open a ring with ehring_open"},
};
#define CODE_COUNT (sizeof(codes) / sizeof(codes[0]))

const char *ehring_error_text(int code)
{
    const char *text = NULL;

    for (size_t i = 0; i < CODE_COUNT; i++)
        if (codes[i].code == code)
            return codes[i].text;
    if (code < 0 && code > -1000)
        text = strerrordesc_np(-code);
    return text ? text : "unknown code";
}

uint32_t error_reason(int code)
{
    for (size_t i = 0; i < CODE_COUNT; i++)
        if (codes[i].code == code && codes[i].reason != RING_REFUSED_KNOWN)
            return codes[i].reason;
    return RING_REFUSED_INVALID;
}

const char *ehring_refused_name(unsigned reason)
{
    return ring_refused_name(reason);
}

const char *ehring_abandoned_name(unsigned reason)
{
    return ring_dropped_name(reason);
}

const char *ehring_version(void)
{
    return EHRING_VERSION;
}
