/* The admin port: health, counters and faults over HTTP, served from the event loop's one thread. */
#ifndef HUB_ADMIN_H
#define HUB_ADMIN_H

#include "broker.h"

struct hub_admin;

/* Listens on an address. Port 0: the kernel chooses; stores the one in use. 0 or a negative errno. */
int hub_admin_open(struct hub_admin **admin, struct hub_broker *b, const char *address, uint16_t *port);

/* What the event loop has to watch for input. */
int hub_admin_fd(const struct hub_admin *a);

/* Serves what has come; never waits. */
void hub_admin_turn(struct hub_admin *a);

/* In how many ms it has to be turned even without input; -1: never. */
int hub_admin_wait_ms(struct hub_admin *a);

/* Takes NULL. */
void hub_admin_close(struct hub_admin *a);

#endif
