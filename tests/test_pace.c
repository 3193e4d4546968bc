/* Pacing against a wall that answers server-busy: a simulated service, no clock. */
#include <criterion/criterion.h>

#include "shipper/clock.h"
#include "shipper/pace.h"

#define START (1000 * CLOCK_NS_PER_SECOND)
#define RTT_NS (20 * CLOCK_NS_PER_MS)
#define BUSY_NS (4 * CLOCK_NS_PER_SECOND)

/* Takes bytes up to a wall, checked over one second, and is busy above. */
struct service {
    uint64_t wall_bytes, wall_events; /* per second, 0: none */
    int64_t second;
    uint64_t bytes, events; /* in this second */
};

static bool service_takes(struct service *service, int64_t now_ns, uint64_t bytes, uint32_t events)
{
    if (now_ns / CLOCK_NS_PER_SECOND != service->second) {
        service->second = now_ns / CLOCK_NS_PER_SECOND;
        service->bytes = service->events = 0;
    }
    if ((service->wall_bytes && service->bytes + bytes > service->wall_bytes) ||
        (service->wall_events && service->events + events > service->wall_events))
        return false;
    service->bytes += bytes;
    service->events += events;
    return true;
}

struct run {
    uint64_t throttles, bytes, events;
    uint64_t tried_bytes_max; /* in any second */
};

/* A producer that always has more, one batch under way. */
static struct run run_for(struct pace *pace, struct service *service, int64_t *now_ns, int64_t seconds, uint64_t bytes, uint32_t events)
{
    struct run run = {0};
    int64_t second = -1;
    uint64_t tried = 0;
    for (int64_t end_ns = *now_ns + seconds * CLOCK_NS_PER_SECOND; *now_ns < end_ns;) {
        int64_t wait_ns = pace_wait_ns(pace, *now_ns, bytes, events);
        if (wait_ns > 0) {
            *now_ns += wait_ns;
            continue;
        }
        pace_charge(pace, *now_ns, bytes, events);
        if (*now_ns / CLOCK_NS_PER_SECOND != second) {
            second = *now_ns / CLOCK_NS_PER_SECOND;
            tried = 0;
        }
        tried += bytes;
        run.tried_bytes_max = tried > run.tried_bytes_max ? tried : run.tried_bytes_max;
        bool taken = service_takes(service, *now_ns, bytes, events);
        *now_ns += RTT_NS;
        if (taken) {
            pace_accepted(pace, *now_ns, bytes, events);
            run.bytes += bytes;
            run.events += events;
        } else {
            pace_throttled(pace, *now_ns, BUSY_NS);
            run.throttles++;
        }
    }
    return run;
}

Test(pace, sets_no_limit_before_the_first_throttle)
{
    struct pace pace = {0};
    struct service service = {0};
    int64_t now_ns = START;
    struct run run = run_for(&pace, &service, &now_ns, 10, 1000000, 1000);
    cr_assert_not(pace_is_limited(&pace));
    cr_assert_eq(run.bytes, 500 * UINT64_C(1000000));
}

Test(pace, waits_what_the_service_names)
{
    struct pace pace = {0};
    pace_throttled(&pace, START, BUSY_NS);
    cr_assert(pace_is_limited(&pace));
    cr_assert_eq(pace_wait_ns(&pace, START, 1, 1), BUSY_NS);
    cr_assert_eq(pace_wait_ns(&pace, START + BUSY_NS - 1, 1, 1), 1);
    cr_assert_eq(pace_wait_ns(&pace, START + BUSY_NS, 1, 1), 0);
}

Test(pace, goes_on_at_seven_tenths_of_what_was_accepted)
{
    struct pace pace = {0};
    struct service service = {.wall_bytes = 1000000};
    int64_t now_ns = START;
    for (bool taken = true; taken; now_ns += RTT_NS) {
        taken = service_takes(&service, now_ns, 50000, 50);
        if (taken)
            pace_accepted(&pace, now_ns, 50000, 50);
        else
            pace_throttled(&pace, now_ns, BUSY_NS);
    }
    cr_assert_eq(pace.quota.rate_bytes_per_second, 700000);
}

Test(pace, goes_down_once_in_a_wait_however_many_batches_are_refused)
{
    struct pace pace = {0};
    pace_accepted(&pace, START, 1000000, 1000);
    pace_throttled(&pace, START, BUSY_NS);
    int64_t rate = pace.quota.rate_bytes_per_second;
    for (int i = 1; i <= 50; i++)
        pace_throttled(&pace, START + i * CLOCK_NS_PER_MS, BUSY_NS);
    cr_assert_eq(pace.quota.rate_bytes_per_second, rate);
    cr_assert_eq(pace_wait_ns(&pace, START + 50 * CLOCK_NS_PER_MS, 1, 1), BUSY_NS, "the last one lengthens the wait");
}

/* What one second held is chance where batches are as large as what a second allows. */
Test(pace, takes_one_second_for_neither_more_nor_much_less_than_the_pace_was)
{
    const struct {
        uint64_t bytes;
        int64_t rate;
    } last_second[] = {{0, 245000}, {100000, 245000}, {500000, 350000}, {5000000, 490000}};
    for (size_t i = 0; i < sizeof last_second / sizeof last_second[0]; i++) {
        struct pace pace = {0};
        int64_t now_ns = START + 60 * CLOCK_NS_PER_SECOND;
        pace_accepted(&pace, START, 1000000, 100);
        pace_throttled(&pace, START, BUSY_NS);
        pace.raised_ns = INT64_MAX; /* as it was */
        pace_accepted(&pace, now_ns, last_second[i].bytes, 10);
        pace_throttled(&pace, now_ns, BUSY_NS);
        cr_assert_eq(pace.quota.rate_bytes_per_second, last_second[i].rate, "%lld", (long long)pace.quota.rate_bytes_per_second);
    }
}

/* At full speed it would be refused about every 4 s: 150 times. */
Test(pace, comes_to_rest_near_the_wall_without_hitting_it_at_full_speed_again)
{
    const uint64_t wall[] = {200000, 1000000, 20000000};
    for (size_t i = 0; i < sizeof wall / sizeof wall[0]; i++) {
        struct pace pace = {0};
        struct service service = {.wall_bytes = wall[i]};
        int64_t now_ns = START;
        run_for(&pace, &service, &now_ns, 10, wall[i] / 20, 20); /* the first hit is at full speed: nothing is known yet */
        struct run run = run_for(&pace, &service, &now_ns, 600, wall[i] / 20, 20);
        cr_assert_leq(run.throttles, 15, "throttled %llu times", (unsigned long long)run.throttles);
        cr_assert_geq(run.bytes, wall[i] * 600 * 80 / 100, "%llu%% of the wall", (unsigned long long)(run.bytes / 6 / wall[i]));
        cr_assert_leq(run.tried_bytes_max, wall[i] * 115 / 100);
    }
}

Test(pace, finds_a_wall_of_events_too)
{
    struct pace pace = {0};
    struct service service = {.wall_events = 1000};
    int64_t now_ns = START;
    run_for(&pace, &service, &now_ns, 10, 5000, 50);
    struct run run = run_for(&pace, &service, &now_ns, 600, 5000, 50);
    cr_assert_leq(run.throttles, 15);
    cr_assert_geq(run.events, 450000);
}

/* The wall is the namespace's, and no partition knows of the others. */
Test(pace, shares_one_wall_among_many_domains)
{
    enum { DOMAINS = 8, SECONDS = 600 };
    struct pace pace[DOMAINS] = {0};
    int64_t free_ns[DOMAINS] = {0};
    uint64_t throttles = 0, bytes[DOMAINS] = {0}, sum = 0;
    struct service service = {.wall_bytes = 4000000};
    for (int64_t now_ns = START; now_ns < START + SECONDS * CLOCK_NS_PER_SECOND; now_ns += CLOCK_NS_PER_MS * 10) {
        for (int i = 0; i < DOMAINS; i++) {
            if (now_ns < free_ns[i] || pace_wait_ns(&pace[i], now_ns, 50000, 50) > 0)
                continue;
            free_ns[i] = now_ns + RTT_NS;
            pace_charge(&pace[i], now_ns, 50000, 50);
            if (service_takes(&service, now_ns, 50000, 50)) {
                pace_accepted(&pace[i], now_ns, 50000, 50);
                bytes[i] += 50000;
            } else {
                pace_throttled(&pace[i], now_ns, BUSY_NS);
                throttles++;
            }
        }
    }
    for (int i = 0; i < DOMAINS; i++) {
        cr_assert_geq(bytes[i], UINT64_C(500000) * SECONDS / 10, "domain %d starves with %llu bytes", i, (unsigned long long)bytes[i]);
        sum += bytes[i];
    }
    cr_assert_geq(sum, UINT64_C(4000000) * SECONDS * 80 / 100);
    cr_assert_leq(throttles, 20 * DOMAINS, "%llu refusals, %llu bytes", (unsigned long long)throttles, (unsigned long long)sum);
}

/* A unit of throughput has one wall for both; which one is met changes with the size of the events. */
Test(pace, keeps_to_the_unit_when_events_grow_smaller_and_larger)
{
    struct pace pace = {0};
    struct service service = {.wall_bytes = 1000000, .wall_events = 1000};
    int64_t now_ns = START;
    run_for(&pace, &service, &now_ns, 60, 50000, 5);
    struct run small = run_for(&pace, &service, &now_ns, 60, 5000, 50);
    struct run large = run_for(&pace, &service, &now_ns, 60, 50000, 5);
    cr_assert_leq(small.throttles + large.throttles, 8);
    cr_assert_geq(small.events, 1000 * 60 * 70 / 100);
    cr_assert_geq(large.bytes, UINT64_C(1000000) * 60 * 70 / 100);
}

Test(pace, lets_a_batch_go_that_is_larger_than_a_second_of_the_wall)
{
    struct pace pace = {0};
    int64_t now_ns = START, went = 0;
    pace_accepted(&pace, now_ns, 100000, 10);
    pace_throttled(&pace, now_ns, BUSY_NS);
    for (int64_t end_ns = now_ns + 100 * CLOCK_NS_PER_SECOND; now_ns < end_ns; went++) {
        now_ns += pace_wait_ns(&pace, now_ns, 1000000, 100);
        pace_charge(&pace, now_ns, 1000000, 100);
    }
    cr_assert(went >= 6 && went <= 9, "%lld batches of 1 MB at 70 kB/s in 100 s", (long long)went);
}

Test(pace, is_free_again_when_the_wall_has_gone)
{
    struct pace pace = {0};
    struct service service = {.wall_bytes = 1000000};
    int64_t now_ns = START;
    run_for(&pace, &service, &now_ns, 60, 50000, 50);
    cr_assert(pace_is_limited(&pace));
    service.wall_bytes = 0;
    struct run run = run_for(&pace, &service, &now_ns, 300, 50000, 50);
    cr_assert_not(pace_is_limited(&pace));
    cr_assert_eq(run.throttles, 0);
}

Test(pace, follows_a_wall_that_comes_lower)
{
    struct pace pace = {0};
    struct service service = {.wall_bytes = 10000000};
    int64_t now_ns = START;
    run_for(&pace, &service, &now_ns, 60, 50000, 50);
    service.wall_bytes = 1000000;
    run_for(&pace, &service, &now_ns, 60, 50000, 50);
    struct run run = run_for(&pace, &service, &now_ns, 300, 50000, 50);
    cr_assert_leq(run.throttles, 14);
    cr_assert_geq(run.bytes, UINT64_C(1000000) * 300 * 70 / 100);
}

/* A pace that rose while it held nothing back would be no pace when the rush comes. */
Test(pace, does_not_rise_while_less_is_sent_than_it_allows)
{
    struct pace pace = {0};
    int64_t now_ns = START;
    pace_accepted(&pace, now_ns, 1000000, 100);
    pace_throttled(&pace, now_ns, BUSY_NS);
    for (int i = 0; i < 500; i++) {
        now_ns += CLOCK_NS_PER_SECOND;
        pace_charge(&pace, now_ns, 10000, 1);
        pace_accepted(&pace, now_ns, 10000, 1);
    }
    cr_assert_eq(pace.quota.rate_bytes_per_second, 700000);
}

Test(pace, forgets_a_wall_that_was_not_met_for_long)
{
    struct pace pace = {0};
    pace_accepted(&pace, START, 1000000, 100);
    pace_throttled(&pace, START, BUSY_NS);
    pace_charge(&pace, START + 603 * CLOCK_NS_PER_SECOND, 1, 1);
    cr_assert(pace_is_limited(&pace));
    pace_charge(&pace, START + 604 * CLOCK_NS_PER_SECOND, 1, 1);
    cr_assert_not(pace_is_limited(&pace));
}

Test(pace, does_not_stop_where_nothing_was_accepted_before)
{
    struct pace pace = {0};
    struct service service = {0};
    int64_t now_ns = START;
    pace_throttled(&pace, now_ns, BUSY_NS);
    struct run run = run_for(&pace, &service, &now_ns, 60, 1000, 1);
    cr_assert_geq(run.events, 2000);
}

/* The first batch is larger than what the wall lets through in a second, and nothing was accepted before. */
Test(pace, finds_the_height_of_a_wall_that_was_met_at_once)
{
    struct pace pace = {0};
    struct service service = {.wall_events = 5000};
    int64_t now_ns = START;
    pace_throttled(&pace, now_ns, CLOCK_NS_PER_SECOND);
    cr_assert_eq(pace_batch_events(&pace), 40, "small batches at first");
    uint64_t accepted = 0, throttles = 0;
    for (int64_t end_ns = now_ns + 60 * CLOCK_NS_PER_SECOND; now_ns < end_ns;) {
        uint32_t events = pace_batch_events(&pace) < 20000 ? pace_batch_events(&pace) : 20000;
        int64_t wait_ns = pace_wait_ns(&pace, now_ns, events, events);
        now_ns += wait_ns;
        if (wait_ns > 0)
            continue;
        pace_charge(&pace, now_ns, events, events);
        bool taken = service_takes(&service, now_ns, events, events);
        now_ns += RTT_NS;
        accepted += taken ? events : 0;
        throttles += !taken;
        if (taken)
            pace_accepted(&pace, now_ns, events, events);
        else
            pace_throttled(&pace, now_ns, CLOCK_NS_PER_SECOND);
    }
    cr_assert_geq(accepted, 60 * 5000 * 60 / 100, "%llu events in a minute", (unsigned long long)accepted);
    cr_assert_leq(throttles, 12);
}

Test(pace, makes_batches_no_larger_than_a_burst)
{
    struct pace pace = {0};
    cr_assert_eq(pace_batch_events(&pace), UINT32_MAX);
    cr_assert_eq(pace_batch_bytes(&pace), UINT64_MAX);
    pace_accepted(&pace, START, 1000000, 1000);
    pace_throttled(&pace, START, BUSY_NS);
    cr_assert_eq(pace_batch_bytes(&pace), 140000);
    cr_assert_eq(pace_batch_events(&pace), 140);
}
