/* Runs of deliveries on one link: the next is begun as credit allows, outcomes in any order become one. */
#include "conn_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int run_room(struct link *link, uint32_t count);
static void run_handed(struct link *link);
static void run_refused(struct run *run, uint32_t index, const struct delivery *delivery);

bool run_is_active(const struct link *link)
{
    return link->run && link->run->is_active;
}

int run_begin(struct link *link, uint64_t tag, const uint8_t *data, const uint32_t *lens, uint32_t count)
{
    int rc = run_room(link, count);
    if (rc < 0)
        return rc;
    struct run *run = link->run;
    memset(run->accepted, 0, count * sizeof *run->accepted);
    run->is_active = true;
    run->is_handed = run->is_failed = run->is_undeliverable_here = false;
    run->tag = tag;
    run->data = data;
    run->lens = lens;
    run->count = count;
    run->begun_count = run->judged_count = run->accepted_count = run->told_count = 0;
    run->refused_index = UINT32_MAX;
    run->outcome = CONN_ACCEPTED;
    run->text = (struct request_text){0};
    run->link = link;
    run->settled.is_of_run = true;
    run_go_on(link);
    return 0;
}

void run_go_on(struct link *link)
{
    struct run *run = link->run;
    if (run->is_handed)
        return;
    if (run->begun_count == run->count || run->refused_index != UINT32_MAX) {
        run_handed(link);
        return;
    }
    if (conn_link_credit(link->conn, link->number) == 0)
        return; /* link_changed comes back */
    uint32_t len = run->lens[run->begun_count];
    if (link_begin(link, run->tag, CONN_FORMAT_SINGLE, run->data, len) !=
        0) { /* no memory: it ends here, and the rest is told as not sent */
        if (run->refused_index == UINT32_MAX)
            run->outcome = CONN_RELEASED;
        run_handed(link);
        return;
    }
    link->sending->is_of_run = true;
    link->sending->run_index = run->begun_count++;
    run->data += len;
}

void run_judge(struct run *run, const struct delivery *delivery)
{
    struct link *link = run->link;
    run->judged_count++;
    if (delivery->outcome == CONN_ACCEPTED)
        run->accepted[delivery->run_index] = true;
    else
        run_refused(run, delivery->run_index, delivery);
    while (run->accepted_count < run->begun_count && run->accepted[run->accepted_count])
        run->accepted_count++;
    if (run->refused_index != UINT32_MAX && !link->sending)
        run_handed(link);
    if (run->is_handed && run->judged_count == run->begun_count)
        event_queue(link->conn, &run->settled, CONN_SETTLED);
    else if (run->accepted_count > run->told_count)
        event_queue(link->conn, &run->progress, CONN_PROGRESS);
}

void run_stop(struct link *link)
{
    if (link->run)
        link->run->is_handed = true;
}

void run_drop(struct link *link)
{
    if (link->run)
        link->run->is_active = false;
}

bool conn_run_was_accepted(const struct conn *conn, int number, uint32_t index)
{
    const struct link *link = link_get(conn, number);
    return link && link->run && index < link->run->count && link->run->accepted[index];
}

/* A place for `count` deliveries. One that is not active is in no queue: its CONN_SETTLED, the last it had to tell, was fetched. */
static int run_room(struct link *link, uint32_t count)
{
    if (link->run && link->run->cap >= count)
        return 0;
    uint32_t cap = 64;
    while (cap < count)
        cap *= 2;
    assert(!link->run || (!link->run->progress.is_queued && !link->run->settled.is_queued));
    struct run *grown = calloc(1, sizeof *grown + cap * sizeof grown->accepted[0]);
    if (!grown)
        return -ENOMEM;
    grown->cap = cap;
    free(link->run);
    link->run = grown;
    return 0;
}

static void run_handed(struct link *link)
{
    struct run *run = link->run;
    if (run->is_handed)
        return;
    run->is_handed = true;
    link->sent_tag = run->tag;
    event_queue(link->conn, &link->sent, CONN_SENT);
    if (run->judged_count == run->begun_count)
        event_queue(link->conn, &run->settled, CONN_SETTLED);
}

/* The first of them counts. */
static void run_refused(struct run *run, uint32_t index, const struct delivery *delivery)
{
    if (index >= run->refused_index)
        return;
    run->refused_index = index;
    run->outcome = delivery->outcome;
    run->is_failed = delivery->is_failed;
    run->is_undeliverable_here = delivery->is_undeliverable_here;
    run->text = delivery->text ? *delivery->text : (struct request_text){0};
}
