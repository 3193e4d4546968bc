/* Rows of a result as lines for a person. */
#include "bench/table.h"

#include <math.h>
#include <string.h>

static void print_row(struct result *result, const struct result_row *row, FILE *to);
static void group_thousands(char text[TABLE_NUMBER_BYTES]);

void table_print(struct result *result, uint32_t first, FILE *to)
{
    const cJSON *note;

    for (uint32_t i = first; i < result_row_count(result); i++) {
        const struct result_row *row = result_row(result, i);

        if (i == first || strcmp(row->group, result_row(result, i - 1)->group) != 0)
            fprintf(to, "\n%-52s %12s %12s %10s  %s\n", row->group, "median", "min", "noise", "unit");
        print_row(result, row, to);
    }
    cJSON_ArrayForEach(note, result_notes(result)) fprintf(to, "%s\n", note->valuestring);
    fflush(to);
}

const char *table_number(double value, char text[TABLE_NUMBER_BYTES])
{
    double size = fabs(value);

    if (!isfinite(value))
        snprintf(text, TABLE_NUMBER_BYTES, "-");
    else if (value == floor(value))
        snprintf(text, TABLE_NUMBER_BYTES, "%.0f", value);
    else
        snprintf(text, TABLE_NUMBER_BYTES, "%.*f", size >= 100 || size == 0 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 4, value);
    group_thousands(text);
    return text;
}

const char *table_verdict(const struct result_row *row)
{
    if (isnan(row->target))
        return "";
    if (row->sense == RESULT_HIGHER_IS_BETTER)
        return row->median >= row->target ? "reached" : "missed";
    return row->median <= row->target ? "reached" : "missed";
}

static void print_row(struct result *result, const struct result_row *row, FILE *to)
{
    const struct result_row *ground = result_floor(result, row);
    char name[3 * RESULT_TEXT_BYTES], median[TABLE_NUMBER_BYTES], min[TABLE_NUMBER_BYTES], noise[TABLE_NUMBER_BYTES];
    char x[TABLE_NUMBER_BYTES];

    if (isnan(row->x))
        snprintf(name, sizeof(name), "%s", row->name);
    else
        snprintf(name, sizeof(name), "%s %s: %s", table_number(row->x, x), row->x_unit, row->name);
    fprintf(to, "  %-50s %12s %12s %10s  %s", name, table_number(row->median, median), table_number(row->min, min),
            table_number(row->noise, noise), row->unit);
    if (ground)
        fprintf(to, ", %.2f x %s", row->median / ground->median, ground->name);
    if (!isnan(row->target))
        fprintf(to, ", target %s: %s", table_number(row->target, x), table_verdict(row));
    fputc('\n', to);
}

/* A comma before each three digits of the whole part. */
static void group_thousands(char text[TABLE_NUMBER_BYTES])
{
    size_t len = strlen(text), whole = strcspn(text, ".");
    size_t first = text[0] == '-' ? 1 : 0;

    for (size_t at = whole; at > first + 3 && len + 1 < TABLE_NUMBER_BYTES; len++) {
        at -= 3;
        memmove(text + at + 1, text + at, len + 1 - at);
        text[at] = ',';
    }
}
