/* A configuration file's lines to drafts. libinih splits names from comments and values; but it cuts lines at 200 bytes and section names
 * at 50 and does not count lines, so the lines are fetched here, section heads are read here, and values are taken from the whole line.
 * Removable when Debian's libinih can be told the line's length (its ini_max_line has no effect in version 55). */
#include "config_internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct parse {
    FILE *file;
    struct config *config;
    struct config_draft *drafts;
    struct config_report *report;
    unsigned line;
    size_t total_bytes;
    bool entry_pending; /* the present line should be NAME = VALUE, and libinih has not said so yet */
    enum config_section section;
    struct config_draft *draft; /* of the present stream */
    unsigned shipper_section_line;
    unsigned shipper_line[KEY_COUNT];
    char text[CONFIG_LINE_BYTES_MAX + 1];
};

static char *parse_next_line(char *to, int cap, void *stream);
static int parse_entry(void *user, const char *section, const char *name, const char *value);
static bool line_fetch(struct parse *parse);
static bool line_refuse(struct parse *parse, const char *wrong);
static void section_enter(struct parse *parse);
static void stream_enter(struct parse *parse, const char *name);
static struct config_draft *stream_add(struct parse *parse, const char *name);
static const char *stream_name_fault(const char *name);
static void key_unknown(struct parse *parse, const char *name);
static void value_set(struct parse *parse, const struct config_field *field, void *base);
static char *value_of_line(char *line);
static char *trim(char *text);
static bool is_quotable(const char *name);

int config_parse(const char *path, struct config *config, struct config_draft *drafts, struct config_report *report)
{
    struct parse parse = {.config = config, .drafts = drafts, .report = report};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    parse.file = fdopen(fd, "r");
    if (parse.file == NULL) {
        close(fd);
        return -ENOMEM;
    }
    config_field_set_standards(CONFIG_SECTION_SHIPPER, config);
    ini_parse_stream(parse_next_line, &parse, parse_entry, &parse);
    int error = ferror(parse.file) ? -EIO : 0;
    fclose(parse.file);
    explicit_bzero(parse.text, sizeof parse.text);
    return error;
}

/* libinih's reader: gets NAME = VALUE lines, all others as empty ones, so that its idea of them does not matter. */
static char *parse_next_line(char *to, int cap, void *stream)
{
    struct parse *parse = stream;
    if (parse->entry_pending)
        config_complain(parse->report, parse->line, NULL, "is not `name = value`");
    parse->entry_pending = false;
    if (!line_fetch(parse))
        return NULL;
    char *text = trim(parse->text);
    const char *given = "\n";
    if (*text == '[') {
        section_enter(parse);
    } else if (*text != '\0' && *text != ';' && *text != '#') {
        parse->entry_pending = true;
        given = text;
    }
    snprintf(to, (size_t)cap, "%s", given);
    return to;
}

/* libinih's handler, called within the line that parse_next_line gave. */
static int parse_entry(void *user, const char *section, const char *name, const char *value)
{
    struct parse *parse = user;
    (void)section;
    (void)value; /* cut at 200 bytes */
    parse->entry_pending = false;
    if (parse->section == CONFIG_SECTION_BAD)
        return 1;
    if (parse->section == CONFIG_SECTION_NONE) {
        config_complain(parse->report, parse->line, NULL, "a key before the first section; [shipper] or [stream NAME] must come first");
        return 1;
    }
    const struct config_field *field = config_field_find(parse->section, name);
    if (field == NULL) {
        key_unknown(parse, name);
        return 1;
    }
    bool in_stream = parse->section == CONFIG_SECTION_STREAM;
    unsigned *line = in_stream ? &parse->draft->line[field - config_fields] : &parse->shipper_line[field - config_fields];
    if (*line != 0) {
        config_complain(parse->report, parse->line, name, "is given twice, first in line %u", *line);
        return 1;
    }
    *line = parse->line;
    value_set(parse, field, in_stream ? (void *)parse->draft : (void *)parse->config);
    return 1;
}

static void value_set(struct parse *parse, const struct config_field *field, void *base)
{
    char value[CONFIG_VALUE_BYTES_MAX + 1], why[700], warning[700];
    const char *text = value_of_line(parse->text);
    int count = config_secret_expand(text, value, sizeof value, why, sizeof why, warning, sizeof warning);
    int error = count < 0 ? count : config_field_set(field, value, base, why, sizeof why);
    if (warning[0] != '\0')
        config_warn(parse->report, parse->line, field->name, "%s", warning);
    bool is_word = field->kind == CONFIG_NUMBER || field->kind == CONFIG_BYTES || field->kind == CONFIG_WORD;
    if (error != 0 && count == 0 && is_word && value[0] != '\0' && is_quotable(value)) /* what an ${…} gave may be a secret */
        config_complain(parse->report, parse->line, field->name, "%s: %s", value, why);
    else if (error != 0)
        config_complain(parse->report, parse->line, field->name, "%s", why);
    explicit_bzero(value, sizeof value);
}

/* The next line without its line break into parse->text; one that is refused becomes empty. false: the file has ended. */
static bool line_fetch(struct parse *parse)
{
    size_t len = 0;
    bool too_long = false, has_nul = false;
    int byte;
    while ((byte = getc_unlocked(parse->file)) != EOF && byte != '\n') {
        if (++parse->total_bytes > CONFIG_FILE_BYTES_MAX) {
            parse->line++;
            config_complain(parse->report, parse->line, NULL, "the file is larger than %u bytes", CONFIG_FILE_BYTES_MAX);
            return false;
        }
        has_nul |= byte == '\0';
        too_long |= len == CONFIG_LINE_BYTES_MAX;
        if (len < CONFIG_LINE_BYTES_MAX)
            parse->text[len++] = (char)byte;
    }
    if (byte == EOF && len == 0)
        return false;
    parse->total_bytes++;
    parse->line++;
    parse->text[len] = '\0';
    if (parse->line == 1 && strncmp(parse->text, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
        memset(parse->text, ' ', 3);
    if (too_long) {
        char wrong[64];
        snprintf(wrong, sizeof wrong, "the line is longer than %u bytes", CONFIG_LINE_BYTES_MAX);
        return line_refuse(parse, wrong);
    }
    return has_nul ? line_refuse(parse, "the line holds a NUL byte") : true;
}

static bool line_refuse(struct parse *parse, const char *wrong)
{
    config_complain(parse->report, parse->line, NULL, "%s", wrong);
    parse->text[0] = '\0';
    return true;
}

static void section_enter(struct parse *parse)
{
    char *name = trim(parse->text) + 1, *end = strchr(name, ']');
    parse->section = CONFIG_SECTION_BAD;
    if (end == NULL) {
        config_complain(parse->report, parse->line, NULL, "the section has no closing bracket");
        return;
    }
    char *rest = trim(end + 1);
    *end = '\0';
    name = trim(name);
    if (*rest != '\0' && *rest != ';' && *rest != '#') {
        config_complain(parse->report, parse->line, NULL, "text behind the section's closing bracket");
    } else if (strcmp(name, "shipper") == 0) {
        if (parse->shipper_section_line != 0)
            config_complain(parse->report, parse->line, NULL, "section [shipper] is given twice, first in line %u",
                            parse->shipper_section_line);
        else
            parse->section = CONFIG_SECTION_SHIPPER;
        parse->shipper_section_line = parse->line;
    } else if (strncmp(name, "stream", 6) == 0 && isspace((unsigned char)name[6])) {
        stream_enter(parse, trim(name + 6));
    } else {
        config_complain(parse->report, parse->line, NULL, "unknown section; [shipper] and [stream NAME] are allowed");
    }
}

static void stream_enter(struct parse *parse, const char *name)
{
    const char *fault = stream_name_fault(name);
    if (fault != NULL) {
        config_complain(parse->report, parse->line, NULL, "the stream's name %s; 1 to 63 of [A-Za-z0-9._-] are allowed", fault);
        return;
    }
    for (uint32_t i = 0; i < parse->config->stream_count; i++)
        if (strcmp(parse->drafts[i].stream.name, name) == 0) {
            config_complain(parse->report, parse->line, NULL, "stream %s is given twice, first in line %u", name,
                            parse->drafts[i].section_line);
            return;
        }
    parse->draft = stream_add(parse, name);
    if (parse->draft != NULL)
        parse->section = CONFIG_SECTION_STREAM;
}

static struct config_draft *stream_add(struct parse *parse, const char *name)
{
    if (parse->config->stream_count == CONFIG_STREAMS_MAX) {
        config_complain(parse->report, parse->line, NULL, "more than %d streams", CONFIG_STREAMS_MAX);
        return NULL;
    }
    struct config_draft *draft = &parse->drafts[parse->config->stream_count++];
    memcpy(draft->stream.name, name, strlen(name) + 1);
    draft->section_line = parse->line;
    config_field_set_standards(CONFIG_SECTION_STREAM, draft);
    return draft;
}

static const char *stream_name_fault(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    if (*name == '\0')
        return "is missing";
    if (strlen(name) > 63)
        return "is too long";
    if (*name == '.')
        return "begins with a dot";
    return name[strspn(name, allowed)] != '\0' ? "holds another character" : NULL;
}

/* A name that is not like a name is not quoted: it may be a key that was pasted on a line of its own. */
static void key_unknown(struct parse *parse, const char *name)
{
    bool in_stream = parse->section == CONFIG_SECTION_STREAM;
    const char *near = config_field_near(parse->section, name);
    if (!is_quotable(name))
        config_complain(parse->report, parse->line, NULL, "unknown key");
    else if (config_field_find(in_stream ? CONFIG_SECTION_SHIPPER : CONFIG_SECTION_STREAM, name) != NULL)
        config_complain(parse->report, parse->line, name, "unknown key here; it belongs in %s", in_stream ? "[shipper]" : "[stream NAME]");
    else if (near != NULL)
        config_complain(parse->report, parse->line, name, "unknown key; %s is allowed", near);
    else
        config_complain(parse->report, parse->line, name, "unknown key; --help-config lists what is allowed");
}

/* What follows the first = or :, up to a `;` that has a space before it. */
static char *value_of_line(char *line)
{
    char *value = line + strcspn(line, "=:");
    value += *value != '\0';
    for (char *at = value; *at != '\0'; at++)
        if (*at == ';' && at > value && isspace((unsigned char)at[-1])) {
            *at = '\0';
            break;
        }
    return trim(value);
}

/* In place. */
static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t len = strlen(text);
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        text[--len] = '\0';
    return text;
}

static bool is_quotable(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_- ";
    return strlen(name) <= 32 && name[strspn(name, allowed)] == '\0';
}
