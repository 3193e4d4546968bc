/* One stream: a directory of rings, its lock, doorbell, counters and the hub it goes to; shared by main thread and workers. */
#include "shipper/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ringbuf/ring_order.h"
#include "shipper/log.h"
#include "shipper/stream_dir.h"

static int stream_lock(const char *rings, struct stream *stream, char *why, size_t why_len);
static int stream_open_counters(const char *rings, struct stream *stream, char *why, size_t why_len);
static void inflight_take_over(struct counters_words *words);
static int stream_redo(struct stream *stream);
static void totals_add_ring(struct counters_totals *totals, const struct ring *ring);
static uint64_t total_add(_Atomic uint64_t *total, const _Atomic uint64_t *count);
static void totals_copy(struct counters_totals *to, const struct counters_totals *from);

int stream_open(const char *rings, const struct config_stream *cs, uint32_t index, int main_fd, struct stream *out, char *why,
                size_t why_len)
{
    *out = (struct stream){.state = STREAM_OPEN, .index = index, .dir_fd = -1, .lock_fd = -1, .bell_fd = -1, .main_fd = main_fd};
    pthread_mutex_init(&out->told_lock, NULL);
    snprintf(out->name, sizeof out->name, "%s", cs->name);
    snprintf(out->dir, sizeof out->dir, "%s/%s", rings, cs->name);
    int rc = stream_dir_open(rings, out->dir, cs->group, why, why_len);
    out->dir_fd = rc;
    if (rc >= 0)
        rc = stream_lock(rings, out, why, why_len);
    if (rc == 0)
        rc = stream_open_counters(rings, out, why, why_len);
    if (rc == 0) {
        int len = snprintf(out->bell_path, sizeof out->bell_path, "%s/%s.bell", rings, cs->name);
        rc = len < (int)sizeof out->bell_path ? ring_bell_open(out->bell_path) : -ENAMETOOLONG;
        out->bell_fd = rc;
        if (rc < 0)
            snprintf(why, why_len, "doorbell %s/%s.bell: %s", rings, cs->name, strerror(-rc));
    }
    if (rc >= 0)
        rc = setup_make(cs, NULL, CONFIG_AT_USE, &out->setup, why, why_len);
    if (rc < 0) {
        stream_close(out);
        return rc;
    }
    return 0;
}

void stream_close(struct stream *stream)
{
    setup_give(stream->setup);
    stream->setup = NULL;
    if (stream->bell_fd >= 0) {
        unlink(stream->bell_path);
        close(stream->bell_fd);
    }
    if (stream->words)
        ring_stat_file_close(&stream->stat);
    stream->words = NULL;
    if (stream->lock_fd >= 0)
        close(stream->lock_fd);
    if (stream->dir_fd >= 0)
        close(stream->dir_fd);
    stream->bell_fd = stream->lock_fd = stream->dir_fd = -1;
    pthread_mutex_destroy(&stream->told_lock);
    stream->state = STREAM_CLOSED;
}

/* One shipper per stream: the lock lives with the descriptor, its text tells the next one who holds it. */
static int stream_lock(const char *rings, struct stream *stream, char *why, size_t why_len)
{
    char path[1300], holder[32] = "";
    snprintf(path, sizeof path, "%s/%s.lock", rings, stream->name);
    stream->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (stream->lock_fd < 0) {
        snprintf(why, why_len, "lock %s: %s", path, strerror(errno));
        return -errno;
    }
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(stream->lock_fd, F_OFD_SETLK, &lock) != 0) {
        int rc = -errno;
        ssize_t len = pread(stream->lock_fd, holder, sizeof holder - 1, 0);
        holder[len > 0 ? len : 0] = '\0';
        holder[strcspn(holder, "\n")] = '\0';
        snprintf(why, why_len, "stream %s is drained by another shipper already (process %s holds %s)", stream->name,
                 holder[0] ? holder : "unknown", path);
        return rc == -EAGAIN || rc == -EACCES ? -EBUSY : rc;
    }
    char text[32];
    int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(stream->lock_fd, 0) != 0 || pwrite(stream->lock_fd, text, (size_t)len, 0) != len) {
        snprintf(why, why_len, "lock %s: %s", path, strerror(errno));
        return -EIO;
    }
    return 0;
}

static int stream_open_counters(const char *rings, struct stream *stream, char *why, size_t why_len)
{
    char path[1300];
    snprintf(path, sizeof path, "%s/%s.stat", rings, stream->name);
    int rc = ring_stat_file_open(path, stream->name, counters_table, counters_table_count, sizeof(struct counters_words), &stream->stat);
    if (rc < 0) {
        snprintf(why, why_len, "counters %s: %s", path, strerror(-rc));
        return rc;
    }
    stream->words = stream->stat.values;
    if (stream->stat.past == RING_STAT_PAST_CARRIED)
        log_line(LOG_INFO, "stream", "counters of another version of the shipper go on", "stream=%s file=%s", stream->name, path);
    else if (stream->stat.past == RING_STAT_PAST_SET_ASIDE)
        log_line(LOG_WARN, "stream", "the file of counters cannot be read: it is kept as .bad, all totals begin at zero",
                 "stream=%s file=%s", stream->name, path);
    for (uint32_t w = 0; w < COUNTERS_WORKERS; w++) { /* gauges of an earlier life */
        struct counters_worker *words = &stream->words->worker[w];
        _Atomic uint64_t *const gauge[] = {
            &words->inflight_bytes,   &words->ready_connection_count, &words->connecting,    &words->links,
            &words->links_of_busiest, &words->paced_domains,          &words->circuit_state, &words->held_domains};
        for (size_t i = 0; i < sizeof gauge / sizeof gauge[0]; i++)
            order_none_store64(gauge[i], 0);
    }
    order_none_store64(&stream->words->main.ring_count, 0);
    order_none_store64(&stream->words->main.quarantined_rings, 0);
    if (order_redo_load32(&stream->words->redo.full))
        stream_redo(stream);
    inflight_take_over(stream->words);
    return 0;
}

/* What was in flight when the last shipper ended is sent again. A kill in here counts it twice, never too seldom. */
static void inflight_take_over(struct counters_words *words)
{
    for (uint32_t w = 0; w < COUNTERS_WORKERS; w++) {
        order_none_add64(&words->totals.maybe_duplicate_events, order_none_load64(&words->worker[w].inflight_events));
        order_redo_store64(&words->worker[w].inflight_events, 0);
    }
}

static void stream_wake_main(struct stream *stream)
{
    uint64_t one = 1;
    if (write(stream->main_fd, &one, sizeof one) < 0) { /* full: it is awake */
    }
}

void stream_set_setup(struct stream *stream, struct setup *setup)
{
    pthread_mutex_lock(&stream->told_lock);
    if (setup->hub_number != stream->hub_number)
        order_flag_set(&stream->partition_count, 0);
    stream->hub_number = setup->hub_number;
    pthread_mutex_unlock(&stream->told_lock);
    setup_give(stream->setup);
    stream->setup = setup;
}

void stream_tell_partition_count(struct stream *stream, const struct setup *setup, uint32_t count)
{
    bool is_new = false;
    pthread_mutex_lock(&stream->told_lock);
    if (setup->hub_number == stream->hub_number && order_none_load32(&stream->partition_count) != count) {
        order_flag_set(&stream->partition_count, count);
        is_new = true;
    }
    pthread_mutex_unlock(&stream->told_lock);
    if (is_new)
        stream_wake_main(stream);
}

void stream_tell_message_bytes_max(struct stream *stream, uint64_t message_bytes_max)
{
    if (order_flag_get64(&stream->message_bytes_max) == message_bytes_max)
        return;
    order_flag_set64(&stream->message_bytes_max, message_bytes_max);
    stream_wake_main(stream);
}

bool stream_use_key(struct stream *stream, struct setup *setup, uint32_t key)
{
    pthread_mutex_lock(&stream->told_lock);
    bool changes = order_flag_get(&setup->key) != key;
    if (changes)
        order_flag_set(&setup->key, key);
    pthread_mutex_unlock(&stream->told_lock);
    return changes;
}

uint64_t stream_batch_bytes_max(const struct stream *stream)
{
    uint64_t bytes = order_flag_get64(&stream->message_bytes_max), ours = stream->setup->config.batch_bytes_max;
    return bytes && ours && ours < bytes ? ours : bytes;
}

uint32_t stream_event_bytes_max(const struct stream *stream)
{
    uint64_t bytes = stream_batch_bytes_max(stream);
    if (bytes == 0)
        return 0;
    return bytes > RING_ENVELOPE_BYTES ? (uint32_t)(bytes > UINT32_MAX ? UINT32_MAX : bytes) - RING_ENVELOPE_BYTES : 1; /* 0: unknown */
}

int stream_remove_ring(struct stream *stream, struct ring *ring)
{
    struct counters_redo *redo = &stream->words->redo;
    totals_copy(&redo->totals, &stream->words->totals);
    totals_add_ring(&redo->totals, ring);
    snprintf(redo->ring_file, sizeof redo->ring_file, "%s", ring_name(ring));
    order_redo_store32(&redo->full, 1);
    return stream_redo(stream);
}

static void totals_add_ring(struct counters_totals *totals, const struct ring *ring)
{
    const struct ring_shipper *shipper = ring_shipper(ring);
    uint64_t committed = ring_committed_events(ring), settled = 0; /* the writer's own count: never what was settled */
    for (uint32_t lane = 0; lane < RING_LANES_MAX; lane++) {
        const struct ring_lane_counts *counts = &shipper->lane[lane].counts;
        settled += total_add(&totals->accepted_events, &counts->accepted_events);
        settled += total_add(&totals->dead_lettered_events, &counts->dead_lettered_events);
        for (uint32_t r = 0; r < RING_DROPPED_REASONS; r++)
            settled += total_add(&totals->dropped_events[r], &counts->dropped_events[r]);
        total_add(&totals->accepted_bytes, &counts->accepted_bytes);
        total_add(&totals->accepted_batches, &counts->accepted_batches);
        total_add(&totals->maybe_duplicate_events, &counts->maybe_duplicate_events);
    }
    for (uint32_t r = 0; r < RING_REFUSED_REASONS; r++)
        order_none_add64(&totals->refused_calls, total_add(&totals->refused_events[r], &ring_producer(ring)->counters.refused[r]));
    if (!ring_is_this_boot(ring) && committed < settled) /* the page with the writer's count is older on the disk than ours */
        committed = settled;
    order_none_add64(&totals->committed_events, committed);
    order_none_add64(&totals->removed_rings, 1);
}

static uint64_t total_add(_Atomic uint64_t *total, const _Atomic uint64_t *count)
{
    uint64_t more = order_none_load64(count);
    order_none_add64(total, more);
    return more;
}

static void totals_copy(struct counters_totals *to, const struct counters_totals *from)
{
    const _Atomic uint64_t *read = &from->removed_rings;
    _Atomic uint64_t *write = &to->removed_rings;
    for (size_t i = 0; i < sizeof *to / sizeof *write; i++)
        order_redo_store64(&write[i], order_none_load64(&read[i]));
}

/* Also what a start does when it finds the record full: unlinking and storing twice changes nothing. A ring that cannot be unlinked is
 * still there, with its own counts: the totals stay as they were. */
static int stream_redo(struct stream *stream)
{
    int rc = 0;
    struct counters_redo *redo = &stream->words->redo;
    char name[sizeof redo->ring_file];
    memcpy(name, redo->ring_file, sizeof name);
    name[sizeof name - 1] = '\0';
    if (!strchr(name, '/') && unlinkat(stream->dir_fd, name, 0) != 0 && errno != ENOENT) {
        rc = -errno;
        log_line(LOG_WARN, "stream", "a drained ring could not be removed: the stream's directory must belong to the shipper's user",
                 "stream=%s ring=%s error=\"%s\"", stream->name, name, strerror(-rc));
    }
    if (rc == 0)
        totals_copy(&stream->words->totals, &redo->totals);
    order_redo_store32(&redo->full, 0);
    return rc;
}
