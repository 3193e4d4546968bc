/* Any bytes as a ring: constants, producer's words, shipper's words and record heads are spoilt, and every reader must refuse or read on
 * within the ring, never crash, never loop. fuzz_ring [seed [rounds]] */
#include <sys/mman.h>

#include "ring_rig.h"
#include "ringbuf/ring_ledger.h"
#include "ringbuf/ring_internal.h"
#include "ringbuf/ring_stat.h"

#define CAPACITY RING_CAPACITY_MIN

static uint8_t *original;
static size_t original_len;

/* A ring as it comes: data of all kinds, wrapped, half drained. */
static void make_original(struct rig *rig)
{
    uint8_t data[600] = {1};

    for (uint32_t i = 0; i < 400; i++) {
        struct ring_shape shape = {
            .payload_len = i % 600, .key = data, .key_len = i % 4 == 0 ? i % 128 : 0, .meta = data, .meta_len = i % 5 == 0 ? 40 : 0};
        if (ring_writer_put(rig->writer, &shape, data) == -EAGAIN) {
            RIG_NEED(rig_drain(rig) > 0);
            RIG_NEED(ring_writer_put(rig->writer, &shape, data) == 0);
        }
        if (i == 300)
            rig_drain(rig);
    }
    original_len = ring_header(rig->ring)->file_len;
    original = malloc(original_len);
    RIG_NEED(original != NULL);
    int fd = openat(rig->dir_fd, rig->file, O_RDONLY | O_CLOEXEC);
    RIG_NEED(fd >= 0 && pread(fd, original, original_len, 0) == (ssize_t)original_len);
    close(fd);
}

static uint64_t odd_value(uint64_t *random)
{
    static const uint64_t odd[] = {0, 1, 15, 16, UINT32_MAX, UINT64_MAX, INT64_MAX, CAPACITY, CAPACITY + 16, CAPACITY / 8, UINT64_MAX - 15};
    uint64_t pick = rig_random(random);

    return pick % 3 == 0 ? rig_random(random) : odd[pick / 3 % (sizeof(odd) / sizeof(odd[0]))];
}

/* A few bytes or words somewhere; more often where something is believed. */
static void spoil(uint8_t *bytes, uint64_t *random)
{
    const struct ring_header *header = (const struct ring_header *)original;
    const uint64_t region[] = {0, header->stat_off, header->producer_off, header->shipper_off, header->data_off};
    const uint64_t region_len[] = {sizeof(*header), 1600, sizeof(struct ring_producer), sizeof(struct ring_shipper), CAPACITY};

    for (uint64_t i = 1 + rig_random(random) % 6; i > 0; i--) {
        uint64_t r = rig_random(random) % 5, value = odd_value(random), len = 1u << rig_random(random) % 4;
        uint64_t at = region[r] + rig_random(random) % (rig_random(random) % 2 && region_len[r] > 64 ? 64 : region_len[r] - 8);
        memcpy(bytes + at / len * len, &value, len);
    }
}

static void read_by_lanes(struct ring *ring)
{
    static uint8_t meta[RING_META_BYTES_MAX], payload[CAPACITY];
    static struct ring_walk walk;
    struct ring_lane lane;
    uint64_t write_pos;
    int count;

    if (ring_quarantined(ring) != RING_QUARANTINE_NONE || ring_lanes_begin(ring, 2) != 0)
        return;
    ring_lane_open(&lane, ring, 1);
    if (ring_lane_look(&lane, &write_pos) != 0)
        return;
    while ((count = ring_walk(ring, &lane.walk_pos, write_pos, &walk)) > 0)
        for (int i = 0; i < count; i++) {
            const struct ring_record *record = &walk.record[i];
            struct ring_parts parts;
            RIG_NEED(record->key + record->key_len <= walk.key + sizeof(walk.key));
            if (ring_record_parts(ring, record->pos, record->len, &parts, meta, sizeof(meta)) == 0)
                RIG_NEED(parts.payload_len <= CAPACITY / 8 && ring_copy(ring, parts.payload_pos, payload, parts.payload_len) == 0);
        }
    RIG_NEED(count == 0 || ring_quarantined(ring) != RING_QUARANTINE_NONE);
    ring_note(&lane, 17);
    ring_lane_count(&lane, &(struct ring_settled){.accepted_events = 1});
    ring_lane_ack(&lane, lane.walk_pos, lane.walk_pos);
}

static void read_by_tools(struct ring *ring, const char *path)
{
    struct ring_tap tap = {.ring = ring, .pos = order_load_gate(&ring_shipper(ring)->gate.gate_pos)};
    struct ring_record record;
    struct ring_stat_view view;
    struct ring_ledger ledger;
    uint8_t payload[64];
    char why[200];
    size_t len;
    int more;

    (void)ring_count_pending(ring);
    (void)ring_committed_events(ring);
    RIG_NEED(ring_ledger_of_ring(ring, &ledger, NULL) <= 0);
    (void)ring_noted_time_ns(ring, tap.pos);
    (void)ring_synced_pos(ring);
    RIG_NEED(ring_quarantine_text(ring_quarantined(ring)) != NULL);
    for (int i = 0; i < 5000 && (more = ring_tap_next(&tap, &record, payload, sizeof(payload), &len)) > 0; i++)
        RIG_NEED(len <= sizeof(payload));
    if (ring_stat_view_open(path, &view, why, sizeof(why)) != 0)
        return;
    for (uint32_t i = 0; i < view.count; i++)
        for (uint32_t j = 0; j < view.table[i].count && j < 100; j++)
            (void)ring_stat_value(&view, &view.table[i], j);
    ring_stat_view_close(&view);
}

static void fuzz_once(struct rig *rig, const char *path, uint64_t *random)
{
    static const enum ring_access access[] = {RING_ACCESS_VIEW, RING_ACCESS_SHIPPER};
    uint8_t *bytes = malloc(original_len);
    uint64_t len = rig_random(random) % 16 == 0 ? rig_random(random) % original_len : original_len;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0660);

    RIG_NEED(bytes && fd >= 0);
    memcpy(bytes, original, original_len);
    spoil(bytes, random);
    RIG_NEED(write(fd, bytes, len) == (ssize_t)len);
    for (int i = 0; i < 2; i++) {
        struct ring_refusal why = {0};
        struct ring *ring;
        if (ring_open(rig->dir_fd, "fuzz.ring", access[i], &ring, &why) != 0) {
            RIG_NEED(why.rung != RING_READY && why.text[0] != '\0');
            continue;
        }
        if (rig_random(random) % 32 == 0) /* under the reader's feet */
            RIG_NEED(ftruncate(fd, (off_t)(rig_random(random) % original_len)) == 0);
        read_by_tools(ring, path);
        if (access[i] == RING_ACCESS_SHIPPER)
            read_by_lanes(ring);
        ring_close(ring);
    }
    close(fd);
    free(bytes);
}

int main(int argc, char *argv[])
{
    uint64_t random = argc > 1 ? rig_seed(argc, argv) : 20260101;
    long rounds = argc > 2 ? strtol(argv[2], NULL, 0) : 3000;
    struct rig rig;
    char path[128];

    rig_open(&rig, CAPACITY);
    make_original(&rig);
    snprintf(path, sizeof(path), "%s/fuzz.ring", rig.dir);
    for (long i = 0; i < rounds; i++)
        fuzz_once(&rig, path, &random);
    printf("%ld spoilt rings, none believed beyond its bounds\n", rounds);
    free(original);
    rig_close(&rig);
    return 0;
}
