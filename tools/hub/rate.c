/* A limit of bytes and events per second over a short window, as the service has it for its throughput units. */
#include "rate.h"

static double run_off(double taken, uint64_t per_second, int64_t ms);
static bool is_used_up(double taken, uint64_t per_second, int64_t window_ms);

bool hub_rate_take(struct hub_rate *r, int64_t now_ms, uint64_t events, uint64_t bytes)
{
    r->bytes = run_off(r->bytes, r->bytes_per_second, now_ms - r->at_ms);
    r->events = run_off(r->events, r->events_per_second, now_ms - r->at_ms);
    r->at_ms = now_ms;
    if (is_used_up(r->bytes, r->bytes_per_second, r->window_ms) || is_used_up(r->events, r->events_per_second, r->window_ms))
        return false;
    r->bytes += (double)bytes;
    r->events += (double)events;
    return true;
}

static double run_off(double taken, uint64_t per_second, int64_t ms)
{
    double left = taken - (double)per_second * (double)ms / 1000;

    return per_second == 0 || left < 0 ? 0 : left;
}

static bool is_used_up(double taken, uint64_t per_second, int64_t window_ms)
{
    return per_second > 0 && taken >= (double)per_second * (double)window_ms / 1000;
}
