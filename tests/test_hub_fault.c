/* The text of faults, and which of those that stand is due: every name, every key, every limit. */
#include <criterion/criterion.h>

#include "tools/hub/buf.h"
#include "tools/hub/fault.h"

#include <errno.h>
#include <string.h>

static const struct hub_message nothing;

static struct hub_fault *read_good(const char *text)
{
    struct hub_fault *f = NULL;
    char why[HUB_WHY_MAX] = "";

    cr_assert_eq(hub_fault_read(text, &f, why), 0, "%s: %s", text, why);
    return f;
}

static void put(struct hub_faults *s, const char *text, int64_t now_ms)
{
    cr_assert_eq(hub_faults_put(s, read_good(text), now_ms), 0);
}

Test(hub_fault, the_short_form_means_every_nth_delivery)
{
    static const struct {
        const char *text, *name;
        enum hub_fault_kind kind;
        uint64_t every;
        const char *condition, *says;
    } rows[] = {
        {"reject:100:amqp:internal-error:try later", "reject", HUB_FAULT_REJECT, 100, "amqp:internal-error", "try later"},
        {"reject:2:amqp:internal-error: later", "reject", HUB_FAULT_REJECT, 2, "amqp:internal-error", "later"},
        {"reject:3:amqp:not-allowed", "reject", HUB_FAULT_REJECT, 3, "amqp:not-allowed", "The hub was told to reject this delivery."},
        {"throttle:19", "server-busy", HUB_FAULT_REJECT, 19, "com.microsoft:server-busy",
         "The request was terminated because the entity is being throttled. Error code : 50002. Please wait 4 seconds and try again."},
        {"release:3", "release", HUB_FAULT_RELEASE, 3, "", ""},
        {"modify:3", "modify", HUB_FAULT_MODIFY, 3, "", ""},
        {"silent-disposition:1", "silent-disposition", HUB_FAULT_SILENT, 1, "", ""},
        {"drop-after:6", "drop-after", HUB_FAULT_DROP_AFTER, 6, "", ""},
        {"detach-after:4", "detach-after", HUB_FAULT_DETACH_AFTER, 4, "amqp:link:detach-forced", "The hub was told to detach this link."},
        {"token-refuse", "fail-cbs", HUB_FAULT_FAIL_CBS, 0, "com.microsoft:auth-failed",
         "InvalidSignature: The hub was told to refuse every token."},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hub_fault *f = read_good(rows[i].text);
        cr_expect_str_eq(f->name, rows[i].name);
        cr_expect_eq(f->kind, rows[i].kind, "%s", rows[i].text);
        cr_expect_eq(f->every, rows[i].every, "%s", rows[i].text);
        cr_expect_str_eq(f->error.condition, rows[i].condition);
        cr_expect_str_eq(f->error.text, rows[i].says);
        hub_fault_free(f);
    }
}

Test(hub_fault, keys_fill_their_fields)
{
    struct hub_fault *f =
        read_good("  reject next=3 every=2\tfor=1.5s address=hub1/* condition=amqp:not-allowed text=\"a \\\"b\\\" \\c\" ");
    cr_expect(f->next == 3 && f->every == 2 && f->for_ms == 1500);
    cr_expect_str_eq(f->address, "hub1/*");
    cr_expect_str_eq(f->error.condition, "amqp:not-allowed");
    cr_expect_str_eq(f->error.text, "a \"b\" \\c");
    hub_fault_free(f);
    f = read_good("ws-close-after bytes=7 code=1011 text=\"try later\"");
    cr_expect(f->kind == HUB_FAULT_WS_CLOSE_AFTER && f->bytes == 7 && f->code == 1011 && f->next == 1);
    cr_expect_str_eq(f->error.text, "try later");
    hub_fault_free(f);
    f = read_good("ws-close");
    cr_expect(f->code == 1001 && hub_fault_is_act(f->kind));
    hub_fault_free(f);
    f = read_good("ws-refuse every=2 status=403");
    cr_expect(f->status == 403 && f->every == 2);
    hub_fault_free(f);
    f = read_good("server-busy wait=30s code=50008");
    cr_expect_not_null(strstr(f->error.text, "Error code : 50008. Please wait 30 seconds"));
    hub_fault_free(f);
    f = read_good("modify delivery-failed=no undeliverable-here=yes");
    cr_expect(!f->delivery_failed && f->undeliverable_here);
    hub_fault_free(f);
    f = read_good("fail-management status=404 silent=yes");
    cr_expect(f->status == 404 && f->unanswered);
    hub_fault_free(f);
    f = read_good("cut-sent bytes=64K");
    cr_expect(f->bytes == 65536 && f->next == 1);
    hub_fault_free(f);
    f = read_good("rate-limit bytes-per-second=1M window=500ms");
    cr_expect(f->rate.bytes_per_second == 1 << 20 && f->rate.events_per_second == 0 && f->rate.window_ms == 500);
    hub_fault_free(f);
    f = read_good("clear throttle");
    cr_expect_str_eq(f->of, "server-busy");
    hub_fault_free(f);
}

Test(hub_fault, what_is_wrong_is_named_with_what_is_allowed)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "'' is no fault; there are reject, release,"},
        {"rejct:3", "'rejct' is no fault; there are reject, release,"},
        {"reject:", "reject:N needs a number from 1, not ''"},
        {"reject:0", "needs a number from 1"},
        {"reject:-1", "needs a number from 1"},
        {"reject:3x", "needs a number from 1"},
        {"reject:3:", "the condition has 1 to 63 bytes and no blank"},
        {"reject:3:no colon", "the condition has"},
        {"release:3:amqp:not-allowed", "release:N takes no condition"},
        {"token-refuse:3", "fail-cbs has no short form"},
        {"reject 3", "reject does not take '3'; it takes every=, next=, for=, address=, body="},
        {"reject next", "reject does not take 'next'"},
        {"reject next=0", "reject: next='0' is no number from 1 to"},
        {"reject next=1 next=1", "reject has next= twice"},
        {"reject for=4", "it has a unit: 500ms, 4s, 2m, 1h"},
        {"reject for=-4s", "is no time from"},
        {"reject condition=", "condition= has 0 bytes, allowed are 1 to 63"},
        {"reject body=a key=b", "only one of body=, body-regex=, key=, key-regex="},
        {"reject body-regex=(", "'(' is no extended regular expression"},
        {"reject body=\"a", "no closing quote"},
        {"reject body=\"a\"b", "something right behind it"},
        {"modify undeliverable-here=maybe", "'maybe' is neither yes nor no"},
        {"drop-connections next=1", "drop-connections does not take 'next'; it takes nothing"},
        {"late-dispositions", "late-dispositions needs delay="},
        {"cut-received next=2", "cut-received needs bytes="},
        {"rate-limit window=1s", "rate-limit needs bytes-per-second="},
        {"credit count=1000001", "is no number from 1 to 1000000"},
        {"ws-split", "ws-split needs bytes="},
        {"ws-fragment bytes=4097", "ws-fragment: bytes='4097' is no number from 1 to 4096"},
        {"ws-refuse status=200", "ws-refuse: status='200' is no number from 300 to 599"},
        {"ws-close code=999", "ws-close: code='999' is no number from 1000 to 4999"},
        {"ws-close next=1", "ws-close does not take 'next'; it takes code=, text="},
        {"ws-hang status=1", "ws-hang does not take 'status'; it takes every=, next=, for="},
        {"clear detach", "detach is done at once, it does not stand"},
        {"clear release modify", "one name or none"},
    };
    struct hub_fault *f;
    char why[HUB_WHY_MAX], text[HUB_FAULT_TEXT_MAX + 1];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_eq(hub_fault_read(rows[i].text, &f, why), -EINVAL, "%s", rows[i].text);
        cr_expect_null(f);
        cr_expect_not_null(strstr(why, rows[i].says), "%s: %s", rows[i].text, why);
    }
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    cr_expect_eq(hub_fault_read(text, &f, why), -EINVAL);
    cr_expect_not_null(strstr(why, "a fault has 2047 bytes at most, not 2048"), "%s", why);
}

Test(hub_fault, one_of_so_many_times_is_over_when_they_are_used_up)
{
    struct hub_faults s = {0};

    put(&s, "reject next=2", 0);
    put(&s, "release every=3", 0);
    cr_expect_eq(hub_faults_delivery(&s, "hub1", &nothing, 0)->kind, HUB_FAULT_REJECT);
    cr_expect_eq(hub_faults_delivery(&s, "hub1", &nothing, 0)->kind, HUB_FAULT_REJECT);
    cr_expect_eq(hub_faults_delivery(&s, "hub1", &nothing, 0)->kind, HUB_FAULT_RELEASE);
    cr_expect_null(hub_faults_delivery(&s, "hub1", &nothing, 0));
    hub_faults_tidy(&s, 0);
    cr_expect_eq(s.count, 1);
    cr_expect_eq(hub_faults_clear(&s, NULL, 0), 1);
}

Test(hub_fault, one_for_a_time_ends_with_it)
{
    struct hub_faults s = {0};

    put(&s, "server-busy for=500ms", 1000);
    put(&s, "stop-reading for=2s", 1000);
    cr_expect_eq(hub_faults_end_ms(&s, 1000), 1500);
    cr_expect_not_null(hub_faults_delivery(&s, "hub1", &nothing, 1499));
    cr_expect_null(hub_faults_delivery(&s, "hub1", &nothing, 1500));
    cr_expect_eq(hub_faults_end_ms(&s, 1500), 3000);
    cr_expect_not_null(hub_faults_find(&s, HUB_FAULT_STOP_READING, 2999));
    cr_expect_null(hub_faults_find(&s, HUB_FAULT_STOP_READING, 3000));
    cr_expect_eq(hub_faults_end_ms(&s, 3000), INT64_MAX);
    hub_faults_clear(&s, NULL, 3000);
    cr_expect_eq(s.count, 0);
}

Test(hub_fault, a_setting_replaces_the_one_before_and_a_name_clears_its_own)
{
    struct hub_faults s = {0};

    put(&s, "late-dispositions delay=5s", 0);
    put(&s, "reject", 0);
    put(&s, "late-dispositions delay=1s", 0);
    put(&s, "reject body=x", 0);
    cr_expect_eq(s.count, 3);
    cr_expect_eq(hub_faults_find(&s, HUB_FAULT_LATE, 0)->time_ms, 1000);
    cr_expect_eq(hub_faults_clear(&s, "reject", 0), 2);
    cr_expect_eq(s.count, 1);
    cr_expect_eq(hub_faults_clear(&s, NULL, 0), 1);
}

Test(hub_fault, an_address_is_a_glob_whose_case_does_not_count)
{
    struct hub_faults s = {0};

    put(&s, "reject address=Orders/partitions/[01]", 0);
    cr_expect_not_null(hub_faults_delivery(&s, "orders/Partitions/1", &nothing, 0));
    cr_expect_null(hub_faults_delivery(&s, "orders/Partitions/2", &nothing, 0));
    cr_expect_null(hub_faults_delivery(&s, "orders", &nothing, 0));
    hub_faults_clear(&s, NULL, 0);
    put(&s, "reject address=orders*", 0);
    cr_expect_not_null(hub_faults_delivery(&s, "orders/Partitions/2", &nothing, 0));
    hub_faults_clear(&s, NULL, 0);
}

Test(hub_fault, no_more_than_the_limit_stand)
{
    struct hub_faults s = {0};
    struct hub_fault *f;

    for (unsigned i = 0; i < HUB_FAULTS_MAX; i++)
        put(&s, "reject", 0);
    f = read_good("reject");
    cr_expect_eq(hub_faults_put(&s, f, 0), -ENOSPC);
    hub_fault_free(f);
    hub_faults_clear(&s, NULL, 0);
}

Test(hub_fault, bytes_are_counted_down_to_the_cut)
{
    struct hub_faults s = {0};

    put(&s, "cut-received bytes=100 next=2", 0);
    cr_expect_eq(hub_faults_bytes(&s, HUB_FAULT_CUT_SENT, 500, 0), 500);
    cr_expect_eq(hub_faults_bytes(&s, HUB_FAULT_CUT_RECEIVED, 500, 0), 100);
    cr_expect_not(hub_faults_pass(&s, HUB_FAULT_CUT_RECEIVED, 60, 0));
    cr_expect_eq(hub_faults_bytes(&s, HUB_FAULT_CUT_RECEIVED, 500, 0), 40);
    cr_expect(hub_faults_pass(&s, HUB_FAULT_CUT_RECEIVED, 40, 0));
    cr_expect_eq(hub_faults_bytes(&s, HUB_FAULT_CUT_RECEIVED, 500, 0), 100);
    cr_expect(hub_faults_pass(&s, HUB_FAULT_CUT_RECEIVED, 100, 0));
    cr_expect_eq(hub_faults_bytes(&s, HUB_FAULT_CUT_RECEIVED, 500, 0), 500);
    hub_faults_clear(&s, NULL, 0);
}

/* A batch of three events: (no key) "one", ("k2") "t\0wo", ("k3") "three". */
static void batch_put(struct hub_buf *to)
{
    static const struct {
        const char *key, *body;
        size_t len;
    } events[] = {{NULL, "one", 3}, {"k2", "t\0wo", 4}, {"k3", "three", 5}};

    for (int i = 0; i < 3; i++) {
        struct hub_buf event = {0};
        if (events[i].key) {
            hub_put_descriptor(&event, HUB_SECTION_ANNOTATIONS);
            size_t map = hub_put_map_begin(&event);
            hub_put_symbol(&event, "x-opt-partition-key");
            hub_put_string(&event, events[i].key);
            hub_put_compound_end(&event, map, 2);
        }
        hub_put_descriptor(&event, HUB_SECTION_DATA);
        hub_put_binary(&event, events[i].body, events[i].len);
        hub_put_descriptor(to, HUB_SECTION_DATA);
        hub_put_binary(to, event.data, event.len);
        hub_buf_free(&event);
    }
}

Test(hub_fault, a_pattern_looks_into_every_event_of_a_batch)
{
    static const struct {
        const char *fault;
        bool finds;
    } rows[] = {
        {"reject body=one", true},
        {"reject body=thre", true},
        {"reject body=wo", true},
        {"reject body=four", false},
        {"reject body=k3", false},
        {"reject body-regex=^thr?e+$", true},
        {"reject body-regex=^hree", false},
        {"reject body-regex=wo$", true},
        {"reject body-regex=\"^[a-z ]{5}$\"", true},
        {"reject key=3", true},
        {"reject key=one", false},
        {"reject key-regex=^k[2-9]$", true},
        {"reject key-regex=^$", false},
    };
    struct hub_buf bytes = {0};
    struct hub_message m;
    struct hub_error error;

    batch_put(&bytes);
    cr_assert_eq(hub_message_open(&m, HUB_FORMAT_BATCH, bytes.data, bytes.len, &error), 0, "%s", error.text);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hub_faults s = {0};
        put(&s, rows[i].fault, 0);
        cr_expect_eq(hub_faults_delivery(&s, "hub1", &m, 0) != NULL, rows[i].finds, "%s", rows[i].fault);
        hub_faults_clear(&s, NULL, 0);
    }
    hub_buf_free(&bytes);
}

Test(hub_fault, a_rate_takes_what_begins_within_it_and_lets_the_rest_run_off)
{
    struct hub_rate r = {.events_per_second = 100, .window_ms = 1000};

    cr_expect(hub_rate_take(&r, 0, 90, 1));
    cr_expect(hub_rate_take(&r, 0, 60, 1), "began within the limit");
    cr_expect_not(hub_rate_take(&r, 400, 1, 1), "110 are left of 150");
    cr_expect(hub_rate_take(&r, 600, 1, 1), "90 are left of 150");
    cr_expect(hub_rate_take(&r, 100000, 1000, 1), "nothing is left");
    r = (struct hub_rate){.bytes_per_second = 1000, .window_ms = 100};
    cr_expect(hub_rate_take(&r, 0, 1, 100));
    cr_expect_not(hub_rate_take(&r, 0, 1, 1), "a tenth of a second holds 100");
    cr_expect(hub_rate_take(&r, 50, 1, 1));
}
