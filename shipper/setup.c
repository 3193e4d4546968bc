/* What is in force for a stream: its section of the configuration, the trust and the audience that follow from it. */
#include "shipper/setup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ringbuf/ring_order.h"

int setup_make(const struct config_stream *config, const struct setup *before, enum config_effect effect, struct setup **out, char *why,
               size_t why_len)
{
    *out = NULL;
    struct setup *setup = calloc(1, sizeof *setup);
    if (!setup) {
        snprintf(why, why_len, "stream %s: out of memory", config->name);
        return -ENOMEM;
    }
    setup->config = *config;
    order_count_add(&setup->users, 1);
    snprintf(setup->audience, sizeof setup->audience, "sb://%s/%s", config->door.connstr.host, config->door.hub);
    setup->hub_number = before ? before->hub_number + (effect >= CONFIG_NEW_HUB) : 0;
    int rc = 0;
    if (before && effect == CONFIG_AT_USE)
        rc = tls_context_share(before->tls, &setup->tls);
    else if (!config->door.plain)
        rc = tls_context_open(&(struct tls_options){.ca_file = config->door.ca_file,
                                                    .ca_dir = config->door.ca_dir,
                                                    .certificate = config->door.tls_certificate,
                                                    .key = config->door.tls_key,
                                                    .key_password = config->door.tls_key_password},
                              &setup->tls, why, why_len);
    if (rc < 0) {
        setup_give(setup);
        return rc;
    }
    *out = setup;
    return 0;
}

struct setup *setup_take(struct setup *setup)
{
    order_count_add(&setup->users, 1);
    return setup;
}

void setup_give(struct setup *setup)
{
    if (!setup || order_count_add(&setup->users, -1) > 0)
        return;
    tls_context_close(setup->tls);
    explicit_bzero(&setup->config, sizeof setup->config);
    free(setup);
}
