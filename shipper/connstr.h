/* Event Hubs connection strings, parsed strictly into parts. Pure. Holds secrets: connstr_wipe when done. */
#ifndef EHRING_CONNSTR_H
#define EHRING_CONNSTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connstr {
    char host[256]; /* without scheme and port; an IPv6 address without brackets */
    uint16_t port;  /* 0: the default of the transport */
    char key_name[257];
    char key[513];        /* used as text, never base64-decoded */
    char signature[2049]; /* a ready SharedAccessSignature, excludes the pair */
    char hub[257];        /* EntityPath, or empty */
    bool emulator;        /* UseDevelopmentEmulator=true: no TLS, port 5672 unless given */
};

/* Rules: split at `;`, then at the first `=`; names without case; unknown ones ignored; trailing `;` fine; empty value, a name twice,
 * missing Endpoint, half a key pair, pair and signature together, neither of them are errors; emulator with a host that is not local
 * (localhost, 127.*, ::1) is an error, for it has no TLS. 0, or -EINVAL with a sentence in `why` that holds no secret, and *out wiped. */
int connstr_parse(const char *text, struct connstr *out, char *why, size_t why_len);
/* host[:port] or [IPv6][:port] into out->host and out->port. 0, or -EINVAL with a sentence. */
int connstr_set_host(const char *text, struct connstr *out, char *why, size_t why_len);
/* localhost, 127.*, ::1: what needs no TLS. */
bool connstr_host_is_local(const char *host);
void connstr_wipe(struct connstr *connstr);

#endif
