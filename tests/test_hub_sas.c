/* Which tokens the hub believes, and what it says about the others. */
#include "tests/hub_vectors.h"
#include "tools/hub/sas.h"

static const struct hub_policy policy = {"send", "cGFzc3dvcmQ=", HUB_RIGHT_ALL};

static struct hub_policies policies_of_one(void)
{
    struct hub_policies p = {.count = 0};

    cr_assert_eq(hub_policies_add(&p, policy.name, policy.key, policy.rights), 0);
    return p;
}

static const char *verify(const char *token, int64_t now_s, struct hub_error *why)
{
    struct hub_policies p = policies_of_one();
    struct hub_claim claim;

    why->condition[0] = '\0';
    return hub_sas_verify(&p, token, now_s, &claim, why) == 0 ? "good" : why->condition;
}

Test(hub_sas, published_tokens_are_made_byte_for_byte_and_believed_until_they_expire)
{
    cJSON *json = vectors_read("sas-tokens.json"), *row;
    int rows = 0;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(json, "cases"))
    {
        struct hub_policies p = {.count = 0};
        struct hub_claim claim;
        struct hub_error why;
        char token[HUB_TOKEN_MAX];
        int64_t expiry = (int64_t)cJSON_GetObjectItem(row, "expiry")->valuedouble;
        cr_assert_eq(hub_policies_add(&p, hub_text(row, "key_name"), hub_text(row, "key"), HUB_RIGHT_ALL), 0);
        cr_assert_eq(hub_sas_sign(&p.at[0], hub_text(row, "uri"), expiry, token, sizeof token), 0);
        cr_expect_str_eq(token, hub_text(row, "token"));
        cr_expect_eq(hub_sas_verify(&p, hub_text(row, "token"), expiry - 1, &claim, &why), 0, "%s", why.text);
        cr_expect_eq(claim.expiry_s, expiry);
        cr_expect_lt(hub_sas_verify(&p, hub_text(row, "token"), expiry, &claim, &why), 0);
        cr_expect_str_eq(why.condition, "com.microsoft:auth-failed");
        cr_expect_not_null(strstr(why.text, "ExpiredToken"));
        rows++;
    }
    cr_expect_eq(rows, 5);
    cJSON_Delete(json);
}

Test(hub_sas, any_changed_character_of_a_token_makes_it_unbelievable)
{
    char token[HUB_TOKEN_MAX], changed[HUB_TOKEN_MAX];
    struct hub_error why;

    cr_assert_eq(hub_sas_sign(&policy, "sb://localhost/hub1", 2000000000, token, sizeof token), 0);
    cr_assert_str_eq(verify(token, 1, &why), "good");
    for (size_t i = 0; token[i]; i++) {
        snprintf(changed, sizeof changed, "%s", token);
        changed[i] = changed[i] == 'x' ? 'y' : 'x';
        cr_expect_str_neq(verify(changed, 1, &why), "good", "position %zu of %s", i, changed);
        changed[i] = '\0';
        cr_expect_str_neq(verify(changed, 1, &why), "good", "cut at %zu", i);
    }
}

Test(hub_sas, parts_may_come_in_any_order_but_not_twice)
{
    char token[HUB_TOKEN_MAX], other[HUB_TOKEN_MAX * 2], sr[512], rest[1024];
    struct hub_error why;

    cr_assert_eq(hub_sas_sign(&policy, "sb://localhost/hub1", 2000000000, token, sizeof token), 0);
    cr_assert_eq(sscanf(token, "SharedAccessSignature %511[^&]&%1023s", sr, rest), 2);
    snprintf(other, sizeof other, "SharedAccessSignature %s&%s", rest, sr);
    cr_expect_str_eq(verify(other, 1, &why), "good");
    snprintf(other, sizeof other, "%s&%s", token, sr);
    cr_expect_str_eq(verify(other, 1, &why), "amqp:invalid-field");
}

Test(hub_sas, an_unknown_policy_and_a_wrong_key_are_told_apart)
{
    struct hub_policy stranger = {"stranger", "cGFzc3dvcmQ=", HUB_RIGHT_ALL}, wrong = {"send", "d3Jvbmc=", HUB_RIGHT_ALL};
    char token[HUB_TOKEN_MAX];
    struct hub_error why;

    cr_assert_eq(hub_sas_sign(&stranger, "sb://localhost/hub1", 2000000000, token, sizeof token), 0);
    cr_expect_str_eq(verify(token, 1, &why), "com.microsoft:auth-failed");
    cr_expect_not_null(strstr(why.text, "policy"));
    cr_assert_eq(hub_sas_sign(&wrong, "sb://localhost/hub1", 2000000000, token, sizeof token), 0);
    cr_expect_str_eq(verify(token, 1, &why), "com.microsoft:auth-failed");
    cr_expect_not_null(strstr(why.text, "signature"));
}

Test(hub_sas, addresses_are_the_same_however_they_are_spelled)
{
    static const char *const spellings[] = {"hub1/Partitions/0", "/hub1/Partitions/0", "amqps://h/hub1/Partitions/0",
                                            "sb://h:5671//hub1/Partitions/0/"};
    struct hub_address a;

    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        cr_assert_eq(hub_address_read(&a, spellings[i]), 0);
        cr_expect_str_eq(a.path, "hub1/Partitions/0", "%s", spellings[i]);
    }
    cr_expect(hub_path_covers("hub1", "HUB1/Partitions/0"));
    cr_expect(hub_path_covers("", "hub1"));
    cr_expect_not(hub_path_covers("hub1", "hub11"));
    cr_expect_not(hub_path_covers("hub1/Partitions/0", "hub1"));
}
