/* What a stat file of another table counted goes on in a new one: values by their lines' names. */
#include <string.h>

#include "ring_internal.h"
#include "ring_order.h"
#include "ring_stat.h"

static void carry_line(const struct ring_stat_view *from, const struct ring_stat_desc *old, const struct ring_stat_desc *line,
                       uint8_t *map);
static void carry_numbers(const struct ring_stat_view *from, const struct ring_stat_desc *old, const struct ring_stat_desc *line,
                          uint8_t *map);
static void carry_hists(const struct ring_stat_view *from, const struct ring_stat_desc *old, const struct ring_stat_desc *line,
                        uint8_t *map);
static void number_add(const struct ring_stat_desc *line, uint8_t *map, uint32_t index, uint64_t value);

void ring_stat_carry(const struct ring_stat_view *from, const struct ring_stat_desc *table, uint32_t count, uint8_t *map)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < from->count; k++)
            if (strcmp(table[i].name, from->table[k].name) == 0 && table[i].kind == from->table[k].kind) {
                carry_line(from, &from->table[k], &table[i], map);
                break;
            }
}

static void carry_line(const struct ring_stat_view *from, const struct ring_stat_desc *old, const struct ring_stat_desc *line, uint8_t *map)
{
    switch ((enum ring_stat_kind)line->kind) {
    case RING_STAT_COUNTER:
    case RING_STAT_GAUGE:
    case RING_STAT_POSITION:
        carry_numbers(from, old, line, map);
        return;
    case RING_STAT_HISTOGRAM:
        carry_hists(from, old, line, map);
        return;
    case RING_STAT_TEXT:
        ring_stat_text(from, old, (char *)(map + line->off), line->stride);
        return;
    }
}

/* Where the new line has fewer values, what has no place is added to the last one: a sum stays the same. */
static void carry_numbers(const struct ring_stat_view *from, const struct ring_stat_desc *old, const struct ring_stat_desc *line,
                          uint8_t *map)
{
    for (uint32_t i = 0; i < old->count; i++)
        if (i < line->count || line->kind != RING_STAT_POSITION)
            number_add(line, map, i < line->count ? i : line->count - 1u, ring_stat_value(from, old, i));
}

static void carry_hists(const struct ring_stat_view *from, const struct ring_stat_desc *old, const struct ring_stat_desc *line,
                        uint8_t *map)
{
    for (uint32_t i = 0; i < old->count; i++) {
        uint32_t index = i < line->count ? i : line->count - 1u;
        struct ring_hist *to = (struct ring_hist *)(void *)(map + line->off + (uint64_t)index * line->stride);
        const struct ring_hist *hist = ring_stat_hist(from, old, i);
        if (!hist)
            continue;
        order_none_add64(&to->count, order_none_load64(&hist->count));
        order_none_add64(&to->sum, order_none_load64(&hist->sum));
        for (uint32_t bucket = 0; bucket < RING_HIST_BUCKETS; bucket++)
            order_none_add64(&to->bucket[bucket], order_none_load64(&hist->bucket[bucket]));
    }
}

static void number_add(const struct ring_stat_desc *line, uint8_t *map, uint32_t index, uint64_t value)
{
    uint8_t *at = map + line->off + (uint64_t)index * line->stride;

    if (line->width == 4)
        order_none_store32((_Atomic uint32_t *)(void *)at, order_none_load32((_Atomic uint32_t *)(void *)at) + (uint32_t)value);
    else
        order_none_add64((_Atomic uint64_t *)(void *)at, value);
}
