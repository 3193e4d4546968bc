/* What a run has measured: rows with a figure, the noise it states itself, and what they belong to; kept as JSON between runs. */
#ifndef BENCH_RESULT_H
#define BENCH_RESULT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench/measure.h"

#define RESULT_TEXT_BYTES 80u

enum result_sense {
    RESULT_LOWER_IS_BETTER,
    RESULT_HIGHER_IS_BETTER,
    RESULT_ONLY_SAID, /* context, or what repeats badly by its nature, as a maximum: never compared */
};

struct result_row {
    char group[RESULT_TEXT_BYTES]; /* one table, one picture */
    char name[RESULT_TEXT_BYTES];  /* group, name and x are a row's identity */
    double x;                      /* what is varied within the group; NAN: nothing */
    char x_unit[RESULT_TEXT_BYTES];
    char unit[RESULT_TEXT_BYTES];
    double median;
    double min; /* smallest and largest sample */
    double max;
    double noise;      /* so far the median of another run of the same build may be away; NAN: not known from this run alone */
    double best_noise; /* the same of the best sample, where that is the steadier figure: of what one thread does alone, others only make
                          samples worse. NAN: it is not, as where two threads may be lucky not to meet */
    uint32_t samples;
    enum result_sense sense;
    char floor[RESULT_TEXT_BYTES]; /* name of the row of the same group and x that moves with the machine; empty: none */
    double target;                 /* NAN: none */
    uint32_t command;              /* index of the command that measured it */
};

struct result; /* rows, commands, notes, machine and versions */

/* NULL without memory. result_close frees; NULL is fine. */
struct result *result_open(void);
void result_close(struct result *result);

/* Rows that follow belong to this command. 0 or -ENOMEM. */
int result_begin_command(struct result *result, int argc, char *const argv[]);
int result_begin_command_text(struct result *result, const char *text);
/* Something a reader must know, as that a peer is absent; each text once. 0 or -ENOMEM. */
int result_add_note(struct result *result, const char *text);
/* Copies the row; its `command` is filled in. 0 or -ENOMEM. */
int result_add_row(struct result *result, const struct result_row *row);

/* min, or max where higher is better. */
double result_best(const struct result_row *row);

/* A row without x, floor and target, its figures from the series; texts too long are cut. */
struct result_row result_row_of(const char *group, const char *name, const char *unit, enum result_sense sense,
                                const struct measure_series *series);
/* The same of one value that nothing is known about. */
struct result_row result_row_of_value(const char *group, const char *name, const char *unit, enum result_sense sense, double value);

uint32_t result_row_count(const struct result *result);
struct result_row *result_row(struct result *result, uint32_t index); /* valid until a row is added */
/* Same group, name and x; NULL: none. */
struct result_row *result_find(struct result *result, const char *group, const char *name, double x);
/* Of the row that `row` names as its floor; NULL: none. */
struct result_row *result_floor(struct result *result, const struct result_row *row);
const char *result_command(const struct result *result, uint32_t index); /* empty if there is none */
const cJSON *result_machine(const struct result *result);
const cJSON *result_versions(const struct result *result);
const cJSON *result_notes(const struct result *result);

/* Writes machine, versions, time, commands, notes and rows. 0 or -errno after a line on stderr. */
int result_write(const struct result *result, const char *path);
/* Reads such a file; what is missing or of another kind is refused. 0 or -errno after a line on stderr; result_close frees. */
int result_read(const char *path, struct result **out);

#endif
