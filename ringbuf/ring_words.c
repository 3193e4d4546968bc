/* Hands out the addresses of the words in ring_words.h. */
#include "ring_words.h"

#include "ring_internal.h"

void ring_writer_words(const struct ring_writer *writer, struct ring_writer_words *words)
{
    words->alive = &writer->alive;
    words->open = &writer->open;
    words->event_bytes_max = &writer->shipper->limit.event_bytes_max;
}
