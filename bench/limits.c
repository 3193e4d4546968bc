/* Why a target is missed: where in the same report the time goes. */
#include "bench/limits.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "bench/table.h"

#define WRITING "ring: writing an event"
#define STEPS "ring: what an event's time is made of"
#define RATE "ring: one publish at a steady rate"
#define PROFILE "ship: where the shipper's time goes"
#define RINGS "ship: by rings"
#define FIGURES_MAX 6u

struct figure { /* of the report */
    const char *group;
    const char *row;
};
struct limit {
    const char *group[2]; /* a missed row's begins with one of them */
    const char *row;      /* and its name holds this */
    const char *reason;
    struct figure figure[FIGURES_MAX];
};
static const struct limit limits[] = {
    {{WRITING},
     "ring in L2",
     "Writing: what memcpy in a loop has not is taken step by step in the table \"" STEPS
     "\": a call with the position in memory, where the "
     "next event waits for it; two words in a line of their own that publish; the checks; and once per 64 KiB a reading of the clock. Each "
     "is "
     "a store or a load, so that the smaller the event, the larger their share.",
     {{STEPS, "memcpy behind a 16 B head"}, {STEPS, "+ publication"}, {STEPS, "+ checks whether it is plain"}, {STEPS, "ehring_send"}}},
    {{"ratios"},
     "ck_ring",
     "Beside ck_ring: its slots have one length and one reader, its position is the word that publishes, and nobody is woken. What it "
     "saves are the "
     "head, the count of events, the position of our own and the look whether somebody sleeps; from 1 KiB on the copy outweighs them.",
     {{WRITING, "ck_ring, payload copied"}, {WRITING, "ehring_send, ring in L2"}}},
    {{WRITING},
     "lane draining",
     "Writing beside a reader: each line goes from core to core; a memcpy that is read there pays the same.",
     {{WRITING, "memcpy, read by another core, large ring"}, {WRITING, "ehring_send, lane draining, large ring"}}},
    {{RATE},
     "publish",
     "One publish: the slowest hundredth are first touches of a page of 4 KiB whose translation is not cached. A memcpy at the same rate "
     "has "
     "them too; with huge pages they are rarer (README, Figures).",
     {{RATE, "memcpy into a buffer as large, the call, p99"}, {RATE, "publish, the call, p99"}}},
    {{"ring: laps of a new ring"},
     "ehring_send",
     "First lap: pages and translations are there; what is left are lines and translations that no cache holds yet. Huge pages take some "
     "of it "
     "(README, "
     "Figures).",
     {{NULL}}},
    {{RINGS, "ratios"},
     "1,000 rings",
     "Many rings: each event of a linger is of another ring, so that its head, its counters and its gate are lines of their own.",
     {{NULL}}},
    {{"ship", "ratios"},
     "",
     "Shipping: kernel and OpenSSL are what any sender pays for its bytes over TLS on this machine, the first for copying and for "
     "delivering over "
     "loopback, which it does in the sender's time. The C library's part is copying: out of the ring, into the engine, out of it.",
     {{PROFILE, "all of it, while perf looks"},
      {PROFILE, "kernel"},
      {PROFILE, "OpenSSL"},
      {PROFILE, "C library"},
      {PROFILE, "the shipper itself"},
      {PROFILE, "qpid-proton"}}},
};
#define LIMIT_COUNT (sizeof(limits) / sizeof(limits[0]))

static bool is_missed(const struct result_row *row);
static const struct limit *limit_of(const struct result_row *row);
static void print_figures(struct result *result, const struct limit *limit, FILE *to);
static void print_figure(struct result *result, const struct figure *figure, bool *any, FILE *to);

void limits_print(struct result *result, FILE *to)
{
    bool said[LIMIT_COUNT] = {false}, any = false;

    for (uint32_t i = 0; i < result_row_count(result); i++) {
        const struct result_row *row = result_row(result, i);
        const struct limit *limit = is_missed(row) ? limit_of(row) : NULL;

        if (!limit || said[limit - limits])
            continue;
        said[limit - limits] = true;
        fprintf(to, "%s- %s", any ? "" : "\nWhat limits those that are missed:\n\n", limit->reason);
        print_figures(result, limit, to);
        any = true;
    }
}

static bool is_missed(const struct result_row *row)
{
    return !isnan(row->target) && strcmp(table_verdict(row), "missed") == 0;
}

/* The first one: the special stand before the general. */
static const struct limit *limit_of(const struct result_row *row)
{
    for (uint32_t i = 0; i < LIMIT_COUNT; i++)
        for (uint32_t g = 0; g < 2 && limits[i].group[g]; g++)
            if (strncmp(row->group, limits[i].group[g], strlen(limits[i].group[g])) == 0 && strstr(row->name, limits[i].row))
                return &limits[i];
    return NULL;
}

static void print_figures(struct result *result, const struct limit *limit, FILE *to)
{
    bool any = false;

    for (uint32_t i = 0; i < FIGURES_MAX && limit->figure[i].group; i++)
        print_figure(result, &limit->figure[i], &any, to);
    fputs(any ? ".\n" : "\n", to);
}

/* All columns of the row, one behind the other. */
static void print_figure(struct result *result, const struct figure *figure, bool *any, FILE *to)
{
    bool named = false;

    for (uint32_t i = 0; i < result_row_count(result); i++) {
        const struct result_row *row = result_row(result, i);
        char x[TABLE_NUMBER_BYTES], median[TABLE_NUMBER_BYTES];
        size_t group_len = strlen(figure->group), row_len = strlen(row->name), name_len = strlen(figure->row);

        if (strncmp(row->group, figure->group, group_len) != 0 || row_len < name_len ||
            strcmp(row->name + row_len - name_len, figure->row) != 0)
            continue;
        if (!named)
            fprintf(to, "%s %s", *any ? ";" : " Here:", row->name);
        fprintf(to, "%s %s %s", named ? "," : "", table_number(row->median, median), row->unit);
        if (!isnan(row->x))
            fprintf(to, " at %s %s", table_number(row->x, x), row->x_unit);
        named = *any = true;
    }
}
