/* ehring-stat: every counter of rings and shipper, of the living and the dead, once. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "audit_print.h"
#include "json.h"
#include "text.h"

static const char help[] =
    "usage: ehring-stat [-1 | -j] [-v] [--rings DIR] [--stream NAME]\n"
    "       ehring-stat --audit [-1 | -j] [--rings DIR] [--stream NAME]\n"
    "\n"
    "Shows every counter of every ring and of the shipper, whether their processes live or not.\n"
    "\n"
    "  --audit          the ledger: committed = accepted + dead-lettered + dropped + pending, for each ring and stream\n"
    "  -1               text (default)\n"
    "  -j               JSON\n"
    "  -v               text: also each lane, worker and reason of what is summed\n"
    "  --rings DIR      default: $EHRING_RINGS, else /dev/shm/ehring\n"
    "  --stream NAME    this stream alone\n"
    "  --help           this text\n"
    "\n"
    "Exit status: 0 all shown, 1 a file could not be read (it is named with the reason), 2 wrong usage.\n"
    "With --audit: 0 every ledger closes, 1 one does not (named, with its numbers), 2 wrong usage,\n"
    "3 nobody can tell: a file that is unreadable, foreign or in quarantine, a ring too busy for a consistent cut.\n";

enum format { FORMAT_TEXT, FORMAT_JSON };

struct options {
    const char *rings_dir, *stream;
    enum format format;
    enum stat_detail detail;
    bool audit;
};

static int read_options(struct options *options, int argc, char **argv);
static int show_all(const struct options *options);
static int show(const struct options *options, const struct stat_file *file, cJSON *files);
static void show_error(const struct stat_look *look, const struct stat_file *file, cJSON *files, const char *why);
static int audit_all(const struct options *options);
static void audit_one(const struct options *options, const char *stream, cJSON *streams, size_t verdicts[]);
static cJSON *json_start(const struct options *options, const char *array_name, cJSON **array);
static void json_end(cJSON *whole);

int main(int argc, char **argv)
{
    struct options options;
    int status = read_options(&options, argc, argv);

    if (status == 0)
        status = options.audit ? audit_all(&options) : show_all(&options);
    else if (status < 0)
        status = 0; /* --help */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "ehring-stat: standard output: %s\n", strerror(errno));
        return 1;
    }
    return status;
}

/* 0 go on, -1 nothing more to do, 2 wrong. */
static int read_options(struct options *options, int argc, char **argv)
{
    static const struct option long_options[] = {{"rings", required_argument, NULL, 'r'},
                                                 {"stream", required_argument, NULL, 's'},
                                                 {"audit", no_argument, NULL, 'a'},
                                                 {"help", no_argument, NULL, 'h'},
                                                 {NULL, 0, NULL, 0}};
    const char *rings = getenv("EHRING_RINGS");
    int letter;

    *options = (struct options){.rings_dir = rings && rings[0] ? rings : "/dev/shm/ehring"};
    while ((letter = getopt_long(argc, argv, "1jv", long_options, NULL)) != -1) {
        switch (letter) {
        case '1':
            options->format = FORMAT_TEXT;
            break;
        case 'j':
            options->format = FORMAT_JSON;
            break;
        case 'v':
            options->detail = STAT_EACH;
            break;
        case 'r':
            options->rings_dir = optarg;
            break;
        case 's':
            options->stream = optarg;
            break;
        case 'a':
            options->audit = true;
            break;
        case 'h':
            fputs(help, stdout);
            return -1;
        default:
            return 2;
        }
    }
    if (optind == argc)
        return 0;
    fprintf(stderr, "ehring-stat: what is %s for? (see --help)\n", argv[optind]);
    return 2;
}

static int show_all(const struct options *options)
{
    struct stat_list list;
    int unreadable = 0;
    cJSON *files = NULL, *whole = options->format == FORMAT_JSON ? json_start(options, "files", &files) : NULL;

    if (stat_find(options->rings_dir, options->stream, &list, &unreadable) < 0)
        unreadable++;
    for (size_t i = 0; i < list.count; i++)
        unreadable += show(options, &list.file[i], files);
    if (whole)
        json_end(whole);
    else if (list.count == 0 && unreadable == 0)
        printf("no rings in %s%s%s\n", options->rings_dir, options->stream ? "/" : "", options->stream ? options->stream : "");
    stat_list_free(&list);
    return unreadable > 0;
}

/* 0, or 1 if the file could not be read. */
static int show(const struct options *options, const struct stat_file *file, cJSON *files)
{
    struct stat_look look;
    int err = stat_look(&look, options->rings_dir, file), failed = 0;

    if (err > 0) {
        show_error(&look, file, files, look.why);
        failed = 1;
    } else if (err == 0 && files) {
        cJSON *object = stat_json_of(&look, file);
        if (stat_look_spoilt(&look)) {
            cJSON_Delete(object);
            show_error(&look, file, files, "the file was cut while it was read");
            failed = 1;
        } else {
            cJSON_AddItemToArray(files, object);
        }
    } else if (err == 0) {
        stat_text_print(&look, file, options->detail);
        if (stat_look_spoilt(&look)) {
            show_error(&look, file, files, "the file was cut while it was read: do not believe what is shown");
            failed = 1;
        }
    }
    stat_unlook(&look);
    return failed;
}

static void show_error(const struct stat_look *look, const struct stat_file *file, cJSON *files, const char *why)
{
    if (files)
        cJSON_AddItemToArray(files, stat_json_error(look->path, file, why));
    else
        printf("%s %s  cannot be read\n  file            %s\n  reason          %s\n", file->is_ring ? "ring" : "stream", file->stream,
               file->name, why);
    fprintf(stderr, "ehring-stat: %s: %s\n", look->path, why);
}

/* What is open is worse than what nobody can tell. */
static int audit_all(const struct options *options)
{
    size_t verdicts[] = {[AUDIT_CLOSES] = 0, [AUDIT_OPEN] = 0, [AUDIT_UNKNOWN] = 0};
    struct stat_list list;
    int unreadable = 0;
    cJSON *streams = NULL, *whole = options->format == FORMAT_JSON ? json_start(options, "streams", &streams) : NULL;

    if (stat_find(options->rings_dir, options->stream, &list, &unreadable) < 0)
        unreadable++;
    for (size_t i = 0; i < list.count; i++)
        if (i == 0 || strcmp(list.file[i].stream, list.file[i - 1].stream) != 0)
            audit_one(options, list.file[i].stream, streams, verdicts);
    if (list.count == 0 && unreadable == 0 && options->stream) {
        fprintf(stderr, "ehring-stat: cannot tell: no ring and no totals of stream %s in %s\n", options->stream, options->rings_dir);
        unreadable++;
    } else if (list.count == 0 && unreadable == 0 && !whole) {
        printf("no rings in %s\n", options->rings_dir);
    }
    if (whole)
        json_end(whole);
    stat_list_free(&list);
    return verdicts[AUDIT_OPEN] ? 1 : verdicts[AUDIT_UNKNOWN] || unreadable ? 3 : 0;
}

static void audit_one(const struct options *options, const char *stream, cJSON *streams, size_t verdicts[])
{
    struct audit_stream audit;

    stat_audit(&audit, options->rings_dir, stream);
    if (streams)
        cJSON_AddItemToArray(streams, stat_audit_json(&audit, options->rings_dir));
    else
        stat_audit_text(&audit);
    fflush(stdout);
    stat_audit_complain(&audit);
    verdicts[audit.verdict]++;
    stat_audit_close(&audit);
}

static cJSON *json_start(const struct options *options, const char *array_name, cJSON **array)
{
    cJSON *whole = cJSON_CreateObject();
    struct timespec now;
    char text[32];

    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(text, sizeof(text), "%" PRId64, now.tv_sec * INT64_C(1000000000) + now.tv_nsec);
    cJSON_AddStringToObject(whole, "rings_dir", options->rings_dir);
    cJSON_AddRawToObject(whole, "time_ns", text);
    *array = cJSON_AddArrayToObject(whole, array_name);
    return whole;
}

static void json_end(cJSON *whole)
{
    char *text = cJSON_Print(whole);

    if (text)
        puts(text);
    cJSON_free(text);
    cJSON_Delete(whole);
}
