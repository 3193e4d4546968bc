/* ehring-ctl dead-letter replay: sends letters again, group by group, and marks each group once it is accepted. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "marks.h"
#include "replay_direct.h"
#include "replay_options.h"
#include "replay_ring.h"
#include "segment.h"
#include "tools/send/pace.h"

enum { GROUP_MAX = 256, GROUP_BYTES_MAX = 4 << 20, REFUSALS_SHOWN = 20 };
static const int64_t group_ns_max = 1000000000;

struct replay {
    const struct replay_options *options;
    union {
        struct replay_ring ring;
        struct replay_direct direct;
    } out;
    struct marks marks; /* of the whole stream */
    uint64_t sent, accepted, skipped, refused, returned;
    int64_t start_ns;
    struct { /* sent, not known to be accepted; all of one segment */
        struct ehring_identity id[GROUP_MAX];
        size_t count, bytes;
        int64_t start_ns;
    } group;
};

static volatile sig_atomic_t stop; /* nothing but the handler's note to the loops */

static void on_signal(int number);
static void catch_signals(void);
static int replay_open(struct replay *replay);
static void replay_close(struct replay *replay);
static int replay_stream(struct replay *replay);
static int replay_segment(struct replay *replay, const char *name);
static int replay_letter(struct replay *replay, const struct segment *segment, const struct marks *own, const struct letter *letter);
static int group_add(struct replay *replay, const struct segment *segment, const struct letter *letter);
static int group_settle(struct replay *replay, const struct segment *segment);
static void refuse(struct replay *replay, const struct letter *letter, const char *why);
static int finish(const struct replay *replay, int status);

int dead_replay_run(int argc, char **argv)
{
    static struct replay replay;
    struct replay_options options;
    int status = replay_options_read(&options, argc, argv), lock_fd = -1;

    if (status != 0)
        return status == 1 ? 0 : status;
    replay.options = &options;
    catch_signals();
    status = 1;
    if ((lock_fd = marks_lock(options.dead.dir, options.dead.stream)) < 0 ||
        marks_load_stream(&replay.marks, options.dead.dir, options.dead.stream) != 0 || replay_open(&replay) != 0)
        goto out;
    replay.start_ns = pace_now_ns();
    status = finish(&replay, replay_stream(&replay));
    replay_close(&replay);
out:
    marks_free(&replay.marks);
    if (lock_fd >= 0)
        close(lock_fd);
    return status;
}

/* The first signal ends the waiting, the second ends the program; the next replay goes on. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static int replay_open(struct replay *replay)
{
    return replay->options->way == REPLAY_DIRECT ? replay_direct_open(&replay->out.direct, replay->options, &stop)
                                                 : replay_ring_open(&replay->out.ring, replay->options, &stop);
}

static void replay_close(struct replay *replay)
{
    if (replay->options->way == REPLAY_DIRECT)
        replay_direct_close(&replay->out.direct);
    else
        replay_ring_close(&replay->out.ring);
}

/* 0; 1: not all, or no more can be sent. */
static int replay_stream(struct replay *replay)
{
    struct segment_names names;
    const struct dead_options *dead = &replay->options->dead;
    int status = 0, err = segment_list(dead->dir, dead->stream, &names);

    if (err) {
        fprintf(stderr, "ehring-ctl: %s/%s: %s\n", dead->dir, dead->stream, strerror(-err));
        return 1;
    }
    for (size_t i = 0; i < names.count && status >= 0 && !stop && replay->sent < dead->limit; i++) {
        int one = replay_segment(replay, names.name[i]);
        status = one < 0 ? one : status | one;
    }
    segment_names_free(&names);
    return status != 0;
}

/* 0; 1: something in it could not be read; -1: no more can be sent. */
static int replay_segment(struct replay *replay, const char *name)
{
    static struct letter letter;
    const struct dead_options *dead = &replay->options->dead;
    struct marks own = {0};
    struct segment segment;
    int got, status = 0;

    if (segment_open(&segment, dead->dir, dead->stream, name) != 0)
        return 1;
    if (marks_load(&own, segment.path) != 0)
        status = -1;
    while (status == 0 && !stop && replay->sent < dead->limit && (got = segment_next(&segment, &letter)) != 0) {
        status = got < 0 ? 1 : dead_options_match(dead, &letter) ? replay_letter(replay, &segment, &own, &letter) : 0;
        if (got > 0)
            letter_free(&letter);
    }
    if (status >= 0 && group_settle(replay, &segment) != 0)
        status = -1;
    if (status == 0 && segment.bad_count > 0)
        status = 1;
    marks_free(&own);
    segment_close(&segment);
    return status;
}

/* 0, or -1: no more can be sent. */
static int replay_letter(struct replay *replay, const struct segment *segment, const struct marks *own, const struct letter *letter)
{
    struct ehring_event event;
    char unfit[200];
    const char *why = unfit;
    int err;

    if (!replay->options->again && marks_have(&replay->marks, &letter->id)) {
        replay->skipped++;
        /* a shipper that was killed may have put an event away twice: a segment's own marks tell all about it */
        return marks_have(own, &letter->id) ? 0 : marks_append(segment->path, &letter->id, 1);
    }
    if (letter_event(letter, replay->options->times, &event, unfit, sizeof(unfit)) != 0) {
        refuse(replay, letter, why);
        return 0;
    }
    pace_wait(replay->options->rate, replay->sent + 1, replay->start_ns);
    if (stop)
        return 0;
    if (replay->options->way == REPLAY_DIRECT)
        err = replay_direct_send(&replay->out.direct, &event, &why);
    else
        err = replay_ring_send(&replay->out.ring, &event, &why);
    if (err == 0)
        return group_add(replay, segment, letter);
    refuse(replay, letter, why);
    return err < 0 ? -1 : 0;
}

static int group_add(struct replay *replay, const struct segment *segment, const struct letter *letter)
{
    if (replay->group.count == 0)
        replay->group.start_ns = pace_now_ns();
    replay->group.id[replay->group.count++] = letter->id;
    replay->group.bytes += letter->body.len;
    replay->sent++;
    if (replay->group.count < GROUP_MAX && replay->group.bytes < GROUP_BYTES_MAX && pace_now_ns() - replay->group.start_ns < group_ns_max)
        return 0;
    return group_settle(replay, segment);
}

/* Waits until the group is accepted, then marks it. What was accepted and is not marked, because of a kill between the two, is sent again.
 */
static int group_settle(struct replay *replay, const struct segment *segment)
{
    size_t count = replay->group.count;
    const char *why;

    if (count == 0)
        return 0;
    replay->group.count = replay->group.bytes = 0;
    if (replay->options->way == REPLAY_RING && replay_ring_settle(&replay->out.ring, &why) != 0) {
        fprintf(stderr, "ehring-ctl: the last %zu events, from %s: %s\n", count, segment->name, why);
        return -1;
    }
    if (replay->options->way == REPLAY_RING)
        replay->returned += replay_ring_returned(&replay->out.ring);
    replay->accepted += count;
    for (size_t i = 0; i < count; i++)
        if (marks_add(&replay->marks, &replay->group.id[i]) != 0)
            return -1;
    return marks_append(segment->path, replay->group.id, count);
}

static void refuse(struct replay *replay, const struct letter *letter, const char *why)
{
    replay->refused++;
    if (replay->refused <= REFUSALS_SHOWN)
        fprintf(stderr, "ehring-ctl: %s (%zu bytes): %s\n", letter->id_text, letter->body.len, why);
    if (replay->refused == REFUSALS_SHOWN + 1)
        fputs("ehring-ctl: more are counted, not shown\n", stderr);
}

static int finish(const struct replay *replay, int status)
{
    if (replay->refused > 0 || replay->returned > 0 || stop)
        status = 1;
    fprintf(stderr, "ehring-ctl: %" PRIu64 " events replayed, %" PRIu64 " were before, %" PRIu64 " refused",
            replay->accepted - replay->returned, replay->skipped, replay->refused);
    if (replay->returned > 0)
        fprintf(stderr, ", %" PRIu64 " dead letters again", replay->returned);
    fprintf(stderr, ": %s\n", stop ? "stopped by a signal" : status ? "not all accepted" : "all accepted");
    return status;
}
