/* Scenario files: what is read, what is refused and where, and the instant at which each step is done. */
#include "tests/hub_expect.h"

#include <unistd.h>

static int scenario_read(struct hub_scenario **s, const char *text, char why[HUB_WHY_MAX])
{
    char path[] = "/tmp/ehring-hub-scenario.XXXXXX";
    int fd = mkstemp(path);

    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    int rc = hub_scenario_read(path, s, why);
    unlink(path);
    return rc;
}

static void load(struct rig *r, const char *text)
{
    char why[HUB_WHY_MAX];

    cr_assert_eq(scenario_read(&r->broker.scenario, text, why), 0, "%s", why);
    hub_scenario_step(r->broker.scenario, &r->broker);
}

static void unload(struct rig *r)
{
    cr_expect_eq(hub_scenario_done(r->broker.scenario), hub_scenario_steps(r->broker.scenario));
    hub_scenario_free(r->broker.scenario);
    rig_close(r);
}

Test(hub_scenario, steps_are_done_at_exactly_the_delivery_they_wait_for)
{
    struct rig r;

    open_sender(&r, NULL, "hub1");
    load(&r, "# two are taken, two refused\n\nwait deliveries=2\n  reject next=2\r\nwait events=1\nrelease next=1\n");
    for (uint32_t id = 0; id < 7; id++)
        rig_put_event(&r, 0, id, "x", 1);
    expect_outcome(&r, 0, 1, HUB_ACCEPTED, "");
    expect_outcome(&r, 2, 2, HUB_REJECTED, "amqp:internal-error");
    expect_outcome(&r, 3, 3, HUB_REJECTED, "amqp:internal-error");
    expect_outcome(&r, 4, 4, HUB_ACCEPTED, "");
    expect_outcome(&r, 5, 5, HUB_RELEASED, "");
    expect_outcome(&r, 6, 6, HUB_ACCEPTED, "");
    cr_expect_eq(rig_stored(&r), 4);
    unload(&r);
}

Test(hub_scenario, a_wait_for_a_time_begins_when_its_turn_comes)
{
    struct rig r;

    open_sender(&r, NULL, "hub1");
    load(&r, "wait deliveries=1\nwait time=2s\ndetach\n");
    cr_expect_eq(hub_scenario_next_ms(r.broker.scenario), INT64_MAX);
    r.broker.now_mono_ms = 5000;
    rig_put_event(&r, 0, 0, "x", 1);
    expect_outcome(&r, 0, 0, HUB_ACCEPTED, "");
    cr_expect_eq(hub_scenario_next_ms(r.broker.scenario), 7000);
    r.broker.now_mono_ms = 6999;
    cr_expect_not(rig_await(&r, HUB_DETACH));
    r.broker.now_mono_ms = 7000;
    cr_expect(rig_await(&r, HUB_DETACH));
    unload(&r);
}

Test(hub_scenario, a_wait_for_connections_counts_those_that_come)
{
    struct rig r;

    open_sender(&r, NULL, "hub1");
    load(&r, "wait connections=1\nmax-message-size bytes=1000\n");
    cr_expect_not(rig_next(&r));
    cr_expect_eq(hub_scenario_done(r.broker.scenario), 0);
    rig_disconnect(&r);
    rig_connect(&r, NULL);
    rig_turn(&r);
    cr_expect_eq(hub_scenario_done(r.broker.scenario), 2);
    unload(&r);
}

/* The connection whose delivery brings the step on is the one that the step ends, and more of its input lies there. */
Test(hub_scenario, a_step_may_end_the_link_session_or_connection_of_the_delivery_that_brought_it)
{
    static const struct {
        const char *fault;
        uint64_t code;
    } rows[] = {{"detach", HUB_DETACH}, {"end", HUB_END}, {"close", HUB_CLOSE}, {"drop-connections", 0}};
    char text[64];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rig r;
        open_sender(&r, NULL, "hub1");
        snprintf(text, sizeof text, "wait deliveries=2\n%s\n", rows[i].fault);
        load(&r, text);
        for (uint32_t id = 0; id < 4; id++)
            rig_put_event(&r, 0, id, "x", 1);
        if (rows[i].code)
            expect_outcome(&r, 0, 1, HUB_ACCEPTED, "");
        cr_expect(rows[i].code == 0 || rig_await(&r, rows[i].code), "%s", rows[i].fault);
        rig_flush(&r);
        cr_expect_eq(rig_stored(&r), 2, "%s", rows[i].fault);
        cr_expect_eq(r.ended, rows[i].code == 0, "%s", rows[i].fault);
        unload(&r);
    }
}

Test(hub_scenario, what_is_wrong_is_named_with_file_line_and_what_is_allowed)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"wait\n", ":1: 'wait ': it takes one of events=N, deliveries=N, connections=N"},
        {"# x\n\nwait time=4\n", ":3: 'wait time=4': it takes one of"},
        {"wait events=0\n", ":1: 'wait events=0'"},
        {"wait events=1 deliveries=1\n", ":1: 'wait events=1 deliveries=1'"},
        {"reject next=1\nrejct", ":2: 'rejct' is no fault; there are reject,"},
        {"release text=x\n", ":1: release does not take 'text'; it takes every="},
    };
    struct hub_scenario *s;
    char why[HUB_WHY_MAX], line[HUB_FAULT_TEXT_MAX + 100];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_lt(scenario_read(&s, rows[i].text, why), 0);
        cr_expect_eq(strncmp(why, "/tmp/ehring-hub-scenario.", 25), 0);
        cr_expect_not_null(strstr(why, rows[i].says), "%s", why);
    }
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    cr_expect_lt(scenario_read(&s, line, why), 0);
    cr_expect_not_null(strstr(why, ":1: a line has 2047 bytes at most"), "%s", why);
    cr_expect_eq(hub_scenario_read("/nowhere/at/all", &s, why), -ENOENT);
    cr_expect_lt(hub_scenario_read("/tmp", &s, why), 0);
}
