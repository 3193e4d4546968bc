/* The subcommands of ehring-bench: each gets its own argv (argv[0] is its name) and returns the exit status. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#define BENCH_GO_ON (-1) /* options are read, nothing to exit for */

int bench_ring(int argc, char *argv[]);
int bench_ship(int argc, char *argv[]);
int bench_scale(int argc, char *argv[]);
int bench_report(int argc, char *argv[]);
int bench_compare(int argc, char *argv[]);

#endif
