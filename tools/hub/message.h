/* What a sender may put into one delivery: takes batches apart and names what is wrong with a message. */
#ifndef HUB_MESSAGE_H
#define HUB_MESSAGE_H

#include "codec.h"
#include "frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HUB_FORMAT_BATCH 0x80013700u

enum { HUB_KEY_CHARS_MAX = 128 };

enum hub_section {
    HUB_SECTION_HEADER = 0x70,
    HUB_SECTION_DELIVERY_ANNOTATIONS = 0x71,
    HUB_SECTION_ANNOTATIONS = 0x72,
    HUB_SECTION_PROPERTIES = 0x73,
    HUB_SECTION_APPLICATION = 0x74,
    HUB_SECTION_DATA = 0x75,
    HUB_SECTION_SEQUENCE = 0x76,
    HUB_SECTION_VALUE = 0x77,
    HUB_SECTION_FOOTER = 0x78,
};

/* Which rule holds for keys: a hub link routes by the envelope's key, a partition link does not route. */
enum hub_target { HUB_TARGET_HUB, HUB_TARGET_PARTITION };

struct hub_slice {
    const uint8_t *bytes;
    size_t len;
};

/* A delivery that was looked at; points into the caller's bytes. */
struct hub_message {
    struct hub_slice key; /* of the envelope or single event; len 0: none */
    uint32_t event_count;
    struct hub_slice event; /* format 0: the event. Batch: where the data sections begin and how much is left */
    bool batch;
};

/* The sections of one encoded event; absent ones have len 0. Contents without descriptor: raw values. */
struct hub_event {
    struct hub_slice header, annotations, properties, application; /* raw AMQP values */
    struct hub_slice annotations_section;                          /* with its descriptor */
    struct hub_slice header_section;
    struct hub_slice after_annotations; /* all sections behind the annotations */
    enum hub_section body;
    struct hub_slice data;  /* bytes of a data body */
    struct hub_slice value; /* raw AMQP value of a value body */
    struct hub_slice key;
};

/*
 * Looks at the envelope alone: format, sections, key; members only as far as their sizes are concerned. Allocates
 * nothing. 0, or -EPROTO with the reason in `why`.
 */
int hub_message_open(struct hub_message *m, uint32_t format, const uint8_t *bytes, size_t len, struct hub_error *why);

/* Looks at every member of an opened message. 0, or -EPROTO with the reason in `why`. */
int hub_message_check(const struct hub_message *m, enum hub_target target, struct hub_error *why);

/* Hands out the encoded events one after the other; begin with a copy of an opened message. False: no more. */
bool hub_message_next(struct hub_message *m, struct hub_slice *event);

/* Splits any encoded message into its sections; body is 0 when there is none. 0, or -EPROTO with the reason in `why`. */
int hub_sections_read(struct hub_event *e, const uint8_t *bytes, size_t len, struct hub_error *why);

/* Splits one encoded event into its sections; it must have a body. 0, or -EPROTO with the reason in `why`. */
int hub_event_read(struct hub_event *e, const uint8_t *bytes, size_t len, struct hub_error *why);

#endif
