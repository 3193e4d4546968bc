/* The append-only file of everything a hub stored. */
#include "storefile.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = {'E', 'H', 'R', 'H', 'U', 'B', '0', '1'};

enum { READ_BYTES = 1 << 20, RECORD_MAX = 1 << 28 };

struct head {
    uint32_t len;
    uint16_t hub_len, key_len;
    uint32_t partition, zero;
    int64_t seq, time_ms;
    uint64_t offset;
} __attribute__((packed));

static_assert(sizeof(struct head) == 40, "the head of a record is 40 bytes");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are written as they lie in memory");

static int whole_len(const char *path, uint64_t *len);
static int begins_magic(const char *path, size_t len);
static int write_all(int fd, const uint8_t *bytes, size_t len);
static int fill(struct hub_storereader *r, size_t len);

int hub_storefile_open(struct hub_storefile *f, const char *path)
{
    uint64_t len = 0;
    int rc;

    *f = (struct hub_storefile){.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
    if (f->fd < 0)
        return -errno;
    rc = whole_len(path, &len);
    if (rc < 0)
        goto out;
    if (ftruncate(f->fd, (off_t)len) < 0 || lseek(f->fd, (off_t)len, SEEK_SET) < 0) {
        rc = -errno;
        goto out;
    }
    rc = len == 0 ? write_all(f->fd, (const uint8_t *)magic, sizeof(magic)) : 0;
out:
    if (rc < 0) {
        close(f->fd);
        f->fd = -1;
    }
    return rc;
}

void hub_storefile_put(struct hub_storefile *f, const char *hub, uint32_t partition, const struct hub_record *r)
{
    size_t hub_len = strlen(hub), len = sizeof(struct head) + hub_len + r->key_len + r->event_len;
    struct head head = {.len = (uint32_t)(len - 4),
                        .hub_len = (uint16_t)hub_len,
                        .key_len = (uint16_t)r->key_len,
                        .partition = partition,
                        .seq = r->seq,
                        .time_ms = r->time_ms,
                        .offset = r->offset};

    hub_buf_room(&f->pending, len);
    hub_buf_put(&f->pending, &head, sizeof(head));
    hub_buf_put(&f->pending, hub, hub_len);
    hub_buf_put(&f->pending, r->key, r->key_len);
    hub_buf_put(&f->pending, r->event, r->event_len);
}

int hub_storefile_flush(struct hub_storefile *f)
{
    int rc = write_all(f->fd, f->pending.data, f->pending.len);

    f->pending.len = 0;
    return rc;
}

int hub_storefile_close(struct hub_storefile *f)
{
    int rc = hub_storefile_flush(f);

    if (close(f->fd) < 0 && rc == 0)
        rc = -errno;
    hub_buf_free(&f->pending);
    f->fd = -1;
    return rc;
}

int hub_storereader_open(struct hub_storereader *r, const char *path)
{
    *r = (struct hub_storereader){.fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (r->fd < 0)
        return -errno;
    int rc = fill(r, sizeof(magic));
    if (rc == 1 && memcmp(r->in.data, magic, sizeof(magic)) == 0) {
        hub_buf_take(&r->in, sizeof(magic));
        r->whole_len = sizeof(magic);
        return 0;
    }
    hub_storereader_close(r);
    return rc < 0 ? rc : -EILSEQ;
}

int hub_storereader_next(struct hub_storereader *r, struct hub_storerecord *record)
{
    struct head head;
    int rc = fill(r, sizeof(head));

    if (rc <= 0)
        return rc;
    memcpy(&head, r->in.data + r->in.head, sizeof(head));
    if (head.len > RECORD_MAX || head.len < sizeof(head) - 4)
        return -EILSEQ;
    size_t texts = (size_t)head.hub_len + head.key_len, body = head.len + 4 - sizeof(head);
    if (head.hub_len >= sizeof(record->hub) || texts > body)
        return -EILSEQ;
    rc = fill(r, head.len + 4);
    if (rc <= 0)
        return rc;
    const uint8_t *at = r->in.data + r->in.head + sizeof(head);
    memcpy(record->hub, at, head.hub_len);
    record->hub[head.hub_len] = 0;
    record->partition = head.partition;
    record->record = (struct hub_record){.seq = head.seq,
                                         .time_ms = head.time_ms,
                                         .offset = head.offset,
                                         .key = at + head.hub_len,
                                         .key_len = head.key_len,
                                         .event = at + texts,
                                         .event_len = (uint32_t)(body - texts)};
    hub_buf_take(&r->in, head.len + 4);
    r->whole_len += head.len + 4;
    return 1;
}

void hub_storereader_close(struct hub_storereader *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    hub_buf_free(&r->in);
}

/* Length up to the end of the last whole record; 0 for a file that is empty or was not begun whole. */
static int whole_len(const char *path, uint64_t *len)
{
    struct hub_storereader r;
    struct hub_storerecord record;
    struct stat st;
    int rc;

    if (stat(path, &st) < 0)
        return -errno;
    if ((size_t)st.st_size < sizeof(magic))
        return begins_magic(path, (size_t)st.st_size);
    rc = hub_storereader_open(&r, path);
    if (rc < 0)
        return rc;
    while ((rc = hub_storereader_next(&r, &record)) > 0)
        ;
    *len = r.whole_len;
    hub_storereader_close(&r);
    return rc;
}

/* Whoever was killed while making the file wrote a part of the magic at most; anything else is somebody's. */
static int begins_magic(const char *path, size_t len)
{
    char start[sizeof(magic)];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, start, len);
    int rc = n < 0 ? -errno : (size_t)n == len && memcmp(start, magic, len) == 0 ? 0 : -EILSEQ;
    close(fd);
    return rc;
}

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Has at least `len` bytes ready: 1, 0 at the end of the file, or a negative errno. */
static int fill(struct hub_storereader *r, size_t len)
{
    while (hub_buf_used(&r->in) < len) {
        size_t more = len > READ_BYTES ? len : READ_BYTES;
        hub_buf_pack(&r->in);
        ssize_t n = read(r->fd, hub_buf_room(&r->in, more), more);
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        r->in.len += (size_t)n;
    }
    return 1;
}
