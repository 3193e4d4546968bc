/* What is in force for a stream: its section of the configuration, the trust and the audience that follow from it. Immutable but for which
 * of two keys is in use, and shared by all who still go by it; a changed configuration makes another one. */
#ifndef EHRING_SETUP_H
#define EHRING_SETUP_H

#include <stddef.h>
#include <stdint.h>

#include "shipper/config.h"
#include "shipper/transport.h"

struct setup {
    struct config_stream config;
    char audience[600]; /* sb://host/hub */
    struct transport_way way;
    uint32_t hub_number; /* another one with each hub of the stream */
    _Atomic uint32_t users;
    _Atomic uint32_t key; /* 0 or 1: of two keys the one that was accepted last */
};

/* Copies `config`. `before` (NULL: none) is what was in force, `effect` what a change from there asks for: trust that stays the same is
 * shared, not read again. 0: *out has one user, the caller (setup_give); or a negative errno with a sentence in `why`. */
int setup_make(const struct config_stream *config, const struct setup *before, enum config_effect effect, struct setup **out, char *why,
               size_t why_len);
/* One user more; returns `setup`. Any thread that has it from a user. */
struct setup *setup_take(struct setup *setup);
/* One user less; the last one frees it and wipes its secrets. NULL is fine. Any thread. */
void setup_give(struct setup *setup);

#endif
