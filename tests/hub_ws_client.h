/* A raw client of AMQP over WebSocket against a hub's event loop, said with criterion; the rig puts and reads its AMQP. */
#ifndef TESTS_HUB_WS_CLIENT_H
#define TESTS_HUB_WS_CLIENT_H

#include "tests/hub_loop.h"
#include "tests/hub_ws_rig.h"

enum { TURNS_MAX = 2000 };

/* The client's side of one WebSocket. */
struct socket {
    struct loop *l;
    int fd;
    bool ended;
    struct hub_buf in;
    unsigned messages, frames, pings; /* that came */
    size_t frame_len_max;
    uint64_t amqp_bytes; /* that came */
    bool in_message;
    int close_code; /* -1: none, 0: without code */
    char close_text[128];
};

static inline void socket_open(struct socket *s, struct loop *l)
{
    *s = (struct socket){.l = l, .fd = dial(l->ws), .close_code = -1};
    cr_assert_geq(s->fd, 0);
}

static inline void socket_close(struct socket *s)
{
    close(s->fd);
    hub_buf_free(&s->in);
}

static inline void socket_read(struct socket *s)
{
    ssize_t n;

    cr_assert_eq(hub_server_turn(s->l->server, &s->l->mask), 0);
    hub_buf_pack(&s->in);
    while ((n = read(s->fd, hub_buf_room(&s->in, 1 << 16), 1 << 16)) > 0)
        s->in.len += (size_t)n;
    s->ended |= n == 0 || (n < 0 && errno != EAGAIN);
}

/* In pieces of this many bytes, 0: at once, with a turn of the loop after each. */
static inline void socket_write(struct socket *s, const void *bytes, size_t len, size_t piece)
{
    for (size_t at = 0; at < len && !s->ended;) {
        size_t part = piece && piece < len - at ? piece : len - at;
        ssize_t n = send(s->fd, (const uint8_t *)bytes + at, part, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            break;
        at += n > 0 ? (size_t)n : 0;
        if (piece || n < 0)
            socket_read(s);
    }
}

static inline void socket_frame(struct socket *s, uint8_t first, bool masked, const void *payload, size_t len)
{
    struct hub_buf out = {0};

    ws_put_frame(&out, first, masked, payload, len);
    socket_write(s, out.data, out.len, 0);
    hub_buf_free(&out);
}

/* The answer to an upgrade as text, up to its empty line; what follows stays. */
static inline void answer_read(struct socket *s, char *text, size_t size)
{
    uint8_t *end = NULL;

    for (int i = 0; i < TURNS_MAX && !end && !s->ended; i++) {
        socket_read(s);
        if (hub_buf_used(&s->in) > 0)
            end = memmem(s->in.data + s->in.head, hub_buf_used(&s->in), "\r\n\r\n", 4);
    }
    if (!end && hub_buf_used(&s->in) > 0)
        end = memmem(s->in.data + s->in.head, hub_buf_used(&s->in), "\r\n\r\n", 4);
    cr_assert_not_null(end, "no answer to the upgrade");
    size_t len = (size_t)(end + 4 - (s->in.data + s->in.head));
    snprintf(text, size, "%.*s", (int)len, (char *)s->in.data + s->in.head);
    hub_buf_take(&s->in, len);
}

static inline void upgrade(struct socket *s)
{
    char answer[2048];

    socket_write(s, WS_HEAD, strlen(WS_HEAD), 0);
    answer_read(s, answer, sizeof answer);
    cr_assert_eq(strncmp(answer, "HTTP/1.1 101 ", 13), 0, "%s", answer);
}

static inline void frame_note(struct socket *s, const struct ws_frame *f)
{
    cr_expect_not(f->masked, "a server's frame is masked");
    if (f->opcode == WS_PING) {
        s->pings++;
        cr_expect_not(s->in_message && s->frames == 0);
    } else if (f->opcode == WS_CLOSE) {
        s->close_code = f->len >= 2 ? f->payload[0] << 8 | f->payload[1] : 0;
        snprintf(s->close_text, sizeof s->close_text, "%.*s", f->len >= 2 ? (int)f->len - 2 : 0, f->payload + (f->len >= 2 ? 2 : 0));
    } else if (f->opcode == WS_BINARY || f->opcode == WS_CONTINUATION) {
        cr_expect_eq(f->opcode, s->in_message ? WS_CONTINUATION : WS_BINARY);
        s->in_message = !f->fin;
        s->messages += f->fin;
        s->frames++;
        s->amqp_bytes += f->len;
        if (f->len > s->frame_len_max)
            s->frame_len_max = f->len;
        hub_buf_put(&s->l->r.in, f->payload, f->len);
    } else {
        cr_expect_eq(f->opcode, WS_PONG);
    }
}

/* Takes the frames that came; what is AMQP goes where the rig reads. */
static inline void frames_take(struct socket *s)
{
    struct ws_frame f;

    socket_read(s);
    hub_buf_pack(&s->l->r.in);
    while (s->close_code < 0 && ws_take_frame(&s->in, &f))
        frame_note(s, &f);
}

/* Sends what the rig has put, in messages of so many bytes and pieces of so many. */
static inline void rig_send(struct socket *s, size_t message, size_t piece)
{
    struct hub_buf out = {0}, *from = &s->l->r.out;

    while (hub_buf_used(from) > 0) {
        size_t part = message && message < hub_buf_used(from) ? message : hub_buf_used(from);
        ws_put_binary(&out, from->data + from->head, part);
        hub_buf_take(from, part);
    }
    socket_write(s, out.data, out.len, piece);
    hub_buf_free(&out);
}

/* Reads frames of AMQP up to the next one of this performative. The rig itself has no socket here. */
static inline bool await(struct socket *s, uint64_t code)
{
    for (int i = 0; i < TURNS_MAX; i++) {
        if (rig_await(&s->l->r, code))
            return true;
        if (s->ended || s->close_code >= 0)
            break;
        frames_take(s);
    }
    return rig_await(&s->l->r, code);
}

/* Until the hub has closed the socket. */
static inline void await_end(struct socket *s)
{
    for (int i = 0; i < TURNS_MAX && !s->ended; i++)
        frames_take(s);
    cr_expect(s->ended, "the hub did not close the socket");
}

static inline void await_close_frame(struct socket *s)
{
    for (int i = 0; i < TURNS_MAX && !s->ended && s->close_code < 0; i++)
        frames_take(s);
}

static inline void put_sender(struct rig *r)
{
    rig_put_open(r, true, 65536);
    rig_put_attach(r, 0, false, "hub1", NULL, -1);
}

static inline void ws_open(struct loop *l, struct socket *s, const char *fault)
{
    loop_open(l);
    l->r.fd = -1;
    if (fault)
        rig_play(&l->r, fault);
    socket_open(s, l);
}

static inline void ws_close(struct loop *l, struct socket *s)
{
    socket_close(s);
    loop_close(l);
}

static inline void expect_status(struct loop *l, const char *head, size_t len, size_t piece, int status, const char *says)
{
    char answer[2048];
    struct socket s;

    socket_open(&s, l);
    socket_write(&s, head, len, piece);
    answer_read(&s, answer, sizeof answer);
    cr_expect_eq(atoi(answer + strlen("HTTP/1.1 ")), status, "%.80s: %s", head, answer);
    if (status == 101) {
        cr_expect_not_null(strstr(answer, says), "%s", answer);
    } else {
        for (int i = 0; i < TURNS_MAX && !s.ended; i++)
            socket_read(&s);
        hub_buf_put_byte(&s.in, '\0');
        const char *body = (const char *)s.in.data + s.in.head;
        cr_expect_not_null(strstr(body, says), "%.80s: body '%s'", head, body);
        cr_expect_eq(strtoul(strstr(answer, "Content-Length: ") + 16, NULL, 10), strlen(body));
        cr_expect(s.ended, "the socket stays open after a refusal");
    }
    socket_close(&s);
}

/* Sends an event and reads its outcome. */
static inline void expect_event(struct socket *s, size_t message, size_t piece)
{
    put_sender(&s->l->r);
    rig_send(s, message, piece);
    cr_assert(await(s, HUB_FLOW), "no credit with messages of %zu bytes in pieces of %zu", message, piece);
    rig_put_event(&s->l->r, 0, 0, "over the web", 12);
    rig_send(s, message, piece);
    cr_assert(await(s, HUB_DISPOSITION), "no outcome with messages of %zu bytes in pieces of %zu", message, piece);
}

#endif
