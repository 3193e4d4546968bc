/* Faults on demand: the list of those that stand, and which of them is due. */
#include "fault.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

static bool is_due(struct hub_fault *f);
static void use(struct hub_fault *f);
static bool is_setting(enum hub_fault_kind kind);

void hub_fault_free(struct hub_fault *f)
{
    if (!f)
        return;
    hub_pattern_free(&f->pattern);
    free(f);
}

bool hub_fault_is_act(enum hub_fault_kind kind)
{
    return kind >= HUB_FAULT_DROP_CONNECTIONS;
}

bool hub_fault_stands(const struct hub_fault *f, int64_t now_ms)
{
    return !f->over && (f->until_ms == 0 || now_ms < f->until_ms);
}

int hub_faults_put(struct hub_faults *s, struct hub_fault *f, int64_t now_ms)
{
    struct hub_fault *old = is_setting(f->kind) ? hub_faults_find(s, f->kind, now_ms) : NULL;

    if (old)
        old->over = true;
    hub_faults_tidy(s, now_ms);
    if (s->count == HUB_FAULTS_MAX)
        return -ENOSPC;
    f->until_ms = f->for_ms > 0 ? now_ms + f->for_ms : 0;
    f->bytes_left = f->bytes;
    f->rate.at_ms = now_ms;
    s->at[s->count++] = f;
    return 0;
}

struct hub_fault *hub_faults_find(const struct hub_faults *s, enum hub_fault_kind kind, int64_t now_ms)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (s->at[i]->kind == kind && hub_fault_stands(s->at[i], now_ms))
            return s->at[i];
    }
    return NULL;
}

const struct hub_fault *hub_faults_delivery(struct hub_faults *s, const char *path, const struct hub_message *m, int64_t now_ms)
{
    struct hub_fault *due = NULL;

    for (unsigned i = 0; i < s->count; i++) {
        struct hub_fault *f = s->at[i];
        if (f->kind > HUB_FAULT_DETACH_AFTER || !hub_fault_stands(f, now_ms) || !hub_fault_is_of(f, path))
            continue;
        if (hub_pattern_finds(&f->pattern, m) && is_due(f) && !due)
            due = f;
    }
    if (due)
        use(due);
    return due;
}

const struct hub_fault *hub_faults_request(struct hub_faults *s, enum hub_fault_kind kind, const char *path, int64_t now_ms)
{
    struct hub_fault *due = NULL;

    for (unsigned i = 0; i < s->count; i++) {
        struct hub_fault *f = s->at[i];
        if (f->kind == kind && hub_fault_stands(f, now_ms) && hub_fault_is_of(f, path) && is_due(f) && !due)
            due = f;
    }
    if (due)
        use(due);
    return due;
}

size_t hub_faults_bytes(const struct hub_faults *s, enum hub_fault_kind kind, size_t len, int64_t now_ms)
{
    const struct hub_fault *f = s->count > 0 ? hub_faults_find(s, kind, now_ms) : NULL;

    return f && f->bytes_left < len ? (size_t)f->bytes_left : len;
}

bool hub_faults_pass(struct hub_faults *s, enum hub_fault_kind kind, size_t len, int64_t now_ms)
{
    struct hub_fault *f = s->count > 0 ? hub_faults_find(s, kind, now_ms) : NULL;

    if (!f)
        return false;
    f->bytes_left -= len;
    if (f->bytes_left > 0)
        return false;
    f->bytes_left = f->bytes;
    use(f);
    return true;
}

bool hub_fault_is_of(const struct hub_fault *f, const char *path)
{
    return !f->address[0] || fnmatch(f->address, path, FNM_CASEFOLD) == 0;
}

int64_t hub_faults_end_ms(const struct hub_faults *s, int64_t now_ms)
{
    int64_t first = INT64_MAX;

    for (unsigned i = 0; i < s->count; i++) {
        const struct hub_fault *f = s->at[i];
        if (f->until_ms > 0 && f->until_ms < first && hub_fault_stands(f, now_ms))
            first = f->until_ms;
    }
    return first;
}

unsigned hub_faults_clear(struct hub_faults *s, const char *name, int64_t now_ms)
{
    unsigned count;

    hub_faults_tidy(s, now_ms);
    count = s->count;
    for (unsigned i = 0; i < s->count; i++)
        s->at[i]->over |= !name || strcmp(s->at[i]->name, name) == 0;
    hub_faults_tidy(s, now_ms);
    return count - s->count;
}

void hub_faults_tidy(struct hub_faults *s, int64_t now_ms)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < s->count; i++) {
        if (hub_fault_stands(s->at[i], now_ms))
            s->at[kept++] = s->at[i];
        else
            hub_fault_free(s->at[i]);
    }
    s->count = kept;
}

static bool is_due(struct hub_fault *f)
{
    return f->every == 0 || ++f->seen % f->every == 0;
}

static void use(struct hub_fault *f)
{
    if (f->next > 0 && --f->next == 0)
        f->over = true;
}

static bool is_setting(enum hub_fault_kind kind)
{
    return kind >= HUB_FAULT_STOP_CREDIT && kind <= HUB_FAULT_WS_FRAGMENT;
}
