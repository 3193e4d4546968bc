/* What a changed configuration asks of a running shipper: which values differ, how each is shown, and how much has to give way to it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shipper/config_difference.h"

#define KEY "aHVudGVyMnNlY3JldGh1bnRlcjJzZWNyZXRodW50ZXI="
#define KEY2 "c2Vjb25kLWtleS1zZWNvbmQta2V5LXNlY29uZC1rZXk="
#define AT(host, policy, key) "connection_string = Endpoint=sb://" host "/;SharedAccessKeyName=" policy ";SharedAccessKey=" key "\n"
#define ORDERS "[stream orders]\nhub = orders\n" AT("contoso.servicebus.windows.net", "send", KEY)
#define CLICKS "[stream clicks]\nhub = clicks\n" AT("contoso.servicebus.windows.net", "send", KEY)

static char path[64];
static struct config *before, *after;
static struct config_difference difference;

static void setup(void)
{
    strcpy(path, "/tmp/ehring-test-reload-XXXXXX");
    close(mkstemp(path));
}

static void teardown(void)
{
    config_difference_free(&difference);
    config_free(before);
    config_free(after);
    unlink(path);
}
TestSuite(reload, .init = setup, .fini = teardown);

static struct config *config_of(const char *text)
{
    struct config *config;
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    cr_assert_eq(config_read(path, &config, stderr), 0, "%s", text);
    return config;
}

static void compare(const char *was, const char *is)
{
    config_difference_free(&difference);
    config_free(before);
    config_free(after);
    before = config_of(was);
    after = config_of(is);
    cr_assert_eq(config_difference_make(before, after, &difference), 0);
}

static void change_is(uint32_t index, const char *stream, const char *key, const char *was, const char *is, enum config_effect effect)
{
    cr_assert_lt(index, difference.count, "%s %s: no such change", stream, key);
    const struct config_change *change = &difference.change[index];
    cr_expect_eq(change->kind, CONFIG_VALUE_CHANGED);
    cr_expect_str_eq(change->stream, stream);
    cr_expect_str_eq(change->key, key);
    cr_expect_str_eq(change->before, was, "%s: %s", key, change->before);
    cr_expect_str_eq(change->after, is, "%s: %s", key, change->after);
    cr_expect_eq(change->effect, effect, "%s: %d", key, change->effect);
}

Test(reload, the_same_file_is_no_difference)
{
    compare(ORDERS CLICKS, ORDERS CLICKS);
    cr_expect_eq(difference.count, 0);
    cr_expect_not(config_difference_has(&difference, "orders"));
}

Test(reload, the_order_of_streams_and_the_spelling_of_values_are_no_difference)
{
    compare(ORDERS "batch_bytes_max = 64 KiB\n" CLICKS, CLICKS ORDERS "batch_bytes_max = 65536\nlinger_ms = 5\n");
    cr_expect_eq(difference.count, 0);
    compare(ORDERS, "[stream orders]\nhub = orders\nnamespace = contoso\nshared_access_key_name = send\nshared_access_key = " KEY "\n");
    cr_expect_eq(difference.count, 0, "the same credentials in single keys");
}

Test(reload, every_value_that_is_read_at_use_is_one_change_in_force_at_once)
{
    static const struct {
        const char *key, *set, *was, *is;
    } cases[] = {
        {"group", "users", "", "users"},
        {"linger_ms", "50", "5", "50"},
        {"batch_bytes_max", "1 MiB", "0", "1 MiB"},
        {"batch_count_max", "7", "0", "7"},
        {"inflight_bytes_max", "1 GiB", "64 MiB", "1 GiB"},
        {"connect_timeout_seconds", "11", "10", "11"},
        {"retry_backoff_ms", "900", "800", "900"},
        {"retry_backoff_max_seconds", "61", "60", "61"},
        {"token_seconds", "60", "3600", "60"},
        {"partition_refresh_seconds", "60", "300", "60"},
        {"client_limit", "5", "100", "5"},
        {"max_idle_seconds", "5", "300", "5"},
        {"max_lifespan_seconds", "5", "0", "5"},
        {"max_concurrent_connects", "9", "3", "9"},
        {"ready_message", "good morning", "", "good morning"},
        {"max_retries", "3", "0", "3"},
        {"max_age_seconds", "3", "0", "3"},
        {"throughput_units", "3", "0", "3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[2048];
        snprintf(text, sizeof text, CLICKS ORDERS "%s = %s\n", cases[i].key, cases[i].set);
        compare(CLICKS ORDERS, text);
        cr_expect_eq(difference.count, 1, "%s: %u", cases[i].key, difference.count);
        change_is(0, "orders", cases[i].key, cases[i].was, cases[i].is, CONFIG_AT_USE);
        cr_expect(config_difference_has(&difference, "orders"));
        cr_expect_not(config_difference_has(&difference, "clicks"), "the other stream is not touched");
        cr_expect_eq(config_difference_effect(&difference, "orders"), CONFIG_AT_USE);
    }
}

Test(reload, a_standard_value_that_follows_another_one_changes_with_it)
{
    compare(ORDERS, ORDERS "max_size = 30\n");
    cr_assert_eq(difference.count, 2);
    change_is(0, "orders", "max_size", "10", "30", CONFIG_AT_USE);
    change_is(1, "orders", "max_concurrent_connects", "3", "10", CONFIG_AT_USE);
}

Test(reload, another_key_is_another_peer_and_is_not_shown)
{
    compare(ORDERS, "[stream orders]\nhub = orders\n" AT("contoso.servicebus.windows.net", "send", KEY2));
    cr_assert_eq(difference.count, 1);
    change_is(0, "orders", "shared_access_key", "***", "***", CONFIG_NEW_PEER);
    compare(ORDERS, "[stream orders]\nhub = orders\n" AT("contoso.servicebus.windows.net", "write", KEY2) "linger_ms = 6\n");
    cr_assert_eq(difference.count, 3);
    change_is(0, "orders", "shared_access_key_name", "send", "write", CONFIG_NEW_PEER);
    change_is(1, "orders", "shared_access_key", "***", "***", CONFIG_NEW_PEER);
    change_is(2, "orders", "linger_ms", "5", "6", CONFIG_AT_USE);
    cr_expect_eq(config_difference_effect(&difference, "orders"), CONFIG_NEW_PEER, "the most of them counts");
}

Test(reload, a_signature_instead_of_a_key_shows_neither)
{
    compare(ORDERS,
            "[stream orders]\nhub = orders\nconnection_string = Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessSignature="
            "SharedAccessSignature sr=x&sig=aHVudGVyMg&se=1999999999&skn=send\n");
    for (uint32_t i = 0; i < difference.count; i++) {
        cr_expect_null(strstr(difference.change[i].before, "aHVu"));
        cr_expect_null(strstr(difference.change[i].after, "aHVu"));
    }
    cr_assert_eq(difference.count, 3);
    change_is(0, "orders", "shared_access_key_name", "send", "", CONFIG_NEW_PEER);
    change_is(1, "orders", "shared_access_key", "***", "", CONFIG_NEW_PEER);
    change_is(2, "orders", "shared_access_signature", "", "***", CONFIG_NEW_PEER);
}

Test(reload, other_trust_is_another_peer)
{
    compare(ORDERS, ORDERS "ca_file = /etc/a.pem\nca_dir = /etc/b\n");
    cr_assert_eq(difference.count, 2);
    change_is(0, "orders", "ca_file", "", "/etc/a.pem", CONFIG_NEW_PEER);
    change_is(1, "orders", "ca_dir", "", "/etc/b", CONFIG_NEW_PEER);
}

Test(reload, another_namespace_or_hub_has_partitions_of_its_own)
{
    compare(ORDERS, "[stream orders]\nhub = orders\n" AT("fabrikam.servicebus.windows.net:5673", "send", KEY));
    cr_assert_eq(difference.count, 1);
    change_is(0, "orders", "namespace", "contoso.servicebus.windows.net", "fabrikam.servicebus.windows.net:5673", CONFIG_NEW_HUB);
    compare(ORDERS, "[stream orders]\nhub = orders2\n" AT("contoso.servicebus.windows.net", "send", KEY2));
    cr_assert_eq(difference.count, 2);
    change_is(1, "orders", "hub", "orders", "orders2", CONFIG_NEW_HUB);
    cr_expect_eq(config_difference_effect(&difference, "orders"), CONFIG_NEW_HUB);
}

Test(reload, streams_come_and_go_by_their_name)
{
    compare(ORDERS, CLICKS);
    cr_assert_eq(difference.count, 2);
    cr_expect_eq(difference.change[0].kind, CONFIG_STREAM_ADDED);
    cr_expect_str_eq(difference.change[0].stream, "clicks");
    cr_expect_eq(difference.change[1].kind, CONFIG_STREAM_REMOVED);
    cr_expect_str_eq(difference.change[1].stream, "orders");
    cr_expect_not(config_difference_has(&difference, "orders"));
}

Test(reload, what_threads_stand_on_waits_for_a_start)
{
    compare("[shipper]\nworkers = 2\nlog_level = info\n" ORDERS,
            "[shipper]\nworkers = 3\nnet = epoll\nrings = /run/r\nlog_level = info, pool=debug\ndrain_seconds = 5\n"
            "dead_letters = /srv/d\ndead_letter_segment_bytes = 1 MiB\ndead_letter_segment_seconds = 60\n" ORDERS);
    cr_assert_eq(difference.count, 8);
    change_is(0, "", "rings", "/dev/shm/ehring", "/run/r", CONFIG_AT_START);
    change_is(1, "", "workers", "2", "3", CONFIG_AT_START);
    change_is(2, "", "net", "auto", "epoll", CONFIG_AT_START);
    change_is(3, "", "log_level", "info", "info, pool=debug", CONFIG_AT_USE);
    change_is(4, "", "drain_seconds", "30", "5", CONFIG_AT_USE);
    change_is(5, "", "dead_letters", "/var/lib/ehring/dead-letters", "/srv/d", CONFIG_AT_USE);
    change_is(6, "", "dead_letter_segment_bytes", "16 MiB", "1 MiB", CONFIG_AT_USE);
    change_is(7, "", "dead_letter_segment_seconds", "3600", "60", CONFIG_AT_USE);
}

Test(reload, the_largest_difference_has_room)
{
    static char was[1 << 16], is[1 << 16];
    size_t was_len = 0, is_len = 0;
    for (int i = 0; i < CONFIG_STREAMS_MAX; i++) {
        was_len +=
            (size_t)snprintf(was + was_len, sizeof was - was_len, "[stream a%d]\nhub = h\n%s", i, AT("contoso.example", "send", KEY));
        is_len += (size_t)snprintf(is + is_len, sizeof is - is_len, "[stream b%d]\nhub = h\n%s", i, AT("contoso.example", "send", KEY));
    }
    compare(was, is);
    cr_expect_eq(difference.count, 2 * CONFIG_STREAMS_MAX);
}
