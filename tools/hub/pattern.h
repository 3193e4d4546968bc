/* What a fault looks for in events: a substring or an extended regular expression, in the body or in the key. */
#ifndef HUB_PATTERN_H
#define HUB_PATTERN_H

#include "message.h"

#include <regex.h>
#include <stdbool.h>

enum { HUB_PATTERN_MAX = 512 };

enum hub_pattern_kind { HUB_PATTERN_NONE, HUB_PATTERN_BODY, HUB_PATTERN_BODY_REGEX, HUB_PATTERN_KEY, HUB_PATTERN_KEY_REGEX };

/* Zero-initialised: none, which every delivery matches. */
struct hub_pattern {
    enum hub_pattern_kind kind;
    char text[HUB_PATTERN_MAX];
    regex_t regex; /* of the kinds with one */
};

/* Sets a pattern that holds none. 0, or -EINVAL with the reason in `why`. */
int hub_pattern_set(struct hub_pattern *p, enum hub_pattern_kind kind, const char *text, char *why, size_t why_size);

/* Whether any event of an opened message matches. Bodies that are values or sequences are searched as encoded. */
bool hub_pattern_finds(const struct hub_pattern *p, const struct hub_message *m);

void hub_pattern_free(struct hub_pattern *p);

#endif
