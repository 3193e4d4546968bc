/* The JSON view of ehring-stat. */
#ifndef STAT_JSON_H
#define STAT_JSON_H

#include <cjson/cJSON.h>

#include "look.h"

/* One file as an object: the same facts as the text, every value on its own. NULL: no memory. The caller owns it. */
cJSON *stat_json_of(const struct stat_look *look, const struct stat_file *file);
/* One file that could not be read. */
cJSON *stat_json_error(const char *path, const struct stat_file *file, const char *why);

#endif
