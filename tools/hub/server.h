/* The event loop: listens, accepts, and turns all connections over in one thread. */
#ifndef HUB_SERVER_H
#define HUB_SERVER_H

#include "engine.h"

#include <signal.h>

struct hub_server;

/* Makes a loop that listens nowhere yet; broker and limits must outlive it. NULL: a message went to stderr. */
struct hub_server *hub_server_open(struct hub_broker *b, const struct hub_limits *limits);

/* Listens on one port of some addresses for connections that come in this way (NULL: plain). Port 0: the kernel chooses; stores the one in
 * use. 0 or a negative errno: it listens on none of them. */
int hub_server_listen(struct hub_server *s, const char *const *addresses, unsigned count, uint16_t *port, const struct hub_way *way);

/* Opens the admin port. Port 0: the kernel chooses; stores the one in use. 0 or a negative errno. */
int hub_server_admin(struct hub_server *s, const char *address, uint16_t *port);

/* Waits for something to do and does it. `wait_mask` lets signals in while it waits. 0, or a negative errno: it cannot go on. */
int hub_server_turn(struct hub_server *s, const sigset_t *wait_mask);

/* Closes everything. Takes NULL. */
void hub_server_close(struct hub_server *s);

#endif
