/* A tap sees what is written after it came, holds nobody up, and says what it missed. */
#include <criterion/criterion.h>

#include "ring_rig.h"

static uint8_t big[1000];

Test(ring_tap, sees_what_is_written_after_it_came_and_gates_nothing)
{
    struct ring_record record;
    struct ring_tap tap;
    struct rig rig;
    uint32_t got;
    size_t len;

    rig_open(&rig, 65536);
    cr_assert_eq(rig_put(&rig, "before", 6), 0);
    ring_tap_open(&tap, rig.ring);
    cr_assert_eq(ring_tap_next(&tap, &record, &got, sizeof(got), &len), 0);
    for (uint32_t i = 0; i < 1000; i++) {
        cr_assert_eq(rig_put(&rig, &i, 4), 0);
        cr_assert_eq(ring_tap_next(&tap, &record, &got, sizeof(got), &len), 1);
        cr_assert(len == 4 && got == i && record.seq16 == (uint16_t)(i + 1));
        if (i % 100 == 99)
            rig_drain(&rig);
    }
    cr_assert_eq(ring_tap_next(&tap, &record, &got, sizeof(got), &len), 0);
    cr_assert_eq(tap.missed_bytes, 0);
    rig_close(&rig);
}

Test(ring_tap, says_what_it_missed_when_half_a_lap_behind_and_goes_on_at_the_newest)
{
    struct ring_record record;
    struct ring_tap tap;
    struct rig rig;
    uint8_t got[8];
    size_t len;

    rig_open(&rig, 65536);
    ring_tap_open(&tap, rig.ring);
    for (int i = 0; i < 30; i++)
        cr_assert_eq(rig_put(&rig, big, sizeof(big)), 0);
    cr_assert_eq(ring_tap_next(&tap, &record, got, sizeof(got), &len), 1, "30 kB behind: less than half");
    cr_assert_eq(len, sizeof(got), "cut to what there is room for");
    for (int i = 0; i < 10; i++)
        cr_assert_eq(rig_put(&rig, big, sizeof(big)), 0);
    uint64_t behind = ring_writer_pos(rig.writer) - tap.pos;
    cr_assert_eq(ring_tap_next(&tap, &record, got, sizeof(got), &len), -EOVERFLOW);
    cr_assert_eq(tap.missed_bytes, behind);
    cr_assert_eq(ring_tap_next(&tap, &record, got, sizeof(got), &len), 0);
    cr_assert_eq(rig_put(&rig, "after", 5), 0);
    cr_assert_eq(ring_tap_next(&tap, &record, got, sizeof(got), &len), 1);
    cr_assert(len == 5 && memcmp(got, "after", 5) == 0);
    rig_close(&rig);
}
