/* The network loop on io_uring. */
#include <errno.h>
#include <stdio.h>

#include "shipper/net_internal.h"

int net_uring_open(struct net *net, char *why, size_t why_len)
{
    (void)net;
    snprintf(why, why_len, "io_uring is not built in");
    return -ENOSYS;
}
void net_uring_close(struct net *net)
{
    (void)net;
}
int net_uring_connect(struct net *net, struct net_handle *handle, int64_t timeout_ns)
{
    (void)net, (void)handle, (void)timeout_ns;
    return -ENOSYS;
}
int net_uring_watch(struct net *net, struct net_handle *handle)
{
    (void)net, (void)handle;
    return -ENOSYS;
}
void net_uring_end(struct net *net, struct net_handle *handle)
{
    (void)net, (void)handle;
}
int net_uring_wait(struct net *net, int64_t until_ns, struct net_gather *told)
{
    (void)net, (void)until_ns, (void)told;
    return -ENOSYS;
}
