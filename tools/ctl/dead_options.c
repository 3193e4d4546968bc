/* Which letters a subcommand is about. */
#include "dead_options.h"

#include <string.h>

#include "options.h"

void dead_options_init(struct dead_options *options)
{
    *options = (struct dead_options){.dir = option_letters_dir(NULL), .since_ns = INT64_MIN, .limit = UINT64_MAX};
}

int dead_options_take(struct dead_options *options, int letter, const char *text)
{
    switch (letter) {
    case DEAD_DIR:
        options->dir = text;
        return 0;
    case DEAD_STREAM:
        options->stream = text;
        return option_is_name(text) ? 0 : option_wrong("--stream is the name of a directory, not %s", text);
    case DEAD_REASON:
        options->reason = text;
        return 0;
    case DEAD_ID:
        options->id = text;
        return 0;
    case DEAD_SINCE:
        return option_time(text, option_wall_ns(), &options->since_ns)
                   ? 0
                   : option_wrong("--since is like 2026-11-26T11:00:00Z or 90m, not %s", text);
    case DEAD_LIMIT:
        return option_number(text, 1, UINT64_MAX, &options->limit) ? 0 : option_wrong("--limit is a number of at least 1, not %s", text);
    }
    return 1;
}

bool dead_options_match(const struct dead_options *options, const struct letter *letter)
{
    if (options->reason && strcmp(options->reason, letter->reason) != 0)
        return false;
    if (options->id && strcmp(options->id, letter->id_text) != 0)
        return false;
    return options->since_ns == INT64_MIN || letter->when_ns >= options->since_ns;
}
