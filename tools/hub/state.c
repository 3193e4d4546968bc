/* The state directory: certificate, key and connection strings that others pick up. */
#include "state.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_BYTES = 32 };

static int directory_make(struct hub_state *s, const char *wanted);
static int key_open(const struct hub_state *s, const struct hub_options *o, struct hub_policies *policies);
static int key_make(const char *path, char *key, size_t size);
static int text_read(const char *path, char *text, size_t size);
static int cert_open(const struct hub_state *s, const struct hub_options *o);
static int string_write(const char *path, const struct hub_options *o, const struct hub_policy *policy, const char *port, const char *end);
static int complain(int rc, const char *what, const char *name);

int hub_state_open(struct hub_state *s, const struct hub_options *o, struct hub_policies *policies)
{
    int rc = directory_make(s, o->state_dir);

    if (rc < 0)
        return complain(rc, "state directory", o->state_dir ? o->state_dir : "$TMPDIR");
    snprintf(s->cert.ca, sizeof(s->cert.ca), "%s/ca.pem", s->dir);
    snprintf(s->cert.ca_key, sizeof(s->cert.ca_key), "%s/ca.key", s->dir);
    snprintf(s->cert.cert, sizeof(s->cert.cert), "%s/server.pem", s->dir);
    snprintf(s->cert.key, sizeof(s->cert.key), "%s/server.key", s->dir);
    snprintf(s->connection_string, sizeof(s->connection_string), "%s/connection-string", s->dir);
    snprintf(s->connection_string_plain, sizeof(s->connection_string_plain), "%s/connection-string-plain", s->dir);
    rc = key_open(s, o, policies);
    if (rc < 0)
        return rc;
    if (o->emulator)
        hub_policies_add(policies, "RootManageSharedAccessKey", "SAS_KEY_VALUE", HUB_RIGHT_ALL);
    return o->no_tls || o->cert ? 0 : cert_open(s, o);
}

int hub_state_write_strings(const struct hub_state *s, const struct hub_options *o, const struct hub_policy *policy, uint16_t amqp,
                            uint16_t amqps)
{
    char port[8] = "";
    int rc = 0;

    if (amqps) {
        if (amqps != 5671)
            snprintf(port, sizeof(port), ":%u", amqps);
        rc = string_write(s->connection_string, o, policy, port, "");
    }
    if (amqp && rc == 0) {
        port[0] = 0;
        if (amqp != 5672)
            snprintf(port, sizeof(port), ":%u", amqp);
        rc = string_write(s->connection_string_plain, o, policy, port, ";UseDevelopmentEmulator=true");
    }
    return rc;
}

int hub_state_write_file(const char *path, const char *text)
{
    char part[4200];
    size_t len = strlen(text);

    snprintf(part, sizeof(part), "%s.part", path);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    ssize_t n = write(fd, text, len);
    int rc = n < 0 ? -errno : (size_t)n == len ? 0 : -ENOSPC;
    if (close(fd) < 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && rename(part, path) < 0)
        rc = -errno;
    if (rc < 0)
        unlink(part);
    return rc;
}

void hub_state_close(const struct hub_state *s)
{
    char key[4096];

    if (!s->is_temporary)
        return;
    snprintf(key, sizeof(key), "%s/key", s->dir);
    unlink(key);
    unlink(s->cert.ca);
    unlink(s->cert.ca_key);
    unlink(s->cert.cert);
    unlink(s->cert.key);
    unlink(s->connection_string);
    unlink(s->connection_string_plain);
    rmdir(s->dir);
}

static int directory_make(struct hub_state *s, const char *wanted)
{
    const char *tmp = getenv("TMPDIR");
    int len;

    *s = (struct hub_state){.is_temporary = !wanted};
    if (wanted)
        len = snprintf(s->dir, sizeof(s->dir), "%s", wanted);
    else
        len = snprintf(s->dir, sizeof(s->dir), "%s/ehring-hub.XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if ((size_t)len >= sizeof(s->dir))
        return -ENAMETOOLONG;
    if (!wanted)
        return mkdtemp(s->dir) ? 0 : -errno;
    return mkdir(s->dir, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int key_open(const struct hub_state *s, const struct hub_options *o, struct hub_policies *policies)
{
    char path[4096], key[HUB_KEY_MAX];
    int rc;

    snprintf(path, sizeof(path), "%s", o->key_file ? o->key_file : s->dir);
    if (!o->key_file)
        strcat(path, "/key");
    rc = text_read(path, key, sizeof(key));
    if (rc == -ENOENT && !o->key_file)
        rc = key_make(path, key, sizeof(key));
    if (rc < 0)
        return complain(rc, "key file", path);
    return complain(hub_policies_add(policies, o->policy, key, HUB_RIGHT_ALL), "policy", o->policy);
}

static int key_make(const char *path, char *key, size_t size)
{
    unsigned char bytes[KEY_BYTES];

    if (size < KEY_BYTES * 2 || RAND_bytes(bytes, sizeof(bytes)) != 1)
        return -EIO;
    EVP_EncodeBlock((unsigned char *)key, bytes, sizeof(bytes));
    return hub_state_write_file(path, key);
}

/* One line of text, without its end. */
static int text_read(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, text, size - 1);
    int rc = n < 0 ? -errno : 0;
    close(fd);
    if (rc < 0)
        return rc;
    text[n] = 0;
    text[strcspn(text, "\r\n")] = 0;
    return text[0] ? 0 : -EINVAL;
}

static int cert_open(const struct hub_state *s, const struct hub_options *o)
{
    const char *names[HUB_REPEAT_MAX + 4] = {"localhost", "127.0.0.1", "::1"};
    unsigned count = 3;

    if (strcmp(o->listen, "127.0.0.1") != 0 && strcmp(o->listen, "::1") != 0 && strcmp(o->listen, "localhost") != 0)
        names[count++] = o->listen;
    for (unsigned i = 0; i < o->name_count; i++)
        names[count++] = o->names[i];
    if (hub_cert_is_usable(&s->cert, names, count))
        return 0;
    return complain(hub_cert_make(&s->cert, names, count, HUB_CERT_GOOD), "certificate", s->cert.cert);
}

static int string_write(const char *path, const struct hub_options *o, const struct hub_policy *policy, const char *port, const char *end)
{
    bool is_local = strcmp(o->listen, "127.0.0.1") == 0 || strcmp(o->listen, "0.0.0.0") == 0 || strcmp(o->listen, "::") == 0;
    bool is_six = strchr(o->listen, ':') && !is_local;
    char text[2048];

    snprintf(text, sizeof(text), "Endpoint=sb://%s%s%s%s/;SharedAccessKeyName=%s;SharedAccessKey=%s%s\n", is_six ? "[" : "",
             is_local ? "localhost" : o->listen, is_six ? "]" : "", port, policy->name, policy->key, end);
    return complain(hub_state_write_file(path, text), "connection string", path);
}

static int complain(int rc, const char *what, const char *name)
{
    if (rc < 0)
        fprintf(stderr, "ehring-hub: %s %s: %s\n", what, name, strerror(-rc));
    return rc;
}
