/* The HTTP request that turns a connection into a WebSocket (RFC 6455): its head judged, and every answer to it. Does no I/O. */
#include "upgrade.h"

#include <openssl/evp.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PATH "/$servicebus/websocket"
#define KEY_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

enum { KEY_LEN = 24, SHA1_LEN = 20 };

/* What the head says, as far as it matters. Texts point into it. */
struct request {
    const char *host, *version, *key;
    bool upgrades, connection_upgrades, has_body;
    const char *protocol;
};

static int judge(struct hub_upgrade *u, char *text);
static int request_line(struct hub_upgrade *u, char *line);
static int header_line(struct hub_upgrade *u, struct request *r, char *line);
static int once(struct hub_upgrade *u, const char **to, const char *name, const char *value);
static int complete(struct hub_upgrade *u, const struct request *r);
static bool is_text(const uint8_t *bytes, size_t len);
static bool is_path(const char *target);
static char *line_next(char **rest);
static char *trim(char *value);
static bool list_has(const char *list, const char *token);
static const char *protocol_choose(const char *list);
static bool is_key(const char *key);
static void accept_make(const char *key, char accept[32]);
static int refuse(struct hub_upgrade *u, int status, const char *text);
static const char *reason_of(int status);

size_t hub_upgrade_read(struct hub_upgrade *u, const uint8_t *bytes, size_t len)
{
    char text[HUB_UPGRADE_HEAD_MAX + 1];
    size_t look = len < HUB_UPGRADE_HEAD_MAX ? len : HUB_UPGRADE_HEAD_MAX;
    const uint8_t *end = look > 0 ? memmem(bytes, look, "\r\n\r\n", 4) : NULL;
    size_t head_len = end ? (size_t)(end - bytes) : look;

    *u = (struct hub_upgrade){.status = 0};
    if (!is_text(bytes, head_len)) {
        refuse(u, 400, "What came is no HTTP request; this port takes a WebSocket upgrade of " PATH ".");
        return 0;
    }
    if (!end) {
        if (len >= HUB_UPGRADE_HEAD_MAX)
            refuse(u, 431, "The head of the request is longer than 8192 bytes.");
        return 0;
    }
    memcpy(text, bytes, head_len);
    text[head_len] = 0;
    if (judge(u, text) == 0)
        u->status = 101;
    return head_len + 4;
}

void hub_upgrade_refuse(struct hub_upgrade *u, int status, const char *text)
{
    refuse(u, status, text);
}

void hub_upgrade_answer(const struct hub_upgrade *u, struct hub_buf *to)
{
    char text[HUB_UPGRADE_TEXT_MAX * 2];
    int len;

    if (u->status == 101)
        len = snprintf(text, sizeof(text),
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
                       "Sec-WebSocket-Protocol: %s\r\nServer: ehring-hub\r\n\r\n",
                       u->accept, u->protocol);
    else
        len = snprintf(text, sizeof(text),
                       "HTTP/1.1 %d %s\r\n%sServer: ehring-hub\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n"
                       "Connection: close\r\n\r\n%s\n",
                       u->status, reason_of(u->status),
                       u->status == 405   ? "Allow: GET\r\n"
                       : u->status == 426 ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                          : "",
                       strlen(u->text) + 1, u->text);
    hub_buf_put(to, text, (size_t)len);
}

/* `text` is the head without its empty line; it is cut into pieces. */
static int judge(struct hub_upgrade *u, char *text)
{
    struct request r = {.host = NULL};
    char *line = line_next(&text);

    if (!line || request_line(u, line) < 0)
        return -EINVAL;
    while ((line = line_next(&text))) {
        if (header_line(u, &r, line) < 0)
            return -EINVAL;
    }
    return complete(u, &r);
}

static int request_line(struct hub_upgrade *u, char *line)
{
    char *target = strchr(line, ' ');
    char *version = target ? strchr(target + 1, ' ') : NULL;

    if (!version || target == line || strchr(version + 1, ' ') || strpbrk(line, "\r\n\t"))
        return refuse(u, 400, "The first line of the request is not: method, path, HTTP/1.1.");
    *target++ = 0;
    *version++ = 0;
    if (strcmp(version, "HTTP/1.1") != 0)
        return refuse(u, 400, "A WebSocket begins with HTTP/1.1, not another version.");
    if (!is_path(target))
        return refuse(u, 404, "There is nothing here but " PATH ".");
    if (strcmp(line, "GET") != 0)
        return refuse(u, 405, "A WebSocket begins with GET, not another method.");
    return 0;
}

static int header_line(struct hub_upgrade *u, struct request *r, char *line)
{
    char *colon = strchr(line, ':');

    if (!colon || colon == line || strcspn(line, " \t") < (size_t)(colon - line) || strpbrk(line, "\r\n"))
        return refuse(u, 400, "A header line of the request is not: name, colon, value.");
    *colon = 0;
    char *value = trim(colon + 1);
    if (strcasecmp(line, "Host") == 0)
        return once(u, &r->host, "Host", value);
    if (strcasecmp(line, "Sec-WebSocket-Version") == 0)
        return once(u, &r->version, "Sec-WebSocket-Version", value);
    if (strcasecmp(line, "Sec-WebSocket-Key") == 0)
        return once(u, &r->key, "Sec-WebSocket-Key", value);
    if (strcasecmp(line, "Upgrade") == 0)
        r->upgrades |= list_has(value, "websocket");
    else if (strcasecmp(line, "Connection") == 0)
        r->connection_upgrades |= list_has(value, "upgrade");
    else if (strcasecmp(line, "Sec-WebSocket-Protocol") == 0 && !r->protocol)
        r->protocol = protocol_choose(value);
    else if (strcasecmp(line, "Transfer-Encoding") == 0 || (strcasecmp(line, "Content-Length") == 0 && strcmp(value, "0") != 0))
        r->has_body = true;
    return 0;
}

static int once(struct hub_upgrade *u, const char **to, const char *name, const char *value)
{
    char text[HUB_UPGRADE_TEXT_MAX];

    if (!*to) {
        *to = value;
        return 0;
    }
    snprintf(text, sizeof(text), "The header %s stands twice in the request.", name);
    return refuse(u, 400, text);
}

static int complete(struct hub_upgrade *u, const struct request *r)
{
    if (!r->host || !*r->host)
        return refuse(u, 400, "The request has no header Host.");
    if (r->has_body)
        return refuse(u, 400, "A WebSocket upgrade has no body.");
    if (!r->upgrades)
        return refuse(u, 426, "This port speaks WebSocket: the request needs the headers Upgrade: websocket and Connection: Upgrade.");
    if (!r->connection_upgrades)
        return refuse(u, 400, "The header Connection of the request does not name Upgrade.");
    if (!r->version || strcmp(r->version, "13") != 0)
        return refuse(u, 426, "The header Sec-WebSocket-Version of the request is not 13.");
    if (!r->key || !is_key(r->key))
        return refuse(u, 400, "The header Sec-WebSocket-Key of the request is not 16 bytes in base64.");
    if (!r->protocol)
        return refuse(u, 400, "The header Sec-WebSocket-Protocol of the request offers neither AMQPWSB10 nor amqp.");
    u->protocol = r->protocol;
    accept_make(r->key, u->accept);
    return 0;
}

/* A client that speaks AMQP or TLS here is told so at once, not after 8 KiB. */
static bool is_text(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((bytes[i] < ' ' && bytes[i] != '\r' && bytes[i] != '\n' && bytes[i] != '\t') || bytes[i] == 0x7f)
            return false;
    }
    return true;
}

/* The path may have a final slash and a query; a proxy may send the whole URL. */
static bool is_path(const char *target)
{
    const char *host = *target == '/' ? NULL : strstr(target, "://");
    const char *path = host ? strchr(host + 3, '/') : target;

    if (!path || strncmp(path, PATH, strlen(PATH)) != 0)
        return false;
    path += strlen(PATH);
    path += *path == '/';
    return *path == 0 || *path == '?';
}

/* The next line without its end; NULL: there is none. Line ends that are no CRLF stay in the line, and are refused there. */
static char *line_next(char **rest)
{
    char *line = *rest, *end;

    if (!line)
        return NULL;
    end = strstr(line, "\r\n");
    *rest = end ? end + 2 : NULL;
    if (end)
        *end = 0;
    return line;
}

static char *trim(char *value)
{
    value += strspn(value, " \t");
    for (size_t len = strlen(value); len > 0 && strchr(" \t", value[len - 1]); len--)
        value[len - 1] = 0;
    return value;
}

static bool list_has(const char *list, const char *token)
{
    while (*list) {
        list += strspn(list, ", \t");
        size_t len = strcspn(list, ", \t");
        if (len == strlen(token) && strncasecmp(list, token, len) == 0)
            return true;
        list += len;
    }
    return false;
}

static const char *protocol_choose(const char *list)
{
    static const char *const known[] = {"AMQPWSB10", "amqp"};

    while (*list) {
        list += strspn(list, ", \t");
        size_t len = strcspn(list, ", \t");
        for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
            if (len == strlen(known[i]) && strncasecmp(list, known[i], len) == 0)
                return known[i];
        }
        list += len;
    }
    return NULL;
}

static bool is_key(const char *key)
{
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    return strlen(key) == KEY_LEN && strspn(key, base64) == KEY_LEN - 2 && strcmp(key + KEY_LEN - 2, "==") == 0;
}

static void accept_make(const char *key, char accept[32])
{
    char text[KEY_LEN + sizeof(KEY_GUID)];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    snprintf(text, sizeof(text), "%s" KEY_GUID, key);
    EVP_Digest(text, strlen(text), digest, &len, EVP_sha1(), NULL);
    EVP_EncodeBlock((unsigned char *)accept, digest, SHA1_LEN);
}

static int refuse(struct hub_upgrade *u, int status, const char *text)
{
    u->status = status;
    snprintf(u->text, sizeof(u->text), "%s", text);
    return -EINVAL;
}

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } rows[] = {
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].status == status)
            return rows[i].reason;
    }
    return status < 400 ? "Elsewhere" : "Refused";
}
