/* The way through an HTTP proxy: CONNECT as a byte transformer for the first bytes of a connection, and which proxy the environment wants.
 * Does no I/O. One `struct proxy` per connection, used by one thread. */
#ifndef EHRING_PROXY_H
#define EHRING_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROXY_PORT_DEFAULT 1080 /* as curl has it */

struct proxy_address {
    char host[256]; /* a name, or an address without brackets */
    uint16_t port;
    char user[257]; /* empty: no authentication */
    char password[257];
};

/* ---- which proxy ---- */
/* [http://][user[:password]@]host[:port][/], user and password percent-encoded. 0; -EINVAL with a sentence in `why`, which never holds the
 * password; -EPROTONOSUPPORT for another scheme. Pure. */
int proxy_parse(const char *url, struct proxy_address *out, char *why, size_t why_len);

/* The variables, NULL or empty: not set. */
struct proxy_environment {
    const char *https_proxy, *https_proxy_upper, *all_proxy, *all_proxy_upper, *no_proxy, *no_proxy_upper;
};
/* Reads the process's variables; the texts stay the environment's. */
void proxy_environment_read(struct proxy_environment *environment);
/* The proxy for host and port as curl chooses it for an https address: https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY, the first that is
 * set; none if no_proxy (else NO_PROXY) names the host. http_proxy is for plain http and not looked at. 1: *out is it, 0: none, negative
 * errno: what is set is no proxy of ours, a sentence in `why`. Pure. */
int proxy_select(const struct proxy_environment *environment, const char *host, uint16_t port, struct proxy_address *out, char *why,
                 size_t why_len);
/* Whether a no_proxy list names the host: `*` alone; a domain, with or without a leading dot, and all below it; an address, or a network as
 * address/bits; each also with :port, then for that port only. Pure. */
bool proxy_is_bypassed(const char *no_proxy, const char *host, uint16_t port);

/* ---- CONNECT ---- */
struct proxy;
/* Strings are copied. 0, -ENOMEM, or -EINVAL: a name that cannot stand in a request. */
int proxy_open(const struct proxy_address *address, const char *host, uint16_t port, struct proxy **out);
void proxy_close(struct proxy *proxy); /* wipes the password; NULL is fine */
/* Bytes from the proxy: how many belong to its answer, the rest is the peer's behind it. Negative errno: refused, proxy_error says why. */
ssize_t proxy_input(struct proxy *proxy, const uint8_t *data, size_t len);
/* The proxy ended the connection before it was ready: notes that. */
void proxy_input_end(struct proxy *proxy);
/* Bytes for the proxy: count put into `to`, 0 if none. */
size_t proxy_output(struct proxy *proxy, uint8_t *to, size_t cap);
bool proxy_is_ready(const struct proxy *proxy);      /* what follows is the peer's */
const char *proxy_error(const struct proxy *proxy);  /* a sentence with a remedy; empty: none */
const char *proxy_answer(const struct proxy *proxy); /* "200 Connection established"; empty: none yet */

#endif
