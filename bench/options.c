/* Options of a subcommand: one table of fields with limits; numbers are decimal, with K, M or G for powers of 1024. */
#include "bench/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

#define FIELDS_MAX 64

static int set_field(const struct options_field *field, const char *text);
static int set_number(const struct options_field *field, const char *option, const char *text);
static int set_choice(const struct options_field *field, const char *option, const char *text);
static int set_real(const struct options_field *field, const char *option, const char *text);
static int shift_of(char suffix);

int options_read(int argc, char *argv[], const struct options_field fields[], const char *usage)
{
    struct option names[FIELDS_MAX + 1] = {0};
    int option, count = 0, err = 0;

    for (; fields[count].name && count < FIELDS_MAX; count++)
        names[count] =
            (struct option){fields[count].name, fields[count].kind == OPTIONS_HELP ? no_argument : required_argument, NULL, count};
    while (!err && (option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (option < 0 || option >= count)
            err = -EINVAL;
        else if (fields[option].kind == OPTIONS_HELP) {
            fputs(usage, stdout);
            return 0;
        } else
            err = set_field(&fields[option], optarg);
    }
    if (!err && optind == argc)
        return BENCH_GO_ON;
    fprintf(stderr, "ehring-bench %s --help lists the options\n", argv[0]);
    return 2;
}

int options_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end = NULL;
    unsigned long long number;
    int shift = 0;

    errno = 0;
    number = isdigit((unsigned char)*text) ? strtoull(text, &end, 10) : 0;
    if (end && *end && end[1] == 0) {
        shift = shift_of(*end);
        end += shift ? 1 : 0;
    }
    if (!end || *end || errno || number > UINT64_MAX >> shift || number << shift < min || number << shift > max) {
        fprintf(stderr, "ehring-bench: %s %s: must be a number from %llu to %llu\n", option, text, (unsigned long long)min,
                (unsigned long long)max);
        return -EINVAL;
    }
    *out = number << shift;
    return 0;
}

int options_choice(const char *option, const char *text, const char *const names[], uint32_t *out)
{
    for (uint32_t i = 0; names[i]; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = i;
            return 0;
        }
    fprintf(stderr, "ehring-bench: %s %s: must be one of", option, text);
    for (uint32_t i = 0; names[i]; i++)
        fprintf(stderr, "%s %s", i ? "," : "", names[i]);
    fputc('\n', stderr);
    return -EINVAL;
}

static int set_field(const struct options_field *field, const char *text)
{
    char option[40];

    snprintf(option, sizeof(option), "--%s", field->name);
    switch (field->kind) {
    case OPTIONS_NUMBER:
        return set_number(field, option, text);
    case OPTIONS_REAL:
        return set_real(field, option, text);
    case OPTIONS_CHOICE:
        return set_choice(field, option, text);
    case OPTIONS_TEXT:
        *field->text = text;
        return 0;
    case OPTIONS_HELP:
        return 0;
    }
    return -EINVAL;
}

static int set_number(const struct options_field *field, const char *option, const char *text)
{
    uint64_t number = 0;
    int err = options_number(option, text, field->min, field->max, &number);

    if (!err && field->to32)
        *field->to32 = (uint32_t)number;
    else if (!err)
        *field->to64 = number;
    return err;
}

static int set_choice(const struct options_field *field, const char *option, const char *text)
{
    uint32_t choice = 0;
    int err = options_choice(option, text, field->names, &choice);

    if (err)
        return err;
    if (field->to32)
        *field->to32 = choice;
    if (field->text)
        *field->text = field->names[choice];
    if (field->flag)
        field->flag[choice] = true;
    return 0;
}

static int set_real(const struct options_field *field, const char *option, const char *text)
{
    char *end = NULL;
    double value = strtod(text, &end);

    if (end == text || *end || !isfinite(value) || value <= 0) {
        fprintf(stderr, "ehring-bench: %s %s: must be a number above zero\n", option, text);
        return -EINVAL;
    }
    *field->real = value;
    return 0;
}

static int shift_of(char suffix)
{
    switch (suffix) {
    case 'K':
    case 'k':
        return 10;
    case 'M':
    case 'm':
        return 20;
    case 'G':
    case 'g':
        return 30;
    default:
        return 0;
    }
}
