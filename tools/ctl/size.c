/* ehring-ctl size: how large a ring must be to hold all that is written while the service is away. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "ctl.h"
#include "options.h"
#include "print.h"
#include "ringbuf/ring_layout.h"
#include "ringbuf/ring_stat.h"

static const char help[] = "usage: ehring-ctl size --rate EVENTS --bytes N (--hours H | --minutes M) [OPTION...]\n"
                           "\n"
                           "Computes the capacity of the rings that ride out an outage of the service, and the room that they take.\n"
                           "\n"
                           "  --rate EVENTS    written per second by all producers together\n"
                           "  --bytes N        payload of an event (suffix K, M, G)\n"
                           "  --hours H        how long the service may be away\n"
                           "  --minutes M      the same, added to --hours\n"
                           "  --producers P    rings that share the rate evenly: one for each producing thread; default 1\n"
                           "  --key-bytes N    partition key of an event; default 0\n"
                           "  --meta-bytes N   optional fields and properties: names, values, and 8 for each; default 0\n"
                           "  --times-all      every event carries a time\n"
                           "  --rings DIR      where the rings are to lie: is there room?\n"
                           "  --help           this text\n"
                           "\n"
                           "Exit status: 0 it can be done, 1 it cannot (it says why), 2 wrong usage.\n";

enum { STAT_LINES_ROOM = 48 }; /* more than a ring's table of counters has */

struct size {
    uint64_t rate, bytes, hours, minutes, producers, key_bytes, meta_bytes;
    bool times_all;
    const char *rings_dir; /* NULL: not asked */
    /* what follows */
    uint64_t seconds, record_bytes, ring_events, ring_bytes, capacity, file_bytes;
};

static int read_options(struct size *size, int argc, char **argv);
static bool compute(struct size *size);
static uint64_t record_bytes(const struct size *size);
static uint64_t fixed_bytes(void);
static void print_reasoning(const struct size *size);
static void print_hours(uint64_t seconds);
static void print_advice(const struct size *size);
static int print_room(const struct size *size);
static int free_bytes_of(const char *dir, uint64_t *bytes);
static int too_much(const struct size *size);

int size_run(int argc, char **argv)
{
    struct size size;
    int status = read_options(&size, argc, argv);

    if (status != 0)
        return status == 1 ? 0 : status;
    if (!compute(&size))
        return option_wrong("so many bytes cannot be counted in 64 bits");
    print_reasoning(&size);
    if (size.capacity > RING_CAPACITY_MAX)
        return too_much(&size);
    print_advice(&size);
    return size.rings_dir ? print_room(&size) : 0;
}

/* 0: go on; 1: help was shown; 2 after a message on stderr. */
static int read_options(struct size *size, int argc, char **argv)
{
    static const struct option long_options[] = {{"rate", required_argument, NULL, 'r'},
                                                 {"bytes", required_argument, NULL, 'b'},
                                                 {"hours", required_argument, NULL, 'h'},
                                                 {"minutes", required_argument, NULL, 'm'},
                                                 {"producers", required_argument, NULL, 'p'},
                                                 {"key-bytes", required_argument, NULL, 'k'},
                                                 {"meta-bytes", required_argument, NULL, 'M'},
                                                 {"times-all", no_argument, NULL, 't'},
                                                 {"rings", required_argument, NULL, 'd'},
                                                 {"help", no_argument, NULL, '?' + 1},
                                                 {NULL, 0, NULL, 0}};
    const struct {
        int letter;
        uint64_t min, max;
        uint64_t *place;
        const char *name;
    } numbers[] = {{'r', 1, UINT64_C(1) << 40, &size->rate, "rate"},
                   {'b', 0, UINT64_C(1) << 32, &size->bytes, "bytes"},
                   {'h', 0, 1000000, &size->hours, "hours"},
                   {'m', 0, 60000000, &size->minutes, "minutes"},
                   {'p', 1, 1000000, &size->producers, "producers"},
                   {'k', 0, RING_KEY_BYTES_MAX, &size->key_bytes, "key-bytes"},
                   {'M', 0, RING_META_BYTES_MAX, &size->meta_bytes, "meta-bytes"}};
    bool has_bytes = false;
    int letter;

    *size = (struct size){.producers = 1};
    while ((letter = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (letter == '?' + 1)
            return fputs(help, stdout) < 0 ? 2 : 1;
        if (letter == '?')
            return 2;
        if (letter == 't')
            size->times_all = true;
        if (letter == 'd')
            size->rings_dir = optarg;
        has_bytes |= letter == 'b';
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
            if (numbers[i].letter == letter && !option_number(optarg, numbers[i].min, numbers[i].max, numbers[i].place))
                return option_wrong("--%s is a number from %" PRIu64 " to %" PRIu64 ", not %s", numbers[i].name, numbers[i].min,
                                    numbers[i].max, optarg);
    }
    if (option_rest(argc, argv) != 0)
        return 2;
    if (size->rate == 0 || !has_bytes || size->hours + size->minutes == 0)
        return option_wrong("--rate, --bytes and --hours or --minutes are needed");
    return 0;
}

/* False: beyond 64 bits. A ring holds the records, what a time in each stripe adds, and the pad at the end of a lap. */
static bool compute(struct size *size)
{
    uint64_t per_ring = (size->rate + size->producers - 1) / size->producers, need;

    size->seconds = size->hours * 3600 + size->minutes * 60;
    size->record_bytes = record_bytes(size);
    if (__builtin_mul_overflow(per_ring, size->seconds, &size->ring_events) ||
        __builtin_mul_overflow(size->ring_events, size->record_bytes, &need) || need > UINT64_MAX / 4)
        return false;
    if (!size->times_all)
        need += (need / RING_STRIPE_BYTES + 1) * RING_RECORD_ALIGN;
    need += size->record_bytes;
    size->ring_bytes = need;
    if (need < size->record_bytes * RING_RECORD_SHARE)
        need = size->record_bytes * RING_RECORD_SHARE;
    size->capacity = RING_CAPACITY_MIN;
    while (size->capacity < need)
        size->capacity *= 2;
    size->file_bytes = size->capacity + fixed_bytes();
    return true;
}

static uint64_t record_bytes(const struct size *size)
{
    uint32_t flags = (size->times_all ? RING_FLAG_TIME : 0u) | (size->meta_bytes ? RING_FLAG_META : 0u);

    return ring_align16(ring_payload_off(flags, (uint32_t)size->key_bytes, (uint32_t)size->meta_bytes) + size->bytes);
}

/* Constants, the producer's region and the shipper's, each on pages of its own. */
static uint64_t fixed_bytes(void)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    const uint64_t regions[] = {sizeof(struct ring_header) + STAT_LINES_ROOM * sizeof(struct ring_stat_desc), sizeof(struct ring_producer),
                                sizeof(struct ring_shipper)};
    uint64_t sum = 0;

    for (size_t i = 0; i < sizeof(regions) / sizeof(regions[0]); i++)
        sum += (regions[i] + page - 1) / page * page;
    return sum;
}

static void print_reasoning(const struct size *size)
{
    char text[PRINT_SIZE_BYTES], more[PRINT_SIZE_BYTES];

    printf("%" PRIu64 " events a second of %" PRIu64 " bytes, kept for ", size->rate, size->bytes);
    print_hours(size->seconds);
    printf(", from %" PRIu64 " producer%s\n", size->producers, size->producers == 1 ? "" : "s");
    printf("  record      %" PRIu64 " bytes in the ring: a head of %zu, ", size->record_bytes, sizeof(struct ring_head));
    if (size->key_bytes)
        printf("the key, ");
    if (size->times_all)
        printf("a time, ");
    if (size->meta_bytes)
        printf("the optional fields, ");
    printf("the payload, to a multiple of %u\n", RING_RECORD_ALIGN);
    printf("  events      %" PRIu64 " in each ring\n", size->ring_events);
    printf("  needed      %s in each ring\n", print_size(size->ring_bytes, text));
    printf("  capacity    %s in each ring: the next power of two%s", print_size(size->capacity, text),
           size->record_bytes * RING_RECORD_SHARE > size->ring_bytes ? " of which an event is at most an eighth" : "");
    if (size->capacity <= RING_CAPACITY_MAX) {
        uint64_t per_ring = (size->rate + size->producers - 1) / size->producers;
        fputs(", which lasts for ", stdout);
        print_hours((size->capacity - size->record_bytes) / size->record_bytes / per_ring);
    }
    printf("\n  room        %s for %" PRIu64 " file%s, each with %s of positions and counters\n",
           print_size(size->file_bytes * size->producers, text), size->producers, size->producers == 1 ? "" : "s",
           print_size(fixed_bytes(), more));
}

static void print_hours(uint64_t seconds)
{
    if (seconds >= 3600)
        printf("%" PRIu64 " h%s", seconds / 3600, seconds / 60 % 60 ? " " : "");
    if (seconds < 3600 || seconds / 60 % 60)
        printf("%" PRIu64 " min", seconds / 60 % 60);
}

static void print_advice(const struct size *size)
{
    const char *dir = size->rings_dir ? size->rings_dir : "/var/lib/ehring/rings";

    printf("\nIn each producer, and the same directory as `rings` in the shipper's configuration:\n"
           "  struct ehring_options options = {.stream = \"...\", .rings_dir = \"%s\", .capacity_bytes = UINT64_C(%" PRIu64 ")};\n"
           "  EHRING_RINGS=%s ehring-send --stream ... --capacity %" PRIu64 "K\n",
           dir, size->capacity, dir, size->capacity / 1024);
    fputs("\nBelow /dev/shm a ring is memory: fast, and gone with the machine. On a disk it survives a reboot up to what was synced, and "
          "the\n"
          "first write to a page may wait for the disk. All of it is allocated when the ring is opened, not when the outage comes.\n",
          stdout);
}

static int print_room(const struct size *size)
{
    uint64_t free_bytes, wanted = size->file_bytes * size->producers;
    char text[PRINT_SIZE_BYTES], more[PRINT_SIZE_BYTES];
    int err = free_bytes_of(size->rings_dir, &free_bytes);

    if (err) {
        fprintf(stderr, "ehring-ctl: %s: %s\n", size->rings_dir, strerror(-err));
        return 1;
    }
    if (free_bytes >= wanted) {
        printf("\n%s has %s free: enough\n", size->rings_dir, print_size(free_bytes, text));
        return 0;
    }
    printf("\n%s has %s free: %s are missing\n", size->rings_dir, print_size(free_bytes, text), print_size(wanted - free_bytes, more));
    return 1;
}

/* Of the file system on which `dir` is or would be made. */
static int free_bytes_of(const char *dir, uint64_t *bytes)
{
    struct statvfs info;
    char path[4096];

    snprintf(path, sizeof(path), "%s", dir);
    while (statvfs(path, &info) != 0) {
        int err = -errno;
        char *slash = strrchr(path, '/');
        if (err != -ENOENT || strcmp(path, "/") == 0 || strcmp(path, ".") == 0)
            return err;
        if (!slash)
            strcpy(path, ".");
        else
            slash[slash == path] = '\0';
    }
    *bytes = (uint64_t)info.f_bavail * info.f_frsize;
    return 0;
}

static int too_much(const struct size *size)
{
    char text[PRINT_SIZE_BYTES];
    uint64_t rings = size->ring_bytes / RING_CAPACITY_MAX * size->producers + size->producers;

    fflush(stdout);
    if (size->record_bytes > RING_CAPACITY_MAX / RING_RECORD_SHARE)
        fprintf(stderr, "ehring-ctl: an event is at most an eighth of a ring, and a ring at most %s\n",
                print_size(RING_CAPACITY_MAX, text));
    else
        fprintf(stderr,
                "ehring-ctl: a ring has at most %s: share the rate among some %" PRIu64 " producers, or be content with less time\n",
                print_size(RING_CAPACITY_MAX, text), rings);
    return 1;
}
