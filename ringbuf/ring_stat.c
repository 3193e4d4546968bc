/* Files that carry their own table of counters: the shipper's stat file, and the reader of any such file. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ring_internal.h"
#include "ring_order.h"
#include "ring_stat.h"

#define STAT_MODE 0644
#define STAT_LINES_MAX 1024u

struct plan { /* what a stat file with this table looks like */
    uint64_t values_off;
    uint64_t values_len;
    uint64_t file_len;
    struct ring_stat_desc *table; /* offsets in the file */
    uint32_t count;
};

static int plan_make(const struct ring_stat_desc *table, uint32_t count, size_t values_len, struct plan *plan);
static int take_over(const char *path, const struct plan *plan, struct ring_stat_file *out);
static bool is_same(const uint8_t *map, const struct plan *plan);
static int replace(const char *path, const char *name, const struct plan *plan, struct ring_stat_file *out);
static int map_rest(int fd, const struct plan *plan, struct ring_stat_file *out);
static int past_take(const char *path, const struct plan *plan, struct ring_stat_file *file);
static void sign(struct ring_stat_file *file);
static int view_map(const char *path, struct ring_stat_view *out, char *why, size_t why_len);
static int view_table(struct ring_stat_view *view, const char *path, char *why, size_t why_len);
static int view_copy_table(struct ring_stat_view *view, uint64_t off, uint32_t count, uint32_t desc_len);
static const void *value_at(const struct ring_stat_view *view, const struct ring_stat_desc *line, uint32_t index, size_t len);
static int refuse(char *why, size_t why_len, int err, const char *format, ...) __attribute__((format(printf, 4, 5)));

int ring_stat_file_open(const char *path, const char *name, const struct ring_stat_desc *table, uint32_t count, size_t values_len,
                        struct ring_stat_file *out)
{
    struct plan plan = {0};
    int err;

    *out = (struct ring_stat_file){0};
    err = plan_make(table, count, values_len, &plan);
    if (!err)
        err = take_over(path, &plan, out);
    if (err == -ESTALE || err == -ENOENT)
        err = replace(path, name, &plan, out);
    if (!err)
        sign(out);
    free(plan.table);
    return err;
}

void ring_stat_file_close(struct ring_stat_file *file)
{
    if (file && file->map)
        munmap(file->map, file->map_len);
    if (file)
        *file = (struct ring_stat_file){0};
}

int ring_stat_view_open(const char *path, struct ring_stat_view *out, char *why, size_t why_len)
{
    int err;

    *out = (struct ring_stat_view){0};
    if (why_len > 0)
        why[0] = '\0';
    err = view_map(path, out, why, why_len);
    if (!err)
        err = view_table(out, path, why, why_len);
    if (err)
        ring_stat_view_close(out);
    return err;
}

void ring_stat_view_close(struct ring_stat_view *view)
{
    if (view->map) {
        ring_guard_remove(view->guard);
        munmap((void *)(uintptr_t)view->map, view->map_len);
    }
    free((void *)(uintptr_t)view->table);
    *view = (struct ring_stat_view){0};
}

uint64_t ring_stat_value(const struct ring_stat_view *view, const struct ring_stat_desc *line, uint32_t index)
{
    const struct ring_hist *hist;
    const void *at;

    if (line->kind == RING_STAT_HISTOGRAM) {
        hist = ring_stat_hist(view, line, index);
        return hist ? order_none_load64(&hist->count) : 0;
    }
    at = line->kind == RING_STAT_TEXT ? NULL : value_at(view, line, index, line->width);
    if (!at)
        return 0;
    return line->width == 8 ? order_redo_load64(at) : order_redo_load32(at); /* R2: a ledger reads its words in their order */
}

void ring_stat_text(const struct ring_stat_view *view, const struct ring_stat_desc *line, char *to, size_t cap)
{
    size_t len = line->kind == RING_STAT_TEXT && cap > 0 ? line->stride : 0;

    if (cap > 0)
        to[0] = '\0';
    if (line->off > view->map_len || len > view->map_len - line->off || len == 0)
        return;
    if (len >= cap)
        len = cap - 1;
    memcpy(to, view->map + line->off, len);
    to[len] = '\0';
    len = strlen(to);
    memset(to + len, 0, cap - len); /* two looks at the same text are the same bytes */
}

const struct ring_hist *ring_stat_hist(const struct ring_stat_view *view, const struct ring_stat_desc *line, uint32_t index)
{
    return line->kind == RING_STAT_HISTOGRAM ? value_at(view, line, index, sizeof(struct ring_hist)) : NULL;
}

static int plan_make(const struct ring_stat_desc *table, uint32_t count, size_t values_len, struct plan *plan)
{
    uint64_t page_len = (uint64_t)sysconf(_SC_PAGESIZE), table_len = (uint64_t)count * sizeof(*table);

    if (count > STAT_LINES_MAX)
        return -EINVAL;
    plan->values_off = (sizeof(struct ring_stat_header) + table_len + page_len - 1) / page_len * page_len;
    plan->values_len = (values_len + page_len - 1) / page_len * page_len;
    plan->file_len = plan->values_off + plan->values_len;
    plan->count = count;
    plan->table = malloc(table_len ? table_len : 1);
    if (!plan->table)
        return -ENOMEM;
    memcpy(plan->table, table, table_len);
    for (uint32_t i = 0; i < count; i++) {
        assert(table[i].off < values_len); /* our own table */
        plan->table[i].off += plan->values_off;
    }
    return 0;
}

/* An older file with the same table goes on counting. -ESTALE: it is another one, or none. */
static int take_over(const char *path, const struct plan *plan, struct ring_stat_file *out)
{
    struct stat stat;
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC), err;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &stat) != 0)
        err = -errno;
    else if (!S_ISREG(stat.st_mode) || stat.st_nlink != 1 || (uint64_t)stat.st_size != plan->file_len)
        err = -ESTALE;
    else
        err = map_rest(fd, plan, out);
    close(fd);
    if (err)
        return err;
    out->past = RING_STAT_PAST_KEPT;
    if (is_same(out->map, plan))
        return 0;
    munmap(out->map, out->map_len);
    *out = (struct ring_stat_file){0};
    return -ESTALE;
}

static bool is_same(const uint8_t *map, const struct plan *plan)
{
    const struct ring_stat_header *header = (const struct ring_stat_header *)map;

    return header->magic == RING_STAT_MAGIC && order_load_version(&header->version) == RING_STAT_VERSION &&
           header->header_len == sizeof(*header) && header->file_len == plan->file_len && header->values_off == plan->values_off &&
           header->stat_count == plan->count && header->stat_desc_len == sizeof(struct ring_stat_desc) &&
           memcmp(map + sizeof(*header), plan->table, plan->count * sizeof(*plan->table)) == 0;
}

/* Whole under a name of its own, then renamed: a reader finds the old file or the new one. */
static int replace(const char *path, const char *name, const struct plan *plan, struct ring_stat_file *out)
{
    char draft[PATH_MAX];
    int len = snprintf(draft, sizeof(draft), "%s.new", path), fd, err;

    if (len < 0 || (size_t)len >= sizeof(draft))
        return -ENAMETOOLONG;
    if (unlink(draft) != 0 && errno != ENOENT)
        return -errno;
    fd = open(draft, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    err = -posix_fallocate(fd, 0, (off_t)plan->file_len);
    if (!err && fchmod(fd, STAT_MODE) != 0)
        err = -errno;
    if (!err)
        err = map_rest(fd, plan, out);
    close(fd);
    if (!err) {
        struct ring_stat_header *header = out->map;
        *header = (struct ring_stat_header){.magic = RING_STAT_MAGIC,
                                            .header_len = sizeof(*header),
                                            .file_len = plan->file_len,
                                            .values_off = plan->values_off,
                                            .values_len = plan->values_len,
                                            .stat_count = plan->count,
                                            .stat_desc_len = sizeof(struct ring_stat_desc)};
        snprintf(header->name, sizeof(header->name), "%s", name);
        memcpy(header + 1, plan->table, plan->count * sizeof(*plan->table));
        err = past_take(path, plan, out);
        order_publish_version(&header->version, RING_STAT_VERSION);
    }
    if (!err)
        err = rename(draft, path) == 0 ? 0 : -errno;
    if (err) {
        ring_stat_file_close(out);
        unlink(draft);
    }
    return err;
}

static int map_rest(int fd, const struct plan *plan, struct ring_stat_file *out)
{
    void *map = mmap(NULL, plan->file_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (map == MAP_FAILED)
        return -errno;
    *out = (struct ring_stat_file){.map = map, .map_len = plan->file_len, .values = (uint8_t *)map + plan->values_off};
    return 0;
}

/* A fifo or a directory is set aside like any other thing that is no stat file. */
static int past_take(const char *path, const struct plan *plan, struct ring_stat_file *file)
{
    struct ring_stat_view view;
    char aside[PATH_MAX];
    struct stat stat;

    if (lstat(path, &stat) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (ring_stat_view_open(path, &view, NULL, 0) == 0) {
        bool ours = view.source == RING_STAT_OF_SHIPPER;
        if (ours)
            ring_stat_carry(&view, plan->table, plan->count, file->map);
        ours = ours && !ring_guard_faulted(view.guard);
        ring_stat_view_close(&view);
        if (ours) {
            file->past = RING_STAT_PAST_CARRIED;
            return 0;
        }
        memset(file->values, 0, plan->values_len);
    }
    file->past = RING_STAT_PAST_SET_ASIDE;
    int len = snprintf(aside, sizeof(aside), "%s.bad", path);
    if (len < 0 || (size_t)len >= sizeof(aside))
        return -ENAMETOOLONG;
    return rename(path, aside) == 0 ? 0 : -errno;
}

/* Who counts now, and since when. */
static void sign(struct ring_stat_file *file)
{
    struct ring_stat_header *header = file->map;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    header->pid = (uint32_t)getpid();
    header->started_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int view_map(const char *path, struct ring_stat_view *out, char *why, size_t why_len)
{
    struct stat stat;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err = 0;
    void *map;

    if (fd < 0)
        return refuse(why, why_len, -errno, "%s: %s", path, strerrordesc_np(errno));
    if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode))
        err = refuse(why, why_len, -EBADMSG, "%s is not a regular file", path);
    else if ((uint64_t)stat.st_size < sizeof(struct ring_header))
        err = refuse(why, why_len, -EBADMSG, "%s has %llu bytes, too few for a header", path, (unsigned long long)stat.st_size);
    else if ((map = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_SHARED, fd, 0)) == MAP_FAILED)
        err = refuse(why, why_len, -errno, "%s: cannot map: %s", path, strerrordesc_np(errno));
    else {
        out->map = map;
        out->map_len = (size_t)stat.st_size;
        out->guard = ring_guard_add(map, out->map_len);
        if (!out->guard)
            err = refuse(why, why_len, -ENOMEM, "%s: cannot be guarded against SIGBUS", path);
    }
    close(fd);
    return err;
}

/* Copied out: a peer may change the file while it is read. */
static int view_table(struct ring_stat_view *view, const char *path, char *why, size_t why_len)
{
    uint64_t magic;
    int err;

    static_assert(sizeof(struct ring_stat_header) <= sizeof(struct ring_header), "the shorter header fits where the longer does");
    memcpy(&magic, view->map, sizeof(magic));
    if (magic == RING_MAGIC) {
        struct ring_header header;
        uint32_t version = order_load_version(&((const struct ring_header *)view->map)->version); /* V2 */
        memcpy(&header, view->map, sizeof(header));
        if (version != RING_VERSION)
            return refuse(why, why_len, -EPROTONOSUPPORT, "%s has version %u, this program reads %u", path, version, RING_VERSION);
        view->source = RING_STAT_OF_RING;
        memcpy(view->name, header.name, sizeof(view->name));
        view->pid = header.pid;
        view->started_ns = header.created_ns;
        err = view_copy_table(view, header.stat_off, header.stat_count, header.stat_desc_len);
    } else if (magic == RING_STAT_MAGIC) {
        struct ring_stat_header header;
        uint32_t version = order_load_version(&((const struct ring_stat_header *)view->map)->version); /* V2 */
        memcpy(&header, view->map, sizeof(header));
        if (version != RING_STAT_VERSION)
            return refuse(why, why_len, -EPROTONOSUPPORT, "%s has version %u, this program reads %u", path, version, RING_STAT_VERSION);
        view->source = RING_STAT_OF_SHIPPER;
        memcpy(view->name, header.name, sizeof(view->name));
        view->pid = header.pid;
        view->started_ns = header.started_ns;
        err = view_copy_table(view, sizeof(header), header.stat_count, header.stat_desc_len);
    } else {
        return refuse(why, why_len, -EBADMSG, "%s is neither a ring nor a file of counters", path);
    }
    view->name[sizeof(view->name) - 1] = '\0';
    return err ? refuse(why, why_len, err, "%s: its table of counters cannot be", path) : 0;
}

static int view_copy_table(struct ring_stat_view *view, uint64_t off, uint32_t count, uint32_t desc_len)
{
    struct ring_stat_desc *table;
    uint64_t len = (uint64_t)count * sizeof(*table);

    if (desc_len != sizeof(*table) || count > STAT_LINES_MAX || off > view->map_len || len > view->map_len - off)
        return -EBADMSG;
    table = malloc(len ? len : 1);
    if (!table)
        return -ENOMEM;
    memcpy(table, view->map + off, len);
    for (uint32_t i = 0; i < count; i++) {
        table[i].name[sizeof(table[i].name) - 1] = '\0';
        table[i].unit[sizeof(table[i].unit) - 1] = '\0';
        table[i].index[sizeof(table[i].index) - 1] = '\0';
        table[i].help[sizeof(table[i].help) - 1] = '\0';
    }
    view->table = table;
    view->count = count;
    return ring_guard_faulted(view->guard) ? -EBADMSG : 0;
}

static const void *value_at(const struct ring_stat_view *view, const struct ring_stat_desc *line, uint32_t index, size_t len)
{
    uint64_t off = line->off, more = (uint64_t)index * line->stride;

    if (index >= line->count || (len != 4 && len != 8 && len != sizeof(struct ring_hist)) || off > view->map_len)
        return NULL;
    if (more > view->map_len - off || len > view->map_len - off - more || (off + more) % (len == 4 ? 4 : 8) != 0)
        return NULL;
    return view->map + off + more;
}

static int refuse(char *why, size_t why_len, int err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (why_len > 0)
        vsnprintf(why, why_len, format, args);
    va_end(args);
    return err;
}
