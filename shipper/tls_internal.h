/* What the files of TLS share: tls.c (a session), tls_context.c (trust and identity). Private to them. */
#ifndef EHRING_TLS_INTERNAL_H
#define EHRING_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "tls.h"

struct tls_context {
    SSL_CTX *ssl_ctx;
};

const char *tls_openssl_reason(void); /* of the oldest error that OpenSSL holds */
void tls_print_date(const ASN1_TIME *date, char *to, size_t cap);
/* OpenSSL's callbacks; they decide nothing. */
int tls_verify_note(int ok, X509_STORE_CTX *store_ctx); /* keeps the particulars of a certificate that is refused */
int tls_certificate_note(SSL *ssl, void *unused);       /* the peer asks for a certificate of ours */

#endif
