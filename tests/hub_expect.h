/* What a client expects of a hub, said with criterion: a sender that opens, outcomes, refusals, tokens that are put. */
#ifndef TESTS_HUB_EXPECT_H
#define TESTS_HUB_EXPECT_H

#include <criterion/criterion.h>

#include "tests/hub_rig.h"

/* With a session and, by PLAIN, without need of tokens; a sender on handle 0. */
static inline void open_sender(struct rig *r, const char *fault, const char *address)
{
    rig_open(r, fault);
    rig_put_open(r, true, 65536);
    rig_put_attach(r, 0, false, address, NULL, -1);
    cr_assert(rig_await(r, HUB_ATTACH));
    cr_assert(hub_field_is_set(&r->fields, 6), "the sender was refused");
    cr_assert(rig_await(r, HUB_FLOW));
}

static inline void expect_outcome(struct rig *r, uint32_t first, uint32_t last, uint64_t outcome, const char *condition)
{
    char found[128];

    cr_assert(rig_await(r, HUB_DISPOSITION), "no disposition");
    cr_expect_eq(hub_field_uint(&r->fields, 1, UINT32_MAX), first);
    cr_expect_eq(hub_field_uint(&r->fields, 2, UINT32_MAX), last);
    cr_expect(hub_field_bool(&r->fields, 3, false), "not settled");
    cr_expect_eq(rig_outcome(r, found), outcome);
    cr_expect_str_eq(found, condition);
}

static inline void expect_refusal(struct rig *r, bool receiver, const char *condition)
{
    cr_assert(rig_await(r, HUB_ATTACH));
    cr_expect_not(hub_field_is_set(&r->fields, receiver ? 5 : 6), "the refused attach names a terminus");
    cr_assert(rig_await(r, HUB_DETACH));
    cr_expect_str_eq(rig_condition(r, 2), condition);
}

/* Asks for a token of this type to be put on a name, through handle 100. */
static inline void put_token_of(struct rig *r, const char *type, const char *name, const char *token, uint32_t id)
{
    struct hub_buf m = {0};

    hub_put_descriptor(&m, HUB_SECTION_PROPERTIES);
    size_t place = hub_put_list_begin(&m);
    hub_put_ulong(&m, 7);
    hub_put_compound_end(&m, place, 1);
    hub_put_descriptor(&m, HUB_SECTION_APPLICATION);
    place = hub_put_map_begin(&m);
    hub_put_string(&m, "operation");
    hub_put_string(&m, "put-token");
    hub_put_string(&m, "type");
    hub_put_string(&m, type);
    hub_put_string(&m, "name");
    hub_put_string(&m, name);
    hub_put_compound_end(&m, place, 6);
    hub_put_descriptor(&m, HUB_SECTION_VALUE);
    hub_put_string(&m, token);
    rig_put_transfer(r, 100, id, 0, m.data, m.len, false);
    hub_buf_free(&m);
}

static inline void put_token_request(struct rig *r, const char *key, const char *name, int64_t expiry_s)
{
    struct hub_policy policy;
    char token[HUB_TOKEN_MAX];

    snprintf(policy.name, sizeof policy.name, "send");
    snprintf(policy.key, sizeof policy.key, "%s", key);
    cr_assert_eq(hub_sas_sign(&policy, name, expiry_s, token, sizeof token), 0);
    put_token_of(r, "servicebus.windows.net:sastoken", name, token, 0);
}

/* Without login, with the $cbs pair on handles 100 and 101. */
static inline void open_cbs(struct rig *r)
{
    rig_put_open(r, false, 65536);
    rig_put_attach(r, 100, false, "$cbs", NULL, -1);
    rig_put_attach(r, 101, true, "$cbs", NULL, -1);
    rig_put_credit(r, 101, 0, 10, false);
}

/* The status of the next answer, and its description unless that is NULL. */
static inline int64_t token_status(struct rig *r, char description[512])
{
    struct hub_event e;
    struct hub_error why;
    struct hub_value map, v;
    int64_t code = 0;

    cr_assert(rig_await(r, HUB_TRANSFER), "no answer to put-token");
    cr_assert_eq(hub_sections_read(&e, r->payload.at, hub_in_left(&r->payload), &why), 0, "%s", why.text);
    struct hub_in in = hub_in_of(e.application.bytes, e.application.len);
    cr_assert_eq(hub_value_read(&in, &map), 0);
    cr_assert(hub_map_find(&map, "status-code", &v));
    cr_assert_eq(v.type, HUB_INT);
    cr_assert_eq(hub_value_integer(&v, &code), 0);
    cr_assert(hub_map_find(&map, "status-description", &v));
    if (description)
        cr_assert_eq(hub_value_text(&v, description, 512), 0);
    return code;
}

/* Opens without login, attaches the $cbs pair and puts a token. Returns the status of the answer. */
static inline int64_t put_token(struct rig *r, const char *key, const char *name, int64_t expiry_s)
{
    rig_open(r, NULL);
    open_cbs(r);
    put_token_request(r, key, name, expiry_s);
    return token_status(r, NULL);
}

#endif
