/* libehring: a thousand events into a ring, from where ehring-shipper delivers them.
 *
 *   cc ring.c $(pkg-config --cflags --libs ehring) -o ring && ./ring orders */
#include <ehring.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct ehring *ring;
    char body[64];
    uint64_t left = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: %s STREAM\n", argv[0]);
        return 2;
    }
    if (ehring_open(&(struct ehring_options){.stream = argv[1]}, &ring) != 0) {
        fprintf(stderr, "%s\n", ehring_open_error());
        return 1;
    }
    for (int i = 1; i <= 1000; i++) {
        int len = snprintf(body, sizeof body, "{\"order\":%d}", i);
        int err = ehring_send(ring, body, (size_t)len, i % 2 ? "customer-1" : "customer-2"); /* committed when it is 0 */
        if (err != 0) {
            fprintf(stderr, "order %d: %s\n", i, strerror(-err));
            break;
        }
    }
    int err = ehring_flush(ring, 10000, &left); /* all is accepted, or the time was up */
    printf(err == 0 ? "all accepted\n" : "%llu bytes are still in the ring, safe\n", (unsigned long long)left);
    ehring_close(ring);
    return err != 0;
}
