/* What has changed between two files of figures beyond the noise that both state themselves. */
#include "bench/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/table.h"

enum verdict { SAME, BETTER, WORSE, NOT_JUDGED };

struct figure { /* one of a row: its median or its best */
    double value;
    double noise;
};
typedef struct figure figure_of(const struct result_row *row);

struct pair { /* a row in both, with what it stands on */
    const struct result_row *old;
    const struct result_row *new;
    const struct result_row *old_floor;
    const struct result_row *new_floor;
};

static enum verdict judge(const struct pair *pair, figure_of **by);
static struct figure median_of(const struct result_row *row);
static struct figure best_of(const struct result_row *row);
static bool differs(const struct pair *pair, figure_of *of);
static struct figure ratio_of(struct figure figure, struct figure ground);
static void print_change(const struct pair *pair, enum verdict verdict, figure_of *by, FILE *to);
static void print_machines(const struct result *old, const struct result *new, FILE *to);
static uint32_t print_missing(struct result *from, struct result *in, const char *where, FILE *to);

void compare_print(struct result *old, struct result *new, FILE *to, struct compare_counts *counts)
{
    *counts = (struct compare_counts){0};
    print_machines(old, new, to);
    for (uint32_t i = 0; i < result_row_count(new); i++) {
        const struct result_row *row = result_row(new, i), *before = result_find(old, row->group, row->name, row->x);
        struct pair pair = {before, row, before ? result_floor(old, before) : NULL, result_floor(new, row)};
        figure_of *by = median_of;
        enum verdict verdict = before ? judge(&pair, &by) : NOT_JUDGED;

        counts->same += verdict == SAME;
        counts->not_judged += verdict == NOT_JUDGED;
        if (verdict == SAME || verdict == NOT_JUDGED)
            continue;
        if (counts->better + counts->worse == 0)
            fputs("\n| what | old | new | change | noise of both | |\n| --- | --- | --- | --- | --- | --- |\n", to);
        counts->better += verdict == BETTER;
        counts->worse += verdict == WORSE;
        print_change(&pair, verdict, by, to);
    }
    fputc('\n', to);
    print_missing(new, old, "only in the new one", to);
    counts->not_judged += print_missing(old, new, "only in the old one", to);
    fprintf(to, "%u worse, %u better, %u the same within the noise, %u not judged.\n", counts->worse, counts->better, counts->same,
            counts->not_judged);
}

/* By the median, or if that is within its noise by the best. */
static enum verdict judge(const struct pair *pair, figure_of **by)
{
    enum result_sense sense = pair->new->sense;
    bool rises;

    *by = median_of;
    if (sense == RESULT_ONLY_SAID || sense != pair->old->sense || strcmp(pair->old->unit, pair->new->unit) != 0)
        return NOT_JUDGED;
    if (isnan(pair->old->noise + pair->new->noise) && isnan(pair->old->best_noise + pair->new->best_noise))
        return NOT_JUDGED;
    if (!differs(pair, median_of)) {
        *by = best_of;
        if (!differs(pair, best_of))
            return SAME;
    }
    rises = (*by)(pair->new).value > (*by)(pair->old).value;
    return rises == (sense == RESULT_HIGHER_IS_BETTER) ? BETTER : WORSE;
}

static struct figure median_of(const struct result_row *row)
{
    return (struct figure){row->median, row->noise};
}

static struct figure best_of(const struct result_row *row)
{
    return (struct figure){result_best(row), row->best_noise};
}

/* A comparison with a NAN is false: what has no noise never differs. */
static bool differs(const struct pair *pair, figure_of *of)
{
    struct figure old = of(pair->old), new = of(pair->new);

    if (!(fabs(new.value - old.value) > old.noise + new.noise))
        return false;
    if (!pair->old_floor || !pair->new_floor)
        return true;
    old = ratio_of(old, of(pair->old_floor));
    new = ratio_of(new, of(pair->new_floor));
    return fabs(new.value - old.value) > old.noise + new.noise;
}

static struct figure ratio_of(struct figure figure, struct figure ground)
{
    double ratio = figure.value / ground.value;

    return (struct figure){ratio, ratio * (figure.noise / figure.value + ground.noise / ground.value)};
}

static void print_change(const struct pair *pair, enum verdict verdict, figure_of *by, FILE *to)
{
    struct figure old = by(pair->old), new = by(pair->new);
    char x[TABLE_NUMBER_BYTES], before[TABLE_NUMBER_BYTES], after[TABLE_NUMBER_BYTES], noise[TABLE_NUMBER_BYTES];

    fprintf(to, "| %s: %s", pair->new->group, pair->new->name);
    if (!isnan(pair->new->x))
        fprintf(to, ", %s %s", table_number(pair->new->x, x), pair->new->x_unit);
    fprintf(to, "%s | %s | %s %s | %+.1f %% | %s | %s |\n", by == best_of ? ", the best sample" : "", table_number(old.value, before),
            table_number(new.value, after), pair->new->unit, 100 * (new.value - old.value) / fabs(old.value),
            table_number(old.noise + new.noise, noise), verdict == WORSE ? "**worse**" : "better");
}

static void print_machines(const struct result *old, const struct result *new, FILE *to)
{
    static const char *const same[] = {"processor", "cores", "l2_bytes", "kernel"};

    for (uint32_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        const cJSON *before = cJSON_GetObjectItemCaseSensitive(result_machine(old), same[i]);
        const cJSON *after = cJSON_GetObjectItemCaseSensitive(result_machine(new), same[i]);
        char *was = cJSON_PrintUnformatted(before), *is = cJSON_PrintUnformatted(after);

        if (!cJSON_Compare(before, after, true))
            fprintf(to, "Another machine: %s was %s and is %s. A change may be the machine's.\n", same[i], was ? was : "unknown",
                    is ? is : "unknown");
        cJSON_free(was);
        cJSON_free(is);
    }
}

/* Groups of `from` that `in` lacks altogether, and single rows of others; how many rows. */
static uint32_t print_missing(struct result *from, struct result *in, const char *where, FILE *to)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < result_row_count(from); i++) {
        const struct result_row *row = result_row(from, i);

        if (result_find(in, row->group, row->name, row->x))
            continue;
        if (count++ == 0)
            fprintf(to, "%c%s: ", where[0] - 'a' + 'A', where + 1);
        if (i == 0 || strcmp(row->group, result_row(from, i - 1)->group) != 0)
            fprintf(to, "%s; ", row->group);
    }
    if (count > 0)
        fprintf(to, "%u rows.\n", count);
    return count;
}
