/* What a fault looks for in events: a substring or an extended regular expression, in the body or in the key. */
#include "pattern.h"

#include "buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_regex(const struct hub_pattern *p);
static bool event_has(const struct hub_pattern *p, struct hub_slice event);
static bool slice_has(const struct hub_pattern *p, struct hub_slice s);
static bool regex_finds(const regex_t *regex, struct hub_slice s);

int hub_pattern_set(struct hub_pattern *p, enum hub_pattern_kind kind, const char *text, char *why, size_t why_size)
{
    char reason[128];
    size_t len = strlen(text);

    if (len == 0 || len >= sizeof(p->text)) {
        snprintf(why, why_size, "a pattern has 1 to %zu bytes, not %zu", sizeof(p->text) - 1, len);
        return -EINVAL;
    }
    p->kind = kind;
    memcpy(p->text, text, len + 1);
    if (!has_regex(p))
        return 0;
    int rc = regcomp(&p->regex, text, REG_EXTENDED | REG_NOSUB);
    if (rc == 0)
        return 0;
    regerror(rc, &p->regex, reason, sizeof(reason));
    snprintf(why, why_size, "'%.64s' is no extended regular expression: %s", text, reason);
    p->kind = HUB_PATTERN_NONE;
    return -EINVAL;
}

bool hub_pattern_finds(const struct hub_pattern *p, const struct hub_message *m)
{
    struct hub_message rest = *m;
    struct hub_slice event;

    if (p->kind == HUB_PATTERN_NONE)
        return true;
    while (hub_message_next(&rest, &event)) {
        if (event_has(p, event))
            return true;
    }
    return false;
}

void hub_pattern_free(struct hub_pattern *p)
{
    if (has_regex(p))
        regfree(&p->regex);
    p->kind = HUB_PATTERN_NONE;
}

static bool has_regex(const struct hub_pattern *p)
{
    return p->kind == HUB_PATTERN_BODY_REGEX || p->kind == HUB_PATTERN_KEY_REGEX;
}

static bool event_has(const struct hub_pattern *p, struct hub_slice event)
{
    struct hub_error ignored;
    struct hub_event e;

    if (hub_event_read(&e, event.bytes, event.len, &ignored) < 0)
        return false;
    if (p->kind == HUB_PATTERN_KEY || p->kind == HUB_PATTERN_KEY_REGEX)
        return e.key.len > 0 && slice_has(p, e.key);
    return slice_has(p, e.body == HUB_SECTION_DATA ? e.data : e.body == HUB_SECTION_VALUE ? e.value : e.after_annotations);
}

static bool slice_has(const struct hub_pattern *p, struct hub_slice s)
{
    if (!has_regex(p))
        return s.len > 0 && memmem(s.bytes, s.len, p->text, strlen(p->text)) != NULL;
    return regex_finds(&p->regex, s);
}

/* Bodies hold zero bytes, so the expression is told where they end; and end without one, which address sanitizers want to see all the same.
 */
static bool regex_finds(const regex_t *regex, struct hub_slice s)
{
    regmatch_t range = {.rm_so = 0, .rm_eo = (regoff_t)s.len};
    char *text = hub_alloc(1, s.len + 1);

    if (s.len > 0)
        memcpy(text, s.bytes, s.len);
    bool found = regexec(regex, text, 1, &range, REG_STARTEND) == 0;
    free(text);
    return found;
}
