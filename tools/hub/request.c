/* The request nodes of the service: $cbs takes tokens, $management tells of hubs and partitions. */
#include "request.h"

#include "claim.h"
#include "jwt.h"
#include "outgoing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ID_BYTES_MAX = 512 };

/* One request, taken apart. */
struct request {
    struct hub_conn *conn;
    struct hub_slice id; /* raw */
    char reply_to[HUB_NAME_MAX], operation[64], type[64], name[HUB_PATH_MAX], partition[16];
    char *token;         /* HUB_TOKEN_MAX */
    bool token_unusable; /* one is there, and it is not text */
};

/* One answer: status, and a body for 200. */
struct answer {
    int32_t status;
    struct hub_error error; /* text is the description also of success */
    struct hub_buf body;
};

static const struct hub_fault *fault_of(const struct hub_link *from);
static int request_read(struct request *r, const uint8_t *bytes, size_t len);
static void property_text(const struct hub_value *map, const char *key, char *text, size_t size);
static void put_token(const struct request *r, struct answer *a);
static bool is_signature(const char *token);
static void token_verify(const struct request *r, const struct hub_address *name, struct answer *a);
static void jwt_verify(const struct request *r, const struct hub_address *name, struct answer *a);
static void claim_note(const struct request *r, const char *path, const struct hub_claim *claim, struct answer *a);
static void management(const struct request *r, struct answer *a);
static int security_check(const struct request *r, struct answer *a);
static void hub_describe(const struct hub_entity *e, struct hub_buf *b);
static void partition_describe(const struct hub_partition *p, int64_t now_ms, struct hub_buf *b);
static void refuse(struct answer *a, int32_t status, const char *condition, const char *text);
static void answer_send(struct hub_link *from, const struct request *r, const struct answer *a);
static void answer_encode(struct hub_buf *b, const struct request *r, const struct answer *a);
static struct hub_link *reply_link(const struct hub_link *from, const char *reply_to);

void hub_request_answer(struct hub_link *from, const uint8_t *bytes, size_t len)
{
    struct request r = {.conn = from->session->conn, .token = hub_alloc(1, HUB_TOKEN_MAX)};
    const struct hub_fault *fault = fault_of(from);
    struct answer a = {.status = 0};

    if (request_read(&r, bytes, len) < 0)
        refuse(&a, 400, "amqp:decode-error", "The request is not a message with message-id and application properties.");
    else if (fault)
        refuse(&a, (int32_t)fault->status, fault->error.condition, fault->error.text);
    else if (from->node == HUB_NODE_CBS)
        put_token(&r, &a);
    else
        management(&r, &a);
    if (a.status >= 300)
        *(from->node == HUB_NODE_CBS ? &r.conn->broker->tokens_refused : &r.conn->broker->requests_failed) += 1;
    if (r.conn->broker->verbose && a.error.condition[0])
        fprintf(stderr, "ehring-hub: connection=%llu %s refused status=%d condition=%s text=\"%s\"\n", (unsigned long long)r.conn->id,
                from->node == HUB_NODE_CBS ? "put-token" : "read", a.status, a.error.condition, a.error.text);
    if (r.id.len > 0 && !(fault && fault->unanswered))
        answer_send(from, &r, &a);
    hub_buf_free(&a.body);
    free(r.token);
}

void hub_request_pump(struct hub_link *l)
{
    while (l->reply_count > 0 && hub_outgoing_ready(l)) {
        uint32_t len = 0;
        memcpy(&len, l->replies.data + l->replies.head, sizeof(len));
        hub_buf_put(&l->sending, l->replies.data + l->replies.head + sizeof(len), len);
        hub_buf_take(&l->replies, sizeof(len) + len);
        l->reply_count--;
        hub_outgoing_start(l);
    }
}

static const struct hub_fault *fault_of(const struct hub_link *from)
{
    struct hub_broker *b = from->session->conn->broker;
    enum hub_fault_kind kind = from->node == HUB_NODE_CBS ? HUB_FAULT_FAIL_CBS : HUB_FAULT_FAIL_MANAGEMENT;

    return hub_faults_request(&b->faults, kind, from->path, b->now_mono_ms);
}

static int request_read(struct request *r, const uint8_t *bytes, size_t len)
{
    struct hub_event e;
    struct hub_error ignored;
    struct hub_value list, v;

    if (hub_sections_read(&e, bytes, len, &ignored) < 0 || e.properties.len == 0)
        return -EBADMSG;
    struct hub_in in = hub_in_of(e.properties.bytes, e.properties.len);
    if (hub_value_read(&in, &list) < 0)
        return -EBADMSG;
    struct hub_in items = hub_value_items(&list);
    for (uint32_t i = 0; i < list.count && hub_value_read(&items, &v) == 0; i++) {
        if (i == 0 && v.type != HUB_NULL && v.raw_len <= ID_BYTES_MAX)
            r->id = (struct hub_slice){v.raw, v.raw_len};
        if (i == 4)
            hub_value_text(&v, r->reply_to, sizeof(r->reply_to));
    }
    if (r->id.len == 0 || e.application.len == 0)
        return -EBADMSG;
    in = hub_in_of(e.application.bytes, e.application.len);
    if (hub_value_read(&in, &v) < 0)
        return -EBADMSG;
    property_text(&v, "operation", r->operation, sizeof(r->operation));
    property_text(&v, "type", r->type, sizeof(r->type));
    property_text(&v, "name", r->name, sizeof(r->name));
    property_text(&v, "partition", r->partition, sizeof(r->partition));
    property_text(&v, "security_token", r->token, HUB_TOKEN_MAX);
    r->token_unusable = hub_map_find(&v, "security_token", &list) && list.type == HUB_DESCRIBED;
    in = hub_in_of(e.value.bytes, e.value.len);
    if (e.value.len > 0 && strcmp(r->operation, "put-token") == 0 && hub_value_read(&in, &v) == 0)
        hub_value_text(&v, r->token, HUB_TOKEN_MAX);
    return 0;
}

static void property_text(const struct hub_value *map, const char *key, char *text, size_t size)
{
    struct hub_value v;

    if (hub_map_find(map, key, &v))
        hub_value_text(&v, text, size);
}

static void put_token(const struct request *r, struct answer *a)
{
    struct hub_address name;
    struct hub_path path;

    if (strcmp(r->operation, "put-token") != 0)
        refuse(a, 400, "amqp:invalid-field", "The operation of the request is not put-token.");
    else if (!r->name[0] || hub_address_read(&name, r->name) < 0)
        refuse(a, 400, "amqp:invalid-field", "The property 'name' of the request is not the address of an entity.");
    else if (strcmp(r->type, "jwt") == 0 && !is_signature(r->token))
        jwt_verify(r, &name, a);
    else if (strcmp(r->type, "jwt") != 0 && strcmp(r->type, "servicebus.windows.net:sastoken") != 0)
        refuse(a, 400, "amqp:invalid-field", "The property 'type' of the request is neither servicebus.windows.net:sastoken nor jwt.");
    else
        token_verify(r, &name, a);
    if (a->status != 0)
        return;
    hub_path_read(&path, name.path);
    if (path.hub[0] && strcmp(path.hub, "$management") != 0 && !hub_broker_find(r->conn->broker, path.hub)) {
        refuse(a, 404, "amqp:not-found", "");
        snprintf(a->error.text, sizeof(a->error.text), "The messaging entity 'sb://%.200s/%.200s' could not be found.", name.host,
                 name.path);
        return;
    }
    a->status = 202;
    r->conn->broker->tokens_accepted++;
    hub_error_set(&a->error, "", "Accepted");
}

/* The Python SDK (5.11) puts its signatures under the type jwt: what the token is decides. */
static bool is_signature(const char *token)
{
    return strncasecmp(token, "SharedAccessSignature ", 22) == 0;
}

/* Leaves the status 0 when the token is good; the claim is then noted. */
static void token_verify(const struct request *r, const struct hub_address *name, struct answer *a)
{
    struct hub_broker *b = r->conn->broker;
    struct hub_claim claim;

    if (hub_sas_verify(&b->policies, r->token, b->now_ms / 1000, &claim, &a->error) < 0) {
        a->status = strcmp(a->error.condition, "com.microsoft:auth-failed") == 0 ? 401 : 400;
    } else if (!hub_path_covers(claim.resource.path, name->path) || strcasecmp(claim.resource.host, name->host) != 0) {
        refuse(a, 401, "com.microsoft:auth-failed",
               "InvalidAudience: The resource (sr) of the token is neither the entity nor a parent of it.");
    } else {
        claim_note(r, name->path, &claim, a);
    }
}

/* The same. A role counts for all hubs: this hub knows no scopes. */
static void jwt_verify(const struct request *r, const struct hub_address *name, struct answer *a)
{
    struct hub_broker *b = r->conn->broker;
    struct hub_claim claim;

    if (!b->jwt_key)
        refuse(a, 401, "com.microsoft:auth-failed",
               "InvalidToken: This hub has no key to verify a jwt with (--jwt-key); use servicebus.windows.net:sastoken.");
    else if (hub_jwt_verify(b->jwt_key, r->token, b->now_ms / 1000, &claim, &a->error) < 0)
        a->status = 401;
    else
        claim_note(r, name->path, &claim, a);
}

static void claim_note(const struct request *r, const char *path, const struct hub_claim *claim, struct answer *a)
{
    if (hub_claim_add(r->conn, path, claim->expiry_s, claim->rights) < 0)
        refuse(a, 403, "amqp:resource-limit-exceeded", "The connection has put too many tokens.");
}

static void management(const struct request *r, struct answer *a)
{
    struct hub_entity *e = hub_broker_find(r->conn->broker, r->name);
    struct hub_partition *p = NULL;

    if (strcmp(r->operation, "READ") != 0) {
        refuse(a, 400, "amqp:invalid-field", "The operation of the request is not READ.");
        return;
    }
    if (security_check(r, a) < 0)
        return;
    if (!e) {
        refuse(a, 404, "amqp:not-found", "");
        snprintf(a->error.text, sizeof(a->error.text), "The messaging entity 'sb://%.200s/%.200s' could not be found.",
                 r->conn->broker->host, r->name);
        return;
    }
    a->status = 200;
    hub_error_set(&a->error, "", "OK");
    if (strcmp(r->type, "com.microsoft:eventhub") == 0) {
        hub_describe(e, &a->body);
        return;
    }
    p = strcmp(r->type, "com.microsoft:partition") == 0 ? hub_entity_partition(e, r->partition) : NULL;
    if (p)
        partition_describe(p, r->conn->broker->now_ms, &a->body);
    else
        refuse(a, 404, "amqp:not-found", "The property 'type' or 'partition' of the request names nothing of this hub.");
}

/* The token in the request must be good itself, whatever the connection was granted; but the Python SDK (5.11) sends a pair of token and
 * expiry as a described value, whose descriptor is the token: then the connection's claim counts. */
static int security_check(const struct request *r, struct answer *a)
{
    struct hub_broker *b = r->conn->broker;
    struct hub_claim claim;
    char path[HUB_PATH_MAX + 16];

    snprintf(path, sizeof(path), "%s/$management", r->name);
    if (!r->token[0] && (r->conn->login || (r->token_unusable && hub_claim_covers(r->conn, path, HUB_RIGHT_ALL))))
        return 0;
    if (!r->token[0]) {
        refuse(a, 401, "amqp:unauthorized-access", "The request has no security_token.");
        return -EPERM;
    }
    bool is_jwt = b->jwt_key && !is_signature(r->token);
    int rc = is_jwt ? hub_jwt_verify(b->jwt_key, r->token, b->now_ms / 1000, &claim, &a->error)
                    : hub_sas_verify(&b->policies, r->token, b->now_ms / 1000, &claim, &a->error);
    if (rc < 0) {
        bool expired = strncmp(a->error.text, "ExpiredToken", 12) == 0;
        a->status = expired ? 500 : 401;
        if (expired)
            snprintf(a->error.condition, sizeof(a->error.condition), "amqp:not-allowed");
        return -EPERM;
    }
    if (!claim.rights) {
        refuse(a, 401, "amqp:unauthorized-access", "The security_token names no role of Event Hubs data.");
        return -EPERM;
    }
    if (hub_path_covers(claim.resource.path, path))
        return 0;
    refuse(a, 401, "amqp:unauthorized-access", "The resource (sr) of the security_token is neither the hub nor a parent of it.");
    return -EPERM;
}

static void hub_describe(const struct hub_entity *e, struct hub_buf *b)
{
    const char **ids = hub_alloc(e->partition_count, sizeof(*ids));

    for (uint32_t i = 0; i < e->partition_count; i++)
        ids[i] = e->partitions[i].id;
    size_t map = hub_put_map_begin(b);
    hub_put_string(b, "name");
    hub_put_string(b, e->name);
    hub_put_string(b, "type");
    hub_put_string(b, "com.microsoft:eventhub");
    hub_put_string(b, "created_at");
    hub_put_timestamp(b, e->created_ms);
    hub_put_string(b, "partition_count");
    hub_put_int(b, (int32_t)e->partition_count);
    hub_put_string(b, "partition_ids");
    hub_put_string_array(b, ids, e->partition_count);
    hub_put_string(b, "georeplication_factor");
    hub_put_int(b, 1);
    hub_put_compound_end(b, map, 12);
    free(ids);
}

static void partition_describe(const struct hub_partition *p, int64_t now_ms, struct hub_buf *b)
{
    const struct hub_log *log = &p->log;
    bool empty = log->next_seq == 0;
    char offset[24] = "-1";

    if (!empty)
        snprintf(offset, sizeof(offset), "%llu", (unsigned long long)log->last_offset);
    size_t map = hub_put_map_begin(b);
    hub_put_string(b, "name");
    hub_put_string(b, p->entity->name);
    hub_put_string(b, "type");
    hub_put_string(b, "com.microsoft:partition");
    hub_put_string(b, "partition");
    hub_put_string(b, p->id);
    hub_put_string(b, "begin_sequence_number");
    hub_put_long(b, hub_log_begin_seq(log));
    hub_put_string(b, "last_enqueued_sequence_number");
    hub_put_long(b, log->next_seq - 1);
    hub_put_string(b, "last_enqueued_offset");
    hub_put_string(b, offset);
    hub_put_string(b, "last_enqueued_time_utc");
    hub_put_timestamp(b, log->last_time_ms);
    hub_put_string(b, "is_partition_empty");
    hub_put_bool(b, empty);
    hub_put_string(b, "runtime_info_retrieval_time_utc");
    hub_put_timestamp(b, now_ms);
    hub_put_compound_end(b, map, 18);
}

static void refuse(struct answer *a, int32_t status, const char *condition, const char *text)
{
    a->status = status;
    hub_error_set(&a->error, condition, "%s", text);
}

static void answer_send(struct hub_link *from, const struct request *r, const struct answer *a)
{
    struct hub_link *to = reply_link(from, r->reply_to);
    uint32_t len = 0;

    if (!to || to->reply_count == HUB_REPLIES_MAX)
        return;
    hub_buf_pack(&to->replies);
    size_t place = to->replies.len;
    hub_buf_put(&to->replies, &len, sizeof(len));
    answer_encode(&to->replies, r, a);
    len = (uint32_t)(to->replies.len - place - sizeof(len));
    memcpy(to->replies.data + place, &len, sizeof(len));
    to->reply_count++;
    hub_request_pump(to);
}

static void answer_encode(struct hub_buf *b, const struct request *r, const struct answer *a)
{
    uint32_t count = 4;

    hub_put_descriptor(b, HUB_SECTION_PROPERTIES);
    size_t place = hub_put_list_begin(b);
    for (int i = 0; i < 13; i++) {
        if (i == 5)
            hub_buf_put(b, r->id.bytes, r->id.len);
        else
            hub_put_null(b);
    }
    hub_put_compound_end(b, place, 13);
    hub_put_descriptor(b, HUB_SECTION_APPLICATION);
    place = hub_put_map_begin(b);
    hub_put_string(b, "status-code");
    hub_put_int(b, a->status);
    hub_put_string(b, "status-description");
    hub_put_string(b, a->error.text);
    if (a->error.condition[0]) {
        hub_put_string(b, "error-condition");
        hub_put_symbol(b, a->error.condition);
        count += 2;
    }
    hub_put_compound_end(b, place, count);
    hub_put_descriptor(b, HUB_SECTION_VALUE);
    if (hub_buf_used(&a->body) > 0)
        hub_buf_put(b, a->body.data, a->body.len);
    else
        hub_put_null(b);
}

/* The receiver that the request names by its target address or link name, else any of the node on the connection. */
static struct hub_link *reply_link(const struct hub_link *from, const char *reply_to)
{
    struct hub_conn *c = from->session->conn;
    struct hub_link *any = NULL;

    for (unsigned k = 0; k <= HUB_CHANNEL_MAX; k++) {
        for (unsigned i = 0; c->sessions[k] && i <= HUB_HANDLE_MAX; i++) {
            struct hub_link *l = c->sessions[k]->links[i];
            if (!l || l->peer_sends || l->node != from->node || l->detaching)
                continue;
            if (reply_to[0] && (strcmp(l->address, reply_to) == 0 || strcmp(l->name, reply_to) == 0))
                return l;
            if (!any || l->session == from->session)
                any = l;
        }
    }
    return any;
}
