/* A token bucket for throughput as Event Hubs counts it: bytes and events, each event as good as 1,000 bytes. Pure; time is passed in. */
#include "shipper/quota.h"

#include "shipper/clock.h"

#define COST_NS_MAX (INT64_C(3600) * CLOCK_NS_PER_SECOND) /* no one thing costs more than an hour, however slow the rate */

static int64_t dimension_wait_ns(int64_t rate, int64_t due_ns, int64_t now_ns, uint64_t bytes);
static int64_t dimension_due_ns(int64_t rate, int64_t due_ns, int64_t now_ns, uint64_t bytes);
static int64_t cost_ns(int64_t rate, uint64_t bytes);

void quota_init(struct quota *quota, uint32_t throughput_units, uint32_t worker_count)
{
    *quota = (struct quota){.rate_bytes_per_second = (int64_t)throughput_units * QUOTA_UNIT_BYTES / worker_count};
}

void quota_set_rate(struct quota *quota, int64_t rate_bytes_per_second)
{
    quota->rate_bytes_per_second = rate_bytes_per_second;
}

int64_t quota_wait_ns(const struct quota *quota, int64_t now_ns, uint64_t bytes, uint64_t events)
{
    if (quota->rate_bytes_per_second == 0)
        return 0;
    int64_t bytes_ns = dimension_wait_ns(quota->rate_bytes_per_second, quota->bytes_due_ns, now_ns, bytes);
    int64_t events_ns = dimension_wait_ns(quota->rate_bytes_per_second, quota->events_due_ns, now_ns, events * QUOTA_EVENT_BYTES);
    return bytes_ns > events_ns ? bytes_ns : events_ns;
}

void quota_charge(struct quota *quota, int64_t now_ns, uint64_t bytes, uint64_t events)
{
    if (quota->rate_bytes_per_second == 0)
        return;
    quota->bytes_due_ns = dimension_due_ns(quota->rate_bytes_per_second, quota->bytes_due_ns, now_ns, bytes);
    quota->events_due_ns = dimension_due_ns(quota->rate_bytes_per_second, quota->events_due_ns, now_ns, events * QUOTA_EVENT_BYTES);
}

/* The debt may be a burst ahead of the time, never more, but for one thing that is larger than a burst. */
static int64_t dimension_wait_ns(int64_t rate, int64_t due_ns, int64_t now_ns, uint64_t bytes)
{
    int64_t need_ns = cost_ns(rate, bytes);
    int64_t from_ns = due_ns + (need_ns < QUOTA_BURST_NS ? need_ns : QUOTA_BURST_NS) - QUOTA_BURST_NS;
    return from_ns > now_ns ? from_ns - now_ns : 0;
}

static int64_t dimension_due_ns(int64_t rate, int64_t due_ns, int64_t now_ns, uint64_t bytes)
{
    return (due_ns > now_ns ? due_ns : now_ns) + cost_ns(rate, bytes);
}

static int64_t cost_ns(int64_t rate, uint64_t bytes)
{
    if (bytes >= (uint64_t)rate * (uint64_t)(COST_NS_MAX / CLOCK_NS_PER_SECOND))
        return COST_NS_MAX;
    uint64_t whole_s = bytes / (uint64_t)rate, rest = bytes % (uint64_t)rate;
    return (int64_t)(whole_s * CLOCK_NS_PER_SECOND + rest * CLOCK_NS_PER_SECOND / (uint64_t)rate);
}
