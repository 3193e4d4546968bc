/* The log: logfmt lines on stderr, levels by area, repeated lines collapsed. Thread-safe. Never payloads, never secrets. */
#ifndef EHRING_LOG_H
#define EHRING_LOG_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC diagnostic ignored "-Wformat-zero-length" /* a line without fields is log_line(…, "") */

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

/* Sets levels from text: `info`, or `info, pool=debug, conn=trace`. 0, or -EINVAL with nothing changed. Any thread. */
int log_set_levels(const char *text);
int log_check_levels(const char *text); /* the same without the setting */
bool log_enabled(enum log_level level, const char *area);

/* One line `time=… level=… area=… msg="…" FIELDS`. `fields` is a printf format that yields key=value pairs, or "". Values that may hold
 * spaces go through log_quote. A line equal to its predecessor of the same area (time aside) is counted and not written; when another line
 * comes, or every 10 s, `msg="repeated" times=N` is. Lines of level trace are all written. Any thread; not from a signal handler. */
void log_line(enum log_level level, const char *area, const char *message, const char *fields, ...) __attribute__((format(printf, 4, 5)));

/* Writes `text` as a logfmt value (quoted and escaped if need be, cut to fit, control bytes as \xNN) into `to`; returns `to`. */
const char *log_quote(char *to, size_t to_len, const char *text);

/* Writes what the collapsing holds back. At exit and once in a while by the main thread. */
void log_flush(void);

#endif
