/* The admin port: health, counters and faults over HTTP, served from the event loop's one thread. */
#include "admin.h"

#include "listener.h"
#include "play.h"
#include "stats.h"

#include <microhttpd.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BODY_BYTES_MAX = HUB_FAULTS_MAX * HUB_FAULT_TEXT_MAX, CONNECTIONS_MAX = 32, IDLE_SECONDS = 30 };

struct hub_admin {
    struct MHD_Daemon *daemon;
    struct hub_broker *broker;
};

/* A request on its way. */
struct request {
    struct hub_buf body;
    bool too_long;
};

/* An answer: text that was allocated. */
struct answer {
    unsigned status;
    const char *type;
    char *text;
};

static enum MHD_Result on_request(void *context, struct MHD_Connection *c, const char *url, const char *method, const char *version,
                                  const char *data, size_t *data_len, void **state);
static void on_end(void *context, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code);
static void route(struct hub_admin *a, struct MHD_Connection *c, const char *url, const char *method, struct request *r,
                  struct answer *answer);
static void fault_route(struct hub_admin *a, struct MHD_Connection *c, const char *method, struct request *r, struct answer *answer);
static void faults_play(struct hub_broker *b, struct request *r, struct answer *answer);
static void faults_clear(struct hub_broker *b, const char *name, struct answer *answer);
static char *faults_list(struct hub_broker *b);
static void say(struct answer *a, unsigned status, const char *format, ...) __attribute__((format(printf, 3, 4)));
static enum MHD_Result send_answer(struct MHD_Connection *c, const struct answer *a);

int hub_admin_open(struct hub_admin **admin, struct hub_broker *b, const char *address, uint16_t *port)
{
    int fd = hub_listen(address, port);
    struct hub_admin *a;

    if (fd < 0)
        return fd;
    a = hub_alloc(1, sizeof(*a));
    a->broker = b;
    a->daemon = MHD_start_daemon(MHD_USE_EPOLL, *port, NULL, NULL, on_request, a, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                                 (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
                                 MHD_OPTION_NOTIFY_COMPLETED, on_end, a, MHD_OPTION_END);
    if (!a->daemon) {
        close(fd);
        free(a);
        return -EIO;
    }
    *admin = a;
    return 0;
}

int hub_admin_fd(const struct hub_admin *a)
{
    return MHD_get_daemon_info(a->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

void hub_admin_turn(struct hub_admin *a)
{
    MHD_run(a->daemon);
}

int hub_admin_wait_ms(struct hub_admin *a)
{
    MHD_UNSIGNED_LONG_LONG ms;

    if (MHD_get_timeout(a->daemon, &ms) != MHD_YES)
        return -1;
    return ms > IDLE_SECONDS * 1000 ? IDLE_SECONDS * 1000 : (int)ms;
}

void hub_admin_close(struct hub_admin *a)
{
    if (!a)
        return;
    MHD_stop_daemon(a->daemon);
    free(a);
}

/* Called first with the head alone, then with the body piece by piece, then once more. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *c, const char *url, const char *method, const char *version,
                                  const char *data, size_t *data_len, void **state)
{
    struct answer answer = {0};
    struct request *r = *state;

    (void)version;
    if (!r) {
        *state = hub_alloc(1, sizeof(*r));
        return MHD_YES;
    }
    if (*data_len > 0) {
        r->too_long |= r->body.len + *data_len > BODY_BYTES_MAX;
        if (!r->too_long)
            hub_buf_put(&r->body, data, *data_len);
        *data_len = 0;
        return MHD_YES;
    }
    route(context, c, url, method, r, &answer);
    return send_answer(c, &answer);
}

static void on_end(void *context, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code)
{
    struct request *r = *state;

    (void)context;
    (void)c;
    (void)code;
    if (r)
        hub_buf_free(&r->body);
    free(r);
    *state = NULL;
}

static void route(struct hub_admin *a, struct MHD_Connection *c, const char *url, const char *method, struct request *r,
                  struct answer *answer)
{
    bool is_get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;

    if (strcmp(url, "/fault") == 0) {
        fault_route(a, c, method, r, answer);
    } else if (strcmp(url, "/stats") != 0 && strcmp(url, "/health") != 0) {
        say(answer, MHD_HTTP_NOT_FOUND, "there are GET /health, GET /stats, and GET, POST and DELETE /fault\n");
    } else if (!is_get) {
        say(answer, MHD_HTTP_METHOD_NOT_ALLOWED, "%s takes GET\n", url);
    } else if (strcmp(url, "/health") == 0) {
        say(answer, MHD_HTTP_OK, "ok\n");
    } else {
        *answer = (struct answer){MHD_HTTP_OK, "application/json", hub_stats_json(a->broker)};
    }
}

static void fault_route(struct hub_admin *a, struct MHD_Connection *c, const char *method, struct request *r, struct answer *answer)
{
    if (strcmp(method, "POST") == 0)
        faults_play(a->broker, r, answer);
    else if (strcmp(method, "DELETE") == 0)
        faults_clear(a->broker, MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "name"), answer);
    else if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
        *answer = (struct answer){MHD_HTTP_OK, "text/plain; charset=utf-8", faults_list(a->broker)};
    else
        say(answer, MHD_HTTP_METHOD_NOT_ALLOWED, "/fault takes GET, POST and DELETE\n");
}

static void faults_play(struct hub_broker *b, struct request *r, struct answer *answer)
{
    char why[HUB_WHY_MAX];

    if (r->too_long) {
        say(answer, MHD_HTTP_CONTENT_TOO_LARGE, "the body exceeds %d bytes\n", BODY_BYTES_MAX);
        return;
    }
    hub_buf_put_byte(&r->body, 0);
    int count = hub_play_lines(b, (const char *)r->body.data, why);
    if (count < 0)
        say(answer, MHD_HTTP_BAD_REQUEST, "%s\n", why);
    else if (count == 0)
        say(answer, MHD_HTTP_BAD_REQUEST, "the body holds no fault: one a line, see ehring-hub(1)\n");
    else
        say(answer, MHD_HTTP_OK, "played %d\n", count);
}

static void faults_clear(struct hub_broker *b, const char *name, struct answer *answer)
{
    char text[HUB_FAULT_TEXT_MAX], why[HUB_WHY_MAX];

    snprintf(text, sizeof(text), "clear %s", name ? name : "");
    if (hub_play_text(b, text, why) < 0)
        say(answer, MHD_HTTP_BAD_REQUEST, "%s\n", why);
    else
        say(answer, MHD_HTTP_OK, "cleared\n");
}

/* One that stands on each line, and what is left of it behind a tab. */
static char *faults_list(struct hub_broker *b)
{
    struct hub_buf list = {0};
    char left[96];

    hub_faults_tidy(&b->faults, b->now_mono_ms);
    for (unsigned i = 0; i < b->faults.count; i++) {
        const struct hub_fault *f = b->faults.at[i];
        hub_buf_put(&list, f->source, strlen(f->source));
        int len = f->next > 0 ? snprintf(left, sizeof(left), "\tleft=%llu", (unsigned long long)f->next) : 0;
        if (f->until_ms > 0)
            len += snprintf(left + len, sizeof(left) - (size_t)len, "\tleft_ms=%lld", (long long)(f->until_ms - b->now_mono_ms));
        hub_buf_put(&list, left, (size_t)len);
        hub_buf_put_byte(&list, '\n');
    }
    hub_buf_put_byte(&list, 0);
    return (char *)list.data;
}

static void say(struct answer *a, unsigned status, const char *format, ...)
{
    va_list arguments;

    *a = (struct answer){status, "text/plain; charset=utf-8", hub_alloc(1, HUB_WHY_MAX + 8)};
    va_start(arguments, format);
    vsnprintf(a->text, HUB_WHY_MAX + 8, format, arguments);
    va_end(arguments);
}

static enum MHD_Result send_answer(struct MHD_Connection *c, const struct answer *a)
{
    struct MHD_Response *response;
    enum MHD_Result rc;

    if (!a->text)
        return MHD_NO;
    response = MHD_create_response_from_buffer(strlen(a->text), a->text, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(a->text);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, a->type);
    rc = MHD_queue_response(c, a->status, response);
    MHD_destroy_response(response);
    return rc;
}
