/* What the files of the trace share: trace.c (frames), trace_value.c (encoded values), trace_field.c (values into fields), trace_type.c
 * (names of the specification), trace_message.c (requests and replies). Private to them. */
#ifndef EHRING_TRACE_INTERNAL_H
#define EHRING_TRACE_INTERNAL_H

#include "trace.h"

#include <stdbool.h>

#define TRACE_TEXT_BYTES_MAX 256u /* of one value; one that is longer ends with … */
#define TRACE_FIELDS_MAX 14       /* of a type of the specification */

/* ---- trace_value.c ---- */
enum {
    TRACE_CODE_DESCRIBED = 0x00,
    TRACE_CODE_NULL = 0x40,
    TRACE_CODE_TRUE = 0x41,
    TRACE_CODE_FALSE = 0x42,
};
struct trace_cursor {
    const uint8_t *at;
    size_t left;
};
struct trace_scalar {
    uint8_t code; /* the constructor */
    const uint8_t *data;
    size_t len;
};
struct trace_value {
    bool is_described;
    struct trace_scalar descriptor;
    struct trace_scalar of; /* of a list, map or array: what lies behind the count */
    uint32_t count;
};
/* Takes the next value. false: it is not all there, or no AMQP. A compound value that is cut ends where the bytes end. */
bool trace_value_next(struct trace_cursor *from, struct trace_value *value);
/* The next of an array's elements; `code` from trace_array_begin. */
bool trace_array_begin(struct trace_cursor *from, uint8_t *code);
bool trace_array_next(struct trace_cursor *from, uint8_t code, struct trace_value *value);
bool trace_is_list(const struct trace_value *value);
bool trace_is_map(const struct trace_value *value);
bool trace_is_array(const struct trace_value *value);
bool trace_is_text(const struct trace_scalar *scalar); /* string or symbol */
bool trace_text_is(const struct trace_scalar *scalar, const char *text);
bool trace_number(const struct trace_scalar *scalar, uint64_t *number); /* of an unsigned type or a boolean */
/* Writes it as cleaned text, at most TRACE_TEXT_BYTES_MAX and the …; 0: null or a compound. */
size_t trace_scalar_text(const struct trace_scalar *scalar, char *to, size_t to_len);

/* ---- trace_clean.c ---- */
/* Copies text that others wrote: no NUL, UTF-8 or '?', and "***" for what looks like a signature, a key or a token. `to_len` at least 16.
 */
size_t trace_clean(const uint8_t *text, size_t len, char *to, size_t to_len);

/* ---- trace_type.c ---- */
enum trace_field_kind { TRACE_PLAIN, TRACE_HEX, TRACE_MASKED, TRACE_ROLE, TRACE_SND_SETTLE, TRACE_RCV_SETTLE, TRACE_SASL_CODE };
struct trace_type {
    uint8_t code; /* of the descriptor amqp:NAME:list */
    const char *name;
    const char *field[TRACE_FIELDS_MAX]; /* the rest: NULL */
};
const struct trace_type *trace_type_of(const struct trace_scalar *descriptor); /* NULL: not known */
enum trace_field_kind trace_field_kind_of(const char *name);
const char *trace_enum_name(enum trace_field_kind kind, uint64_t number); /* NULL: none */

/* ---- trace_field.c ---- */
struct trace_fields {
    char text[TRACE_FIELDS_BYTES_MAX];
    size_t len;
    bool is_cut;
    char path[128]; /* of the value in hand: source.filter */
    size_t path_len;
};
void trace_fields_begin(struct trace_fields *fields);
void trace_fields_end(struct trace_fields *fields);
void trace_field_text(struct trace_fields *fields, const char *name, const char *text); /* quoted if need be */
void trace_field_number(struct trace_fields *fields, const char *name, uint64_t number);
void trace_field_value(struct trace_fields *fields, const char *name, const struct trace_value *value);
/* The fields of a list of `type`, by name. */
void trace_field_list(struct trace_fields *fields, const struct trace_type *type, const struct trace_value *list);

/* ---- trace_message.c ---- */
/* Of a request or a reply: what is asked, of whom, and the answer; bodies and tokens masked. */
void trace_message(struct trace_fields *fields, struct trace_cursor message);

#endif
