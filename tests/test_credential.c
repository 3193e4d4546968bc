/* The thread of the tokens as a worker sees it: a query goes in, an eventfd rings, a token or a sentence is there; what is kept, renewed,
 * asked for once, and given up. */
#include "entra_rig.h"

#include <poll.h>
#include <sys/eventfd.h>

#define SHORT "{\"access_token\":\"first\",\"expires_in\":3600,\"refresh_in\":1}"
#define SECOND "{\"access_token\":\"second\",\"expires_in\":3600}"

static struct credentials *credentials;
static struct credential_limits limits;
static struct credential_options options;
static struct credential_query query;

static void open_with(void)
{
    cr_assert_eq(credentials_open(&limits, &credentials), 0);
}

static void set_up(void)
{
    entra_open();
    limits = entra_limits;
    limits.keep_ms = limits.again_ms = 3600000;
    options =
        (struct credential_options){.kind = CREDENTIAL_CLIENT_SECRET, .tenant_id = "t-1", .client_id = "c-1", .client_secret = "hunter2"};
    snprintf(options.authority_host, sizeof options.authority_host, "%s", entra_authority());
    query = (struct credential_query){.notify_fd = eventfd(0, EFD_CLOEXEC)};
}

static void tear_down(void)
{
    if (credentials)
        credential_forget(credentials, &query);
    credentials_close(credentials);
    close(query.notify_fd);
    entra_close();
}

TestSuite(credential, .init = set_up, .fini = tear_down, .timeout = 120);

static const struct credential_result *await(struct credential_query *asked)
{
    struct pollfd bell = {.fd = asked->notify_fd, .events = POLLIN};
    uint64_t rung;
    while (credential_state(asked) == CREDENTIAL_BUSY) {
        cr_assert_eq(poll(&bell, 1, 60000), 1, "nobody rang");
        cr_assert_eq(read(asked->notify_fd, &rung, sizeof rung), (ssize_t)sizeof rung);
    }
    cr_assert_eq(credential_state(asked), CREDENTIAL_DONE);
    return &asked->result;
}

static void expect_token(const char *text)
{
    credential_begin(credentials, &query, &options);
    const struct credential_result *result = await(&query);
    cr_assert_eq(result->verdict, CREDENTIAL_GIVEN, "%s", result->error);
    cr_assert_str_eq(result->token->text, text);
}

static void expect_failure(enum credential_verdict verdict, const char *text)
{
    credential_begin(credentials, &query, &options);
    const struct credential_result *result = await(&query);
    cr_assert_eq(result->verdict, verdict, "%s", result->error);
    cr_assert_null(result->token);
    entra_expect(result->error, text);
}

static void pass_until(int64_t end_ns) /* of the wall clock, which tells the life of tokens */
{
    while (clock_wall_ns() < end_ns)
        poll(NULL, 0, 20);
}

static void pass_seconds(int64_t seconds)
{
    pass_until(clock_wall_ns() + seconds * CLOCK_NS_PER_SECOND);
}

Test(credential, a_token_is_fetched_and_kept)
{
    open_with();
    cr_assert_eq(credential_state(&query), CREDENTIAL_IDLE);
    expect_token(ENTRA_TOKEN);
    expect_token(ENTRA_TOKEN);
    cr_assert_eq(entra_request_count(), 1);
    credential_forget(credentials, &query);
    cr_assert_eq(credential_state(&query), CREDENTIAL_IDLE);
    cr_assert_null(query.result.token);
}

Test(credential, a_token_outlives_the_thread_that_fetched_it)
{
    open_with();
    expect_token(ENTRA_TOKEN);
    struct credential_token *token = credential_token_take(query.result.token);
    credential_forget(credentials, &query);
    credentials_close(credentials);
    credentials = NULL;
    cr_assert_str_eq(token->text, ENTRA_TOKEN);
    credential_token_give(token);
}

Test(credential, many_that_ask_at_once_make_one_request)
{
    static struct credential_query many[100];
    open_with();
    entra_hold(1);
    for (int i = 0; i < 100; i++) {
        many[i].notify_fd = query.notify_fd;
        credential_begin(credentials, &many[i], &options);
    }
    entra_await_requests(1);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(credential_state(&many[i]), CREDENTIAL_BUSY);
    entra_hold(0);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(await(&many[i])->verdict, CREDENTIAL_GIVEN);
        cr_assert_eq(many[i].result.token, many[0].result.token);
    }
    cr_assert_eq(entra_request_count(), 1);
    for (int i = 0; i < 100; i++)
        credential_forget(credentials, &many[i]);
}

Test(credential, each_identity_has_a_token_of_its_own)
{
    open_with();
    ENTRA_ANSWERS({.status = 200, .body = SECOND}, {.status = 200});
    expect_token("second");
    strcpy(options.client_secret, "another");
    expect_token(ENTRA_TOKEN);
    strcpy(options.client_secret, "hunter2");
    expect_token("second");
    cr_assert_eq(entra_request_count(), 2);
}

Test(credential, a_token_that_is_due_is_renewed_when_somebody_asks)
{
    open_with();
    ENTRA_ANSWERS({.status = 200, .body = SHORT}, {.status = 200, .body = SECOND});
    expect_token("first");
    struct credential_token *first = credential_token_take(query.result.token);
    pass_seconds(2);
    cr_assert_eq(entra_request_count(), 1, "nobody has asked");
    expect_token("second");
    cr_assert_str_eq(first->text, "first", "whoever has the old one, keeps it");
    credential_token_give(first);
    cr_assert_eq(entra_request_count(), 2);
}

Test(credential, a_renewal_that_fails_leaves_the_old_token_in_use)
{
    open_with();
    ENTRA_ANSWERS({.status = 200, .body = SHORT}, {.status = 401, .body = "{}"});
    expect_token("first");
    pass_seconds(2);
    expect_token("first");
    expect_token("first");
    cr_assert_eq(entra_request_count(), 2, "the next attempt has time");
}

Test(credential, a_renewal_that_failed_is_tried_again)
{
    limits.keep_ms = 1;
    open_with();
    ENTRA_ANSWERS({.status = 200, .body = SHORT}, {.status = 503, .body = "{}"}, {.status = 200, .body = SECOND});
    expect_token("first");
    pass_seconds(2);
    expect_token("first");
    pass_seconds(1);
    expect_token("second");
}

Test(credential, an_old_token_is_given_to_its_end_and_no_longer)
{
    open_with();
    ENTRA_ANSWERS({.status = 200, .body = "{\"access_token\":\"first\",\"expires_in\":10,\"refresh_in\":1}"},
                  {.status = 401, .body = "{\"error\":\"over\"}"});
    expect_token("first");
    int64_t end_ns = query.result.token->expires_ns;
    pass_seconds(2);
    expect_token("first");
    pass_until(end_ns);
    expect_failure(CREDENTIAL_REFUSED, "answers 401: over");
}

Test(credential, a_failure_is_told_again_without_another_request)
{
    open_with();
    ENTRA_ANSWERS({.status = 401, .body = "{\"error\":\"no\"}"});
    expect_failure(CREDENTIAL_REFUSED, "answers 401: no");
    expect_failure(CREDENTIAL_REFUSED, "answers 401: no");
    cr_assert_eq(entra_request_count(), 1);
    strcpy(options.client_secret, "a better one");
    ENTRA_ANSWERS({.status = 200});
    expect_token(ENTRA_TOKEN);
}

Test(credential, what_passes_is_tried_again_for_whoever_waits)
{
    open_with();
    ENTRA_ANSWERS({.status = 503, .body = ""}, {.status = 429, .body = ""}, {.status = 200});
    expect_token(ENTRA_TOKEN);
    cr_assert_eq(entra_request_count(), 3);
}

Test(credential, what_does_not_pass_is_told_after_the_last_retry)
{
    open_with();
    ENTRA_ANSWERS({.status = 503, .body = ""});
    expect_failure(CREDENTIAL_LATER, "answers 503");
    cr_assert_eq(entra_request_count(), 1 + (int)limits.retry_count);
}

Test(credential, one_identitys_wait_keeps_no_other_waiting)
{
    struct credential_query slow = {.notify_fd = eventfd(0, EFD_CLOEXEC)};
    struct credential_options other = options;
    limits.retry_ms = 900000;
    limits.retry_max_ms = 1000000;
    strcpy(other.tenant_id, "t-2");
    open_with();
    ENTRA_ANSWERS({.status = 503, .body = ""}, {.status = 200});
    credential_begin(credentials, &slow, &other);
    entra_await_requests(1);
    expect_token(ENTRA_TOKEN);
    cr_assert_eq(credential_state(&slow), CREDENTIAL_BUSY);
    credential_forget(credentials, &slow);
    close(slow.notify_fd);
}

Test(credential, a_kept_token_is_given_while_another_request_hangs)
{
    struct credential_query slow = {.notify_fd = eventfd(0, EFD_CLOEXEC)};
    struct credential_options other = options;
    strcpy(other.tenant_id, "t-2");
    open_with();
    expect_token(ENTRA_TOKEN);
    entra_hold(1);
    credential_begin(credentials, &slow, &other);
    entra_await_requests(2);
    expect_token(ENTRA_TOKEN);
    cr_assert_eq(credential_state(&slow), CREDENTIAL_BUSY);
    credential_forget(credentials, &slow);
    cr_assert_eq(credential_state(&slow), CREDENTIAL_IDLE);
    entra_hold(0);
    close(slow.notify_fd);
}

Test(credential, a_distrusted_token_is_replaced_at_once)
{
    open_with();
    ENTRA_ANSWERS({.status = 200, .body = "{\"access_token\":\"first\",\"expires_in\":3600}"}, {.status = 200, .body = SECOND});
    expect_token("first");
    struct credential_token *first = credential_token_take(query.result.token);
    credential_distrust(credentials, first);
    expect_token("second");
    credential_distrust(credentials, first); /* long gone */
    expect_token("second");
    cr_assert_eq(entra_request_count(), 2);
    credential_token_give(first);
}

Test(credential, a_slot_is_forgotten_busy_or_not_and_asks_again)
{
    open_with();
    entra_hold(1);
    credential_begin(credentials, &query, &options);
    entra_await_requests(1);
    credential_forget(credentials, &query);
    cr_assert_eq(credential_state(&query), CREDENTIAL_IDLE);
    credential_begin(credentials, &query, &options);
    entra_hold(0);
    cr_assert_eq(await(&query)->verdict, CREDENTIAL_GIVEN);
}

Test(credential, closing_ends_a_request_that_hangs)
{
    uint16_t port;
    int fd = entra_hanging(&port);
    limits.connect_ms = limits.total_ms = 3600000;
    snprintf(options.authority_host, sizeof options.authority_host, "localhost:%u", port);
    open_with();
    credential_begin(credentials, &query, &options);
    int peer = accept(fd, NULL, NULL); /* it is under way */
    credential_forget(credentials, &query);
    credentials_close(credentials); /* criterion's time-out is shorter than the request's */
    credentials = NULL;
    close(peer);
    close(fd);
}

Test(credential, identities_nobody_asks_for_make_room)
{
    open_with();
    for (int i = 0; i < 300; i++) {
        snprintf(options.client_id, sizeof options.client_id, "c-%d", i);
        expect_token(ENTRA_TOKEN);
    }
    cr_assert_eq(entra_request_count(), 300);
    expect_token(ENTRA_TOKEN);
    cr_assert_eq(entra_request_count(), 300);
}

/* ---- several threads ---- */

static void *ask_often(void *context)
{
    struct credential_query own = {.notify_fd = eventfd(0, EFD_CLOEXEC)};
    struct credential_options mine = options;
    for (int i = 0; i < 200; i++) {
        snprintf(mine.client_id, sizeof mine.client_id, "c-%d", i % 3);
        credential_begin(credentials, &own, &mine);
        if (i % 7 == 0) {
            credential_forget(credentials, &own);
            continue;
        }
        cr_assert_eq(await(&own)->verdict, CREDENTIAL_GIVEN);
        if (i % 11 == 0)
            credential_distrust(credentials, own.result.token);
    }
    credential_forget(credentials, &own);
    close(own.notify_fd);
    return context;
}

Test(credential, threads_that_ask_forget_and_distrust_do_not_disturb_each_other)
{
    pthread_t thread[4];
    open_with();
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&thread[i], NULL, ask_often, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
}
