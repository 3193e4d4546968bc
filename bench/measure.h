/* Time and statistics: the clock, a series of slices, and which core a thread runs on. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEASURE_SLICES_MAX 4096u

/* CLOCK_MONOTONIC. */
int64_t measure_now_ns(void);

/* What two looks at the clock around nothing cost, the smallest of many; taken off every burst. */
int64_t measure_clock_cost_ns(void);

/* Processor time of the calling thread, and what two looks at it cost: for what a busy machine may interrupt in the middle. */
int64_t measure_cpu_now_ns(void);
int64_t measure_cpu_clock_cost_ns(void);

/* The compiler must have stored all, and may know nothing of memory afterwards: a store before this cannot be left out or merged. */
static inline void measure_keep(void)
{
    __asm__ volatile("" ::: "memory");
}

/* The core may give its partner time: between two looks at a word of another core. */
static inline void measure_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __asm__ volatile("pause");
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

struct measure_series { /* one figure per slice */
    double value[MEASURE_SLICES_MAX];
    uint32_t count;
};
void measure_add(struct measure_series *series, double value);
double measure_median(const struct measure_series *series); /* NAN if empty */
double measure_quantile(const struct measure_series *series,
                        double share);                   /* the smallest value that `share` of all do not exceed; NAN if empty */
double measure_min(const struct measure_series *series); /* NAN if empty */
double measure_max(const struct measure_series *series); /* NAN if empty */
enum measure_figure { MEASURE_MEDIAN, MEASURE_MIN, MEASURE_MAX };
/* How far apart the figures of a few stretches of the series are, taken in the order in which it was measured: what drifts within a run
 * drifts between runs too, and a mean deviation would take it for precision. NAN: too few values to say. */
double measure_noise(const struct measure_series *series, enum measure_figure figure);

/* Cores this process may use. First called before any thread is started or pinned. */
uint32_t measure_core_count(void);

enum measure_core { MEASURE_CORE_WRITER, MEASURE_CORE_READER };
/* Pins the calling thread: the writer to the last core allowed (the first one takes most interrupts), the reader to the one before. 0;
 * -ENODEV: there is one core only, nothing was changed; or -errno. */
int measure_pin(enum measure_core core);

/* Sleeps that end when they say so: takes the kernel's 50 us of slack from the calling thread's timers. */
void measure_sharpen_timers(void);
void measure_sleep_until_ns(int64_t time_ns); /* CLOCK_MONOTONIC; returns early on a signal */

#endif
