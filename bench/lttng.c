/* A tracepoint of LTTng-UST with the payload as its field, measured by a program of its own while a session records it. */
#include "bench/lttng.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/child.h"
#include "bench/scratch.h"

#define LINE_MS 20000
#define STOP_MS 20000 /* its session is destroyed meanwhile */

int lttng_measure(size_t len, uint32_t slices, struct measure_series *series, char *why, size_t why_len)
{
    char script[4096], len_text[24], slices_text[24], line[128];
    const char *const argv[] = {script, len_text, slices_text, NULL};
    struct child child;
    int err = 0;

    if (child_look("peers/lttng-tracer", script, sizeof(script)) || child_look("peers/lttng.sh", script, sizeof(script))) {
        snprintf(why, why_len, "LTTng-UST: was not there when ehring was built (liblttng-ust-dev)");
        return -EOPNOTSUPP;
    }
    snprintf(len_text, sizeof(len_text), "%zu", len);
    snprintf(slices_text, sizeof(slices_text), "%u", slices);
    if (child_start(argv, "/dev/null", &child))
        return -EOPNOTSUPP;
    while (!err && series->count < slices) {
        err = child_read_line(&child, line, sizeof(line), LINE_MS);
        if (!err && strtod(line, NULL) > 0)
            measure_add(series, strtod(line, NULL));
    }
    if (series->count < slices)
        snprintf(why, why_len, "LTTng-UST: no session that records (lttng-tools, and the right to start its daemon)");
    if (err && err != -EINTR)
        err = -EOPNOTSUPP;
    child_wait(&child, err == -EINTR ? 0 : STOP_MS);
    return err;
}
