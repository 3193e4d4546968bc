/* One producer of the demo. */
#ifndef DEMO_FEED_H
#define DEMO_FEED_H

#include "lines.h"
#include "options.h"

/* Sends options->event_count events and waits until they are accepted. Exit status: 0, or 1 after a message on stderr. */
int demo_feed(const struct demo_options *options, const struct demo_lines *lines);

#endif
