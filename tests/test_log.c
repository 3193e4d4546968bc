/* The log's lines as an operator or a collector sees them: on stderr, one logfmt line each. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shipper/log.h"

static char captured[1 << 20];
static int capture_fd = -1, stderr_fd = -1;

static void capture_begin(void)
{
    char name[] = "/tmp/ehring-test-log-XXXXXX";
    capture_fd = mkstemp(name);
    cr_assert_geq(capture_fd, 0);
    unlink(name);
    stderr_fd = dup(STDERR_FILENO);
    dup2(capture_fd, STDERR_FILENO);
}

static const char *capture_end(void)
{
    dup2(stderr_fd, STDERR_FILENO);
    close(stderr_fd);
    ssize_t len = pread(capture_fd, captured, sizeof captured - 1, 0);
    cr_assert_geq(len, 0);
    captured[len] = '\0';
    close(capture_fd);
    return captured;
}

static int count_of(const char *text, const char *part)
{
    int count = 0;
    for (; (text = strstr(text, part)) != NULL; text += strlen(part))
        count++;
    return count;
}

Test(log, writes_time_level_area_message_and_fields)
{
    capture_begin();
    log_line(LOG_WARN, "pool", "connection lost", "stream=%s attempt=%d", "orders", 3);
    const char *text = capture_end();
    int year, month, day, hour, minute, second, ms, end = 0;
    cr_assert_eq(sscanf(text, "time=%4d-%2d-%2dT%2d:%2d:%2d.%3dZ %n", &year, &month, &day, &hour, &minute, &second, &ms, &end), 7);
    cr_assert_eq(end, 30, "time has no milliseconds or is not UTC: %s", text);
    cr_assert_str_eq(text + end, "level=warn area=pool msg=\"connection lost\" stream=orders attempt=3\n");
}

Test(log, a_line_without_fields_has_no_trailing_space)
{
    capture_begin();
    log_line(LOG_INFO, "main", "ready", "");
    const char *text = capture_end();
    cr_assert_str_eq(strstr(text, "level"), "level=info area=main msg=\"ready\"\n");
}

Test(log, writes_nothing_below_the_level)
{
    capture_begin();
    log_line(LOG_DEBUG, "main", "detail", "");
    cr_assert_eq(log_set_levels("warn, pool=debug , conn = trace"), 0);
    log_line(LOG_INFO, "main", "unimportant", "");
    log_line(LOG_TRACE, "pool", "too fine", "");
    log_line(LOG_DEBUG, "pool", "wanted", "");
    log_line(LOG_TRACE, "conn", "wanted", "");
    const char *text = capture_end();
    cr_assert_eq(count_of(text, "\n"), 2, "%s", text);
    cr_assert_eq(count_of(text, "wanted"), 2);
}

Test(log, bad_levels_are_refused_and_change_nothing)
{
    static const char *const bad[] = {"", "loud", "info,", "pool=", "=info", "pool=debug, conn", "info debug", "a b=info", "INFO"};
    cr_assert_eq(log_set_levels("debug"), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(log_set_levels(bad[i]), -EINVAL, "`%s` was taken", bad[i]);
        cr_assert_eq(log_check_levels(bad[i]), -EINVAL);
        cr_assert(log_enabled(LOG_DEBUG, "pool"));
        cr_assert_not(log_enabled(LOG_TRACE, "pool"));
    }
}

Test(log, a_check_of_levels_does_not_set_them)
{
    cr_assert_eq(log_check_levels("trace"), 0);
    cr_assert_not(log_enabled(LOG_DEBUG, "main"));
}

Test(log, repeated_lines_are_counted_and_told_when_another_comes)
{
    capture_begin();
    for (int i = 0; i < 100; i++)
        log_line(LOG_WARN, "pool", "connect failed", "host=%s", "a");
    log_line(LOG_INFO, "pool", "connected", "");
    const char *text = capture_end();
    cr_assert_eq(count_of(text, "\n"), 3, "%s", text);
    const char *repeated = strstr(text, "msg=\"repeated\" times=99\n");
    cr_assert_not_null(repeated);
    cr_assert_lt(repeated, strstr(text, "msg=\"connected\""));
    cr_assert_not_null(strstr(text, "level=warn area=pool msg=\"repeated\""));
}

Test(log, a_line_of_another_area_does_not_end_the_collapsing)
{
    capture_begin();
    for (int i = 0; i < 10; i++) {
        log_line(LOG_WARN, "pool", "connect failed", "");
        log_line(LOG_INFO, "ring", "found", "number=%d", i);
    }
    log_flush();
    log_flush();
    const char *text = capture_end();
    cr_assert_eq(count_of(text, "connect failed"), 1);
    cr_assert_eq(count_of(text, "found"), 10);
    cr_assert_eq(count_of(text, "area=pool msg=\"repeated\" times=9\n"), 1);
}

Test(log, quotes_what_a_collector_would_misread)
{
    static const struct {
        const char *text, *quoted;
    } cases[] = {
        {"plain", "plain"},
        {"", "\"\""},
        {"two words", "\"two words\""},
        {"a=b", "\"a=b\""},
        {"say \"x\"", "\"say \\\"x\\\"\""},
        {"a\nb", "\"a\\x0ab\""},
        {"\033[2J", "\"\\x1b[2J\""},
        {"back\\slash", "\"back\\\\slash\""},
        {"日本", "日本"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char to[64];
        cr_assert_str_eq(log_quote(to, sizeof to, cases[i].text), cases[i].quoted);
    }
}

Test(log, cuts_long_values_to_fit_and_stays_quoted)
{
    static const char *const texts[] = {"abcdefghijklmnop", "a b c d e f g h",   "\n\n\n\n\n\n",
                                        "\"\"\"\"\"\"\"\"", "日 本 日 本 日 本", "日本日本日本"};
    for (size_t cap = 0; cap < 20; cap++)
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            char to[24];
            memset(to, 0x7e, sizeof to);
            log_quote(to, cap, texts[i]);
            for (size_t byte = cap; byte < sizeof to; byte++)
                cr_assert_eq(to[byte], 0x7e, "wrote past %zu bytes", cap);
            if (cap < 3)
                continue;
            size_t len = strlen(to);
            cr_assert_lt(len, cap);
            cr_assert(to[0] != '"' || (len >= 2 && to[len - 1] == '"'), "%s", to);
            if (i == 5)
                cr_assert_eq(len % 3, 0, "cut within a character");
        }
}

Test(log, a_line_stays_one_line_whatever_is_in_it)
{
    static char big[16384];
    memset(big, 'x', sizeof big - 1);
    capture_begin();
    log_line(LOG_INFO, "main", "first\nsecond", "text=%s", "a\nlevel=error b\r");
    log_line(LOG_INFO, "main", big, "text=%s", big);
    const char *text = capture_end();
    cr_assert_eq(count_of(text, "\n"), 2, "%s", text);
    cr_assert_eq(text[strlen(text) - 1], '\n');
}

static void *write_lines(void *name)
{
    for (int i = 0; i < 500; i++)
        log_line(LOG_INFO, name, "from a thread", "number=%d", i);
    return NULL;
}

Test(log, lines_of_threads_do_not_mix)
{
    static char names[4][8] = {"a", "b", "c", "d"};
    pthread_t threads[4];
    capture_begin();
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, write_lines, names[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    const char *text = capture_end();
    cr_assert_eq(count_of(text, "\n"), 2000);
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
        cr_assert_eq(strncmp(line, "time=", 5), 0);
}
