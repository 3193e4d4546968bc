/* The ledgers of a stream: each ring's, the removed rings', and their sum. */
#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "find.h"

enum { LOOKS = 20 }; /* rings may be removed meanwhile, but not each time */

static int look(struct audit_stream *audit, const char *rings_dir);
static int look_at_rings(struct audit_stream *audit, const char *rings_dir, const struct stat_list *list);
static int look_at_ring(struct audit_part *part, int dir_fd);
static void look_at_removed(struct audit_stream *audit, const char *rings_dir);
static void judge(struct audit_part *part, int err);
static void add_up(struct audit_stream *audit);

void stat_audit(struct audit_stream *audit, const char *rings_dir, const char *name)
{
    int err = -EAGAIN;

    *audit = (struct audit_stream){.name = name};
    for (int i = 0; i < LOOKS && err == -EAGAIN; i++) {
        stat_audit_close(audit);
        err = look(audit, rings_dir);
    }
    add_up(audit);
    if (!err)
        return;
    if (audit->verdict == AUDIT_CLOSES)
        audit->verdict = AUDIT_UNKNOWN;
    snprintf(audit->why, sizeof(audit->why), "%s", err == -EAGAIN ? "no consistent cut: rings are removed all the time" : strerror(-err));
}

void stat_audit_close(struct audit_stream *audit)
{
    for (size_t i = 0; i < audit->ring_count; i++)
        free(audit->ring[i].file);
    free(audit->ring);
    *audit = (struct audit_stream){.name = audit->name};
}

/* 0; -EAGAIN: a ring was removed meanwhile; -errno: the directory cannot be read. */
static int look(struct audit_stream *audit, const char *rings_dir)
{
    struct ring_ledger_removed before;
    struct stat_list list;
    int unreadable = 0, err;

    look_at_removed(audit, rings_dir);
    before = audit->totals;
    err = stat_find(rings_dir, audit->name, &list, &unreadable);
    if (!err)
        err = look_at_rings(audit, rings_dir, &list);
    stat_list_free(&list);
    if (!err && unreadable)
        err = -EACCES;
    if (err)
        return err;
    look_at_removed(audit, rings_dir);
    return memcmp(&before, &audit->totals, sizeof(before)) == 0 ? 0 : -EAGAIN;
}

static int look_at_rings(struct audit_stream *audit, const char *rings_dir, const struct stat_list *list)
{
    char dir[4096];
    int len = snprintf(dir, sizeof(dir), "%s/%s", rings_dir, audit->name), err = 0, dir_fd;

    if (len < 0 || (size_t)len >= sizeof(dir))
        return -ENAMETOOLONG;
    dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return errno == ENOENT ? 0 : -errno; /* totals alone */
    audit->ring = calloc(list->count + 1, sizeof(*audit->ring));
    err = audit->ring ? 0 : -ENOMEM;
    for (size_t i = 0; i < list->count && !err; i++) {
        const struct stat_file *file = &list->file[i];
        if (!file->is_ring || strcmp(file->name, audit->totals.removing) == 0)
            continue;
        struct audit_part *part = &audit->ring[audit->ring_count++];
        part->file = strdup(file->name);
        err = part->file ? look_at_ring(part, dir_fd) : -ENOMEM;
    }
    close(dir_fd);
    return err;
}

/* -EAGAIN: it is gone. */
static int look_at_ring(struct audit_part *part, int dir_fd)
{
    struct ring_refusal why = {0};
    struct ring *ring = NULL;
    int err = ring_open(dir_fd, part->file, RING_ACCESS_VIEW, &ring, &why);

    if (err == -ENOENT)
        return -EAGAIN;
    if (!err)
        err = ring_ledger_of_ring(ring, &part->ledger, &why);
    ring_close(ring);
    judge(part, err);
    snprintf(part->why, sizeof(part->why), "%s", err ? why.text : "");
    return 0;
}

static void look_at_removed(struct audit_stream *audit, const char *rings_dir)
{
    struct ring_stat_view view;
    struct ring_refusal why = {0};
    struct audit_part *part = &audit->removed;
    char path[4096];
    int len = snprintf(path, sizeof(path), "%s/%s.stat", rings_dir, audit->name), err;

    *part = (struct audit_part){0};
    memset(&audit->totals, 0, sizeof(audit->totals));
    err = len < 0 || (size_t)len >= sizeof(path) ? -ENAMETOOLONG : ring_stat_view_open(path, &view, part->why, sizeof(part->why));
    audit->has_removed = err != -ENOENT;
    if (err) {
        part->verdict = err == -ENOENT ? AUDIT_CLOSES : AUDIT_UNKNOWN;
        return;
    }
    err = ring_ledger_of_removed(&view, &audit->totals, &why);
    ring_stat_view_close(&view);
    part->ledger = audit->totals.ledger;
    judge(part, err);
    snprintf(part->why, sizeof(part->why), "%s", err ? why.text : "");
}

static void judge(struct audit_part *part, int err)
{
    if (err) {
        part->ledger = (struct ring_ledger){0};
        part->verdict = AUDIT_UNKNOWN;
    } else {
        part->verdict = ring_ledger_difference(&part->ledger) == 0 ? AUDIT_CLOSES : AUDIT_OPEN;
    }
}

/* One open part opens the stream, even if another is open by as much the other way. */
static void add_up(struct audit_stream *audit)
{
    size_t open = audit->removed.verdict == AUDIT_OPEN, unknown = audit->removed.verdict == AUDIT_UNKNOWN;

    audit->sum = audit->removed.ledger;
    for (size_t i = 0; i < audit->ring_count; i++) {
        open += audit->ring[i].verdict == AUDIT_OPEN;
        unknown += audit->ring[i].verdict == AUDIT_UNKNOWN;
        ring_ledger_add(&audit->sum, &audit->ring[i].ledger);
    }
    audit->verdict = open ? AUDIT_OPEN : unknown ? AUDIT_UNKNOWN : AUDIT_CLOSES;
}
