/* One file as a tool sees it. */
#include "look.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ringbuf/ring.h"
#include "ringbuf/ring_dropped.h"
#include "ringbuf/ring_order.h"
#include "ringbuf/ring_refused.h"

enum { LINES_MAX = 1024, VALUES_MAX = 4096 }; /* far more than any of our tables has; a hostile one must not cost gigabytes */

static int look_at_ring(struct stat_look *look, const char *name);
static int check_table(struct stat_look *look);
static void read_lag(struct stat_look *look);
static void read_age(struct stat_look *look);
static int gating_lane(const struct ring_shipper *shipper, uint32_t lane_count, uint64_t write_pos);

int stat_look(struct stat_look *look, const char *rings_dir, const struct stat_file *file)
{
    int len, err;

    memset(look, 0, sizeof(*look));
    len = file->is_ring ? snprintf(look->path, sizeof(look->path), "%s/%s/%s", rings_dir, file->stream, file->name)
                        : snprintf(look->path, sizeof(look->path), "%s/%s", rings_dir, file->name);
    if (len < 0 || (size_t)len >= sizeof(look->path)) {
        snprintf(look->why, sizeof(look->why), "its path is longer than %zu bytes", sizeof(look->path));
        return 1;
    }
    err = file->is_ring ? look_at_ring(look, file->name) : 0;
    if (!err)
        err = ring_stat_view_open(look->path, &look->view, look->why, sizeof(look->why));
    if (!err)
        err = check_table(look);
    if (err == -ENOENT)
        return err;
    if (err && !look->why[0])
        snprintf(look->why, sizeof(look->why), "%s", strerror(-err));
    return err ? 1 : 0;
}

void stat_unlook(struct stat_look *look)
{
    if (look->view.map)
        ring_stat_view_close(&look->view);
    ring_close(look->ring);
    look->ring = NULL;
}

bool stat_look_spoilt(const struct stat_look *look)
{
    return look->ring && ring_faulted(look->ring);
}

const char *stat_label(const char *text, size_t cap, char label[STAT_LABEL_BYTES])
{
    size_t len = strnlen(text, cap < STAT_LABEL_BYTES ? cap : STAT_LABEL_BYTES - 1);

    for (size_t i = 0; i < len; i++)
        label[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    label[len] = '\0';
    return label;
}

const char *stat_index_label(const struct ring_stat_desc *line, uint32_t index, char label[STAT_LABEL_BYTES])
{
    const char *reason = stat_reason_name(line, index);
    char by[STAT_LABEL_BYTES];

    if (reason)
        snprintf(label, STAT_LABEL_BYTES, "%s", reason);
    else
        snprintf(label, STAT_LABEL_BYTES, "%.60s %-3" PRIu32, stat_label(line->index, sizeof(line->index), by), index);
    return label;
}

const char *stat_reason_name(const struct ring_stat_desc *line, uint32_t index)
{
    static const char removing[] = "removing_";
    const char *name = strncmp(line->name, removing, sizeof(removing) - 1) == 0 ? line->name + sizeof(removing) - 1 : line->name;

    if (strcmp(line->index, "reason") != 0)
        return NULL;
    if (strcmp(name, "refused_events") == 0)
        return ring_refused_name(index);
    return strcmp(name, "dropped_events") == 0 ? ring_dropped_name(index) : NULL;
}

static int check_table(struct stat_look *look)
{
    if (look->view.count > LINES_MAX) {
        snprintf(look->why, sizeof(look->why), "its table has %u lines, the limit is %d", look->view.count, LINES_MAX);
        return -EBADMSG;
    }
    for (uint32_t i = 0; i < look->view.count; i++) {
        const struct ring_stat_desc *line = &look->view.table[i];
        uint64_t len = line->kind == RING_STAT_HISTOGRAM ? sizeof(struct ring_hist)
                       : line->kind == RING_STAT_TEXT    ? line->stride
                                                         : line->width;
        if (line->count == 0 || line->count > VALUES_MAX) {
            snprintf(look->why, sizeof(look->why), "line %u of its table has %u values, the limit is %d", i, line->count, VALUES_MAX);
            return -EBADMSG;
        }
        len += (uint64_t)(line->count - 1) * line->stride;
        if (line->off > look->view.map_len || len > look->view.map_len - line->off) {
            snprintf(look->why, sizeof(look->why), "line %u of its table lies behind the end of the file's %zu bytes", i,
                     look->view.map_len);
            return -EBADMSG;
        }
    }
    return 0;
}

static int look_at_ring(struct stat_look *look, const char *name)
{
    char dir[sizeof(look->path)];
    struct ring_refusal why = {0};
    int dir_fd, err, orphan;

    snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(look->path, '/') - look->path), look->path);
    dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return -errno;
    err = ring_open(dir_fd, name, RING_ACCESS_VIEW, &look->ring, &why);
    if (err) {
        snprintf(look->why, sizeof(look->why), "%s", why.text);
        goto out;
    }
    orphan = ring_is_orphan(dir_fd, name);
    look->life = orphan < 0 ? STAT_LIFE_UNKNOWN : orphan ? STAT_LIFE_ORPHAN : STAT_LIFE_ALIVE;
    look->closed = order_none_load32(&ring_producer(look->ring)->hot.closed) != 0;
    look->capacity = ring_capacity(look->ring);
    enum ring_quarantine reason = ring_quarantined(look->ring);
    if (reason != RING_QUARANTINE_NONE) {
        look->quarantine = ring_quarantine_text(reason);
        look->quarantine_pos = order_none_load64(&ring_shipper(look->ring)->control.quarantine_pos);
    }
    read_lag(look);
    read_age(look);
out:
    close(dir_fd);
    return err;
}

/* The gate is read before the position that runs ahead of it, so that on a busy ring the lag is never negative; it can only look too large
 * then, which the gate's having moved tells from nonsense. */
static void read_lag(struct stat_look *look)
{
    const struct ring_shipper *shipper = ring_shipper(look->ring);
    struct stat_lag *lag = &look->lag;

    lag->gate_pos = order_load_gate(&shipper->gate.gate_pos);
    lag->lane_count = order_none_load32(&shipper->control.lane_count);
    lag->write_pos = order_observe(&ring_producer(look->ring)->hot.write_pos);
    lag->bytes = lag->write_pos - lag->gate_pos;
    lag->impossible = lag->lane_count > RING_LANES_MAX;
    if (lag->bytes > look->capacity) {
        lag->impossible |= order_load_gate(&shipper->gate.gate_pos) == lag->gate_pos;
        lag->bytes = look->capacity;
    }
    lag->gating_lane = -1;
    if (!lag->impossible)
        lag->gating_lane = gating_lane(shipper, lag->lane_count, lag->write_pos);
}

/* A time that lies ahead was made up by the producer, or the clock was set: no age then. */
static void read_age(struct stat_look *look)
{
    struct timespec now;
    int64_t time_ns, age_ns;

    look->oldest_age_ns = -1;
    if (look->lag.impossible || !ring_oldest_time_ns(look->ring, &time_ns))
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    age_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec - time_ns;
    look->oldest_age_ns = age_ns > 0 ? age_ns : 0;
}

/* The lane that is farthest behind, unless nothing is. */
static int gating_lane(const struct ring_shipper *shipper, uint32_t lane_count, uint64_t write_pos)
{
    uint64_t worst = 0;
    int lane = -1;

    for (uint32_t i = 0; i < lane_count; i++) {
        uint64_t behind = write_pos - order_load_ack(&shipper->lane[i].ack_pos);
        if (behind > worst && behind <= INT64_MAX) {
            worst = behind;
            lane = (int)i;
        }
    }
    return lane;
}
