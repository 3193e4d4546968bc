/* Rings that come and go: finds files, opens and attaches them, quarantines, changes the partition count, removes what is drained and
 * orphaned. Main thread. */
#include "shipper/discover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "ringbuf/ring_order.h"
#include "shipper/clock.h"
#include "shipper/log.h"
#include "shipper/worker.h"

#define CHECK_NS (CLOCK_NS_PER_SECOND / 2)
#define CHECKS_PER_SECOND 1000u
#define RESCAN_NS (10 * CLOCK_NS_PER_SECOND)
#define RINGS_MAPPED_WARN 20000u /* vm.max_map_count is 65,530 by default, three mappings a ring */

static void rescan(struct discover *discover, struct stream *stream);
static void file_found(struct discover *discover, struct stream *stream, const char *file);
static void ring_open_found(struct discover *discover, struct shared_ring *shared);
static void ring_keep(struct shared_ring *shared, const char *what, const char *why);
static void ring_step(struct discover *discover, struct shared_ring *shared);
static void ring_attach(struct discover *discover, struct shared_ring *shared, uint32_t count);
static void ring_attached_step(struct discover *discover, struct shared_ring *shared);
static void ring_look_for_orphan(struct discover *discover, struct shared_ring *shared);
static void ring_frozen_step(struct discover *discover, struct shared_ring *shared);
static bool ring_is_drained(const struct shared_ring *shared);
static void ring_leave(struct discover *discover, struct shared_ring *shared, bool remove);
static void ring_release(struct discover *discover, struct shared_ring *shared);
static void ring_left(struct discover *discover, struct shared_ring *shared);
static void ring_let_go(struct shared_ring *shared);
static void post_all(struct discover *discover, struct worker_message message);
static void gauges_store(struct discover *discover);

int discover_open(struct discover *discover, struct stream *stream, struct worker *worker, uint32_t worker_count)
{
    *discover = (struct discover){.stream = stream, .worker = worker, .worker_count = worker_count};
    discover->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (discover->inotify_fd < 0)
        return -errno;
    for (uint32_t s = 0; s < CONFIG_STREAMS_MAX; s++) {
        discover->watch[s] = -1;
        if (stream[s].state == STREAM_OPEN)
            discover_stream_add(discover, &stream[s]);
    }
    return 0;
}

void discover_stream_add(struct discover *discover, struct stream *stream)
{
    int watch = inotify_add_watch(discover->inotify_fd, stream->dir, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
    if (watch < 0) /* the rescan every few seconds still finds them */
        log_line(LOG_WARN, "discover", "no inotify watch: new rings are found by rescan only", "dir=%s error=\"%s\"", stream->dir,
                 strerror(errno));
    discover->watch[stream->index] = watch;
    discover->rescan_at_ns = 0;
}

void discover_stream_leave(struct discover *discover, struct stream *stream)
{
    if (discover->watch[stream->index] >= 0)
        inotify_rm_watch(discover->inotify_fd, discover->watch[stream->index]);
    discover->watch[stream->index] = -1;
    for (struct shared_ring *shared = discover->rings; shared; shared = shared->next) {
        if (shared->stream != stream)
            continue;
        shared->let_go = true;
        if (shared->state == RING_STATE_KEPT)
            continue; /* forgotten with the next step */
        ring_release(discover, shared);
    }
}

bool discover_has_rings_of(const struct discover *discover, const struct stream *stream)
{
    for (const struct shared_ring *shared = discover->rings; shared; shared = shared->next)
        if (shared->stream == stream)
            return true;
    return false;
}

void discover_stream_reattach(struct discover *discover, struct stream *stream)
{
    for (struct shared_ring *shared = discover->rings; shared; shared = shared->next) {
        if (shared->stream != stream || shared->state == RING_STATE_KEPT || shared->state == RING_STATE_WAITING)
            continue;
        shared->again = true;
        ring_release(discover, shared);
    }
}

void discover_close(struct discover *discover)
{
    for (struct shared_ring *shared = discover->rings, *next; shared; shared = next) {
        next = shared->next;
        if (shared->ring && !ring_faulted(shared->ring))
            ring_sync(shared->ring);
        ring_close(shared->ring);
        free(shared);
    }
    if (discover->inotify_fd >= 0)
        close(discover->inotify_fd);
    *discover = (struct discover){.inotify_fd = -1};
}

void discover_read(struct discover *discover, int64_t now_ns)
{
    char buffer[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t len;
    while ((len = read(discover->inotify_fd, buffer, sizeof buffer)) > 0) {
        for (char *at = buffer; at < buffer + len;) {
            const struct inotify_event *event = (const struct inotify_event *)at;
            at += sizeof *event + event->len;
            if (event->mask & IN_Q_OVERFLOW)
                discover->rescan_at_ns = now_ns;
            for (uint32_t s = 0; event->len && s < CONFIG_STREAMS_MAX; s++)
                if (discover->watch[s] == event->wd)
                    file_found(discover, &discover->stream[s], event->name);
        }
    }
}

void discover_step(struct discover *discover, int64_t now_ns)
{
    if (now_ns >= discover->rescan_at_ns) {
        discover->rescan_at_ns = now_ns + RESCAN_NS;
        for (uint32_t s = 0; s < CONFIG_STREAMS_MAX; s++)
            if (discover->stream[s].state == STREAM_OPEN)
                rescan(discover, &discover->stream[s]);
    }
    for (struct shared_ring **link = &discover->rings; *link;) {
        struct shared_ring *shared = *link;
        ring_step(discover, shared);
        if (shared->state != RING_STATE_KEPT || shared->ring || shared->file[0]) {
            link = &shared->next;
            continue;
        }
        *link = shared->next; /* gone: file removed and entry forgotten */
        free(shared);
    }
    gauges_store(discover);
}

/* Also forgets kept files that somebody has removed. */
static void rescan(struct discover *discover, struct stream *stream)
{
    int fd = openat(stream->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        log_line(LOG_ERROR, "discover", "the stream's directory cannot be read", "dir=%s error=\"%s\"", stream->dir, strerror(errno));
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct shared_ring *shared = discover->rings; shared; shared = shared->next)
        if (shared->stream == stream)
            shared->seen = false;
    for (struct dirent *entry; (entry = readdir(dir));)
        file_found(discover, stream, entry->d_name);
    closedir(dir);
    for (struct shared_ring *shared = discover->rings; shared; shared = shared->next)
        if (shared->stream == stream && !shared->seen && shared->state == RING_STATE_KEPT)
            shared->file[0] = '\0';
}

static void file_found(struct discover *discover, struct stream *stream, const char *file)
{
    size_t len = strlen(file);
    if (len < 6 || len >= sizeof discover->rings->file || file[0] == '.' || strcmp(file + len - 5, ".ring") != 0)
        return;
    for (struct shared_ring *shared = discover->rings; shared; shared = shared->next) {
        if (shared->stream == stream && strcmp(shared->file, file) == 0) {
            shared->seen = true;
            return;
        }
    }
    struct shared_ring *shared = calloc(1, sizeof *shared);
    if (!shared)
        return; /* the next rescan finds it again */
    *shared = (struct shared_ring){.stream = stream, .stop_pos = UINT64_MAX, .seen = true, .next = discover->rings};
    memcpy(shared->file, file, len + 1);
    discover->rings = shared;
    ring_open_found(discover, shared);
}

static void ring_open_found(struct discover *discover, struct shared_ring *shared)
{
    struct stream *stream = shared->stream;
    struct ring_refusal why;
    int rc = ring_open(stream->dir_fd, shared->file, RING_ACCESS_SHIPPER, &shared->ring, &why);
    if (rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM) { /* ours, not the file's: forgotten, the next rescan finds it again */
        log_line(LOG_ERROR, "discover", "a ring cannot be opened now, it is tried again", "stream=%s ring=%s error=\"%s\"", stream->name,
                 shared->file, strerror(-rc));
        *shared = (struct shared_ring){.stream = stream, .next = shared->next, .state = RING_STATE_KEPT};
        return;
    }
    if (rc != 0) {
        shared->ring = NULL;
        order_none_add64(&stream->words->main.refused_files, 1);
        ring_keep(shared, "file refused as a ring", why.text);
        return;
    }
    if (ring_quarantined(shared->ring) == RING_QUARANTINE_NONE && ring_lanes_begin(shared->ring, discover->worker_count) != 0)
        ring_quarantine(shared->ring, RING_QUARANTINE_POSITIONS, 0);
    if (ring_quarantined(shared->ring) != RING_QUARANTINE_NONE) {
        char text[96];
        snprintf(text, sizeof text, "%s", ring_quarantine_text(ring_quarantined(shared->ring)));
        ring_keep(shared, "ring is in quarantine", text);
        return;
    }
    shared->state = RING_STATE_WAITING;
    if (ring_is_orphan(stream->dir_fd, shared->file) != 1 && ring_is_this_boot(shared->ring))
        ring_sync_forget(shared->ring); /* its producer will overwrite what the gate frees */
    if (!ring_is_this_boot(shared->ring)) {
        shared->earlier_boot = true;
        shared->stop_pos = ring_synced_pos(shared->ring);
    }
    log_line(LOG_INFO, "discover", "ring found", "stream=%s ring=%s capacity=%llu earlier_boot=%s", stream->name, shared->file,
             (unsigned long long)ring_capacity(shared->ring), shared->earlier_boot ? "yes" : "no");
    if (++discover->ring_count > RINGS_MAPPED_WARN && !discover->map_limit_told) {
        discover->map_limit_told = true;
        log_line(LOG_WARN, "discover", "many rings: raise vm.max_map_count before it is reached", "rings=%u", discover->ring_count);
    }
    ring_step(discover, shared);
}

/* Named once; its bytes are kept; nobody opens it again in this life. */
static void ring_keep(struct shared_ring *shared, const char *what, const char *why)
{
    char quoted[300];
    log_line(LOG_ERROR, "discover", what, "stream=%s ring=%s reason=%s", shared->stream->name, shared->file,
             log_quote(quoted, sizeof quoted, why));
    ring_close(shared->ring);
    shared->ring = NULL;
    shared->state = RING_STATE_KEPT;
}

static void ring_step(struct discover *discover, struct shared_ring *shared)
{
    uint32_t count = order_flag_get(&shared->stream->partition_count);
    switch (shared->state) {
    case RING_STATE_WAITING:
        if (ring_quarantined(shared->ring))
            ring_leave(discover, shared, false);
        else if (count)
            ring_attach(discover, shared, count);
        return;
    case RING_STATE_ATTACHED:
        ring_attached_step(discover, shared);
        return;
    case RING_STATE_FREEZING:
        if (order_count_load(&shared->frozen) == discover->worker_count)
            ring_frozen_step(discover, shared);
        return;
    case RING_STATE_OLD_COUNT:
        if (ring_quarantined(shared->ring) || ring_faulted(shared->ring)) {
            ring_leave(discover, shared, false);
        } else if (order_load_gate(&ring_shipper(shared->ring)->gate.gate_pos) >= shared->stop_pos) {
            ring_set_partition_count(shared->ring, count);
            shared->stop_pos = shared->earlier_boot ? ring_synced_pos(shared->ring) : UINT64_MAX;
            shared->state = RING_STATE_ATTACHED;
            post_all(discover, (struct worker_message){
                                   .kind = WORKER_RING_LIMIT, .ring = shared, .partition_count = count, .stop_pos = shared->stop_pos});
        }
        return;
    case RING_STATE_LEAVING:
        if (order_count_load(&shared->users) == 0)
            ring_left(discover, shared);
        return;
    case RING_STATE_KEPT:
        if (shared->let_go) /* also what was met on the way out */
            shared->file[0] = '\0';
        return;
    }
}

static void post_all(struct discover *discover, struct worker_message message)
{
    for (uint32_t w = 0; w < discover->worker_count; w++)
        worker_post(&discover->worker[w], message);
}

/* Under the stored partition count until all that is settled lies below the gate; partitions are only ever added. */
static void ring_attach(struct discover *discover, struct shared_ring *shared, uint32_t count)
{
    struct ring *ring = shared->ring;
    uint32_t stored = ring_partition_count(ring), limit = stream_event_bytes_max(shared->stream);
    uint64_t gate_pos = order_load_gate(&ring_shipper(ring)->gate.gate_pos), done_max = ring_done_max(ring);
    shared->state = RING_STATE_ATTACHED;
    if (stored > count) {
        log_line(LOG_WARN, "discover",
                 "the hub has fewer partitions than the ring was drained with: another hub, what was sent ahead is sent again",
                 "stream=%s ring=%s stored=%u partitions=%u", shared->stream->name, shared->file, stored, count);
        ring_done_clear(ring);
        ring_set_partition_count(ring, count);
    } else if (stored && stored < count && done_max > gate_pos) {
        count = stored;
        shared->state = RING_STATE_OLD_COUNT;
        if (done_max < shared->stop_pos) /* of an earlier boot only what was synced is walked */
            shared->stop_pos = done_max;
    } else {
        ring_set_partition_count(ring, count);
    }
    if (limit)
        ring_set_event_bytes_max(ring, limit);
    order_count_add(&shared->users, (int32_t)discover->worker_count);
    post_all(discover,
             (struct worker_message){.kind = WORKER_RING_ADD, .ring = shared, .partition_count = count, .stop_pos = shared->stop_pos});
}

static void ring_attached_step(struct discover *discover, struct shared_ring *shared)
{
    struct ring *ring = shared->ring;
    uint32_t count = order_flag_get(&shared->stream->partition_count), limit = stream_event_bytes_max(shared->stream);
    if (ring_quarantined(ring) || ring_faulted(ring)) {
        ring_leave(discover, shared, false);
        return;
    }
    if (limit && order_none_load32(&ring_shipper(ring)->limit.event_bytes_max) != limit)
        ring_set_event_bytes_max(ring, limit);
    if (count > ring_partition_count(ring)) {
        log_line(LOG_INFO, "discover", "partitions were added: the ring is drained under the old count first",
                 "stream=%s ring=%s from=%u to=%u", shared->stream->name, shared->file, ring_partition_count(ring), count);
        shared->state = RING_STATE_FREEZING;
        order_flag_set(&shared->frozen, 0);
        post_all(discover, (struct worker_message){.kind = WORKER_RING_FREEZE, .ring = shared});
        return;
    }
    if (count < ring_partition_count(ring)) {
        shared->again = true; /* another hub behind the same name: attached anew under its count */
        ring_release(discover, shared);
        return;
    }
    ring_look_for_orphan(discover, shared);
}

/* A drained ring whose lock is free, looked at again after the lock was seen free. At most some thousand looks a second, however many rings
 * there are. */
static void ring_look_for_orphan(struct discover *discover, struct shared_ring *shared)
{
    const struct ring_producer *producer = ring_producer(shared->ring);
    int64_t now_ns = clock_mono_ns();
    if (now_ns < shared->check_at_ns && !order_flag_get(&producer->hot.closed))
        return;
    shared->check_at_ns = now_ns + CHECK_NS * (1 + discover->ring_count / CHECKS_PER_SECOND);
    uint64_t write_pos = order_observe(&producer->hot.write_pos);
    bool still = write_pos == shared->checked_write_pos || order_flag_get(&producer->hot.closed);
    shared->checked_write_pos = write_pos;
    if (!still || !ring_is_drained(shared))
        return;
    int orphan = ring_is_orphan(shared->stream->dir_fd, shared->file);
    if (orphan == -ENOENT)
        log_line(LOG_WARN, "discover", "the ring's file was removed by somebody: what its producer still writes is lost",
                 "stream=%s ring=%s", shared->stream->name, shared->file);
    if ((orphan == 1 || orphan == -ENOENT) && ring_is_drained(shared))
        ring_leave(discover, shared, true);
}

/* All workers stand still: they walk on to where the foremost stood, and what lies before is finished under the old count. */
static void ring_frozen_step(struct discover *discover, struct shared_ring *shared)
{
    const struct ring_shipper *words = ring_shipper(shared->ring);
    shared->stop_pos = 0;
    for (uint32_t lane = 0; lane < discover->worker_count; lane++) {
        uint64_t read_pos = order_load_ack(&words->lane[lane].read_pos);
        if (read_pos > shared->stop_pos)
            shared->stop_pos = read_pos;
    }
    shared->state = RING_STATE_OLD_COUNT;
    post_all(discover, (struct worker_message){.kind = WORKER_RING_LIMIT,
                                               .ring = shared,
                                               .partition_count = ring_partition_count(shared->ring),
                                               .stop_pos = shared->stop_pos});
}

static bool ring_is_drained(const struct shared_ring *shared)
{
    uint64_t end_pos = order_observe(&ring_producer(shared->ring)->hot.write_pos);
    if (shared->earlier_boot && shared->stop_pos < end_pos)
        end_pos = shared->stop_pos;
    return order_load_gate(&ring_shipper(shared->ring)->gate.gate_pos) >= end_pos;
}

static void ring_leave(struct discover *discover, struct shared_ring *shared, bool remove)
{
    shared->remove = remove;
    shared->state = RING_STATE_LEAVING;
    if (order_count_load(&shared->users) > 0) /* else nobody keeps it alive until the message is read */
        post_all(discover, (struct worker_message){.kind = WORKER_RING_DROP, .ring = shared});
}

/* The same for a ring that is whole and goes on elsewhere, or here in another way: what is in flight is settled first. One that leaves
 * already goes its way. */
static void ring_release(struct discover *discover, struct shared_ring *shared)
{
    if (shared->state == RING_STATE_LEAVING)
        return;
    shared->remove = false;
    shared->state = RING_STATE_LEAVING;
    if (order_count_load(&shared->users) > 0)
        post_all(discover, (struct worker_message){.kind = WORKER_RING_RELEASE, .ring = shared});
}

/* No worker holds it any more. */
static void ring_left(struct discover *discover, struct shared_ring *shared)
{
    struct ring *ring = shared->ring;
    if (shared->let_go && !shared->remove && !ring_quarantined(ring) && !ring_faulted(ring)) {
        discover->ring_count--;
        ring_let_go(shared);
        return;
    }
    if (shared->again && !ring_quarantined(ring) && !ring_faulted(ring)) {
        shared->again = false;
        shared->stop_pos = shared->earlier_boot ? ring_synced_pos(ring) : UINT64_MAX;
        if (ring_lanes_begin(ring, discover->worker_count) != 0)
            ring_quarantine(ring, RING_QUARANTINE_POSITIONS, 0);
        shared->state = RING_STATE_WAITING;
        return;
    }
    discover->ring_count--;
    if (!shared->remove) {
        if (ring_faulted(ring))
            ring_quarantine(ring, RING_QUARANTINE_TRUNCATED, 0);
        ring_keep(shared, "ring is in quarantine", ring_quarantine_text(ring_quarantined(ring)));
        return;
    }
    uint64_t committed = ring_committed_events(ring), left = shared->earlier_boot ? ring_drop_unsynced(ring) : 0;
    if (stream_remove_ring(shared->stream, ring) != 0) { /* named there; not opened again, or each look would find it drained */
        ring_close(ring);
        shared->ring = NULL;
        shared->state = RING_STATE_KEPT;
        return;
    }
    log_line(left ? LOG_WARN : LOG_INFO, "discover",
             left ? "ring of an earlier boot removed, what was not synced is given up" : "ring drained and removed",
             "stream=%s ring=%s events=%llu dropped=%llu", shared->stream->name, shared->file, (unsigned long long)committed,
             (unsigned long long)left);
    ring_close(ring);
    shared->ring = NULL;
    shared->state = RING_STATE_KEPT;
    shared->file[0] = '\0';
}

/* Whoever finds it next goes on where the acks stand. */
static void ring_let_go(struct shared_ring *shared)
{
    log_line(LOG_INFO, "discover", "ring is let go", "stream=%s ring=%s", shared->stream->name, shared->file);
    ring_bell_set(shared->ring, 0); /* nobody sleeps here any more */
    ring_sync(shared->ring);
    ring_close(shared->ring);
    shared->ring = NULL;
    shared->state = RING_STATE_KEPT;
    shared->file[0] = '\0';
}

static void gauges_store(struct discover *discover)
{
    for (uint32_t s = 0; s < CONFIG_STREAMS_MAX; s++) {
        struct stream *stream = &discover->stream[s];
        if (stream->state == STREAM_CLOSED)
            continue;
        uint64_t rings = 0, kept = 0;
        for (const struct shared_ring *shared = discover->rings; shared; shared = shared->next) {
            if (shared->stream != stream)
                continue;
            rings += shared->state != RING_STATE_KEPT;
            kept += shared->state == RING_STATE_KEPT;
        }
        order_none_store64(&stream->words->main.ring_count, rings);
        order_none_store64(&stream->words->main.quarantined_rings, kept);
        order_none_store64(&stream->words->main.partition_count, order_none_load32(&stream->partition_count));
        order_none_store64(&stream->words->main.message_bytes_max, stream_batch_bytes_max(stream));
    }
}
