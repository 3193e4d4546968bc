/* One small HTTP request with libcurl, bounded in time and size, that ends at once when it is told to. */
#include "credential_internal.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock.h"

#define RETRY_AFTER_SECONDS_MAX 3600
#define POLL_MS_MAX 1000

struct transfer {
    CURL *easy;
    CURLM *multi;
    struct curl_slist *headers;
    char message[CURL_ERROR_SIZE];
    struct credential_text body;
    struct credential_answer *answer;
};

static int transfer_set(struct transfer *transfer, const struct credential_request *request);
static void trust_set(CURL *easy);
static int transfer_run(struct transfer *transfer, const struct credential_run *run);
static int transfer_end(struct transfer *transfer, CURLcode code);
static bool is_told_to_stop(const struct credential_run *run);
static size_t body_take(char *data, size_t size, size_t count, void *context);
static size_t header_take(char *data, size_t size, size_t count, void *context);
static const char *header_value(const char *line, size_t len, const char *name, size_t *value_len);
static int errno_of(CURLcode code);

static void library_open(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

int credential_http(const struct credential_run *run, const struct credential_request *request, struct credential_answer *answer)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const struct timespec now = {0};
    sigset_t pipe, old, pending;
    struct transfer transfer = {.answer = answer};
    *answer = (struct credential_answer){0};
    pthread_once(&once, library_open);
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe, &old); /* OpenSSL writes without MSG_NOSIGNAL */
    int rc = transfer_set(&transfer, request);
    if (rc == 0)
        rc = transfer_run(&transfer, run);
    else
        snprintf(answer->error, sizeof answer->error, "no request could be made: %s", strerror(-rc));
    if (transfer.multi && transfer.easy)
        curl_multi_remove_handle(transfer.multi, transfer.easy);
    curl_easy_cleanup(transfer.easy);
    curl_multi_cleanup(transfer.multi);
    curl_slist_free_all(transfer.headers);
    if (!sigismember(&pending, SIGPIPE))
        while (sigtimedwait(&pipe, NULL, &now) >= 0) { /* what was ours */
        }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    answer->body = transfer.body.data;
    answer->len = transfer.body.len;
    return rc;
}

void credential_answer_free(struct credential_answer *answer)
{
    if (answer->body)
        explicit_bzero(answer->body, answer->len);
    free(answer->body);
    explicit_bzero(answer, sizeof *answer);
}

static int transfer_set(struct transfer *transfer, const struct credential_request *request)
{
    CURL *easy = transfer->easy = curl_easy_init();
    transfer->multi = curl_multi_init();
    if (!easy || !transfer->multi)
        return -ENOMEM;
    bool local = request->reach == CREDENTIAL_LOCAL, ok = true;
    ok &= curl_easy_setopt(easy, CURLOPT_URL, request->url) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, local ? "http,https" : "https") == CURLE_OK;
    if (local)
        ok &= curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK; /* not the environment's either */
    for (size_t i = 0; i < sizeof request->header / sizeof request->header[0] && request->header[i]; i++) {
        struct curl_slist *longer = curl_slist_append(transfer->headers, request->header[i]);
        ok &= longer != NULL;
        transfer->headers = longer ? longer : transfer->headers;
    }
    ok &= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers) == CURLE_OK;
    if (request->body) /* not copied; as application/x-www-form-urlencoded */
        ok &= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_USERAGENT, "ehring/" EHRING_BUILD_VERSION) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_ms) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->total_ms) == CURLE_OK;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->message);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header_take);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    trust_set(easy);
    if (!ok || curl_multi_add_handle(transfer->multi, easy) != CURLM_OK)
        return -ENOMEM;
    return 0;
}

/* OpenSSL's own variables, which libcurl by itself does not look at: one trust for the hub and for Entra ID. */
static void trust_set(CURL *easy)
{
    const char *file = secure_getenv("SSL_CERT_FILE"), *dir = secure_getenv("SSL_CERT_DIR");
    if (file && file[0])
        curl_easy_setopt(easy, CURLOPT_CAINFO, file);
    if (dir && dir[0])
        curl_easy_setopt(easy, CURLOPT_CAPATH, dir);
}

static int transfer_run(struct transfer *transfer, const struct credential_run *run)
{
    struct credential_answer *answer = transfer->answer;
    struct curl_waitfd stop = {.fd = run->stop_fd, .events = CURL_WAIT_POLLIN};
    int running = 1, left = 0;
    for (;;) {
        if (curl_multi_perform(transfer->multi, &running) != CURLM_OK)
            return transfer_end(transfer, CURLE_OUT_OF_MEMORY);
        const struct CURLMsg *message = curl_multi_info_read(transfer->multi, &left);
        if (message && message->msg == CURLMSG_DONE)
            return transfer_end(transfer, message->data.result);
        int64_t now_ns = clock_mono_ns(), wait_ms = POLL_MS_MAX;
        if (now_ns >= run->deadline_ns || is_told_to_stop(run)) {
            snprintf(answer->error, sizeof answer->error, "%s", now_ns >= run->deadline_ns ? "no answer in time" : "stopped");
            return -ECANCELED;
        }
        if (run->deadline_ns - now_ns < wait_ms * CLOCK_NS_PER_MS)
            wait_ms = (run->deadline_ns - now_ns) / CLOCK_NS_PER_MS + 1;
        curl_multi_poll(transfer->multi, &stop, run->stop_fd >= 0 ? 1 : 0, (int)wait_ms, NULL);
    }
}

static int transfer_end(struct transfer *transfer, CURLcode code)
{
    struct credential_answer *answer = transfer->answer;
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    answer->status = (int)status;
    if (transfer->body.error == -EMSGSIZE)
        snprintf(answer->error, sizeof answer->error, "its answer is larger than %u bytes", CREDENTIAL_ANSWER_BYTES_MAX);
    if (transfer->body.error != 0)
        return transfer->body.error;
    if (code == CURLE_OK)
        credential_text_put(&transfer->body, "", 0, CREDENTIAL_ANSWER_BYTES_MAX);
    if (code == CURLE_OK && transfer->body.error == 0)
        return 0;
    credential_text_clean(transfer->message[0] ? transfer->message : curl_easy_strerror(code), NULL, answer->error, sizeof answer->error);
    return errno_of(code);
}

static bool is_told_to_stop(const struct credential_run *run)
{
    struct pollfd stop = {.fd = run->stop_fd, .events = POLLIN};
    return run->stop_fd >= 0 && poll(&stop, 1, 0) > 0;
}

static size_t body_take(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    credential_text_put(&transfer->body, data, size * count, CREDENTIAL_ANSWER_BYTES_MAX);
    return transfer->body.error == 0 ? size * count : 0; /* 0: ends the transfer */
}

static size_t header_take(char *data, size_t size, size_t count, void *context)
{
    struct credential_answer *answer = ((struct transfer *)context)->answer;
    size_t len = size * count, value_len;
    const char *value = header_value(data, len, "retry-after:", &value_len);
    if (value) {
        int64_t seconds = 0;
        for (size_t i = 0; i < value_len && value[i] >= '0' && value[i] <= '9' && seconds <= RETRY_AFTER_SECONDS_MAX; i++)
            seconds = seconds * 10 + (value[i] - '0');
        answer->retry_after_ms = (seconds < RETRY_AFTER_SECONDS_MAX ? seconds : RETRY_AFTER_SECONDS_MAX) * 1000;
    }
    value = header_value(data, len, "www-authenticate:", &value_len);
    if (value && value_len < sizeof answer->challenge) {
        memcpy(answer->challenge, value, value_len);
        answer->challenge[value_len] = '\0';
    }
    return len;
}

/* NULL: another header. Without the blanks around it. */
static const char *header_value(const char *line, size_t len, const char *name, size_t *value_len)
{
    size_t name_len = strlen(name);
    if (len < name_len || strncasecmp(line, name, name_len) != 0)
        return NULL;
    while (name_len < len && (line[name_len] == ' ' || line[name_len] == '\t'))
        name_len++;
    while (len > name_len && strchr("\r\n \t", line[len - 1]))
        len--;
    *value_len = len - name_len;
    return line + name_len;
}

static int errno_of(CURLcode code)
{
    switch ((int)code) {
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        return -EHOSTUNREACH;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return -EKEYREJECTED;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return -EINVAL;
    case CURLE_OUT_OF_MEMORY:
        return -ENOMEM;
    default:
        return -EPROTO;
    }
}
