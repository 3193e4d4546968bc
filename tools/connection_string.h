/* Where the tools that connect by themselves have their connection string from. */
#ifndef TOOLS_CONNECTION_STRING_H
#define TOOLS_CONNECTION_STRING_H

enum { CONNECTION_STRING_BYTES = 8192 };

/* Reads the file at `path`, or, where it is NULL, $EHRING_CONNECTION_STRING, without white space at its end. The caller wipes `text`. 0, or
 * -EINVAL after a line on stderr that begins with `program`; the string is in no message. */
int connection_string_read(const char *program, const char *path, char text[CONNECTION_STRING_BYTES]);

#endif
