/* Pictures of a result: one SVG for each group and unit in which something is varied, drawn by gnuplot. */
#include "bench/plot.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/child.h"

#define GNUPLOT_MS 60000
#define STATUS_NOT_FOUND 127
#define LOG_RANGE 10 /* from so wide a range on an axis is logarithmic */

struct range {
    double low;
    double high;
};

static bool belongs(const struct result_row *row, const char *group, const char *unit);
static bool is_first_of_name(struct result *result, uint32_t index);
static void widen(struct range *range, double value);
static bool wants_log(const struct range *range);
static void write_head(FILE *file, const struct result_row *row, const struct range *x, const struct range *y, const char *name);
static void write_curves(FILE *file, struct result *result, const char *group, const char *unit);
static void write_points(FILE *file, struct result *result, const struct result_row *of);

void plot_name(const char *group, const char *unit, char name[PLOT_NAME_BYTES])
{
    char text[2 * RESULT_TEXT_BYTES + 2];
    size_t len = 0;

    snprintf(text, sizeof(text), "%s %s", group, unit);
    for (const char *from = text; *from && len + 1 < PLOT_NAME_BYTES; from++)
        if (isalnum((unsigned char)*from))
            name[len++] = (char)tolower((unsigned char)*from);
        else if (len > 0 && name[len - 1] != '-')
            name[len++] = '-';
    name[len] = 0;
}

int plot_group(struct result *result, const char *group, const char *unit, const char *dir, const char *log_path)
{
    struct range x = {INFINITY, -INFINITY}, y = {INFINITY, -INFINITY};
    const struct result_row *one = NULL;
    char name[PLOT_NAME_BYTES], script[PLOT_NAME_BYTES + 8], path[4096];
    FILE *file;

    for (uint32_t i = 0; i < result_row_count(result); i++) {
        const struct result_row *row = result_row(result, i);

        if (!belongs(row, group, unit))
            continue;
        one = one && one->sense != RESULT_ONLY_SAID ? one : row;
        widen(&x, row->x);
        widen(&y, row->median);
    }
    if (!one || one->sense == RESULT_ONLY_SAID || x.low == x.high)
        return -ENODATA;
    plot_name(group, unit, name);
    snprintf(script, sizeof(script), "%s.gp", name);
    snprintf(path, sizeof(path), "%s/%s", dir, script);
    file = fopen(path, "we");
    if (!file)
        return -errno;
    write_head(file, one, &x, &y, name);
    write_curves(file, result, group, unit);
    if (fclose(file))
        return -EIO;
    return plot_run(dir, script, log_path);
}

int plot_run(const char *dir, const char *script_name, const char *log_path)
{
    char change[4200];
    const char *const argv[] = {"gnuplot", "-e", change, NULL};
    struct child child;
    int status;

    snprintf(change, sizeof(change), "cd '%s'; load '%s'", dir, script_name); /* the pictures' names are relative */
    if (child_start(argv, log_path, &child))
        return -EIO;
    status = child_wait(&child, GNUPLOT_MS);
    return status == 0 ? 0 : status == STATUS_NOT_FOUND ? -ENOENT : -EIO;
}

static bool belongs(const struct result_row *row, const char *group, const char *unit)
{
    return !isnan(row->x) && strcmp(row->group, group) == 0 && strcmp(row->unit, unit) == 0;
}

static bool is_first_of_name(struct result *result, uint32_t index)
{
    const struct result_row *row = result_row(result, index);

    for (uint32_t i = 0; i < index; i++)
        if (belongs(result_row(result, i), row->group, row->unit) && strcmp(result_row(result, i)->name, row->name) == 0)
            return false;
    return true;
}

static void widen(struct range *range, double value)
{
    range->low = fmin(range->low, value);
    range->high = fmax(range->high, value);
}

static bool wants_log(const struct range *range)
{
    return range->low > 0 && range->high / range->low >= LOG_RANGE;
}

static void write_head(FILE *file, const struct result_row *row, const struct range *x, const struct range *y, const char *name)
{
    fprintf(file,
            "set terminal svg size 1200,600 background rgb 'white' font 'sans-serif,12'\nset output '%s.svg'\nset title \"%s\" noenhanced\n"
            "set xlabel \"%s\" noenhanced\nset ylabel \"%s\" noenhanced\nset grid\nset key outside right top noenhanced\n",
            name, row->group, row->x_unit, row->unit);
    if (wants_log(x))
        fputs("set logscale x\n", file);
    if (wants_log(y))
        fputs("set logscale y\n", file);
    else
        fputs("set yrange [0:*]\n", file);
}

/* The noise is drawn as a bar; one that reaches below zero ends at a tenth of the figure, or a logarithmic axis would have no place for it.
 */
static void write_curves(FILE *file, struct result *result, const char *group, const char *unit)
{
    static const char *const colours[] = {"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e",
                                          "#17becf", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22"};
    enum { COLOURS = sizeof(colours) / sizeof(colours[0]) };
    const char *between = "plot ";
    uint32_t curve = 0;

    for (uint32_t i = 0; i < result_row_count(result); i++) {
        const struct result_row *row = result_row(result, i);

        if (!belongs(row, group, unit) || !is_first_of_name(result, i))
            continue;
        fprintf(file, "%s'-' using 1:2:3:4 with yerrorlines lc rgb '%s' dt %u pt %u lw 1.5 title \"%s\"", between, colours[curve % COLOURS],
                1 + curve / COLOURS, 4 + curve % COLOURS, row->name);
        between = ", ";
        curve++;
    }
    fputc('\n', file);
    for (uint32_t i = 0; i < result_row_count(result); i++)
        if (belongs(result_row(result, i), group, unit) && is_first_of_name(result, i))
            write_points(file, result, result_row(result, i));
}

static void write_points(FILE *file, struct result *result, const struct result_row *of)
{
    for (uint32_t i = 0; i < result_row_count(result); i++) {
        const struct result_row *row = result_row(result, i);
        double noise = isnan(row->noise) ? 0 : row->noise;

        if (belongs(row, of->group, of->unit) && strcmp(row->name, of->name) == 0)
            fprintf(file, "%.9g %.9g %.9g %.9g\n", row->x, row->median, fmax(row->median - noise, row->median / 10), row->median + noise);
    }
    fputs("e\n", file);
}
