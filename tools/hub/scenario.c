/* A script of faults that are played in order: its file read, its steps done when their turn has come. */
#include "scenario.h"

#include "play.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 10000, LINE_MAX_BYTES = HUB_FAULT_TEXT_MAX + 2 };

enum wait { WAIT_EVENTS, WAIT_DELIVERIES, WAIT_CONNECTIONS, WAIT_TIME };

static const char *const wait_names[] = {"events=", "deliveries=", "connections=", "time="};

struct step {
    struct hub_fault *fault; /* NULL: a wait */
    enum wait wait;
    uint64_t amount; /* ms for a time */
    unsigned line;
};

struct hub_scenario {
    struct step *steps;
    unsigned count, done;
    bool waits;     /* for the step `done`: */
    uint64_t until; /* what its counter must reach */
};

static int line_read(struct hub_scenario *s, char *line, unsigned number, char why[HUB_WHY_MAX]);
static int wait_read(struct step *step, const char *text, char why[HUB_WHY_MAX]);
static bool amount_read(struct step *step, const char *text);
static uint64_t counter(const struct hub_broker *b, enum wait wait);
static bool wait_is_over(struct hub_scenario *s, const struct hub_broker *b);

int hub_scenario_read(const char *path, struct hub_scenario **scenario, char why[HUB_WHY_MAX])
{
    FILE *file = fopen(path, "re");
    char line[LINE_MAX_BYTES], reason[HUB_WHY_MAX] = "";
    struct hub_scenario *s = hub_alloc(1, sizeof(*s));
    unsigned number = 0;
    int rc = file ? 0 : -errno;

    if (rc < 0)
        snprintf(why, HUB_WHY_MAX, "%.512s: %s", path, strerror(-rc));
    while (rc == 0 && fgets(line, sizeof(line), file)) {
        rc = line_read(s, line, ++number, reason);
        if (rc < 0)
            snprintf(why, HUB_WHY_MAX, "%.256s:%u: %.*s", path, number, HUB_WHY_MAX - 300, reason);
    }
    if (rc == 0 && ferror(file)) {
        rc = -EIO;
        snprintf(why, HUB_WHY_MAX, "%.512s: it cannot be read", path);
    }
    if (file)
        fclose(file);
    if (rc < 0) {
        hub_scenario_free(s);
        return rc;
    }
    *scenario = s;
    return 0;
}

void hub_scenario_step(struct hub_scenario *s, struct hub_broker *b)
{
    char why[HUB_WHY_MAX];

    for (; s->done < s->count; s->done++) {
        struct step *step = &s->steps[s->done];
        if (!step->fault && !wait_is_over(s, b))
            return;
        if (step->fault && hub_play(b, step->fault, why) < 0)
            fprintf(stderr, "ehring-hub: scenario, line %u: %s\n", step->line, why);
        step->fault = NULL;
    }
}

int64_t hub_scenario_next_ms(const struct hub_scenario *s)
{
    if (s->done == s->count || !s->waits || s->steps[s->done].wait != WAIT_TIME)
        return INT64_MAX;
    return (int64_t)s->until;
}

unsigned hub_scenario_done(const struct hub_scenario *s)
{
    return s->done;
}

unsigned hub_scenario_steps(const struct hub_scenario *s)
{
    return s->count;
}

void hub_scenario_free(struct hub_scenario *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < s->count; i++)
        hub_fault_free(s->steps[i].fault);
    free(s->steps);
    free(s);
}

static int line_read(struct hub_scenario *s, char *line, unsigned number, char why[HUB_WHY_MAX])
{
    struct step step = {.line = number};
    size_t len = strlen(line);

    if (len == LINE_MAX_BYTES - 1 && line[len - 1] != '\n') {
        snprintf(why, HUB_WHY_MAX, "a line has %d bytes at most", HUB_FAULT_TEXT_MAX - 1);
        return -EINVAL;
    }
    while (len > 0 && strchr(" \t\r\n", line[len - 1]))
        line[--len] = 0;
    line += strspn(line, " \t");
    if (*line == 0 || *line == '#')
        return 0;
    if (s->count == STEPS_MAX) {
        snprintf(why, HUB_WHY_MAX, "a scenario has %d steps at most", STEPS_MAX);
        return -EINVAL;
    }
    bool is_wait = strncmp(line, "wait", 4) == 0 && (line[4] == 0 || line[4] == ' ' || line[4] == '\t');
    int rc = is_wait ? wait_read(&step, line + 4, why) : hub_fault_read(line, &step.fault, why);
    if (rc < 0)
        return rc;
    s->steps = hub_realloc(s->steps, (s->count + 1) * sizeof(*s->steps));
    s->steps[s->count++] = step;
    return 0;
}

static int wait_read(struct step *step, const char *text, char why[HUB_WHY_MAX])
{
    text += strspn(text, " \t");
    for (step->wait = WAIT_EVENTS; step->wait <= WAIT_TIME; step->wait++) {
        size_t len = strlen(wait_names[step->wait]);
        if (strncmp(text, wait_names[step->wait], len) == 0 && amount_read(step, text + len))
            return 0;
    }
    snprintf(why, HUB_WHY_MAX,
             "'wait %.64s': it takes one of events=N, deliveries=N, connections=N with N from 1, or time=T as 500ms, 4s, 2m, 1h", text);
    return -EINVAL;
}

static bool amount_read(struct step *step, const char *text)
{
    char *end;

    if (step->wait == WAIT_TIME)
        return hub_time_read(text, &step->amount) == 0;
    errno = 0;
    step->amount = strtoull(text, &end, 10);
    return errno == 0 && *text >= '0' && *text <= '9' && *end == 0 && step->amount > 0;
}

static uint64_t counter(const struct hub_broker *b, enum wait wait)
{
    switch (wait) {
    case WAIT_EVENTS:
        return b->events;
    case WAIT_DELIVERIES:
        return b->deliveries;
    case WAIT_CONNECTIONS:
        return b->connections;
    case WAIT_TIME:
        return (uint64_t)b->now_mono_ms;
    }
    return 0;
}

/* It begins to count when it is first asked. */
static bool wait_is_over(struct hub_scenario *s, const struct hub_broker *b)
{
    const struct step *step = &s->steps[s->done];
    uint64_t now = counter(b, step->wait);

    if (!s->waits)
        s->until = now + step->amount;
    s->waits = now < s->until;
    return !s->waits;
}
