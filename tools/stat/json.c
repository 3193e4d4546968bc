/* The JSON view of ehring-stat. Integers go in as text: cJSON would make them doubles and lose digits. */
#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ringbuf/ring.h"

static void add_ring(cJSON *object, const struct stat_look *look);
static void add_line(cJSON *lines, const struct stat_look *look, const struct ring_stat_desc *line);
static void add_values(cJSON *object, const struct stat_look *look, const struct ring_stat_desc *line);
static void add_text(cJSON *object, const struct stat_look *look, const struct ring_stat_desc *line);
static void add_hists(cJSON *object, const struct stat_look *look, const struct ring_stat_desc *line);
static void add_hist(cJSON *object, const struct ring_hist_view *hist);
static void add_number(cJSON *object, const char *name, uint64_t value);
static void add_label(cJSON *object, const char *name, const char *text, size_t cap);
static cJSON *number_of(uint64_t value);

cJSON *stat_json_of(const struct stat_look *look, const struct stat_file *file)
{
    cJSON *object = cJSON_CreateObject(), *lines;
    char started[32];

    add_label(object, "path", look->path, sizeof(look->path));
    cJSON_AddStringToObject(object, "kind", file->is_ring ? "ring" : "shipper");
    add_label(object, "stream", file->stream, strlen(file->stream));
    add_label(object, "name", look->view.name, sizeof(look->view.name));
    add_number(object, "pid", look->view.pid);
    snprintf(started, sizeof(started), "%" PRId64, look->view.started_ns);
    cJSON_AddRawToObject(object, "started_ns", started);
    if (look->ring)
        add_ring(object, look);
    lines = cJSON_AddObjectToObject(object, "values");
    for (uint32_t i = 0; i < look->view.count; i++)
        add_line(lines, look, &look->view.table[i]);
    return object;
}

cJSON *stat_json_error(const char *path, const struct stat_file *file, const char *why)
{
    cJSON *object = cJSON_CreateObject();

    add_label(object, "path", path, strlen(path));
    cJSON_AddStringToObject(object, "kind", file->is_ring ? "ring" : "shipper");
    add_label(object, "stream", file->stream, strlen(file->stream));
    add_label(object, "error", why, strlen(why));
    return object;
}

static void add_ring(cJSON *object, const struct stat_look *look)
{
    static const char *const life[] = {[STAT_LIFE_UNKNOWN] = "unknown", [STAT_LIFE_ALIVE] = "alive", [STAT_LIFE_ORPHAN] = "orphan"};

    cJSON_AddStringToObject(object, "producer", life[look->life]);
    cJSON_AddBoolToObject(object, "closed", look->closed);
    if (look->quarantine) {
        cJSON_AddStringToObject(object, "quarantine", look->quarantine);
        add_number(object, "quarantine_pos", look->quarantine_pos);
    } else {
        cJSON_AddNullToObject(object, "quarantine");
    }
    add_number(object, "capacity_bytes", look->capacity);
    add_number(object, "write_pos", look->lag.write_pos);
    add_number(object, "gate_pos", look->lag.gate_pos);
    if (look->lag.impossible)
        cJSON_AddNullToObject(object, "lag_bytes");
    else
        add_number(object, "lag_bytes", look->lag.bytes);
    if (look->oldest_age_ns < 0)
        cJSON_AddNullToObject(object, "oldest_age_ns");
    else
        add_number(object, "oldest_age_ns", (uint64_t)look->oldest_age_ns);
    add_number(object, "lane_count", look->lag.lane_count);
    if (look->lag.gating_lane < 0)
        cJSON_AddNullToObject(object, "gating_lane");
    else
        add_number(object, "gating_lane", (uint64_t)look->lag.gating_lane);
}

/* By its name; a table that has the name twice gets "name#2". */
static void add_line(cJSON *lines, const struct stat_look *look, const struct ring_stat_desc *line)
{
    static const char *const kind[] = {[RING_STAT_COUNTER] = "counter",
                                       [RING_STAT_GAUGE] = "gauge",
                                       [RING_STAT_POSITION] = "position",
                                       [RING_STAT_HISTOGRAM] = "histogram",
                                       [RING_STAT_TEXT] = "text"};
    char name[STAT_LABEL_BYTES];
    cJSON *object;

    stat_label(line->name, sizeof(line->name), name);
    size_t len = strlen(name);
    for (unsigned again = 2; cJSON_GetObjectItemCaseSensitive(lines, name); again++)
        snprintf(name + len, sizeof(name) - len, "#%u", again);
    object = cJSON_AddObjectToObject(lines, name);

    cJSON_AddStringToObject(object, "kind", line->kind < sizeof(kind) / sizeof(kind[0]) && kind[line->kind] ? kind[line->kind] : "unknown");
    add_label(object, "unit", line->unit, sizeof(line->unit));
    add_label(object, "help", line->help, sizeof(line->help));
    if (line->count > 1)
        add_label(object, "index", line->index, sizeof(line->index));
    if (line->kind == RING_STAT_HISTOGRAM)
        add_hists(object, look, line);
    else if (line->kind == RING_STAT_TEXT)
        add_text(object, look, line);
    else
        add_values(object, look, line);
}

/* "value" is the sum (of positions: the largest); "values" holds each. */
static void add_values(cJSON *object, const struct stat_look *look, const struct ring_stat_desc *line)
{
    cJSON *values = line->count > 1 ? cJSON_CreateArray() : NULL, *reasons = NULL;
    uint64_t all = 0;

    for (uint32_t i = 0; i < line->count; i++) {
        uint64_t value = ring_stat_value(&look->view, line, i);
        if (line->kind != RING_STAT_POSITION)
            all += value;
        else if (value > all)
            all = value;
        if (values)
            cJSON_AddItemToArray(values, number_of(value));
    }
    add_number(object, "value", all);
    if (values)
        cJSON_AddItemToObject(object, "values", values);
    if (stat_reason_name(line, 0) && line->count > 1)
        reasons = cJSON_AddObjectToObject(object, "reasons");
    for (uint32_t i = 0; reasons && i < line->count; i++)
        if (stat_reason_name(line, i))
            add_number(reasons, stat_reason_name(line, i), ring_stat_value(&look->view, line, i));
}

static void add_text(cJSON *object, const struct stat_look *look, const struct ring_stat_desc *line)
{
    char text[512];

    ring_stat_text(&look->view, line, text, sizeof(text));
    add_label(object, "value", text, sizeof(text));
}

static void add_hists(cJSON *object, const struct stat_look *look, const struct ring_stat_desc *line)
{
    cJSON *values = line->count > 1 ? cJSON_CreateArray() : NULL;
    struct ring_hist_view all = {0};

    for (uint32_t i = 0; i < line->count; i++) {
        const struct ring_hist *hist = ring_stat_hist(&look->view, line, i);
        struct ring_hist_view one = {0};
        if (hist) {
            ring_hist_view_add(&one, hist);
            ring_hist_view_add(&all, hist);
        }
        if (values) {
            cJSON *item = cJSON_CreateObject();
            add_hist(item, &one);
            cJSON_AddItemToArray(values, item);
        }
    }
    add_hist(object, &all);
    if (values)
        cJSON_AddItemToObject(object, "values", values);
}

static void add_hist(cJSON *object, const struct ring_hist_view *hist)
{
    add_number(object, "count", hist->count);
    if (hist->count == 0)
        return;
    add_number(object, "sum", hist->sum);
    add_number(object, "p50", ring_hist_percentile(hist, 50));
    add_number(object, "p90", ring_hist_percentile(hist, 90));
    add_number(object, "p99", ring_hist_percentile(hist, 99));
    add_number(object, "p99_9", ring_hist_percentile(hist, 99.9));
    add_number(object, "max", ring_hist_percentile(hist, 100));
}

static void add_number(cJSON *object, const char *name, uint64_t value)
{
    cJSON_AddItemToObject(object, name, number_of(value));
}

static cJSON *number_of(uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    return cJSON_CreateRaw(text);
}

/* File names and tables may hold anything; JSON must be UTF-8. */
static void add_label(cJSON *object, const char *name, const char *text, size_t cap)
{
    char whole[4096];
    size_t len = strnlen(text, cap < sizeof(whole) ? cap : sizeof(whole) - 1);

    for (size_t i = 0; i < len; i++)
        whole[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    whole[len] = '\0';
    cJSON_AddStringToObject(object, name, whole);
}
