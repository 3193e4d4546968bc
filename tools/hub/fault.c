/* Faults on demand: says of each delivery whether something is to go wrong with it. */
#include "fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum hub_fault_kind kind;
    const char *condition, *text;
} table[] = {
    {"reject", HUB_FAULT_REJECT, "amqp:internal-error", "The hub was told to reject this delivery."},
    {"release", HUB_FAULT_RELEASE, "", ""},
    {"modify", HUB_FAULT_MODIFY, "", ""},
    {"throttle", HUB_FAULT_THROTTLE, "com.microsoft:server-busy",
     "The request was terminated because the entity is being throttled. Error code : 50002. Please wait 4 seconds and try again."},
    {"silent-disposition", HUB_FAULT_SILENT, "", ""},
    {"drop-after", HUB_FAULT_DROP, "", ""},
    {"detach-after", HUB_FAULT_DETACH, "amqp:link:detach-forced", "The hub was told to detach this link."},
    {"token-refuse", HUB_FAULT_TOKEN_REFUSE, "", ""},
};

static int fault_read(struct hub_fault *fault, unsigned row, const char *rest);
static int error_read(struct hub_fault *fault, const char *from, const char *text);

int hub_faults_add(struct hub_faults *f, const char *spec)
{
    size_t len = strcspn(spec, ":");

    if (f->count == HUB_FAULTS_MAX)
        return -ENOSPC;
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strlen(table[i].name) != len || strncmp(table[i].name, spec, len) != 0)
            continue;
        if (fault_read(&f->at[f->count], i, spec + len) < 0)
            return -EINVAL;
        f->count++;
        return 0;
    }
    return -EINVAL;
}

const struct hub_fault *hub_faults_next(struct hub_faults *f)
{
    const struct hub_fault *due = NULL;

    for (unsigned i = 0; i < f->count; i++) {
        struct hub_fault *fault = &f->at[i];
        if (fault->kind == HUB_FAULT_TOKEN_REFUSE)
            continue;
        if (++fault->seen % fault->every == 0 && !due)
            due = fault;
    }
    return due;
}

bool hub_faults_refuse_tokens(const struct hub_faults *f)
{
    for (unsigned i = 0; i < f->count; i++) {
        if (f->at[i].kind == HUB_FAULT_TOKEN_REFUSE)
            return true;
    }
    return false;
}

/* `rest` is empty or begins with the colon before N. */
static int fault_read(struct hub_fault *fault, unsigned row, const char *rest)
{
    char *end;

    *fault = (struct hub_fault){.kind = table[row].kind};
    hub_error_set(&fault->error, table[row].condition, "%s", table[row].text);
    if (fault->kind == HUB_FAULT_TOKEN_REFUSE)
        return *rest ? -EINVAL : 0;
    if (*rest != ':')
        return -EINVAL;
    fault->every = strtoull(rest + 1, &end, 10);
    if (end == rest + 1 || fault->every == 0 || (*end && *end != ':'))
        return -EINVAL;
    return *end ? error_read(fault, end + 1, table[row].text) : 0;
}

/*
 * Conditions hold colons themselves, but no blanks: with a blank somewhere, the text begins behind the last colon in
 * front of it (`amqp:internal-error:try later`, `amqp:internal-error: later`); without one, all is the condition.
 */
static int error_read(struct hub_fault *fault, const char *from, const char *text)
{
    char condition[sizeof(fault->error.condition)];
    size_t len = strcspn(from, " ");

    if (from[len]) {
        const char *colon = memrchr(from, ':', len);
        if (!colon)
            return -EINVAL;
        len = (size_t)(colon - from);
        text = colon + 1 + strspn(colon + 1, " ");
    }
    if (len == 0 || len >= sizeof(condition))
        return -EINVAL;
    memcpy(condition, from, len);
    condition[len] = 0;
    hub_error_set(&fault->error, condition, "%s", text);
    return 0;
}
