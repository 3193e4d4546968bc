/* libehring-direct: one event, one with a key and properties, and a batch, each with its outcome known before the next line runs.
 *
 *   cc direct.c $(pkg-config --cflags --libs ehring-direct) -o direct
 *   EHRING_CONNECTION_STRING=$(cat orders.connection) ./direct orders
 *   ./direct orders namespace=contoso credential=default transport=websocket proxy=auto
 *
 * What follows the hub are settings, as in ehring-direct(3): any way in that the shipper has. */
#include <ehring_direct.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int told(struct ehring_direct *direct, const char *what, int outcome)
{
    if (outcome == EHRING_DIRECT_ACCEPTED)
        printf("%s: accepted\n", what);
    else
        fprintf(stderr, "%s: %s%s\n", what, outcome == EHRING_DIRECT_UNKNOWN ? "may be stored: " : "", ehring_direct_error(direct));
    return outcome;
}

static int send_three(struct ehring_direct *direct)
{
    const struct ehring_direct_event plain = {.data = "hello", .len = 5};
    if (told(direct, "an event", ehring_direct_send(direct, &plain, NULL, NULL, 10000)) != 0)
        return 1;

    const struct ehring_direct_property properties[] = {
        {.name = "unit", .type = EHRING_DIRECT_TEXT, .value.text = "°C"},
        {.name = "sequence", .type = EHRING_DIRECT_INT, .value.i64 = 7},
        {.name = "calibrated", .type = EHRING_DIRECT_BOOL, .value.yes = true},
    };
    const struct ehring_direct_event measured = {.data = "{\"celsius\":21.5}",
                                                 .len = 16,
                                                 .content_type = "application/json",
                                                 .message_id = "m-1",
                                                 .properties = properties,
                                                 .property_count = 3};
    if (told(direct, "an event with a key", ehring_direct_send(direct, &measured, "sensor-7", NULL, 10000)) != 0)
        return 1;

    struct ehring_direct_event batch[3];
    static const char *const bodies[] = {"first", "second", "third"};
    memset(batch, 0, sizeof batch);
    for (int i = 0; i < 3; i++)
        batch[i].data = bodies[i], batch[i].len = strlen(bodies[i]);
    return told(direct, "a batch of 3", ehring_direct_send_batch(direct, batch, 3, "sensor-7", NULL, 10000)) != 0;
}

int main(int argc, char **argv)
{
    char error[EHRING_DIRECT_ERROR_BYTES];
    struct ehring_direct *direct;

    if (argc < 2) {
        fprintf(stderr, "usage: %s HUB [NAME=VALUE]...\n", argv[0]);
        return 2;
    }
    const struct ehring_direct_options options = {.hub = argv[1], .settings = (const char *const *)argv + 2};
    if (ehring_direct_open(getenv("EHRING_CONNECTION_STRING"), &options, &direct, error, sizeof error) != 0) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    int status = send_three(direct);
    ehring_direct_close(direct);
    return status;
}
