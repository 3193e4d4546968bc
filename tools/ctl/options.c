/* What the command lines of the subcommands share. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *first_of(const char *given, const char *variable, const char *built_in);

const char *option_rings_dir(const char *given)
{
    return first_of(given, "EHRING_RINGS", "/dev/shm/ehring");
}

const char *option_letters_dir(const char *given)
{
    return first_of(given, "EHRING_DEAD_LETTERS", "/var/lib/ehring/dead-letters");
}

static const char *first_of(const char *given, const char *variable, const char *built_in)
{
    const char *value = given ? given : getenv(variable);

    return value && value[0] ? value : built_in;
}

bool option_number(const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
    static const char suffixes[] = "KMG";
    char *end;

    errno = 0;
    *number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || errno != 0)
        return false;
    const char *suffix = *end ? strchr(suffixes, *end) : NULL;
    if (*end && (!suffix || end[1]))
        return false;
    for (const char *at = suffixes; suffix && at <= suffix; at++) {
        if (*number > max / 1024)
            return false;
        *number *= 1024;
    }
    return *number >= min && *number <= max;
}

bool option_duration(const char *text, int64_t *ns)
{
    static const struct {
        const char *suffix;
        int64_t seconds;
    } units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    char *end;

    errno = 0;
    long long count = strtoll(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || errno != 0)
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i].suffix) != 0)
            continue;
        if (count > INT64_MAX / OPTION_NS_PER_SECOND / units[i].seconds)
            return false;
        *ns = count * units[i].seconds * OPTION_NS_PER_SECOND;
        return true;
    }
    return false;
}

bool option_time(const char *text, int64_t now_ns, int64_t *wall_ns)
{
    int64_t ago_ns;

    if (!option_duration(text, &ago_ns))
        return option_rfc3339(text, wall_ns);
    *wall_ns = now_ns - ago_ns;
    return true;
}

bool option_rfc3339(const char *text, int64_t *wall_ns)
{
    struct tm utc = {0};
    int64_t ns = 0, unit = OPTION_NS_PER_SECOND / 10;
    const char *end = strptime(text, "%Y-%m-%d", &utc);

    if (end && *end == 'T')
        end = strptime(end, "T%H:%M:%S", &utc);
    if (!end)
        return false;
    if (*end == '.') {
        for (end++; *end >= '0' && *end <= '9'; end++, unit /= 10)
            ns += (*end - '0') * unit;
        if (end[-1] == '.')
            return false;
    }
    bool is_date = end - text == (ptrdiff_t)strlen("2026-11-26");
    if (strcmp(end, is_date ? "" : "Z") != 0)
        return false;
    time_t seconds = timegm(&utc);
    if (seconds < 0) { /* towards zero, or the earliest second would not be representable */
        seconds++;
        ns -= OPTION_NS_PER_SECOND;
    }
    return !__builtin_mul_overflow((int64_t)seconds, OPTION_NS_PER_SECOND, wall_ns) && !__builtin_add_overflow(*wall_ns, ns, wall_ns);
}

bool option_is_name(const char *text)
{
    return text[0] && text[0] != '.' && !strchr(text, '/') && strlen(text) < 64;
}

int64_t option_wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * OPTION_NS_PER_SECOND + now.tv_nsec;
}

int option_wrong(const char *format, ...)
{
    va_list args;

    fputs("ehring-ctl: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs(" (see --help)\n", stderr);
    return 2;
}

int option_rest(int argc, char **argv)
{
    return optind == argc ? 0 : option_wrong("what is %s for?", argv[optind]);
}
