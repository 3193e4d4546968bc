/* The views of an audit: text, JSON, and what goes to standard error. */
#include "audit_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "look.h"
#include "ringbuf/ring_dropped.h"
#include "ringbuf/ring_refused.h"

enum { NAME_BYTES = 400, REASON_BYTES = 24 };

static const char *const verdicts[] = {[AUDIT_CLOSES] = "closes", [AUDIT_OPEN] = "open", [AUDIT_UNKNOWN] = "unknown"};

static void print_part(const struct audit_stream *audit, const struct audit_part *part);
static void print_ledger(const struct ring_ledger *ledger, enum audit_verdict verdict);
static void print_reasons(const uint64_t *count, uint32_t reasons, const char *(*name_of)(uint32_t));
static const char *reason_name(const char *(*name_of)(uint32_t), uint32_t reason, char name[REASON_BYTES]);
static void complain(const struct audit_stream *audit, const struct audit_part *part);
static const char *part_name(const struct audit_stream *audit, const struct audit_part *part, char name[NAME_BYTES]);
static cJSON *part_json(const struct audit_part *part);
static void ledger_json(cJSON *object, const struct ring_ledger *ledger);
static void add_reasons(cJSON *object, const char *title, const uint64_t *count, uint32_t reasons, const char *(*name_of)(uint32_t));
static void add_number(cJSON *object, const char *name, uint64_t value);
static void add_text(cJSON *object, const char *name, const char *text);

void stat_audit_text(const struct audit_stream *audit)
{
    char label[STAT_LABEL_BYTES];

    for (size_t i = 0; i < audit->ring_count; i++)
        print_part(audit, &audit->ring[i]);
    if (audit->has_removed)
        print_part(audit, &audit->removed);
    printf("stream %s, %zu rings and %" PRIu64 " removed: ", stat_label(audit->name, strlen(audit->name), label), audit->ring_count,
           audit->totals.removed_rings);
    if (audit->verdict == AUDIT_UNKNOWN)
        printf("CANNOT TELL%s%s; what can be read:\n", audit->why[0] ? ": " : "", audit->why);
    print_ledger(&audit->sum, audit->verdict);
}

cJSON *stat_audit_json(const struct audit_stream *audit, const char *rings_dir)
{
    cJSON *object = cJSON_CreateObject(), *rings, *removed;
    char path[4096];

    add_text(object, "stream", audit->name);
    cJSON_AddStringToObject(object, "verdict", verdicts[audit->verdict]);
    if (audit->why[0])
        add_text(object, "error", audit->why);
    ledger_json(object, &audit->sum);
    rings = cJSON_AddArrayToObject(object, "rings");
    for (size_t i = 0; i < audit->ring_count; i++) {
        cJSON *ring = part_json(&audit->ring[i]);
        snprintf(path, sizeof(path), "%s/%s/%s", rings_dir, audit->name, audit->ring[i].file);
        add_text(ring, "path", path);
        cJSON_AddItemToArray(rings, ring);
    }
    if (!audit->has_removed) {
        cJSON_AddNullToObject(object, "removed");
        return object;
    }
    removed = part_json(&audit->removed);
    add_number(removed, "removed_rings", audit->totals.removed_rings);
    cJSON_AddItemToObject(object, "removed", removed);
    return object;
}

void stat_audit_complain(const struct audit_stream *audit)
{
    char label[STAT_LABEL_BYTES];

    for (size_t i = 0; i < audit->ring_count; i++)
        complain(audit, &audit->ring[i]);
    complain(audit, &audit->removed);
    if (audit->why[0])
        fprintf(stderr, "ehring-stat: stream %s: cannot tell: %s\n", stat_label(audit->name, strlen(audit->name), label), audit->why);
}

static void print_part(const struct audit_stream *audit, const struct audit_part *part)
{
    char name[NAME_BYTES];

    printf("%s: ", part_name(audit, part, name));
    if (part->verdict == AUDIT_UNKNOWN)
        printf("CANNOT TELL: %s\n", part->why);
    else
        print_ledger(&part->ledger, part->verdict);
}

static void print_ledger(const struct ring_ledger *ledger, enum audit_verdict verdict)
{
    if (verdict == AUDIT_CLOSES)
        printf("closes\n");
    else if (verdict == AUDIT_OPEN)
        printf("DOES NOT CLOSE, difference %" PRId64 "\n", ring_ledger_difference(ledger));
    printf("  committed %" PRIu64 " %s accepted %" PRIu64 " + dead-lettered %" PRIu64 " + dropped %" PRIu64 " + pending %" PRIu64 "\n",
           ledger->committed_events, ring_ledger_difference(ledger) == 0 ? "=" : "is not", ledger->accepted_events,
           ledger->dead_lettered_events, ledger->dropped_events, ledger->pending_events);
    if (ledger->dropped_events > 0) {
        printf("  dropped");
        print_reasons(ledger->dropped, RING_DROPPED_REASONS, ring_dropped_name);
        putchar('\n');
    }
    printf("  beside: maybe duplicate %" PRIu64 ", refused %" PRIu64, ledger->maybe_duplicate_events, ledger->refused_calls);
    print_reasons(ledger->refused, RING_REFUSED_REASONS, ring_refused_name);
    putchar('\n');
}

/* " (full 3, timed_out 1)", or nothing. */
static void print_reasons(const uint64_t *count, uint32_t reasons, const char *(*name_of)(uint32_t))
{
    const char *before = " (";
    char name[REASON_BYTES];

    for (uint32_t i = 0; i < reasons; i++)
        if (count[i] > 0) {
            printf("%s%s %" PRIu64, before, reason_name(name_of, i, name), count[i]);
            before = ", ";
        }
    printf("%s", before[0] == ',' ? ")" : "");
}

/* A slot that a newer program gave a meaning is shown by its number. */
static const char *reason_name(const char *(*name_of)(uint32_t), uint32_t reason, char name[REASON_BYTES])
{
    if (name_of(reason))
        return name_of(reason);
    snprintf(name, REASON_BYTES, "reason%" PRIu32, reason);
    return name;
}

static void complain(const struct audit_stream *audit, const struct audit_part *part)
{
    const struct ring_ledger *ledger = &part->ledger;
    char name[NAME_BYTES];

    switch (part->verdict) {
    case AUDIT_CLOSES:
        break;
    case AUDIT_OPEN:
        fprintf(stderr,
                "ehring-stat: %s does not close: committed %" PRIu64 ", accepted %" PRIu64 ", dead-lettered %" PRIu64 ", dropped %" PRIu64
                ", pending %" PRIu64 ", difference %" PRId64 "\n",
                part_name(audit, part, name), ledger->committed_events, ledger->accepted_events, ledger->dead_lettered_events,
                ledger->dropped_events, ledger->pending_events, ring_ledger_difference(ledger));
        break;
    case AUDIT_UNKNOWN:
        fprintf(stderr, "ehring-stat: %s: cannot tell: %s\n", part_name(audit, part, name), part->why);
        break;
    }
}

/* File names may hold anything. */
static const char *part_name(const struct audit_stream *audit, const struct audit_part *part, char name[NAME_BYTES])
{
    if (part->file)
        snprintf(name, NAME_BYTES, "ring %s/%s", audit->name, part->file);
    else
        snprintf(name, NAME_BYTES, "removed rings of %s (%" PRIu64 ")", audit->name, audit->totals.removed_rings);
    for (char *c = name; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    return name;
}

static cJSON *part_json(const struct audit_part *part)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "verdict", verdicts[part->verdict]);
    if (part->verdict == AUDIT_UNKNOWN)
        add_text(object, "error", part->why);
    else
        ledger_json(object, &part->ledger);
    return object;
}

static void ledger_json(cJSON *object, const struct ring_ledger *ledger)
{
    char text[24];

    add_number(object, "committed_events", ledger->committed_events);
    add_number(object, "accepted_events", ledger->accepted_events);
    add_number(object, "dead_lettered_events", ledger->dead_lettered_events);
    add_number(object, "dropped_events", ledger->dropped_events);
    add_number(object, "pending_events", ledger->pending_events);
    snprintf(text, sizeof(text), "%" PRId64, ring_ledger_difference(ledger));
    cJSON_AddRawToObject(object, "difference_events", text);
    add_number(object, "maybe_duplicate_events", ledger->maybe_duplicate_events);
    add_number(object, "refused_calls", ledger->refused_calls);
    add_reasons(object, "dropped", ledger->dropped, RING_DROPPED_REASONS, ring_dropped_name);
    add_reasons(object, "refused", ledger->refused, RING_REFUSED_REASONS, ring_refused_name);
}

static void add_reasons(cJSON *object, const char *title, const uint64_t *count, uint32_t reasons, const char *(*name_of)(uint32_t))
{
    cJSON *by_reason = cJSON_AddObjectToObject(object, title);
    char name[REASON_BYTES];

    for (uint32_t i = 0; i < reasons; i++)
        if (count[i] > 0)
            add_number(by_reason, reason_name(name_of, i, name), count[i]);
}

static void add_number(cJSON *object, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    cJSON_AddRawToObject(object, name, text);
}

/* JSON must be UTF-8. */
static void add_text(cJSON *object, const char *name, const char *text)
{
    char clean[4096];
    size_t len = strnlen(text, sizeof(clean) - 1);

    for (size_t i = 0; i < len; i++)
        clean[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    clean[len] = '\0';
    cJSON_AddStringToObject(object, name, clean);
}
