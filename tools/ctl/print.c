/* What a person reads. */
#include "print.h"

#include <inttypes.h>
#include <time.h>

#include "options.h"

void print_safe(FILE *to, const char *bytes, size_t len, size_t max, enum print_bytes kind)
{
    size_t shown = len < max ? len : max;

    while (kind == PRINT_UTF8 && shown < len && shown > 0 && ((uint8_t)bytes[shown] & 0xc0) == 0x80)
        shown--;
    for (size_t i = 0; i < shown; i++) {
        uint8_t byte = (uint8_t)bytes[i];
        if (byte == 0xc2 && i + 1 < shown && (uint8_t)bytes[i + 1] < 0xa0 && kind == PRINT_UTF8) /* C1 controls */
            fprintf(to, "\\x%02x\\x%02x", byte, (uint8_t)bytes[i + 1]), i++;
        else if (byte < ' ' || byte == 0x7f || (byte > 0x7f && kind == PRINT_BINARY))
            fprintf(to, "\\x%02x", byte);
        else
            putc(byte, to);
    }
    if (shown < len)
        fputs("...", to);
}

const char *print_time(int64_t wall_ns, char text[PRINT_TIME_BYTES])
{
    int64_t left_ns = wall_ns % OPTION_NS_PER_SECOND;
    time_t seconds = (time_t)(wall_ns / OPTION_NS_PER_SECOND);
    struct tm utc;

    if (left_ns < 0) {
        left_ns += OPTION_NS_PER_SECOND;
        seconds--;
    }
    gmtime_r(&seconds, &utc);
    size_t len = strftime(text, PRINT_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + len, PRINT_TIME_BYTES - len, ".%09dZ", (int)left_ns);
    return text;
}

const char *print_size(uint64_t bytes, char text[PRINT_SIZE_BYTES])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = (double)bytes;
    int unit = 0;

    while (value >= 1024 && unit < 5) {
        value /= 1024;
        unit++;
    }
    snprintf(text, PRINT_SIZE_BYTES, value == (double)(uint64_t)value ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}
