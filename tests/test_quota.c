/* The token bucket of throughput units. */
#include <criterion/criterion.h>

#include "shipper/clock.h"
#include "shipper/quota.h"

#define START (1000 * CLOCK_NS_PER_SECOND)

/* Sends as fast as allowed for `seconds`; how much went. */
static uint64_t send_for(struct quota *quota, int64_t *now_ns, int64_t seconds, uint64_t bytes, uint64_t events)
{
    uint64_t count = 0;
    for (int64_t end_ns = *now_ns + seconds * CLOCK_NS_PER_SECOND; *now_ns < end_ns;) {
        int64_t wait_ns = quota_wait_ns(quota, *now_ns, bytes, events);
        *now_ns += wait_ns;
        if (wait_ns > 0)
            cr_assert_eq(quota_wait_ns(quota, *now_ns, bytes, events), 0, "the wait is exact");
        if (*now_ns >= end_ns)
            break;
        quota_charge(quota, *now_ns, bytes, events);
        count++;
    }
    return count;
}

Test(quota, sets_no_limit_without_units)
{
    struct quota quota;
    quota_init(&quota, 0, 4);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(quota_wait_ns(&quota, START, UINT64_C(1) << 40, 1000000000), 0);
        quota_charge(&quota, START, UINT64_C(1) << 40, 1000000000);
    }
}

Test(quota, lets_a_megabyte_a_second_through_for_each_unit)
{
    struct quota quota;
    int64_t now_ns = START;
    quota_init(&quota, 3, 1);
    uint64_t bytes = send_for(&quota, &now_ns, 100, 10000, 1) * 10000;
    cr_assert(bytes >= 299000000 && bytes <= 301000000, "%llu bytes in 100 s", (unsigned long long)bytes);
}

Test(quota, counts_events_where_they_weigh_more)
{
    struct quota quota;
    int64_t now_ns = START;
    quota_init(&quota, 1, 1);
    uint64_t events = send_for(&quota, &now_ns, 100, 2000, 20) * 20;
    cr_assert(events >= 99500 && events <= 100500, "%llu events in 100 s", (unsigned long long)events);
}

Test(quota, gives_each_worker_its_part_of_a_unit)
{
    struct quota quota;
    int64_t now_ns = START;
    quota_init(&quota, 1, 16);
    uint64_t bytes = send_for(&quota, &now_ns, 100, 1000, 1) * 1000;
    cr_assert(bytes >= 6200000 && bytes <= 6300000, "%llu bytes in 100 s", (unsigned long long)bytes);
}

Test(quota, lets_what_is_larger_than_a_burst_go_and_owe_the_rest)
{
    struct quota quota;
    int64_t now_ns = START;
    quota_init(&quota, 1, 1);
    cr_assert_eq(quota_wait_ns(&quota, now_ns, 5000000, 1), 0);
    quota_charge(&quota, now_ns, 5000000, 1);
    cr_assert_eq(quota_wait_ns(&quota, now_ns, 5000000, 1), 5 * CLOCK_NS_PER_SECOND);
    uint64_t count = send_for(&quota, &now_ns, 100, 5000000, 1);
    cr_assert(count >= 18 && count <= 20, "%llu in 100 s", (unsigned long long)count);
}

Test(quota, saves_up_no_more_than_a_burst)
{
    struct quota quota;
    int64_t now_ns = START;
    uint64_t count = 0;
    quota_init(&quota, 1, 1);
    quota_charge(&quota, now_ns, 1000, 1);
    now_ns += 3600 * CLOCK_NS_PER_SECOND;
    for (; quota_wait_ns(&quota, now_ns, 1000, 1) == 0; count++)
        quota_charge(&quota, now_ns, 1000, 1);
    cr_assert_eq(count, (uint64_t)(QUOTA_UNIT_BYTES / 1000 * QUOTA_BURST_NS / CLOCK_NS_PER_SECOND));
}

Test(quota, survives_amounts_without_sense)
{
    struct quota quota;
    quota_init(&quota, 1, 1);
    quota_charge(&quota, START, UINT64_MAX, UINT64_MAX / QUOTA_EVENT_BYTES);
    int64_t wait_ns = quota_wait_ns(&quota, START, 1, 1);
    cr_assert(wait_ns > 0 && wait_ns <= 3600 * CLOCK_NS_PER_SECOND);
}
