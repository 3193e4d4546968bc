/* A shipper with nothing to do: each worker sleeps at most twice a second, and a single event after a sleep is taken because the doorbell
 * rings, not because a sleep ended by itself. */
#include "tests/ship_rig.h"

#include "client/ehring.h"

#define WAIT_MS 20000
#define WORKERS 2
#define IDLE_SECONDS 3
#define SLEEPS_PER_SECOND_MAX 2u
#define SLEEPS_SLACK 1u
#define SINGLES 9
#define PROMPT_MS 300 /* a sleep that nobody interrupts lasts a second, and here begins anew before each event */

static struct ship_rig rig;

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "stress_idle: %s\n", what);
    rig_show_log(&rig, "shipper");
    rig_close(&rig);
    exit(1);
}

static bool accepted(struct ehring *ring)
{
    struct ehring_stats stats;
    check(ehring_read_stats(ring, &stats) == 0, "no statistics");
    return stats.pending_events == 0;
}

/* Without a flush, which rings by itself: only the send may wake the shipper. */
static int64_t deliver_ms(struct ehring *ring)
{
    int64_t start_ms = rig_now_ms();
    check(ehring_send(ring, "alone", 5, "key") == 0, "an event is refused");
    while (!accepted(ring)) {
        check(rig_now_ms() < start_ms + WAIT_MS, "a single event after a sleep is not accepted");
        rig_pause_ms(1);
    }
    return rig_now_ms() - start_ms;
}

static void idle(const char *net, struct ehring *ring)
{
    static struct counters_words before, after;
    for (int i = 0; i < 20000; i++)
        check(ehring_send(ring, "event", 5, i % 2 ? "key" : NULL) == 0, "an event is refused");
    check(ehring_flush(ring, WAIT_MS, NULL) == 0, "the events are not accepted");
    rig_pause_ms(1000);
    int64_t start_ms = rig_now_ms();
    rig_counters(&rig, "idle", &before);
    rig_pause_ms(IDLE_SECONDS * 1000);
    rig_counters(&rig, "idle", &after);
    int64_t idle_ms = rig_now_ms() - start_ms; /* longer, if somebody else had our processor */
    uint64_t sleeps_max = (uint64_t)idle_ms * SLEEPS_PER_SECOND_MAX / 1000 + SLEEPS_SLACK;
    for (int w = 0; w < WORKERS; w++) {
        uint64_t sleeps = after.worker[w].sleep_count - before.worker[w].sleep_count;
        printf("stress_idle: %s: worker %d: %llu sleeps in %lld ms\n", net, w, (unsigned long long)sleeps, (long long)idle_ms);
        check(sleeps >= 1, "a worker never sleeps");
        check(sleeps <= sleeps_max, "too many wake-ups with nothing to do");
    }
    int prompt = 0;
    for (int i = 0; i < SINGLES; i++) {
        rig_pause_ms(100);
        prompt += deliver_ms(ring) < PROMPT_MS;
    }
    printf("stress_idle: %s: %d of %d single events are prompt\n", net, prompt, SINGLES);
    check(prompt > 0, "no single event is prompt: the doorbell does not ring");
}

int main(void)
{
    static const char *const nets[] = {"auto", "epoll"};
    char rings[100];
    struct ehring *ring;
    rig_open(&rig, "idle:4", NULL);
    snprintf(rings, sizeof rings, "%s/r", rig.dir);
    for (size_t n = 0; n < 2; n++) {
        rig_ship(&rig, "idle", "idle", WORKERS, nets[n], NULL);
        check(rig_log_says(&rig, "shipper", n == 0 ? "msg=\"started\"" : "network by epoll", WAIT_MS), "the shipper does not start");
        check(ehring_open(&(struct ehring_options){.stream = "idle", .rings_dir = rings, .make_stream_dir = true}, &ring) == 0,
              ehring_open_error());
        idle(nets[n], ring);
        ehring_close(ring);
        check(rig_end(&rig.shipper, SIGTERM) == 0, "the shipper does not end in order");
    }
    rig_close(&rig);
    return 0;
}
