/* The log-linear histogram: eight buckets to the octave, one writer, any number of readers. */
#include "ring_internal.h"
#include "ring_order.h"
#include "ring_stat.h"

#define OCTAVE 8u /* buckets; also the values below which each has a bucket of its own */
#define OCTAVE_BITS 3u

uint32_t ring_hist_bucket_of(uint64_t value_ns)
{
    if (value_ns < OCTAVE)
        return (uint32_t)value_ns;
    uint32_t top = 63u - (uint32_t)__builtin_clzll(value_ns);
    uint32_t bucket = (top - OCTAVE_BITS + 1) * OCTAVE + (uint32_t)(value_ns >> (top - OCTAVE_BITS) & (OCTAVE - 1));
    return bucket < RING_HIST_BUCKETS ? bucket : RING_HIST_BUCKETS - 1;
}

uint64_t ring_hist_bucket_floor(uint32_t bucket)
{
    if (bucket < OCTAVE)
        return bucket;
    return (uint64_t)(OCTAVE + bucket % OCTAVE) << (bucket / OCTAVE - 1);
}

void ring_hist_add(struct ring_hist *hist, uint64_t value_ns)
{
    order_none_add64(&hist->bucket[ring_hist_bucket_of(value_ns)], 1);
    order_none_add64(&hist->sum, value_ns);
    order_none_add64(&hist->count, 1);
}

/* The count is that of the buckets as they were read: a percentile of a live histogram is one of the same events. */
void ring_hist_view_add(struct ring_hist_view *view, const struct ring_hist *hist)
{
    for (uint32_t i = 0; i < RING_HIST_BUCKETS; i++) {
        uint64_t count = order_none_load64(&hist->bucket[i]);
        view->bucket[i] += count;
        view->count += count;
    }
    view->sum += order_none_load64(&hist->sum);
}

uint64_t ring_hist_percentile(const struct ring_hist_view *view, double percent)
{
    double want = percent / 100.0 * (double)view->count;
    uint64_t below = 0;

    for (uint32_t i = 0; i < RING_HIST_BUCKETS; i++) {
        below += view->bucket[i];
        if (below > 0 && (double)below >= want)
            return i + 1 < RING_HIST_BUCKETS ? ring_hist_bucket_floor(i + 1) - 1 : ring_hist_bucket_floor(i);
    }
    return 0;
}
