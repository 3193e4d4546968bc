/* JSON web tokens signed by RS256, as Entra ID gives them out: verifies them, and reads what their roles allow. Knows no hubs. */
#ifndef HUB_JWT_H
#define HUB_JWT_H

#include "sas.h"

#include <openssl/evp.h>

#include <stddef.h>

/* The public key (RSA, PEM) of who signs tokens; the caller frees it. NULL: `why` says what is wrong. */
EVP_PKEY *hub_jwt_key_read(const char *path, char *why, size_t why_size);

/* Verifies signature, time and audience. The claim covers every path, with the rights of the token's roles (0: none). 0, or -EPROTO with
 * condition and text in `why`; never shows the token. */
int hub_jwt_verify(EVP_PKEY *key, const char *token, int64_t now_s, struct hub_claim *claim, struct hub_error *why);

#endif
