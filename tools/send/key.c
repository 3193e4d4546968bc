/* The partition key of an event: a fixed text, a JSON field, or a group of a regular expression. */
#include "key.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *json_key(const char *field, const char *bytes, size_t len);
static char *regex_key(const regex_t *regex, const char *bytes, size_t len);

int key_source_open(struct key_source *source, enum send_key from, const char *text)
{
    *source = (struct key_source){.from = from, .text = text};
    if (from != SEND_KEY_REGEX)
        return 0;
    int err = regcomp(&source->regex, text, REG_EXTENDED);
    if (err) {
        char why[200];
        regerror(err, &source->regex, why, sizeof(why));
        fprintf(stderr, "ehring-send: --key-regex %s: %s\n", text, why);
        source->from = SEND_KEY_NONE;
        return -EINVAL;
    }
    if (source->regex.re_nsub > 0)
        return 0;
    fprintf(stderr, "ehring-send: --key-regex %s has no group: put the part that is the key into parentheses\n", text);
    return -EINVAL;
}

const char *key_of(struct key_source *source, const char *bytes, size_t len)
{
    free(source->made);
    source->made = NULL;
    switch (source->from) {
    case SEND_KEY_NONE:
        return NULL;
    case SEND_KEY_TEXT:
        return source->text;
    case SEND_KEY_JSON:
        source->made = json_key(source->text, bytes, len);
        break;
    case SEND_KEY_REGEX:
        source->made = regex_key(&source->regex, bytes, len);
        break;
    }
    return source->made && source->made[0] ? source->made : NULL;
}

void key_source_close(struct key_source *source)
{
    if (source->from == SEND_KEY_REGEX)
        regfree(&source->regex);
    free(source->made);
    *source = (struct key_source){0};
}

/* A text as it is, numbers and truth values as JSON writes them. */
static char *json_key(const char *field, const char *bytes, size_t len)
{
    cJSON *whole = cJSON_ParseWithLength(bytes, len);
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(whole, field);
    char *key = NULL;

    if (cJSON_IsString(value))
        key = strdup(value->valuestring);
    else if (cJSON_IsNumber(value) || cJSON_IsBool(value))
        key = cJSON_PrintUnformatted(value);
    cJSON_Delete(whole);
    return key;
}

static char *regex_key(const regex_t *regex, const char *bytes, size_t len)
{
    regmatch_t match[2] = {{.rm_so = 0, .rm_eo = (regoff_t)len}};

    if (regexec(regex, bytes, 2, match, REG_STARTEND) != 0 || match[1].rm_so < 0)
        return NULL;
    return strndup(bytes + match[1].rm_so, (size_t)(match[1].rm_eo - match[1].rm_so));
}
