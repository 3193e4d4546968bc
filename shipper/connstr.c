/* Connection strings. A message never quotes the string: what looks like a name may be a piece of a key. */
#include "connstr.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SIGNATURE_PREFIX "SharedAccessSignature "

enum part { PART_ENDPOINT, PART_KEY_NAME, PART_KEY, PART_SIGNATURE, PART_HUB, PART_EMULATOR, PART_HOST_NAME, PART_COUNT, PART_UNKNOWN };
static const char *const part_names[PART_COUNT] = {
    "Endpoint", "SharedAccessKeyName", "SharedAccessKey", "SharedAccessSignature", "EntityPath", "UseDevelopmentEmulator", "HostName",
};

struct why {
    char *text;
    size_t len;
};
struct span {
    const char *text;
    size_t len;
};

static int refuse(struct why why, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int pair_take(struct span pair, unsigned number, bool seen[PART_COUNT], struct connstr *out, struct why why);
static int value_take(enum part part, struct span value, struct connstr *out, struct why why);
static int text_take(enum part part, struct span value, char *to, size_t cap, struct why why);
static int signature_take(struct span value, struct connstr *out, struct why why);
static int endpoint_take(struct span value, struct connstr *out, struct why why);
static int emulator_take(struct span value, struct connstr *out, struct why why);
static int host_take(struct span value, struct connstr *out, struct why why);
static int port_take(struct span value, struct connstr *out, struct why why);
static int whole_check(const struct connstr *out, const bool seen[PART_COUNT], struct why why);
static enum part part_of(struct span name);
static struct span trim(struct span span);
static bool is_text(struct span span, const char *text);

int connstr_parse(const char *text, struct connstr *out, char *why_text, size_t why_len)
{
    struct why why = {why_text, why_len};
    bool seen[PART_COUNT] = {false};
    memset(out, 0, sizeof *out);
    int error = 0;
    for (unsigned number = 1; error == 0; number++) {
        size_t len = strcspn(text, ";");
        struct span pair = trim((struct span){text, len});
        if (pair.len > 0)
            error = pair_take(pair, number, seen, out, why);
        if (text[len] == '\0')
            break;
        text += len + 1;
    }
    if (error == 0)
        error = whole_check(out, seen, why);
    if (error != 0)
        connstr_wipe(out);
    return error;
}

int connstr_set_host(const char *text, struct connstr *out, char *why_text, size_t why_len)
{
    return host_take((struct span){text, strlen(text)}, out, (struct why){why_text, why_len});
}

void connstr_wipe(struct connstr *connstr)
{
    explicit_bzero(connstr, sizeof *connstr);
}

static int refuse(struct why why, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why.text, why.len, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

static int pair_take(struct span pair, unsigned number, bool seen[PART_COUNT], struct connstr *out, struct why why)
{
    const char *equals = memchr(pair.text, '=', pair.len);
    if (equals == NULL)
        return refuse(why, "part %u of the connection string is not NAME=VALUE", number);
    struct span name = trim((struct span){pair.text, (size_t)(equals - pair.text)});
    struct span value = trim((struct span){equals + 1, pair.len - (size_t)(equals + 1 - pair.text)});
    enum part part = part_of(name);
    if (name.len == 0 || value.len == 0)
        return refuse(why, "part %u of the connection string has no %s", number, name.len == 0 ? "name" : "value");
    if (part == PART_UNKNOWN)
        return 0;
    if (seen[part])
        return refuse(why, "%s is given twice", part_names[part]);
    seen[part] = true;
    for (size_t i = 0; i < value.len; i++)
        if (iscntrl((unsigned char)value.text[i]))
            return refuse(why, "%s holds a line break or another control character", part_names[part]);
    return value_take(part, value, out, why);
}

static int value_take(enum part part, struct span value, struct connstr *out, struct why why)
{
    switch (part) {
    case PART_ENDPOINT:
        return endpoint_take(value, out, why);
    case PART_KEY_NAME:
        return text_take(part, value, out->key_name, sizeof out->key_name, why);
    case PART_KEY:
        return text_take(part, value, out->key, sizeof out->key, why);
    case PART_SIGNATURE:
        return signature_take(value, out, why);
    case PART_HUB:
        return text_take(part, value, out->hub, sizeof out->hub, why);
    case PART_EMULATOR:
        return emulator_take(value, out, why);
    case PART_HOST_NAME:
    case PART_COUNT:
    case PART_UNKNOWN:
        return 0;
    }
    return 0;
}

static int text_take(enum part part, struct span value, char *to, size_t cap, struct why why)
{
    if (value.len >= cap)
        return refuse(why, "%s has %zu bytes, at most %zu are allowed", part_names[part], value.len, cap - 1);
    memcpy(to, value.text, value.len);
    to[value.len] = '\0';
    return 0;
}

static int signature_take(struct span value, struct connstr *out, struct why why)
{
    size_t prefix_len = strlen(SIGNATURE_PREFIX);
    if (value.len < prefix_len || memcmp(value.text, SIGNATURE_PREFIX, prefix_len) != 0)
        return refuse(why, "SharedAccessSignature must be a ready token: `" SIGNATURE_PREFIX "sr=…&sig=…&se=…&skn=…`");
    return text_take(PART_SIGNATURE, value, out->signature, sizeof out->signature, why);
}

static int endpoint_take(struct span value, struct connstr *out, struct why why)
{
    if (value.len < 5 || strncasecmp(value.text, "sb://", 5) != 0)
        return refuse(why, "Endpoint must be sb://HOST/ or sb://HOST:PORT/");
    value.text += 5;
    value.len -= 5;
    if (value.len > 0 && value.text[value.len - 1] == '/')
        value.len--;
    return host_take(value, out, why);
}

static int emulator_take(struct span value, struct connstr *out, struct why why)
{
    out->emulator = is_text(value, "true");
    if (!out->emulator && !is_text(value, "false"))
        return refuse(why, "UseDevelopmentEmulator must be true or false");
    return 0;
}

static int host_take(struct span value, struct connstr *out, struct why why)
{
    static const char name_bytes[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
    static const char address_bytes[] = "ABCDEFabcdef0123456789:.";
    const char *allowed = name_bytes, *end = memchr(value.text, ':', value.len);
    struct span host = {value.text, end != NULL ? (size_t)(end - value.text) : value.len};
    const char *rest = host.text + host.len;
    if (value.len > 0 && value.text[0] == '[') {
        end = memchr(value.text, ']', value.len);
        if (end == NULL)
            return refuse(why, "the address in the host has no closing bracket");
        host = (struct span){value.text + 1, (size_t)(end - value.text - 1)};
        rest = end + 1;
        allowed = address_bytes;
    }
    if (host.len == 0)
        return refuse(why, "the host is missing");
    if (host.len >= sizeof out->host)
        return refuse(why, "the host has %zu bytes, at most %zu are allowed", host.len, sizeof out->host - 1);
    memcpy(out->host, host.text, host.len);
    out->host[host.len] = '\0';
    if (strspn(out->host, allowed) != host.len || out->host[0] == '.' || out->host[0] == '-')
        return refuse(why, "the host holds what no host name does");
    return port_take((struct span){rest, value.len - (size_t)(rest - value.text)}, out, why);
}

/* `:PORT`, or nothing. */
static int port_take(struct span value, struct connstr *out, struct why why)
{
    uint32_t port = 0;
    out->port = 0;
    if (value.len == 0)
        return 0;
    bool good = value.text[0] == ':' && value.len >= 2 && value.len <= 6;
    for (size_t i = 1; good && i < value.len; i++) {
        good = isdigit((unsigned char)value.text[i]) != 0;
        port = port * 10 + (uint32_t)(value.text[i] - '0');
    }
    if (!good || port == 0 || port > UINT16_MAX)
        return refuse(why, "what follows the host must be a port, 1 to 65535");
    out->port = (uint16_t)port;
    return 0;
}

static int whole_check(const struct connstr *out, const bool seen[PART_COUNT], struct why why)
{
    if (!seen[PART_ENDPOINT] && seen[PART_HOST_NAME])
        return refuse(why, "HostName instead of Endpoint: this is an IoT Hub's string, take its Event Hub-compatible endpoint");
    if (!seen[PART_ENDPOINT])
        return refuse(why, "Endpoint is missing");
    if (seen[PART_SIGNATURE] && (seen[PART_KEY_NAME] || seen[PART_KEY]))
        return refuse(why, "SharedAccessSignature excludes SharedAccessKeyName and SharedAccessKey");
    if (seen[PART_KEY_NAME] != seen[PART_KEY])
        return refuse(why, "%s is missing", seen[PART_KEY] ? "SharedAccessKeyName" : "SharedAccessKey");
    if (!seen[PART_SIGNATURE] && !seen[PART_KEY])
        return refuse(why, "SharedAccessKeyName and SharedAccessKey are missing, and so is SharedAccessSignature");
    if (out->emulator && !connstr_host_is_local(out->host))
        return refuse(why, "UseDevelopmentEmulator=true has no TLS and is allowed for localhost, 127.0.0.0/8 and [::1] only");
    return 0;
}

bool connstr_host_is_local(const char *host)
{
    unsigned a, b, c, d;
    int end = 0;
    if (strcasecmp(host, "localhost") == 0 || strcmp(host, "::1") == 0)
        return true;
    return sscanf(host, "%3u.%3u.%3u.%3u%n", &a, &b, &c, &d, &end) == 4 && host[end] == '\0' && a == 127 && b < 256 && c < 256 && d < 256;
}

static enum part part_of(struct span name)
{
    for (int part = 0; part < PART_COUNT; part++)
        if (strlen(part_names[part]) == name.len && strncasecmp(part_names[part], name.text, name.len) == 0)
            return (enum part)part;
    return PART_UNKNOWN;
}

static struct span trim(struct span span)
{
    while (span.len > 0 && isspace((unsigned char)span.text[0])) {
        span.text++;
        span.len--;
    }
    while (span.len > 0 && isspace((unsigned char)span.text[span.len - 1]))
        span.len--;
    return span;
}

static bool is_text(struct span span, const char *text)
{
    return span.len == strlen(text) && memcmp(span.text, text, span.len) == 0;
}
