/* libehring: a payload that cannot be read. The signal is the caller's; one who catches it and goes on finds the ring as it was. */
#include <criterion/criterion.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include "tests/client_rig.h"

#define READABLE_BYTES 65536u /* of the payload, then a page that cannot be read */

enum way { WAY_SEND, WAY_KEYED, WAY_TIMED, WAY_PARTS, WAY_ARRAY, WAYS };

static sigjmp_buf before_send;
static char *edge; /* of what can be read */

static void on_fault(int signo)
{
    (void)signo;
    siglongjmp(before_send, 1);
}

static void make_edge(void)
{
    struct sigaction action = {.sa_handler = on_fault};
    char *map = mmap(NULL, READABLE_BYTES * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    cr_assert_neq(map, MAP_FAILED);
    memset(map, 'g', READABLE_BYTES);
    edge = map + READABLE_BYTES;
    cr_assert_eq(mprotect(edge, READABLE_BYTES, PROT_NONE), 0);
    sigemptyset(&action.sa_mask);
    cr_assert_eq(sigaction(SIGSEGV, &action, NULL), 0);
}

static int send_by(struct ehring *ring, enum way way, const char *data, size_t len)
{
    struct iovec parts[] = {{(void *)(uintptr_t) "good", 4}, {(void *)(uintptr_t)data, len}};
    struct ehring_event events[] = {{.data = "good", .len = 4}, {.data = data, .len = len}};

    switch (way) {
    case WAY_SEND:
        return ehring_send(ring, data, len, NULL);
    case WAY_KEYED:
        return ehring_send(ring, data, len, "customer-7");
    case WAY_TIMED:
        return ehring_send_event(ring, &(struct ehring_event){.data = data, .len = len, .time_ns = EHRING_TIME_NOW});
    case WAY_PARTS:
        return ehring_sendv(ring, parts, 2, NULL);
    case WAY_ARRAY:
        return ehring_send_many(ring, events, 2);
    case WAYS:
        break;
    }
    return 0;
}

/* Of `len` bytes the last one cannot be read. True: the signal came and was left by a jump. */
static bool faults(struct ehring *ring, enum way way, size_t len)
{
    if (sigsetjmp(before_send, 1) == 0) {
        send_by(ring, way, edge - len + 1, len);
        return false;
    }
    return true;
}

Test(client_fault, leaves_nothing_of_the_event_in_the_ring)
{
    static const size_t lens[] = {3, 11, 24, 48, 100, 200, 1000, 4000, 6000};
    struct ehring_stats stats;
    uint64_t sent = 0;
    struct rig rig;

    make_edge();
    rig_open(&rig, (struct ehring_options){.capacity_bytes = 65536});
    for (int round = 0; round < 40; round++)
        for (int way = 0; way < WAYS; way++)
            for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
                cr_assert(faults(rig.ring, way, lens[i]), "way %d, %zu bytes", way, lens[i]);
                cr_assert_eq(ehring_send_text(rig.ring, "after", NULL), 0, "way %d, %zu bytes", way, lens[i]);
                if (way == WAY_ARRAY)
                    rig_expect(&rig, "good", 4, NULL);
                rig_expect(&rig, "after", 5, NULL);
                rig_expect_none(&rig);
                sent += way == WAY_ARRAY ? 2 : 1;
                rig_accept_all(&rig, way == WAY_ARRAY ? 2 : 1);
            }
    cr_assert_eq(ehring_read_stats(rig.ring, &stats), 0);
    cr_expect_eq(stats.sent_events, sent);
    cr_expect_eq(ring_committed_events(rig.file), sent);
    rig_close(&rig);
}

Test(client_fault, of_a_stripes_first_event_leaves_the_time_to_the_next)
{
    struct rig_record *record = malloc(sizeof(*record));
    struct rig rig;

    make_edge();
    rig_open(&rig, (struct ehring_options){0});
    cr_assert(faults(rig.ring, WAY_SEND, 100));
    cr_assert_eq(ehring_send_text(rig.ring, "after", NULL), 0);
    cr_assert(rig_next(&rig, record));
    cr_expect_eq(memcmp(record->payload, "after", 5), 0);
    cr_expect(record->parts.flags & RING_FLAG_TIME);
    rig_free(record);
    free(record);
    rig_close(&rig);
}

Test(client_fault, an_open_reservation_of_the_callers_own_stays)
{
    struct rig rig;
    void *payload;

    make_edge();
    rig_open(&rig, (struct ehring_options){0});
    cr_assert_eq(ehring_reserve(rig.ring, 4, NULL, &payload), 0);
    cr_expect_eq(ehring_send(rig.ring, edge - 1, 100, NULL), EHRING_E_RESERVED, "refused before it is looked at");
    memcpy(payload, "mine", 4);
    cr_assert_eq(ehring_commit(rig.ring, 4), 0);
    rig_expect(&rig, "mine", 4, NULL);
    rig_close(&rig);
}

static bool is_taken(struct ehring *ring, const char *data, size_t len, const char *key)
{
    return sigsetjmp(before_send, 1) == 0 && ehring_send(ring, data, len, key) == 0;
}

/* Every length that has a way of its own, at the last byte of what can be read and at the first. */
Test(client_fault, no_byte_beside_payload_and_key_is_read)
{
    static const char *const keys[] = {
        NULL, "k", "seven!!", "eight!!!", "a key of 15 byt", "a key of 16 byte", "a key of seventeen bytes or some more"};
    struct rig rig;

    make_edge();
    rig_open(&rig, (struct ehring_options){.capacity_bytes = 1 << 20});
    char *page = mmap(NULL, 4096 * 3, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(page, MAP_FAILED);
    cr_assert_eq(mprotect(page, 4096, PROT_NONE), 0);
    cr_assert_eq(mprotect(page + 8192, 4096, PROT_NONE), 0);
    for (size_t i = 0; i < 4096; i++)
        page[4096 + i] = (char)(i * 7);
    for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
        for (size_t len = 0; len <= 4096; len += len < 600 ? 1 : 113)
            for (int side = 0; side < 2; side++) {
                char *key = keys[k] ? strcpy(edge - strlen(keys[k]) - 1, keys[k]) : NULL;
                char *data = side ? page + 8192 - len : page + 4096;
                cr_assert(is_taken(rig.ring, data, len, key), "%zu bytes, side %d, key %zu", len, side, k);
                rig_expect(&rig, data, len, key);
                rig_accept_all(&rig, 1);
            }
    rig_close(&rig);
}
