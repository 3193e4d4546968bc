/* A stream of its own in shared memory, a libehring handle on it, and a reader that takes its records apart through ring.h. */
#ifndef CLIENT_RIG_H
#define CLIENT_RIG_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/ehring.h"
#include "ringbuf/ring.h"

#define RIG_STREAM "orders"

struct rig {
    char rings[64];
    char stream_dir[96];
    struct ehring *ring;
    struct ring *file; /* the shipper's view */
    struct ring_lane lane;
    struct ring_walk walk;
};

/* One record as a reader finds it. */
struct rig_record {
    struct ring_parts parts;
    uint64_t pos;
    uint32_t len; /* head to payload's end */
    uint8_t meta[RING_META_BYTES_MAX];
    uint8_t *payload; /* free it with rig_free */
};

struct rig_tlv {
    struct ring_tlv head;
    char name[256];
    uint8_t value[4096];
};

static inline void rig_dirs(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    strcpy(rig->rings, "/dev/shm/ehring-test-XXXXXX");
    cr_assert_not_null(mkdtemp(rig->rings));
    snprintf(rig->stream_dir, sizeof(rig->stream_dir), "%s/" RIG_STREAM, rig->rings);
    cr_assert_eq(mkdir(rig->stream_dir, 0770), 0);
}

/* The only ring in a directory, opened as a shipper with one lane; `file` must be closed. */
static inline void rig_attach(struct rig *rig, const char *dir)
{
    struct ring_refusal why = {0};
    struct dirent *entry;
    DIR *stream = opendir(dir);
    int err = -ENOENT;

    cr_assert_not_null(stream);
    while ((entry = readdir(stream)) != NULL)
        if (strstr(entry->d_name, ".ring")) {
            err = ring_open(dirfd(stream), entry->d_name, RING_ACCESS_SHIPPER, &rig->file, &why);
            break;
        }
    closedir(stream);
    cr_assert_eq(err, 0, "ring_open: %d %s", err, why.text);
    cr_assert_eq(ring_lanes_begin(rig->file, 1), 0);
    ring_lane_open(&rig->lane, rig->file, 0);
}

/* Opens stream "orders" with these options (stream and rings_dir are filled in) and a reader on it. */
static inline void rig_open(struct rig *rig, struct ehring_options options)
{
    rig_dirs(rig);
    options.stream = RIG_STREAM;
    options.rings_dir = rig->rings;
    int err = ehring_open(&options, &rig->ring);
    cr_assert_eq(err, 0, "ehring_open: %d %s", err, ehring_open_error());
    rig_attach(rig, rig->stream_dir);
}

static inline int rig_remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static inline void rig_close(struct rig *rig)
{
    ehring_close(rig->ring);
    if (rig->file)
        ring_close(rig->file);
    nftw(rig->rings, rig_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline uint64_t rig_write_pos(struct rig *rig)
{
    uint64_t write_pos = 0;

    cr_assert_eq(ring_lane_look(&rig->lane, &write_pos), 0);
    return write_pos;
}

/* Takes the next record apart. False: there is none. */
static inline bool rig_next(struct rig *rig, struct rig_record *record)
{
    uint64_t end = rig_write_pos(rig), pos = rig->lane.walk_pos;
    int count = ring_walk(rig->file, &pos, end, &rig->walk);

    cr_assert_geq(count, 0);
    if (count == 0)
        return false;
    struct ring_record *head = &rig->walk.record[0];
    cr_assert_eq(ring_record_parts(rig->file, head->pos, head->len, &record->parts, record->meta, sizeof(record->meta)), 0);
    record->pos = head->pos;
    record->len = head->len;
    record->payload = malloc(record->parts.payload_len + 1);
    cr_assert_eq(ring_copy(rig->file, record->parts.payload_pos, record->payload, record->parts.payload_len), 0);
    record->payload[record->parts.payload_len] = 0;
    rig->lane.walk_pos = ring_align16(head->pos + head->len);
    return true;
}

static inline void rig_free(struct rig_record *record)
{
    free(record->payload);
    record->payload = NULL;
}

static inline void rig_expect_none(struct rig *rig)
{
    struct rig_record *record = malloc(sizeof(*record));

    cr_expect_not(rig_next(rig, record), "a record that should not be there");
    free(record);
}

/* The next record is these bytes with this key (NULL: none). */
static inline void rig_expect(struct rig *rig, const void *data, size_t len, const char *key)
{
    struct rig_record *record = malloc(sizeof(*record));
    size_t key_len = key ? strlen(key) : 0;

    cr_assert(rig_next(rig, record), "no record");
    cr_expect_eq(record->parts.payload_len, len, "%u bytes instead of %zu", record->parts.payload_len, len);
    cr_expect_eq(memcmp(record->payload, data, len), 0, "other bytes");
    cr_expect_eq(record->parts.key_len, key_len);
    cr_expect_eq(memcmp(record->parts.key, key ? key : "", key_len), 0, "another key");
    rig_free(record);
    free(record);
}

/* Accepts what was sent so far: `count` events that carry no key. */
static inline void rig_accept_all(struct rig *rig, uint64_t count)
{
    uint64_t end = rig_write_pos(rig);
    struct ring_settled settled = {.accepted_events = count};

    ring_lane_settle(&rig->lane, 0, end, &settled);
    rig->lane.walk_pos = end;
    ring_lane_ack(&rig->lane, end, end);
}

/* TLV number `index` of a record. False: there are fewer. */
static inline bool rig_tlv(const struct rig_record *record, unsigned index, struct rig_tlv *tlv)
{
    uint32_t off = 0;

    for (unsigned i = 0; off < record->parts.meta_len; i++) {
        cr_assert_leq(off + sizeof(tlv->head), record->parts.meta_len);
        memset(tlv, 0, sizeof(*tlv));
        memcpy(&tlv->head, record->meta + off, sizeof(tlv->head));
        off += (uint32_t)sizeof(tlv->head);
        cr_assert_leq(off + tlv->head.name_len + tlv->head.value_len, record->parts.meta_len);
        cr_assert_lt(tlv->head.name_len, sizeof(tlv->name));
        memcpy(tlv->name, record->meta + off, tlv->head.name_len);
        memcpy(tlv->value, record->meta + off + tlv->head.name_len,
               tlv->head.value_len < sizeof(tlv->value) ? tlv->head.value_len : sizeof(tlv->value));
        off += tlv->head.name_len + tlv->head.value_len;
        if (i == index)
            return true;
    }
    return false;
}

static inline void rig_expect_tlv(const struct rig_record *record, unsigned index, enum ring_meta_tag tag, enum ring_meta_type type,
                                  const char *name, const void *value, size_t value_len)
{
    struct rig_tlv tlv;

    cr_assert(rig_tlv(record, index, &tlv), "TLV %u is missing", index);
    cr_expect_eq(tlv.head.tag, tag, "TLV %u has tag %u", index, tlv.head.tag);
    cr_expect_eq(tlv.head.type, type, "TLV %u has type %u", index, tlv.head.type);
    cr_expect_str_eq(tlv.name, name);
    cr_expect_eq(tlv.head.value_len, value_len, "TLV %u has %u bytes", index, tlv.head.value_len);
    cr_expect_eq(memcmp(tlv.value, value, value_len), 0, "TLV %u has another value", index);
}

#endif
