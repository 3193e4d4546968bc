/* The trace in the log: each frame once and in full, texts of others without what looks like a secret. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shipper/conn.h"
#include "shipper/log.h"
#include "shipper/trace_internal.h"
#include "shipper/trace_log.h"

static int count_of(const char *lines, const char *part)
{
    int count = 0;
    for (; (lines = strstr(lines, part)); lines += strlen(part))
        count++;
    return count;
}

/* ---- secrets in what others say ---- */

Test(trace, masks_what_looks_like_a_secret)
{
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"the token SharedAccessSignature sr=x&sig=abc%3D&se=1&skn=k is bad",
         "the token SharedAccessSignature sr=x&sig=***&se=1&skn=k is bad"},
        {"Endpoint=sb://h/;SharedAccessKeyName=k;SharedAccessKey=aGk=;EntityPath=h",
         "Endpoint=sb://h/;SharedAccessKeyName=k;SharedAccessKey=***;EntityPath=h"},
        {"jwt eyJ0eXAiOiJKV1QiLCJh.eyJhdWQi_-x.c2ln.", "jwt ***"},
        {"eyJ is a word", "eyJ is a word"},
        {"bearer abcdef, basic dXNlcg==", "bearer ***, basic ***"},
        {"sig=", "sig="},
        {"nothing of it", "nothing of it"},
        {"", ""},
    };
    char to[TRACE_TEXT_BYTES_MAX + 16];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        trace_clean((const uint8_t *)cases[i].from, strlen(cases[i].from), to, sizeof to);
        cr_expect_str_eq(to, cases[i].to);
    }
}

Test(trace, masks_a_secret_wherever_it_is_cut)
{
    char from[600], to[TRACE_TEXT_BYTES_MAX + 16];
    for (int before = 0; before < 400; before++) {
        int len = snprintf(from, sizeof from, "%*s&sig=SECRETSECRET&rest", before, "x");
        size_t to_len = trace_clean((const uint8_t *)from, (size_t)len, to, sizeof to);
        cr_assert(to_len == strlen(to) && to_len < sizeof to);
        cr_assert_null(strstr(to, "SE"), "%d: %s", before, to);
    }
}

/* ---- into the log ---- */

static const char *logged(void (*act)(void))
{
    static char captured[1 << 16];
    char name[] = "/tmp/ehring-test-trace-XXXXXX";
    int fd = mkstemp(name), before = dup(STDERR_FILENO);
    unlink(name);
    dup2(fd, STDERR_FILENO);
    act();
    dup2(before, STDERR_FILENO);
    ssize_t len = pread(fd, captured, sizeof captured - 1, 0);
    captured[len > 0 ? len : 0] = '\0';
    close(before);
    close(fd);
    return captured;
}

static void head_trace(void)
{
    static const char head[] = "GET /$servicebus/websocket HTTP/1.1\r\nHost: h\r\nProxy-AUTHORIZATION: Basic SECRET\r\nX-Odd: a\"b\r\n\r\n";
    trace_log_text("stream=s worker=0", "sent HTTP head", head, sizeof head - 1);
}

static void conn_trace(void)
{
    struct conn *conn;
    const uint8_t *data;
    struct conn_options options = {.container_id = "c", .hostname = "h", .trace_name = "stream=s worker=0 conn=1"};
    cr_assert_eq(conn_open(&options, &conn), 0);
    conn_output(conn, &data);
    conn_output(conn, &data); /* not taken: the same bytes again, told once */
    conn_input(conn, (const uint8_t *)"AMQP\3\1\0\0", 8);
    conn_free(conn);
    static const uint8_t heartbeat[] = {0, 0, 0, 8, 2, 0, 0, 0};
    struct trace *trace;
    cr_assert_eq(trace_open(&trace), 0);
    for (int i = 0; i < 3; i++)
        trace_log_bytes(trace, TRACE_RECEIVED, "stream=s", heartbeat, sizeof heartbeat);
    trace_close(trace);
}

Test(trace_log, writes_each_frame_of_a_connection_once_and_each_heartbeat)
{
    cr_assert_eq(log_set_levels("info, wire=trace"), 0);
    const char *lines = logged(conn_trace);
    cr_expect_eq(
        count_of(lines, "level=trace area=wire msg=\"sent protocol header\" stream=s worker=0 conn=1 protocol=sasl version=1.0.0\n"), 1,
        "%s", lines);
    cr_expect_eq(count_of(lines, "msg=\"received protocol header\" stream=s worker=0 conn=1 protocol=sasl"), 1, "%s", lines);
    cr_expect_eq(count_of(lines, "msg=\"received heartbeat\" stream=s channel=0 bytes=8\n"), 3, "%s", lines);
}

Test(trace_log, writes_nothing_unless_it_is_wanted)
{
    cr_assert_eq(log_set_levels("debug"), 0);
    cr_assert_not(trace_log_wanted());
    cr_assert_str_empty(logged(conn_trace));
}

Test(trace_log, writes_an_http_head_by_line_without_its_password)
{
    cr_assert_eq(log_set_levels("trace"), 0);
    const char *lines = logged(head_trace);
    cr_expect_eq(count_of(lines, "msg=\"sent HTTP head\" stream=s worker=0 text=\"GET /$servicebus/websocket HTTP/1.1\"\n"), 1, "%s",
                 lines);
    cr_expect_eq(count_of(lines, "text=\"Proxy-AUTHORIZATION: masked\"\n"), 1, "%s", lines);
    cr_expect_eq(count_of(lines, "text=\"X-Odd: a\\\"b\"\n"), 1, "%s", lines);
    cr_expect_eq(count_of(lines, "\n"), 4);
    cr_expect_eq(count_of(lines, "SECRET"), 0, "%s", lines);
}
