/* The way to a stream's hub, step by step as libehring-direct goes it, up to a link over which nothing is sent. */
#include "check_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "direct_internal.h"

#define DAY_SECONDS 86400
#define CERTIFICATE_DAYS_MIN 14
#define CLOCK_SECONDS_MAX 60

#define REMEDY_NAME "check the namespace in the connection string, the endpoint, and DNS (a private endpoint has a zone of its own)"
#define REMEDY_PROXY "check proxy (with proxy = auto the environment), and DNS"
#define REMEDY_SLOW "the service, or what stands between, does not answer: try again, or give it more time"
#define REMEDY_SIGNATURE "give a new SharedAccessSignature, or SharedAccessKeyName and SharedAccessKey"
#define REMEDY_TCP "check host, port and firewall; where only 443 is open: transport = websocket, or a proxy"
#define REMEDY_KEY "check SharedAccessKeyName and SharedAccessKey; a regenerated key needs the new connection string"
#define REMEDY_SEND "the policy needs the claim Send, an identity the role `Azure Event Hubs Data Sender` on the hub or the namespace"
#define REMEDY_HUB "check hub (or EntityPath): it has to be there in this namespace, nobody makes it"
#define REMEDY_BROKER_SEND "give the user the right to write there"
#define REMEDY_ADDRESS "check address: a queue, or what the broker takes as an address"
#define REMEDY_AMQP "check host and port: something else than AMQP 1.0 may answer there"
#define REMEDY_CLOCK "set this machine's clock (timedatectl, chrony): tokens are judged by time"

struct peer {
    struct check *check;
    const struct config_stream *stream;
    struct ehring_direct *direct;
    int ret; /* 0, or why it ended */
    char why[1100];
};

static void second_key_try(struct check *check, const struct config_stream *stream, uint32_t timeout_ms);
static void way_tell(struct peer *peer);
static bool identity_tell(struct peer *peer);
static const char *identity_name(const struct peer *peer);
static bool name_tell(struct peer *peer);
static bool tcp_tell(struct peer *peer);
static bool proxy_tell(struct peer *peer);
static bool tls_tell(struct peer *peer);
static bool websocket_tell(struct peer *peer);
static void clock_tell(struct peer *peer);
static bool open_tell(struct peer *peer);
static bool token_tell(struct peer *peer);
static bool link_tell(struct peer *peer);
static void size_tell(struct peer *peer);
static void partitions_tell(struct peer *peer);
static enum check_status refusal_class(const struct peer *peer, enum check_status standard);
static const char *refusal_remedy(const struct peer *peer, enum check_status status);
static bool is_of_clock(const char *text);

void check_peer(struct check *check, const struct config_stream *stream)
{
    struct peer peer = {.check = check, .stream = stream};
    uint32_t timeout_ms = stream->connect_timeout_seconds * 1000;
    int ret = direct_open_door(&stream->door, timeout_ms, &peer.direct);
    if (!peer.direct) {
        check_fail(check, CHECK_UNDONE, "peer", NULL, "out of memory");
        return;
    }
    if (ret < 0) {
        check_fail(check, CHECK_CONFIGURATION, "trust", NULL, "%s", peer.direct->error);
    } else {
        ret = session_link(peer.direct, stream->door.hub, direct_deadline_ms((int)timeout_ms));
        peer.ret = ret < 0 ? ret : 0;
        if (ret == -ETIMEDOUT && peer.direct->condition[0] == '\0')
            snprintf(peer.why, sizeof peer.why, "no answer within %u s (connect_timeout_seconds)", stream->connect_timeout_seconds);
        else
            snprintf(peer.why, sizeof peer.why, "%s", peer.direct->error);
        way_tell(&peer);
    }
    bool is_first_good = peer.direct->seen.step > DIRECT_TOKEN && peer.direct->key == 0;
    ehring_direct_close(peer.direct);
    if (is_first_good && stream->door.second_key[0])
        second_key_try(check, stream, timeout_ms);
}

/* The one that nobody needs until the day on which the first is changed. */
static void second_key_try(struct check *check, const struct config_stream *stream, uint32_t timeout_ms)
{
    struct ehring_direct *direct;
    struct door *door = malloc(sizeof *door);
    if (!door)
        return;
    *door = stream->door;
    memcpy(door->connstr.key_name, door->second_key_name, sizeof door->second_key_name);
    memcpy(door->connstr.key, door->second_key, sizeof door->second_key);
    door->second_key[0] = '\0';
    int ret = direct_open_door(door, timeout_ms, &direct);
    if (direct && ret == 0)
        ret = session_link(direct, door->hub, direct_deadline_ms((int)timeout_ms));
    if (ret >= 0)
        check_ok(check, "key", "the second key is good too, of policy %s", door->connstr.key_name);
    else
        check_warn(check, "key", "give the second key anew, or leave it out", "the second key is not: %s",
                   direct ? direct->error : "out of memory");
    ehring_direct_close(direct);
    explicit_bzero(door, sizeof *door);
    free(door);
}

/* What was met, in order, up to where it ended. */
static void way_tell(struct peer *peer)
{
    if (!identity_tell(peer) || !name_tell(peer) || !tcp_tell(peer) || !proxy_tell(peer) || !tls_tell(peer) || !websocket_tell(peer) ||
        !open_tell(peer) || !token_tell(peer))
        return;
    clock_tell(peer);
    if (!link_tell(peer))
        return;
    if (peer->ret < 0)
        check_warn(peer->check, "credit", "it may be full or busy: see whether a start goes on", "%s", peer->why);
    size_tell(peer);
    if (peer->stream->door.type == DOOR_EVENT_HUBS && peer->ret == 0)
        partitions_tell(peer);
}

static bool identity_tell(struct peer *peer)
{
    const struct ehring_direct *direct = peer->direct;
    if (peer->stream->door.type != DOOR_EVENT_HUBS)
        return true;
    if (peer->stream->door.credential.kind == CREDENTIAL_SAS) {
        if (direct->seen.step == DIRECT_IDENTITY)
            check_fail(peer->check, CHECK_AUTHENTICATION, "token", REMEDY_SIGNATURE, "%s", peer->why);
        return direct->seen.step > DIRECT_IDENTITY;
    }
    if (direct->seen.step == DIRECT_IDENTITY)
        check_fail(peer->check, CHECK_AUTHENTICATION, "credential", NULL, "%s", peer->why);
    else if (direct->token)
        check_ok(peer->check, "credential", "%s gives a token that lives %" PRId64 " s", identity_name(peer),
                 (direct->token->expires_ns - clock_wall_ns()) / CLOCK_NS_PER_SECOND);
    else
        check_ok(peer->check, "credential", "%s gives a token", identity_name(peer)); /* it was refused later, and is gone */
    return direct->seen.step > DIRECT_IDENTITY;
}

/* Of a chain, the one that answered. */
static const char *identity_name(const struct peer *peer)
{
    enum credential_kind found = peer->direct->memory.found;
    return credential_kind_name(found ? found : peer->stream->door.credential.kind);
}

static bool name_tell(struct peer *peer)
{
    const struct direct_seen *seen = &peer->direct->seen;
    if (seen->step == DIRECT_NAME)
        check_fail(peer->check, CHECK_NAME, "dns", peer->direct->way.has_proxy ? REMEDY_PROXY : REMEDY_NAME, "%s", peer->why);
    else
        check_ok(peer->check, "dns", "%s is %s", seen->host, seen->addresses);
    return seen->step > DIRECT_NAME;
}

static bool tcp_tell(struct peer *peer)
{
    const struct direct_seen *seen = &peer->direct->seen;
    if (seen->step == DIRECT_TCP)
        check_fail(peer->check, CHECK_REACH, "tcp", peer->direct->way.has_proxy ? REMEDY_PROXY : REMEDY_TCP, "%s", peer->why);
    else
        check_ok(peer->check, "tcp", "%s port %u answers in %" PRId64 " ms", seen->address, seen->port, seen->tcp_ms);
    return seen->step > DIRECT_TCP;
}

static bool proxy_tell(struct peer *peer)
{
    const struct direct_seen *seen = &peer->direct->seen;
    if (seen->step == DIRECT_PROXY)
        check_fail(peer->check, CHECK_REACH, "proxy", NULL, "%s", peer->why);
    else if (peer->direct->way.has_proxy)
        check_ok(peer->check, "proxy", "%s opens the way to %s port %u: %s", seen->host, door_dial_host(&peer->stream->door),
                 door_dial_port(&peer->stream->door), seen->way.proxy);
    return seen->step > DIRECT_PROXY;
}

static bool tls_tell(struct peer *peer)
{
    const struct direct_seen *seen = &peer->direct->seen;
    int64_t days = (seen->way.certificate_end_s - clock_wall_ns() / CLOCK_NS_PER_SECOND) / DAY_SECONDS;
    if (seen->step == DIRECT_TLS)
        check_fail(peer->check, CHECK_TLS, "tls", NULL, "%s", peer->why);
    else if (peer->direct->way.tls && days < CERTIFICATE_DAYS_MIN)
        check_warn(peer->check, "tls", "whoever runs the peer has to renew it", "%s, %s, in %" PRId64 " days", seen->way.tls,
                   seen->way.certificate, days);
    else if (peer->direct->way.tls)
        check_ok(peer->check, "tls", "%s, %s, %" PRId64 " days", seen->way.tls, seen->way.certificate, days);
    return seen->step > DIRECT_TLS;
}

static bool websocket_tell(struct peer *peer)
{
    const struct direct_seen *seen = &peer->direct->seen;
    if (seen->step == DIRECT_WEBSOCKET)
        check_fail(peer->check, CHECK_PROTOCOL, "websocket", NULL, "%s", peer->why);
    else if (peer->stream->door.transport == DOOR_TRANSPORT_WEBSOCKET)
        check_ok(peer->check, "websocket", "%s", seen->way.websocket);
    return seen->step > DIRECT_WEBSOCKET;
}

/* By the peer's own date where it tells one; else nothing but what it took is known. */
static void clock_tell(struct peer *peer)
{
    struct tm utc = {0};
    const struct direct_seen *seen = &peer->direct->seen;
    bool is_dated = seen->way.date[0] && strptime(seen->way.date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
    int64_t ahead_s = is_dated ? seen->way_ns / CLOCK_NS_PER_SECOND - (int64_t)timegm(&utc) : 0;
    if (ahead_s > CLOCK_SECONDS_MAX || ahead_s < -CLOCK_SECONDS_MAX)
        check_warn(peer->check, "clock", REMEDY_CLOCK, "this machine's is %" PRId64 " s %s the peer's (%s)",
                   ahead_s < 0 ? -ahead_s : ahead_s, ahead_s < 0 ? "behind" : "ahead of", seen->way.date);
    else if (is_dated)
        check_ok(peer->check, "clock", "within %d s of the peer's (%s)", CLOCK_SECONDS_MAX, seen->way.date);
    else if (seen->step > DIRECT_TOKEN && peer->stream->door.type == DOOR_EVENT_HUBS)
        check_ok(peer->check, "clock", "the peer does not tell its own; %sour token is not expired for it",
                 peer->direct->way.tls ? "its certificate is valid by ours, " : "");
}

/* With a broker, SASL has judged the user by then. */
static bool open_tell(struct peer *peer)
{
    const struct direct_seen *seen = &peer->direct->seen;
    if (seen->step > DIRECT_OPEN) {
        check_ok(peer->check, "amqp", "%s is open, idle time-out %u s, frames of %u bytes",
                 seen->peer.container_id[0] ? seen->peer.container_id : "a container without name", seen->peer.idle_timeout_ms / 1000,
                 seen->peer.frame_bytes_max);
        return true;
    }
    if (peer->ret == -EACCES)
        check_fail(peer->check, CHECK_AUTHENTICATION, "sasl", "check sasl_user and sasl_password", "%s", peer->why);
    else
        check_fail(peer->check, CHECK_PROTOCOL, "amqp", REMEDY_AMQP, "%s", peer->why);
    return false;
}

static bool token_tell(struct peer *peer)
{
    const struct direct_seen *seen = &peer->direct->seen;
    const struct connstr *connstr = &peer->stream->door.connstr;
    if (peer->stream->door.type != DOOR_EVENT_HUBS)
        return true;
    if (seen->step == DIRECT_TOKEN) {
        enum check_status status = refusal_class(peer, CHECK_AUTHENTICATION);
        bool is_late = peer->ret == -ETIMEDOUT && peer->direct->condition[0] == '\0';
        check_fail(peer->check, status, "token", is_late ? REMEDY_SLOW : refusal_remedy(peer, status), "%s", peer->why);
        return false;
    }
    if (peer->direct->key)
        check_warn(peer->check, "key", "give the first key anew", "the first key of policy %s is refused", connstr->key_name);
    if (peer->stream->door.credential.kind != CREDENTIAL_SAS)
        check_ok(peer->check, "token", "that of %s is taken", identity_name(peer));
    else
        check_ok(peer->check, "token", "%s %s is taken",
                 connstr->signature[0] ? "the signature"
                 : peer->direct->key   ? "the second key of policy"
                                       : "the key of policy",
                 peer->direct->key ? peer->stream->door.second_key_name : connstr->key_name);
    return true;
}

static bool link_tell(struct peer *peer)
{
    const struct direct_seen *seen = &peer->direct->seen;
    if (seen->step == DIRECT_LINK) {
        enum check_status status = refusal_class(peer, CHECK_AUTHORIZATION);
        check_fail(peer->check, status, "link", refusal_remedy(peer, status), "%s", peer->why);
        return false;
    }
    check_ok(peer->check, "link", "a sender is attached to %s, nothing is sent", peer->stream->door.hub);
    return true;
}

static void size_tell(struct peer *peer)
{
    const struct ehring_direct *direct = peer->direct;
    uint64_t most = conn_link_message_bytes_max(direct->conn, direct->link[0].number), ours = peer->stream->batch_bytes_max;
    if (most == 0)
        check_ok(peer->check, "size", "the link tells no limit of a message");
    else if (ours > most)
        check_warn(peer->check, "size", "leave batch_bytes_max out: the link's limit counts then",
                   "the link takes messages of at most %" PRIu64 " bytes, batch_bytes_max is %" PRIu64, most, ours);
    else
        check_ok(peer->check, "size", "the link takes messages of at most %" PRIu64 " bytes", most);
}

static void partitions_tell(struct peer *peer)
{
    struct conn_event answer;
    int64_t deadline_ms = direct_deadline_ms((int)peer->stream->connect_timeout_seconds * 1000);
    int ret = session_hub(peer->direct, deadline_ms, &answer);
    if (ret < 0)
        check_fail(peer->check, CHECK_HUB, "partitions", NULL, "%s", peer->direct->error);
    else if (answer.status == 404)
        check_fail(peer->check, CHECK_HUB, "partitions", REMEDY_HUB, "%s: status 404 %s", peer->stream->door.hub, answer.description);
    else if (answer.status < 200 || answer.status >= 300)
        check_fail(peer->check, answer.status == 401 ? CHECK_AUTHORIZATION : CHECK_HUB, "partitions",
                   answer.status == 401 ? REMEDY_SEND : NULL, "status %d %s %s", answer.status, answer.condition, answer.description);
    else if (answer.partition_count == 0 || !answer.ids_plain)
        check_fail(peer->check, CHECK_HUB, "partitions", "its partitions must be 0 to n-1", "%u, not numbered from 0",
                   answer.partition_count);
    else
        check_ok(peer->check, "partitions", "%u", answer.partition_count);
}

/* The class by the peer's condition; `standard` where it says nothing of its own. */
static enum check_status refusal_class(const struct peer *peer, enum check_status standard)
{
    const char *condition = peer->direct->condition;
    if (strcmp(condition, "amqp:not-found") == 0 || strstr(peer->why, "status 404"))
        return CHECK_HUB;
    if (strcmp(condition, "amqp:unauthorized-access") == 0)
        return standard;
    return standard == CHECK_AUTHORIZATION ? CHECK_HUB : standard;
}

static const char *refusal_remedy(const struct peer *peer, enum check_status status)
{
    if (is_of_clock(peer->why))
        return REMEDY_CLOCK;
    bool is_broker = peer->stream->door.type == DOOR_AMQP;
    if (status == CHECK_HUB)
        return is_broker ? REMEDY_ADDRESS : REMEDY_HUB;
    if (is_broker)
        return REMEDY_BROKER_SEND;
    return status == CHECK_AUTHORIZATION || peer->stream->door.credential.kind != CREDENTIAL_SAS ? REMEDY_SEND : REMEDY_KEY;
}

static bool is_of_clock(const char *text)
{
    return strstr(text, "xpired") != NULL || strstr(text, "not yet valid") != NULL;
}
