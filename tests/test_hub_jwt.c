/* Which JSON web tokens the hub believes, what they allow, and what it says about the others. */
#include "tests/hub_jwt_rig.h"

#include "tools/hub/jwt.h"

#include <openssl/pem.h>

#include <stdlib.h>
#include <unistd.h>

#define RS256 "{\"alg\":\"RS256\",\"typ\":\"JWT\"}"
#define AUD "\"aud\":\"https://eventhubs.azure.net\""

static EVP_PKEY *signer;

static void setup(void)
{
    signer = jwt_key_make();
}

static void teardown(void)
{
    EVP_PKEY_free(signer);
}

TestSuite(hub_jwt, .init = setup, .fini = teardown);

/* "" when it is believed, else the text about it. */
static const char *judge(const char *token, int64_t now_s, struct hub_claim *claim)
{
    static struct hub_error why;

    if (hub_jwt_verify(signer, token, now_s, claim, &why) == 0)
        return "";
    cr_expect_str_eq(why.condition, "com.microsoft:auth-failed");
    return why.text;
}

Test(hub_jwt, tokens_are_believed_or_refused_with_the_reason)
{
    static const struct {
        const char *header, *claims, *says;
    } rows[] = {
        {RS256, "{" AUD ",\"exp\":2000}", ""},
        {RS256, "{" AUD ",\"exp\":2000,\"nbf\":1000}", ""},
        {RS256, "{\"aud\":\"https://eventhubs.azure.net/\",\"exp\":2000}", ""},
        {RS256, "{\"aud\":\"https://eventhubs.azure.net//\",\"exp\":2000}", "InvalidAudience: "},
        {RS256, "{\"aud\":\"https://servicebus.azure.net\",\"exp\":2000}", "InvalidAudience: "},
        {RS256, "{\"aud\":[\"https://eventhubs.azure.net\"],\"exp\":2000}", "InvalidAudience: "},
        {RS256, "{\"exp\":2000}", "InvalidAudience: "},
        {RS256, "{" AUD ",\"exp\":1000}", "ExpiredToken: The token is expired. Expiration time: '1000'"},
        {RS256, "{" AUD ",\"exp\":2000,\"nbf\":1001}", "InvalidToken: The token is not valid yet. It is valid from: '1001'"},
        {RS256, "{" AUD "}", "InvalidToken: The token has no expiration time"},
        {RS256, "{" AUD ",\"exp\":\"2000\"}", "InvalidToken: The token has no expiration time"},
        {RS256, "{" AUD ",\"exp\":-1}", "InvalidToken: The token has no expiration time"},
        {RS256, "{" AUD ",\"exp\":1e300}", "InvalidToken: The token has no expiration time"},
        {RS256, "{" AUD ",\"exp\":2000,\"nbf\":\"x\"}", "InvalidToken: nbf"},
        {RS256, "[1]", "MalformedToken: "},
        {"{", "{" AUD ",\"exp\":2000}", "MalformedToken: "},
        {"{\"alg\":\"none\"}", "{" AUD ",\"exp\":2000}", "InvalidToken: The token is not signed by RS256"},
        {"{\"alg\":\"HS256\"}", "{" AUD ",\"exp\":2000}", "InvalidToken: The token is not signed by RS256"},
        {"{}", "{" AUD ",\"exp\":2000}", "InvalidToken: The token is not signed by RS256"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hub_claim claim;
        char token[JWT_MAX];
        jwt_sign(signer, rows[i].header, rows[i].claims, token);
        const char *text = judge(token, 1000, &claim);
        if (!*rows[i].says)
            cr_expect_str_eq(text, "", "%s", rows[i].claims);
        else
            cr_expect_eq(strncmp(text, rows[i].says, strlen(rows[i].says)), 0, "%s %s: %s", rows[i].header, rows[i].claims, text);
    }
}

Test(hub_jwt, any_changed_or_missing_character_makes_a_token_unbelievable)
{
    char token[JWT_MAX], changed[JWT_MAX];
    struct hub_claim claim;

    jwt_make(signer, 2000, NULL, token);
    cr_assert_str_eq(judge(token, 1000, &claim), "");
    size_t len = strlen(token);
    for (size_t i = 0; i < len; i++) {
        snprintf(changed, sizeof changed, "%s", token);
        changed[i] = changed[i] == 'x' ? 'y' : 'x';
        /* The last character of a signature of 256 bytes has four bits that mean nothing. */
        if (i + 1 < len)
            cr_expect_str_neq(judge(changed, 1000, &claim), "", "position %zu", i);
        changed[i] = '\0';
        cr_expect_str_neq(judge(changed, 1000, &claim), "", "cut at %zu", i);
    }
    strcat(token, "=");
    cr_expect_str_neq(judge(token, 1000, &claim), "", "with padding");
    cr_expect_str_neq(judge("a.b.c.d", 1000, &claim), "");
    cr_expect_str_neq(judge("..", 1000, &claim), "");
}

Test(hub_jwt, a_token_of_another_signer_is_not_believed)
{
    EVP_PKEY *other = jwt_key_make();
    struct hub_claim claim;
    char token[JWT_MAX];

    jwt_make(other, 2000, NULL, token);
    cr_expect_eq(strncmp(judge(token, 1000, &claim), "InvalidSignature: ", 18), 0);
    EVP_PKEY_free(other);
}

Test(hub_jwt, roles_are_rights)
{
    static const struct {
        const char *roles;
        unsigned rights;
    } rows[] = {
        {NULL, 0},
        {"[]", 0},
        {"\"Azure Event Hubs Data Owner\"", 0},
        {"[\"Azure Event Hubs Data Sender\"]", HUB_RIGHT_SEND},
        {"[\"Azure Event Hubs Data Receiver\"]", HUB_RIGHT_LISTEN},
        {"[\"Reader\",5,\"Azure Event Hubs Data Sender\",\"Azure Event Hubs Data Receiver\"]", HUB_RIGHT_ALL},
        {"[\"Azure Event Hubs Data Owner\"]", HUB_RIGHT_ALL},
        {"[\"azure event hubs data owner\"]", 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hub_claim claim;
        char token[JWT_MAX];
        jwt_make(signer, 2000, rows[i].roles, token);
        cr_expect_str_eq(judge(token, 1000, &claim), "");
        cr_expect_eq(claim.rights, rows[i].rights, "%s", rows[i].roles);
        cr_expect_eq(claim.expiry_s, 2000);
    }
}

Test(hub_jwt, a_key_file_is_read_or_its_fault_named)
{
    char path[] = "/tmp/ehring-hub-jwt.XXXXXX", why[128] = "", token[JWT_MAX];
    EVP_PKEY *keys[2] = {signer, EVP_EC_gen("P-256")};
    struct hub_claim claim;
    struct hub_error error;

    close(mkstemp(path));
    cr_expect_null(hub_jwt_key_read(path, why, sizeof why));
    cr_expect_not_null(strstr(why, "no public key"), "%s", why);
    for (int i = 0; i < 2; i++) {
        FILE *file = fopen(path, "w");
        cr_assert_eq(PEM_write_PUBKEY(file, keys[i]), 1);
        fclose(file);
        EVP_PKEY *key = hub_jwt_key_read(path, why, sizeof why);
        cr_expect_eq(key != NULL, i == 0);
        jwt_make(signer, 2000, NULL, token);
        if (key)
            cr_expect_eq(hub_jwt_verify(key, token, 1000, &claim, &error), 0);
        EVP_PKEY_free(key);
    }
    cr_expect_not_null(strstr(why, "not RSA"), "%s", why);
    EVP_PKEY_free(keys[1]);
    unlink(path);
    cr_expect_null(hub_jwt_key_read(path, why, sizeof why));
    cr_expect_not_null(strstr(why, "No such file"), "%s", why);
}
