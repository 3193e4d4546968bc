/* What the files of the credentials share: one attempt, its parts, and the pure functions that tests call. */
#ifndef EHRING_CREDENTIAL_INTERNAL_H
#define EHRING_CREDENTIAL_INTERNAL_H

#include <stddef.h>

#include "credential.h"

#define CREDENTIAL_SCOPE "https://eventhubs.azure.net/.default"
#define CREDENTIAL_RESOURCE "https://eventhubs.azure.net"
#define CREDENTIAL_ANSWER_BYTES_MAX (1u << 20)
#define CREDENTIAL_FILE_BYTES_MAX (64u << 10)

/* One attempt at one identity. */
struct credential_run {
    const struct credential_options *options; /* with what the environment adds */
    const struct credential_limits *limits;
    struct credential_memory *memory;
    enum credential_kind kind; /* whose turn it is */
    bool in_chain;             /* what is not there is passed over */
    int stop_fd;
    int64_t deadline_ns;
    struct credential_result *result;
};

/* ---- credential_chain.c ---- */
/* One attempt, no waits but for answers. */
void credential_try(const struct credential_options *options, const struct credential_limits *limits, struct credential_memory *memory,
                    int stop_fd, int64_t deadline_ns, struct credential_result *result);
/* How long to wait before attempt number `tried` + 1; -1: not again. Pure but for the jitter. */
int64_t credential_retry_wait_ms(const struct credential_result *result, const struct credential_limits *limits, uint32_t tried);
/* Notes why there is no token, the credential's name first, cut to fit. */
void credential_say(struct credential_run *run, enum credential_verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- the sources: each leaves its verdict in run->result ---- */
void credential_secret_fetch(struct credential_run *run);
void credential_certificate_fetch(struct credential_run *run);
void credential_workload_fetch(struct credential_run *run);
void credential_managed_fetch(struct credential_run *run);
void credential_cli_fetch(struct credential_run *run);

/* ---- credential_http.c ---- */
enum credential_reach { CREDENTIAL_HTTPS, CREDENTIAL_LOCAL }; /* LOCAL: http too, and never through a proxy */
struct credential_request {
    const char *url;
    const char *body; /* NULL: GET; else POST of a form */
    const char *header[3];
    enum credential_reach reach;
    int64_t connect_ms, total_ms;
};
struct credential_answer {
    int status;
    char *body; /* NUL-terminated */
    size_t len;
    int64_t retry_after_ms; /* 0: not told */
    char challenge[1200];   /* WWW-Authenticate */
    char error[300];        /* of a request without an answer */
};
/* 0: an answer came, whatever its status. -ECANCELED: stop_fd or deadline; -EMSGSIZE: larger than CREDENTIAL_ANSWER_BYTES_MAX; else
 * another negative errno; all with a sentence in answer->error. The answer is the caller's (credential_answer_free) in any case. */
int credential_http(const struct credential_run *run, const struct credential_request *request, struct credential_answer *answer);
void credential_answer_free(struct credential_answer *answer); /* wipes it */

/* ---- credential_token.c: answers to tokens and sentences; pure ---- */
enum credential_source { CREDENTIAL_OF_ENTRA, CREDENTIAL_OF_MANAGED, CREDENTIAL_OF_CLI };
/* 0: *out has one user; or -EBADMSG with a sentence. */
int credential_token_parse(const char *body, size_t len, enum credential_source source, const struct credential_limits *limits,
                           int64_t now_ns, struct credential_token **out, char *why, size_t why_len);
/* The first line of what an error answer says, bounded, nothing but printable characters, what looks like a token or equals `secret` (NULL:
 * none) masked. */
void credential_error_text(const char *body, size_t len, const char *secret, char *to, size_t to_len);
void credential_text_clean(const char *text, const char *secret, char *to, size_t to_len); /* the same for a plain text */
const char *credential_error_remedy(const char *text);                                     /* by its AADSTS code; NULL: not known */

/* ---- credential_assertion.c ---- */
/* A signed statement of who we are, from a PEM file with certificate and RSA key: *out is the caller's to wipe and free. 0 or a negative
 * errno with a sentence. */
int credential_assertion_make(const char *path, const char *password, const char *client_id, const char *audience, int64_t now_s,
                              char **out, char *why, size_t why_len);

/* ---- credential_text.c ---- */
/* A text that grows into memory of its own and is wiped whenever it moves. */
struct credential_text {
    char *data; /* NULL or NUL-terminated */
    size_t len, cap;
    int error; /* -ENOMEM, -EMSGSIZE: stays */
};
void credential_text_put(struct credential_text *text, const char *piece, size_t len, size_t len_max);
void credential_text_field(struct credential_text *text, const char *name, const char *value); /* of a form, percent-encoded */
void credential_text_free(struct credential_text *text);
/* The whole of a small regular file, NUL-terminated, without its final newlines; the caller's to wipe and free. Its length, or a negative
 * errno with a sentence. */
int64_t credential_file_read(const char *path, char **out, char *why, size_t why_len);

#endif
