/* The text view of ehring-stat. */
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ringbuf/ring.h"

enum { VALUE_COLUMN = 53 }; /* where values end */

static void print_head(const struct stat_look *look, const struct stat_file *file);
static void print_lag(const struct stat_look *look);
static void print_line(const struct stat_look *look, const struct ring_stat_desc *line, enum stat_detail detail);
static void print_text(const struct stat_look *look, const struct ring_stat_desc *line);
static void print_hist(const struct stat_look *look, const struct ring_stat_desc *line, enum stat_detail detail);
static void print_percentiles(const struct ring_hist_view *hist, const char *unit);
static uint64_t in_one(const struct ring_stat_view *view, const struct ring_stat_desc *line);
static const char *quantity(uint64_t value, const char *unit, char text[32]);

void stat_text_print(const struct stat_look *look, const struct stat_file *file, enum stat_detail detail)
{
    print_head(look, file);
    for (uint32_t i = 0; i < look->view.count; i++) {
        if (look->view.table[i].kind == RING_STAT_HISTOGRAM)
            print_hist(look, &look->view.table[i], detail);
        else if (look->view.table[i].kind == RING_STAT_TEXT)
            print_text(look, &look->view.table[i]);
        else
            print_line(look, &look->view.table[i], detail);
    }
}

/* Three digits: a histogram knows no more. */
const char *stat_duration(uint64_t ns, char text[32])
{
    static const char *const unit[] = {"ns", "us", "ms", "s"};
    double value = (double)ns;
    size_t i = 0;

    for (; value >= 999.5 && i < 3; i++)
        value /= 1000;
    snprintf(text, 32, "%.*f %s", i == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2, value, unit[i]);
    return text;
}

static void print_head(const struct stat_look *look, const struct stat_file *file)
{
    static const char *const life[] = {[STAT_LIFE_UNKNOWN] = "unknown", [STAT_LIFE_ALIVE] = "alive", [STAT_LIFE_ORPHAN] = "orphan"};
    char label[STAT_LABEL_BYTES], since[32] = "?";
    time_t started = (time_t)(look->view.started_ns / 1000000000);
    struct tm when;

    if (localtime_r(&started, &when))
        strftime(since, sizeof(since), "%Y-%m-%d %H:%M:%S", &when);
    printf("%s %s  %s  %s  pid %" PRIu32 "  since %s\n", file->is_ring ? "ring" : "stream", file->stream,
           stat_label(look->view.name, sizeof(look->view.name), label), file->is_ring ? life[look->life] : "shipper", look->view.pid,
           since);
    if (!file->is_ring)
        return;
    printf("  file            %s%s\n", file->name, look->closed ? "  (closed by its producer)" : "");
    if (look->quarantine)
        printf("  QUARANTINED     %s, at byte %" PRIu64 "\n", look->quarantine, look->quarantine_pos);
    print_lag(look);
}

static void print_lag(const struct stat_look *look)
{
    const struct stat_lag *lag = &look->lag;
    char text[32];

    if (lag->impossible) {
        printf("  lag             impossible positions: write %" PRIu64 ", gate %" PRIu64 ", %" PRIu32 " lanes\n", lag->write_pos,
               lag->gate_pos, lag->lane_count);
        return;
    }
    printf("  lag             %" PRIu64 " of %" PRIu64 " bytes", lag->bytes, look->capacity);
    if (lag->lane_count == 0)
        printf(", no shipper has seen this ring");
    else if (lag->gating_lane >= 0)
        printf(", lane %d of %" PRIu32 " gates", lag->gating_lane, lag->lane_count);
    putchar('\n');
    if (look->oldest_age_ns >= 0)
        printf("  oldest          not accepted for %s\n", stat_duration((uint64_t)look->oldest_age_ns, text));
}

static void print_line(const struct stat_look *look, const struct ring_stat_desc *line, enum stat_detail detail)
{
    char name[STAT_LABEL_BYTES], unit[STAT_LABEL_BYTES], help[STAT_LABEL_BYTES], index[STAT_LABEL_BYTES], text[32];

    stat_label(line->unit, sizeof(line->unit), unit);
    printf("  %-26s %24s  %s\n", stat_label(line->name, sizeof(line->name), name), quantity(in_one(&look->view, line), unit, text),
           stat_label(line->help, sizeof(line->help), help));
    if (detail == STAT_SUMS || line->count <= 1)
        return;
    for (uint32_t i = 0; i < line->count; i++) {
        uint64_t value = ring_stat_value(&look->view, line, i);
        if (value != 0)
            printf("    %-22s %*s\n", stat_index_label(line, i, index), VALUE_COLUMN - 27, quantity(value, unit, text));
    }
}

static void print_text(const struct stat_look *look, const struct ring_stat_desc *line)
{
    char name[STAT_LABEL_BYTES], text[256], label[STAT_LABEL_BYTES], help[STAT_LABEL_BYTES];

    ring_stat_text(&look->view, line, text, sizeof(text));
    printf("  %-26s %24s  %s\n", stat_label(line->name, sizeof(line->name), name), stat_label(text, sizeof(text), label),
           stat_label(line->help, sizeof(line->help), help));
}

static void print_hist(const struct stat_look *look, const struct ring_stat_desc *line, enum stat_detail detail)
{
    struct ring_hist_view sum = {0};
    char name[STAT_LABEL_BYTES], unit[STAT_LABEL_BYTES], index[STAT_LABEL_BYTES];

    for (uint32_t i = 0; i < line->count; i++)
        if (ring_stat_hist(&look->view, line, i))
            ring_hist_view_add(&sum, ring_stat_hist(&look->view, line, i));
    stat_label(line->unit, sizeof(line->unit), unit);
    printf("  %-26s ", stat_label(line->name, sizeof(line->name), name));
    print_percentiles(&sum, unit);
    for (uint32_t i = 0; detail == STAT_EACH && line->count > 1 && i < line->count; i++) {
        struct ring_hist_view one = {0};
        if (ring_stat_hist(&look->view, line, i))
            ring_hist_view_add(&one, ring_stat_hist(&look->view, line, i));
        if (one.count > 0) {
            printf("    %s %-16" PRIu32 " ", stat_label(line->index, sizeof(line->index), index), i);
            print_percentiles(&one, unit);
        }
    }
}

static void print_percentiles(const struct ring_hist_view *hist, const char *unit)
{
    static const double percent[] = {50, 90, 99, 99.9, 100};
    static const char *const label[] = {"p50", "p90", "p99", "p99.9", "max"};
    char text[32];

    printf("count %" PRIu64, hist->count);
    for (size_t i = 0; hist->count > 0 && i < sizeof(percent) / sizeof(percent[0]); i++)
        printf("  %s %s", label[i], quantity(ring_hist_percentile(hist, percent[i]), unit, text));
    putchar('\n');
}

/* Positions do not add up: the largest is shown. */
static uint64_t in_one(const struct ring_stat_view *view, const struct ring_stat_desc *line)
{
    uint64_t sum = 0, largest = 0;

    for (uint32_t i = 0; i < line->count; i++) {
        uint64_t value = ring_stat_value(view, line, i);
        sum += value;
        largest = value > largest ? value : largest;
    }
    return line->kind == RING_STAT_POSITION ? largest : sum;
}

static const char *quantity(uint64_t value, const char *unit, char text[32])
{
    if (strcmp(unit, "ns") == 0)
        return stat_duration(value, text);
    snprintf(text, 32, "%" PRIu64 "%s%.11s", value, unit[0] ? " " : "", unit);
    return text;
}
