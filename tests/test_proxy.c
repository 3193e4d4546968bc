/* The way through an HTTP proxy: the request, every answer cut everywhere, and the choice that curl would make. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shipper/http_head.h"
#include "shipper/proxy.h"

#define OK_ANSWER "HTTP/1.1 200 Connection established\r\nProxy-Agent: test\r\n\r\n"

static struct proxy *proxy;
static char why[512];

static void rig_close(void)
{
    proxy_close(proxy);
    proxy = NULL;
}
TestSuite(proxy, .fini = rig_close);

static void dial(const char *user, const char *password, const char *host)
{
    struct proxy_address address = {.host = "proxy.example", .port = 8888};
    snprintf(address.user, sizeof address.user, "%s", user);
    snprintf(address.password, sizeof address.password, "%s", password);
    proxy_close(proxy);
    proxy = NULL;
    cr_assert_eq(proxy_open(&address, host, 5671, &proxy), 0);
}

static const char *request(void)
{
    static char text[2048];
    size_t len = 0, step;
    while ((step = proxy_output(proxy, (uint8_t *)text + len, 7)) > 0)
        len += step;
    text[len] = '\0';
    return text;
}

/* The answer in pieces of at most `step` bytes; what proxy_input said last. */
static ssize_t answer(const char *text, size_t step)
{
    size_t len = strlen(text);
    ssize_t taken = 0;
    for (size_t at = 0; at < len; at += (size_t)taken) {
        taken = proxy_input(proxy, (const uint8_t *)text + at, len - at < step ? len - at : step);
        if (taken <= 0)
            return taken;
    }
    return taken;
}

static void refused(const char *text, int code, const char *const words[])
{
    for (size_t step = 1; step < 200; step += 37) {
        dial("alice", "wrong-Secret", "ns.example");
        request();
        ssize_t ret = answer(text, step);
        cr_assert_eq(ret, code, "%s: %zd, not %d (%s)", text, ret, code, proxy_error(proxy));
        cr_assert_not(proxy_is_ready(proxy));
        for (int i = 0; words[i]; i++)
            cr_assert(strstr(proxy_error(proxy), words[i]), "%s: no \"%s\"", proxy_error(proxy), words[i]);
        cr_assert_not(strstr(proxy_error(proxy), "wrong-Secret"));
        cr_assert_lt(proxy_input(proxy, (const uint8_t *)"x", 1), 0, "what is refused stays so");
    }
}
#define REFUSED(text, code, ...) refused(text, code, (const char *const[]){__VA_ARGS__, NULL})

Test(proxy, asks_for_the_host_by_name)
{
    dial("", "", "ns.example");
    const char *text = request();
    cr_assert_eq(strncmp(text, "CONNECT ns.example:5671 HTTP/1.1\r\nHost: ns.example:5671\r\n", 56), 0, "%s", text);
    cr_assert(strstr(text, "\r\nUser-Agent: ehring/"));
    cr_assert_not(strstr(text, "Authorization"));
    cr_assert_str_eq(text + strlen(text) - 4, "\r\n\r\n");
}

Test(proxy, puts_an_ipv6_address_in_brackets)
{
    dial("", "", "2001:db8::7");
    cr_assert_eq(strncmp(request(), "CONNECT [2001:db8::7]:5671 HTTP/1.1\r\nHost: [2001:db8::7]:5671\r\n", 63), 0);
}

Test(proxy, gives_user_and_password_as_basic)
{
    dial("Aladdin", "open sesame", "ns.example");
    cr_assert(strstr(request(), "\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
}

Test(proxy, refuses_a_name_that_would_write_a_line_of_its_own)
{
    struct proxy_address address = {.host = "proxy.example", .port = 1};
    cr_assert_eq(proxy_open(&address, "ns.example\r\nX: y", 1, &proxy), -EINVAL);
    cr_assert_eq(proxy_open(&address, "", 1, &proxy), -EINVAL);
    snprintf(address.user, sizeof address.user, "a:b");
    cr_assert_eq(proxy_open(&address, "ns.example", 1, &proxy), -EINVAL);
}

Test(proxy, is_ready_however_the_answer_is_cut)
{
    const char *answers[] = {OK_ANSWER, "HTTP/1.0 200 OK\n\n", "HTTP/1.1 299\r\n\r\n", "HTTP/1.1 100 Continue\r\nA: b\r\n\r\n" OK_ANSWER};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        for (size_t step = 1; step <= strlen(answers[i]); step++) {
            dial("", "", "ns.example");
            request();
            cr_assert_gt(answer(answers[i], step), 0, "%s", proxy_error(proxy));
            cr_assert(proxy_is_ready(proxy), "%s by %zu", answers[i], step);
        }
}

Test(proxy, leaves_the_bytes_behind_the_answer_to_the_peer)
{
    static const char text[] = OK_ANSWER "\r\nAMQP";
    dial("", "", "ns.example");
    cr_assert_eq(proxy_input(proxy, (const uint8_t *)text, sizeof text - 1), sizeof OK_ANSWER - 1);
    cr_assert(proxy_is_ready(proxy));
    cr_assert_str_eq(proxy_answer(proxy), "200 Connection established");
    cr_assert_eq(proxy_input(proxy, (const uint8_t *)"AMQP", 4), 0);
}

Test(proxy, tells_a_wrong_password_from_a_missing_one)
{
    REFUSED("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n<html>", -EACCES,
            "proxy.example:8888", "user alice", "407", "check proxy user and password");
    dial("", "", "ns.example");
    cr_assert_eq(answer("HTTP/1.0 407 Who?\r\n\r\n", 100), -EACCES);
    cr_assert(strstr(proxy_error(proxy), "none are given"), "%s", proxy_error(proxy));
}

Test(proxy, names_an_authentication_that_it_cannot_do)
{
    REFUSED("HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nproxy-authenticate: Negotiate x\r\n\r\n", -EACCES, "NTLM, Negotiate",
            "only Basic");
    REFUSED("HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nproxy-authenticate: basic realm=x\r\n\r\n", -EACCES, "user alice");
}

Test(proxy, says_what_the_proxy_refuses)
{
    REFUSED("HTTP/1.1 403 Access violation\r\n\r\n", -EPERM, "does not allow", "ns.example:5671", "403 Access violation", "port 5671");
    REFUSED("HTTP/1.1 502 Bad gateway\r\n\r\n", -EHOSTUNREACH, "cannot reach ns.example:5671", "502");
    REFUSED("HTTP/1.1 503 x\r\n\r\n", -EHOSTUNREACH, "cannot reach");
    REFUSED("HTTP/1.1 504 x\r\n\r\n", -EHOSTUNREACH, "cannot reach");
    REFUSED("HTTP/1.1 500 Unable to connect\r\n\r\n", -EHOSTUNREACH, "cannot reach", "Unable to connect");
    REFUSED("HTTP/1.1 405 Method Not Allowed\r\n\r\n", -EPROTO, "does not know CONNECT");
    REFUSED("HTTP/1.1 302 Found\r\nLocation: http://login\r\n\r\n", -EPROTO, "302 Found", "check proxy host and port");
    REFUSED("HTTP/1.1 101 Switching Protocols\r\n\r\n", -EPROTO, "101");
}

Test(proxy, knows_at_once_what_is_not_http)
{
    REFUSED("SSH-2.0-OpenSSH_9.2\r\n", -EPROTO, "does not speak HTTP", "check proxy host and port");
    REFUSED("\x15\x03\x01", -EPROTO, "but TLS");
    REFUSED("AMQP", -EPROTO, "does not speak HTTP");
    REFUSED("HTTP/2 200\r\n\r\n", -EPROTO, "does not speak HTTP");
    REFUSED("HTTP/1.1 20x OK\r\n\r\n", -EPROTO, "does not speak HTTP");
    REFUSED("HTTP/1.1 200 a\x01"
            "b\r\n\r\n",
            -EPROTO, "does not speak HTTP");
}

Test(proxy, reads_a_head_of_the_limit_and_no_more)
{
    static char text[HTTP_HEAD_BYTES_MAX + 64];
    for (size_t len = HTTP_HEAD_BYTES_MAX - 1; len <= HTTP_HEAD_BYTES_MAX + 1; len++) {
        memset(text, 'a', len);
        memcpy(text, "HTTP/1.1 200 OK\r\nX: ", 20);
        snprintf(text + len - 4, 5, "\r\n\r\n");
        dial("", "", "ns.example");
        cr_assert_eq(answer(text, 1000) >= 0, len <= HTTP_HEAD_BYTES_MAX, "%zu bytes", len);
        if (len > HTTP_HEAD_BYTES_MAX)
            cr_assert(strstr(proxy_error(proxy), "more than 8192 bytes"), "%s", proxy_error(proxy));
    }
}

Test(proxy, does_not_wait_for_ever_through_1xx_answers)
{
    ssize_t ret = 0;
    dial("", "", "ns.example");
    for (int i = 0; i < 1000 && ret >= 0; i++)
        ret = answer("HTTP/1.1 100 Continue\r\n\r\n", 100);
    cr_assert_eq(ret, -EPROTO);
}

Test(proxy, says_that_the_proxy_ended_early)
{
    dial("", "", "ns.example");
    answer("HTTP/1.1 200", 100);
    proxy_input_end(proxy);
    cr_assert(strstr(proxy_error(proxy), "ended the connection before"), "%s", proxy_error(proxy));
    cr_assert(strstr(proxy_error(proxy), "12 bytes"), "%s", proxy_error(proxy));
}

/* ---- URL ---- */

static void parsed(const char *url, const char *host, uint16_t port, const char *user, const char *password)
{
    struct proxy_address address;
    cr_assert_eq(proxy_parse(url, &address, why, sizeof why), 0, "%s: %s", url, why);
    cr_assert_str_eq(address.host, host);
    cr_assert_eq(address.port, port);
    cr_assert_str_eq(address.user, user);
    cr_assert_str_eq(address.password, password);
}

Test(proxy, takes_a_url_apart)
{
    parsed("http://proxy.example:3128", "proxy.example", 3128, "", "");
    parsed("http://proxy.example", "proxy.example", 1080, "", "");
    parsed("HTTP://proxy.example/", "proxy.example", 1080, "", "");
    parsed("proxy.example:8080", "proxy.example", 8080, "", "");
    parsed("http://u@proxy.example:1", "proxy.example", 1, "u", "");
    parsed("http://u:p@proxy.example:1/x", "proxy.example", 1, "u", "p");
    parsed("http://dom%5Cu:p%40%3a%25:x@proxy.example:1", "proxy.example", 1, "dom\\u", "p@:%:x");
    parsed("http://u@home:p@w@proxy.example:1", "proxy.example", 1, "u@home", "p@w");
    parsed("http://[::1]:3128", "::1", 3128, "", "");
    parsed("[2001:db8::1]", "2001:db8::1", 1080, "", "");
    parsed("http://127.0.0.1:65535", "127.0.0.1", 65535, "", "");
}

Test(proxy, refuses_a_url_without_telling_its_password)
{
    static const char *const bad[] = {"",
                                      "http://",
                                      "http://:3128",
                                      "http://proxy:",
                                      "http://proxy:0",
                                      "http://proxy:65536",
                                      "http://proxy:31a",
                                      "http://[::1",
                                      "http://[proxy]:1",
                                      "http://[::1]x",
                                      "http://a:b:c",
                                      "http://u:hunter2%@proxy:1",
                                      "http://u:hunter2%4@proxy:1",
                                      "http://u:hunter2%zz@proxy:1",
                                      "http://u:hunter2%00@proxy:1",
                                      "http://u:hunter2%0d%0aX@proxy:1",
                                      "http://u%3a:hunter2@proxy:1",
                                      "http://u:hunter2@pro xy:1"};
    struct proxy_address address;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(proxy_parse(bad[i], &address, why, sizeof why), -EINVAL, "%s", bad[i]);
        cr_assert(strstr(why, "http://[user[:password]@]host[:port]"), "%s", why);
        cr_assert_not(strstr(why, "hunter2"), "%s", why);
    }
}

Test(proxy, names_a_scheme_that_is_not_supported)
{
    static const char *const bad[] = {"socks5://h:1", "https://u:hunter2@h:1", "socks5h://h", "ftp://h"};
    struct proxy_address address;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(proxy_parse(bad[i], &address, why, sizeof why), -EPROTONOSUPPORT, "%s", bad[i]);
        cr_assert_eq(strncmp(strstr(why, "scheme ") + 7, bad[i], strcspn(bad[i], ":")), 0, "%s", why);
        cr_assert_not(strstr(why, "hunter2"));
    }
}

/* ---- the environment ---- */

static int chosen(const struct proxy_environment *environment, const char *host, const char *want)
{
    struct proxy_address address = {0};
    int ret = proxy_select(environment, host, 443, &address, why, sizeof why);
    cr_assert_str_eq(address.host, want, "%s: %s, not %s", host, address.host, want);
    return ret;
}

Test(proxy, takes_the_variable_that_curl_takes)
{
    struct proxy_environment environment = {
        .https_proxy = "http://a", .https_proxy_upper = "http://b", .all_proxy = "http://c", .all_proxy_upper = "http://d"};
    cr_assert_eq(chosen(&environment, "ns.example", "a"), 1);
    environment.https_proxy = "";
    cr_assert_eq(chosen(&environment, "ns.example", "b"), 1);
    environment.https_proxy_upper = NULL;
    cr_assert_eq(chosen(&environment, "ns.example", "c"), 1);
    environment.all_proxy = NULL;
    cr_assert_eq(chosen(&environment, "ns.example", "d"), 1);
    environment.all_proxy_upper = "";
    cr_assert_eq(chosen(&environment, "ns.example", ""), 0);
}

Test(proxy, names_the_variable_that_is_wrong)
{
    struct proxy_environment environment = {.https_proxy_upper = "socks5://u:hunter2@a"};
    cr_assert_eq(chosen(&environment, "ns.example", ""), -EPROTONOSUPPORT);
    cr_assert(strstr(why, "environment variable HTTPS_PROXY: ") && strstr(why, "socks5"), "%s", why);
    cr_assert_not(strstr(why, "hunter2"));
    environment.no_proxy = "example";
    cr_assert_eq(chosen(&environment, "ns.example", ""), 0, "what is not used may be wrong");
}

Test(proxy, prefers_the_small_no_proxy)
{
    struct proxy_environment environment = {.https_proxy = "http://a", .no_proxy_upper = "ns.example"};
    cr_assert_eq(chosen(&environment, "ns.example", ""), 0);
    environment.no_proxy = "other.example";
    cr_assert_eq(chosen(&environment, "ns.example", "a"), 1);
}

Test(proxy, knows_whom_no_proxy_means)
{
    static const struct {
        const char *list, *host;
        bool bypassed;
    } rows[] = {
        {"*", "anything", true},
        {" *", "anything", false},
        {"", "a.example", false},
        {",, ,", "a.example", false},
        {".", "a.example", false},
        {"example", "a.example", true},
        {".example", "a.example", true},
        {".example", "example", true},
        {"ample", "a.example", false},
        {"a.example", "A.EXAMPLE", true},
        {"a.example.", "a.example", true},
        {"a.example", "a.example.", true},
        {"b,a.example c", "a.example", true},
        {"b a.example\tc", "c", true},
        {"long.a.example", "a.example", false},
        {"a.example:443", "a.example", true},
        {"a.example:5671", "a.example", false},
        {"a.example:x", "a.example", false},
        {"localhost", "127.0.0.1", false},
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.1:443", "127.0.0.1", true},
        {"127.0.0.1:80", "127.0.0.1", false},
        {"0.0.1", "127.0.0.1", false},
        {"127.0.0.0/8", "127.0.0.1", true},
        {"10.0.0.0/9", "10.127.0.1", true},
        {"10.0.0.0/9", "10.128.0.1", false},
        {"10.0.0.0/33", "10.0.0.0", false},
        {"10.0.0.0/", "10.0.0.0", false},
        {"0.0.0.0/0", "10.0.0.0", true},
        {"10.0.0.0/8", "::1", false},
        {"::1", "::1", true},
        {"[::1]", "::1", true},
        {"[::1]:443", "::1", true},
        {"[::1]:80", "::1", false},
        {"[::1", "::1", false},
        {"2001:db8::/32", "2001:db8:7::1", true},
        {"[2001:db8::]/32", "2001:db8:7::1", true},
        {"2001:db8::/32", "2001:db9::1", false},
        {"::1", "a.example", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_assert_eq(proxy_is_bypassed(rows[i].list, rows[i].host, 443), rows[i].bypassed, "%s for %s", rows[i].list, rows[i].host);
}
