/* Reads the file into which ehring-hub appends all it stored. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char store_magic[8] = {'E', 'H', 'R', 'H', 'U', 'B', '0', '1'};

enum { /* places in a record */
       HUB_LEN_OFF = 4,
       KEY_LEN_OFF = 6,
       PARTITION_OFF = 8,
       SEQ_OFF = 16,
       NAME_OFF = 40,
};

static uint64_t number_at(const uint8_t *at, unsigned width);

int demo_store_open(struct demo_store *store, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
    struct stat status;
    void *map;

    *store = (struct demo_store){0};
    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) < 0) {
        err = -errno;
        goto out;
    }
    if ((size_t)status.st_size < sizeof(store_magic)) {
        err = -EILSEQ;
        goto out;
    }
    map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
        err = -errno;
        goto out;
    }
    store->map = map;
    store->len = (size_t)status.st_size;
    store->at = sizeof(store_magic);
    if (memcmp(map, store_magic, sizeof(store_magic)) != 0) {
        demo_store_close(store);
        err = -EILSEQ;
    }
out:
    close(fd);
    return err;
}

int demo_store_next(struct demo_store *store, struct demo_stored *record)
{
    const uint8_t *head = store->map + store->at;
    size_t left = store->len - store->at, len;

    if (left < NAME_OFF)
        return 0;
    len = 4 + (size_t)number_at(head, 4);
    if (len > left)
        return 0;
    record->hub.len = (size_t)number_at(head + HUB_LEN_OFF, 2);
    record->key.len = (size_t)number_at(head + KEY_LEN_OFF, 2);
    if (len < NAME_OFF + record->hub.len + record->key.len)
        return -EILSEQ;
    record->partition = (uint32_t)number_at(head + PARTITION_OFF, 4);
    record->seq = (int64_t)number_at(head + SEQ_OFF, 8);
    record->hub.data = head + NAME_OFF;
    record->key.data = record->hub.data + record->hub.len;
    record->event.data = record->key.data + record->key.len;
    record->event.len = (size_t)(head + len - record->event.data);
    store->at += len;
    return 1;
}

void demo_store_close(struct demo_store *store)
{
    if (store->map)
        munmap((void *)store->map, store->len);
    *store = (struct demo_store){0};
}

static uint64_t number_at(const uint8_t *at, unsigned width)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < width; i++)
        number |= (uint64_t)at[i] << 8 * i;
    return number;
}
