/* Carries out a fault, wherever it came from: at once on the open connections, or by putting it among those that stand. */
#include "play.h"

#include "claim.h"
#include "conn.h"
#include "detach.h"
#include "listener.h"
#include "session.h"
#include "settle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void act(struct hub_broker *b, const struct hub_fault *f);
static void act_on(struct hub_conn *c, const struct hub_fault *f);
static void expire_tokens(struct hub_conn *c);
static void detach_senders(struct hub_conn *c, const struct hub_fault *f);
static void end_sessions(struct hub_conn *c, const struct hub_fault *f);
static int lines_read(const char *lines, struct hub_fault *faults[HUB_FAULTS_MAX], char why[HUB_WHY_MAX]);
static int line_read(const char *line, size_t len, struct hub_fault **fault, char why[HUB_WHY_MAX]);

int hub_play(struct hub_broker *b, struct hub_fault *fault, char why[HUB_WHY_MAX])
{
    if (b->verbose)
        fprintf(stderr, "ehring-hub: fault %s\n", fault->source);
    if (hub_fault_is_act(fault->kind)) {
        act(b, fault);
        hub_fault_free(fault);
    } else if (hub_faults_put(&b->faults, fault, b->now_mono_ms) < 0) {
        snprintf(why, HUB_WHY_MAX, "%s: %d faults stand already", fault->name, HUB_FAULTS_MAX);
        hub_fault_free(fault);
        return -ENOSPC;
    }
    if (b->listeners)
        hub_listeners_set(b->listeners, !hub_broker_fault(b, HUB_FAULT_REFUSE_CONNECTIONS));
    b->faults_played++;
    return 0;
}

int hub_play_text(struct hub_broker *b, const char *text, char why[HUB_WHY_MAX])
{
    struct hub_fault *fault;
    int rc = hub_fault_read(text, &fault, why);

    return rc < 0 ? rc : hub_play(b, fault, why);
}

int hub_play_lines(struct hub_broker *b, const char *lines, char why[HUB_WHY_MAX])
{
    struct hub_fault *faults[HUB_FAULTS_MAX];
    int count = lines_read(lines, faults, why), rc = 0;

    for (int i = 0; i < count; i++) {
        if (rc == 0)
            rc = hub_play(b, faults[i], why);
        else
            hub_fault_free(faults[i]);
    }
    return rc < 0 ? rc : count;
}

static void act(struct hub_broker *b, const struct hub_fault *f)
{
    if (f->kind == HUB_FAULT_CLEAR) {
        hub_faults_clear(&b->faults, f->of, b->now_mono_ms);
        return;
    }
    for (struct hub_conn *c = b->conns; c; c = c->next)
        act_on(c, f);
}

/* Frees nothing: it may be a delivery of this very connection that brought the scenario on. */
static void act_on(struct hub_conn *c, const struct hub_fault *f)
{
    if (f->kind == HUB_FAULT_DROP_CONNECTIONS)
        hub_conn_cut(c);
    else if (f->kind == HUB_FAULT_CLOSE)
        hub_conn_fail(c, &f->error);
    else if (f->kind == HUB_FAULT_WS_CLOSE)
        hub_conn_close_websocket(c, (uint16_t)f->code, f->error.text);
    else if (f->kind == HUB_FAULT_DETACH)
        detach_senders(c, f);
    else if (f->kind == HUB_FAULT_END)
        end_sessions(c, f);
    else if (f->kind == HUB_FAULT_EXPIRE_TOKENS)
        expire_tokens(c);
}

static void expire_tokens(struct hub_conn *c)
{
    hub_claim_expire(c);
    hub_conn_check_claims(c);
}

static void detach_senders(struct hub_conn *c, const struct hub_fault *f)
{
    if (c->state != HUB_CONN_OPEN)
        return;
    hub_settle_flush(c);
    for (unsigned k = 0; k <= HUB_CHANNEL_MAX; k++) {
        for (unsigned i = 0; c->sessions[k] && i <= HUB_HANDLE_MAX; i++) {
            struct hub_link *l = c->sessions[k]->links[i];
            if (l && l->node == HUB_NODE_SENDER && hub_fault_is_of(f, l->path))
                hub_link_fail(l, &f->error);
        }
    }
}

static void end_sessions(struct hub_conn *c, const struct hub_fault *f)
{
    for (unsigned k = 0; k <= HUB_CHANNEL_MAX; k++) {
        if (c->sessions[k])
            hub_session_fail(c->sessions[k], &f->error);
    }
}

static int lines_read(const char *lines, struct hub_fault *faults[HUB_FAULTS_MAX], char why[HUB_WHY_MAX])
{
    char reason[HUB_WHY_MAX];
    int count = 0, rc = 0;

    for (unsigned number = 1; *lines && rc >= 0; number++) {
        size_t len = strcspn(lines, "\n");
        rc = count == HUB_FAULTS_MAX ? -ENOSPC : line_read(lines, len, &faults[count], reason);
        if (rc == -ENOSPC)
            snprintf(why, HUB_WHY_MAX, "line %u: more than %d faults at once", number, HUB_FAULTS_MAX);
        else if (rc < 0)
            snprintf(why, HUB_WHY_MAX, "line %u: %.*s", number, HUB_WHY_MAX - 32, reason);
        count += rc > 0;
        lines += len + (lines[len] == '\n');
    }
    while (rc < 0 && count > 0)
        hub_fault_free(faults[--count]);
    return rc < 0 ? rc : count;
}

/* 1: a fault, 0: nothing. */
static int line_read(const char *line, size_t len, struct hub_fault **fault, char why[HUB_WHY_MAX])
{
    char text[HUB_FAULT_TEXT_MAX + 1];

    if (len > 0 && line[len - 1] == '\r')
        len--;
    if (len >= sizeof(text))
        len = sizeof(text) - 1;
    memcpy(text, line, len);
    text[len] = 0;
    size_t blanks = strspn(text, " \t");
    if (text[blanks] == 0 || text[blanks] == '#')
        return 0;
    int rc = hub_fault_read(text, fault, why);
    return rc < 0 ? rc : 1;
}
