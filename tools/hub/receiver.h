/* A reader of one partition: where it begins, who may read besides it, and the events it is sent. */
#ifndef HUB_RECEIVER_H
#define HUB_RECEIVER_H

#include "engine.h"

/*
 * Sets up a receiver whose entity, partition and group are known, from its source and link properties (NULL: none):
 * filter, epoch; detaches those of a lower epoch. 0, or -EPROTO with the reason.
 */
int hub_receiver_open(struct hub_link *l, const struct hub_value *source, const struct hub_value *properties, struct hub_error *why);

/* Sends events as far as credit, window and output allow. */
void hub_receiver_pump(struct hub_link *l);

/* Reads a selector as the SDKs write it. 0 or -EINVAL. */
int hub_selector_read(const char *text, struct hub_position *at);

/* Appends the event as a receiver sees it: with sequence number, offset and time among its annotations. */
void hub_event_annotate(struct hub_buf *b, const struct hub_record *r);

#endif
