/* What a hub took, as text for people and as JSON. */
#include "stats.h"

#include "engine.h"
#include "scenario.h"
#include "state.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdlib.h>

static void totals_json(cJSON *to, const struct hub_broker *b);
static void open_json(cJSON *to, const struct hub_broker *b);
static void counts_add(struct hub_counts *sum, const struct hub_counts *c);
static void counts_print(FILE *to, const char *hub, const char *partition, const struct hub_counts *c);
static void counts_json(cJSON *to, const struct hub_counts *c);
static double mean(const struct hub_counts *c);
static cJSON *entity_json(const struct hub_entity *e);

void hub_stats_print(const struct hub_broker *b, FILE *to)
{
    for (unsigned i = 0; i < b->entity_count; i++) {
        const struct hub_entity *e = b->entities[i];
        struct hub_counts sum = {0};
        for (uint32_t k = 0; k < e->partition_count; k++) {
            if (e->partitions[k].counts.batches > 0 || e->partition_count <= 32)
                counts_print(to, e->name, e->partitions[k].id, &e->partitions[k].counts);
            counts_add(&sum, &e->partitions[k].counts);
        }
        counts_print(to, e->name, "all", &sum);
    }
    fprintf(to, "total connections=%llu rejected=%llu released=%llu modified=%llu tokens_refused=%llu\n",
            (unsigned long long)b->connections, (unsigned long long)b->rejected, (unsigned long long)b->released,
            (unsigned long long)b->modified, (unsigned long long)b->tokens_refused);
    fflush(to);
}

char *hub_stats_json(const struct hub_broker *b)
{
    cJSON *root = cJSON_CreateObject(), *hubs = cJSON_AddArrayToObject(root, "hubs");

    for (unsigned i = 0; i < b->entity_count; i++)
        cJSON_AddItemToArray(hubs, entity_json(b->entities[i]));
    totals_json(root, b);
    open_json(root, b);
    if (b->scenario) {
        cJSON_AddNumberToObject(root, "scenario_steps", hub_scenario_steps(b->scenario));
        cJSON_AddNumberToObject(root, "scenario_steps_done", hub_scenario_done(b->scenario));
    }
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}

int hub_stats_write(const struct hub_broker *b, const char *path)
{
    char *text = hub_stats_json(b);
    int rc = text ? hub_state_write_file(path, text) : -ENOMEM;

    free(text);
    return rc;
}

static void totals_json(cJSON *to, const struct hub_broker *b)
{
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"events", b->events},
        {"connections", b->connections},
        {"connections_amqp", b->connections_by[HUB_TRANSPORT_AMQP]},
        {"connections_amqps", b->connections_by[HUB_TRANSPORT_AMQPS]},
        {"connections_ws", b->connections_by[HUB_TRANSPORT_WS]},
        {"connections_wss", b->connections_by[HUB_TRANSPORT_WSS]},
        {"connections_cut", b->connections_cut},
        {"handshakes_failed", b->handshakes_failed},
        {"handshakes_refused", b->handshakes_refused},
        {"upgrades_refused", b->upgrades_refused},
        {"links_refused", b->links_refused},
        {"links_detached", b->links_detached},
        {"deliveries", b->deliveries},
        {"rejected", b->rejected},
        {"throttled", b->throttled},
        {"released", b->released},
        {"modified", b->modified},
        {"unanswered", b->unanswered},
        {"tokens_accepted", b->tokens_accepted},
        {"tokens_refused", b->tokens_refused},
        {"requests_failed", b->requests_failed},
        {"faults_played", b->faults_played},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cJSON_AddNumberToObject(to, rows[i].name, (double)rows[i].value);
}

/* What there is at this moment. */
static void open_json(cJSON *to, const struct hub_broker *b)
{
    unsigned connections = 0, links = 0, faults = 0;

    for (const struct hub_conn *c = b->conns; c; c = c->next) {
        connections += c->state != HUB_CONN_DEAD;
        links += c->state == HUB_CONN_OPEN ? c->link_count : 0;
    }
    for (unsigned i = 0; i < b->faults.count; i++)
        faults += hub_fault_stands(b->faults.at[i], b->now_mono_ms);
    cJSON_AddNumberToObject(to, "connections_open", connections);
    cJSON_AddNumberToObject(to, "links_open", links);
    cJSON_AddNumberToObject(to, "faults_standing", faults);
}

static void counts_add(struct hub_counts *sum, const struct hub_counts *c)
{
    sum->events += c->events;
    sum->batches += c->batches;
    sum->bytes += c->bytes;
    sum->dropped_events += c->dropped_events;
    if (c->batch_events_max > sum->batch_events_max)
        sum->batch_events_max = c->batch_events_max;
}

static void counts_print(FILE *to, const char *hub, const char *partition, const struct hub_counts *c)
{
    fprintf(to,
            "hub=%s partition=%s events=%llu batches=%llu bytes=%llu events_per_batch_mean=%.1f events_per_batch_max=%llu "
            "dropped_events=%llu\n",
            hub, partition, (unsigned long long)c->events, (unsigned long long)c->batches, (unsigned long long)c->bytes, mean(c),
            (unsigned long long)c->batch_events_max, (unsigned long long)c->dropped_events);
}

static void counts_json(cJSON *to, const struct hub_counts *c)
{
    cJSON_AddNumberToObject(to, "events", (double)c->events);
    cJSON_AddNumberToObject(to, "batches", (double)c->batches);
    cJSON_AddNumberToObject(to, "bytes", (double)c->bytes);
    cJSON_AddNumberToObject(to, "events_per_batch_mean", mean(c));
    cJSON_AddNumberToObject(to, "events_per_batch_max", (double)c->batch_events_max);
    cJSON_AddNumberToObject(to, "dropped_events", (double)c->dropped_events);
}

static double mean(const struct hub_counts *c)
{
    return c->batches ? (double)c->events / (double)c->batches : 0;
}

static cJSON *entity_json(const struct hub_entity *e)
{
    cJSON *hub = cJSON_CreateObject(), *partitions = cJSON_CreateArray();
    struct hub_counts sum = {0};

    for (uint32_t k = 0; k < e->partition_count; k++) {
        cJSON *p = cJSON_CreateObject();
        cJSON_AddStringToObject(p, "id", e->partitions[k].id);
        counts_json(p, &e->partitions[k].counts);
        cJSON_AddItemToArray(partitions, p);
        counts_add(&sum, &e->partitions[k].counts);
    }
    cJSON_AddStringToObject(hub, "name", e->name);
    counts_json(hub, &sum);
    cJSON_AddItemToObject(hub, "partitions", partitions);
    return hub;
}
