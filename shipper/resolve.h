/* Names to addresses on a thread of its own, so that no worker ever blocks in a resolver. */
#ifndef EHRING_RESOLVE_H
#define EHRING_RESOLVE_H

#include <netdb.h>
#include <stdint.h>
#include <sys/socket.h>

#define RESOLVE_ADDRESSES_MAX 16

struct resolver;
int resolver_open(struct resolver **out);
void resolver_close(struct resolver *resolver); /* waits for the query under way */

enum resolve_state { RESOLVE_IDLE, RESOLVE_BUSY, RESOLVE_DONE, RESOLVE_FAILED };

/* One query slot, owned by the asker; must stay where it is while BUSY. */
struct resolve_query {
    char host[256];
    uint16_t port;
    int notify_fd;          /* eventfd of the asker, written when the state changes */
    _Atomic uint32_t state; /* enum resolve_state; read through resolve_state() */
    int count;
    struct sockaddr_storage address[RESOLVE_ADDRESSES_MAX]; /* in the order to be tried */
    socklen_t address_len[RESOLVE_ADDRESSES_MAX];
    char error[160];
    struct resolve_query *next; /* the resolver's */
};
/* Queues the query (state BUSY). Any thread. */
void resolve_begin(struct resolver *resolver, struct resolve_query *query);
enum resolve_state resolve_state(const struct resolve_query *query);

/* Takes the internet addresses of a list into the query, in the list's order within a family, the families by turns. Their count. Pure. */
int resolve_take_addresses(struct resolve_query *query, const struct addrinfo *list);

#endif
