/* Configuration files as people write them: what is taken, what is refused and in which words, and that no secret is ever shown. */
#include "tests/config_rig.h"

TestSuite(config, .init = config_setup, .fini = config_teardown);

Test(config, what_is_left_out_has_its_standard_value)
{
    good(STREAM);
    cr_expect_str_eq(config->rings, "/dev/shm/ehring");
    cr_expect_eq(config->workers, 1);
    cr_expect_eq(config->net, NET_AUTO);
    cr_expect_str_eq(config->log_level, "info");
    cr_expect_eq(config->drain_seconds, 30);
    cr_assert_eq(config->stream_count, 1);
    const struct config_stream *stream = &config->stream[0];
    cr_expect_str_eq(stream->name, "orders");
    cr_expect_str_eq(stream->door.hub, "orders");
    cr_expect_str_eq(stream->door.connstr.key, SECRET);
    cr_expect_str_eq(stream->door.ca_file, "");
    cr_expect_str_eq(stream->group, "");
    cr_expect_eq(stream->linger_ms, 5);
    cr_expect_eq(stream->batch_bytes_max, 0);
    cr_expect_eq(stream->batch_count_max, 0);
    cr_expect_eq(stream->inflight_bytes_max, 64u << 20);
    cr_expect_eq(stream->connect_timeout_seconds, 10);
    cr_expect_eq(stream->retry_backoff_ms, 800);
    cr_expect_eq(stream->retry_backoff_max_seconds, 60);
    cr_expect_eq(stream->token_seconds, 3600);
    cr_expect_eq(stream->partition_refresh_seconds, 300);
    cr_expect_str_eq(config->dead_letters, "/var/lib/ehring/dead-letters");
    cr_expect_eq(stream->max_size, 10);
    cr_expect_eq(stream->client_limit, 100);
    cr_expect_eq(stream->max_idle_seconds, 300);
    cr_expect_eq(stream->max_lifespan_seconds, 0);
    cr_expect_eq(stream->max_concurrent_connects, 3);
    cr_expect_str_eq(stream->ready_message, "");
    cr_expect_eq(stream->max_retries, 0);
    cr_expect_eq(stream->max_age_seconds, 0);
    cr_expect_eq(stream->throughput_units, 0);
    cr_expect_eq(config->dead_letter_segment_bytes, 16u << 20);
    cr_expect_eq(config->dead_letter_segment_seconds, 3600);
}

/* Point 5 of what the Python toolbox's pool checks. */
Test(config, a_pool_of_no_connections_is_refused_and_a_third_of_it_connects_at_a_time)
{
    bad(STREAM "max_size = 0\n", 4, "max_size: 0: must be a number from 1 to 256");
    bad(STREAM "max_concurrent_connects = 0\n", 4, "max_concurrent_connects: 0: must be");
    good(STREAM "max_size = 2\n");
    cr_expect_eq(config->stream[0].max_concurrent_connects, 1);
    good(STREAM "max_size = 7\n");
    cr_expect_eq(config->stream[0].max_concurrent_connects, 2);
}

Test(config, every_key_arrives_in_its_field)
{
    good("\xef\xbb\xbf; a comment\n[shipper]\nrings = /run/rings/ ; where\n  workers=16\nnet: epoll\r\nlog_level = warn, "
         "pool=debug\ndrain_seconds = 0\ndead_letters = /var/dead\ndead_letter_segment_bytes = 1 MiB\ndead_letter_segment_seconds = 10\n# "
         "another\n\n"
         "[ stream  clicks ] ; the second\nhub = Clicks\nconnection_string = " CONNECTION
         ";EntityPath=clicks\nca_file = /a/b.pem\nca_dir = /a/c\ngroup = app\n"
         "linger_ms = 60000\nbatch_bytes_max = 256 KiB\nbatch_count_max = 1000\ninflight_bytes_max = 1 MB\nconnect_timeout_seconds = 1\n"
         "retry_backoff_ms = 1\nretry_backoff_max_seconds = 2\ntoken_seconds = 60\npartition_refresh_seconds = 7\n"
         "max_size = 4\nclient_limit = 3\nmax_idle_seconds = 9\nmax_lifespan_seconds = 60\nmax_concurrent_connects = 2\nready_message = "
         "here\n"
         "max_retries = 5\nmax_age_seconds = 6\nthroughput_units = 8");
    const struct config_stream *stream = &config->stream[0];
    cr_expect_str_eq(config->rings, "/run/rings");
    cr_expect_eq(config->workers, 16);
    cr_expect_eq(config->net, NET_EPOLL);
    cr_expect_str_eq(config->log_level, "warn, pool=debug");
    cr_expect_eq(config->drain_seconds, 0);
    cr_expect_str_eq(stream->name, "clicks");
    cr_expect_str_eq(stream->door.hub, "Clicks");
    cr_expect_str_eq(stream->door.ca_file, "/a/b.pem");
    cr_expect_str_eq(stream->door.ca_dir, "/a/c");
    cr_expect_str_eq(stream->group, "app");
    cr_expect_eq(stream->linger_ms, 60000);
    cr_expect_eq(stream->batch_bytes_max, 256u << 10);
    cr_expect_eq(stream->batch_count_max, 1000);
    cr_expect_eq(stream->inflight_bytes_max, 1000000);
    cr_expect_eq(stream->connect_timeout_seconds, 1);
    cr_expect_eq(stream->retry_backoff_ms, 1);
    cr_expect_eq(stream->retry_backoff_max_seconds, 2);
    cr_expect_eq(stream->token_seconds, 60);
    cr_expect_eq(stream->partition_refresh_seconds, 7);
    cr_expect_str_eq(config->dead_letters, "/var/dead");
    cr_expect_eq(stream->max_size, 4);
    cr_expect_eq(stream->client_limit, 3);
    cr_expect_eq(stream->max_idle_seconds, 9);
    cr_expect_eq(stream->max_lifespan_seconds, 60);
    cr_expect_eq(stream->max_concurrent_connects, 2);
    cr_expect_str_eq(stream->ready_message, "here");
    cr_expect_eq(stream->max_retries, 5);
    cr_expect_eq(stream->max_age_seconds, 6);
    cr_expect_eq(stream->throughput_units, 8);
    cr_expect_eq(config->dead_letter_segment_bytes, 1u << 20);
    cr_expect_eq(config->dead_letter_segment_seconds, 10);
}

Test(config, a_namespace_has_its_domain_or_gets_it)
{
    static const struct {
        const char *name, *host;
        uint16_t port;
    } cases[] = {
        {"contoso", "contoso.servicebus.windows.net", 0},
        {"contoso.servicebus.chinacloudapi.cn", "contoso.servicebus.chinacloudapi.cn", 0},
        {"localhost", "localhost", 0},
        {"127.0.0.2:5671", "127.0.0.2", 5671},
        {"[::1]", "::1", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        snprintf(text, sizeof text, "[stream s]\nhub = h\nnamespace = %s\nshared_access_key_name = send\nshared_access_key = k==\n",
                 cases[i].name);
        good(text);
        cr_expect_str_eq(config->stream[0].door.connstr.host, cases[i].host);
        cr_expect_eq(config->stream[0].door.connstr.port, cases[i].port);
        cr_expect_str_eq(config->stream[0].door.connstr.key_name, "send");
        cr_expect_str_eq(config->stream[0].door.connstr.key, "k==");
    }
}

Test(config, streams_may_share_a_hub_and_take_it_from_the_connection_string)
{
    good("[stream a]\nconnection_string = " CONNECTION ";EntityPath=both\n[stream b]\nhub = both\nconnection_string = " CONNECTION "\n");
    cr_assert_eq(config->stream_count, 2);
    cr_expect_str_eq(config->stream[0].door.hub, "both");
    cr_expect_str_eq(config->stream[1].door.hub, "both");
}

Test(config, unknown_keys_are_named_with_what_was_meant)
{
    bad("[shipper]\nworker = 2\n" STREAM, 2, "worker: unknown key; workers is allowed");
    bad(STREAM "Linger_MS = 2\n", 4, "Linger_MS: unknown key; linger_ms is allowed");
    bad(STREAM "workers = 2\n", 4, "workers: unknown key here; it belongs in [shipper]");
    bad("[shipper]\nhub = x\n" STREAM, 2, "hub: unknown key here; it belongs in [stream NAME]");
}

Test(config, values_out_of_their_limits_are_refused_with_the_limits)
{
    static const struct {
        const char *entry, *about;
    } cases[] = {
        {"linger_ms = 60001", "linger_ms: 60001: must be a number from 0 to 60000"},
        {"linger_ms = -1", "linger_ms: -1: must be"},
        {"linger_ms = 5ms", "linger_ms: 5ms: must be"},
        {"linger_ms = 5 KiB", "linger_ms: 5 KiB: must be"},
        {"linger_ms =", "linger_ms: must be"},
        {"linger_ms = 99999999999999999999", "linger_ms: 99999999999999999999: must be"},
        {"linger_ms = 4294967297", "linger_ms: 4294967297: must be"},
        {"batch_bytes_max = 1", "batch_bytes_max: 1: must be 0 or bytes (KiB, MiB, GiB, kB, MB, GB) from 1 KiB to 64 MiB"},
        {"inflight_bytes_max = 0", "inflight_bytes_max: 0: must be bytes"},
        {"inflight_bytes_max = 64 miles", "inflight_bytes_max: 64 miles: must be"},
        {"inflight_bytes_max = 17179869185 GiB", "inflight_bytes_max: 17179869185 GiB: must be"},
        {"ca_file = relative.pem", "ca_file: must be an absolute path"},
        {"group =", "group: is empty"},
        {"group = 1234567890123456789012345678901234567890123456789012345678901234", "group: has 64 bytes, at most 63"},
        {"retry_backoff_ms = 60001", "retry_backoff_ms: 60001 ms is more than retry_backoff_max_seconds, 60 s"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        snprintf(text, sizeof text, STREAM "%s\n", cases[i].entry);
        bad(text, 4, cases[i].about);
    }
    bad("[shipper]\nworkers = 0\n" STREAM, 2, "workers: 0: must be a number from 1 to 16");
    bad("[shipper]\nworkers = 17\n" STREAM, 2, "workers: 17: must be");
    bad("[shipper]\nnet = iouring\n" STREAM, 2, "net: iouring: must be auto, uring or epoll");
    bad("[shipper]\nlog_level = loud\n" STREAM, 2, "log_level: must be error, warn");
}

Test(config, every_error_of_a_file_is_told)
{
    bad("key = early\n[shipper]\nworkers = 99\nworkers = 2\n[nonsense]\nx = 1\n[stream a]\nlinger_ms = x\nno value here\n[stream "
        "a]\n[stream b]\nhub = b\n",
        1, "a key before");
    static const char *const all[] = {":3: workers: 99",
                                      ":4: workers: is given twice, first in line 3",
                                      ":5: unknown section",
                                      ":8: linger_ms",
                                      ":9: is not `name = value`",
                                      ":10: stream a is given twice, first in line 7",
                                      ":7: stream a has no credentials",
                                      ":7: hub: is missing",
                                      ":11: stream b has no credentials"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        cr_expect_not_null(strstr(messages, all[i]), "`%s` is missing in:\n%s", all[i], messages);
    cr_expect_null(strstr(messages, ":6:"), "keys of an unknown section are not looked at:\n%s", messages);
}

Test(config, streams_and_their_parts_must_fit_together)
{
    bad("", 1, "no [stream NAME] section");
    bad("[shipper]\nworkers = 1\n", 1, "no [stream NAME] section");
    bad("[stream a]\nhub = x\nconnection_string = " CONNECTION ";EntityPath=y\n", 2, "hub: x is not the connection string's EntityPath y");
    bad("[stream a]\nconnection_string = " CONNECTION "\n", 1, "hub: is missing");
    bad("[stream a]\nhub = x\n", 1, "stream a has no credentials");
    bad(STREAM "namespace = n\n", 4, "connection_string excludes namespace");
    bad("[stream a]\nhub = x\nnamespace = n\n", 1, "shared_access_key_name: is missing");
    bad("[stream a]\nhub = x\nshared_access_key_name = n\nshared_access_key = " SECRET "\n", 1, "namespace: is missing");
    bad("[stream a]\nhub = x\nnamespace = a/b\nshared_access_key_name = n\nshared_access_key = k\n", 3, "namespace: the host holds");
    bad("[stream a]\nhub = x\nconnection_string = SharedAccessKey=" SECRET "\n", 3, "connection_string: Endpoint is missing");
    bad("[shipper]\n[shipper]\n" STREAM, 2, "section [shipper] is given twice");
}

Test(config, names_of_streams_are_names_of_directories)
{
    static const char *const names[] = {
        "", ".hidden", "a/b", "a b", "..", "ä", "1234567890123456789012345678901234567890123456789012345678901234"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[512];
        snprintf(text, sizeof text, "[stream %s]\nhub = h\n", names[i]);
        bad(text, 1, names[i][0] ? "the stream's name" : "");
    }
    bad("[streamer a]\n", 1, "unknown section");
    bad("[stream a\nhub = h\n", 1, "the section has no closing bracket");
    bad("[stream a] b\n", 1, "text behind");
    good("[stream 123456789012345678901234567890123456789012345678901234567890123]\nhub = h\nconnection_string = " CONNECTION "\n");
}

Test(config, a_doorbell_path_longer_than_a_sockets_is_refused)
{
    char text[1024], rings[128];
    for (int len = 80; len < 110; len++) {
        memset(rings, 'r', sizeof rings);
        rings[0] = '/';
        rings[len] = '\0';
        snprintf(text, sizeof text, "[shipper]\nrings = %s\n[stream orders]\nhub = h\nconnection_string = " CONNECTION "\n", rings);
        size_t path_len = (size_t)len + strlen("/orders.bell");
        if (path_len <= 107)
            good(text);
        else
            bad(text, 3, "the doorbell's path");
    }
}

Test(config, lines_longer_than_libinihs_are_whole_and_longer_than_ours_are_refused)
{
    static char text[16384], signature[4096], line[8192];
    memset(signature, 's', 2000);
    snprintf(text, sizeof text,
             "[stream a]\nhub = h\nconnection_string = Endpoint=sb://h/;SharedAccessSignature=SharedAccessSignature sr=%s ; "
             "comment\nlinger_ms = 9\n",
             signature);
    good(text);
    cr_expect_eq(strlen(config->stream[0].door.connstr.signature), strlen("SharedAccessSignature sr=") + 2000);
    cr_expect_eq(config->stream[0].linger_ms, 9);
    memset(line, 'x', 4097);
    memcpy(line, "hub = ", 6);
    snprintf(text, sizeof text, "[stream a]\n%s\nlinger_ms = z\n", line);
    bad(text, 2, "the line is longer than 4096 bytes");
    bad(text, 3, "linger_ms");
    line[4096] = '\0';
    snprintf(text, sizeof text, "[stream a]\n%s\n", line);
    bad(text, 2, "hub: has 4090 bytes, at most 256");
    cr_expect_eq(file_read("[stream a]\nhub = a\0b\n", 21), -EINVAL);
    cr_expect_not_null(strstr(messages, ":2: the line holds a NUL byte"));
}

Test(config, secrets_come_from_environment_files_and_credentials)
{
    char text[1024];
    setenv("EHRING_TEST_KEY", SECRET, 1);
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    const char *file = file_write("secret", CONNECTION "\n", strlen(CONNECTION "\n"), 0600);
    snprintf(text, sizeof text, "[stream a]\nhub = h\nconnection_string = ${file:%s}\n", file);
    good(text);
    cr_expect_str_eq(config->stream[0].door.connstr.key, SECRET);
    cr_expect_str_eq(messages, "");
    good("[stream a]\nhub = h\nconnection_string = ${credential:secret}\n");
    cr_expect_str_eq(config->stream[0].door.connstr.key, SECRET);
    good("[stream a]\nhub = h\nconnection_string = "
         "Endpoint=sb://h/;SharedAccessKeyName=n;SharedAccessKey=${env:EHRING_TEST_KEY};EntityPath=h\n");
    cr_expect_str_eq(config->stream[0].door.connstr.key, SECRET);
    file_write("secret", CONNECTION "\n", strlen(CONNECTION "\n"), 0644);
    good(text);
    cr_expect_not_null(strstr(messages, ":3: connection_string: warning: "), "no warning: %s", messages);
    cr_expect_not_null(strstr(messages, "can be read by everybody"));
}

Test(config, a_secret_that_cannot_be_had_is_an_error_that_names_the_place)
{
    static char big[8192];
    char text[512];
    memset(big, 'x', sizeof big);
    setenv("EHRING_TEST_EMPTY", "", 1);
    setenv("EHRING_TEST_BIG", "aHVudGVy is not a connection string", 1);
    unsetenv("CREDENTIALS_DIRECTORY");
    static const struct {
        const char *value, *about;
    } cases[] = {
        {"${env:EHRING_TEST_NONE}", "connection_string: environment variable EHRING_TEST_NONE is not set"},
        {"${env:EHRING_TEST_EMPTY}", "connection_string: environment variable EHRING_TEST_EMPTY is empty"},
        {"${env:EHRING_TEST_BIG}", "connection_string: part 1"},
        {"${file:/nonexistent/x}", "connection_string: /nonexistent/x cannot be read: No such file"},
        {"${file:relative}", "connection_string: ${file:PATH} needs an absolute path"},
        {"${file:/dev/zero}", "connection_string: /dev/zero is not a regular file"},
        {"${file:/tmp}", "connection_string: /tmp is not a regular file"},
        {"${credential:x}", "connection_string: CREDENTIALS_DIRECTORY is not set"},
        {"${vault:x}", "connection_string: has a ${"},
        {"${env:}", "connection_string: has a ${"},
        {"${env:X", "connection_string: has a ${ without its }"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text, "[stream a]\nhub = h\nconnection_string = %s\n", cases[i].value);
        bad(text, 3, cases[i].about);
    }
    const char *file = file_write("big", big, sizeof big, 0600);
    snprintf(text, sizeof text, "[stream a]\nhub = h\nconnection_string = ${file:%s}\n", file);
    bad(text, 3, "connection_string: /tmp/");
    cr_expect_not_null(strstr(messages, "too large"));
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    bad("[stream a]\nhub = h\nconnection_string = ${credential:../x}\n", 3, "connection_string: the credential's name");
}

Test(config, a_key_pasted_on_a_line_of_its_own_is_not_repeated_in_the_message)
{
    bad("[stream a]\n" SECRET "\n", 2, "unknown key");
    bad("[stream a]\nlinger_ms = " SECRET "\n", 2, "linger_ms: must be");
    bad("[stream a]\nshared_access_key = hunter2\nhub = " SECRET "x"
        "\n",
        1, "namespace: is missing");
    bad("[stream a]\nhunter2 hunter2\n", 2, "is not `name = value`");
}

Test(config, print_shows_all_that_is_in_force_and_masks_secrets)
{
    good("[shipper]\nworkers = 3\n[stream a]\nhub = h\nconnection_string = " CONNECTION "\ninflight_bytes_max = 1 GiB\n"
         "[stream b]\nhub = h\nconnection_string = Endpoint=sb://127.0.0.1:5673;SharedAccessSignature=SharedAccessSignature "
         "sr=hunter&sig=hunter;UseDevelopmentEmulator=true\n"
         "[stream c]\nhub = h\nnamespace = n\nshared_access_key_name = p\nshared_access_key = hunter2\n");
    const char *text = printed();
    cr_expect_null(strstr(text, "hunter"), "%s", text);
    cr_expect_null(strstr(text, SECRET), "%s", text);
    static const char *const all[] = {
        "[shipper]\n",
        "workers = 3\n",
        "[stream a]\n",
        "inflight_bytes_max = 1 GiB\n",
        "linger_ms = 5\n",
        "connection_string = Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=***\n",
        "connection_string = Endpoint=sb://127.0.0.1:5673/;SharedAccessSignature=***;UseDevelopmentEmulator=true\n",
        "connection_string = Endpoint=sb://n.servicebus.windows.net/;SharedAccessKeyName=p;SharedAccessKey=***\n",
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        cr_expect_not_null(strstr(text, all[i]), "`%s` is missing in\n%s", all[i], text);
}

Test(config, what_is_printed_can_be_read_again)
{
    good("[shipper]\nlog_level = info, pool=debug\n" STREAM "ca_file = /x/y.pem\nbatch_bytes_max = 1000 kB\n");
    static char first[1 << 16];
    strcpy(first, printed());
    good(first);
    cr_expect_str_eq(printed(), first);
}

static const char *const keys[] = {
    "rings",
    "workers",
    "net",
    "log_level",
    "drain_seconds",
    "dead_letters",
    "type",
    "hub",
    "connection_string",
    "connection_string_secondary",
    "namespace",
    "shared_access_key_name",
    "shared_access_key",
    "shared_access_key_secondary",
    "credential",
    "tenant_id",
    "client_id",
    "client_secret",
    "client_certificate",
    "client_certificate_password",
    "token_file",
    "object_id",
    "resource_id",
    "authority_host",
    "broker",
    "address",
    "sasl_user",
    "sasl_password",
    "key_property",
    "window_events",
    "open_hostname",
    "transport",
    "endpoint",
    "proxy",
    "proxy_user",
    "proxy_password",
    "ca_file",
    "ca_dir",
    "tls_certificate",
    "tls_key",
    "tls_key_password",
    "group",
    "linger_ms",
    "batch_bytes_max",
    "batch_count_max",
    "inflight_bytes_max",
    "connect_timeout_seconds",
    "retry_backoff_ms",
    "retry_backoff_max_seconds",
    "token_seconds",
    "partition_refresh_seconds",
    "max_size",
    "client_limit",
    "max_idle_seconds",
    "max_lifespan_seconds",
    "max_concurrent_connects",
    "ready_message",
    "max_retries",
    "max_age_seconds",
    "throughput_units",
    "dead_letter_segment_bytes",
    "dead_letter_segment_seconds",
};

Test(config, the_list_of_keys_holds_every_key_once)
{
    static char text[1 << 14];
    FILE *to = fmemopen(text, sizeof text - 1, "w");
    config_print_keys(to);
    fclose(to);
    int lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    cr_expect_eq(lines, (int)(sizeof keys / sizeof *keys));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char word[64];
        snprintf(word, sizeof word, " %s ", keys[i]);
        cr_expect_not_null(strstr(text, word), "%s is missing", keys[i]);
    }
}

Test(config, a_file_that_cannot_be_read_is_named)
{
    strcat(path, ".missing");
    FILE *errors = fmemopen(messages, sizeof messages - 1, "w");
    cr_expect_eq(config_read(path, &config, errors), -ENOENT);
    fclose(errors);
    cr_expect_not_null(strstr(messages, ".missing: cannot be read: No such file"));
    errors = fmemopen(messages, sizeof messages - 1, "w");
    cr_expect_neq(config_read(folder, &config, errors), 0);
    fclose(errors);
    cr_expect_not_null(strstr(messages, "cannot be read"));
}

Test(config, a_file_without_end_is_refused)
{
    FILE *errors = fmemopen(messages, sizeof messages - 1, "w");
    cr_expect_eq(config_read("/dev/zero", &config, errors), -EINVAL);
    fclose(errors);
    cr_expect_not_null(strstr(messages, "larger than"), "%s", messages);
}
