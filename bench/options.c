/* Numbers of the command line: decimal, with K, M or G for powers of 1024, and limits. */
#include "bench/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int shift_of(char suffix);

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
