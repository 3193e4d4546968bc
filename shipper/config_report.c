/* What is wrong with a configuration, one line for each fault, with its place. */
#include "config_internal.h"

#include <ctype.h>
#include <stdarg.h>

static void report_write(struct config_report *report, unsigned line, const char *key, const char *mark, const char *format,
                         va_list arguments);

void config_complain(struct config_report *report, unsigned line, const char *key, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    report_write(report, line, key, "", format, arguments);
    va_end(arguments);
    report->error_count++;
}

void config_warn(struct config_report *report, unsigned line, const char *key, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    report_write(report, line, key, "warning: ", format, arguments);
    va_end(arguments);
}

static void report_write(struct config_report *report, unsigned line, const char *key, const char *mark, const char *format,
                         va_list arguments)
{
    char text[1536];
    vsnprintf(text, sizeof text, format, arguments);
    for (char *at = text; *at != '\0'; at++)
        if (iscntrl((unsigned char)*at)) /* a path from the file may hold anything */
            *at = '?';
    if (report->path != NULL)
        fprintf(report->to, "%s:%u: ", report->path, line);
    fprintf(report->to, "%s%s%s%s\n", key != NULL ? key : "", key != NULL ? ": " : "", mark, text);
}
