/* The upgrade from HTTP to WebSocket: the request, and what the answer means. The other half is websocket.c. */
#include "websocket_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#define ACCEPT_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define KEY_BYTES 16

static int accept_make(const char *key, char *to, size_t cap);
static void answer_judge(struct websocket *websocket);
static void answer_refused(struct websocket *websocket);
static const char *status_remedy(int status);
static size_t excerpt_take(struct websocket *websocket, const uint8_t *data, size_t len);

int upgrade_request(struct websocket *websocket, const char *host, uint16_t port)
{
    uint8_t random[KEY_BYTES];
    char key[32];
    for (const char *at = host; *at; at++)
        if (*at <= ' ' || *at > '~')
            return -EINVAL;
    if (strlen(host) > 255 || !host[0])
        return -EINVAL;
    http_head_print_host(websocket->name, sizeof websocket->name, host, port);
    if (RAND_bytes(random, sizeof random) != 1)
        return -EIO;
    EVP_EncodeBlock((unsigned char *)key, random, sizeof random);
    if (accept_make(key, websocket->accept, sizeof websocket->accept) < 0)
        return -EIO;
    int len =
        snprintf((char *)websocket->out, sizeof websocket->out,
                 "GET " WEBSOCKET_PATH " HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: " WEBSOCKET_PROTOCOL "\r\nUser-Agent: ehring/%s\r\n\r\n",
                 websocket->name, key, EHRING_BUILD_VERSION);
    websocket->out_len = (size_t)len;
    return 0;
}

size_t upgrade_input(struct websocket *websocket, const uint8_t *data, size_t len)
{
    if (websocket->state == WEBSOCKET_REFUSED)
        return excerpt_take(websocket, data, len);
    ssize_t taken = http_head_input(&websocket->head, data, len);
    if (taken == -E2BIG)
        websocket_fail(websocket, -EPROTO, "%s answers the WebSocket upgrade with a head of more than %u bytes", websocket->name,
                       HTTP_HEAD_BYTES_MAX);
    else if (taken < 0)
        websocket_fail(websocket, -EPROTO, "%s does not answer the WebSocket upgrade in HTTP: check host and port, or use transport amqp",
                       websocket->name);
    if (taken < 0)
        return len;
    if (websocket->head.status != 0)
        answer_judge(websocket);
    return (size_t)taken;
}

/* What was refused is over, with as much of the body as there is. */
void upgrade_refused(struct websocket *websocket)
{
    size_t at = strlen(websocket->error);
    websocket->state = WEBSOCKET_OVER;
    if (websocket->excerpt_len > 0)
        snprintf(websocket->error + at, sizeof websocket->error - at, "; it says: %s", websocket->excerpt);
}

static int accept_make(const char *key, char *to, size_t cap)
{
    char text[64 + sizeof ACCEPT_GUID];
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned int digest_len = 0;
    int len = snprintf(text, sizeof text, "%s" ACCEPT_GUID, key);
    if (EVP_Digest(text, (size_t)len, digest, &digest_len, EVP_sha1(), NULL) != 1 || (digest_len + 2) / 3 * 4 >= cap)
        return -EIO;
    EVP_EncodeBlock((unsigned char *)to, digest, (int)digest_len);
    return 0;
}

static void answer_judge(struct websocket *websocket)
{
    const struct http_head *head = &websocket->head;
    char value[128];
    snprintf(websocket->answer, sizeof websocket->answer, "%d %s", head->status, head->reason);
    if (head->status != 101) {
        answer_refused(websocket);
        return;
    }
    if (!http_head_has_token(head, "Upgrade", "websocket") || !http_head_has_token(head, "Connection", "upgrade")) {
        websocket_fail(websocket, -EPROTO, "%s switches to another protocol than WebSocket", websocket->name);
        return;
    }
    if (!http_head_field(head, "Sec-WebSocket-Accept", 0, value, sizeof value) || strcmp(value, websocket->accept) != 0) {
        websocket_fail(websocket, -EPROTO, "%s answers the WebSocket upgrade with a wrong key: something between answers in its stead",
                       websocket->name);
        return;
    }
    if (!http_head_field(head, "Sec-WebSocket-Protocol", 0, value, sizeof value))
        snprintf(value, sizeof value, "none");
    if (strcmp(value, WEBSOCKET_PROTOCOL) != 0) {
        websocket_fail(websocket, -EPROTONOSUPPORT,
                       "%s speaks WebSocket but not AMQP in it: subprotocol " WEBSOCKET_PROTOCOL
                       " was asked for, its answer is %.60s; check the host",
                       websocket->name, value);
        return;
    }
    if (http_head_field(head, "Sec-WebSocket-Extensions", 0, value, sizeof value)) {
        websocket_fail(websocket, -EPROTO, "%s uses a WebSocket extension that was not offered: %.60s", websocket->name, value);
        return;
    }
    websocket->state = WEBSOCKET_UP;
}

static void answer_refused(struct websocket *websocket)
{
    const struct http_head *head = &websocket->head;
    char length[24], coding[24];
    websocket_fail(websocket, head->status == 401 || head->status == 403 ? -EACCES : -ECONNREFUSED,
                   "%s refuses the WebSocket upgrade (%s)%s", websocket->name, websocket->answer, status_remedy(head->status));
    bool is_coded = http_head_field(head, "Transfer-Encoding", 0, coding, sizeof coding);
    if (!is_coded && http_head_field(head, "Content-Length", 0, length, sizeof length))
        websocket->body_len = strtoull(length, NULL, 10);
    if (websocket->body_len > 0)
        websocket->state = WEBSOCKET_REFUSED;
}

static const char *status_remedy(int status)
{
    switch (status) {
    case 400:
        return ": it takes the request for a wrong one; check the host";
    case 401:
        return ": it wants a login before the upgrade, which Event Hubs does not; check the host, and what stands between";
    case 403:
        return ": its network rules (IP filter, private link) may not allow this machine";
    case 404:
        return ": there is no " WEBSOCKET_PATH "; check that the host is an Event Hubs namespace";
    case 426:
        return ": it wants another protocol or version; check host and port";
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        return ": the service is not available at this moment; it is tried again";
    default:
        return ": check host and port";
    }
}

/* Nobody waits long for a body: what is announced, at most an excerpt. */
static size_t excerpt_take(struct websocket *websocket, const uint8_t *data, size_t len)
{
    size_t room = WEBSOCKET_EXCERPT_BYTES - websocket->excerpt_len;
    size_t left = websocket->body_len < room ? (size_t)websocket->body_len : room;
    size_t step = len < left ? len : left;
    http_head_copy_text(websocket->excerpt + websocket->excerpt_len, step + 1, (const char *)data, step);
    websocket->excerpt_len += step;
    websocket->body_len -= step;
    if (step == left)
        upgrade_refused(websocket);
    return len;
}
