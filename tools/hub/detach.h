/* The end of a link, from our side or theirs: takes it out of every list it is in. */
#ifndef HUB_DETACH_H
#define HUB_DETACH_H

#include "engine.h"

/* Sends a closing detach with an error; the link is freed when the peer's detach comes. Safe to repeat. */
void hub_link_fail(struct hub_link *l, const struct hub_error *error);

/* Frees a link, its slot and its place among the receivers of its partition. */
void hub_link_free(struct hub_link *l);

#endif
