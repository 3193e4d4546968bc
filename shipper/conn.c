/* One AMQP connection: the proton engine, its bytes and its timers. Does no I/O. Links are in conn_link.c, events in conn_event.c, requests
 * in request.c. */
#include "conn_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include <proton/codec.h>
#include <proton/condition.h>
#include <proton/connection.h>
#include <proton/error.h>
#include <proton/logger.h>
#include <proton/sasl.h>
#include <proton/transport.h>

#define IDLE_TIMEOUT_MS 60000u
#define TICK_MS_MAX 30000 /* the longest time between two calls of conn_tick */
#define TICK_MS_MIN 10    /* the shortest, whatever idle time-out the peer announces */
#define INCOMING_BYTES_MAX (4u * CONN_MAX_FRAME)

static int engine_open(struct conn *conn, const struct conn_options *options);
static void sasl_describe(struct conn *conn);
static void engine_authenticate(struct conn *conn, const struct conn_options *options);
static void log_nothing(intptr_t context, pn_log_subsystem_t subsystem, pn_log_level_t level, const char *text);
static void engine_describe(pn_connection_t *connection, const struct conn_options *options);
static void put_symbol(pn_data_t *to, const char *name, const char *text);
static int trace_begin(struct conn *conn, const char *name);
static int session_open_first(struct conn *conn);
static size_t output_filter(struct conn *conn, const uint8_t **data);
static int64_t earlier(int64_t a_ms, int64_t b_ms);

int conn_open(const struct conn_options *options, struct conn **out)
{
    struct conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return -ENOMEM;
    snprintf(conn->container_id, sizeof conn->container_id, "%s", options->container_id);
    conn->is_broker = options->is_broker;
    request_init(&conn->cbs, "$cbs", "ehring-cbs");
    request_init(&conn->management, "$management", "ehring-management");
    int ret = engine_open(conn, options);
    if (ret == 0 && options->trace_name && trace_log_wanted())
        ret = trace_begin(conn, options->trace_name);
    if (ret == 0)
        ret = session_open_first(conn);
    if (ret < 0) {
        conn_free(conn);
        return ret;
    }
    engine_drain(conn);
    *out = conn;
    return 0;
}

void conn_peer(const struct conn *conn, struct conn_peer *peer)
{
    *peer = (struct conn_peer){0};
    if (!conn->is_open)
        return;
    const char *name = pn_connection_remote_container(conn->driver.connection);
    if (name)
        request_text_clean(peer->container_id, sizeof peer->container_id, name, strlen(name));
    peer->idle_timeout_ms = pn_transport_get_remote_idle_timeout(conn->driver.transport);
    peer->frame_bytes_max = pn_transport_get_remote_max_frame(conn->driver.transport);
}

void conn_free(struct conn *conn)
{
    if (!conn)
        return;
    links_free(conn);
    request_free(&conn->cbs);
    request_free(&conn->management);
    if (conn->driver.connection)
        pn_connection_driver_destroy(&conn->driver);
    trace_close(conn->trace);
    free(conn);
}

int conn_input(struct conn *conn, const uint8_t *data, size_t len)
{
    if (conn->trace)
        trace_log_bytes(conn->trace, TRACE_RECEIVED, conn->trace_name, data, len);
    while (len > 0 && !conn->is_broken) {
        pn_rwbytes_t room = pn_connection_driver_read_buffer(&conn->driver);
        if (room.size == 0)
            break; /* the peer's close has come; what follows it means nothing */
        size_t step = len < room.size ? len : room.size;
        memcpy(room.start, data, step);
        pn_connection_driver_read_done(&conn->driver, step);
        data += step;
        len -= step;
        engine_drain(conn);
    }
    return conn->is_broken ? -EPROTO : 0;
}

void conn_input_end(struct conn *conn)
{
    conn_end(conn, OUTCOME_CLOSE, NULL);
    pn_connection_driver_read_close(&conn->driver);
    engine_drain(conn);
}

size_t conn_output(struct conn *conn, const uint8_t **data)
{
    size_t len = output_filter(conn, data);
    /* only when proton holds nothing at all is it given more: its copies stay within a frame or two, and every link has its turn */
    while (len == 0 && !conn->is_over && links_feed(conn)) {
        len = output_filter(conn, data);
        engine_drain(conn);
    }
    return len;
}

void conn_output_done(struct conn *conn, size_t len)
{
    conn->out_taken += len;
    /* popping a part makes proton move the rest down, so it is done when all is out (but for a head that the filter holds) */
    if (conn->out_taken < conn->out_passed || conn->out_passed == 0)
        return;
    pn_connection_driver_write_done(&conn->driver, conn->out_passed);
    conn->out_passed = conn->out_taken = 0;
    engine_drain(conn);
}

int64_t conn_tick(struct conn *conn, int64_t now_ms)
{
    conn->now_ms = now_ms;
    int64_t next_ms = now_ms + TICK_MS_MAX;
    if (!conn->is_over)
        next_ms = earlier(next_ms, pn_transport_tick(conn->driver.transport, now_ms));
    if (request_tick(&conn->cbs, now_ms))
        event_queue(conn, &conn->token, CONN_TOKEN);
    if (request_tick(&conn->management, now_ms))
        event_queue(conn, &conn->hub, CONN_HUB);
    next_ms = earlier(next_ms, conn->cbs.deadline_ms);
    next_ms = earlier(next_ms, conn->management.deadline_ms);
    engine_drain(conn);
    return next_ms < now_ms + TICK_MS_MIN ? now_ms + TICK_MS_MIN : next_ms;
}

int conn_put_token(struct conn *conn, const char *type, const char *audience, const char *token, int64_t expires_s)
{
    struct request_field fields[4] = {
        {.name = "operation", .text = "put-token"},
        {.name = "type", .text = type},
        {.name = "name", .text = audience},
        {.name = "expiration", .timestamp_ms = expires_s * 1000},
    };
    bool has_expiry = expires_s > 0 && expires_s <= INT64_MAX / 1000;
    if (conn->is_over)
        return -ENOTCONN;
    if (conn->token.is_queued)
        return -EBUSY;
    int ret = request_begin(&conn->cbs, conn->session[0].pn, fields, has_expiry ? 4 : 3, token, conn->now_ms);
    engine_drain(conn);
    return ret;
}

int conn_read_hub(struct conn *conn, const char *hub, const char *token)
{
    const struct request_field fields[4] = {
        {.name = "operation", .text = "READ"},
        {.name = "name", .text = hub},
        {.name = "type", .text = "com.microsoft:eventhub"},
        {.name = "security_token", .text = token},
    };
    if (conn->is_over)
        return -ENOTCONN;
    if (conn->hub.is_queued)
        return -EBUSY;
    int ret = request_begin(&conn->management, conn->session[0].pn, fields, 4, NULL, conn->now_ms);
    engine_drain(conn);
    return ret;
}

void conn_close(struct conn *conn)
{
    pn_connection_close(conn->driver.connection);
    engine_drain(conn);
}

void conn_end(struct conn *conn, enum outcome_place place, pn_condition_t *condition)
{
    if (conn->is_over)
        return;
    conn->is_over = true;
    conn->end_place = place;
    request_text_set(&conn->end_text, condition);
    if (pn_sasl_outcome(pn_sasl(conn->driver.transport)) != PN_SASL_OK)
        sasl_describe(conn);
    event_queue(conn, &conn->closed, CONN_CLOSED);
}

/* It ended before the peer knew who we are. The password is in none of it. */
static void sasl_describe(struct conn *conn)
{
    const char *mechanism = conn->sasl_user[0] ? "PLAIN" : "ANONYMOUS";
    bool is_refused = strcmp(conn->end_text.condition, "amqp:unauthorized-access") == 0;
    if (!is_refused)
        return;
    bool is_judged = pn_sasl_outcome(pn_sasl(conn->driver.transport)) != PN_SASL_NONE && pn_sasl_get_mech(pn_sasl(conn->driver.transport));
    snprintf(conn->end_text.description, sizeof conn->end_text.description, "SASL %s %s%s%s%s", mechanism,
             is_judged ? "was refused" : "is not offered by the peer", conn->sasl_user[0] ? " (user " : "", conn->sasl_user,
             conn->sasl_user[0] ? ")" : "");
}

static int engine_open(struct conn *conn, const struct conn_options *options)
{
    if (pn_connection_driver_init(&conn->driver, NULL, NULL) != 0)
        return -ENOMEM;
    pn_transport_t *transport = conn->driver.transport;
    /* proton's own log would go to stderr, by environment variables even with the tokens in it; some warnings pass by the mask */
    pn_logger_reset_mask(pn_transport_logger(transport), PN_SUBSYSTEM_ALL, PN_LEVEL_ALL);
    pn_logger_set_log_sink(pn_transport_logger(transport), log_nothing, 0);
    engine_authenticate(conn, options);
    pn_transport_set_max_frame(transport, CONN_MAX_FRAME);
    pn_transport_set_channel_max(transport, CONN_SESSIONS_MAX - 1);
    pn_transport_set_idle_timeout(transport, options->idle_timeout_ms ? options->idle_timeout_ms : IDLE_TIMEOUT_MS);
    pn_connection_set_container(conn->driver.connection, options->container_id);
    pn_connection_set_hostname(conn->driver.connection, options->hostname);
    engine_describe(conn->driver.connection, options);
    pn_connection_open(conn->driver.connection);
    return 0;
}

/* Proton knows nothing of the TLS around it: whether a password may go over this connection is decided by who configures it. */
static void engine_authenticate(struct conn *conn, const struct conn_options *options)
{
    pn_sasl_t *sasl = pn_sasl(conn->driver.transport);
    pn_sasl_allowed_mechs(sasl, options->sasl_user ? "PLAIN" : "ANONYMOUS");
    if (!options->sasl_user)
        return;
    pn_sasl_set_allow_insecure_mechs(sasl, true);
    pn_connection_set_user(conn->driver.connection, options->sasl_user);
    pn_connection_set_password(conn->driver.connection, options->sasl_password ? options->sasl_password : "");
    snprintf(conn->sasl_user, sizeof conn->sasl_user, "%s", options->sasl_user);
}

static void log_nothing(intptr_t context, pn_log_subsystem_t subsystem, pn_log_level_t level, const char *text)
{
    (void)context, (void)subsystem, (void)level, (void)text;
}

/* The properties of `open` that the service's operators see. */
static void engine_describe(pn_connection_t *connection, const struct conn_options *options)
{
    const char *product = options->product ? options->product : "ehring";
    const char *version = options->version ? options->version : "0";
    char platform[256] = "Linux", agent[512];
    struct utsname name;
    if (uname(&name) == 0)
        snprintf(platform, sizeof platform, "%.64s %.64s %.64s", name.sysname, name.release, name.machine);
    snprintf(agent, sizeof agent, "%.100s/%.50s (%.200s)", product, version, platform);
    pn_data_t *properties = pn_connection_properties(connection);
    pn_data_put_map(properties);
    pn_data_enter(properties);
    put_symbol(properties, "product", product);
    put_symbol(properties, "version", version);
    put_symbol(properties, "framework", "C");
    put_symbol(properties, "platform", platform);
    put_symbol(properties, "user-agent", agent);
    pn_data_exit(properties);
    pn_data_rewind(properties);
}

static void put_symbol(pn_data_t *to, const char *name, const char *text)
{
    pn_data_put_symbol(to, pn_bytes(strlen(name), name));
    pn_data_put_string(to, pn_bytes(strlen(text), text));
}

static int trace_begin(struct conn *conn, const char *name)
{
    snprintf(conn->trace_name, sizeof conn->trace_name, "%s", name);
    return trace_open(&conn->trace);
}

static int session_open_first(struct conn *conn)
{
    pn_session_t *session = pn_session(conn->driver.connection);
    if (!session)
        return -ENOMEM;
    pn_session_set_context(session, conn);
    pn_session_set_incoming_capacity(session, INCOMING_BYTES_MAX);
    pn_session_open(session);
    conn->session[0].pn = session;
    conn->session[0].link_count = CONN_REQUEST_LINKS;
    conn->session_count = 1;
    return 0;
}

/* Patches and counts what proton has put out; what may go and is not taken yet. */
static size_t output_filter(struct conn *conn, const uint8_t **data)
{
    pn_bytes_t out = pn_connection_driver_write_buffer(&conn->driver);
    if (out.size > conn->out_passed) {
        /* proton's buffer, which nobody else reads; the API says const because applications only send it */
        uint8_t *start = (uint8_t *)(uintptr_t)out.start;
        int64_t passed = format_filter(&conn->filter, start + conn->out_passed, out.size - conn->out_passed);
        assert(passed >= 0); /* proton writes frames */
        if (conn->trace)
            trace_log_bytes(conn->trace, TRACE_SENT, conn->trace_name, start + conn->out_passed, (size_t)passed);
        conn->out_passed += (size_t)passed;
    }
    *data = (const uint8_t *)out.start + conn->out_taken;
    return conn->out_passed - conn->out_taken;
}

static int64_t earlier(int64_t a_ms, int64_t b_ms)
{
    return b_ms != 0 && b_ms < a_ms ? b_ms : a_ms;
}
