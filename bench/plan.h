/* What a report measures: one table of commands, how often and how long in each profile. */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include <stdint.h>

#define PLAN_ARGS_MAX 64

enum plan_profile { PLAN_SMOKE, PLAN_SHORT, PLAN_FULL }; /* each has the steps of the one before, and more */
extern const char *const plan_profile_names[];

struct plan_step {
    enum plan_profile from; /* the smallest profile that has it */
    const char *group;      /* NULL: as the command names its rows */
    double x;               /* NAN: as the command says */
    const char *x_unit;
    const char *arguments; /* of ehring-bench, with one space between them; $slices and the like stand for the profile's numbers */
};
extern const struct plan_step plan_steps[];
extern const uint32_t plan_step_count;

/* A figure over another one of the report, with a target: what is asked for as a ratio. */
struct plan_ratio {
    const char *name;
    const char *group[2];
    const char *row[2];
    double x[2];
    double target; /* at most */
};
extern const struct plan_ratio plan_ratios[];
extern const uint32_t plan_ratio_count;

uint32_t plan_rounds(enum plan_profile profile);

struct plan_command { /* argv[0] is left to the caller */
    char text[1024];
    char *argv[PLAN_ARGS_MAX + 1];
    int argc;
};
/* Fills in the profile's numbers. 0, or -E2BIG: the step has more arguments than there is room. */
int plan_command(const struct plan_step *step, enum plan_profile profile, struct plan_command *command);

#endif
