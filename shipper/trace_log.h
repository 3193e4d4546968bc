/* A connection's trace into the log: area wire, level trace. Thread-safe between connections. */
#ifndef EHRING_TRACE_LOG_H
#define EHRING_TRACE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace.h"

/* Is the wire traced? What is begun now; what stands already goes on as it was begun. Any thread. */
bool trace_log_wanted(void);
/* Writes a line for each frame that `data` completes, `name` (key=value pairs, e.g. `stream=orders worker=0 conn=5`) before its fields. */
void trace_log_bytes(struct trace *trace, enum trace_way way, const char *name, const uint8_t *data, size_t len);
/* Writes the lines of an HTTP head, or any text, each as a line of its own: `what` as the message, secrets of headers masked. For what lies
 * around the frames; ask trace_log_wanted first. */
void trace_log_text(const char *name, const char *what, const char *text, size_t len);

#endif
