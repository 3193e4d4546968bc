/* Whether a shipper drains a stream, told by the lock that it holds while it lives. */
#ifndef CTL_DRAINER_H
#define CTL_DRAINER_H

#include <stddef.h>

enum drainer { DRAINER_LIVES, DRAINER_NONE, DRAINER_UNKNOWN };

/* `why`: a sentence unless one lives. */
enum drainer drainer_look(const char *rings_dir, const char *stream, char *why, size_t why_cap);
/* Wakes one that sleeps, as a producer does. Errors do not matter: it wakes by itself within a second. */
void drainer_wake(const char *rings_dir, const char *stream);

#endif
