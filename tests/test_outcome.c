/* The table of errors: each row is met, and what the rows promise to their callers. */
#include <criterion/criterion.h>

#include <string.h>

#include "shipper/outcome.h"

static struct outcome at(enum outcome_place place, const char *condition, const char *text)
{
    return outcome_of(place, 0, condition, text);
}

/* What a row is tried with. */
static const char *condition_of(const struct outcome_row *row)
{
    return row->condition ? row->condition : "com.example:unheard-of";
}

Test(outcome, reaches_each_row_in_each_of_its_places)
{
    for (size_t i = 0; i < outcome_table_count; i++) {
        const struct outcome_row *row = &outcome_table[i];
        for (int place = 0; place < OUTCOME_PLACE_COUNT; place++) {
            if (!(row->places & OUTCOME_IN(place)))
                continue;
            struct outcome met = outcome_of((enum outcome_place)place, row->status, condition_of(row), row->text);
            /* two rows of one sentence do the same; the sentence, the wait and the kind tell all others apart */
            cr_assert_eq(met.remedy, row->outcome.remedy, "row %zu (%s) at %s", i, condition_of(row), outcome_place_name(place));
            cr_assert_eq(met.wait_ms, row->outcome.wait_ms, "row %zu (%s)", i, condition_of(row));
            cr_assert_eq(met.normal, row->outcome.normal, "row %zu (%s)", i, condition_of(row));
            enum outcome_action asked = row->outcome.action;
            bool is_bent = asked == OUTCOME_RESEND || asked == OUTCOME_REOPEN_LINK || asked == OUTCOME_SPLIT; /* by the place */
            if (place == OUTCOME_DISPOSITION || !is_bent)
                cr_assert_eq(met.action, asked, "row %zu (%s)", i, condition_of(row));
            else
                cr_assert(met.action != OUTCOME_THROTTLE && met.action != OUTCOME_RENEW_TOKEN);
        }
    }
}

/* A row that an earlier one covers would never be applied. */
Test(outcome, has_no_row_behind_one_that_takes_all_of_it)
{
    for (size_t late = 0; late < outcome_table_count; late++) {
        for (size_t early = 0; early < late; early++) {
            const struct outcome_row *a = &outcome_table[early], *b = &outcome_table[late];
            bool covers = (a->places & b->places) == b->places && (a->status == 0 || a->status == b->status) &&
                          (!a->condition || (b->condition && strcmp(a->condition, b->condition) == 0)) &&
                          (!a->text || (b->text && strcasestr(b->text, a->text)));
            cr_assert_not(covers, "row %zu hides row %zu (%s)", early, late, condition_of(b));
        }
    }
}

Test(outcome, keeps_its_promises_for_whatever_comes)
{
    static const int status[] = {0, 100, 302, 400, 401, 403, 404, 410, 429, 500, 503, 599};
    for (size_t i = 0; i < outcome_table_count; i++) {
        for (int p = 0; p < OUTCOME_PLACE_COUNT; p++) {
            for (size_t s = 0; s < sizeof status / sizeof status[0]; s++) {
                enum outcome_place place = (enum outcome_place)p;
                struct outcome o = outcome_of(place, status[s], condition_of(&outcome_table[i]), outcome_table[i].text);
                cr_assert_not(o.normal && o.counts_as_failure);
                cr_assert_not(o.action == OUTCOME_THROTTLE && o.counts_as_failure);
                cr_assert_eq(o.action == OUTCOME_THROTTLE && o.wait_ms == 0, false);
                cr_assert(o.remedy || (o.action != OUTCOME_HOLD && o.action != OUTCOME_RENEW_TOKEN));
                cr_assert_not(place != OUTCOME_DISPOSITION && (o.action == OUTCOME_SPLIT || o.refused));
                cr_assert_not((place == OUTCOME_END || place == OUTCOME_CLOSE) &&
                              (o.action == OUTCOME_RESEND || o.action == OUTCOME_REOPEN_LINK));
                cr_assert_not((place == OUTCOME_ATTACH || place == OUTCOME_DETACH) && o.action == OUTCOME_RESEND);
                cr_assert_not((place == OUTCOME_CBS || place == OUTCOME_MANAGEMENT) && o.action == OUTCOME_REOPEN_LINK);
                cr_assert(o.maybe_delivered || (place != OUTCOME_DETACH && place != OUTCOME_END && place != OUTCOME_CLOSE));
                cr_assert_not(o.maybe_delivered && (place == OUTCOME_ATTACH || place == OUTCOME_CBS || place == OUTCOME_MANAGEMENT));
            }
        }
    }
}

Test(outcome, waits_what_a_busy_service_names)
{
    const struct {
        const char *text;
        int64_t wait_ms;
    } said[] = {
        {"The request was terminated because the entity is being throttled. Error code : 50002. Please wait 4 seconds and try again.",
         4000},
        {"Error code : 50002. Please WAIT 7 Seconds and try again.", 7000},
        {"Please wait 1 second.", 1000},
        {"Error code : 50008.", 4000},
        {"Error code : 50009.", 2000},
        {"Error code : 50009. Please wait 10 seconds and try again.", 10000},
        {"", 4000},
        {NULL, 4000},
        {"wait", 4000},
        {"wait ", 4000},
        {"please wait a few seconds", 4000},
        {"wait for it, then wait 6 seconds", 6000},
        {"wait 99999999999999999999999999 seconds", 600000},
        {"wait 0 seconds", 4000},
        {"wait -3 seconds", 4000},
    };
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        struct outcome o = at(OUTCOME_DISPOSITION, "com.microsoft:server-busy", said[i].text);
        cr_assert_eq(o.action, OUTCOME_THROTTLE);
        cr_assert_eq(o.wait_ms, said[i].wait_ms, "%s: %lld ms", said[i].text, (long long)o.wait_ms);
    }
}

Test(outcome, waits_long_for_a_quota_whatever_short_wait_is_named)
{
    cr_assert_eq(at(OUTCOME_ATTACH, "amqp:resource-limit-exceeded", "too many links").wait_ms, 30000);
    cr_assert_eq(at(OUTCOME_ATTACH, "amqp:resource-limit-exceeded", "wait 5 seconds").wait_ms, 30000);
    cr_assert_eq(at(OUTCOME_ATTACH, "amqp:resource-limit-exceeded", "wait 50 seconds").wait_ms, 50000);
    cr_assert_eq(outcome_of(OUTCOME_CBS, 403, "amqp:resource-limit-exceeded", "too many tokens").action, OUTCOME_THROTTLE);
    cr_assert_eq(outcome_of(OUTCOME_CBS, 403, "", "The quota of connections is reached.").action, OUTCOME_THROTTLE);
}

Test(outcome, reads_in_the_text_why_a_link_is_detached)
{
    struct outcome idle =
        at(OUTCOME_DETACH, "amqp:link:detach-forced",
           "The link 'G25:30407932:/hub2/Partitions/0_3028ebb3' is force detached by the broker due to errors occurred in "
           "publisher(link39916690). Detach origin: AmqpEventHubPublisher.IdleTimerExpired: Idle timeout: 00:30:00.");
    cr_assert_eq(idle.action, OUTCOME_REOPEN_LINK);
    cr_assert(idle.normal && !idle.counts_as_failure && idle.wait_ms == 0);
    static const char *const unauthorized[] = {
        "Unauthorized access. 'Send' claim(s) are required to perform this operation. Resource: 'sb://a/b'.",
        "The link is force detached. Code: RenewToken. Details: Unauthorized access. 'Listen' claim(s) are required.",
        "unauthorized ACCESS. The access has expired.",
    };
    for (size_t i = 0; i < sizeof unauthorized / sizeof unauthorized[0]; i++)
        cr_assert_eq(at(OUTCOME_DETACH, "amqp:link:detach-forced", unauthorized[i]).action, OUTCOME_RENEW_TOKEN);
    struct outcome busy = at(OUTCOME_DETACH, "amqp:link:detach-forced", "Server Busy. Please wait 9 seconds and try again.");
    cr_assert_eq(busy.action, OUTCOME_THROTTLE);
    cr_assert_eq(busy.wait_ms, 9000);
}

Test(outcome, takes_the_end_of_a_connection_as_daily_life_when_it_is)
{
    struct outcome forced =
        at(OUTCOME_CLOSE, "amqp:connection:forced",
           "The connection was inactive for more than the allowed 300000 milliseconds and is closed by container 'LinkTracker'.");
    cr_assert(forced.action == OUTCOME_RECONNECT && forced.normal && forced.maybe_delivered);
    struct outcome moved = at(OUTCOME_CLOSE, "com.microsoft:container-close", "The message container is being closed (10398).");
    cr_assert(moved.action == OUTCOME_RECONNECT && moved.normal && moved.wait_ms == 4000);
    struct outcome lost = at(OUTCOME_CLOSE, NULL, NULL);
    cr_assert(lost.action == OUTCOME_RECONNECT && lost.counts_as_failure && lost.maybe_delivered);
    struct outcome silent = at(OUTCOME_CLOSE, "amqp:resource-limit-exceeded", "local-idle-timeout expired");
    cr_assert(silent.action == OUTCOME_RECONNECT && silent.counts_as_failure);
}

Test(outcome, tells_the_outcomes_without_condition_apart)
{
    struct outcome rejected = at(OUTCOME_DISPOSITION, "", "");
    cr_assert(rejected.action == OUTCOME_RESEND && rejected.refused);
    struct outcome released = at(OUTCOME_DISPOSITION, OUTCOME_RELEASED, NULL);
    cr_assert(released.action == OUTCOME_RESEND && !released.refused && !released.maybe_delivered);
    cr_assert_eq(at(OUTCOME_DISPOSITION, OUTCOME_MODIFIED, NULL).action, OUTCOME_RESEND);
    cr_assert_eq(at(OUTCOME_DISPOSITION, OUTCOME_UNDELIVERABLE_HERE, NULL).action, OUTCOME_REOPEN_LINK);
}

Test(outcome, does_not_know_whether_a_timeout_stored_the_batch)
{
    struct outcome o = at(OUTCOME_DISPOSITION, "com.microsoft:timeout", "The operation did not complete within the allotted time.");
    cr_assert(o.action == OUTCOME_RESEND && o.maybe_delivered && !o.refused && o.counts_as_failure);
    cr_assert_not(at(OUTCOME_DISPOSITION, "com.microsoft:server-busy", "").maybe_delivered);
    cr_assert_not(at(OUTCOME_DISPOSITION, "amqp:link:message-size-exceeded", "").maybe_delivered);
}

Test(outcome, bisects_a_batch_for_its_content_and_holds_elsewhere)
{
    static const char *const content[] = {
        "amqp:link:message-size-exceeded",
        "amqp:decode-error",
        "amqp:invalid-field",
        "amqp:not-implemented",
        "com.microsoft:argument-error",
        "com.microsoft:argument-out-of-range",
        "amqp:precondition-failed",
        "com.microsoft:precondition-failed",
    };
    for (size_t i = 0; i < sizeof content / sizeof content[0]; i++) {
        struct outcome batch = at(OUTCOME_DISPOSITION, content[i], ""), attach = at(OUTCOME_ATTACH, content[i], "");
        cr_assert(batch.action == OUTCOME_SPLIT && batch.refused && !batch.counts_as_failure, "%s", content[i]);
        cr_assert(attach.action == OUTCOME_HOLD && attach.counts_as_failure, "%s", content[i]);
    }
    cr_assert_eq(at(OUTCOME_DETACH, "amqp:link:message-size-exceeded", "").action, OUTCOME_REOPEN_LINK);
}

Test(outcome, asks_for_one_new_token_and_then_holds)
{
    static const char *const condition[] = {"amqp:unauthorized-access", "com.microsoft:auth-failed"};
    for (int place = 0; place < OUTCOME_PLACE_COUNT; place++) {
        for (size_t i = 0; i < 2; i++) {
            struct outcome o = at((enum outcome_place)place, condition[i], "ExpiredToken: The token is expired.");
            cr_assert_eq(o.action, OUTCOME_RENEW_TOKEN);
            struct outcome again = outcome_after_new_token(o);
            cr_assert(again.action == OUTCOME_HOLD && again.counts_as_failure && again.remedy);
        }
    }
    cr_assert_eq(outcome_after_new_token(at(OUTCOME_DETACH, "amqp:link:detach-forced", "")).action, OUTCOME_REOPEN_LINK);
    cr_assert_eq(outcome_of(OUTCOME_MANAGEMENT, 500, "amqp:not-allowed", "").action, OUTCOME_RENEW_TOKEN);
    cr_assert_eq(outcome_of(OUTCOME_MANAGEMENT, 401, "", "").action, OUTCOME_RENEW_TOKEN);
}

Test(outcome, holds_what_does_not_exist_and_retries_what_may_be_on_the_move)
{
    cr_assert_eq(at(OUTCOME_ATTACH, "amqp:not-found", "THE MESSAGING ENTITY 'sb://a/b' Could Not Be Found.").action, OUTCOME_HOLD);
    cr_assert_eq(at(OUTCOME_ATTACH, "amqp:not-found", "Status-Code: 404, gone").action, OUTCOME_HOLD);
    cr_assert_eq(at(OUTCOME_ATTACH, "amqp:not-found", "No owner of the partition was found.").action, OUTCOME_REOPEN_LINK);
    cr_assert_eq(outcome_of(OUTCOME_MANAGEMENT, 404, "", "").action, OUTCOME_HOLD);
    cr_assert_eq(outcome_of(OUTCOME_MANAGEMENT, 404, "amqp:not-found", "").action, OUTCOME_HOLD);
}

Test(outcome, reads_the_status_of_a_reply_that_has_no_condition)
{
    const struct {
        int status;
        enum outcome_action cbs, management;
    } reply[] = {
        {0, OUTCOME_RECONNECT, OUTCOME_RESEND}, {400, OUTCOME_HOLD, OUTCOME_HOLD}, {401, OUTCOME_RENEW_TOKEN, OUTCOME_RENEW_TOKEN},
        {403, OUTCOME_HOLD, OUTCOME_HOLD},      {404, OUTCOME_HOLD, OUTCOME_HOLD}, {500, OUTCOME_RESEND, OUTCOME_RESEND},
        {503, OUTCOME_RESEND, OUTCOME_RESEND},
    };
    for (size_t i = 0; i < sizeof reply / sizeof reply[0]; i++) {
        cr_assert_eq(outcome_of(OUTCOME_CBS, reply[i].status, "", "").action, reply[i].cbs, "status %d", reply[i].status);
        cr_assert_eq(outcome_of(OUTCOME_MANAGEMENT, reply[i].status, NULL, NULL).action, reply[i].management, "status %d", reply[i].status);
    }
    cr_assert_eq(outcome_of(OUTCOME_CBS, 0, "com.microsoft:timeout", "no answer from $cbs within 60 s").action, OUTCOME_RECONNECT);
    cr_assert_eq(outcome_of(OUTCOME_DISPOSITION, 404, "com.example:unheard-of", "").action, OUTCOME_RESEND, "no status outside of replies");
}

Test(outcome, does_not_tear_a_shared_connection_down_for_one_batch_it_does_not_understand)
{
    struct outcome batch = at(OUTCOME_DISPOSITION, "com.example:unheard-of", "");
    cr_assert(batch.action == OUTCOME_RESEND && batch.refused);
    cr_assert_eq(at(OUTCOME_DETACH, "com.example:unheard-of", "").action, OUTCOME_RECONNECT);
    cr_assert_eq(at(OUTCOME_CLOSE, "com.example:unheard-of", "").action, OUTCOME_RECONNECT);
    cr_assert_eq(outcome_of(OUTCOME_CBS, 555, "com.example:unheard-of", "").action, OUTCOME_RESEND);
}

Test(outcome, has_a_name_for_each_action_and_place)
{
    for (int i = 0; i < OUTCOME_ACTION_COUNT; i++)
        cr_assert(outcome_action_name((enum outcome_action)i)[0]);
    for (int i = 0; i < OUTCOME_PLACE_COUNT; i++)
        cr_assert(outcome_place_name((enum outcome_place)i)[0]);
}

/* ---- any other broker ---- */

Test(outcome_broker, reaches_each_row_in_each_of_its_places)
{
    for (size_t i = 0; i < outcome_broker_table_count; i++) {
        const struct outcome_row *row = &outcome_broker_table[i];
        cr_assert_eq(row->status, 0, "row %zu", i);
        for (int place = 0; place < OUTCOME_PLACE_COUNT; place++) {
            if (!(row->places & OUTCOME_IN(place)))
                continue;
            struct outcome met = outcome_of_broker((enum outcome_place)place, row->condition, row->text);
            cr_assert_eq(met.remedy, row->outcome.remedy, "row %zu (%s) at %s", i, row->condition, outcome_place_name(place));
            cr_assert_eq(met.normal, row->outcome.normal, "row %zu (%s)", i, row->condition);
        }
    }
}

Test(outcome_broker, is_never_asked_for_a_new_token)
{
    for (size_t i = 0; i < outcome_table_count; i++)
        for (int place = OUTCOME_DISPOSITION; place <= OUTCOME_CLOSE; place++) {
            const struct outcome_row *row = &outcome_table[i];
            struct outcome met = outcome_of_broker((enum outcome_place)place, condition_of(row), row->text);
            cr_assert_neq(met.action, OUTCOME_RENEW_TOKEN, "%s", condition_of(row));
            if (met.action == OUTCOME_HOLD)
                cr_assert_not_null(met.remedy, "%s", condition_of(row));
        }
}

Test(outcome_broker, tells_a_refused_user_from_one_without_permission)
{
    struct outcome sasl = outcome_of_broker(OUTCOME_CLOSE, "amqp:unauthorized-access", "SASL PLAIN was refused (user u)");
    struct outcome vhost =
        outcome_of_broker(OUTCOME_CLOSE, "amqp:unauthorized-access", "Access for user 'u' was refused: insufficient permissions");
    struct outcome queue = outcome_of_broker(OUTCOME_END, "amqp:unauthorized-access",
                                             "ACCESS_REFUSED - access to queue 'q' in vhost '/' refused for user 'u'");
    cr_assert(sasl.action == OUTCOME_HOLD && vhost.action == OUTCOME_HOLD && queue.action == OUTCOME_HOLD);
    cr_assert(strstr(sasl.remedy, "sasl_password") && strstr(vhost.remedy, "open_hostname") && strstr(queue.remedy, "write permission"));
}

Test(outcome_broker, takes_its_shutdown_for_daily_life_and_its_crash_for_a_failure)
{
    cr_assert(outcome_of_broker(OUTCOME_END, "amqp:internal-error", "shutdown").normal);
    struct outcome crash = outcome_of_broker(OUTCOME_CLOSE, "amqp:internal-error", "Reader error: function_clause");
    cr_assert(!crash.normal && crash.counts_as_failure && crash.action == OUTCOME_RECONNECT && crash.maybe_delivered);
}

Test(outcome_broker, waits_for_one_that_is_full)
{
    struct outcome full = outcome_of_broker(OUTCOME_DISPOSITION, "amqp:resource-limit-exceeded", "address is full");
    cr_assert(full.action == OUTCOME_THROTTLE && full.wait_ms > 0 && !full.counts_as_failure);
}

Test(outcome_broker, splits_nothing_but_what_it_judges)
{
    cr_assert_eq(outcome_of_broker(OUTCOME_DISPOSITION, "amqp:invalid-field", "").action, OUTCOME_SPLIT);
    cr_assert_eq(outcome_of_broker(OUTCOME_END, "amqp:invalid-field", "Attach rejected").action, OUTCOME_HOLD);
    cr_assert_eq(outcome_of_broker(OUTCOME_DISPOSITION, OUTCOME_RELEASED, "").action, OUTCOME_RESEND);
}
