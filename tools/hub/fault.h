/* Faults on demand: one fault as it was asked for, and the list of those that stand. Knows no connections; play.h carries out. */
#ifndef HUB_FAULT_H
#define HUB_FAULT_H

#include "address.h"
#include "frame.h"
#include "pattern.h"
#include "rate.h"

#include <stdbool.h>
#include <stdint.h>

enum { HUB_FAULTS_MAX = 64, HUB_FAULT_TEXT_MAX = 2048, HUB_WHY_MAX = 1024 };

enum hub_fault_kind {
    /* of deliveries */
    HUB_FAULT_REJECT,
    HUB_FAULT_RELEASE,
    HUB_FAULT_MODIFY,
    HUB_FAULT_SILENT,       /* stored, never answered */
    HUB_FAULT_DROP_AFTER,   /* stored, connection cut */
    HUB_FAULT_DETACH_AFTER, /* stored, link detached */
    /* of one request each */
    HUB_FAULT_REFUSE_ATTACH,
    HUB_FAULT_FAIL_CBS,
    HUB_FAULT_FAIL_MANAGEMENT,
    HUB_FAULT_WS_REFUSE, /* an upgrade */
    HUB_FAULT_WS_HANG,   /* an upgrade is not answered */
    HUB_FAULT_WS_PING,   /* ahead of a message */
    /* of bytes */
    HUB_FAULT_CUT_RECEIVED,
    HUB_FAULT_CUT_SENT,
    HUB_FAULT_WS_CLOSE_AFTER,
    /* settings: one of a kind stands at a time */
    HUB_FAULT_STOP_CREDIT,
    HUB_FAULT_STOP_READING,
    HUB_FAULT_REFUSE_CONNECTIONS,
    HUB_FAULT_LATE,
    HUB_FAULT_MESSAGE_SIZE,
    HUB_FAULT_CREDIT,
    HUB_FAULT_TOKEN_LIFE,
    HUB_FAULT_RATE,
    HUB_FAULT_WS_SPLIT,
    HUB_FAULT_WS_FRAGMENT,
    /* done at once */
    HUB_FAULT_DROP_CONNECTIONS,
    HUB_FAULT_DETACH,
    HUB_FAULT_END,
    HUB_FAULT_CLOSE,
    HUB_FAULT_EXPIRE_TOKENS,
    HUB_FAULT_WS_CLOSE,
    HUB_FAULT_CLEAR,
};

struct hub_fault {
    enum hub_fault_kind kind;
    const char *name;
    char source[HUB_FAULT_TEXT_MAX]; /* as it was asked for */
    /* when */
    uint64_t every, seen;
    uint64_t next; /* how many more times; 0: no limit */
    int64_t for_ms;
    int64_t until_ms; /* of the monotonic clock; 0: no limit */
    bool over;
    /* which */
    char address[HUB_NAME_MAX]; /* glob over the path of links; empty: all */
    struct hub_pattern pattern;
    /* what */
    struct hub_error error;
    uint64_t bytes, bytes_left, count, code, status;
    int64_t time_ms; /* delay, longest life of a token, wait that is told */
    bool delivery_failed, undeliverable_here, unanswered;
    struct hub_rate rate;
    const char *of; /* name of the faults to clear; NULL: all */
};

struct hub_faults {
    struct hub_fault *at[HUB_FAULTS_MAX];
    unsigned count;
};

/*
 * Reads one fault from its text, see ehring-hub(1). 0, or -EINVAL with what is wrong and what is allowed in `why`.
 * The fault is the caller's to play or to free.
 */
int hub_fault_read(const char *text, struct hub_fault **fault, char why[HUB_WHY_MAX]);

/* Reads a time with its unit: 500ms, 4s, 2m, 1h. 0 or -EINVAL. */
int hub_time_read(const char *text, uint64_t *ms);

/* Takes NULL. */
void hub_fault_free(struct hub_fault *f);

/* Whether it is done at once and never stands. */
bool hub_fault_is_act(enum hub_fault_kind kind);

/* Whether it is not over yet. */
bool hub_fault_stands(const struct hub_fault *f, int64_t now_ms);

/* Puts a fault among those that stand and owns it; a setting replaces the one of its kind. -ENOSPC: too many, it is still the caller's. */
int hub_faults_put(struct hub_faults *s, struct hub_fault *f, int64_t now_ms);

/* The setting of this kind that stands, or NULL. */
struct hub_fault *hub_faults_find(const struct hub_faults *s, enum hub_fault_kind kind, int64_t now_ms);

/* Counts one delivery to `path` in every fault of deliveries; the first one that is due and has used up one of its times, or NULL. Valid
 * until the next put or clear. */
const struct hub_fault *hub_faults_delivery(struct hub_faults *s, const char *path, const struct hub_message *m, int64_t now_ms);

/* The same for a fault of requests of one kind. */
const struct hub_fault *hub_faults_request(struct hub_faults *s, enum hub_fault_kind kind, const char *path, int64_t now_ms);

/* How many of `len` bytes may pass before a connection is to be cut. */
size_t hub_faults_bytes(const struct hub_faults *s, enum hub_fault_kind kind, size_t len, int64_t now_ms);

/* Counts bytes that passed. True: this connection is to be cut. */
bool hub_faults_pass(struct hub_faults *s, enum hub_fault_kind kind, size_t len, int64_t now_ms);

/* Whether the fault's address matches a link's path. */
bool hub_fault_is_of(const struct hub_fault *f, const char *path);

/* When the next fault ends by itself (monotonic ms); INT64_MAX: none does. */
int64_t hub_faults_end_ms(const struct hub_faults *s, int64_t now_ms);

/* Ends those of a name, or all. Returns how many stood. */
unsigned hub_faults_clear(struct hub_faults *s, const char *name, int64_t now_ms);

/* Forgets those that are over, so that at[] holds what stands. */
void hub_faults_tidy(struct hub_faults *s, int64_t now_ms);

#endif
