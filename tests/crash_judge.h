/* The judge of crash_ship: what producers remember to have committed against what the hub's store and the dead-letter files hold. Looks at
 * nobody's counters. */
#ifndef TESTS_CRASH_JUDGE_H
#define TESTS_CRASH_JUDGE_H

#include <assert.h>
#include <cjson/cJSON.h>
#include <dirent.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tools/hub/storefile.h"

#define JUDGE_SLOTS 3u          /* producers at a time */
#define JUDGE_EVENTS_MAX 65536u /* of one life */
#define JUDGE_KEYS 5u           /* events have a key, none, or a partition, in turn */
#define JUDGE_PARTITIONS 2u     /* that events name */
#define JUDGE_LINES (JUDGE_KEYS + JUDGE_PARTITIONS)
#define JUDGE_TURN (JUDGE_KEYS + 3u)
#define JUDGE_UNORDERED UINT32_MAX
#define JUDGE_POISON "poison pill"
#define JUDGE_POISON_CONDITION "com.microsoft:argument-error"
#define JUDGE_FAULTS_SHOWN 10u

struct judge_witness { /* of one life, shared with the producer */
    _Atomic uint32_t committed;
    _Atomic uint32_t waits; /* for room */
};

struct judge_life {
    uint8_t *seen;              /* per event: 1 stored, 2 dead-lettered */
    uint32_t last[JUDGE_LINES]; /* per key or partition: the newest event at its first arrival */
    struct judge_witness *witness;
};

struct judge {
    uint32_t life_max; /* of one slot */
    struct judge_life *life;
    struct judge_witness *witness;
    uint64_t stored, stored_again, lettered, lettered_again, letters_cut;
    uint64_t committed, missing, waits;
    uint32_t faults;
};

/* Whose order an event stands in: a key's, a partition's, or JUDGE_UNORDERED. */
static inline uint32_t judge_line(uint32_t event)
{
    uint32_t turn = event % JUDGE_TURN;
    if (turn < JUDGE_KEYS)
        return turn;
    return turn == JUDGE_KEYS ? JUDGE_KEYS + event / JUDGE_TURN % JUDGE_PARTITIONS : JUDGE_UNORDERED;
}

/* About one in a thousand, in no step with keys. */
static inline bool judge_is_poison(uint32_t life, uint32_t event)
{
    return (event * 2654435761u + life * 97u) % 1009u == 7;
}

static inline void judge_open(struct judge *judge, uint32_t life_max)
{
    size_t count = (size_t)JUDGE_SLOTS * life_max;
    *judge = (struct judge){.life_max = life_max, .life = calloc(count, sizeof *judge->life)};
    judge->witness = mmap(NULL, count * sizeof *judge->witness, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert(judge->life && judge->witness != MAP_FAILED);
    for (size_t i = 0; i < count; i++)
        judge->life[i].witness = &judge->witness[i];
}

static inline struct judge_life *judge_life(struct judge *judge, uint32_t slot, uint32_t life)
{
    return &judge->life[(size_t)slot * judge->life_max + life];
}

static inline bool judge_blames(struct judge *judge)
{
    return judge->faults++ < JUDGE_FAULTS_SHOWN;
}

/* Whose event it is, from its body. NULL: nobody's. */
static inline struct judge_life *judge_read(struct judge *judge, const char *body, size_t len, uint32_t *event, bool *is_poison)
{
    char text[80] = "";
    unsigned slot, life;
    const char *at = memmem(body, len, "crash slot ", 11);
    size_t left = at ? len - (size_t)(at - body) : 0;
    if (at)
        memcpy(text, at, left < sizeof text - 1 ? left : sizeof text - 1);
    if (sscanf(text, "crash slot %u life %u event %u", &slot, &life, event) != 3 || slot >= JUDGE_SLOTS || life >= judge->life_max ||
        *event >= JUDGE_EVENTS_MAX) {
        if (judge_blames(judge))
            fprintf(stderr, "an event that nobody sent: %.60s\n", text);
        return NULL;
    }
    struct judge_life *of = judge_life(judge, slot, life);
    if (!of->seen)
        of->seen = calloc(JUDGE_EVENTS_MAX, 1);
    assert(of->seen);
    *is_poison = judge_is_poison(life, *event);
    return of;
}

static inline void judge_event_stored(struct judge *judge, const struct hub_record *record)
{
    uint32_t event;
    bool is_poison;
    struct judge_life *life = judge_read(judge, (const char *)record->event, record->event_len, &event, &is_poison);
    if (!life)
        return;
    uint32_t line = judge_line(event);
    if (is_poison && judge_blames(judge))
        fprintf(stderr, "poison is in the store: event %u\n", event);
    if (life->seen[event] & 1) {
        judge->stored_again++;
        return;
    }
    judge->stored++;
    life->seen[event] |= 1;
    if (line == JUDGE_UNORDERED)
        return;
    if (life->last[line] > event + 1 && judge_blames(judge))
        fprintf(stderr, "order: life %td, key or partition %u: event %u first came after event %u\n", life - judge->life, line, event,
                life->last[line] - 1);
    life->last[line] = event + 1;
}

/* Takes in a store file. One that goes on where an earlier one ended is taken after it. */
static inline void judge_store(struct judge *judge, const char *path)
{
    static struct hub_storerecord record;
    struct hub_storereader reader;
    int rc = hub_storereader_open(&reader, path);
    assert(rc == 0);
    while ((rc = hub_storereader_next(&reader, &record)) == 1)
        judge_event_stored(judge, &record.record);
    assert(rc == 0);
    hub_storereader_close(&reader);
}

static inline void judge_letter(struct judge *judge, const char *line, bool is_whole)
{
    uint32_t event;
    bool is_poison;
    cJSON *letter = cJSON_Parse(line);
    const char *body = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(letter, "body"));
    const char *condition = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(letter, "condition"));
    const char *reason = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(letter, "reason"));
    struct judge_life *life = NULL;
    if (!letter && !is_whole) {
        judge->letters_cut++; /* by a kill, before it was settled */
    } else if (!body || !condition || !reason || strcmp(condition, JUDGE_POISON_CONDITION) != 0 || strcmp(reason, "rejected") != 0) {
        if (judge_blames(judge))
            fprintf(stderr, "not a dead letter of ours: %.200s\n", line);
    } else {
        life = judge_read(judge, body, strlen(body), &event, &is_poison);
    }
    cJSON_Delete(letter);
    if (!life)
        return;
    if (!is_poison && judge_blames(judge))
        fprintf(stderr, "a good event is a dead letter: life %td event %u\n", life - judge->life, event);
    if (life->seen[event] & 2)
        judge->lettered_again++;
    else
        judge->lettered++;
    life->seen[event] |= 2;
}

/* Takes in all segments of a directory. None was made: no letters. */
static inline void judge_letters(struct judge *judge, const char *dir_path)
{
    DIR *dir = opendir(dir_path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[600], *line = NULL;
        size_t cap = 0;
        ssize_t len;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%.200s/%.255s", dir_path, entry->d_name);
        FILE *from = fopen(path, "r");
        assert(from);
        while ((len = getline(&line, &cap, from)) > 0)
            judge_letter(judge, line, line[len - 1] == '\n');
        free(line);
        fclose(from);
    }
    if (dir)
        closedir(dir);
}

/* When all has been taken in: each event that a producer saw committed is where it belongs. */
static inline void judge_missing(struct judge *judge)
{
    for (uint32_t slot = 0; slot < JUDGE_SLOTS; slot++) {
        for (uint32_t life = 0; life < judge->life_max; life++) {
            const struct judge_life *of = judge_life(judge, slot, life);
            uint32_t count = atomic_load(&of->witness->committed);
            judge->committed += count;
            judge->waits += atomic_load(&of->witness->waits);
            for (uint32_t event = 0; event < count; event++)
                if (!of->seen || of->seen[event] != (judge_is_poison(life, event) ? 2 : 1))
                    if (judge->missing++ < JUDGE_FAULTS_SHOWN)
                        fprintf(stderr, "lost: slot %u life %u event %u of %u committed%s\n", slot, life, event, count,
                                judge_is_poison(life, event) ? ", poison" : "");
        }
    }
}

static inline void judge_close(struct judge *judge)
{
    size_t count = (size_t)JUDGE_SLOTS * judge->life_max;
    for (size_t i = 0; i < count; i++)
        free(judge->life[i].seen);
    free(judge->life);
    munmap(judge->witness, count * sizeof *judge->witness);
}

#endif
