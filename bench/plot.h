/* Pictures of a result: one SVG for each group and unit in which something is varied, drawn by gnuplot. */
#ifndef BENCH_PLOT_H
#define BENCH_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "bench/result.h"

#define PLOT_NAME_BYTES 128u

/* The file's name without directory: of letters, digits and dashes. */
void plot_name(const char *group, const char *unit, char name[PLOT_NAME_BYTES]);

/* Writes the script beside the picture, in `dir`, and runs gnuplot, its complaints appended to `log_path`. 0; -ENODATA: there are not two
 * values of x, or all is only said; -ENOENT: no gnuplot; another negative code. */
int plot_group(struct result *result, const char *group, const char *unit, const char *dir, const char *log_path);

/* Runs gnuplot on a script in `dir`. 0, -ENOENT: no gnuplot, -EIO: it refused. */
int plot_run(const char *dir, const char *script_name, const char *log_path);

#endif
