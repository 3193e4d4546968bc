/* ehring-ctl dead-letter list: the segments of each stream, what is in them and why. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "dead_options.h"
#include "marks.h"
#include "options.h"
#include "print.h"
#include "segment.h"

static const char help[] = "usage: ehring-ctl dead-letter list [-j] [--dir DIR] [--stream NAME]\n"
                           "\n"
                           "Shows the segments of dead letters: how many letters, how many of them replayed, from when, and why.\n"
                           "\n"
                           "  -j               JSON\n"
                           "  --dir DIR        default: $EHRING_DEAD_LETTERS, else /var/lib/ehring/dead-letters\n"
                           "  --stream NAME    this stream alone\n"
                           "  --help           this text\n"
                           "\n"
                           "Exit status: 0 all shown, 1 something could not be read (it is named), 2 wrong usage.\n";

enum { REASONS_MAX = 16 };
struct sums {
    uint64_t letters, replayed, bytes, bad;
    int64_t oldest_ns, newest_ns; /* 0: unknown */
    size_t reason_count;
    struct {
        char name[48];
        uint64_t count;
    } reason[REASONS_MAX];
};

static int list_stream(const struct dead_options *options, const char *stream, cJSON *streams);
static int list_segment(const struct dead_options *options, const char *stream, const char *name, const struct marks *marks,
                        struct sums *whole, cJSON *segments);
static void sums_letter(struct sums *sums, const struct letter *letter, const struct marks *marks);
static void sums_reason(struct sums *sums, const char *name, uint64_t count);
static void sums_add(struct sums *sums, const struct sums *more);
static void sums_text(const struct sums *sums, const char *indent);
static void sums_json(const struct sums *sums, cJSON *object);
static void number_put(cJSON *object, const char *name, uint64_t value);

int dead_list_run(int argc, char **argv)
{
    static const struct option long_options[] = {DEAD_OPTIONS_WHERE, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    struct dead_options options;
    struct segment_names streams;
    cJSON *whole = NULL, *list = NULL;
    int letter, status = 0;

    dead_options_init(&options);
    while ((letter = getopt_long(argc, argv, "j", long_options, NULL)) != -1) {
        if (letter == 'h')
            return fputs(help, stdout) < 0;
        if (letter == 'j' && !whole)
            whole = cJSON_CreateObject();
        else if (letter != 'j' && (status = letter == '?' ? 2 : dead_options_take(&options, letter, optarg)) != 0)
            goto out;
    }
    if ((status = option_rest(argc, argv)) != 0)
        goto out;
    int err = segment_streams(options.dir, options.stream, &streams);
    if (whole) {
        cJSON_AddStringToObject(whole, "dir", options.dir);
        list = cJSON_AddArrayToObject(whole, "streams");
    }
    if (err && err != -ENOENT)
        fprintf(stderr, "ehring-ctl: %s: %s\n", options.dir, strerror(-err));
    status = err && err != -ENOENT;
    for (size_t i = 0; !err && i < streams.count; i++)
        status |= list_stream(&options, streams.name[i], list);
    if (!whole && !status && (err || streams.count == 0))
        printf("no dead letters in %s%s%s\n", options.dir, options.stream ? "/" : "", options.stream ? options.stream : "");
    segment_names_free(&streams);
    char *text = whole ? cJSON_Print(whole) : NULL;
    if (text)
        puts(text);
    cJSON_free(text);
out:
    cJSON_Delete(whole);
    return status;
}

/* 0, or 1 if something could not be read. */
static int list_stream(const struct dead_options *options, const char *stream, cJSON *streams)
{
    struct segment_names names;
    struct marks marks = {0};
    struct sums whole = {0};
    cJSON *object = streams ? cJSON_CreateObject() : NULL, *segments = NULL;
    int status = segment_list(options->dir, stream, &names) != 0;

    if (status)
        fprintf(stderr, "ehring-ctl: %s/%s cannot be read\n", options->dir, stream);
    else
        status = marks_load_stream(&marks, options->dir, stream) != 0;
    if (object) {
        cJSON_AddStringToObject(object, "stream", stream);
        segments = cJSON_AddArrayToObject(object, "segments");
        cJSON_AddItemToArray(streams, object);
    } else {
        printf("stream %s\n", stream);
    }
    for (size_t i = 0; i < names.count; i++)
        status |= list_segment(options, stream, names.name[i], &marks, &whole, segments);
    if (object)
        sums_json(&whole, object);
    else
        printf("  %zu segment%s\n", names.count, names.count == 1 ? "" : "s"), sums_text(&whole, "    ");
    segment_names_free(&names);
    marks_free(&marks);
    return status;
}

static int list_segment(const struct dead_options *options, const char *stream, const char *name, const struct marks *marks,
                        struct sums *whole, cJSON *segments)
{
    static struct letter letter;
    struct segment segment;
    struct sums sums = {0};
    int got = segment_open(&segment, options->dir, stream, name);

    if (got < 0)
        return got != -ENOENT; /* purged meanwhile */
    while ((got = segment_next(&segment, &letter)) > 0) {
        sums_letter(&sums, &letter, marks);
        letter_free(&letter);
    }
    sums.bytes = segment.bytes + segment.torn_bytes;
    sums.bad = segment.bad_count;
    bool written = segment_is_written(&segment);
    if (segments) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "file", name);
        sums_json(&sums, object);
        number_put(object, "torn_bytes", segment.torn_bytes);
        cJSON_AddBoolToObject(object, "being_written", written);
        cJSON_AddItemToArray(segments, object);
    } else {
        printf("  %s%s%s\n", name, written ? ", being written" : "", segment.torn_bytes ? ", its last line is cut short" : "");
        sums_text(&sums, "    ");
    }
    sums_add(whole, &sums);
    segment_close(&segment);
    return got < 0 || sums.bad > 0;
}

static void sums_letter(struct sums *sums, const struct letter *letter, const struct marks *marks)
{
    sums->letters++;
    sums->replayed += marks_have(marks, &letter->id);
    sums_reason(sums, letter->reason, 1);
    if (letter->when_ns == 0)
        return;
    if (sums->oldest_ns == 0 || letter->when_ns < sums->oldest_ns)
        sums->oldest_ns = letter->when_ns;
    if (sums->newest_ns == 0 || letter->when_ns > sums->newest_ns)
        sums->newest_ns = letter->when_ns;
}

/* What is beyond the table's end goes into its last line. */
static void sums_reason(struct sums *sums, const char *name, uint64_t count)
{
    size_t i = 0;

    while (i < sums->reason_count && strncmp(sums->reason[i].name, name, sizeof(sums->reason[i].name) - 1) != 0)
        i++;
    if (i == REASONS_MAX)
        i--;
    if (i == sums->reason_count) {
        snprintf(sums->reason[i].name, sizeof(sums->reason[i].name), "%s", name);
        sums->reason_count++;
    }
    sums->reason[i].count += count;
}

static void sums_add(struct sums *sums, const struct sums *more)
{
    sums->letters += more->letters;
    sums->replayed += more->replayed;
    sums->bytes += more->bytes;
    sums->bad += more->bad;
    if (more->oldest_ns && (sums->oldest_ns == 0 || more->oldest_ns < sums->oldest_ns))
        sums->oldest_ns = more->oldest_ns;
    if (more->newest_ns && (sums->newest_ns == 0 || more->newest_ns > sums->newest_ns))
        sums->newest_ns = more->newest_ns;
    for (size_t i = 0; i < more->reason_count; i++)
        sums_reason(sums, more->reason[i].name, more->reason[i].count);
}

static void sums_text(const struct sums *sums, const char *indent)
{
    char size[PRINT_SIZE_BYTES], oldest[PRINT_TIME_BYTES], newest[PRINT_TIME_BYTES];

    printf("%s%" PRIu64 " letters, %" PRIu64 " replayed, %s\n", indent, sums->letters, sums->replayed, print_size(sums->bytes, size));
    if (sums->newest_ns)
        printf("%s%s to %s\n", indent, print_time(sums->oldest_ns, oldest), print_time(sums->newest_ns, newest));
    if (sums->reason_count > 0)
        fputs(indent, stdout);
    for (size_t i = 0; i < sums->reason_count; i++) {
        fputs(i ? ", " : "", stdout);
        print_safe(stdout, sums->reason[i].name, strlen(sums->reason[i].name), SIZE_MAX, PRINT_UTF8);
        printf(" %" PRIu64 "%s", sums->reason[i].count, i + 1 == sums->reason_count ? "\n" : "");
    }
    if (sums->bad)
        printf("%s%" PRIu64 " lines are no letters\n", indent, sums->bad);
}

static void sums_json(const struct sums *sums, cJSON *object)
{
    char text[PRINT_TIME_BYTES];

    number_put(object, "letters", sums->letters);
    number_put(object, "replayed", sums->replayed);
    number_put(object, "bytes", sums->bytes);
    number_put(object, "bad_lines", sums->bad);
    if (sums->newest_ns) {
        cJSON_AddStringToObject(object, "oldest", print_time(sums->oldest_ns, text));
        cJSON_AddStringToObject(object, "newest", print_time(sums->newest_ns, text));
    }
    cJSON *reasons = cJSON_AddObjectToObject(object, "reasons");
    for (size_t i = 0; i < sums->reason_count; i++)
        number_put(reasons, sums->reason[i].name, sums->reason[i].count);
}

static void number_put(cJSON *object, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    cJSON_AddItemToObject(object, name, cJSON_CreateRaw(text));
}
