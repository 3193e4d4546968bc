/* A result as a page: machine, targets, a table and pictures for each group, the commands beside them. */
#include "bench/markdown.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "bench/limits.h"
#include "bench/plot.h"
#include "bench/table.h"

static void print_object(const cJSON *object, FILE *to);
static bool is_first(struct result *result, uint32_t index, bool (*same)(const struct result_row *, const struct result_row *));
static bool same_group(const struct result_row *a, const struct result_row *b);
static bool same_line(const struct result_row *a, const struct result_row *b);
static bool same_column(const struct result_row *a, const struct result_row *b);
static bool same_picture(const struct result_row *a, const struct result_row *b);
static bool same_command(const struct result_row *a, const struct result_row *b);
static void print_table(struct result *result, const char *group, FILE *to);
static void print_line(struct result *result, const struct result_row *line, FILE *to);
static void print_cell(struct result *result, const struct result_row *row, FILE *to);
static void print_pictures(struct result *result, const char *group, const char *dir, FILE *to);
static void print_commands(struct result *result, const char *group, FILE *to);

void markdown_print_head(const struct result *result, const char *profile, uint32_t rounds, FILE *to)
{
    const cJSON *note;

    fputs("# Figures of ehring\n\n", to);
    print_object(result_machine(result), to);
    print_object(result_versions(result), to);
    fprintf(to,
            "\nProfile %s, %u rounds over all of it. A cell is the middle of the rounds, ± its noise: so far another run of the same build "
            "may be\n"
            "away. The noise is the larger of how far the rounds are apart (times 3, 2, 1.5 for two, three, more rounds), how far the "
            "stretches\n"
            "of one round are, that of the quieter quarter of the table's rows, and 2 %%. (2.0×) is the ratio to the row's floor of the "
            "same run. "
            "Figures in\n"
            "italics are only said, never compared. Everything runs on this one machine: producers, shipper, hub and peers share its "
            "cores.\n\n",
            profile, rounds);
    cJSON_ArrayForEach(note, result_notes(result)) fprintf(to, "- %s\n", note->valuestring);
}

void markdown_print_targets(struct result *result, FILE *to)
{
    bool any = false;

    for (uint32_t i = 0; i < result_row_count(result); i++) {
        const struct result_row *row = result_row(result, i);
        char x[TABLE_NUMBER_BYTES] = "", median[TABLE_NUMBER_BYTES], target[TABLE_NUMBER_BYTES];

        if (isnan(row->target))
            continue;
        if (!any)
            fputs("\n## Targets\n\n| what | figure | target | |\n| --- | --- | --- | --- |\n", to);
        any = true;
        fprintf(to, "| %s: %s", row->group, row->name);
        if (!isnan(row->x))
            fprintf(to, ", %s %s", table_number(row->x, x), row->x_unit);
        fprintf(to, " | %s %s | %s %s | %s |\n", table_number(row->median, median), row->unit,
                row->sense == RESULT_HIGHER_IS_BETTER ? "≥" : "≤", table_number(row->target, target), table_verdict(row));
    }
    limits_print(result, to);
}

void markdown_print_groups(struct result *result, const char *dir, FILE *to)
{
    for (uint32_t i = 0; i < result_row_count(result); i++) {
        const char *group = result_row(result, i)->group;

        if (!is_first(result, i, same_group))
            continue;
        fprintf(to, "\n## %c%s\n\n", group[0] >= 'a' && group[0] <= 'z' ? group[0] - 'a' + 'A' : group[0], group + 1);
        print_table(result, group, to);
        print_pictures(result, group, dir, to);
        print_commands(result, group, to);
    }
}

static void print_object(const cJSON *object, FILE *to)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, object)
    {
        char *text = cJSON_PrintUnformatted(item);

        fprintf(to, "- %s: %s\n", item->string, cJSON_IsString(item) ? item->valuestring : text ? text : "");
        cJSON_free(text);
    }
}

static bool is_first(struct result *result, uint32_t index, bool (*same)(const struct result_row *, const struct result_row *))
{
    for (uint32_t i = 0; i < index; i++)
        if (same(result_row(result, i), result_row(result, index)))
            return false;
    return true;
}

static bool same_group(const struct result_row *a, const struct result_row *b)
{
    return strcmp(a->group, b->group) == 0;
}

static bool same_line(const struct result_row *a, const struct result_row *b)
{
    return same_group(a, b) && strcmp(a->name, b->name) == 0 && strcmp(a->unit, b->unit) == 0;
}

static bool same_column(const struct result_row *a, const struct result_row *b)
{
    return same_group(a, b) && (isnan(a->x) ? isnan(b->x) : a->x == b->x);
}

static bool same_picture(const struct result_row *a, const struct result_row *b)
{
    return same_group(a, b) && strcmp(a->unit, b->unit) == 0;
}

static bool same_command(const struct result_row *a, const struct result_row *b)
{
    return same_group(a, b) && a->command == b->command;
}

/* A line for each name, a column for each x of the group. */
static void print_table(struct result *result, const char *group, FILE *to)
{
    uint32_t columns = 0;

    fputs("| |", to);
    for (uint32_t i = 0; i < result_row_count(result); i++) {
        const struct result_row *row = result_row(result, i);
        char x[TABLE_NUMBER_BYTES];

        if (strcmp(row->group, group) != 0 || !is_first(result, i, same_column))
            continue;
        columns++;
        if (isnan(row->x))
            fputs(" |", to);
        else
            fprintf(to, " %s %s |", table_number(row->x, x), row->x_unit);
    }
    fputs("\n| --- |", to);
    for (uint32_t i = 0; i < columns; i++)
        fputs(" --- |", to);
    fputc('\n', to);
    for (uint32_t i = 0; i < result_row_count(result); i++)
        if (strcmp(result_row(result, i)->group, group) == 0 && is_first(result, i, same_line))
            print_line(result, result_row(result, i), to);
}

static void print_line(struct result *result, const struct result_row *line, FILE *to)
{
    fprintf(to, "| %s, %s |", line->name, line->unit);
    for (uint32_t i = 0; i < result_row_count(result); i++) {
        const struct result_row *column = result_row(result, i);

        if (strcmp(column->group, line->group) == 0 && is_first(result, i, same_column))
            print_cell(result, result_find(result, line->group, line->name, column->x), to);
    }
    fputc('\n', to);
}

static void print_cell(struct result *result, const struct result_row *row, FILE *to)
{
    const struct result_row *ground = row ? result_floor(result, row) : NULL;
    const char *slant = row && row->sense == RESULT_ONLY_SAID ? "*" : "";
    char median[TABLE_NUMBER_BYTES], noise[TABLE_NUMBER_BYTES];

    if (!row) {
        fputs(" |", to);
        return;
    }
    fprintf(to, " %s%s%s", slant, table_number(row->median, median), slant);
    if (!isnan(row->noise) && row->sense != RESULT_ONLY_SAID)
        fprintf(to, " ± %s", table_number(row->noise, noise));
    if (ground && ground->median > 0)
        fprintf(to, " (%s×)", table_number(row->median / ground->median, median));
    fputs(" |", to);
}

static void print_pictures(struct result *result, const char *group, const char *dir, FILE *to)
{
    for (uint32_t i = 0; i < result_row_count(result); i++) {
        const struct result_row *row = result_row(result, i);
        char name[PLOT_NAME_BYTES], path[4096];

        if (strcmp(row->group, group) != 0 || !is_first(result, i, same_picture))
            continue;
        plot_name(group, row->unit, name);
        snprintf(path, sizeof(path), "%s/%s.svg", dir, name);
        if (access(path, R_OK) == 0)
            fprintf(to, "\n![%s, %s](%s.svg)\n", group, row->unit, name);
    }
}

static void print_commands(struct result *result, const char *group, FILE *to)
{
    fputc('\n', to);
    for (uint32_t i = 0; i < result_row_count(result); i++)
        if (strcmp(result_row(result, i)->group, group) == 0 && is_first(result, i, same_command))
            fprintf(to, "    %s\n", result_command(result, result_row(result, i)->command));
}
