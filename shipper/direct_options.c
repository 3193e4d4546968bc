/* The settings of libehring-direct: the keys of a stream's section that say how its peer is reached, by the shipper's own table. */
#include "direct_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_internal.h"

static void setting_take(struct config_draft *draft, const char *setting, struct config_report *report);
static void value_take(struct config_draft *draft, enum config_key key, const char *value, struct config_report *report);
static int paths_take(struct ehring_direct *direct, const struct ehring_direct_options *options);

int direct_door_make(struct ehring_direct *direct, const char *connection_string, const struct ehring_direct_options *options)
{
    struct config_draft *draft = calloc(1, sizeof *draft);
    FILE *to = fmemopen(direct->error, sizeof direct->error, "w");
    struct config_report report = {.to = to};
    if (!draft || !to) {
        if (to)
            fclose(to);
        free(draft);
        return direct_fail(direct, -ENOMEM, "out of memory");
    }
    snprintf(draft->stream.name, sizeof draft->stream.name, "direct");
    config_field_set_standards(CONFIG_SECTION_STREAM, draft);
    for (const char *const *setting = options->settings; setting && *setting; setting++)
        setting_take(draft, *setting, &report);
    if (connection_string)
        value_take(draft, KEY_CONNECTION_STRING, connection_string, &report);
    if (options->hub && options->hub[0])
        value_take(draft, KEY_HUB, options->hub, &report);
    config_door_finish(draft, &report);
    fclose(to);
    size_t len = strlen(direct->error);
    for (size_t i = 0; i < len; i++)
        if (direct->error[i] == '\n')
            direct->error[i] = i + 1 == len ? '\0' : ';';
    direct->door = draft->stream.door;
    explicit_bzero(draft, sizeof *draft);
    free(draft);
    return report.error_count > 0 ? -EINVAL : paths_take(direct, options);
}

/* `name = value`. What an unknown name was is not quoted: it may be a secret that lost its name. */
static void setting_take(struct config_draft *draft, const char *setting, struct config_report *report)
{
    char name[64], value[CONFIG_VALUE_BYTES_MAX + 1], why[700], warning[700];
    size_t len = strcspn(setting, "=");
    const char *text = setting[len] ? setting + len + 1 : NULL;
    while (len > 0 && isspace((unsigned char)setting[len - 1]))
        len--;
    snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1), setting);
    const struct config_field *field = text ? config_field_find(CONFIG_SECTION_STREAM, name) : NULL;
    if (!field || !field->of_door) {
        config_complain(report, 0, NULL, text ? "a setting is unknown; see ehring-direct(3)" : "a setting is not `name = value`");
        return;
    }
    while (isspace((unsigned char)*text))
        text++;
    if (config_secret_expand(text, value, sizeof value, why, sizeof why, warning, sizeof warning) < 0)
        config_complain(report, 0, field->name, "%s", why);
    else
        value_take(draft, (enum config_key)(field - config_fields), value, report);
    explicit_bzero(value, sizeof value);
}

static void value_take(struct config_draft *draft, enum config_key key, const char *value, struct config_report *report)
{
    char why[700];
    if (draft->line[key] != 0)
        config_complain(report, 0, config_fields[key].name, "is given twice");
    draft->line[key] = 1;
    if (config_field_set(&config_fields[key], value, draft, why, sizeof why) != 0)
        config_complain(report, 0, config_fields[key].name, "%s", why);
}

/* May be relative here, unlike in a daemon's configuration. */
static int paths_take(struct ehring_direct *direct, const struct ehring_direct_options *options)
{
    if (!options->ca_file)
        return 0;
    if (strlen(options->ca_file) >= sizeof direct->door.ca_file)
        return direct_fail(direct, -EINVAL, "ca_file: has %zu bytes, at most %zu are allowed", strlen(options->ca_file),
                           sizeof direct->door.ca_file - 1);
    strcpy(direct->door.ca_file, options->ca_file);
    return 0;
}
