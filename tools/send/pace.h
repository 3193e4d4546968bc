/* Holds a sender to so many events a second. */
#ifndef SEND_PACE_H
#define SEND_PACE_H

#include <stdint.h>
#include <time.h>

static inline int64_t pace_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Waits until event `number` (from 1) of a run that began at `start_ns` is due. `rate` is in events per second, 0: no limit. Above a
 * thousand a second several events go at once, for a wait costs more than the event. A signal ends the wait. */
static inline void pace_wait(uint32_t rate, uint64_t number, int64_t start_ns)
{
    if (rate == 0 || number % (rate / 1000 + 1) != 0)
        return;
    int64_t due_ns = start_ns + (int64_t)((double)number * 1e9 / rate);
    struct timespec due = {.tv_sec = due_ns / 1000000000, .tv_nsec = due_ns % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

#endif
