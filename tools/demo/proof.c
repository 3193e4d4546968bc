/* The proof: every line of every producer is in the hub's store exactly once, in order per producer and key, byte for byte. */
#include "proof.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

enum { UUID_BYTES = 36, ID_BYTES = UUID_BYTES + 1 + 16, VIOLATIONS_SHOWN = 10, PARTITIONS_MAX = 2048, BAR_CHARS = 40 };
#define NOT_HERE UINT64_MAX

struct producer {
    char uuid[UUID_BYTES];
    uint64_t *pos_of_line;      /* [event_count], NOT_HERE until it arrived */
    uint64_t *last_line_of_key; /* [key_count] */
};

struct proof {
    const struct demo_options *options;
    const struct demo_lines *lines;
    struct producer *producer;
    uint32_t producer_count;    /* seen so far */
    uint32_t *partition_of_key; /* + 1 */
    uint64_t events[PARTITIONS_MAX];
    uint64_t bytes;
    uint64_t violation_count;
};

static int proof_open(struct proof *proof);
static void proof_close(struct proof *proof);
static void check_stored(struct proof *proof, const struct demo_stored *stored);
static void check_place(struct proof *proof, const struct demo_stored *stored);
static struct producer *producer_of(struct proof *proof, struct demo_bytes message_id, uint64_t *pos);
static struct producer *add_producer(struct proof *proof, const char *uuid);
static bool read_hex(const uint8_t *text, size_t len, uint64_t *number);
static void check_line(struct proof *proof, struct producer *producer, const struct demo_stored *stored, const struct demo_event *event,
                       uint64_t pos);
static void check_order(struct proof *proof, struct producer *producer, const struct demo_stored *stored, uint64_t number);
static void check_all_here(struct proof *proof);
static void check_positions(struct proof *proof, const struct producer *producer);
static void print_report(const struct proof *proof);
static void violation(struct proof *proof, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool same(struct demo_bytes bytes, const char *text, size_t len);

int demo_proof(const struct demo_options *options, const struct demo_lines *lines)
{
    struct proof proof = {.options = options, .lines = lines};
    struct demo_store store = {0};
    struct demo_stored stored;
    int more, err = options->store_path ? demo_store_open(&store, options->store_path) : -EINVAL;

    if (!err)
        err = proof_open(&proof);
    if (err) {
        fprintf(stderr, "ehring-demo proof: --store %s: %s\n", options->store_path ? options->store_path : "is missing", strerror(-err));
        goto out;
    }
    while ((more = demo_store_next(&store, &stored)) > 0)
        if (same(stored.hub, options->hub, strlen(options->hub)))
            check_stored(&proof, &stored);
    if (more < 0)
        violation(&proof, "the store file is damaged at byte %zu", store.at);
    check_all_here(&proof);
    print_report(&proof);
out:
    proof_close(&proof);
    demo_store_close(&store);
    return err ? 2 : proof.violation_count > 0;
}

static int proof_open(struct proof *proof)
{
    proof->producer = calloc(proof->options->producer_count, sizeof(*proof->producer));
    proof->partition_of_key = calloc(proof->lines->key_count + 1, sizeof(*proof->partition_of_key));
    return proof->producer && proof->partition_of_key ? 0 : -ENOMEM;
}

static void proof_close(struct proof *proof)
{
    for (uint32_t i = 0; i < proof->producer_count; i++) {
        free(proof->producer[i].pos_of_line);
        free(proof->producer[i].last_line_of_key);
    }
    free(proof->producer);
    free(proof->partition_of_key);
}

static void check_stored(struct proof *proof, const struct demo_stored *stored)
{
    struct demo_event event;
    const char *wrong = demo_event_read(&event, stored->event.data, stored->event.len);
    struct producer *producer;
    uint64_t pos;

    check_place(proof, stored);
    if (wrong) {
        violation(proof, "partition %" PRIu32 ", sequence number %" PRId64 ": not an event: %s", stored->partition, stored->seq, wrong);
        return;
    }
    proof->bytes += event.body.len;
    producer = producer_of(proof, event.message_id, &pos);
    if (!producer)
        violation(proof, "partition %" PRIu32 ", sequence number %" PRId64 ": its message-id is of none of the %" PRIu32 " producers: %.*s",
                  stored->partition, stored->seq, proof->options->producer_count, (int)event.message_id.len,
                  event.message_id.data ? (const char *)event.message_id.data : "");
    else if (event.line < 1 || (uint64_t)event.line > proof->options->event_count)
        violation(proof, "producer %.8s: line %" PRId64 " was never sent", producer->uuid, event.line);
    else
        check_line(proof, producer, stored, &event, pos);
}

/* The sequence numbers of a partition have no gap, and the file holds them in order: so its order is the partition's. */
static void check_place(struct proof *proof, const struct demo_stored *stored)
{
    if (stored->partition >= PARTITIONS_MAX) {
        violation(proof, "an event lies in partition %" PRIu32, stored->partition);
        return;
    }
    if ((uint64_t)stored->seq != proof->events[stored->partition])
        violation(proof, "partition %" PRIu32 ": sequence number %" PRId64 " follows %" PRId64, stored->partition, stored->seq,
                  (int64_t)proof->events[stored->partition] - 1);
    proof->events[stored->partition]++;
}

static struct producer *producer_of(struct proof *proof, struct demo_bytes message_id, uint64_t *pos)
{
    const char *uuid = (const char *)message_id.data;

    if (message_id.len != ID_BYTES || uuid[UUID_BYTES] != ':' || !read_hex(message_id.data + UUID_BYTES + 1, 16, pos))
        return NULL;
    for (uint32_t i = 0; i < proof->producer_count; i++)
        if (memcmp(proof->producer[i].uuid, uuid, UUID_BYTES) == 0)
            return &proof->producer[i];
    return proof->producer_count < proof->options->producer_count ? add_producer(proof, uuid) : NULL;
}

static struct producer *add_producer(struct proof *proof, const char *uuid)
{
    struct producer *producer = &proof->producer[proof->producer_count];
    uint64_t count = proof->options->event_count;

    producer->pos_of_line = malloc(count * sizeof(*producer->pos_of_line));
    producer->last_line_of_key = calloc(proof->lines->key_count + 1, sizeof(*producer->last_line_of_key));
    if (!producer->pos_of_line || !producer->last_line_of_key) {
        fprintf(stderr, "ehring-demo proof: no memory for %" PRIu64 " events\n", count);
        exit(2);
    }
    memset(producer->pos_of_line, 0xff, count * sizeof(*producer->pos_of_line)); /* NOT_HERE */
    memcpy(producer->uuid, uuid, UUID_BYTES);
    proof->producer_count++;
    return producer;
}

static bool read_hex(const uint8_t *text, size_t len, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < len; i++) {
        const char *digit = memchr("0123456789abcdef", text[i], 16);
        if (!digit)
            return false;
        *number = *number << 4 | (uint64_t)(digit - "0123456789abcdef");
    }
    return true;
}

static void check_line(struct proof *proof, struct producer *producer, const struct demo_stored *stored, const struct demo_event *event,
                       uint64_t pos)
{
    uint64_t number = (uint64_t)event->line;
    const struct demo_line *line = &proof->lines->line[(number - 1) % proof->lines->count];
    const char *key = line->key == DEMO_NO_KEY ? "" : proof->lines->key[line->key];

    if (producer->pos_of_line[number - 1] != NOT_HERE) {
        violation(proof, "producer %.8s: line %" PRIu64 " arrived twice (positions %" PRIu64 " and %" PRIu64 ")", producer->uuid, number,
                  producer->pos_of_line[number - 1], pos);
        return;
    }
    producer->pos_of_line[number - 1] = pos;
    if (!same(event->body, line->bytes, line->len))
        violation(proof, "producer %.8s: line %" PRIu64 " is not what was sent (%zu bytes, %" PRIu32 " in the file)", producer->uuid,
                  number, event->body.len, line->len);
    if (!same(stored->key, key, strlen(key)) || !same(event->key, key, strlen(key)))
        violation(proof, "producer %.8s: line %" PRIu64 " has the key \"%.*s\", \"%s\" was sent", producer->uuid, number,
                  (int)stored->key.len, (const char *)stored->key.data, key);
    if (line->key != DEMO_NO_KEY)
        check_order(proof, producer, stored, number);
}

/* All of a key lies in one partition; there the lines of one producer follow each other. */
static void check_order(struct proof *proof, struct producer *producer, const struct demo_stored *stored, uint64_t number)
{
    uint32_t key = proof->lines->line[(number - 1) % proof->lines->count].key;
    uint32_t *partition = &proof->partition_of_key[key];
    uint64_t *last = &producer->last_line_of_key[key];

    if (*partition == 0)
        *partition = stored->partition + 1;
    if (*partition != stored->partition + 1)
        violation(proof, "key %s lies in partitions %" PRIu32 " and %" PRIu32, proof->lines->key[key], *partition - 1, stored->partition);
    if (number <= *last)
        violation(proof, "producer %.8s, key %s: line %" PRIu64 " arrived behind line %" PRIu64, producer->uuid, proof->lines->key[key],
                  number, *last);
    else
        *last = number;
}

static void check_all_here(struct proof *proof)
{
    if (proof->producer_count != proof->options->producer_count)
        violation(proof, "events of %" PRIu32 " producers arrived, of %" PRIu32 " they were sent", proof->producer_count,
                  proof->options->producer_count);
    for (uint32_t i = 0; i < proof->producer_count; i++)
        check_positions(proof, &proof->producer[i]);
}

/* Nothing is missing, and a later line lies later in its ring: the message-ids are the positions. */
static void check_positions(struct proof *proof, const struct producer *producer)
{
    uint64_t before = NOT_HERE;

    for (uint64_t i = 0; i < proof->options->event_count; i++) {
        uint64_t pos = producer->pos_of_line[i];
        if (pos == NOT_HERE) {
            violation(proof, "producer %.8s: line %" PRIu64 " is missing", producer->uuid, i + 1);
            continue;
        }
        if (before != NOT_HERE && pos <= before)
            violation(proof, "producer %.8s: line %" PRIu64 " lies at %" PRIu64 " of its ring, an earlier one at %" PRIu64, producer->uuid,
                      i + 1, pos, before);
        before = pos;
    }
}

static void print_report(const struct proof *proof)
{
    uint64_t all = 0, most = 1;
    uint32_t partition_count = 0;

    for (uint32_t i = 0; i < PARTITIONS_MAX; i++) {
        all += proof->events[i];
        most = proof->events[i] > most ? proof->events[i] : most;
        partition_count = proof->events[i] > 0 ? i + 1 : partition_count;
    }
    printf("stored        %" PRIu64 " events, %.1f MB of text, %" PRIu32 " keys, %" PRIu32 " producers\n", all, (double)proof->bytes / 1e6,
           proof->lines->key_count, proof->producer_count);
    for (uint32_t i = 0; i < partition_count; i++) {
        printf("  partition %-2" PRIu32 "%10" PRIu64 "  ", i, proof->events[i]);
        for (uint64_t bar = 0; bar < proof->events[i] * BAR_CHARS / most; bar++)
            fputs("█", stdout);
        putchar('\n');
    }
    if (proof->violation_count == 0)
        printf("proof         holds: every line of every producer is there exactly once, in order per producer and key, byte for byte\n");
    else
        printf("proof         FAILS: %" PRIu64 " violations\n", proof->violation_count);
}

static void violation(struct proof *proof, const char *format, ...)
{
    va_list arguments;

    if (proof->violation_count++ >= VIOLATIONS_SHOWN)
        return;
    va_start(arguments, format);
    fputs("ehring-demo proof: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    if (proof->violation_count == VIOLATIONS_SHOWN)
        fputs("ehring-demo proof: more are counted, not shown\n", stderr);
}

static bool same(struct demo_bytes bytes, const char *text, size_t len)
{
    return bytes.len == len && (len == 0 || memcmp(bytes.data, text, len) == 0);
}
