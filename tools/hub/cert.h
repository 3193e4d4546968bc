/* A certificate authority of one's own and a server certificate signed by it, for a hub that was given none. */
#ifndef HUB_CERT_H
#define HUB_CERT_H

#include <openssl/ssl.h>

#include <stdbool.h>
#include <stddef.h>

/* Where the files lie. */
struct hub_cert_files {
    char ca[4096], cert[4096], key[4096];
};

/* Makes an authority and a certificate for `names` (DNS names and addresses) and writes them. 0, or -EIO. */
int hub_cert_make(const struct hub_cert_files *files, const char *const *names, unsigned count);

/* Whether the files are there, belong together and are good for all names for a day. */
bool hub_cert_is_usable(const struct hub_cert_files *files, const char *const *names, unsigned count);

/* A server context of TLS 1.2 and up from a certificate (chain) and its key. NULL: `why` says what OpenSSL said. */
SSL_CTX *hub_cert_context(const char *cert, const char *key, char *why, size_t why_size);

#endif
