/* Is it UTF-8? Brokers answer a string that is not with a decode error for the whole batch. Pure. */
#ifndef EHRING_UTF8_H
#define EHRING_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Strict: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool utf8_is_valid(const uint8_t *text, size_t len);

#endif
