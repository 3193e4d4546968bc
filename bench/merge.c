/* Several rounds of one measurement as one: the figure from the middle of the rounds, the noise from how far they are apart. */
#include "bench/merge.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOISE_SHARE_MIN 0.02
#define QUIET_SHARE 0.25
#define GAP_FACTOR 3
/* So much further than the range of the rounds may another run be: two rounds say little about their spread, four say most of it. */
static const double range_factor[] = {0, 0, 3, 2, 1.5};

static struct result_row merge_row(const struct result_row *first, struct result *const rounds[], uint32_t round_count);
static double range_noise(const struct measure_series *medians);
typedef double noise_share(const struct result_row *row);
static double row_noise(const struct result_row *row);
static double row_best_noise(const struct result_row *row);
static double gap_noise(const struct measure_series *bests, double best);
static double floor_share(struct result *result, const struct result_row *row, noise_share *share_of);

int merge_rounds(struct result *into, struct result *const rounds[], uint32_t round_count, const char *group, double x, const char *x_unit)
{
    struct result *first = NULL;
    int err = 0;

    for (uint32_t i = 0; i < round_count && !first; i++)
        first = rounds[i];
    for (uint32_t i = 0; first && i < result_row_count(first) && !err; i++) {
        struct result_row row = merge_row(result_row(first, i), rounds, round_count);

        if (group)
            snprintf(row.group, sizeof(row.group), "%s", group);
        if (!isnan(x)) {
            row.x = x;
            row.target = NAN;
            snprintf(row.x_unit, sizeof(row.x_unit), "%s", x_unit);
        }
        err = result_add_row(into, &row);
    }
    for (uint32_t i = 0; i < round_count && !err; i++) {
        const cJSON *note;

        if (rounds[i])
            cJSON_ArrayForEach(note, result_notes(rounds[i])) err = err ? err : result_add_note(into, note->valuestring);
    }
    return err;
}

void merge_settle_noise(struct result *result)
{
    uint32_t count = result_row_count(result);
    double *noise = calloc(count + 1, sizeof(*noise)), *best = calloc(count + 1, sizeof(*best));

    for (uint32_t i = 0; noise && best && i < count; i++) {
        const struct result_row *row = result_row(result, i);

        noise[i] = fmax(row->noise, floor_share(result, row, row_noise) * fabs(row->median));
        best[i] = fmax(row->best_noise, floor_share(result, row, row_best_noise) * fabs(result_best(row)));
    }
    for (uint32_t i = 0; noise && best && i < count; i++) {
        struct result_row *row = result_row(result, i);

        row->noise = isnan(row->noise) ? NAN : noise[i];
        row->best_noise = isnan(row->best_noise) ? NAN : best[i];
    }
    free(best);
    free(noise);
}

static struct result_row merge_row(const struct result_row *first, struct result *const rounds[], uint32_t round_count)
{
    struct measure_series medians = {0}, bests = {0}, noises = {0}, targets = {0};
    struct result_row merged = *first;

    merged.samples = 0;
    for (uint32_t i = 0; i < round_count; i++) {
        const struct result_row *row = rounds[i] ? result_find(rounds[i], first->group, first->name, first->x) : NULL;

        if (!row)
            continue;
        measure_add(&medians, row->median);
        measure_add(&bests, result_best(row));
        if (!isnan(row->noise))
            measure_add(&noises, row->noise);
        if (!isnan(row->target))
            measure_add(&targets, row->target);
        merged.min = fmin(merged.min, row->min);
        merged.max = fmax(merged.max, row->max);
        merged.samples += row->samples;
    }
    merged.median = measure_median(&medians);
    merged.target = measure_median(&targets);
    merged.noise = fmax(range_noise(&medians), measure_median(&noises)); /* fmax passes over a NAN */
    if (!isnan(first->best_noise) && bests.count > 1)
        merged.best_noise = gap_noise(&bests, result_best(&merged));
    return merged;
}

static double range_noise(const struct measure_series *medians)
{
    uint32_t last = sizeof(range_factor) / sizeof(range_factor[0]) - 1;

    if (medians->count < 2)
        return NAN;
    return (measure_max(medians) - measure_min(medians)) * range_factor[medians->count < last ? medians->count : last];
}

static double row_noise(const struct result_row *row)
{
    return row->noise / fabs(row->median);
}

static double row_best_noise(const struct result_row *row)
{
    return row->best_noise / fabs(result_best(row));
}

/* The best of all rounds is as sure as another round has come near it; of two, nothing says which was disturbed. */
static double gap_noise(const struct measure_series *bests, double best)
{
    struct measure_series gaps = {0};

    for (uint32_t i = 0; i < bests->count; i++)
        measure_add(&gaps, fabs(bests->value[i] - best));
    return GAP_FACTOR * measure_quantile(&gaps, 2.0 / bests->count);
}

/* The relative noise that a quarter of the rows of its group and unit do not exceed. */
static double floor_share(struct result *result, const struct result_row *row, noise_share *share_of)
{
    struct measure_series shares = {0};
    double share;

    for (uint32_t i = 0; i < result_row_count(result); i++) {
        const struct result_row *other = result_row(result, i);

        if (strcmp(other->group, row->group) == 0 && strcmp(other->unit, row->unit) == 0 && other->sense == row->sense &&
            isfinite(share_of(other)))
            measure_add(&shares, share_of(other));
    }
    share = measure_quantile(&shares, QUIET_SHARE);
    return share > NOISE_SHARE_MIN ? share : NOISE_SHARE_MIN;
}
