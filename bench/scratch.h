/* What a run leaves behind: nothing. Directories of its own, and the signals that end it early but in order. */
#ifndef BENCH_SCRATCH_H
#define BENCH_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

#define SCRATCH_PATH_BYTES 96u /* the doorbell's socket lies below and has room for 107 */

/* Makes a directory of this run's own in `parent`. 0 or -errno with *path empty. */
int scratch_make(const char *parent, char path[SCRATCH_PATH_BYTES]);
/* True if files there lie on a disk: not tmpfs, not ramfs. */
bool scratch_is_disk(const char *dir);
/* Removes it with all that is in it. An empty path is fine. */
void scratch_remove(const char *path);

/* From now on INT, TERM and HUP only make scratch_interrupted() true, and a broken pipe is an error of write. */
void scratch_catch_signals(void);
bool scratch_interrupted(void);

#endif
