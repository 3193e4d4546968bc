/* What is in force for a stream: its section of the configuration, the trust and the audience that follow from it. */
#include "shipper/setup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ringbuf/ring_order.h"
#include "shipper/log.h"

static void warn(const struct config_stream *config, const char *why);

int setup_make(const struct config_stream *config, const struct setup *before, enum config_effect effect, struct setup **out, char *why,
               size_t why_len)
{
    *out = NULL;
    why[0] = '\0';
    struct setup *setup = calloc(1, sizeof *setup);
    if (!setup) {
        snprintf(why, why_len, "stream %s: out of memory", config->name);
        return -ENOMEM;
    }
    setup->config = *config;
    order_count_add(&setup->users, 1);
    snprintf(setup->audience, sizeof setup->audience, "sb://%s/%s", config->door.connstr.host, config->door.hub);
    setup->hub_number = before ? before->hub_number + (effect >= CONFIG_NEW_HUB) : 0;
    if (before && effect == CONFIG_AT_USE)
        order_flag_set(&setup->key, order_flag_get(&before->key));
    int rc = 0;
    if (before && effect == CONFIG_AT_USE)
        rc = transport_way_share(&before->way, &setup->way);
    else
        rc = transport_way_open(&config->door, &setup->way, why, why_len);
    if (rc < 0) {
        char reason[1200];
        snprintf(reason, sizeof reason, "%s", why);
        snprintf(why, why_len, "stream %s: %s", config->name, reason);
        setup_give(setup);
        return rc;
    }
    if (why[0] != '\0')
        warn(config, why);
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
    transport_way_close(&setup->way);
    explicit_bzero(&setup->config, sizeof setup->config);
    free(setup);
}

static void warn(const struct config_stream *config, const char *why)
{
    char quoted[1200];
    log_line(LOG_WARN, "config", "a file should be looked at", "stream=%s reason=%s", config->name, log_quote(quoted, sizeof quoted, why));
}
