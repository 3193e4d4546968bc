/* The resolver as a worker sees it: a query goes in, an eventfd rings, addresses or a sentence are there. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "shipper/resolve.h"

static struct resolver *resolver;
static struct resolve_query query;

static void begin(const char *host, uint16_t port)
{
    snprintf(query.host, sizeof query.host, "%s", host);
    query.port = port;
    resolve_begin(resolver, &query);
}

static enum resolve_state answer(void)
{
    struct pollfd bell = {.fd = query.notify_fd, .events = POLLIN};
    uint64_t rung;
    cr_assert_eq(poll(&bell, 1, 60000), 1, "nobody rang");
    cr_assert_eq(read(query.notify_fd, &rung, sizeof rung), (ssize_t)sizeof rung);
    return resolve_state(&query);
}

static void set_up(void)
{
    cr_assert_eq(resolver_open(&resolver), 0);
    query.notify_fd = eventfd(0, EFD_CLOEXEC);
    cr_assert_geq(query.notify_fd, 0);
}

static void tear_down(void)
{
    resolver_close(resolver);
    close(query.notify_fd);
}

TestSuite(resolve, .init = set_up, .fini = tear_down);

static void expect(int i, const char *text, uint16_t port)
{
    char host[NI_MAXHOST], service[NI_MAXSERV], wanted[8];
    snprintf(wanted, sizeof wanted, "%u", port);
    cr_assert_eq(getnameinfo((struct sockaddr *)&query.address[i], query.address_len[i], host, sizeof host, service, sizeof service,
                             NI_NUMERICHOST | NI_NUMERICSERV),
                 0);
    cr_assert_str_eq(host, text);
    cr_assert_str_eq(service, wanted);
}

Test(resolve, a_fresh_query_is_idle)
{
    cr_assert_eq(resolve_state(&query), RESOLVE_IDLE);
}

Test(resolve, localhost_is_a_loopback_address)
{
    begin("localhost", 5671);
    cr_assert_eq(answer(), RESOLVE_DONE, "%s", query.error);
    cr_assert_geq(query.count, 1);
    for (int i = 0; i < query.count; i++)
        expect(i, query.address[i].ss_family == AF_INET6 ? "::1" : "127.0.0.1", 5671);
}

/* A list as getaddrinfo gives it: '4' and '6' are addresses numbered by their place, 'u' is one of no internet family. */
static void expect_order(const char *families, const char *order)
{
    struct sockaddr_in6 address[32] = {0};
    struct addrinfo node[32] = {0};
    struct resolve_query taken = {0};
    int len = (int)strlen(families), want = (int)strlen(order);
    for (int i = 0; i < len; i++) {
        int family = families[i] == '4' ? AF_INET : families[i] == '6' ? AF_INET6 : AF_UNIX;
        address[i].sin6_family = (sa_family_t)family;
        address[i].sin6_port = (in_port_t)i;
        node[i] = (struct addrinfo){.ai_family = family,
                                    .ai_addr = (struct sockaddr *)&address[i],
                                    .ai_addrlen = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6),
                                    .ai_next = i + 1 < len ? &node[i + 1] : NULL};
    }
    cr_assert_eq(resolve_take_addresses(&taken, len ? node : NULL), want, "%s", families);
    for (int i = 0; i < want; i++) {
        in_port_t place = ((struct sockaddr_in6 *)&taken.address[i])->sin6_port;
        cr_assert_eq(place, order[i] - 'a', "%s: place %d has number %d", families, i, place);
        cr_assert_eq(taken.address_len[i], families[place] == '4' ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    }
}

Test(resolve, families_take_turns_in_the_order_given)
{
    expect_order("", "");
    expect_order("u", "");
    expect_order("4", "a");
    expect_order("64", "ab");
    expect_order("446", "acb");
    expect_order("666444", "adbecf");
    expect_order("6664", "adbc");
    expect_order("u4u6u4u", "bdf");
    expect_order("44444444444444444444", "abcdefghijklmnop");
}

Test(resolve, an_ipv4_literal_is_itself)
{
    begin("127.0.0.9", 65535);
    cr_assert_eq(answer(), RESOLVE_DONE, "%s", query.error);
    cr_assert_eq(query.count, 1);
    expect(0, "127.0.0.9", 65535);
}

Test(resolve, an_ipv6_literal_is_itself_also_on_a_machine_without_ipv6)
{
    begin("2001:db8::7", 443);
    cr_assert_eq(answer(), RESOLVE_DONE, "%s", query.error);
    cr_assert_eq(query.count, 1);
    expect(0, "2001:db8::7", 443);
}

Test(resolve, a_name_that_does_not_exist_is_named_with_the_reason)
{
    begin("nonexistent.invalid", 5671);
    cr_assert_eq(answer(), RESOLVE_FAILED);
    cr_assert_eq(query.count, 0);
    cr_assert_not_null(strstr(query.error, "nonexistent.invalid"), "%s", query.error);
    size_t len = strlen("name nonexistent.invalid is not resolved: ");
    cr_assert_gt(strlen(query.error), len, "no reason: %s", query.error);
}

Test(resolve, a_name_too_long_for_the_message_still_leaves_the_reason)
{
    char host[256];
    memset(host, 'x', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    begin(host, 1);
    cr_assert_eq(answer(), RESOLVE_FAILED);
    cr_assert_not_null(strstr(query.error, " is not resolved: "), "%s", query.error);
}

Test(resolve, one_query_slot_serves_again_and_again)
{
    for (int i = 0; i < 200; i++) {
        char host[32];
        snprintf(host, sizeof host, i % 2 ? "127.1.0.%d" : "%d::1", i + 1);
        begin(host, 80);
        cr_assert_eq(answer(), RESOLVE_DONE, "%s", query.error);
        cr_assert_eq(query.count, 1);
        cr_assert_eq(query.address[0].ss_family, i % 2 ? AF_INET : AF_INET6);
    }
}

Test(resolve, a_failure_leaves_no_address_of_the_query_before)
{
    begin("127.0.0.1", 80);
    cr_assert_eq(answer(), RESOLVE_DONE);
    begin("nonexistent.invalid", 80);
    cr_assert_eq(answer(), RESOLVE_FAILED);
    cr_assert_eq(query.count, 0);
    begin("127.0.0.1", 80);
    cr_assert_eq(answer(), RESOLVE_DONE);
    cr_assert_str_eq(query.error, "");
}

Test(resolve, closing_while_busy_ends_every_query)
{
    static struct resolve_query many[64];
    for (int i = 0; i < 64; i++) {
        many[i].notify_fd = query.notify_fd;
        snprintf(many[i].host, sizeof many[i].host, "host-%d.invalid", i);
        resolve_begin(resolver, &many[i]);
    }
    resolver_close(resolver);
    resolver = NULL;
    for (int i = 0; i < 64; i++) {
        cr_assert_eq(resolve_state(&many[i]), RESOLVE_FAILED, "query %d waits for ever", i);
        cr_assert_not_null(strstr(many[i].error, many[i].host));
    }
    uint64_t rung;
    cr_assert_eq(read(query.notify_fd, &rung, sizeof rung), (ssize_t)sizeof rung);
    cr_assert_eq(rung, 64);
}
