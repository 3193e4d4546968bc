/* The state directory: certificate, key and connection strings that others pick up. */
#ifndef HUB_STATE_H
#define HUB_STATE_H

#include "cert.h"
#include "options.h"
#include "sas.h"

#include <stdbool.h>

struct hub_state {
    char dir[3800];
    bool is_temporary;
    struct hub_cert_files cert, bad_cert;                        /* the bad one is presented with --cert-fault */
    char connection_string[4096], connection_string_plain[4096]; /* names of the files */
};

/* Finds or makes the directory, the keys (added to `policies`: primary, secondary, the one that may only listen) and the certificates. 0 or
 * a negative errno; a message went to stderr. */
int hub_state_open(struct hub_state *s, const struct hub_options *o, struct hub_policies *policies);

/* Writes the connection strings for the ports in use (0: not listening). 0 or a negative errno. */
int hub_state_write_strings(const struct hub_state *s, const struct hub_options *o, const struct hub_policies *policies, uint16_t amqp,
                            uint16_t amqps);

/* The certificate to present, and its key. */
void hub_state_certificate(const struct hub_state *s, const struct hub_options *o, const char **cert, const char **key);

/* Writes text into a file of mode 0600 that appears whole. 0 or a negative errno. */
int hub_state_write_file(const char *path, const char *text);

/* Removes a directory that was made for this run only. */
void hub_state_close(const struct hub_state *s);

#endif
