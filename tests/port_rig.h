/* A port of the kernel's choice that stays the test's own, whoever listens there and whoever does not. */
#ifndef TESTS_PORT_RIG_H
#define TESTS_PORT_RIG_H

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

/* A socket of IPv4 on loopback; *port 0: any. A listener needs SO_REUSEADDR as this one has it. */
static inline int port_bind(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, rc;
    rc = fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 ||
         getsockname(fd, (struct sockaddr *)&address, &len) < 0;
    assert(rc == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* As long as it is open, and nobody listens, connections are refused and the kernel gives the port to nobody else. */
static inline int port_reserve(uint16_t *port)
{
    *port = 0;
    return port_bind(port);
}

#endif
