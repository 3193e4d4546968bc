/* TLS as a byte transformer over memory: cipher bytes in, plain bytes out, and the reverse. Does no I/O. OpenSSL 3.
 * One `struct tls` per connection, used by one thread; the context may be shared by all. */
#ifndef EHRING_TLS_H
#define EHRING_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct tls_context;
struct tls;

#define TLS_WRITE_BYTES_MAX 65536u /* at most this goes in before the output is taken: what waits in between is kept in memory */

/* Paths and texts may be NULL or empty: not given. */
struct tls_options {
    const char *ca_file, *ca_dir; /* whom we trust; neither: the system's store */
    const char *certificate;      /* who we are, for a peer that asks: PEM file, the chain behind it */
    const char *key;              /* its key, PEM; not given: in the same file */
    const char *key_password;     /* if the key is encrypted */
};
/* TLS 1.2 at least, verification always on. Nothing of the options is kept. 0, `why` then holds a warning or nothing; or negative errno, a
 * sentence in `why`. */
int tls_context_open(const struct tls_options *options, struct tls_context **out, char *why, size_t why_len);
/* The same trust once more, to be closed by itself. NULL gives NULL. 0 or -ENOMEM. */
int tls_context_share(struct tls_context *context, struct tls_context **out);
void tls_context_close(struct tls_context *context);

/* A client session for `host`: SNI (not for an address literal) and host name (or address) verification. */
int tls_open(struct tls_context *context, const char *host, struct tls **out);
void tls_close(struct tls *tls);

/* Cipher bytes from the peer. Takes all of them. 0, or negative errno: the session is dead, tls_error says why. */
int tls_input(struct tls *tls, const uint8_t *data, size_t len);

/* The bytes below ended: without close_notify that is an error, which this notes. */
void tls_input_end(struct tls *tls);

/* Plain bytes from the peer: count, 0 if none now, -ECONNRESET at the peer's orderly end (close_notify), other negative errno: dead. Drives
 * the handshake. */
ssize_t tls_read(struct tls *tls, uint8_t *to, size_t cap);

/* Plain bytes to the peer: how many were taken (0 before the handshake is done or while output of earlier ones waits), or negative errno.
 */
ssize_t tls_write(struct tls *tls, const uint8_t *data, size_t len);

/* Cipher bytes for the peer: count put into `to`, 0 if none. Look at it after every tls_open, tls_input, tls_read and tls_write. */
size_t tls_output(struct tls *tls, uint8_t *to, size_t cap);
/* Names the `to` and `cap` of the next tls_output: cipher bytes made until then are written there at once and not copied. */
void tls_lend(struct tls *tls, uint8_t *to, size_t cap);

bool tls_is_ready(const struct tls *tls); /* the handshake is done and verified */
bool tls_shutdown(struct tls *tls);       /* close_notify into the output; false: it was there already, or cannot be yet */

/* The reason of a dead session as a sentence with a remedy: certificate not trusted (issuer named), host name mismatch (names in the
 * certificate), expired or not yet valid (clock), protocol,
 * a client certificate that is wanted or not accepted. Valid until tls_close. */
const char *tls_error(const struct tls *tls);
const char *tls_version(const struct tls *tls); /* "TLSv1.3 TLS_AES_256_GCM_SHA384" */
/* The peer's certificate: names, issuer, end. Empty before it has come. */
void tls_print_peer(const struct tls *tls, char *to, size_t cap);
/* Its end in seconds since 1970; 0 before it has come. */
int64_t tls_peer_end_s(const struct tls *tls);

#endif
