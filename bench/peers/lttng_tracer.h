/* The tracepoint: one field of raw bytes, as long as the event. Included several times by LTTng's machinery. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER ehring_bench
#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "bench/peers/lttng_tracer.h"

#if !defined(BENCH_LTTNG_TRACER_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define BENCH_LTTNG_TRACER_H

#include <lttng/tracepoint.h>
#include <stddef.h>
#include <stdint.h>

LTTNG_UST_TRACEPOINT_EVENT(ehring_bench, event, LTTNG_UST_TP_ARGS(const uint8_t *, data, size_t, len),
                           LTTNG_UST_TP_FIELDS(lttng_ust_field_sequence(uint8_t, payload, data, size_t, len)))

#endif

#include <lttng/tracepoint-event.h>
