/* The configuration: reads a file into drafts, checks them, and makes the one immutable struct of them. */
#include "config_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int drafts_finish(struct config *config, struct config_draft *drafts, struct config_report *report);

int config_read(const char *path, struct config **out, FILE *errors)
{
    struct config_report report = {.path = path, .to = errors};
    struct config *config = calloc(1, sizeof *config);
    struct config_draft *drafts = calloc(CONFIG_STREAMS_MAX, sizeof *drafts);
    int error = -ENOMEM;
    *out = NULL;
    if (config == NULL || drafts == NULL)
        goto out;
    error = -ENAMETOOLONG;
    if (strlen(path) >= sizeof config->path)
        goto out;
    memcpy(config->path, path, strlen(path) + 1);
    error = config_parse(path, config, drafts, &report);
    if (error == 0)
        error = drafts_finish(config, drafts, &report);
    if (error != 0)
        goto out;
    *out = config;
    config = NULL;
out:
    if (error != 0 && report.error_count == 0)
        fprintf(errors, "%s: cannot be read: %s\n", path, strerror(-error));
    if (drafts != NULL)
        explicit_bzero(drafts, CONFIG_STREAMS_MAX * sizeof *drafts);
    free(drafts);
    config_free(config);
    return error;
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    explicit_bzero(config, sizeof *config);
    free(config);
}

static int drafts_finish(struct config *config, struct config_draft *drafts, struct config_report *report)
{
    size_t rings_len = strlen(config->rings);
    while (rings_len > 1 && config->rings[rings_len - 1] == '/')
        config->rings[--rings_len] = '\0';
    for (uint32_t i = 0; i < config->stream_count; i++) {
        config_stream_finish(config, &drafts[i], report);
        config->stream[i] = drafts[i].stream;
    }
    if (config->stream_count == 0 && report->error_count == 0)
        config_complain(report, 1, NULL, "no [stream NAME] section: there is nothing to ship");
    return report->error_count > 0 ? -EINVAL : 0;
}
