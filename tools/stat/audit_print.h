/* The views of an audit: text, JSON, and what goes to standard error. */
#ifndef STAT_AUDIT_PRINT_H
#define STAT_AUDIT_PRINT_H

#include <cjson/cJSON.h>

#include "audit.h"

/* A stream's rings, what was removed, and the sum, on stdout. */
void stat_audit_text(const struct audit_stream *audit);
/* The same as an object. The caller owns it. */
cJSON *stat_audit_json(const struct audit_stream *audit, const char *rings_dir);
/* A line on stderr for each part that does not close or of which nobody can tell. */
void stat_audit_complain(const struct audit_stream *audit);

#endif
