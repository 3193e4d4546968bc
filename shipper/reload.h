/* A configuration that is read again while the shipper runs: refused as a whole, or applied as a difference. Main thread. */
#ifndef EHRING_RELOAD_H
#define EHRING_RELOAD_H

#include "shipper/config.h"
#include "shipper/deadletter.h"
#include "shipper/roster.h"

/* Reads the file of `config` again. If it is in order, what differs is applied, *config is the new one and the old one is freed; values
 * that cannot change while running are carried over. Else each error is logged and nothing has changed. 0, or a negative errno: refused. */
int reload_config(struct config **config, struct roster *roster, struct deadletter *deadletter);

#endif
