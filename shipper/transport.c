/* What lies between a socket and the AMQP engine: proxy, TLS and WebSocket stacked as a door wants them. Does no I/O. */
#include "transport.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "websocket.h"

#define PLAIN_CHUNK_BYTES 65536u

struct transport {
    enum transport_stage stage;
    int code; /* why it is over, 0: it is not */
    enum transport_stage failed_at;
    bool is_closing; /* transport_shutdown was called */
    bool has_websocket;
    uint16_t websocket_port; /* as the request names it, 0: not */
    char host[256];
    struct tls_context *trust; /* its own hold of it: the way may be another one by the time a proxy has answered. NULL: plain */
    struct proxy *proxy;       /* until it is through */
    struct tls *tls;           /* NULL: plain, or not begun */
    struct websocket *websocket;
    char proxy_answer[80];
    char error[160]; /* what no layer has a text for */
};

/* decoded bytes on their way into the engine */
static _Thread_local uint8_t plain[PLAIN_CHUNK_BYTES];

static int stage_next(struct transport *transport);
static int proxy_take(struct transport *transport, const uint8_t **data, size_t *len);
static int tls_take(struct transport *transport, struct conn *conn, const uint8_t *data, size_t len);
static int plain_take(struct transport *transport, struct conn *conn, const uint8_t *data, size_t len, uint8_t *to);
static int over(struct transport *transport, enum transport_stage failed_at, int code);
static size_t tls_give(struct transport *transport, struct conn *conn, uint8_t *to, size_t cap);
static size_t plain_give(struct transport *transport, struct conn *conn, uint8_t *to, size_t cap);
static size_t plain_pull(struct transport *transport, struct conn *conn, const uint8_t **data);
static void plain_done(struct transport *transport, struct conn *conn, size_t len);

int transport_open(const struct transport_way *way, const struct door *door, struct transport **out, char *why, size_t why_len)
{
    *out = NULL;
    struct transport *transport = calloc(1, sizeof *transport);
    int ret = transport ? 0 : -ENOMEM;
    if (transport) {
        uint16_t port = door_port(door);
        memcpy(transport->host, door->connstr.host, sizeof transport->host);
        transport->has_websocket = door->transport == DOOR_TRANSPORT_WEBSOCKET;
        transport->websocket_port = port == (door->plain ? 80 : 443) ? 0 : port;
        ret = tls_context_share(way->tls, &transport->trust);
        if (ret == 0 && !door->plain && !transport->trust)
            ret = -EINVAL; /* never without TLS by an oversight */
        if (ret < 0)
            ;
        else if (way->has_proxy)
            ret = proxy_open(&way->proxy, door_dial_host(door), door_dial_port(door), &transport->proxy);
        else
            ret = stage_next(transport);
    }
    if (ret == 0) {
        *out = transport;
        return 0;
    }
    snprintf(why, why_len, "the connection to %s cannot be begun: %s", door->connstr.host, strerror(-ret));
    transport_close(transport);
    return ret;
}

void transport_close(struct transport *transport)
{
    if (!transport)
        return;
    proxy_close(transport->proxy);
    websocket_close(transport->websocket);
    tls_close(transport->tls);
    tls_context_close(transport->trust);
    free(transport);
}

int transport_input(struct transport *transport, struct conn *conn, const uint8_t *data, size_t len)
{
    if (transport->code != 0)
        return transport->code;
    if (transport->proxy && (proxy_take(transport, &data, &len) < 0 || len == 0))
        return transport->code;
    if (transport->tls)
        return tls_take(transport, conn, data, len);
    for (size_t step; len > 0 && transport->code == 0; data += step, len -= step) {
        step = len < sizeof plain ? len : sizeof plain;
        plain_take(transport, conn, data, step, plain);
    }
    return transport->code;
}

void transport_input_end(struct transport *transport)
{
    if (transport->code != 0)
        return;
    switch (transport->stage) {
    case TRANSPORT_PROXY:
        proxy_input_end(transport->proxy);
        break;
    case TRANSPORT_TLS:
        tls_input_end(transport->tls);
        break;
    case TRANSPORT_WEBSOCKET:
        websocket_input_end(transport->websocket);
        break;
    case TRANSPORT_UP:
        return;
    }
    over(transport, transport->stage, -EPIPE);
}

size_t transport_output(struct transport *transport, struct conn *conn, uint8_t *to, size_t cap)
{
    if (transport->code != 0 && (transport->code != -ECONNRESET || !transport->websocket))
        return 0;
    if (transport->proxy)
        return proxy_output(transport->proxy, to, cap);
    if (transport->tls)
        return tls_give(transport, conn, to, cap);
    return plain_give(transport, conn, to, cap);
}

void transport_shutdown(struct transport *transport)
{
    if (transport->is_closing)
        return;
    transport->is_closing = true;
    if (transport->websocket)
        websocket_shutdown(transport->websocket);
}

enum transport_stage transport_stage(const struct transport *transport)
{
    return transport->code != 0 ? transport->failed_at : transport->stage;
}

int transport_error_code(const struct transport *transport)
{
    return transport->code;
}

const char *transport_what(const struct transport *transport)
{
    if (transport->code == -ECONNRESET)
        return "connection closed by the peer";
    switch (transport_stage(transport)) {
    case TRANSPORT_PROXY:
        return "the proxy gives no connection";
    case TRANSPORT_TLS:
        return "TLS failed";
    case TRANSPORT_WEBSOCKET:
        return "WebSocket failed";
    case TRANSPORT_UP:
        break;
    }
    return "no connection";
}

const char *transport_error(const struct transport *transport)
{
    const char *text = "";
    switch (transport_stage(transport)) {
    case TRANSPORT_PROXY:
        text = transport->proxy ? proxy_error(transport->proxy) : "";
        break;
    case TRANSPORT_TLS:
        text = transport->tls ? tls_error(transport->tls) : "";
        break;
    case TRANSPORT_WEBSOCKET:
        text = transport->websocket ? websocket_error(transport->websocket) : "";
        break;
    case TRANSPORT_UP:
        break;
    }
    return text[0] ? text : transport->error;
}

void transport_print_seen(const struct transport *transport, struct transport_seen *seen)
{
    *seen = (struct transport_seen){0};
    snprintf(seen->proxy, sizeof seen->proxy, "%s", transport->proxy ? proxy_answer(transport->proxy) : transport->proxy_answer);
    if (transport->tls) {
        snprintf(seen->tls, sizeof seen->tls, "%s", tls_version(transport->tls));
        tls_print_peer(transport->tls, seen->certificate, sizeof seen->certificate);
        seen->certificate_end_s = tls_peer_end_s(transport->tls);
    }
    if (transport->websocket) {
        snprintf(seen->websocket, sizeof seen->websocket, "%s", websocket_answer(transport->websocket));
        websocket_date(transport->websocket, seen->date, sizeof seen->date);
    }
}

/* Begins the layer above the one that is ready; what is not there is passed over. 0 or negative errno. */
static int stage_next(struct transport *transport)
{
    switch (transport->stage) {
    case TRANSPORT_PROXY:
        transport->stage = TRANSPORT_TLS;
        if (transport->trust)
            return tls_open(transport->trust, transport->host, &transport->tls);
        __attribute__((fallthrough));
    case TRANSPORT_TLS:
        transport->stage = TRANSPORT_WEBSOCKET;
        if (transport->has_websocket)
            return websocket_open(transport->host, transport->websocket_port, &transport->websocket);
        __attribute__((fallthrough));
    case TRANSPORT_WEBSOCKET:
    case TRANSPORT_UP:
        transport->stage = TRANSPORT_UP;
        return 0;
    }
    return 0;
}

/* What follows the proxy's answer stays for the layers above. */
static int proxy_take(struct transport *transport, const uint8_t **data, size_t *len)
{
    ssize_t taken = proxy_input(transport->proxy, *data, *len);
    if (taken < 0)
        return over(transport, TRANSPORT_PROXY, (int)taken);
    *data += taken;
    *len -= (size_t)taken;
    if (!proxy_is_ready(transport->proxy))
        return 0;
    snprintf(transport->proxy_answer, sizeof transport->proxy_answer, "%s", proxy_answer(transport->proxy));
    proxy_close(transport->proxy);
    transport->proxy = NULL;
    int ret = stage_next(transport);
    return ret < 0 ? over(transport, transport->stage, ret) : 0;
}

static int tls_take(struct transport *transport, struct conn *conn, const uint8_t *data, size_t len)
{
    ssize_t got = tls_input(transport->tls, data, len);
    if (got < 0)
        return over(transport, TRANSPORT_TLS, (int)got);
    do {
        got = tls_read(transport->tls, plain, sizeof plain);
        if (transport->stage == TRANSPORT_TLS && tls_is_ready(transport->tls)) {
            int ret = stage_next(transport);
            if (ret < 0)
                return over(transport, transport->stage, ret);
        }
        if (got > 0 && plain_take(transport, conn, plain, (size_t)got, plain) < 0)
            return transport->code;
    } while (got > 0);
    if (got == -ECONNRESET && transport->stage == TRANSPORT_WEBSOCKET) {
        websocket_input_end(transport->websocket);
        return over(transport, TRANSPORT_WEBSOCKET, -EPIPE);
    }
    return got < 0 ? over(transport, TRANSPORT_TLS, (int)got) : 0;
}

/* An engine that is broken says so by CONN_CLOSED. `to` has room for `len` bytes and may be where they lie. */
static int plain_take(struct transport *transport, struct conn *conn, const uint8_t *data, size_t len, uint8_t *to)
{
    struct websocket *websocket = transport->websocket;
    if (!websocket) {
        conn_input(conn, data, len);
        return 0;
    }
    size_t got = websocket_input(websocket, data, len, to);
    if (transport->stage == TRANSPORT_WEBSOCKET && websocket_is_ready(websocket))
        transport->stage = TRANSPORT_UP;
    if (got > 0)
        conn_input(conn, to, got);
    return websocket_is_over(websocket) ? over(transport, TRANSPORT_WEBSOCKET, websocket_error_code(websocket)) : 0;
}

/* An orderly end has no sentence of its layer's but the WebSocket's. */
static int over(struct transport *transport, enum transport_stage failed_at, int code)
{
    transport->code = code;
    transport->is_closing = true;
    transport->failed_at = failed_at;
    if (transport_error(transport)[0] == '\0')
        snprintf(transport->error, sizeof transport->error, "%s", code == -ECONNRESET ? "closed by the peer" : strerror(-code));
    return code;
}

/* Cipher bytes straight into the socket's buffer. */
static size_t tls_give(struct transport *transport, struct conn *conn, uint8_t *to, size_t cap)
{
    size_t put = 0, cipher;
    ssize_t taken;
    do {
        const uint8_t *data;
        size_t len = plain_pull(transport, conn, &data);
        tls_lend(transport->tls, to + put, cap - put);
        taken = len ? tls_write(transport->tls, data, len < TLS_WRITE_BYTES_MAX ? len : TLS_WRITE_BYTES_MAX) : 0;
        if (taken > 0)
            plain_done(transport, conn, (size_t)taken);
        else if (len == 0 && transport->is_closing)
            tls_shutdown(transport->tls);
        cipher = tls_output(transport->tls, to + put, cap - put);
        put += cipher;
    } while (put < cap && (cipher > 0 || taken > 0));
    if (taken < 0)
        over(transport, TRANSPORT_TLS, (int)taken);
    return put;
}

static size_t plain_give(struct transport *transport, struct conn *conn, uint8_t *to, size_t cap)
{
    const uint8_t *data;
    size_t put = 0, len;
    while (put < cap && (len = plain_pull(transport, conn, &data)) > 0) {
        len = len < cap - put ? len : cap - put;
        memcpy(to + put, data, len);
        plain_done(transport, conn, len);
        put += len;
    }
    return put;
}

/* Bytes of the layer above TLS: the engine's own, or a frame that is made of them. */
static size_t plain_pull(struct transport *transport, struct conn *conn, const uint8_t **data)
{
    if (transport->stage == TRANSPORT_TLS)
        return 0;
    if (!transport->websocket)
        return transport->is_closing ? 0 : conn_output(conn, data);
    size_t len = websocket_output(transport->websocket, data);
    if (len > 0 || transport->stage != TRANSPORT_UP || transport->is_closing)
        return len;
    len = conn_output(conn, data);
    size_t taken = len ? websocket_write(transport->websocket, *data, len) : 0;
    if (taken > 0)
        conn_output_done(conn, taken);
    else if (websocket_is_over(transport->websocket))
        over(transport, TRANSPORT_WEBSOCKET, websocket_error_code(transport->websocket));
    return websocket_output(transport->websocket, data);
}

static void plain_done(struct transport *transport, struct conn *conn, size_t len)
{
    if (transport->websocket)
        websocket_output_done(transport->websocket, len);
    else
        conn_output_done(conn, len);
}
