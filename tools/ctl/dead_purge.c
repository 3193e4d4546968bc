/* ehring-ctl dead-letter purge: removes whole segments, and says which. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "marks.h"
#include "options.h"
#include "print.h"
#include "segment.h"

static const char help[] =
    "usage: ehring-ctl dead-letter purge --stream NAME (--replayed | --older-than AGE | --all) [--yes] [--dir DIR]\n"
    "\n"
    "Removes whole segments of dead letters. Without --yes it tells which ones it would remove, and removes nothing.\n"
    "A segment that a shipper is writing is never removed.\n"
    "\n"
    "  --replayed       segments whose letters are all replayed\n"
    "  --older-than AGE segments whose newest letter was given up longer ago than 90m, 6h, 7d, replayed or not\n"
    "  --all            all segments, replayed or not\n"
    "  --yes            do it\n"
    "  --stream NAME    of this stream\n"
    "  --dir DIR        default: $EHRING_DEAD_LETTERS, else /var/lib/ehring/dead-letters\n"
    "  --help           this text\n"
    "\n"
    "Exit status: 0 all that was asked for is removed (there may have been nothing), 1 not all, or --yes is missing, 2 wrong usage.\n";

enum which { WHICH_NONE, WHICH_REPLAYED, WHICH_OLD, WHICH_ALL };

struct purge {
    const char *dir, *stream;
    enum which which;
    int64_t before_ns;
    bool yes;
    struct marks marks;
    uint64_t segments, letters, lost, bytes; /* removed, or to be; lost: of the letters those that were never replayed */
};

static int read_options(struct purge *purge, int argc, char **argv);
static int set_which(struct purge *purge, enum which which);
static int purge_all(struct purge *purge);
static int purge_segment(struct purge *purge, const char *name);
static int purge_count(struct purge *purge, struct segment *segment, uint64_t *letters, uint64_t *replayed, int64_t *newest_ns);
static bool is_wanted(const struct purge *purge, const struct segment *segment, uint64_t letters, uint64_t replayed, int64_t newest_ns);
static int remove_files(const struct segment *segment);

int dead_purge_run(int argc, char **argv)
{
    struct purge purge = {.dir = option_letters_dir(NULL)};
    int status = read_options(&purge, argc, argv), lock_fd;

    if (status != 0)
        return status == 1 ? 0 : status;
    lock_fd = marks_lock(purge.dir, purge.stream);
    if (lock_fd < 0)
        return 1;
    status = marks_load_stream(&purge.marks, purge.dir, purge.stream) == 0 ? purge_all(&purge) : 1;
    marks_free(&purge.marks);
    close(lock_fd);
    return status;
}

/* 0: go on; 1: help was shown; 2 after a message on stderr. */
static int read_options(struct purge *purge, int argc, char **argv)
{
    static const struct option long_options[] = {{"dir", required_argument, NULL, 'd'},
                                                 {"stream", required_argument, NULL, 's'},
                                                 {"replayed", no_argument, NULL, 'r'},
                                                 {"all", no_argument, NULL, 'a'},
                                                 {"older-than", required_argument, NULL, 'o'},
                                                 {"yes", no_argument, NULL, 'y'},
                                                 {"help", no_argument, NULL, 'h'},
                                                 {NULL, 0, NULL, 0}};
    int letter, status = 0;
    int64_t age_ns;

    while (status == 0 && (letter = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (letter == 'h')
            return fputs(help, stdout) < 0 ? 2 : 1;
        if (letter == 'd')
            purge->dir = optarg;
        else if (letter == 's')
            purge->stream = optarg;
        else if (letter == 'y')
            purge->yes = true;
        else if (letter == 'r')
            status = set_which(purge, WHICH_REPLAYED);
        else if (letter == 'a')
            status = set_which(purge, WHICH_ALL);
        else if (letter != 'o')
            status = 2;
        else if (!option_duration(optarg, &age_ns))
            status = option_wrong("--older-than is like 90m, 6h or 7d, not %s", optarg);
        else {
            status = set_which(purge, WHICH_OLD);
            purge->before_ns = option_wall_ns() - age_ns;
        }
    }
    if (status == 0)
        status = option_rest(argc, argv);
    if (status == 0 && (!purge->stream || !option_is_name(purge->stream)))
        status = option_wrong("--stream is missing, or not the name of a directory");
    if (status == 0 && purge->which == WHICH_NONE)
        status = option_wrong("which? --replayed, --older-than AGE or --all");
    return status;
}

static int set_which(struct purge *purge, enum which which)
{
    if (purge->which != WHICH_NONE)
        return option_wrong("only one of --replayed, --older-than and --all");
    purge->which = which;
    return 0;
}

static int purge_all(struct purge *purge)
{
    struct segment_names names;
    char size[PRINT_SIZE_BYTES];
    int status = 0, err = segment_list(purge->dir, purge->stream, &names);

    if (err)
        fprintf(stderr, "ehring-ctl: %s/%s: %s\n", purge->dir, purge->stream, strerror(-err));
    for (size_t i = 0; i < names.count; i++)
        status |= purge_segment(purge, names.name[i]);
    segment_names_free(&names);
    printf("%s %" PRIu64 " segments, %" PRIu64 " letters, %s", purge->yes ? "removed" : "would remove", purge->segments, purge->letters,
           print_size(purge->bytes, size));
    if (purge->lost > 0)
        printf(", %" PRIu64 " of them never replayed", purge->lost);
    putchar('\n');
    if (err || purge->yes || purge->segments == 0)
        return err ? 1 : status;
    fputs("ehring-ctl: nothing was removed: add --yes\n", stderr);
    return 1;
}

/* 0, or 1: it should go and did not. */
static int purge_segment(struct purge *purge, const char *name)
{
    struct segment segment;
    uint64_t letters, replayed;
    int64_t newest_ns;
    int err = segment_open(&segment, purge->dir, purge->stream, name);

    if (err)
        return 1;
    if (segment_keep(&segment) != 0) {
        printf("kept %s: a shipper is writing it\n", name);
        segment_close(&segment);
        return purge->which == WHICH_ALL;
    }
    err = purge_count(purge, &segment, &letters, &replayed, &newest_ns);
    if (!err && is_wanted(purge, &segment, letters, replayed, newest_ns)) {
        err = purge->yes ? remove_files(&segment) : 0;
        if (!err) {
            purge->segments++;
            purge->letters += letters;
            purge->lost += letters - replayed;
            purge->bytes += segment.bytes + segment.torn_bytes;
            printf("%s %s, %" PRIu64 " letters, %" PRIu64 " replayed\n", purge->yes ? "removed" : "would remove", name, letters, replayed);
        }
    }
    segment_close(&segment);
    return err != 0;
}

static int purge_count(struct purge *purge, struct segment *segment, uint64_t *letters, uint64_t *replayed, int64_t *newest_ns)
{
    static struct letter letter;
    int got;

    *letters = *replayed = 0;
    *newest_ns = 0;
    while ((got = segment_next(segment, &letter)) > 0) {
        ++*letters;
        *replayed += marks_have(&purge->marks, &letter.id);
        if (letter.when_ns > *newest_ns)
            *newest_ns = letter.when_ns;
        letter_free(&letter);
    }
    return got;
}

/* Where something is not known the segment stays: lines that are no letters, letters without a time. */
static bool is_wanted(const struct purge *purge, const struct segment *segment, uint64_t letters, uint64_t replayed, int64_t newest_ns)
{
    switch (purge->which) {
    case WHICH_REPLAYED:
        return segment->bad_count == 0 && replayed == letters;
    case WHICH_OLD:
        return newest_ns != 0 && newest_ns < purge->before_ns;
    case WHICH_ALL:
        return true;
    case WHICH_NONE:
        return false;
    }
    return false;
}

/* The marks go last: a segment without them would be replayed again. */
static int remove_files(const struct segment *segment)
{
    char marks[4200];

    snprintf(marks, sizeof(marks), "%s" MARKS_SUFFIX, segment->path);
    if (unlink(segment->path) != 0) {
        int err = -errno;
        fprintf(stderr, "ehring-ctl: %s: %s\n", segment->path, strerror(-err));
        return err;
    }
    if (unlink(marks) == 0 || errno == ENOENT)
        return 0;
    int err = -errno;
    fprintf(stderr, "ehring-ctl: %s: %s\n", marks, strerror(-err));
    return err;
}
