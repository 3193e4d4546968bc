/* What tokens allow on a connection: sending, listening, until when, and what is said to those who may not. */
#include "tests/hub_expect.h"
#include "tests/hub_jwt_rig.h"

#define SENDER "[\"Azure Event Hubs Data Sender\"]"
#define RECEIVER "[\"Azure Event Hubs Data Receiver\"]"
#define OWNER "[\"Azure Event Hubs Data Owner\"]"
#define READ_HERE "hub1/ConsumerGroups/$Default/Partitions/0"

enum { NOW_S = 1700000000 };

static EVP_PKEY *signer;

static void setup(void)
{
    signer = jwt_key_make();
}

static void teardown(void)
{
    EVP_PKEY_free(signer);
}

TestSuite(hub_claim, .init = setup, .fini = teardown);

/* A connection with a $cbs pair to a hub that knows the signer. */
static void open_hub(struct rig *r)
{
    rig_open(r, NULL);
    cr_assert_eq(EVP_PKEY_up_ref(signer), 1);
    r->broker.jwt_key = signer;
    open_cbs(r);
}

static int64_t put_jwt(struct rig *r, int64_t expiry_s, const char *roles, uint32_t id, char description[512])
{
    char token[JWT_MAX];

    jwt_make(signer, expiry_s, roles, token);
    put_token_of(r, "jwt", "sb://localhost/hub1", token, id);
    return token_status(r, description);
}

static void expect_attach(struct rig *r, uint32_t handle, bool receiver, bool allowed, const char *what)
{
    struct hub_fields error;
    uint64_t code;
    char text[512], expected[256];

    rig_put_attach(r, handle, receiver, receiver ? READ_HERE : "hub1", NULL, -1);
    cr_assert(rig_await(r, HUB_ATTACH));
    cr_expect_eq(hub_field_is_set(&r->fields, receiver ? 5 : 6), allowed, "%s: %s", what, receiver ? "listening" : "sending");
    if (allowed)
        return;
    cr_assert(rig_await(r, HUB_DETACH));
    cr_expect_str_eq(rig_condition(r, 2), "amqp:unauthorized-access");
    struct hub_in in = hub_in_of(r->fields.at[2].raw, r->fields.at[2].raw_len);
    cr_assert_eq(hub_fields_read(&in, &code, &error), 0);
    cr_assert_eq(hub_value_text(&error.at[1], text, sizeof text), 0);
    snprintf(expected, sizeof expected,
             "Unauthorized access. '%s' claim(s) are required to perform this operation. Resource: 'sb://localhost/%s'.",
             receiver ? "Listen" : "Send", receiver ? READ_HERE : "hub1");
    cr_expect_eq(strncmp(text, expected, strlen(expected)), 0, "%s", text);
}

Test(hub_claim, the_roles_of_a_jwt_decide_between_sending_and_listening)
{
    static const struct {
        const char *roles;
        bool sends, listens;
    } rows[] = {{NULL, false, false}, {SENDER, true, false}, {RECEIVER, false, true}, {OWNER, true, true}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rig r;
        char text[512];
        open_hub(&r);
        cr_expect_eq(put_jwt(&r, NOW_S + 60, rows[i].roles, 0, text), 202, "%s", text);
        expect_attach(&r, 0, false, rows[i].sends, rows[i].roles);
        expect_attach(&r, 1, true, rows[i].listens, rows[i].roles);
        rig_close(&r);
    }
}

Test(hub_claim, a_jwt_that_is_no_good_is_answered_401_with_the_reason)
{
    struct rig r;
    char text[512], token[JWT_MAX];

    open_hub(&r);
    cr_expect_eq(put_jwt(&r, NOW_S, SENDER, 0, text), 401);
    cr_expect_eq(strncmp(text, "ExpiredToken: The token is expired.", 35), 0, "%s", text);
    jwt_make(signer, NOW_S + 60, SENDER, token);
    char *changed = token + strlen(token) - 10;
    *changed = *changed == 'x' ? 'y' : 'x';
    put_token_of(&r, "jwt", "sb://localhost/hub1", token, 1);
    cr_expect_eq(token_status(&r, text), 401);
    cr_expect_eq(strncmp(text, "InvalidSignature: ", 18), 0, "%s", text);
    cr_expect_eq(r.broker.tokens_refused, 2);
    expect_attach(&r, 0, false, false, "no token was good");
    rig_close(&r);
}

Test(hub_claim, a_hub_without_a_key_for_them_takes_no_jwt_and_says_what_to_give_it)
{
    struct rig r;
    char text[512], token[JWT_MAX];

    rig_open(&r, NULL);
    open_cbs(&r);
    jwt_make(signer, NOW_S + 60, OWNER, token);
    put_token_of(&r, "jwt", "sb://localhost/hub1", token, 0);
    cr_expect_eq(token_status(&r, text), 401);
    cr_expect_not_null(strstr(text, "--jwt-key"), "%s", text);
    rig_close(&r);
}

Test(hub_claim, a_jwt_that_runs_out_takes_its_links_along_unless_it_is_renewed)
{
    struct rig r;

    open_hub(&r);
    cr_expect_eq(put_jwt(&r, NOW_S + 60, SENDER, 0, NULL), 202);
    expect_attach(&r, 0, false, true, "a good token");
    r.broker.now_ms += 30000;
    cr_expect_eq(put_jwt(&r, NOW_S + 120, SENDER, 1, NULL), 202);
    r.broker.now_ms += 60000;
    cr_expect_not(rig_await(&r, HUB_DETACH), "detached in spite of a renewed token");
    r.broker.now_ms += 60000;
    cr_expect(rig_await(&r, HUB_DETACH));
    cr_expect_str_eq(rig_condition(&r, 2), "amqp:link:detach-forced");
    rig_close(&r);
}

Test(hub_claim, a_renewal_without_the_role_takes_the_link_along)
{
    struct rig r;

    open_hub(&r);
    cr_expect_eq(put_jwt(&r, NOW_S + 60, SENDER, 0, NULL), 202);
    expect_attach(&r, 0, false, true, "a good token");
    cr_expect_eq(put_jwt(&r, NOW_S + 60, RECEIVER, 1, NULL), 202);
    cr_expect(rig_await(&r, HUB_DETACH));
    cr_expect_str_eq(rig_condition(&r, 2), "amqp:link:detach-forced");
    rig_close(&r);
}

Test(hub_claim, a_policy_that_may_only_listen_gives_tokens_that_may_only_listen)
{
    const struct hub_policy policy = {"listen", RIG_KEY, HUB_RIGHT_LISTEN};
    char token[HUB_TOKEN_MAX];
    struct rig r;

    rig_open(&r, NULL);
    open_cbs(&r);
    cr_assert_eq(hub_sas_sign(&policy, "sb://localhost/hub1", NOW_S + 60, token, sizeof token), 0);
    put_token_of(&r, "servicebus.windows.net:sastoken", "sb://localhost/hub1", token, 0);
    cr_expect_eq(token_status(&r, NULL), 202);
    expect_attach(&r, 0, false, false, "a policy that may only listen");
    expect_attach(&r, 1, true, true, "a policy that may only listen");
    rig_close(&r);
}

Test(hub_claim, either_key_of_a_policy_signs_tokens)
{
    static const char second[] = "c2Vjb25k";
    struct rig r;

    rig_open(&r, NULL);
    cr_assert_eq(hub_policies_add(&r.broker.policies, "send", second, HUB_RIGHT_ALL), 0);
    open_cbs(&r);
    put_token_request(&r, second, "sb://localhost/hub1", NOW_S + 60);
    cr_expect_eq(token_status(&r, NULL), 202);
    expect_attach(&r, 0, false, true, "the second key");
    cr_expect_eq(hub_policies_match(&r.broker.policies, "send", RIG_KEY), HUB_RIGHT_ALL);
    cr_expect_eq(hub_policies_match(&r.broker.policies, "send", second), HUB_RIGHT_ALL);
    cr_expect_eq(hub_policies_match(&r.broker.policies, "listen", RIG_KEY), HUB_RIGHT_LISTEN);
    cr_expect_eq(hub_policies_match(&r.broker.policies, "listen", second), 0);
    rig_close(&r);
}
