/* One producer of the demo: lines into a ring, each with its own position as message-id. */
#include "feed.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/ehring.h"
#include "tools/send/pace.h"
#include "tools/send/position.h"

enum { ROOM_WAIT_MS = 30000 };

struct feed {
    struct ehring *ring;
    uint64_t capacity;
    uint64_t next_pos;
    uint64_t sent_bytes;
    char id[POSITION_ID_BYTES + 1]; /* of the event in hand */
};

static int feed_open(struct feed *feed, const struct demo_options *options);
static int send_line(struct feed *feed, const struct demo_lines *lines, uint64_t number);
static int check_position(const struct feed *feed, uint64_t pos);
static int flush(const struct feed *feed, const struct demo_options *options);

int demo_feed(const struct demo_options *options, const struct demo_lines *lines)
{
    struct feed feed = {0};
    int64_t start_ns = pace_now_ns();
    int status = feed_open(&feed, options);

    for (uint64_t number = 1; status == 0 && number <= options->event_count; number++) {
        pace_wait(options->rate, number, start_ns);
        status = send_line(&feed, lines, number);
    }
    if (status == 0) {
        double written_s = (double)(pace_now_ns() - start_ns) / 1e9;
        status = flush(&feed, options);
        if (status == 0)
            printf("producer=%" PRIu32 " events=%" PRIu64 " bytes=%" PRIu64 " written_s=%.3f accepted_s=%.3f ring=%.36s\n",
                   options->producer, options->event_count, feed.sent_bytes, written_s, (double)(pace_now_ns() - start_ns) / 1e9, feed.id);
    }
    ehring_close(feed.ring);
    return status;
}

static int feed_open(struct feed *feed, const struct demo_options *options)
{
    struct ehring_options open = {.stream = options->stream,
                                  .rings_dir = options->rings_dir,
                                  .capacity_bytes = options->capacity_bytes,
                                  .full = EHRING_FULL_WAIT,
                                  .wait_ms = ROOM_WAIT_MS,
                                  .times_all = true};
    struct ehring_stats stats;
    char name[32];

    snprintf(name, sizeof(name), "producer-%" PRIu32, options->producer);
    open.name = name;
    if (ehring_open(&open, &feed->ring) < 0) {
        fprintf(stderr, "ehring-demo feed: %s\n", ehring_open_error());
        return 1;
    }
    ehring_read_stats(feed->ring, &stats);
    feed->capacity = stats.capacity_bytes;
    if (position_id_begin(feed->id, ehring_path(feed->ring)))
        return 0;
    fprintf(stderr, "ehring-demo feed: %s has no uuid in its name\n", ehring_path(feed->ring));
    return 1;
}

static int send_line(struct feed *feed, const struct demo_lines *lines, uint64_t number)
{
    const struct demo_line *line = &lines->line[(number - 1) % lines->count];
    const char *key = line->key == DEMO_NO_KEY ? NULL : lines->key[line->key];
    uint32_t key_len = key ? (uint32_t)strlen(key) : 0;
    uint32_t meta_len = position_tlv_bytes(0, POSITION_ID_BYTES) + position_tlv_bytes(4, 8);
    uint64_t record_len = position_record_bytes(key_len, meta_len, line->len);
    uint64_t pos = position_of_record(feed->next_pos, feed->capacity, record_len);
    struct ehring_property property = ehring_property_int("line", (int64_t)number);
    struct ehring_event event = {.data = line->bytes,
                                 .len = line->len,
                                 .key = key,
                                 .key_len = key_len,
                                 .message_id = feed->id,
                                 .properties = &property,
                                 .property_count = 1};

    position_id_end(feed->id, pos);
    int err = ehring_send_event(feed->ring, &event);
    if (err == EHRING_E_TIMED_OUT)
        fprintf(stderr, "ehring-demo feed: no room in the ring for %d s: does the shipper run, does the hub accept?\n",
                ROOM_WAIT_MS / 1000);
    else if (err != 0)
        fprintf(stderr, "ehring-demo feed: event %" PRIu64 " of %" PRIu32 " bytes: %s\n", number, line->len, ehring_error_text(err));
    if (err != 0)
        return 1;
    feed->next_pos = pos + ring_align16(record_len);
    feed->sent_bytes += line->len;
    return check_position(feed, pos);
}

static int check_position(const struct feed *feed, uint64_t pos)
{
    struct ehring_identity identity = {0};

    ehring_last_identity(feed->ring, &identity);
    if (identity.pos == pos)
        return 0;
    fprintf(stderr, "ehring-demo feed: an event lies at %" PRIu64 ", its message-id says %" PRIu64 "\n", identity.pos, pos);
    return 1;
}

static int flush(const struct feed *feed, const struct demo_options *options)
{
    uint64_t left_bytes = 0;
    int err = ehring_flush(feed->ring, (int)options->flush_ms, &left_bytes);

    if (err == 0)
        return 0;
    fprintf(stderr, "ehring-demo feed: %" PRIu64 " bytes were not accepted within %" PRIu32 " ms: %s\n", left_bytes, options->flush_ms,
            ehring_error_text(err));
    return 1;
}
