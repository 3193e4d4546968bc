/* The pace of one ordering domain that the service throttles: down at once, up slowly (AIMD). Pure; time is passed in.
 *
 * After a throttle the pace is 0.7 of the base, the rate that was accepted just before. It comes near the base in a few seconds, creeps
 * past it, for there the wall is likely to be still, and grows fast where the wall has gone. Far above there is no limit any more. Where
 * nothing was accepted before the first throttle nothing is known of the wall: the pace begins low and doubles in a second until it meets
 * it again. */
#include "shipper/pace.h"

#include "shipper/clock.h"

#define WINDOW_NS CLOCK_NS_PER_SECOND
#define RATE_MIN (50 * QUOTA_EVENT_BYTES)     /* per second */
#define RATE_SEARCH (200 * QUOTA_EVENT_BYTES) /* a wall met at once says nothing of its height */
#define RATE_FREE (INT64_C(1000) * QUOTA_UNIT_BYTES)
#define DECREASE_PERCENT 70
#define NEAR_PERCENT 90 /* of the base: from here to PAST_PERCENT the pace creeps */
#define PAST_PERCENT 110
#define FREE_PERCENT 400   /* from here there is no limit */
#define RAISE_PER_MILLE 50 /* of the base, per second */
#define RAISE_NEAR_PER_MILLE 3
#define RAISE_PAST_PER_MILLE 100
#define RAISE_STEP_NS_MAX (4 * CLOCK_NS_PER_SECOND)
#define FORGET_NS (600 * CLOCK_NS_PER_SECOND) /* so long after the last wait nothing is known of the wall */

static void window_roll(struct pace *pace, int64_t now_ns);
static int64_t window_rate(const struct pace *pace, int64_t now_ns);
static void decrease(struct pace *pace, int64_t now_ns);
static void raise(struct pace *pace, int64_t now_ns);
static void search(struct pace *pace, int64_t step_us);
static int64_t raise_per_second(const struct pace *pace);
static void forget(struct pace *pace, int64_t now_ns);

void pace_accepted(struct pace *pace, int64_t now_ns, uint64_t bytes, uint32_t events)
{
    window_roll(pace, now_ns);
    pace->window_bytes += bytes;
    pace->window_events += events;
    if (!pace_is_limited(pace) || now_ns < pace->raised_ns)
        return;
    if (window_rate(pace, now_ns) * 2 >= pace->quota.rate_bytes_per_second) /* less: the pace is not what holds us back */
        raise(pace, now_ns);
    pace->raised_ns = now_ns;
    forget(pace, now_ns);
}

void pace_throttled(struct pace *pace, int64_t now_ns, int64_t wait_ns)
{
    window_roll(pace, now_ns);
    if (now_ns >= pace->wait_until_ns)
        decrease(pace, now_ns);
    if (now_ns + wait_ns > pace->wait_until_ns)
        pace->wait_until_ns = now_ns + wait_ns;
    pace->raised_ns = pace->wait_until_ns;
}

int64_t pace_wait_ns(const struct pace *pace, int64_t now_ns, uint64_t bytes, uint32_t events)
{
    int64_t named_ns = pace->wait_until_ns > now_ns ? pace->wait_until_ns - now_ns : 0;
    int64_t quota_ns = quota_wait_ns(&pace->quota, now_ns, bytes, events);
    return named_ns > quota_ns ? named_ns : quota_ns;
}

void pace_charge(struct pace *pace, int64_t now_ns, uint64_t bytes, uint32_t events)
{
    forget(pace, now_ns);
    quota_charge(&pace->quota, now_ns, bytes, events);
}

bool pace_is_limited(const struct pace *pace)
{
    return pace->quota.rate_bytes_per_second != 0;
}

uint64_t pace_batch_bytes(const struct pace *pace)
{
    if (!pace_is_limited(pace))
        return UINT64_MAX;
    return (uint64_t)(pace->quota.rate_bytes_per_second / (CLOCK_NS_PER_SECOND / QUOTA_BURST_NS));
}

uint32_t pace_batch_events(const struct pace *pace)
{
    if (!pace_is_limited(pace))
        return UINT32_MAX;
    uint64_t events = pace_batch_bytes(pace) / QUOTA_EVENT_BYTES;
    return events > UINT32_MAX ? UINT32_MAX : events ? (uint32_t)events : 1;
}

static void window_roll(struct pace *pace, int64_t now_ns)
{
    int64_t age_ns = now_ns - pace->window_start_ns;
    if (age_ns < WINDOW_NS)
        return;
    bool is_next = age_ns < 2 * WINDOW_NS;
    pace->window_bytes_before = is_next ? pace->window_bytes : 0;
    pace->window_events_before = is_next ? pace->window_events : 0;
    pace->window_bytes = pace->window_events = 0;
    pace->window_start_ns = is_next ? pace->window_start_ns + WINDOW_NS : now_ns;
}

/* Accepted in the last second: the window, and of the one before the part that is not older. */
static int64_t window_rate(const struct pace *pace, int64_t now_ns)
{
    uint64_t left_ns = (uint64_t)(WINDOW_NS - (now_ns - pace->window_start_ns)); /* rolled: 1..WINDOW_NS */
    uint64_t left_mille = left_ns / (uint64_t)(WINDOW_NS / 1000);
    uint64_t bytes = pace->window_bytes + pace->window_bytes_before * left_mille / 1000;
    uint64_t event_bytes = (pace->window_events + (uint64_t)pace->window_events_before * left_mille / 1000) * QUOTA_EVENT_BYTES;
    return (int64_t)(bytes > event_bytes ? bytes : event_bytes);
}

/* A pace that is limited already was not far from right: one quiet second just before does not throw it to the ground. */
static void decrease(struct pace *pace, int64_t now_ns)
{
    int64_t rate = pace->quota.rate_bytes_per_second, base = window_rate(pace, now_ns);
    if (rate == 0 && base < RATE_MIN) {
        pace->searching = true;
        pace->base_bytes_per_second = RATE_SEARCH;
        quota_set_rate(&pace->quota, RATE_SEARCH);
        return;
    }
    pace->searching = false;
    if (rate && base < rate / 2)
        base = rate / 2;
    if (rate && base > rate)
        base = rate;
    if (base < RATE_MIN)
        base = RATE_MIN;
    pace->base_bytes_per_second = base;
    quota_set_rate(&pace->quota, base / 100 * DECREASE_PERCENT);
}

static void raise(struct pace *pace, int64_t now_ns)
{
    int64_t step_ns = now_ns - pace->raised_ns;
    if (step_ns > RAISE_STEP_NS_MAX)
        step_ns = RAISE_STEP_NS_MAX;
    int64_t step_us = step_ns / 1000;
    if (pace->searching) {
        search(pace, step_us);
        return;
    }
    int64_t rate = pace->quota.rate_bytes_per_second + raise_per_second(pace) * step_us / 1000000;
    quota_set_rate(&pace->quota, rate >= pace->base_bytes_per_second / 100 * FREE_PERCENT ? 0 : rate);
}

/* Doubles in a second. */
static void search(struct pace *pace, int64_t step_us)
{
    int64_t rate = pace->quota.rate_bytes_per_second;
    rate += rate / 1000 * (step_us < 1000000 ? step_us : 1000000) / 1000;
    pace->base_bytes_per_second = rate;
    quota_set_rate(&pace->quota, rate < RATE_FREE ? rate : 0);
}

static int64_t raise_per_second(const struct pace *pace)
{
    int64_t percent = pace->quota.rate_bytes_per_second / (pace->base_bytes_per_second / 100);
    int64_t per_mille = percent < NEAR_PERCENT ? RAISE_PER_MILLE : percent < PAST_PERCENT ? RAISE_NEAR_PER_MILLE : RAISE_PAST_PER_MILLE;
    return pace->base_bytes_per_second / 1000 * per_mille;
}

static void forget(struct pace *pace, int64_t now_ns)
{
    if (pace_is_limited(pace) && now_ns - pace->wait_until_ns >= FORGET_NS)
        quota_set_rate(&pace->quota, 0);
}
