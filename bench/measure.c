/* Time and statistics: the clock, a series of slices, and which core a thread runs on. */
#include "bench/measure.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define NOISE_STRETCHES 5u
#define NOISE_VALUES_MIN 4u

static int64_t clock_ns(clockid_t clock);
static int64_t clock_cost_ns(clockid_t clock);
static const cpu_set_t *allowed_cores(void);
static double figure_of(const double *value, uint32_t count, enum measure_figure figure);
static int compare_doubles(const void *a, const void *b);

int64_t measure_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t measure_clock_cost_ns(void)
{
    return clock_cost_ns(CLOCK_MONOTONIC);
}

int64_t measure_cpu_now_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

int64_t measure_cpu_clock_cost_ns(void)
{
    return clock_cost_ns(CLOCK_THREAD_CPUTIME_ID);
}

void measure_add(struct measure_series *series, double value)
{
    if (series->count < MEASURE_SLICES_MAX)
        series->value[series->count++] = value;
}

double measure_median(const struct measure_series *series)
{
    return figure_of(series->value, series->count, MEASURE_MEDIAN);
}

double measure_quantile(const struct measure_series *series, double share)
{
    double sorted[MEASURE_SLICES_MAX], place = ceil(share * series->count);

    if (series->count == 0)
        return NAN;
    memcpy(sorted, series->value, series->count * sizeof(sorted[0]));
    qsort(sorted, series->count, sizeof(sorted[0]), compare_doubles);
    return sorted[place < 1 ? 0 : (uint32_t)place - 1];
}

double measure_min(const struct measure_series *series)
{
    return figure_of(series->value, series->count, MEASURE_MIN);
}

double measure_max(const struct measure_series *series)
{
    return figure_of(series->value, series->count, MEASURE_MAX);
}

double measure_noise(const struct measure_series *series, enum measure_figure figure)
{
    uint32_t stretches = series->count < NOISE_STRETCHES ? series->count : NOISE_STRETCHES;
    double low = INFINITY, high = -INFINITY;

    if (series->count < NOISE_VALUES_MIN)
        return NAN;
    for (uint32_t i = 0; i < stretches; i++) {
        uint32_t from = series->count * i / stretches, to = series->count * (i + 1) / stretches;
        double value = figure_of(series->value + from, to - from, figure);

        low = fmin(low, value);
        high = fmax(high, value);
    }
    return high - low;
}

uint32_t measure_core_count(void)
{
    return (uint32_t)CPU_COUNT(allowed_cores());
}

int measure_pin(enum measure_core core)
{
    const cpu_set_t *allowed = allowed_cores();
    uint32_t skip = core == MEASURE_CORE_WRITER ? 0 : 1;
    cpu_set_t one;

    if (CPU_COUNT(allowed) < 2)
        return -ENODEV;
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
        if (!CPU_ISSET(cpu, allowed) || skip-- > 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        return sched_setaffinity(0, sizeof(one), &one) ? -errno : 0;
    }
    return -ENODEV;
}

void measure_sharpen_timers(void)
{
    prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
}

void measure_sleep_until_ns(int64_t time_ns)
{
    struct timespec until = {.tv_sec = time_ns / 1000000000, .tv_nsec = time_ns % 1000000000};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int64_t clock_cost_ns(clockid_t clock)
{
    int64_t best_ns = INT64_MAX;

    for (int i = 0; i < 10000; i++) {
        int64_t start_ns = clock_ns(clock);
        int64_t took_ns = clock_ns(clock) - start_ns;

        if (took_ns < best_ns)
            best_ns = took_ns;
    }
    return best_ns;
}

/* As it was at the first call: the calling thread may be pinned by now. */
static const cpu_set_t *allowed_cores(void)
{
    static cpu_set_t allowed;

    if (CPU_COUNT(&allowed) == 0 && sched_getaffinity(0, sizeof(allowed), &allowed))
        CPU_SET(0, &allowed);
    return &allowed;
}

static double figure_of(const double *value, uint32_t count, enum measure_figure figure)
{
    double sorted[MEASURE_SLICES_MAX];

    if (count == 0)
        return NAN;
    memcpy(sorted, value, count * sizeof(sorted[0]));
    qsort(sorted, count, sizeof(sorted[0]), compare_doubles);
    switch (figure) {
    case MEASURE_MIN:
        return sorted[0];
    case MEASURE_MAX:
        return sorted[count - 1];
    case MEASURE_MEDIAN:
        return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
    }
    return NAN;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}
