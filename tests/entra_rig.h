/* What stands in for Entra ID, IMDS and their like in tests: a real server on loopback, over TLS and plain, that notes what it is asked and
 * answers from a script. */
#ifndef EHRING_ENTRA_RIG_H
#define EHRING_ENTRA_RIG_H

#include <criterion/criterion.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shipper/clock.h"
#include "shipper/credential_internal.h"

#define ENTRA_TOKEN "eyJ0eXAiOiJKV1QifQ.eyJhdWQiOiJlaCJ9.c2lnbmF0dXJl"
#define ENTRA_REQUESTS_MAX 64

struct entra_answer {
    int status;
    const char *body; /* NULL: a token */
    const char *header, *value;
    size_t padding; /* so many blanks behind the body */
};
struct entra_request {
    char line[2100]; /* METHOD URI */
    char headers[4096];
    char body[16384];
};
static struct entra_rig {
    struct MHD_Daemon *tls, *plain;
    uint16_t tls_port, plain_port;
    pthread_mutex_t lock;
    struct entra_answer script[16]; /* the last one is given for ever */
    int script_count, script_at;
    struct entra_request request[ENTRA_REQUESTS_MAX];
    int request_count;
    int held; /* requests wait while this is set */
    pthread_cond_t changed;
    char dir[64];
    char ca_file[256];
} entra = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* Waits short enough for tests, limits of time long enough for a slow machine. */
static const struct credential_limits entra_limits __attribute__((unused)) = {.arc_key_dir = "/nowhere",
                                                                              .connect_ms = 20000,
                                                                              .total_ms = 20000,
                                                                              .probe_ms = 20000,
                                                                              .cli_ms = 20000,
                                                                              .retry_ms = 2,
                                                                              .retry_max_ms = 1000,
                                                                              .retry_count = 5,
                                                                              .updating_ms = 1,
                                                                              .updating_count = 7,
                                                                              .keep_ms = 0,
                                                                              .again_ms = 0,
                                                                              .renew_ms = 300000};

struct entra_upload {
    char uri[2048];
    struct credential_text body;
};

static void *entra_uri(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct entra_upload *upload = calloc(1, sizeof *upload);
    (void)context, (void)connection;
    snprintf(upload->uri, sizeof upload->uri, "%s", uri);
    return upload;
}

static enum MHD_Result entra_header(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct entra_request *request = context;
    (void)kind;
    size_t at = strlen(request->headers);
    snprintf(request->headers + at, sizeof request->headers - at, "%s: %s\n", name, value ? value : "");
    return MHD_YES;
}

static enum MHD_Result entra_handle(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                    const char *version, const char *data, size_t *data_len, void **state)
{
    struct entra_upload *upload = *state;
    (void)context, (void)url, (void)version;
    if (*data_len > 0) {
        credential_text_put(&upload->body, data, *data_len, 1 << 20);
        *data_len = 0;
        return MHD_YES;
    }
    if (strcmp(method, "POST") == 0 && !upload->body.data) { /* the first call of a POST: its body is still to come */
        credential_text_put(&upload->body, "", 0, 1);
        return MHD_YES;
    }
    pthread_mutex_lock(&entra.lock);
    struct entra_request *request = &entra.request[entra.request_count < ENTRA_REQUESTS_MAX ? entra.request_count : ENTRA_REQUESTS_MAX - 1];
    entra.request_count++;
    request->headers[0] = '\0';
    snprintf(request->line, sizeof request->line, "%s %s", method, upload->uri);
    snprintf(request->body, sizeof request->body, "%s", upload->body.data ? upload->body.data : "");
    MHD_get_connection_values(connection, MHD_HEADER_KIND, entra_header, request);
    pthread_cond_broadcast(&entra.changed);
    while (entra.held)
        pthread_cond_wait(&entra.changed, &entra.lock);
    struct entra_answer answer = entra.script[entra.script_at];
    if (entra.script_at + 1 < entra.script_count)
        entra.script_at++;
    pthread_mutex_unlock(&entra.lock);
    const char *body = answer.body ? answer.body : "{\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":\"" ENTRA_TOKEN "\"}";
    size_t len = strlen(body) + answer.padding;
    char *bytes = malloc(len + 1);
    memset(bytes, ' ', len);
    memcpy(bytes, body, strlen(body));
    struct MHD_Response *response = MHD_create_response_from_buffer(len, bytes, MHD_RESPMEM_MUST_FREE);
    if (answer.header)
        MHD_add_response_header(response, answer.header, answer.value);
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)answer.status, response);
    MHD_destroy_response(response);
    return result;
}

static void entra_done(void *context, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code)
{
    struct entra_upload *upload = *state;
    (void)context, (void)connection, (void)code;
    if (upload)
        credential_text_free(&upload->body);
    free(upload);
    *state = NULL;
}

static char *entra_pem(EVP_PKEY *key, X509 *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data, *text;
    if (certificate)
        PEM_write_bio_X509(bio, certificate);
    else
        PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    long len = BIO_get_mem_data(bio, &data);
    text = strndup(data, (size_t)len);
    BIO_free(bio);
    return text;
}

/* A certificate that signs itself; `name` is its only DNS name; valid from an hour ago for `seconds` from now. */
static X509 *entra_certificate(EVP_PKEY *key, const char *name, long seconds)
{
    X509 *certificate = X509_new();
    char names[128];
    snprintf(names, sizeof names, "DNS:%s", name);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 7);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), seconds);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_set_pubkey(certificate, key);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    cr_assert_gt(X509_sign(certificate, key, EVP_sha256()), 0);
    return certificate;
}

static const char *entra_file(const char *name, const char *text)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", entra.dir, name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

static struct MHD_Daemon *entra_daemon(unsigned flags, const char *key, const char *certificate, uint16_t *port)
{
    struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)key},
                                   {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)certificate},
                                   {MHD_OPTION_END, 0, NULL}};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | flags, 0, NULL, NULL, entra_handle, NULL,
                         MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_URI_LOG_CALLBACK, entra_uri, NULL, MHD_OPTION_NOTIFY_COMPLETED,
                         entra_done, NULL, MHD_OPTION_ARRAY, key ? tls : &tls[2], MHD_OPTION_END);
    cr_assert_not_null(daemon);
    *port = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    return daemon;
}

/* No variable of the machine that runs the tests may have a say. */
static void entra_clear_environment(void)
{
    static const char *const names[] = {"AZURE_TENANT_ID",
                                        "AZURE_CLIENT_ID",
                                        "AZURE_CLIENT_SECRET",
                                        "AZURE_CLIENT_CERTIFICATE_PATH",
                                        "AZURE_CLIENT_CERTIFICATE_PASSWORD",
                                        "AZURE_FEDERATED_TOKEN_FILE",
                                        "AZURE_AUTHORITY_HOST",
                                        "AZURE_TOKEN_CREDENTIALS",
                                        "AZURE_POD_IDENTITY_AUTHORITY_HOST",
                                        "IDENTITY_ENDPOINT",
                                        "IDENTITY_HEADER",
                                        "IDENTITY_SERVER_THUMBPRINT",
                                        "IMDS_ENDPOINT",
                                        "MSI_ENDPOINT",
                                        "MSI_SECRET",
                                        "https_proxy",
                                        "HTTPS_PROXY",
                                        "http_proxy",
                                        "all_proxy",
                                        "ALL_PROXY",
                                        "SSL_CERT_DIR"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
}

static void entra_open(void)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    X509 *certificate = entra_certificate(key, "localhost", 86400);
    char *key_pem = entra_pem(key, NULL), *certificate_pem = entra_pem(NULL, certificate);
    entra_clear_environment();
    snprintf(entra.dir, sizeof entra.dir, "/tmp/ehring-entra-XXXXXX");
    cr_assert_not_null(mkdtemp(entra.dir));
    snprintf(entra.ca_file, sizeof entra.ca_file, "%s", entra_file("ca.pem", certificate_pem));
    setenv("SSL_CERT_FILE", entra.ca_file, 1);
    entra.script[0] = (struct entra_answer){.status = 200};
    entra.script_count = 1;
    entra.tls = entra_daemon(MHD_USE_TLS, key_pem, certificate_pem, &entra.tls_port);
    entra.plain = entra_daemon(0, NULL, NULL, &entra.plain_port);
    free(key_pem);
    free(certificate_pem);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void entra_hold(int held)
{
    pthread_mutex_lock(&entra.lock);
    entra.held = held;
    pthread_cond_broadcast(&entra.changed);
    pthread_mutex_unlock(&entra.lock);
}

static void entra_close(void)
{
    char command[128];
    entra_hold(0);
    MHD_stop_daemon(entra.tls);
    MHD_stop_daemon(entra.plain);
    snprintf(command, sizeof command, "rm -rf %s", entra.dir);
    if (system(command) != 0)
        cr_log_warn("%s stays", entra.dir);
}

static inline void entra_answers(int count, const struct entra_answer *answers)
{
    pthread_mutex_lock(&entra.lock);
    memcpy(entra.script, answers, (size_t)count * sizeof *answers);
    entra.script_count = count;
    entra.script_at = 0;
    pthread_mutex_unlock(&entra.lock);
}
#define ENTRA_ANSWERS(...)                                                                                                                 \
    entra_answers(sizeof((struct entra_answer[]){__VA_ARGS__}) / sizeof(struct entra_answer), (struct entra_answer[]){__VA_ARGS__})

static inline int entra_request_count(void)
{
    pthread_mutex_lock(&entra.lock);
    int count = entra.request_count;
    pthread_mutex_unlock(&entra.lock);
    return count;
}

static inline void entra_await_requests(int count)
{
    pthread_mutex_lock(&entra.lock);
    while (entra.request_count < count)
        pthread_cond_wait(&entra.changed, &entra.lock); /* criterion's own time-out ends this */
    pthread_mutex_unlock(&entra.lock);
}

static inline const char *entra_authority(void)
{
    static char text[64];
    snprintf(text, sizeof text, "https://localhost:%u/", entra.tls_port);
    return text;
}

static inline const char *entra_plain(const char *path)
{
    static char text[128];
    snprintf(text, sizeof text, "http://127.0.0.1:%u%s", entra.plain_port, path);
    return text;
}

/* A port where a connection is taken and nothing is ever said. */
static inline int entra_hanging(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, len), 0);
    cr_assert_eq(listen(fd, 16), 0);
    getsockname(fd, (struct sockaddr *)&address, &len);
    *port = ntohs(address.sin_port);
    return fd;
}

static inline const char *entra_field(const char *body, const char *name) /* still encoded; "" without it */
{
    static char value[16384];
    size_t name_len = strlen(name);
    value[0] = '\0';
    for (const char *part = body; *part; part += strcspn(part, "&"), part += *part == '&')
        if (strncmp(part, name, name_len) == 0 && part[name_len] == '=')
            snprintf(value, sizeof value, "%.*s", (int)(strcspn(part, "&") - name_len - 1), part + name_len + 1);
    return value;
}

#define entra_expect(text, part) cr_assert_not_null(strstr((text), (part)), "\"%s\" is not in: %s", (part), (text))
#define entra_expect_not(text, part) cr_assert_null(strstr((text), (part)), "\"%s\" is in: %s", (part), (text))

#endif
