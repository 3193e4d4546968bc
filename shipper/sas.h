/* Shared access signature tokens: percent-encoding, HMAC-SHA256 over resource and expiry. Pure but for OpenSSL's MAC. */
#ifndef EHRING_SAS_H
#define EHRING_SAS_H

#include <stddef.h>
#include <stdint.h>

#define SAS_TOKEN_BYTES_MAX 4096u
/* Token text for `uri` (sb://host/hub) into `to`. The key is used as text. 0 or -ENOSPC. The caller wipes `to` when it is done with it. */
int sas_make_token(const char *uri, const char *key_name, const char *key, int64_t expires_s, char *to, size_t cap);
/* The number after se= of a ready token, or INT64_MAX if it has none. */
int64_t sas_expiry(const char *token);

#endif
