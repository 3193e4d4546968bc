/* The way through an HTTP proxy: CONNECT as a byte transformer for the first bytes of a connection. Does no I/O. */
#include "proxy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "http_head.h"

#define REQUEST_BYTES_MAX 2048

struct proxy {
    char name[280];   /* host:port of the proxy */
    char target[280]; /* host:port behind it */
    uint16_t target_port;
    char user[257];
    bool is_ready, is_dead, is_tls;
    size_t request_len, request_sent;
    char request[REQUEST_BYTES_MAX];
    char answer[80];
    char error[960];
    struct http_head head;
};

static bool is_plain_text(const char *text);
static int request_make(struct proxy *proxy, const struct proxy_address *address);
static int credentials_encode(const struct proxy_address *address, char *to, size_t cap);
static int answer_judge(struct proxy *proxy);
static void error_password(struct proxy *proxy);
static int answer_broken(struct proxy *proxy, int code, const uint8_t *data, size_t len);

int proxy_open(const struct proxy_address *address, const char *host, uint16_t port, struct proxy **out)
{
    if (!is_plain_text(host) || strlen(host) > 255 || strchr(address->user, ':'))
        return -EINVAL;
    struct proxy *proxy = calloc(1, sizeof *proxy);
    if (!proxy)
        return -ENOMEM;
    http_head_print_host(proxy->name, sizeof proxy->name, address->host, address->port);
    http_head_print_host(proxy->target, sizeof proxy->target, host, port);
    proxy->target_port = port;
    memcpy(proxy->user, address->user, sizeof proxy->user);
    int ret = request_make(proxy, address);
    if (ret < 0) {
        proxy_close(proxy);
        return ret;
    }
    *out = proxy;
    return 0;
}

void proxy_close(struct proxy *proxy)
{
    if (!proxy)
        return;
    explicit_bzero(proxy, sizeof *proxy);
    free(proxy);
}

ssize_t proxy_input(struct proxy *proxy, const uint8_t *data, size_t len)
{
    if (proxy->is_dead)
        return -EPROTO;
    if (proxy->is_ready)
        return 0;
    ssize_t taken = http_head_input(&proxy->head, data, len);
    if (taken < 0)
        return answer_broken(proxy, (int)taken, data, len);
    if (proxy->head.status == 0)
        return taken;
    int ret = answer_judge(proxy);
    return ret < 0 ? ret : taken;
}

void proxy_input_end(struct proxy *proxy)
{
    if (proxy->is_ready || proxy->is_dead)
        return;
    proxy->is_dead = true;
    snprintf(proxy->error, sizeof proxy->error, "proxy %s ended the connection before its answer to CONNECT %s was whole (%zu bytes of it)",
             proxy->name, proxy->target, proxy->head.total_len);
}

size_t proxy_output(struct proxy *proxy, uint8_t *to, size_t cap)
{
    size_t len = proxy->request_len - proxy->request_sent;
    if (proxy->is_dead || len == 0)
        return 0;
    len = len < cap ? len : cap;
    memcpy(to, proxy->request + proxy->request_sent, len);
    proxy->request_sent += len;
    return len;
}

bool proxy_is_ready(const struct proxy *proxy)
{
    return proxy->is_ready;
}

const char *proxy_error(const struct proxy *proxy)
{
    return proxy->error;
}

const char *proxy_answer(const struct proxy *proxy)
{
    return proxy->answer;
}

/* Nothing that could end a line or a word of the request. */
static bool is_plain_text(const char *text)
{
    for (const char *at = text; *at; at++)
        if (*at <= ' ' || *at > '~')
            return false;
    return text[0] != '\0';
}

static int request_make(struct proxy *proxy, const struct proxy_address *address)
{
    char credentials[720] = "";
    if (address->user[0] || address->password[0]) {
        int ret = credentials_encode(address, credentials, sizeof credentials);
        if (ret < 0)
            return ret;
    }
    int len = snprintf(proxy->request, sizeof proxy->request,
                       "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s%s%sUser-Agent: ehring/%s\r\nProxy-Connection: Keep-Alive\r\n\r\n",
                       proxy->target, proxy->target, credentials[0] ? "Proxy-Authorization: Basic " : "", credentials,
                       credentials[0] ? "\r\n" : "", EHRING_BUILD_VERSION);
    explicit_bzero(credentials, sizeof credentials);
    if (len < 0 || (size_t)len >= sizeof proxy->request)
        return -EINVAL;
    proxy->request_len = (size_t)len;
    return 0;
}

static int credentials_encode(const struct proxy_address *address, char *to, size_t cap)
{
    char text[sizeof address->user + sizeof address->password];
    int len = snprintf(text, sizeof text, "%s:%s", address->user, address->password);
    int ret = -EINVAL;
    if (len > 0 && (size_t)(len + 2) / 3 * 4 < cap) {
        EVP_EncodeBlock((unsigned char *)to, (const unsigned char *)text, len);
        ret = 0;
    }
    explicit_bzero(text, sizeof text);
    return ret;
}

static int answer_judge(struct proxy *proxy)
{
    const struct http_head *head = &proxy->head;
    snprintf(proxy->answer, sizeof proxy->answer, "%d %s", head->status, head->reason);
    if (head->status >= 200 && head->status < 300) {
        proxy->is_ready = true;
        return 0;
    }
    proxy->is_dead = true;
    const char *remedy = "; it is no proxy for CONNECT, or wants something else: check proxy host and port";
    switch (head->status) {
    case 401:
    case 407:
        error_password(proxy);
        return -EACCES;
    case 403:
        snprintf(proxy->error, sizeof proxy->error,
                 "proxy %s does not allow a connection to %s (%s): allow CONNECT to that host and port %u there", proxy->name,
                 proxy->target, proxy->answer, proxy->target_port);
        return -EPERM;
    case 500: /* tinyproxy's word for a name that it cannot resolve */
    case 502:
    case 503:
    case 504:
        snprintf(proxy->error, sizeof proxy->error, "proxy %s cannot reach %s (%s): check the host name, and the proxy's own way out",
                 proxy->name, proxy->target, proxy->answer);
        return -EHOSTUNREACH;
    case 405:
    case 501:
        remedy = "; it does not know CONNECT: use another proxy";
        break;
    }
    snprintf(proxy->error, sizeof proxy->error, "proxy %s refused CONNECT %s (%s)%s", proxy->name, proxy->target, proxy->answer, remedy);
    return -EPROTO;
}

static void error_password(struct proxy *proxy)
{
    char offer[64], offers[200] = "";
    bool is_basic = false;
    for (size_t nth = 0; http_head_field(&proxy->head, "Proxy-Authenticate", nth, offer, sizeof offer); nth++) {
        is_basic |= strncasecmp(offer, "Basic", 5) == 0;
        offer[strcspn(offer, " ,")] = '\0';
        size_t len = strlen(offers);
        snprintf(offers + len, sizeof offers - len, "%s%s", len ? ", " : "", offer);
    }
    if (offers[0] && !is_basic)
        snprintf(proxy->error, sizeof proxy->error, "proxy %s wants authentication by %s (%s), only Basic can be given", proxy->name,
                 offers, proxy->answer);
    else if (proxy->user[0])
        snprintf(proxy->error, sizeof proxy->error, "proxy %s refuses user %s with the password given (%s): check proxy user and password",
                 proxy->name, proxy->user, proxy->answer);
    else
        snprintf(proxy->error, sizeof proxy->error,
                 "proxy %s wants a user and a password (%s) and none are given: set proxy user and password", proxy->name, proxy->answer);
}

static int answer_broken(struct proxy *proxy, int code, const uint8_t *data, size_t len)
{
    bool is_tls = proxy->head.total_len == 0 && len > 0 && (data[0] == 0x15 || data[0] == 0x16);
    proxy->is_dead = true;
    if (code == -E2BIG)
        snprintf(proxy->error, sizeof proxy->error, "proxy %s answers CONNECT %s with a head of more than %u bytes", proxy->name,
                 proxy->target, HTTP_HEAD_BYTES_MAX);
    else
        snprintf(proxy->error, sizeof proxy->error, "what answers at proxy %s does not speak HTTP%s: check proxy host and port",
                 proxy->name, is_tls ? " but TLS" : "");
    return -EPROTO;
}
