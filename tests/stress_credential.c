/* Races of the credentials' thread: askers of eight identities wait, give up, distrust and share tokens that live for seconds, while the
 * server gives, refuses, delays and talks nonsense; then all is closed in the middle of it. Every query that is waited for is answered.
 *   stress_credential [SEED [ROUNDS]] */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "shipper/credential.h"
#include "shipper/log.h"

#define ASKERS 6
#define IDENTITIES 8

static const struct credential_limits limits = {.arc_key_dir = "/nowhere",
                                                .connect_ms = 20000,
                                                .total_ms = 20000,
                                                .probe_ms = 20000,
                                                .cli_ms = 1000,
                                                .retry_ms = 1,
                                                .retry_max_ms = 1000,
                                                .retry_count = 3,
                                                .updating_ms = 1,
                                                .updating_count = 2,
                                                .keep_ms = 1,
                                                .again_ms = 1,
                                                .renew_ms = 300000};
static struct credentials *credentials;
static unsigned seed, rounds = 2000;
static int listener;

static void check(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "stress_credential: %s (seed %u, errno %d)\n", what, seed, errno);
    abort();
}

static void answer(int fd, unsigned *random)
{
    static const char *const bodies[] = {"200 OK\r\n\r\n{\"access_token\":\"token-of-two-seconds\",\"expires_in\":\"2\"}",
                                         "200 OK\r\n\r\n{\"access_token\":\"token-of-an-hour\",\"expires_in\":3600}",
                                         "200 OK\r\n\r\n{\"access_token\":",
                                         "429 Too Many\r\n\r\n{}",
                                         "410 Gone\r\n\r\n{}",
                                         "400 Bad\r\n\r\n{\"error\":\"no\"}",
                                         "500 Oops\r\n\r\n",
                                         ""};
    char request[4096], text[300];
    if (read(fd, request, sizeof request) > 0) {
        const char *body = bodies[(unsigned)rand_r(random) % (sizeof bodies / sizeof bodies[0])];
        int len = body[0] ? snprintf(text, sizeof text, "HTTP/1.0 %s", body) : 0;
        if (write(fd, text, (size_t)len) < 0) { /* it was told to stop */
        }
    }
    close(fd);
}

static void *serve(void *context)
{
    unsigned random = seed;
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;)
        answer(fd, &random);
    return context;
}

static void await(struct credential_query *query)
{
    struct pollfd bell = {.fd = query->notify_fd, .events = POLLIN};
    uint64_t rung;
    while (credential_state(query) == CREDENTIAL_BUSY) {
        check(poll(&bell, 1, 120000) == 1, "a query is not answered");
        check(read(query->notify_fd, &rung, sizeof rung) == (ssize_t)sizeof rung, "the bell");
    }
    check(credential_state(query) == CREDENTIAL_DONE, "neither busy nor done");
    bool given = query->result.verdict == CREDENTIAL_GIVEN;
    check(given == (query->result.token != NULL), "a verdict without its token");
    if (given)
        check(strncmp(query->result.token->text, "token-of-", 9) == 0 && query->result.token->len == strlen(query->result.token->text),
              "another token");
    else
        check(query->result.error[0] != '\0', "a failure without a sentence");
}

static void *ask(void *context)
{
    unsigned random = seed + 1 + *(const unsigned *)context;
    struct credential_query query = {.notify_fd = eventfd(0, EFD_CLOEXEC)};
    struct credential_token *kept = NULL;
    struct credential_options options = {.kind = CREDENTIAL_MANAGED_IDENTITY};
    for (unsigned i = 0; i < rounds; i++) {
        snprintf(options.client_id, sizeof options.client_id, "identity-%d", rand_r(&random) % IDENTITIES);
        credential_begin(credentials, &query, &options);
        if (rand_r(&random) % 5 == 0) {
            credential_forget(credentials, &query);
            continue;
        }
        await(&query);
        if (kept && rand_r(&random) % 2)
            credential_distrust(credentials, kept);
        if (query.result.token && rand_r(&random) % 2) {
            credential_token_give(kept);
            kept = credential_token_take(query.result.token);
        }
    }
    credential_begin(credentials, &query, &options); /* still under way, perhaps, when all is closed */
    credential_forget(credentials, &query);
    credential_token_give(kept);
    close(query.notify_fd);
    return NULL;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    pthread_t server, asker[ASKERS];
    unsigned number[ASKERS];
    char host[64];
    seed = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : (unsigned)time(NULL);
    if (argc > 2)
        rounds = (unsigned)strtoul(argv[2], NULL, 0);
    printf("seed %u\n", seed);
    check(log_set_levels("error") == 0, "log");
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(bind(listener, (struct sockaddr *)&address, len) == 0 && listen(listener, 64) == 0, "listen");
    check(getsockname(listener, (struct sockaddr *)&address, &len) == 0, "port");
    snprintf(host, sizeof host, "http://127.0.0.1:%u", ntohs(address.sin_port));
    setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", host, 1);
    unsetenv("AZURE_CLIENT_ID");
    unsetenv("IDENTITY_ENDPOINT");
    unsetenv("MSI_ENDPOINT");
    check(credentials_open(&limits, &credentials) == 0, "open");
    check(pthread_create(&server, NULL, serve, NULL) == 0, "thread");
    for (unsigned i = 0; i < ASKERS; i++) {
        number[i] = i;
        check(pthread_create(&asker[i], NULL, ask, &number[i]) == 0, "thread");
    }
    for (unsigned i = 0; i < ASKERS; i++)
        pthread_join(asker[i], NULL);
    credentials_close(credentials);
    shutdown(listener, SHUT_RDWR);
    pthread_join(server, NULL);
    close(listener);
    puts("every query was answered");
    return 0;
}
