/* A certificate authority of one's own, and certificates of servers and clients signed by it; good ones, and bad ones for tests. */
#ifndef HUB_CERT_H
#define HUB_CERT_H

#include <openssl/ssl.h>

#include <stdbool.h>
#include <stddef.h>

/* Where the files lie. */
struct hub_cert_files {
    char ca[4096], ca_key[4096], cert[4096], key[4096];
};

/* What is wrong with a server's certificate. */
enum hub_cert_fault { HUB_CERT_GOOD, HUB_CERT_EXPIRED, HUB_CERT_FUTURE, HUB_CERT_OTHER_HOST, HUB_CERT_SELF_SIGNED };

/* The fault of this name (expired, future, other-host, self-signed). 0 or -EINVAL. */
int hub_cert_fault_read(const char *name, enum hub_cert_fault *fault);

/* Makes a server certificate for `names` (DNS names and addresses) with a fault or without, and an authority if there is none to use. 0, or
 * -EIO. */
int hub_cert_make(const struct hub_cert_files *files, const char *const *names, unsigned count, enum hub_cert_fault fault);

/* Makes a client certificate and its key into files of its own. 0, or -EIO. */
int hub_cert_make_client(const struct hub_cert_files *files, const char *cert, const char *key);

/* Whether the files are there, belong together and are good for all names for a day. */
bool hub_cert_is_usable(const struct hub_cert_files *files, const char *const *names, unsigned count);

/* A server context of TLS 1.2 and up from a certificate (chain) and its key; clients need a certificate of `client_ca` unless it is NULL.
 * NULL: `why` says what OpenSSL said. */
SSL_CTX *hub_cert_context(const char *cert, const char *key, const char *client_ca, char *why, size_t why_size);

#endif
