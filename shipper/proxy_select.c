/* Which proxy the environment wants for a host, by curl's rules; and a proxy's URL taken apart. Pure but for reading the environment. */
#include "proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int scheme_check(const char **at, char *why, size_t why_len);
static int part_decode(const char *from, size_t len, char *to, size_t cap);
static int host_take(const char *from, size_t len, struct proxy_address *out);
static int port_take(const char *from, size_t len, uint16_t *port);
static const char *first_set(const char *a, const char *b);
static bool entry_matches(const char *entry, const char *host, uint16_t port);
static bool entry_split_port(char *entry, uint16_t *port);
static bool domain_matches(const char *domain, const char *host, size_t host_len);
static bool network_matches(int family, const void *address, char *network);

int proxy_parse(const char *url, struct proxy_address *out, char *why, size_t why_len)
{
    const char *at = url;
    *out = (struct proxy_address){.port = PROXY_PORT_DEFAULT};
    int ret = scheme_check(&at, why, why_len);
    if (ret < 0)
        return ret;
    size_t len = strcspn(at, "/?#");
    const char *what = "host";
    const char *sign = memrchr(at, '@', len);
    ret = 0;
    if (sign) {
        size_t login_len = (size_t)(sign - at);
        const char *colon = memchr(at, ':', login_len);
        size_t user_len = colon ? (size_t)(colon - at) : login_len;
        what = "user or password";
        ret = part_decode(at, user_len, out->user, sizeof out->user);
        if (ret == 0 && user_len < login_len)
            ret = part_decode(at + user_len + 1, login_len - user_len - 1, out->password, sizeof out->password);
        if (ret == 0 && strchr(out->user, ':'))
            ret = -EINVAL;
        len -= login_len + 1;
        at = sign + 1;
    }
    if (ret == 0) {
        what = "host or port";
        ret = host_take(at, len, out);
    }
    if (ret < 0) {
        explicit_bzero(out, sizeof *out);
        snprintf(why, why_len, "the proxy's %s cannot be used: write http://[user[:password]@]host[:port]", what);
    }
    return ret;
}

void proxy_environment_read(struct proxy_environment *environment)
{
    *environment = (struct proxy_environment){
        .https_proxy = getenv("https_proxy"),
        .https_proxy_upper = getenv("HTTPS_PROXY"),
        .all_proxy = getenv("all_proxy"),
        .all_proxy_upper = getenv("ALL_PROXY"),
        .no_proxy = getenv("no_proxy"),
        .no_proxy_upper = getenv("NO_PROXY"),
    };
}

int proxy_select(const struct proxy_environment *environment, const char *host, uint16_t port, struct proxy_address *out, char *why,
                 size_t why_len)
{
    const char *no_proxy = first_set(environment->no_proxy, environment->no_proxy_upper);
    const char *https = first_set(environment->https_proxy, environment->https_proxy_upper);
    const char *url = first_set(https, first_set(environment->all_proxy, environment->all_proxy_upper));
    char reason[256];
    if (!url || (no_proxy && proxy_is_bypassed(no_proxy, host, port)))
        return 0;
    int ret = proxy_parse(url, out, reason, sizeof reason);
    if (ret == 0)
        return 1;
    snprintf(why, why_len, "environment variable %s: %s",
             url == environment->https_proxy         ? "https_proxy"
             : url == environment->https_proxy_upper ? "HTTPS_PROXY"
             : url == environment->all_proxy         ? "all_proxy"
                                                     : "ALL_PROXY",
             reason);
    return ret;
}

bool proxy_is_bypassed(const char *no_proxy, const char *host, uint16_t port)
{
    char entry[300];
    if (strcmp(no_proxy, "*") == 0)
        return true;
    for (const char *at = no_proxy; *at;) {
        size_t len = strcspn(at, ", \t");
        if (len > 0 && len < sizeof entry) {
            memcpy(entry, at, len);
            entry[len] = '\0';
            if (entry_matches(entry, host, port))
                return true;
        }
        at += len;
        at += strspn(at, ", \t");
    }
    return false;
}

static int scheme_check(const char **at, char *why, size_t why_len)
{
    const char *end = strstr(*at, "://");
    if (!end)
        return 0;
    size_t len = (size_t)(end - *at);
    if (len == 4 && strncasecmp(*at, "http", 4) == 0) {
        *at = end + 3;
        return 0;
    }
    bool is_word = len > 0 && len < 16 && strspn(*at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.") >= len;
    snprintf(why, why_len, "a proxy by scheme %.*s is not supported: write http://[user[:password]@]host[:port]", is_word ? (int)len : 1,
             is_word ? *at : "?");
    return -EPROTONOSUPPORT;
}

static int part_decode(const char *from, size_t len, char *to, size_t cap)
{
    size_t put = 0;
    for (size_t i = 0; i < len; i++) {
        char byte = from[i];
        if (byte == '%') {
            char digits[3] = {0}, *end;
            if (i + 2 >= len)
                return -EINVAL;
            memcpy(digits, from + i + 1, 2);
            byte = (char)strtoul(digits, &end, 16);
            if (end != digits + 2 || digits[0] == '+' || digits[0] == '-' || digits[0] == ' ')
                return -EINVAL;
            i += 2;
        }
        if (byte == '\0' || byte == '\r' || byte == '\n' || put + 1 >= cap)
            return -EINVAL;
        to[put++] = byte;
    }
    to[put] = '\0';
    return 0;
}

static int host_take(const char *from, size_t len, struct proxy_address *out)
{
    struct in6_addr v6;
    const char *end = from + len, *host_end, *port;
    const bool is_v6 = len > 0 && from[0] == '[';
    if (is_v6) {
        host_end = memchr(++from, ']', len - 1);
        if (!host_end || (size_t)(host_end - from) >= sizeof out->host)
            return -EINVAL;
        port = host_end + 1;
    } else {
        host_end = memchr(from, ':', len);
        if (!host_end)
            host_end = end;
        port = host_end;
    }
    size_t host_len = (size_t)(host_end - from);
    if (host_len == 0 || host_len >= sizeof out->host)
        return -EINVAL;
    for (size_t i = 0; i < host_len; i++)
        if (from[i] <= ' ' || from[i] > '~')
            return -EINVAL;
    memcpy(out->host, from, host_len);
    out->host[host_len] = '\0';
    if (is_v6 && inet_pton(AF_INET6, out->host, &v6) != 1)
        return -EINVAL;
    if (port == end)
        return 0;
    return *port == ':' ? port_take(port + 1, (size_t)(end - port) - 1, &out->port) : -EINVAL;
}

static int port_take(const char *from, size_t len, uint16_t *port)
{
    uint32_t number = 0;
    if (len == 0 || len > 5)
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        if (from[i] < '0' || from[i] > '9')
            return -EINVAL;
        number = number * 10 + (uint32_t)(from[i] - '0');
    }
    if (number == 0 || number > UINT16_MAX)
        return -EINVAL;
    *port = (uint16_t)number;
    return 0;
}

static const char *first_set(const char *a, const char *b)
{
    if (a && a[0])
        return a;
    return b && b[0] ? b : NULL;
}

static bool entry_matches(const char *entry, const char *host, uint16_t port)
{
    struct in6_addr address;
    char text[300];
    uint16_t only_port = 0;
    size_t host_len = strlen(host);
    snprintf(text, sizeof text, "%s", entry);
    if (!entry_split_port(text, &only_port) || (only_port && only_port != port))
        return false;
    if (inet_pton(AF_INET, host, &address) == 1)
        return network_matches(AF_INET, &address, text);
    if (inet_pton(AF_INET6, host, &address) == 1)
        return network_matches(AF_INET6, &address, text);
    if (host_len > 0 && host[host_len - 1] == '.')
        host_len--;
    return domain_matches(text, host, host_len);
}

/* Takes brackets and a port off. An address of IPv6 without brackets has no port. */
static bool entry_split_port(char *entry, uint16_t *port)
{
    char *end = NULL, *colon = strchr(entry, ':');
    if (entry[0] == '[') {
        end = strchr(entry, ']');
        if (!end)
            return false;
        bool has_port = end[1] == ':';
        if (has_port && port_take(end + 2, strlen(end + 2), port) < 0)
            return false;
        size_t rest_len = has_port ? 0 : strlen(end + 1);
        memmove(end, end + 1, rest_len + 1); /* [::1]/128 keeps its bits */
        if (has_port)
            *end = '\0';
        memmove(entry, entry + 1, strlen(entry));
        return true;
    }
    if (colon && !strchr(colon + 1, ':')) {
        *colon = '\0';
        return port_take(colon + 1, strlen(colon + 1), port) == 0;
    }
    return true;
}

static bool domain_matches(const char *domain, const char *host, size_t host_len)
{
    domain += domain[0] == '.';
    size_t len = strlen(domain);
    if (len > 0 && domain[len - 1] == '.')
        len--;
    if (len == 0 || len > host_len || strncasecmp(host + host_len - len, domain, len) != 0)
        return false;
    return len == host_len || host[host_len - len - 1] == '.';
}

static bool network_matches(int family, const void *address, char *network)
{
    uint8_t other[sizeof(struct in6_addr)];
    const uint8_t *own = address;
    size_t bits = family == AF_INET ? 32 : 128, bits_max = bits;
    char *slash = strchr(network, '/');
    if (slash) {
        char *end;
        *slash = '\0';
        bits = strtoul(slash + 1, &end, 10);
        if (slash[1] < '0' || slash[1] > '9' || *end || bits > bits_max)
            return false;
    }
    if (inet_pton(family, network, other) != 1 || memcmp(own, other, bits / 8) != 0)
        return false;
    uint8_t mask = (uint8_t)(0xff00u >> (bits % 8));
    return bits % 8 == 0 || ((own[bits / 8] ^ other[bits / 8]) & mask) == 0;
}
