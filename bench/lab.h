/* The ring's bench for one event size: everything that is compared stands side by side, and one slice of any row can be run at any time. */
#ifndef BENCH_LAB_H
#define BENCH_LAB_H

#include <stdint.h>

#include "bench/drain.h"
#include "bench/floor.h"
#include "bench/peer.h"
#include "bench/subject.h"

enum lab_kind { LAB_FLOOR, LAB_FLOOR_GUARDED, LAB_FLOOR_DRAINED, LAB_SEND, LAB_SEND_KEYED, LAB_SEND_DRAINED, LAB_PEER, LAB_PEER_DRAINED };
enum lab_place { /* a ring that fits into the L2 cache, one that does not, and as large as that: on a disk, without and with EHRING_SYNC */
                 LAB_NEAR,
                 LAB_FAR,
                 LAB_DISK,
                 LAB_DISK_SYNCED,
};
#define LAB_PLACES 4
enum lab_clock { LAB_CLOCK_WALL, LAB_CLOCK_THREAD };
#define LAB_CLOCKS 2
#define LAB_FLOORS 2 /* places that have a floor of their own */
#define LAB_PEERS 5

struct lab_row {
    const char *name;
    enum lab_kind kind;
    enum lab_place place;
    enum peer_kind peer;
    int floor;           /* row whose median is the floor */
    int limit_of;        /* row the target refers to, -1: no target */
    double limit_factor; /* 0: one for each size that has one */
};
extern const struct lab_row lab_rows[];
extern const uint32_t lab_row_count;

struct lab {
    const char *rings_dir;
    size_t len; /* payload */
    uint8_t *data;
    int64_t clock_ns[LAB_CLOCKS]; /* what two looks cost, taken off every burst */
    uint64_t capacity[LAB_PLACES];
    struct subject subject[LAB_PLACES];
    struct floor_buffer floor[LAB_FLOORS];
    struct peer peer[LAB_PEERS];
    int peer_err[LAB_PEERS];
    struct drain *drain; /* the caller's */
    char key_text[SUBJECT_KEY_COUNT][16];
    const char *key[SUBJECT_KEY_COUNT];
};

/* `near_bytes` is enlarged until an event of `len` bytes is no more than an eighth. `disk_dir` NULL: no disk here. 0, or a negative code
 * after a line on stderr. lab_close frees; NULL pointers and what was never opened are fine. */
int lab_open(struct lab *lab, const char *rings_dir, const char *disk_dir, size_t len, uint64_t near_bytes, uint64_t far_bytes,
             struct drain *drain);
void lab_close(struct lab *lab);

/* The row's target when the row it refers to has come to `of`; NAN: it has none, or none for events of this size. */
double lab_limit(const struct lab *lab, uint32_t row, double of);

/* Slices after which the larger ring has been written at least once all around. */
uint32_t lab_warmup_slices(const struct lab *lab);

/* Runs a slice of one row. 0 with the nanoseconds per event in *ns; -EOPNOTSUPP: this machine does not have it; another negative code:
 * failed. */
int lab_slice(struct lab *lab, uint32_t row, double *ns);

#endif
