/* Throws damaged conversations, plain and over WebSocket, at the hub's engine; it may refuse them in any way but must not crash, hang or
 * leak. */
#include "tests/hub_rig.h"
#include "tests/hub_ws_rig.h"

#include "tools/hub/upgrade.h"

#include <time.h>

enum { ROUNDS = 3000, HEADS = 20000, CHANGES_MAX = 6 };

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

/* Somewhere from `from` on. */
static void damage(struct hub_buf *b, size_t from)
{
    for (uint32_t i = next_random() % CHANGES_MAX; i > 0; i--) {
        size_t at = from + next_random() % (b->len - from), left = b->len - at;
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

/* The conversation in masked frames of any length behind an upgrade, some of them fragments, with pings and pongs between. */
static void wrap(struct hub_buf *b)
{
    struct hub_buf out = {0};

    hub_buf_put(&out, WS_HEAD, strlen(WS_HEAD));
    while (hub_buf_used(b) > 0) {
        size_t len = 1 + next_random() % 300;
        if (len > hub_buf_used(b))
            len = hub_buf_used(b);
        if (next_random() % 8 == 0)
            ws_put_frame(&out, (uint8_t)(0x80 | (next_random() % 2 ? WS_PING : WS_PONG)), true, "?", next_random() % 2);
        size_t first = next_random() % 4 == 0 ? len / 2 : 0;
        if (first > 0)
            ws_put_frame(&out, WS_BINARY, true, b->data + b->head, first);
        ws_put_frame(&out, (uint8_t)(0x80 | (first > 0 ? WS_CONTINUATION : WS_BINARY)), true, b->data + b->head + first, len - first);
        hub_buf_take(b, len);
    }
    hub_buf_free(b);
    *b = out;
}

/* One conversation, over WebSocket in every other round; the damage lies beyond the login, so that most get as far as links. */
static uint64_t converse(int round)
{
    static const struct hub_way websocket = {.websocket = true};
    static const char *const faults[] = {"ws-split bytes=3", "ws-fragment bytes=2", "ws-ping every=2", "ws-close-after bytes=300"};
    struct rig r;
    uint64_t stored;

    rig_open(&r, round % 5 == 0 ? "detach-after:1" : NULL);
    put_conversation(&r);
    if (round % 2 == 0) {
        damage(&r.out, 60);
    } else {
        rig_disconnect(&r);
        rig_connect(&r, &websocket);
        if (round % 7 < 4)
            rig_play(&r, faults[round % 7]);
        wrap(&r.out);
        damage(&r.out, round % 3 == 1 ? 0 : strlen(WS_HEAD) + 60);
    }
    r.piece = round % 3 == 0 ? 1 + next_random() % 200 : 0;
    rig_flush(&r);
    r.broker.now_mono_ms += 300000;
    rig_flush(&r);
    r.broker.now_mono_ms += 300000;
    rig_flush(&r);
    stored = rig_stored(&r);
    rig_close(&r);
    return stored;
}

/* A head in memory that ends where it ends; the parser's answer fits what it found. */
static bool judge_head(void)
{
    struct hub_upgrade u;
    struct hub_buf head = {0}, answer = {0};

    hub_buf_put(&head, WS_HEAD, strlen(WS_HEAD));
    damage(&head, 0);
    size_t len = next_random() % 4 == 0 ? next_random() % (head.len + 1) : head.len;
    uint8_t *exact = hub_alloc(1, len > 0 ? len : 1);
    memcpy(exact, head.data, len);
    size_t taken = hub_upgrade_read(&u, exact, len);
    bool good = u.status == 101 ? taken > 0 && taken <= len && u.protocol : taken <= len;
    if (u.status != 0)
        hub_upgrade_answer(&u, &answer);
    free(exact);
    hub_buf_free(&head);
    hub_buf_free(&answer);
    return good;
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL), stored[2] = {0};
    bool good = true;

    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    seed_state = seed * 2654435769u + 1;
    for (int round = 0; round < ROUNDS; round++)
        stored[round % 2] += converse(round);
    for (int round = 0; round < HEADS && good; round++)
        good = judge_head();
    printf("%d damaged conversations, %llu events stored, %llu of them over WebSocket; %d damaged heads\n", ROUNDS,
           (unsigned long long)(stored[0] + stored[1]), (unsigned long long)stored[1], HEADS);
    return good && stored[0] > 0 && stored[1] > 0 ? 0 : 1;
}
