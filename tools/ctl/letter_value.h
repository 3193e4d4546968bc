/* The values within a dead letter that are not plain texts: base64, identities, typed properties. Pure. */
#ifndef CTL_LETTER_VALUE_H
#define CTL_LETTER_VALUE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "client/ehring.h"

/* The bytes with a NUL behind them, the caller's to free; NULL: not base64, or no memory. */
char *value_base64(const char *text, size_t *len);
/* "uuid:position", as ehring_identity_text writes it. */
bool value_identity(const char *text, struct ehring_identity *identity);
/* `item` has the type and, for a bool, the value; `text` the value otherwise. Points to `name` and `text`; of a UUID to 16 bytes that are
 * the caller's to free. */
bool value_property(const cJSON *item, const char *name, const char *text, size_t len, struct ehring_property *property);

#endif
