/* libehring-direct: sends events to Azure Event Hubs over a connection of its own and waits for the outcome. No ring, no daemon.
 *
 * For programs that send now and then and must know the outcome before they go on. A call takes a round trip to the service; for many
 * events a second use libehring and ehring-shipper, whose calls take nanoseconds.
 *
 * Threads: a handle is used by one thread at a time; several handles are independent. Calls block, over poll(2), in the caller's thread; so
 * does the look-up of the host's name, which no time-out of ours limits. No threads are made but libcurl's for a name,
 * where an identity of Entra ID is set; no signal is raised (SIGPIPE neither).
 *
 * Connection: one per handle, over TLS 1.2 or newer with the certificate verified; without TLS only if the connection string says
 * UseDevelopmentEmulator=true, which is for the local host. While no call is made nothing keeps the connection alive: the service closes it
 * after some minutes. The next call notices and connects anew, within its own time-out. Tokens are made and renewed inside.
 *
 * Outcomes: 0 means that the service has accepted and stored. A negative errno means that nothing was stored. A positive enum
 * ehring_direct_outcome means that the events left this machine and were refused, or that their fate is unknown: sending them again may
 * then store them twice.
 *
 * Secrets: neither keys nor tokens appear in any text of this library. */
#ifndef EHRING_DIRECT_H
#define EHRING_DIRECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EHRING_DIRECT_API __attribute__((visibility("default")))
#define EHRING_DIRECT_KEY_CHARS_MAX 128u  /* characters, not bytes */
#define EHRING_DIRECT_PROPERTIES_MAX 256u /* of one event */
#define EHRING_DIRECT_ERROR_BYTES 1024u   /* any error text fits */

struct ehring_direct;

/* All zero: the defaults. Texts are NUL-terminated, read during the call only. */
struct ehring_direct_options {
    const char *hub;             /* NULL: the connection string's EntityPath; if both are given they must agree */
    const char *ca_file;         /* PEM file of the authorities to trust instead of the system's; NULL: the system's */
    uint32_t connect_timeout_ms; /* name, TCP, TLS, token and link together; 0: 10,000 */
    uint32_t trace;              /* not 0: a line on standard error for each AMQP frame, no payloads and no secrets in it */
    const char *const
        *settings;        /* "name = value" each, the last one NULL; NULL: none. See ehring-direct(3): transport, proxy, credential … */
    uint64_t reserved[3]; /* zero */
};

enum ehring_direct_outcome {
    EHRING_DIRECT_ACCEPTED = 0,
    EHRING_DIRECT_REJECTED = 1, /* for the reason in ehring_direct_condition(); com.microsoft:server-busy: wait 4 s, then again */
    EHRING_DIRECT_RELEASED = 2, /* not taken; may be sent again at once */
    EHRING_DIRECT_MODIFIED = 3, /* not taken; may be sent again */
    EHRING_DIRECT_UNKNOWN = 4,  /* sent, but link or connection was lost or the time was up before the outcome came */
};

/* What arrives as the AMQP type named. */
enum ehring_direct_type {
    EHRING_DIRECT_TEXT = 1,      /* string */
    EHRING_DIRECT_BOOL = 2,      /* boolean */
    EHRING_DIRECT_INT = 3,       /* int or long */
    EHRING_DIRECT_UINT = 4,      /* ulong */
    EHRING_DIRECT_DOUBLE = 5,    /* double */
    EHRING_DIRECT_TIMESTAMP = 6, /* timestamp: milliseconds since 1970 */
    EHRING_DIRECT_BYTES = 7,     /* binary */
};
struct ehring_direct_property {
    const char *name; /* NUL-terminated UTF-8 */
    enum ehring_direct_type type;
    size_t len; /* TEXT: bytes, 0: up to the NUL; BYTES: bytes; others: ignored */
    union {
        const char *text;
        bool yes;
        int64_t i64; /* also TIMESTAMP */
        uint64_t u64;
        double f64;
        const void *bytes;
    } value;
};

/* All zero but `data` and `len`: a body alone. Texts are NUL-terminated UTF-8, NULL: none. All is read during the call only. */
struct ehring_direct_event {
    const void *data;
    size_t len;
    const char *content_type;
    const char *message_id;
    const char *correlation_id;
    const struct ehring_direct_property *properties;
    size_t property_count;
    uint64_t reserved[2]; /* zero */
};

/* Connects, puts a token and attaches to the hub. `connection_string` may be NULL if the settings name a namespace. *out is the caller's to
 * close. Any thread. 0, or a negative errno with a sentence in `error` (unless NULL): -EINVAL connection string or option, -EHOSTUNREACH
 * name not resolved, -ECONNREFUSED and others of connect(2), -EPROTO TLS or AMQP, -EACCES key or token refused, or no token for the
 * identity, -EAGAIN none at this moment, -ENOENT no such hub, -ECONNRESET closed meanwhile, -ETIMEDOUT, -ENOMEM. */
EHRING_DIRECT_API int ehring_direct_open(const char *connection_string, const struct ehring_direct_options *options,
                                         struct ehring_direct **out, char *error, size_t error_cap);

/* Says goodbye, waiting for the answer at most a second, and frees the handle. NULL is fine. The handle's thread. */
EHRING_DIRECT_API void ehring_direct_close(struct ehring_direct *direct);

/* Sends one event and waits for its outcome. `key`: events of one key go to one partition, in order; `partition_id`: to this partition;
 * both NULL: the service chooses; both given: -EINVAL. `timeout_ms`: until the outcome; negative: no limit. The handle's thread. 0:
 * accepted; a positive enum ehring_direct_outcome; or a negative errno and nothing was stored: as ehring_direct_open(), and -EMSGSIZE
 * larger than the link takes (limit and size in the text), -EILSEQ a text that is not UTF-8. Afterwards the caller's bytes are no longer
 * looked at. */
EHRING_DIRECT_API int ehring_direct_send(struct ehring_direct *direct, const struct ehring_direct_event *event, const char *key,
                                         const char *partition_id, int timeout_ms);

/* Sends an array as one batch, which goes to one partition and is accepted or refused as a whole. It is not split: -EMSGSIZE if it is too
 * large for one. Otherwise as ehring_direct_send(). A count of 0 gives -EINVAL. With type = amqp each event is a message of its own, sent
 * one behind the other: the outcome is that of the first that was not accepted, those before it are stored (ehring_direct_error says how
 * many), and some behind it may be. */
EHRING_DIRECT_API int ehring_direct_send_batch(struct ehring_direct *direct, const struct ehring_direct_event *events, size_t event_count,
                                               const char *key, const char *partition_id, int timeout_ms);

/* The largest message that the hub's link takes, in bytes on the wire; 0 while not connected. The handle's thread. */
EHRING_DIRECT_API uint64_t ehring_direct_message_bytes_max(const struct ehring_direct *direct);

/* A sentence for the last call that did not return 0, and the service's AMQP condition ("" if it named none). Valid until the handle's next
 * call. */
EHRING_DIRECT_API const char *ehring_direct_error(const struct ehring_direct *direct);
EHRING_DIRECT_API const char *ehring_direct_condition(const struct ehring_direct *direct);

#ifdef __cplusplus
}
#endif

#endif
