/* The check's lines and its exit status. */
#include "check_internal.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#define TEXT_BYTES 2048

static void line_write(struct check *check, const char *verdict, const char *item, const char *remedy, const char *format, va_list args)
    __attribute__((format(printf, 5, 0)));
static void text_clean(char *text);

int check_connect(const struct config *config, FILE *to)
{
    struct check check = {.to = to, .scope = "machine"};
    check_machine(&check, config);
    for (uint32_t i = 0; i < config->stream_count; i++) {
        check.scope = config->stream[i].name;
        check_stream_dir(&check, config, &config->stream[i]);
        check_peer(&check, &config->stream[i]);
    }
    fprintf(to, "%u ok, %u warnings, %u failed\n", check.ok_count, check.warn_count, check.fail_count);
    return (int)check.status;
}

void check_ok(struct check *check, const char *item, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line_write(check, "ok", item, NULL, format, args);
    va_end(args);
    check->ok_count++;
}

void check_warn(struct check *check, const char *item, const char *remedy, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line_write(check, "warn", item, remedy, format, args);
    va_end(args);
    check->warn_count++;
}

void check_fail(struct check *check, enum check_status status, const char *item, const char *remedy, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line_write(check, "fail", item, remedy, format, args);
    va_end(args);
    check->fail_count++;
    if (check->status == CHECK_PASSED)
        check->status = status;
}

/* At once: the next item may take its time. */
static void line_write(struct check *check, const char *verdict, const char *item, const char *remedy, const char *format, va_list args)
{
    char text[TEXT_BYTES];
    vsnprintf(text, sizeof text, format, args);
    text_clean(text);
    fprintf(check->to, "%-4s  %-12s  %-12s  %s%s%s\n", verdict, check->scope, item, text, remedy ? " -> " : "", remedy ? remedy : "");
    fflush(check->to);
}

static void text_clean(char *text)
{
    for (; *text != '\0'; text++)
        if (iscntrl((unsigned char)*text))
            *text = '?';
}
