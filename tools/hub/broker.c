/* The hubs of this process: entities, partitions, policies, counters. Chooses partitions and stores; looks into no connection. */
#include "broker.h"

#include "hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SEGMENT_BYTES_MIN = 64 << 10, SEGMENT_BYTES_MAX = 4 << 20 };

static int groups_read(struct hub_entity *e, const char *list);
static void partitions_make(struct hub_entity *e, size_t store_bytes_max);
static bool name_is_good(const char *name, size_t len);
static void event_store(struct hub_broker *b, struct hub_partition *p, const struct hub_record *r);
static void make_room(struct hub_broker *b, struct hub_entity *e, size_t growth);
static void drop_oldest(struct hub_entity *e);

int hub_broker_add(struct hub_broker *b, const char *spec)
{
    size_t len = strcspn(spec, ":");
    struct hub_entity *e = hub_alloc(1, sizeof(*e));
    char *end = NULL;
    int rc = -EINVAL;

    if (!name_is_good(spec, len) || spec[len] != ':')
        goto out;
    memcpy(e->name, spec, len);
    unsigned long count = strtoul(spec + len + 1, &end, 10);
    if (end == spec + len + 1 || count == 0 || count > HUB_PARTITIONS_MAX || (*end && *end != ':'))
        goto out;
    e->partition_count = (uint32_t)count;
    memcpy(e->groups[e->group_count++], "$Default", 9);
    if (*end == ':' && groups_read(e, end + 1) < 0)
        goto out;
    rc = hub_broker_find(b, e->name) ? -EEXIST : b->entity_count == HUB_ENTITIES_MAX ? -ENOSPC : 0;
    if (rc < 0)
        goto out;
    partitions_make(e, b->store_bytes_max);
    e->created_ms = b->now_ms;
    b->entities[b->entity_count++] = e;
    return 0;
out:
    free(e);
    return rc;
}

struct hub_entity *hub_broker_find(const struct hub_broker *b, const char *name)
{
    for (unsigned i = 0; i < b->entity_count; i++) {
        if (strcasecmp(b->entities[i]->name, name) == 0)
            return b->entities[i];
    }
    return NULL;
}

struct hub_partition *hub_entity_partition(struct hub_entity *e, const char *id)
{
    char *end;
    unsigned long i = strtoul(id, &end, 10);

    if (*end || i >= e->partition_count || strcmp(e->partitions[i].id, id) != 0)
        return NULL;
    return &e->partitions[i];
}

bool hub_entity_has_group(const struct hub_entity *e, const char *group)
{
    for (unsigned i = 0; i < e->group_count; i++) {
        if (strcasecmp(e->groups[i], group) == 0)
            return true;
    }
    return false;
}

struct hub_partition *hub_entity_choose(struct hub_entity *e, const struct hub_message *m)
{
    if (m->key.len > 0)
        return &e->partitions[hub_key_partition(m->key.bytes, m->key.len, e->partition_count)];
    uint32_t i = e->next_partition;
    e->next_partition = i + 1 == e->partition_count ? 0 : i + 1;
    return &e->partitions[i];
}

void hub_broker_store(struct hub_broker *b, struct hub_partition *p, const struct hub_message *m, size_t len)
{
    struct hub_message rest = *m;
    struct hub_slice event;

    b->events += m->event_count;
    p->counts.events += m->event_count;
    p->counts.batches++;
    p->counts.bytes += len;
    if (m->event_count > p->counts.batch_events_max)
        p->counts.batch_events_max = m->event_count;
    if (b->sink) {
        hub_log_skip(&p->log, m->event_count, len, b->now_ms);
        return;
    }
    while (hub_message_next(&rest, &event)) {
        struct hub_event e;
        struct hub_error ignored;
        hub_event_read(&e, event.bytes, event.len, &ignored);
        struct hub_record r = {.time_ms = b->now_ms,
                               .key = e.key.bytes,
                               .key_len = (uint32_t)e.key.len,
                               .event = event.bytes,
                               .event_len = (uint32_t)event.len};
        event_store(b, p, &r);
    }
}

int hub_broker_load(struct hub_broker *b, const char *path)
{
    struct hub_storereader reader;
    struct hub_storerecord record;
    struct hub_storefile *file = b->file;
    int rc = hub_storereader_open(&reader, path);

    if (rc < 0)
        return rc;
    b->file = NULL;
    while ((rc = hub_storereader_next(&reader, &record)) > 0) {
        struct hub_entity *e = hub_broker_find(b, record.hub);
        if (!e || record.partition >= e->partition_count)
            continue;
        struct hub_partition *p = &e->partitions[record.partition];
        p->log.next_seq = record.record.seq;
        p->log.next_offset = record.record.offset;
        event_store(b, p, &record.record);
    }
    b->file = file;
    hub_storereader_close(&reader);
    return rc;
}

void hub_broker_free(struct hub_broker *b)
{
    for (unsigned i = 0; i < b->entity_count; i++) {
        struct hub_entity *e = b->entities[i];
        for (uint32_t k = 0; k < e->partition_count; k++)
            hub_log_free(&e->partitions[k].log);
        free(e->partitions);
        free(e);
    }
    b->entity_count = 0;
    EVP_PKEY_free(b->jwt_key);
    b->jwt_key = NULL;
    hub_faults_clear(&b->faults, NULL, b->now_mono_ms);
}

static int groups_read(struct hub_entity *e, const char *list)
{
    while (*list) {
        size_t len = strcspn(list, ",");
        if (e->group_count == HUB_GROUPS_MAX || !name_is_good(list, len))
            return -EINVAL;
        memcpy(e->groups[e->group_count++], list, len);
        list += len;
        list += *list == ',';
    }
    return 0;
}

static void partitions_make(struct hub_entity *e, size_t store_bytes_max)
{
    size_t share = store_bytes_max / e->partition_count / 4;

    e->segment_bytes = share < SEGMENT_BYTES_MIN ? SEGMENT_BYTES_MIN : share > SEGMENT_BYTES_MAX ? SEGMENT_BYTES_MAX : share;
    e->partitions = hub_alloc(e->partition_count, sizeof(*e->partitions));
    for (uint32_t i = 0; i < e->partition_count; i++) {
        e->partitions[i].entity = e;
        e->partitions[i].index = i;
        snprintf(e->partitions[i].id, sizeof(e->partitions[i].id), "%u", i);
    }
}

static bool name_is_good(const char *name, size_t len)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._$";

    return len > 0 && len < HUB_NAME_MAX && strspn(name, allowed) >= len;
}

static void event_store(struct hub_broker *b, struct hub_partition *p, const struct hub_record *r)
{
    size_t growth = hub_log_growth(&p->log, r->event_len, r->key_len, p->entity->segment_bytes);

    if (b->file) {
        struct hub_record numbered = *r;
        numbered.seq = p->log.next_seq;
        numbered.offset = p->log.next_offset;
        hub_storefile_put(b->file, p->entity->name, p->index, &numbered);
    }
    if (growth > 0)
        make_room(b, p->entity, growth);
    hub_log_append(&p->log, r, p->entity->segment_bytes);
}

static void make_room(struct hub_broker *b, struct hub_entity *e, size_t growth)
{
    while (e->memory_bytes > 0 && e->memory_bytes + growth > b->store_bytes_max)
        drop_oldest(e);
    e->memory_bytes += growth;
}

/* The segment whose first event is the oldest of the whole hub. */
static void drop_oldest(struct hub_entity *e)
{
    struct hub_partition *oldest = NULL;
    size_t bytes = 0;

    for (uint32_t i = 0; i < e->partition_count; i++) {
        struct hub_partition *p = &e->partitions[i];
        if (p->log.segment_count == 0)
            continue;
        if (!oldest || p->log.segments[0].first_time_ms < oldest->log.segments[0].first_time_ms)
            oldest = p;
    }
    if (!oldest)
        return;
    oldest->counts.dropped_events += hub_log_drop(&oldest->log, &bytes);
    e->memory_bytes -= bytes;
}
