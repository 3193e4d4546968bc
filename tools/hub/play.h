/* Carries out a fault, wherever it came from: at once on the open connections, or by putting it among those that stand. */
#ifndef HUB_PLAY_H
#define HUB_PLAY_H

#include "broker.h"

/* Plays a fault that was read, and owns it. 0, or -ENOSPC with the reason in `why`. */
int hub_play(struct hub_broker *b, struct hub_fault *fault, char why[HUB_WHY_MAX]);

/* Reads one fault and plays it. 0, or a negative errno with the reason in `why`. */
int hub_play_text(struct hub_broker *b, const char *text, char why[HUB_WHY_MAX]);

/* Reads and plays a fault from each line that is not empty and no comment; none if one is bad. The number of faults, or a negative errno
 * with line and reason in `why`. */
int hub_play_lines(struct hub_broker *b, const char *lines, char why[HUB_WHY_MAX]);

#endif
