/* libehring: what is sent is what a reader of the ring finds; policies; flush; statistics; identity; fork. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sys/wait.h>

#include "tests/client_rig.h"

#define EVENT_BYTES 1000 /* 65 or so fill the smallest ring */

static char filler[EVENT_BYTES];

static int fill(struct ehring *ring)
{
    int sent = 0;

    while (ehring_send(ring, filler, sizeof(filler), NULL) == 0)
        sent++;
    return sent;
}

Test(client_send, every_length_arrives_byte_for_byte)
{
    struct rig rig;
    uint8_t data[700];

    rig_open(&rig, (struct ehring_options){0});
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + 1);
    for (size_t len = 0; len <= sizeof(data); len++) {
        cr_assert_eq(ehring_send(rig.ring, data, len, len % 3 ? NULL : "customer-7"), 0);
        rig_expect(&rig, data, len, len % 3 ? NULL : "customer-7");
    }
    cr_expect_eq(ehring_send(rig.ring, NULL, 0, NULL), 0);
    rig_expect(&rig, "", 0, NULL);
    rig_expect_none(&rig);
    rig_close(&rig);
}

Test(client_send, keys_of_every_length_to_128_characters_arrive)
{
    struct rig rig;
    char key[4 * EHRING_KEY_CHARS_MAX + 1] = "";

    rig_open(&rig, (struct ehring_options){0});
    for (unsigned chars = 1; chars <= EHRING_KEY_CHARS_MAX; chars++) {
        strcat(key, chars % 4 == 0 ? "\xf0\x9f\x9a\x80" : chars % 4 == 1 ? "a" : chars % 4 == 2 ? "\xc3\xa9" : "\xe2\x82\xac");
        cr_assert_eq(ehring_send(rig.ring, "x", 1, key), 0, "%u characters", chars);
        rig_expect(&rig, "x", 1, key);
    }
    rig_close(&rig);
}

Test(client_send, an_empty_key_is_no_key)
{
    struct rig rig;

    rig_open(&rig, (struct ehring_options){0});
    cr_assert_eq(ehring_send(rig.ring, "x", 1, ""), 0);
    rig_expect(&rig, "x", 1, NULL);
    rig_close(&rig);
}

Test(client_send, a_text_arrives_without_its_nul)
{
    struct rig rig;

    rig_open(&rig, (struct ehring_options){0});
    cr_assert_eq(ehring_send_text(rig.ring, "good morning", "k"), 0);
    rig_expect(&rig, "good morning", 12, "k");
    rig_close(&rig);
}

Test(client_send, parts_arrive_as_one_event)
{
    struct rig rig;
    struct iovec parts[] = {{"one ", 4}, {NULL, 0}, {"two", 3}, {" three", 6}};

    rig_open(&rig, (struct ehring_options){0});
    cr_assert_eq(ehring_sendv(rig.ring, parts, 4, "k"), 0);
    cr_assert_eq(ehring_sendv(rig.ring, NULL, 0, NULL), 0);
    rig_expect(&rig, "one two three", 13, "k");
    rig_expect(&rig, "", 0, NULL);
    rig_expect_none(&rig);
    rig_close(&rig);
}

Test(client_reserve, a_reservation_arrives_cut_to_what_was_used)
{
    struct rig rig;
    void *payload;

    rig_open(&rig, (struct ehring_options){0});
    cr_assert_eq(ehring_reserve(rig.ring, 500, "k", &payload), 0);
    cr_expect_eq((uintptr_t)payload % 8, 0);
    memcpy(payload, "written in place", 16);
    rig_expect_none(&rig);
    cr_expect_eq(ehring_commit(rig.ring, 501), EHRING_E_INVALID);
    cr_assert_eq(ehring_commit(rig.ring, 16), 0);
    rig_expect(&rig, "written in place", 16, "k");
    cr_expect_eq(ehring_commit(rig.ring, 16), EHRING_E_NOT_RESERVED);
    rig_close(&rig);
}

Test(client_reserve, a_discarded_reservation_is_never_seen)
{
    struct rig rig;
    struct ehring_stats stats;
    void *payload;

    rig_open(&rig, (struct ehring_options){0});
    cr_assert_eq(ehring_reserve(rig.ring, 100, NULL, &payload), 0);
    cr_assert_eq(ehring_discard(rig.ring), 0);
    cr_expect_eq(ehring_discard(rig.ring), EHRING_E_NOT_RESERVED);
    cr_assert_eq(ehring_send_text(rig.ring, "after", NULL), 0);
    rig_expect(&rig, "after", 5, NULL);
    rig_expect_none(&rig);
    cr_assert_eq(ehring_read_stats(rig.ring, &stats), 0);
    cr_expect_eq(stats.sent_events, 1);
    rig_close(&rig);
}

Test(client_reserve, nothing_else_is_sent_while_a_reservation_is_open)
{
    struct rig rig;
    struct ehring_event event = {.data = "x", .len = 1};
    void *payload, *second;

    rig_open(&rig, (struct ehring_options){0});
    cr_assert_eq(ehring_reserve(rig.ring, 4, NULL, &payload), 0);
    cr_expect_eq(ehring_send(rig.ring, "x", 1, NULL), EHRING_E_RESERVED);
    cr_expect_eq(ehring_send_event(rig.ring, &event), EHRING_E_RESERVED);
    cr_expect_eq(ehring_send_many(rig.ring, &event, 1), EHRING_E_RESERVED);
    cr_expect_eq(ehring_reserve(rig.ring, 4, NULL, &second), EHRING_E_RESERVED);
    cr_expect_null(second);
    memcpy(payload, "kept", 4);
    cr_assert_eq(ehring_commit(rig.ring, 4), 0);
    rig_expect(&rig, "kept", 4, NULL);
    rig_expect_none(&rig);
    rig_close(&rig);
}

Test(client_reserve, closing_with_an_open_reservation_sends_nothing)
{
    struct rig rig;
    void *payload;

    rig_open(&rig, (struct ehring_options){0});
    cr_assert_eq(ehring_reserve(rig.ring, 4, NULL, &payload), 0);
    ehring_close(rig.ring);
    rig.ring = NULL;
    rig_expect_none(&rig);
    rig_close(&rig);
}

Test(client_many, an_array_arrives_in_order_with_its_options)
{
    struct rig rig;
    struct ehring_event events[300] = {0};
    char text[300][16], key[300][16];

    rig_open(&rig, (struct ehring_options){0});
    for (int i = 0; i < 300; i++) {
        events[i].data = text[i];
        events[i].len = (size_t)snprintf(text[i], sizeof(text[i]), "event %d", i);
        snprintf(key[i], sizeof(key[i]), "key %d", i % 7);
        events[i].key = i % 2 ? key[i] : NULL;
    }
    cr_assert_eq(ehring_send_many(rig.ring, events, 300), 300);
    cr_assert_eq(ehring_send_many(rig.ring, NULL, 0), 0);
    for (int i = 0; i < 300; i++)
        rig_expect(&rig, text[i], strlen(text[i]), i % 2 ? key[i] : NULL);
    rig_expect_none(&rig);
    rig_close(&rig);
}

Test(client_many, stops_before_the_first_refused_event_and_names_it_when_called_again)
{
    struct rig rig;
    struct ehring_stats stats;
    struct ehring_event events[] = {{.data = "a", .len = 1}, {.data = "b", .len = 1}, {.data = "c", .len = 1, .key = "\xff"}};

    rig_open(&rig, (struct ehring_options){0});
    cr_expect_eq(ehring_send_many(rig.ring, events, 3), 2);
    cr_expect_eq(ehring_send_many(rig.ring, events + 2, 1), EHRING_E_KEY_NOT_UTF8);
    rig_expect(&rig, "a", 1, NULL);
    rig_expect(&rig, "b", 1, NULL);
    rig_expect_none(&rig);
    cr_assert_eq(ehring_read_stats(rig.ring, &stats), 0);
    cr_expect_eq(stats.sent_events, 2);
    cr_expect_eq(stats.refused[EHRING_REFUSED_KEY_NOT_UTF8], 1);
    rig_close(&rig);
}

Test(client_many, what_fits_into_a_full_ring_is_committed)
{
    struct rig rig;
    struct ehring_event events[200];

    rig_open(&rig, (struct ehring_options){.capacity_bytes = 65536});
    for (int i = 0; i < 200; i++)
        events[i] = (struct ehring_event){.data = filler, .len = sizeof(filler)};
    int sent = ehring_send_many(rig.ring, events, 200);
    cr_expect(sent > 50 && sent < 70, "%d", sent);
    cr_expect_eq(ehring_send_many(rig.ring, events + sent, (size_t)(200 - sent)), EHRING_E_FULL);
    for (int i = 0; i < sent; i++)
        rig_expect(&rig, filler, sizeof(filler), NULL);
    rig_expect_none(&rig);
    rig_close(&rig);
}

Test(client_full, fails_at_once_and_counts)
{
    struct rig rig;
    struct ehring_stats stats;

    rig_open(&rig, (struct ehring_options){.capacity_bytes = 65536});
    int sent = fill(rig.ring);
    cr_expect_eq(ehring_send(rig.ring, filler, sizeof(filler), NULL), EHRING_E_FULL);
    cr_assert_eq(ehring_read_stats(rig.ring, &stats), 0);
    cr_expect_eq(stats.sent_events, (uint64_t)sent);
    cr_expect_eq(stats.refused[EHRING_REFUSED_FULL], 2);
    cr_expect_eq(stats.refused_events, 2);
    rig_accept_all(&rig, (uint64_t)sent);
    cr_expect_eq(ehring_send(rig.ring, filler, sizeof(filler), NULL), 0, "there is room again");
    rig_close(&rig);
}

Test(client_full, drops_and_counts_what_was_dropped)
{
    struct rig rig;
    struct ehring_stats stats;
    struct ehring_event events[5] = {0};
    struct iovec part = {filler, sizeof(filler)};
    void *payload;

    rig_open(&rig, (struct ehring_options){.capacity_bytes = 65536, .full = EHRING_FULL_DROP});
    int sent = fill(rig.ring);
    for (int i = 0; i < 5; i++)
        events[i] = (struct ehring_event){.data = filler, .len = sizeof(filler)};
    cr_expect_eq(ehring_send(rig.ring, filler, sizeof(filler), NULL), EHRING_DROPPED);
    cr_expect_eq(ehring_sendv(rig.ring, &part, 1, NULL), EHRING_DROPPED);
    cr_expect_eq(ehring_reserve(rig.ring, sizeof(filler), NULL, &payload), EHRING_DROPPED);
    cr_expect_null(payload);
    cr_expect_eq(ehring_send_many(rig.ring, events, 5), 0);
    cr_assert_eq(ehring_read_stats(rig.ring, &stats), 0);
    cr_expect_eq(stats.dropped_events, 1 + 3 + 5); /* one by fill */
    cr_expect_eq(stats.refused_events, 0);
    cr_expect_eq(stats.sent_events, (uint64_t)sent);
    cr_expect_eq(ehring_commit(rig.ring, 0), EHRING_E_NOT_RESERVED);
    rig_close(&rig);
}

Test(client_full, waits_until_the_deadline_and_no_longer)
{
    struct rig rig;
    struct ehring_stats stats;

    rig_open(&rig, (struct ehring_options){.capacity_bytes = 65536, .full = EHRING_FULL_WAIT, .wait_ms = 20});
    fill(rig.ring);
    cr_expect_eq(ehring_send(rig.ring, filler, sizeof(filler), NULL), EHRING_E_TIMED_OUT);
    cr_assert_eq(ehring_read_stats(rig.ring, &stats), 0);
    cr_expect_eq(stats.refused[EHRING_REFUSED_TIMED_OUT], 2);
    cr_expect_eq(stats.wait_count, 2);
    rig_close(&rig);
}

/* Accepts what there is whenever there is something, until told to stop. */
struct acker {
    struct rig *rig;
    _Atomic bool stop;
};
static void *ack_until_stopped(void *arg)
{
    struct acker *acker = arg;
    uint64_t acked = 0;

    while (!acker->stop) {
        uint64_t end = rig_write_pos(acker->rig);
        if (end != acked) {
            rig_accept_all(acker->rig, 0);
            acked = end;
        }
        usleep(100);
    }
    return NULL;
}

Test(client_full, waits_without_limit_until_another_thread_makes_room)
{
    struct rig rig;
    struct acker acker = {.rig = &rig};
    struct ehring_event events[200];
    pthread_t thread;

    rig_open(&rig, (struct ehring_options){.capacity_bytes = 65536, .full = EHRING_FULL_WAIT});
    for (int i = 0; i < 200; i++)
        events[i] = (struct ehring_event){.data = filler, .len = sizeof(filler)};
    pthread_create(&thread, NULL, ack_until_stopped, &acker);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(ehring_send(rig.ring, filler, sizeof(filler), NULL), 0);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(ehring_send_many(rig.ring, events, 200), 200, "an array larger than the ring");
    cr_assert_eq(ehring_flush(rig.ring, -1, NULL), 0);
    acker.stop = true;
    pthread_join(thread, NULL);
    rig_close(&rig);
}

Test(client_flush, tells_what_is_left_until_all_is_accepted)
{
    struct rig rig;
    struct ehring_stats stats;
    uint64_t left = 99;

    rig_open(&rig, (struct ehring_options){0});
    cr_expect_eq(ehring_flush(rig.ring, 0, &left), 0);
    cr_expect_eq(left, 0, "nothing was sent");
    cr_assert_eq(ehring_send(rig.ring, filler, 100, NULL), 0);
    cr_assert_eq(ehring_send(rig.ring, filler, 100, NULL), 0);
    cr_expect_eq(ehring_flush(rig.ring, 0, &left), EHRING_E_TIMED_OUT);
    cr_expect_eq(left, rig_write_pos(&rig));
    cr_expect_eq(ehring_flush(rig.ring, 5, NULL), EHRING_E_TIMED_OUT);
    cr_assert_eq(ehring_read_stats(rig.ring, &stats), 0);
    cr_expect_eq(stats.pending_events, 2);
    cr_expect_eq(stats.pending_bytes, left);
    rig_accept_all(&rig, 2);
    cr_expect_eq(ehring_flush(rig.ring, 0, &left), 0);
    cr_expect_eq(left, 0);
    cr_assert_eq(ehring_read_stats(rig.ring, &stats), 0);
    cr_expect_eq(stats.sent_events, 2);
    cr_expect_eq(stats.accepted_events, 2);
    cr_expect_eq(stats.pending_events, 0);
    cr_expect_eq(stats.pending_bytes, 0);
    rig_close(&rig);
}

static int64_t flushed_for_ms(struct ehring *ring, int timeout_ms, int expected, uint64_t *left)
{
    struct timespec begin, end;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    cr_expect_eq(ehring_flush(ring, timeout_ms, left), expected);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000;
}

/* Nobody accepts, for whatever reason: the deadline is kept whether or not there is room, and what is left is told to the byte. */
Test(client_flush, of_a_full_ring_keeps_its_deadline)
{
    static const enum ehring_full policies[] = {EHRING_FULL_FAIL, EHRING_FULL_WAIT, EHRING_FULL_DROP};

    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        struct rig rig;
        uint64_t left = 0;
        rig_open(&rig, (struct ehring_options){.capacity_bytes = 65536, .full = policies[i], .wait_ms = 1});
        cr_assert_gt(fill(rig.ring), 0);
        uint64_t end_pos = rig_write_pos(&rig);
        int64_t ms = flushed_for_ms(rig.ring, 30, EHRING_E_TIMED_OUT, &left);
        cr_expect(ms >= 30 && ms < 30000, "%ld ms", (long)ms);
        cr_expect_eq(left, end_pos);
        ring_lane_ack(&rig.lane, end_pos - 1024, end_pos - 1024);
        ms = flushed_for_ms(rig.ring, 30, EHRING_E_TIMED_OUT, &left);
        cr_expect(ms >= 30 && ms < 30000, "%ld ms", (long)ms);
        cr_expect_eq(left, 1024, "the gate moved, not far enough");
        ring_lane_ack(&rig.lane, end_pos, end_pos);
        cr_expect_lt(flushed_for_ms(rig.ring, -1, 0, &left), 30000);
        cr_expect_eq(left, 0);
        rig_close(&rig);
    }
}

Test(client_stats, tell_what_the_shipper_gave_up_by_reason)
{
    struct rig rig;
    struct ehring_stats stats;

    rig_open(&rig, (struct ehring_options){0});
    for (int i = 0; i < 9; i++)
        cr_assert_eq(ehring_send(rig.ring, filler, 100, NULL), 0);
    ring_lane_count(&rig.lane, &(struct ring_settled){.accepted_events = 1, .dropped_events = {[EHRING_ABANDONED_REBOOT] = 2, [5] = 4}});
    cr_assert_eq(ehring_read_stats(rig.ring, &stats), 0);
    cr_expect_eq(stats.abandoned_events, 6);
    cr_expect_eq(stats.abandoned[EHRING_ABANDONED_REBOOT], 2);
    cr_expect_eq(stats.abandoned[5], 4);
    cr_expect_eq(stats.pending_events, 2);
    cr_expect_str_eq(ehring_abandoned_name(EHRING_ABANDONED_REBOOT), "reboot");
    cr_expect_null(ehring_abandoned_name(EHRING_ABANDONED_SLOTS));
    rig_close(&rig);
}

Test(client_identity, is_where_a_reader_finds_the_event_over_many_laps)
{
    struct rig rig;
    struct ehring_identity identity;
    struct rig_record *record = malloc(sizeof(*record));
    char text[EHRING_IDENTITY_TEXT_BYTES];

    rig_open(&rig, (struct ehring_options){.capacity_bytes = 65536});
    cr_expect_eq(ehring_last_identity(rig.ring, &identity), EHRING_E_NO_EVENT);
    for (int i = 0; i < 500; i++) {
        cr_assert_eq(ehring_send(rig.ring, filler, (size_t)(i * 13 % 1000), i % 2 ? "k" : NULL), 0);
        cr_assert(rig_next(&rig, record));
        cr_assert_eq(ehring_last_identity(rig.ring, &identity), 0);
        cr_assert_eq(identity.pos, record->pos, "event %d", i);
        rig_free(record);
        rig_accept_all(&rig, 1);
    }
    cr_expect_gt(identity.pos, 2 * 65536);
    cr_expect_eq(memcmp(identity.ring_uuid, ring_header(rig.file)->uuid, 16), 0);
    ehring_identity_text(&identity, text);
    cr_expect_eq(strchr(text, ':') - text, 36);
    cr_expect_eq(strtoull(strchr(text, ':') + 1, NULL, 10), identity.pos);
    free(record);
    rig_close(&rig);
}

Test(client_fork, a_child_can_neither_send_nor_harm_and_the_parent_goes_on)
{
    struct rig rig;
    struct ehring_event event = {.data = "x", .len = 1, .partition_id = "nonsense"};
    struct ehring_stats stats;
    void *payload;
    int status;

    rig_open(&rig, (struct ehring_options){0});
    cr_assert_eq(ehring_send_text(rig.ring, "before", NULL), 0);
    pid_t child = fork();
    if (child == 0) {
        bool ok = ehring_send(rig.ring, "x", 1, NULL) == EHRING_E_FORKED && ehring_send(rig.ring, "x", 1, "\xff") == EHRING_E_FORKED &&
                  ehring_send_event(rig.ring, &event) == EHRING_E_FORKED && ehring_send_many(rig.ring, &event, 1) == EHRING_E_FORKED &&
                  ehring_reserve(rig.ring, 1, NULL, &payload) == EHRING_E_FORKED && ehring_commit(rig.ring, 0) == EHRING_E_FORKED &&
                  ehring_discard(rig.ring) == EHRING_E_FORKED && ehring_flush(rig.ring, -1, NULL) == EHRING_E_FORKED &&
                  ehring_read_stats(rig.ring, &stats) == EHRING_E_FORKED && ehring_path(rig.ring) != NULL;
        ehring_close(rig.ring);
        _exit(ok ? 0 : 1);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
    cr_assert_eq(ehring_send_text(rig.ring, "after", NULL), 0);
    rig_expect(&rig, "before", 6, NULL);
    rig_expect(&rig, "after", 5, NULL);
    rig_expect_none(&rig);
    cr_assert_eq(ehring_read_stats(rig.ring, &stats), 0);
    cr_expect_eq(stats.refused_events, 0);
    cr_expect_eq(ring_producer(rig.file)->hot.closed, 0, "the child did not close the parent's ring");
    rig_close(&rig);
}

Test(client_fork, a_child_that_inherits_an_open_reservation_closes_quietly)
{
    struct rig rig;
    void *payload;
    int status;

    rig_open(&rig, (struct ehring_options){0});
    cr_assert_eq(ehring_reserve(rig.ring, 4, NULL, &payload), 0);
    pid_t child = fork();
    if (child == 0) {
        ehring_close(rig.ring);
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
    memcpy(payload, "mine", 4);
    cr_assert_eq(ehring_commit(rig.ring, 4), 0);
    rig_expect(&rig, "mine", 4, NULL);
    rig_close(&rig);
}

Test(client_close, marks_the_ring_finished_and_leaves_what_was_sent)
{
    struct rig rig;

    rig_open(&rig, (struct ehring_options){0});
    cr_assert_eq(ehring_send_text(rig.ring, "last words", NULL), 0);
    cr_expect_eq(access(ehring_path(rig.ring), F_OK), 0);
    cr_expect_eq(ring_is_orphan(AT_FDCWD, ehring_path(rig.ring)), 0);
    char *path = strdup(ehring_path(rig.ring));
    ehring_close(rig.ring);
    rig.ring = NULL;
    cr_expect_eq(ring_producer(rig.file)->hot.closed, 1);
    cr_expect_eq(ring_is_orphan(AT_FDCWD, path), 1);
    rig_expect(&rig, "last words", 10, NULL);
    free(path);
    rig_close(&rig);
}

Test(client_close, null_is_fine)
{
    ehring_close(NULL);
}

Test(client_times, every_event_carries_a_time_if_asked)
{
    struct rig rig;
    struct rig_record *record = malloc(sizeof(*record));

    rig_open(&rig, (struct ehring_options){.times_all = true});
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(ehring_send(rig.ring, "x", 1, NULL), 0);
        cr_assert(rig_next(&rig, record));
        cr_expect(record->parts.flags & RING_FLAG_TIME);
        cr_expect_gt(record->parts.time_ns, INT64_C(1600000000000000000));
        rig_free(record);
    }
    free(record);
    rig_close(&rig);
}

Test(client_options, a_ring_carries_the_name_and_capacity_it_was_given)
{
    struct rig rig;
    struct ehring_stats stats;

    rig_open(&rig, (struct ehring_options){.name = "till-4", .capacity_bytes = 100000});
    cr_expect_str_eq(ring_header(rig.file)->name, "till-4");
    cr_expect_str_eq(ring_header(rig.file)->stream, RIG_STREAM);
    cr_assert_eq(ehring_read_stats(rig.ring, &stats), 0);
    cr_expect_eq(stats.capacity_bytes, 131072);
    rig_close(&rig);
}

Test(client_options, the_environment_says_where_the_rings_are)
{
    struct rig rig;
    struct ehring_options options = {.stream = RIG_STREAM};

    rig_dirs(&rig);
    setenv("EHRING_RINGS", rig.rings, 1);
    cr_assert_eq(ehring_open(&options, &rig.ring), 0, "%s", ehring_open_error());
    cr_expect_eq(strncmp(ehring_path(rig.ring), rig.stream_dir, strlen(rig.stream_dir)), 0, "%s", ehring_path(rig.ring));
    rig_close(&rig);
}

Test(client_options, the_first_producer_can_make_the_directories)
{
    struct rig rig;
    struct ehring_options options = {.stream = "new", .make_stream_dir = true};
    struct ehring *second;
    char rings[96], dir[112];
    struct stat st;

    rig_dirs(&rig);
    snprintf(rings, sizeof(rings), "%s/rings", rig.rings);
    snprintf(dir, sizeof(dir), "%s/new", rings);
    options.rings_dir = rings;
    cr_assert_eq(ehring_open(&options, &rig.ring), 0, "%s", ehring_open_error());
    cr_assert_eq(ehring_open(&options, &second), 0, "made already: %s", ehring_open_error());
    cr_assert_eq(stat(dir, &st), 0);
    cr_expect_eq(st.st_mode & 07777, 03770);
    ehring_close(second);
    rig_close(&rig);
}

Test(client_library, version_of_header_and_build_are_one)
{
    cr_expect_str_eq(ehring_version(), EHRING_VERSION);
    cr_expect_str_eq(EHRING_VERSION, EHRING_BUILD_VERSION);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* Runs a command over the shared library and gives each line of its output; skips the test where it was not built. */
static FILE *inspect(const char *command)
{
    const char *build = getenv("EHRING_BUILD");
    char line[1024];

    snprintf(line, sizeof(line), "%s/libehring.so.0", build ? build : "build");
    if (access(line, R_OK) != 0)
        cr_skip_test("the shared library is not built");
    snprintf(line, sizeof(line), "%s '%s/libehring.so.0'", command, build ? build : "build");
    return popen(line, "r");
}

Test(client_library, exports_nothing_but_ehring)
{
    char line[1024];
    int count = 0;
    FILE *out = inspect("nm -D --defined-only --format=posix");

    while (fgets(line, sizeof(line), out)) {
        cr_expect(strncmp(line, "ehring_", 7) == 0 || strncmp(line, "EHRING_0", 8) == 0, "%s", line);
        count++;
    }
    pclose(out);
    cr_expect_gt(count, 20);
}

Test(client_library, needs_nothing_but_libc)
{
    char line[1024];
    FILE *out = inspect("readelf -d");

    while (fgets(line, sizeof(line), out))
        if (strstr(line, "(NEEDED)")) /* the loader is libc's own, named for thread-local storage */
            cr_expect(strstr(line, "[libc.so.") || strstr(line, "[ld-linux"), "%s", line);
    pclose(out);
}
#endif
