/* ehring-ctl dead-letter show: the letters themselves, for a person or line by line as they are. */
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

static const char help[] =
    "usage: ehring-ctl dead-letter show [-j] [--dir DIR] [--stream NAME] [--reason REASON] [--since TIME] [--id ID] [--limit N]\n"
    "\n"
    "Shows dead letters, oldest segment first.\n"
    "\n"
    "  -j               the lines of the segments as they are: JSON Lines\n"
    "  --dir DIR        default: $EHRING_DEAD_LETTERS, else /var/lib/ehring/dead-letters\n"
    "  --stream NAME    this stream alone\n"
    "  --reason REASON  rejected, too-large, retries, age, no-partition\n"
    "  --since TIME     given up at or after 2026-11-26T11:00:00Z, or within the last 90s, 90m, 6h, 7d\n"
    "  --id ID          this letter alone, and its whole body\n"
    "  --limit N        at most so many\n"
    "  --help           this text\n"
    "\n"
    "Exit status: 0 all shown (there may be none), 1 something could not be read (it is named), 2 wrong usage.\n";

enum { BODY_SHOWN_MAX = 400, TEXT_SHOWN_MAX = 200 };
enum format { FORMAT_TEXT, FORMAT_JSON };

static int show_stream(const struct dead_options *options, const char *stream, enum format format, uint64_t *left);
static int show_segment(const struct dead_options *options, const char *stream, const char *name, enum format format,
                        const struct marks *marks, uint64_t *left);
static void show_letter(const struct letter *letter, const char *stream, bool replayed, size_t body_max);
static void show_text(const char *label, const struct letter_text *text);
static void show_property(const struct ehring_property *property);
static void show_uuid(const uint8_t uuid[16]);

int dead_show_run(int argc, char **argv)
{
    static const struct option long_options[] = {
        DEAD_OPTIONS_WHERE, DEAD_OPTIONS_WHICH, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    enum format format = FORMAT_TEXT;
    struct dead_options options;
    struct segment_names streams;
    int letter, status;

    dead_options_init(&options);
    while ((letter = getopt_long(argc, argv, "j", long_options, NULL)) != -1) {
        if (letter == 'h')
            return fputs(help, stdout) < 0;
        if (letter == 'j')
            format = FORMAT_JSON;
        else if ((status = letter == '?' ? 2 : dead_options_take(&options, letter, optarg)) != 0)
            return status;
    }
    if ((status = option_rest(argc, argv)) != 0)
        return status;
    uint64_t left = options.limit;
    int err = segment_streams(options.dir, options.stream, &streams);
    if (err == -ENOENT)
        return 0;
    if (err)
        fprintf(stderr, "ehring-ctl: %s: %s\n", options.dir, strerror(-err));
    status = err != 0;
    for (size_t i = 0; i < streams.count && left > 0; i++)
        status |= show_stream(&options, streams.name[i], format, &left);
    segment_names_free(&streams);
    return status;
}

static int show_stream(const struct dead_options *options, const char *stream, enum format format, uint64_t *left)
{
    struct segment_names names;
    struct marks marks = {0};
    int status = segment_list(options->dir, stream, &names) != 0;

    if (status)
        fprintf(stderr, "ehring-ctl: %s/%s cannot be read\n", options->dir, stream);
    else
        status = marks_load_stream(&marks, options->dir, stream) != 0;
    for (size_t i = 0; i<names.count && * left> 0; i++)
        status |= show_segment(options, stream, names.name[i], format, &marks, left);
    segment_names_free(&names);
    marks_free(&marks);
    return status;
}

static int show_segment(const struct dead_options *options, const char *stream, const char *name, enum format format,
                        const struct marks *marks, uint64_t *left)
{
    static struct letter letter;
    struct segment segment;
    int got = segment_open(&segment, options->dir, stream, name);

    if (got < 0)
        return got != -ENOENT;
    while (*left > 0 && (got = segment_next(&segment, &letter)) > 0) {
        if (dead_options_match(options, &letter)) {
            --*left;
            if (format == FORMAT_JSON)
                puts(segment.line);
            else
                show_letter(&letter, stream, marks_have(marks, &letter.id), options->id ? SIZE_MAX : BODY_SHOWN_MAX);
        }
        letter_free(&letter);
    }
    int status = got < 0 || segment.bad_count > 0;
    segment_close(&segment);
    return status;
}

static void show_letter(const struct letter *letter, const char *stream, bool replayed, size_t body_max)
{
    struct letter_text texts[] = {letter->condition,    letter->description, letter->ring,           letter->key,
                                  letter->content_type, letter->message_id,  letter->correlation_id, letter->schema_version,
                                  letter->traceparent};
    static const char *const labels[] = {"condition",  "description",    "ring",           "key",        "content type",
                                         "message id", "correlation id", "schema version", "traceparent"};

    printf("%s  stream %s  ", letter->id_text, stream);
    print_safe(stdout, letter->reason, strlen(letter->reason), TEXT_SHOWN_MAX, PRINT_UTF8);
    printf("%s\n  %-16s%" PRIu64, replayed ? "  replayed" : "", "attempts", letter->attempts);
    if (letter->first_time)
        printf(", first %s", letter->first_time);
    if (letter->last_time)
        printf(", last %s", letter->last_time);
    putchar('\n');
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
        show_text(labels[i], &texts[i]);
    if (letter->partition)
        show_text("partition", &(struct letter_text){letter->partition, strlen(letter->partition)});
    if (letter->time)
        printf("  %-16s%s\n", "time", letter->time);
    for (size_t i = 0; i < letter->property_count; i++)
        show_property(&letter->property[i]);
    printf("  %-16s%zu bytes\n", "body", letter->body.len);
    if (letter->body.len > 0) {
        fputs("  | ", stdout);
        print_safe(stdout, letter->body.bytes, letter->body.len, body_max, letter->body_is_binary ? PRINT_BINARY : PRINT_UTF8);
        putchar('\n');
    }
}

static void show_text(const char *label, const struct letter_text *text)
{
    if (!text->bytes)
        return;
    printf("  %-16s", label);
    print_safe(stdout, text->bytes, text->len, TEXT_SHOWN_MAX, PRINT_UTF8);
    putchar('\n');
}

static void show_property(const struct ehring_property *property)
{
    printf("  %-16s", "property");
    print_safe(stdout, property->name, strlen(property->name), TEXT_SHOWN_MAX, PRINT_UTF8);
    fputs(" = ", stdout);
    switch (property->type) {
    case EHRING_TYPE_TEXT:
        print_safe(stdout, property->value.text, property->len, TEXT_SHOWN_MAX, PRINT_UTF8);
        break;
    case EHRING_TYPE_BYTES:
        print_safe(stdout, property->value.bytes, property->len, TEXT_SHOWN_MAX, PRINT_BINARY);
        break;
    case EHRING_TYPE_BOOL:
        fputs(property->value.yes ? "true" : "false", stdout);
        break;
    case EHRING_TYPE_INT:
        printf("%" PRId64, property->value.i64);
        break;
    case EHRING_TYPE_TIMESTAMP:
        printf("%" PRId64 " ms since 1970", property->value.time_ms);
        break;
    case EHRING_TYPE_UINT:
        printf("%" PRIu64, property->value.u64);
        break;
    case EHRING_TYPE_DOUBLE:
        printf("%.17g", property->value.f64);
        break;
    case EHRING_TYPE_UUID:
        show_uuid(property->value.uuid);
        break;
    }
    putchar('\n');
}

static void show_uuid(const uint8_t uuid[16])
{
    for (int i = 0; i < 16; i++)
        printf(i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", uuid[i]);
}
