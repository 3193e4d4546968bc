/* What $management and $cbs answer, type by type. */
#include <criterion/criterion.h>

#include "tests/hub_jwt_rig.h"
#include "tests/hub_rig.h"

/* As the Python SDK writes a token and its expiry: a described value, the token its descriptor. */
static void put_pair(struct hub_buf *m, const char *token)
{
    hub_buf_put_byte(m, 0);
    hub_put_binary(m, token, strlen(token));
    hub_put_int(m, 1700000100);
}

/* Text properties of a request: name, value, …, NULL; a value that begins with "pair:" is written as a pair. */
static void put_request(struct rig *r, uint32_t handle, const char *const *texts, const char *body)
{
    struct hub_buf m = {0};
    uint32_t count = 0;

    hub_put_descriptor(&m, HUB_SECTION_PROPERTIES);
    size_t place = hub_put_list_begin(&m);
    hub_put_string(&m, "id-1");
    for (int i = 0; i < 3; i++)
        hub_put_null(&m);
    hub_put_string(&m, "here");
    hub_put_compound_end(&m, place, 5);
    hub_put_descriptor(&m, HUB_SECTION_APPLICATION);
    place = hub_put_map_begin(&m);
    for (; texts[count]; count++) {
        if (strncmp(texts[count], "pair:", 5) == 0)
            put_pair(&m, texts[count] + 5);
        else
            hub_put_string(&m, texts[count]);
    }
    hub_put_compound_end(&m, place, count);
    if (body) {
        hub_put_descriptor(&m, HUB_SECTION_VALUE);
        hub_put_string(&m, body);
    }
    rig_put_transfer(r, handle, r->conn ? r->conn->sessions[0] ? r->conn->sessions[0]->next_incoming_id : 0 : 0, 0, m.data, m.len, false);
    hub_buf_free(&m);
}

/* Reads the answer: status, condition ("" for none) and the body as a value. */
static int64_t answer(struct rig *r, char condition[64], struct hub_value *body)
{
    struct hub_event e;
    struct hub_error why;
    struct hub_value list, map, v;
    int64_t status = 0;

    cr_assert(rig_await(r, HUB_TRANSFER), "no answer");
    cr_assert_eq(hub_sections_read(&e, r->payload.at, hub_in_left(&r->payload), &why), 0, "%s", why.text);
    struct hub_in in = hub_in_of(e.properties.bytes, e.properties.len);
    cr_assert_eq(hub_value_read(&in, &list), 0);
    struct hub_in items = hub_value_items(&list);
    for (int i = 0; i <= 5; i++)
        cr_assert_eq(hub_value_read(&items, &v), 0);
    cr_expect(v.type == HUB_STRING && hub_value_is(&v, "id-1"), "the correlation-id is not the request's message-id");
    in = hub_in_of(e.application.bytes, e.application.len);
    cr_assert_eq(hub_value_read(&in, &map), 0);
    cr_assert(hub_map_find(&map, "status-code", &v) && v.type == HUB_INT);
    status = v.i;
    cr_assert(hub_map_find(&map, "status-description", &v) && v.type == HUB_STRING && v.len > 0);
    condition[0] = '\0';
    if (hub_map_find(&map, "error-condition", &v)) {
        cr_expect_eq(v.type, HUB_SYMBOL);
        hub_value_text(&v, condition, 64);
    }
    in = hub_in_of(e.value.bytes, e.value.len);
    cr_assert_eq(hub_value_read(&in, body), 0);
    return status;
}

static void open_node(struct rig *r, bool with_login, const char *node)
{
    rig_open(r, NULL);
    rig_put_open(r, with_login, 65536);
    rig_put_attach(r, 0, false, node, NULL, -1);
    rig_put_attach(r, 1, true, node, NULL, -1);
    rig_put_credit(r, 1, 0, 50, false);
    rig_flush(r);
}

static void expect_type(const struct hub_value *map, const char *key, enum hub_type type)
{
    struct hub_value v;

    cr_assert(hub_map_find(map, key, &v), "%s is missing", key);
    cr_expect_eq(v.type, type, "%s has type %d", key, v.type);
}

Test(hub_request, a_hub_is_described_with_the_services_types)
{
    static const char *const read[] = {"operation", "READ", "name", "hub1", "type", "com.microsoft:eventhub", NULL};
    struct hub_value body, ids, id;
    char condition[64];
    struct rig r;

    open_node(&r, true, "$management");
    put_request(&r, 0, read, NULL);
    cr_assert_eq(answer(&r, condition, &body), 200);
    cr_expect_str_eq(condition, "");
    cr_assert_eq(body.type, HUB_MAP);
    expect_type(&body, "name", HUB_STRING);
    expect_type(&body, "type", HUB_STRING);
    expect_type(&body, "created_at", HUB_TIMESTAMP);
    expect_type(&body, "partition_count", HUB_INT);
    expect_type(&body, "partition_ids", HUB_ARRAY);
    expect_type(&body, "georeplication_factor", HUB_INT);
    cr_assert(hub_map_find(&body, "partition_ids", &ids));
    struct hub_in items = hub_value_items(&ids);
    cr_assert_eq(ids.count, 4);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(hub_array_next(&ids, &items, &id), 0);
        cr_expect(id.type == HUB_STRING && id.len == 1 && id.bytes[0] == '0' + i);
    }
    rig_close(&r);
}

Test(hub_request, a_partition_is_described_with_the_services_types)
{
    static const char *const read[] = {"operation", "READ", "name", "hub1", "type", "com.microsoft:partition", "partition", "2", NULL};
    struct hub_value body, v;
    char condition[64];
    struct rig r;

    open_node(&r, true, "$management");
    put_request(&r, 0, read, NULL);
    cr_assert_eq(answer(&r, condition, &body), 200);
    expect_type(&body, "name", HUB_STRING);
    expect_type(&body, "type", HUB_STRING);
    expect_type(&body, "partition", HUB_STRING);
    expect_type(&body, "begin_sequence_number", HUB_LONG);
    expect_type(&body, "last_enqueued_sequence_number", HUB_LONG);
    expect_type(&body, "last_enqueued_offset", HUB_STRING);
    expect_type(&body, "last_enqueued_time_utc", HUB_TIMESTAMP);
    cr_assert(hub_map_find(&body, "is_partition_empty", &v));
    cr_expect(v.type == HUB_BOOL && v.u == 1);
    cr_assert(hub_map_find(&body, "last_enqueued_sequence_number", &v));
    cr_expect_eq(v.i, -1);
    rig_close(&r);
}

Test(hub_request, what_is_not_there_is_answered_404)
{
    static const char *const reads[][9] = {
        {"operation", "READ", "name", "missing", "type", "com.microsoft:eventhub", NULL},
        {"operation", "READ", "name", "hub1", "type", "com.microsoft:partition", "partition", "4", NULL},
        {"operation", "READ", "name", "hub1", "type", "com.microsoft:partition", NULL},
        {"operation", "READ", "name", "hub1", "type", "com.microsoft:nonsense", NULL},
    };
    struct hub_value body;
    char condition[64];
    struct rig r;

    open_node(&r, true, "$management");
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
        put_request(&r, 0, reads[i], NULL);
        cr_expect_eq(answer(&r, condition, &body), 404, "row %zu", i);
        cr_expect_str_eq(condition, "amqp:not-found");
    }
    rig_close(&r);
}

/* The connection is logged in; the token in the request is judged all the same when there is one. */
Test(hub_request, the_security_token_of_a_request_is_verified)
{
    static const struct {
        const char *key, *uri;
        int64_t expiry_s, status;
        const char *condition;
    } rows[] = {
        {RIG_KEY, "sb://localhost/hub1", 1700000100, 200, ""},
        {RIG_KEY, "sb://localhost/", 1700000100, 200, ""},
        {RIG_KEY, "sb://localhost/hub1/$management", 1700000100, 200, ""},
        {RIG_KEY, "sb://localhost/hub2", 1700000100, 401, "amqp:unauthorized-access"},
        {RIG_KEY, "sb://localhost/hub1", 1699999999, 500, "amqp:not-allowed"},
        {"d3Jvbmc=", "sb://localhost/hub1", 1700000100, 401, "com.microsoft:auth-failed"},
    };
    struct hub_value body;
    char condition[64], token[HUB_TOKEN_MAX];
    struct rig r;

    open_node(&r, true, "$management");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hub_policy policy = {.name = "send"};
        snprintf(policy.key, sizeof policy.key, "%s", rows[i].key);
        cr_assert_eq(hub_sas_sign(&policy, rows[i].uri, rows[i].expiry_s, token, sizeof token), 0);
        const char *const read[] = {"operation", "READ", "name", "hub1", "type", "com.microsoft:eventhub", "security_token", token, NULL};
        put_request(&r, 0, read, NULL);
        cr_expect_eq(answer(&r, condition, &body), rows[i].status, "row %zu", i);
        cr_expect_str_eq(condition, rows[i].condition, "row %zu", i);
    }
    rig_close(&r);
}

Test(hub_request, a_security_token_may_be_a_jwt_with_any_role_of_event_hubs_data)
{
    static const struct {
        int64_t expiry_s;
        const char *roles;
        int64_t status;
        const char *condition;
    } rows[] = {
        {1700000100, "[\"Azure Event Hubs Data Sender\"]", 200, ""},
        {1700000100, "[\"Azure Event Hubs Data Receiver\"]", 200, ""},
        {1700000100, NULL, 401, "amqp:unauthorized-access"},
        {1699999999, "[\"Azure Event Hubs Data Owner\"]", 500, "amqp:not-allowed"},
    };
    struct hub_value body;
    char condition[64], token[JWT_MAX];
    struct rig r;

    open_node(&r, true, "$management");
    r.broker.jwt_key = jwt_key_make();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        jwt_make(r.broker.jwt_key, rows[i].expiry_s, rows[i].roles, token);
        const char *const read[] = {"operation", "READ", "name", "hub1", "type", "com.microsoft:eventhub", "security_token", token, NULL};
        put_request(&r, 0, read, NULL);
        cr_expect_eq(answer(&r, condition, &body), rows[i].status, "row %zu", i);
        cr_expect_str_eq(condition, rows[i].condition, "row %zu", i);
    }
    rig_close(&r);
}

Test(hub_request, bad_token_requests_are_answered_400_or_401)
{
    static const struct {
        const char *texts[7], *body;
        int64_t status;
    } rows[] = {
        {{"operation", "take-token", "type", "servicebus.windows.net:sastoken", "name", "sb://localhost/hub1", NULL}, "x", 400},
        {{"operation", "put-token", "type", "nonsense", "name", "sb://localhost/hub1", NULL}, "x", 400},
        {{"operation", "put-token", "type", "servicebus.windows.net:sastoken", NULL}, "x", 400},
        {{"operation", "put-token", "type", "servicebus.windows.net:sastoken", "name", "sb://localhost/hub1", NULL}, "no token", 400},
        {{"operation", "put-token", "type", "servicebus.windows.net:sastoken", "name", "sb://localhost/hub1", NULL}, NULL, 400},
        {{"operation", "put-token", "type", "jwt", "name", "sb://localhost/hub1", NULL}, "a.b.c", 401},
    };
    struct hub_value body;
    char condition[64];
    struct rig r;

    open_node(&r, false, "$cbs");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put_request(&r, 0, rows[i].texts, rows[i].body);
        cr_expect_eq(answer(&r, condition, &body), rows[i].status, "row %zu", i);
        cr_expect_str_neq(condition, "");
    }
    rig_close(&r);
}

Test(hub_request, a_token_for_one_host_or_hub_is_no_good_for_another)
{
    static const char *const names[] = {"sb://localhost/hub1", "sb://elsewhere/hub1", "sb://localhost/hub2"};
    struct hub_policy policy = {.name = "send", .key = RIG_KEY};
    struct hub_value body;
    char condition[64], token[HUB_TOKEN_MAX];
    struct rig r;

    open_node(&r, false, "$cbs");
    cr_assert_eq(hub_sas_sign(&policy, "sb://localhost/hub1", 1700000100, token, sizeof token), 0);
    for (int i = 0; i < 3; i++) {
        const char *const put[] = {"operation", "put-token", "type", "servicebus.windows.net:sastoken", "name", names[i], NULL};
        put_request(&r, 0, put, token);
        cr_expect_eq(answer(&r, condition, &body), i == 0 ? 202 : 401, "%s", names[i]);
    }
    rig_close(&r);
}

Test(hub_request, a_signature_under_the_type_jwt_is_judged_as_a_signature)
{
    static const char *const put[] = {"operation", "put-token", "type", "jwt", "name", "sb://localhost/hub1", NULL};
    static const char *const keys[] = {RIG_KEY, "d3Jvbmc="};
    struct hub_value body;
    char condition[64], token[HUB_TOKEN_MAX];
    struct rig r;

    open_node(&r, false, "$cbs");
    for (int i = 0; i < 2; i++) {
        struct hub_policy policy = {.name = "send"};
        snprintf(policy.key, sizeof policy.key, "%s", keys[i]);
        cr_assert_eq(hub_sas_sign(&policy, "sb://localhost/hub1", 1700000100, token, sizeof token), 0);
        put_request(&r, 0, put, token);
        cr_expect_eq(answer(&r, condition, &body), i == 0 ? 202 : 401, "row %d", i);
    }
    rig_close(&r);
}

Test(hub_request, a_security_token_that_is_no_text_leaves_it_to_the_claim_of_the_connection)
{
    static const char *const put[] = {"operation", "put-token",           "type", "servicebus.windows.net:sastoken",
                                      "name",      "sb://localhost/hub1", NULL};
    static const char *const reads[][9] = {
        {"operation", "READ", "name", "hub1", "type", "com.microsoft:eventhub", "security_token", "pair:any", NULL},
        {"operation", "READ", "name", "hub2", "type", "com.microsoft:eventhub", "security_token", "pair:any", NULL},
        {"operation", "READ", "name", "hub1", "type", "com.microsoft:eventhub", NULL},
    };
    struct hub_policy policy = {.name = "send", .key = RIG_KEY};
    struct hub_value body;
    char condition[64], token[HUB_TOKEN_MAX];
    struct rig r;

    open_node(&r, false, "$cbs");
    cr_assert_eq(hub_sas_sign(&policy, "sb://localhost/hub1", 1700000100, token, sizeof token), 0);
    put_request(&r, 0, put, token);
    cr_assert_eq(answer(&r, condition, &body), 202);
    rig_put_attach(&r, 2, false, "$management", NULL, -1);
    rig_put_attach(&r, 3, true, "$management", NULL, -1);
    rig_put_credit(&r, 3, 0, 50, false);
    rig_flush(&r);
    for (int i = 0; i < 3; i++) {
        put_request(&r, 2, reads[i], NULL);
        cr_expect_eq(answer(&r, condition, &body), i == 0 ? 200 : 401, "row %d", i);
    }
    rig_close(&r);
}
