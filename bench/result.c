/* What a run has measured: rows with a figure, the noise it states itself, and what they belong to; kept as JSON between runs. */
#include "bench/result.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/machine.h"

#define FORMAT 1
#define FILE_BYTES_MAX (64l << 20)

struct result {
    cJSON *machine;
    cJSON *versions;
    cJSON *commands;
    cJSON *notes;
    struct result_row *row;
    uint32_t row_count;
    uint32_t row_room;
};

static const char *const sense_names[] = {"lower is better", "higher is better", "only said"};

static void set_text(char *to, const char *from);
static cJSON *row_to_json(const struct result_row *row);
static int row_from_json(const cJSON *json, uint32_t command_count, struct result_row *row);
static void add_number(cJSON *json, const char *name, double value);
static double get_number(const cJSON *json, const char *name);
static bool get_text(const cJSON *json, const char *name, char *to);
static bool get_sense(const cJSON *json, enum result_sense *sense);
static char *read_file(const char *path);
static int take_json(struct result *result, cJSON *json);

struct result *result_open(void)
{
    struct result *result = calloc(1, sizeof(*result));

    if (!result)
        return NULL;
    result->machine = machine_json();
    result->versions = machine_versions_json();
    result->commands = cJSON_CreateArray();
    result->notes = cJSON_CreateArray();
    if (result->machine && result->versions && result->commands && result->notes)
        return result;
    result_close(result);
    return NULL;
}

void result_close(struct result *result)
{
    if (!result)
        return;
    cJSON_Delete(result->machine);
    cJSON_Delete(result->versions);
    cJSON_Delete(result->commands);
    cJSON_Delete(result->notes);
    free(result->row);
    free(result);
}

int result_begin_command(struct result *result, int argc, char *const argv[])
{
    char text[1024] = "ehring-bench";
    size_t len = strlen(text);

    for (int i = 0; i < argc && len < sizeof(text) - 1; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, " %s", argv[i]);
    return result_begin_command_text(result, text);
}

int result_begin_command_text(struct result *result, const char *text)
{
    return cJSON_AddItemToArray(result->commands, cJSON_CreateString(text)) ? 0 : -ENOMEM;
}

int result_add_note(struct result *result, const char *text)
{
    const cJSON *note;

    cJSON_ArrayForEach(note, result->notes) if (cJSON_IsString(note) && strcmp(note->valuestring, text) == 0) return 0;
    return cJSON_AddItemToArray(result->notes, cJSON_CreateString(text)) ? 0 : -ENOMEM;
}

int result_add_row(struct result *result, const struct result_row *row)
{
    int commands = cJSON_GetArraySize(result->commands);

    if (result->row_count == result->row_room) {
        uint32_t room = result->row_room ? 2 * result->row_room : 64;
        struct result_row *more = reallocarray(result->row, room, sizeof(*more));

        if (!more)
            return -ENOMEM;
        result->row = more;
        result->row_room = room;
    }
    result->row[result->row_count] = *row;
    result->row[result->row_count++].command = commands > 0 ? (uint32_t)commands - 1 : 0;
    return 0;
}

double result_best(const struct result_row *row)
{
    return row->sense == RESULT_HIGHER_IS_BETTER ? row->max : row->min;
}

struct result_row result_row_of(const char *group, const char *name, const char *unit, enum result_sense sense,
                                const struct measure_series *series)
{
    struct result_row row = result_row_of_value(group, name, unit, sense, measure_median(series));

    row.min = measure_min(series);
    row.max = measure_max(series);
    row.noise = measure_noise(series, MEASURE_MEDIAN);
    row.samples = series->count;
    return row;
}

struct result_row result_row_of_value(const char *group, const char *name, const char *unit, enum result_sense sense, double value)
{
    struct result_row row = {.x = NAN,
                             .median = value,
                             .min = value,
                             .max = value,
                             .noise = NAN,
                             .best_noise = NAN,
                             .samples = 1,
                             .sense = sense,
                             .target = NAN};

    set_text(row.group, group);
    set_text(row.name, name);
    set_text(row.unit, unit);
    return row;
}

uint32_t result_row_count(const struct result *result)
{
    return result->row_count;
}

struct result_row *result_row(struct result *result, uint32_t index)
{
    return &result->row[index];
}

struct result_row *result_find(struct result *result, const char *group, const char *name, double x)
{
    for (uint32_t i = 0; i < result->row_count; i++) {
        struct result_row *row = &result->row[i];
        bool same_x = isnan(x) ? isnan(row->x) : row->x == x;

        if (same_x && strcmp(row->group, group) == 0 && strcmp(row->name, name) == 0)
            return row;
    }
    return NULL;
}

struct result_row *result_floor(struct result *result, const struct result_row *row)
{
    return row->floor[0] ? result_find(result, row->group, row->floor, row->x) : NULL;
}

const char *result_command(const struct result *result, uint32_t index)
{
    const cJSON *command = cJSON_GetArrayItem(result->commands, (int)index);

    return cJSON_IsString(command) ? command->valuestring : "";
}

const cJSON *result_machine(const struct result *result)
{
    return result->machine;
}

const cJSON *result_versions(const struct result *result)
{
    return result->versions;
}

const cJSON *result_notes(const struct result *result)
{
    return result->notes;
}

int result_write(const struct result *result, const char *path)
{
    cJSON *json = cJSON_CreateObject(), *rows;
    char *text;
    FILE *file;
    int err = 0;

    cJSON_AddNumberToObject(json, "format", FORMAT);
    cJSON_AddNumberToObject(json, "time", (double)time(NULL));
    cJSON_AddItemToObject(json, "machine", cJSON_Duplicate(result->machine, true));
    cJSON_AddItemToObject(json, "versions", cJSON_Duplicate(result->versions, true));
    cJSON_AddItemToObject(json, "commands", cJSON_Duplicate(result->commands, true));
    cJSON_AddItemToObject(json, "notes", cJSON_Duplicate(result->notes, true));
    rows = cJSON_AddArrayToObject(json, "rows");
    for (uint32_t i = 0; i < result->row_count; i++)
        cJSON_AddItemToArray(rows, row_to_json(&result->row[i]));
    text = cJSON_Print(json);
    file = text ? fopen(path, "we") : NULL;
    if (!file)
        err = text ? -errno : -ENOMEM;
    else if (fprintf(file, "%s\n", text) < 0)
        err = -EIO;
    if (file && fclose(file) && !err)
        err = -errno;
    if (err)
        fprintf(stderr, "ehring-bench: cannot write %s: %s\n", path, strerror(-err));
    cJSON_free(text);
    cJSON_Delete(json);
    return err;
}

int result_read(const char *path, struct result **out)
{
    char *text = read_file(path);
    cJSON *json = text ? cJSON_Parse(text) : NULL;
    struct result *result = NULL;
    int err = -EPROTO;

    *out = NULL;
    if (!text)
        err = -errno;
    else if (get_number(json, "format") == FORMAT)
        result = result_open();
    if (result)
        err = take_json(result, json);
    if (err)
        fprintf(stderr, "ehring-bench: %s: %s\n", path, err == -EPROTO ? "is not a file of figures of this version" : strerror(-err));
    if (err)
        result_close(result);
    else
        *out = result;
    cJSON_Delete(json);
    free(text);
    return err;
}

static void set_text(char *to, const char *from)
{
    snprintf(to, RESULT_TEXT_BYTES, "%s", from);
}

static cJSON *row_to_json(const struct result_row *row)
{
    cJSON *json = cJSON_CreateObject();

    cJSON_AddNumberToObject(json, "command", row->command);
    cJSON_AddStringToObject(json, "group", row->group);
    cJSON_AddStringToObject(json, "name", row->name);
    add_number(json, "x", row->x);
    cJSON_AddStringToObject(json, "x_unit", row->x_unit);
    cJSON_AddStringToObject(json, "unit", row->unit);
    add_number(json, "median", row->median);
    add_number(json, "min", row->min);
    add_number(json, "max", row->max);
    add_number(json, "noise", row->noise);
    add_number(json, "best_noise", row->best_noise);
    cJSON_AddNumberToObject(json, "samples", row->samples);
    cJSON_AddStringToObject(json, "sense", sense_names[row->sense]);
    cJSON_AddBoolToObject(json, "lower_is_better", row->sense == RESULT_LOWER_IS_BETTER);
    cJSON_AddStringToObject(json, "floor", row->floor);
    add_number(json, "target", row->target);
    return json;
}

static int row_from_json(const cJSON *json, uint32_t command_count, struct result_row *row)
{
    double command = get_number(json, "command"), samples = get_number(json, "samples");

    *row = (struct result_row){.x = get_number(json, "x"),
                               .median = get_number(json, "median"),
                               .min = get_number(json, "min"),
                               .max = get_number(json, "max"),
                               .noise = get_number(json, "noise"),
                               .best_noise = get_number(json, "best_noise"),
                               .target = get_number(json, "target")};
    if (!get_text(json, "group", row->group) || !get_text(json, "name", row->name) || !get_text(json, "unit", row->unit) ||
        !get_text(json, "x_unit", row->x_unit) || !get_text(json, "floor", row->floor) || !get_sense(json, &row->sense))
        return -EPROTO;
    if (isnan(row->median) || !(command >= 0 && command < command_count) || !(samples >= 0 && samples <= UINT32_MAX))
        return -EPROTO;
    row->command = (uint32_t)command;
    row->samples = (uint32_t)samples;
    return 0;
}

/* JSON has no NAN: what is not known is not there. */
static void add_number(cJSON *json, const char *name, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(json, name, value);
}

static double get_number(const cJSON *json, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);

    return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

static bool get_text(const cJSON *json, const char *name, char *to)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);

    if (!cJSON_IsString(item))
        return false;
    set_text(to, item->valuestring);
    return true;
}

static bool get_sense(const cJSON *json, enum result_sense *sense)
{
    char text[RESULT_TEXT_BYTES];

    if (!get_text(json, "sense", text))
        return false;
    for (uint32_t i = 0; i < sizeof(sense_names) / sizeof(sense_names[0]); i++)
        if (strcmp(text, sense_names[i]) == 0) {
            *sense = (enum result_sense)i;
            return true;
        }
    return false;
}

/* NULL with errno. */
static char *read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    long len = -1;

    if (!file)
        return NULL;
    if (fseek(file, 0, SEEK_END) == 0)
        len = ftell(file);
    if (len > FILE_BYTES_MAX)
        errno = EFBIG;
    else if (len >= 0)
        text = calloc(1, (size_t)len + 1);
    rewind(file);
    if (text && fread(text, 1, (size_t)len, file) != (size_t)len) {
        free(text);
        text = NULL;
        errno = EIO;
    }
    fclose(file);
    return text;
}

static int take_json(struct result *result, cJSON *json)
{
    static const char *const parts[] = {"machine", "versions", "commands", "notes"};
    cJSON **const places[] = {&result->machine, &result->versions, &result->commands, &result->notes};
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(json, "rows"), *item;
    uint32_t commands;
    int err = cJSON_IsArray(rows) ? 0 : -EPROTO;

    for (uint32_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        cJSON *part = cJSON_DetachItemFromObjectCaseSensitive(json, parts[i]);

        if (!(i < 2 ? cJSON_IsObject(part) : cJSON_IsArray(part))) {
            cJSON_Delete(part);
            return -EPROTO;
        }
        cJSON_Delete(*places[i]);
        *places[i] = part;
    }
    commands = (uint32_t)cJSON_GetArraySize(result->commands);
    cJSON_ArrayForEach(item, rows)
    {
        struct result_row row;

        if (!err)
            err = row_from_json(item, commands, &row);
        if (!err)
            err = result_add_row(result, &row);
        if (!err)
            result->row[result->row_count - 1].command = row.command;
    }
    return err;
}
