/* The stack under a connection: socket, perhaps TLS, perhaps WebSocket. Gives and takes the bytes of AMQP, whatever carries them. */
#ifndef HUB_STREAM_H
#define HUB_STREAM_H

#include "broker.h"
#include "sock.h"

/* How connections come in on a port. */
struct hub_way {
    SSL_CTX *ctx; /* NULL: without TLS */
    bool websocket;
};

struct hub_stream {
    struct hub_broker *broker;
    struct hub_sock sock;
    struct hub_websocket *websocket; /* NULL: none */
    uint64_t conn_id;                /* for messages */
    bool over;                       /* nothing that comes is understood any more: it is read away */
    bool finished;                   /* we said all and closed our direction */
};

/* Takes over an accepted descriptor; plain when `way` is NULL. 0 or a negative errno (the descriptor is then closed). */
int hub_stream_open(struct hub_stream *s, struct hub_broker *b, uint64_t conn_id, int fd, const struct hub_way *way);

/* Bytes read; -EAGAIN; -ESHUTDOWN: no byte of AMQP follows, though the peer may wait for our last words; another negative errno: gone. */
ssize_t hub_stream_read(struct hub_stream *s, void *to, size_t len);

/* Bytes taken, -EAGAIN, or another negative errno when the connection is over. What can reach nobody any more is taken. */
ssize_t hub_stream_write(struct hub_stream *s, const void *from, size_t len);

/* Writes what waits below AMQP. 0 (all written or it has to wait), or a negative errno: gone. */
int hub_stream_flush(struct hub_stream *s);

/* Says goodbye where the stack has a word for it; call when AMQP has said all. Safe to repeat. */
void hub_stream_finish(struct hub_stream *s);

/* A WebSocket is closed with this code, whatever AMQP still has to say. False: there is none that is open. */
bool hub_stream_close_websocket(struct hub_stream *s, uint16_t code, const char *reason);

/* The peer has taken too long to get as far as AMQP. True: it was told so. */
bool hub_stream_expire(struct hub_stream *s);

/* Whether bytes wait below AMQP, or TLS waits for the socket to take some; how many bytes. */
bool hub_stream_wants_write(const struct hub_stream *s);
size_t hub_stream_waiting(const struct hub_stream *s);

/* Whether bytes come in pieces smaller than they could. */
bool hub_stream_is_piecewise(const struct hub_stream *s);

/* Whether nothing is owed to the peer nor awaited from it, once all is written. */
bool hub_stream_is_done(const struct hub_stream *s);

/* Closes; says goodbye in TLS, unless it was cut. */
void hub_stream_close(struct hub_stream *s);

#endif
