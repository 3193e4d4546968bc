/* Throws damaged conversations at the hub's engine; it may refuse them in any way but must not crash, hang or leak. */
#include "tests/hub_rig.h"

#include <time.h>

enum { ROUNDS = 1500, CHANGES_MAX = 6 };

static uint64_t seed_state;

static uint32_t next_random(void)
{
    seed_state ^= seed_state << 13;
    seed_state ^= seed_state >> 7;
    seed_state ^= seed_state << 17;
    return (uint32_t)(seed_state >> 32);
}

static void put_batch(struct rig *r, uint32_t id)
{
    struct hub_buf event = {0}, batch = {0};

    hub_put_descriptor(&event, HUB_SECTION_ANNOTATIONS);
    size_t map = hub_put_map_begin(&event);
    hub_put_symbol(&event, "x-opt-partition-key");
    hub_put_string(&event, "device-42");
    hub_put_compound_end(&event, map, 2);
    hub_buf_put(&batch, event.data, event.len);
    hub_put_descriptor(&event, HUB_SECTION_DATA);
    hub_put_binary(&event, "body", 4);
    for (int i = 0; i < 3; i++) {
        hub_put_descriptor(&batch, HUB_SECTION_DATA);
        hub_put_binary(&batch, event.data, event.len);
    }
    rig_put_transfer(r, 0, id, HUB_FORMAT_BATCH, batch.data, batch.len, false);
    hub_buf_free(&event);
    hub_buf_free(&batch);
}

/* All kinds of frames a client sends, whole. */
static void put_conversation(struct rig *r)
{
    rig_put_open(r, true, 65536);
    rig_put_attach(r, 0, false, "hub1", NULL, -1);
    rig_put_attach(r, 1, true, "hub1/ConsumerGroups/$Default/Partitions/0", "amqp.annotation.x-opt-sequence-number >= '0'", 3);
    rig_put_attach(r, 2, false, "$cbs", NULL, -1);
    rig_put_attach(r, 3, true, "$management", NULL, -1);
    rig_put_credit(r, 1, 0, 5, true);
    put_batch(r, 0);
    rig_put_event(r, 0, 1, "single", 6);
    rig_put_transfer(r, 0, 2, 0, "half", 4, true);
    rig_put_transfer(r, 2, 3, 0, "\0\x53\x73\x45", 4, false);
    hub_put_disposition(&r->out, 0, &(struct hub_disposition){.receiver = true, .first = 0, .last = 3, .outcome = HUB_OUTCOME_MODIFIED});
    hub_put_detach(&r->out, 0, 1, true, NULL);
    hub_put_end(&r->out, 0, NULL);
    hub_put_close(&r->out, NULL);
}

static void damage(struct hub_buf *b)
{
    for (uint32_t i = next_random() % CHANGES_MAX; i > 0; i--) {
        /* Beyond the login, so that most of the rounds get as far as links. */
        size_t at = 60 + next_random() % (b->len - 60), left = b->len - at;
        switch (next_random() % 4) {
        case 0:
            b->data[at] = (uint8_t)next_random();
            break;
        case 1:
            b->data[at] ^= (uint8_t)(1u << next_random() % 8);
            break;
        case 2: {
            size_t len = next_random() % 16 % left;
            memmove(b->data + at, b->data + at + len, left - len);
            b->len -= len;
            break;
        }
        default:
            memset(b->data + at, (int)(next_random() % 2 * 0xff), next_random() % 8 % left);
        }
    }
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL), stored = 0;
    struct rig r;

    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    seed_state = seed * 2654435769u + 1;
    for (int round = 0; round < ROUNDS; round++) {
        rig_open(&r, round % 5 == 0 ? "detach-after:1" : NULL);
        put_conversation(&r);
        damage(&r.out);
        r.piece = round % 3 == 0 ? 1 + next_random() % 200 : 0;
        rig_flush(&r);
        r.broker.now_mono_ms += 300000;
        rig_flush(&r);
        stored += rig_stored(&r);
        rig_close(&r);
    }
    printf("%d damaged conversations, %llu events stored\n", ROUNDS, (unsigned long long)stored);
    return stored > 0 ? 0 : 1;
}
