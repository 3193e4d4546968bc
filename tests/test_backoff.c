/* Waits after failures: their bounds, their jitter, their seed. */
#include <criterion/criterion.h>

#include "shipper/backoff.h"
#include "shipper/clock.h"

Test(backoff, doubles_up_to_its_cap)
{
    const struct {
        uint32_t failure_count;
        int64_t ms_max;
    } at[] = {{1, 800}, {2, 1600}, {3, 3200}, {7, 51200}, {8, 60000}, {31, 60000}, {UINT32_MAX, 60000}};
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        int64_t least = INT64_MAX, most = 0;
        for (int n = 0; n < 4000; n++) {
            int64_t wait_ns = backoff_wait_ns(at[i].failure_count, 800, 60);
            least = wait_ns < least ? wait_ns : least;
            most = wait_ns > most ? wait_ns : most;
        }
        cr_assert_geq(least, 400 * CLOCK_NS_PER_MS);
        cr_assert_leq(most, at[i].ms_max * CLOCK_NS_PER_MS);
        cr_assert_gt(most, at[i].ms_max * CLOCK_NS_PER_MS * 95 / 100, "all of the span is used");
        cr_assert_lt(least, 400 * CLOCK_NS_PER_MS + at[i].ms_max * CLOCK_NS_PER_MS / 20);
    }
}

Test(backoff, spreads_those_that_failed_together)
{
    enum { BUCKETS = 8, TRIES = 8000 };
    int count[BUCKETS] = {0};
    backoff_seed(42);
    for (int n = 0; n < TRIES; n++)
        count[(backoff_wait_ns(1, 800, 60) - 400 * CLOCK_NS_PER_MS) * BUCKETS / (400 * CLOCK_NS_PER_MS + 1)]++;
    for (int i = 0; i < BUCKETS; i++)
        cr_assert(count[i] > TRIES / BUCKETS * 8 / 10 && count[i] < TRIES / BUCKETS * 12 / 10, "%d waits in eighth %d", count[i], i);
}

Test(backoff, gives_the_same_waits_for_the_same_seed_only)
{
    int64_t first[16];
    backoff_seed(7);
    for (int i = 0; i < 16; i++)
        first[i] = backoff_wait_ns(10, 800, 60);
    backoff_seed(7);
    for (int i = 0; i < 16; i++)
        cr_assert_eq(backoff_wait_ns(10, 800, 60), first[i]);
    backoff_seed(8);
    int same = 0;
    for (int i = 0; i < 16; i++)
        same += backoff_wait_ns(10, 800, 60) == first[i];
    cr_assert_lt(same, 2);
}

Test(backoff, holds_for_nearly_the_cap)
{
    for (int n = 0; n < 1000; n++) {
        int64_t wait_ns = backoff_hold_ns(60);
        cr_assert(wait_ns >= 45 * CLOCK_NS_PER_SECOND && wait_ns <= 60 * CLOCK_NS_PER_SECOND);
    }
}

Test(backoff, draws_both_ends_of_a_range_and_nothing_beyond)
{
    int seen[3] = {0};
    for (int n = 0; n < 200; n++) {
        int64_t drawn = backoff_random_between(-1, 1);
        cr_assert(drawn >= -1 && drawn <= 1);
        seen[drawn + 1]++;
    }
    cr_assert(seen[0] && seen[1] && seen[2]);
    cr_assert_eq(backoff_random_between(5, 5), 5);
    cr_assert_eq(backoff_random_between(5, 4), 5);
}

Test(backoff, waits_as_the_outcome_asks)
{
    const struct outcome busy = {.action = OUTCOME_THROTTLE, .wait_ms = 4000}, hold = {.action = OUTCOME_HOLD};
    const struct outcome daily = {.action = OUTCOME_REOPEN_LINK, .normal = true}, slow = {.action = OUTCOME_RECONNECT, .wait_ms = 4000};
    cr_expect_eq(backoff_outcome_ns(&busy, 7, 800, 60), INT64_C(4000000000), "what the service names, however often");
    cr_expect_eq(backoff_outcome_ns(&daily, 0, 800, 60), 0, "at once, the first time");
    for (int i = 0; i < 100; i++) {
        cr_expect_geq(backoff_outcome_ns(&hold, 0, 800, 60), INT64_C(45000000000));
        cr_expect_geq(backoff_outcome_ns(&daily, 1, 800, 60), INT64_C(400000000), "later by the backoff");
        cr_expect_geq(backoff_outcome_ns(&slow, 0, 800, 60), INT64_C(4000000000), "never sooner than it names");
    }
}
