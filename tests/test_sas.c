/* Tokens equal those of the SDKs, byte for byte. */
#include <criterion/criterion.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shipper/sas.h"
#include "tests/vectors.h"

static const char *text_of(const cJSON *row, const char *name)
{
    return cJSON_GetObjectItem(row, name)->valuestring;
}

Test(sas, tokens_equal_the_published_vectors)
{
    cJSON *json = vectors_read("sas-tokens.json"), *row;
    int rows = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(json, "cases"))
    {
        char token[SAS_TOKEN_BYTES_MAX];
        int64_t expiry = (int64_t)cJSON_GetObjectItem(row, "expiry")->valuedouble;
        cr_assert_eq(sas_make_token(text_of(row, "uri"), text_of(row, "key_name"), text_of(row, "key"), expiry, token, sizeof token), 0);
        cr_expect_str_eq(token, text_of(row, "token"));
        cr_expect_eq(sas_expiry(token), expiry);
        rows++;
    }
    cr_expect_eq(rows, 5);
    cJSON_Delete(json);
}

Test(sas, every_buffer_too_small_is_refused_and_left_without_a_piece_of_the_token)
{
    char whole[SAS_TOKEN_BYTES_MAX], token[SAS_TOKEN_BYTES_MAX + 8];
    cr_assert_eq(sas_make_token("sb://host/hub", "policy/+=", "key", 1, whole, sizeof whole), 0);
    for (size_t cap = 0; cap <= strlen(whole); cap++) {
        memset(token, 'z', sizeof token);
        cr_assert_eq(sas_make_token("sb://host/hub", "policy/+=", "key", 1, token, cap), -ENOSPC, "%zu bytes", cap);
        cr_assert_eq(token[cap], 'z', "wrote past %zu bytes", cap);
        for (size_t i = 0; i < cap; i++)
            cr_assert_eq(token[i], '\0');
    }
    cr_assert_eq(sas_make_token("sb://host/hub", "policy/+=", "key", 1, token, strlen(whole) + 1), 0);
    cr_assert_str_eq(token, whole);
}

Test(sas, policy_names_are_percent_encoded_once)
{
    char token[SAS_TOKEN_BYTES_MAX];
    cr_assert_eq(sas_make_token("sb://h/x", "a b+c/d=e&f~", "k", 7, token, sizeof token), 0);
    cr_assert_str_eq(strstr(token, "&se="), "&se=7&skn=a%20b%2Bc%2Fd%3De%26f~");
}

Test(sas, the_expiry_of_a_ready_token_is_its_own_field)
{
    cr_expect_eq(sas_expiry("SharedAccessSignature sr=a&sig=b&se=1700000000&skn=c"), 1700000000);
    cr_expect_eq(sas_expiry("SharedAccessSignature se=5&sr=a"), 5);
    cr_expect_eq(sas_expiry("SharedAccessSignature sr=xse=4&sig=b&skn=c"), INT64_MAX);
    cr_expect_eq(sas_expiry("SharedAccessSignature sr=a&sig=b"), INT64_MAX);
    cr_expect_eq(sas_expiry("SharedAccessSignature sr=a&se=&sig=b"), INT64_MAX);
    cr_expect_eq(sas_expiry("SharedAccessSignature sr=a&se=12x&sig=b"), INT64_MAX);
    cr_expect_eq(sas_expiry("SharedAccessSignature sr=a&se=99999999999999999999"), INT64_MAX);
    cr_expect_eq(sas_expiry("SharedAccessSignature sr=a&se=-1"), INT64_MAX);
    cr_expect_eq(sas_expiry(""), INT64_MAX);
}
