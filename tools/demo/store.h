/* Reads the file into which ehring-hub appends all it stored, from the description in tools/hub/storefile.h; a reader of its own. */
#ifndef DEMO_STORE_H
#define DEMO_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "event.h"

struct demo_store {
    const uint8_t *map;
    size_t len, at;
};

struct demo_stored {
    struct demo_bytes hub, key, event;
    uint32_t partition;
    int64_t seq;
};

/* Maps the whole file. 0, or a negative errno; -EILSEQ: not such a file. The caller closes. */
int demo_store_open(struct demo_store *store, const char *path);
/* The next record, valid until close. 1; 0 at the end or where the end cuts a record; -EILSEQ: lengths that cannot be. */
int demo_store_next(struct demo_store *store, struct demo_stored *record);
void demo_store_close(struct demo_store *store);

#endif
