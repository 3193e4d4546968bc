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

enum { KEY_BYTES = 32, KEYS = 3 };

/* The policies' keys: their files, and what stands in the names of the connection strings made of them. */
static const struct {
    const char *file, *string;
} keys[KEYS] = {{"key", ""}, {"secondary-key", "-secondary"}, {"listen-key", "-listen"}};

static int directory_make(struct hub_state *s, const char *wanted);
static int keys_open(const struct hub_state *s, const struct hub_options *o, struct hub_policies *policies);
static int key_open(const char *given, const char *path, char *key, size_t size);
static int key_make(const char *path, char *key, size_t size);
static int text_read(const char *path, char *text, size_t size);
static int certs_open(const struct hub_state *s, const struct hub_options *o);
static int cert_open(const struct hub_state *s, const struct hub_options *o);
static int client_cert_make(const struct hub_state *s, const char *dir);
static int string_write(const char *path, const struct hub_options *o, const struct hub_policy *policy, const char *port, const char *end);
static int complain(int rc, const char *what, const char *name);

int hub_state_open(struct hub_state *s, const struct hub_options *o, struct hub_policies *policies)
{
    int rc = directory_make(s, o->state_dir);

    if (rc < 0)
        return complain(rc, "state directory", o->state_dir ? o->state_dir : "$TMPDIR");
    snprintf(s->cert.ca, sizeof(s->cert.ca), "%s/ca.pem", s->dir);
    snprintf(s->cert.ca_key, sizeof(s->cert.ca_key), "%s/ca.key", s->dir);
    s->bad_cert = s->cert;
    snprintf(s->cert.cert, sizeof(s->cert.cert), "%s/server.pem", s->dir);
    snprintf(s->cert.key, sizeof(s->cert.key), "%s/server.key", s->dir);
    snprintf(s->bad_cert.cert, sizeof(s->bad_cert.cert), "%s/bad.pem", s->dir);
    snprintf(s->bad_cert.key, sizeof(s->bad_cert.key), "%s/bad.key", s->dir);
    snprintf(s->connection_string, sizeof(s->connection_string), "%s/connection-string", s->dir);
    snprintf(s->connection_string_plain, sizeof(s->connection_string_plain), "%s/connection-string-plain", s->dir);
    rc = keys_open(s, o, policies);
    if (rc < 0)
        return rc;
    if (o->emulator)
        hub_policies_add(policies, "RootManageSharedAccessKey", "SAS_KEY_VALUE", HUB_RIGHT_ALL);
    return certs_open(s, o);
}

int hub_state_write_strings(const struct hub_state *s, const struct hub_options *o, const struct hub_policies *policies, uint16_t amqp,
                            uint16_t amqps)
{
    char path[4096], port[8] = "";
    int rc = 0;

    for (unsigned i = 0; i < KEYS && amqps && rc == 0; i++) {
        if (amqps != 5671)
            snprintf(port, sizeof(port), ":%u", amqps);
        snprintf(path, sizeof(path), "%s/connection-string%s", s->dir, keys[i].string);
        rc = string_write(path, o, &policies->at[i], port, "");
    }
    port[0] = 0;
    for (unsigned i = 0; i < KEYS && amqp && rc == 0; i++) {
        if (amqp != 5672)
            snprintf(port, sizeof(port), ":%u", amqp);
        snprintf(path, sizeof(path), "%s/connection-string%s-plain", s->dir, keys[i].string);
        rc = string_write(path, o, &policies->at[i], port, ";UseDevelopmentEmulator=true");
    }
    return rc;
}

void hub_state_certificate(const struct hub_state *s, const struct hub_options *o, const char **cert, const char **key)
{
    const struct hub_cert_files *own = o->cert_fault ? &s->bad_cert : &s->cert;

    *cert = o->cert ? o->cert : own->cert;
    *key = o->cert ? o->key : own->key;
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
    char path[4096];

    if (!s->is_temporary)
        return;
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(path, sizeof(path), "%s/%s", s->dir, keys[i].file);
        unlink(path);
        snprintf(path, sizeof(path), "%s/connection-string%s", s->dir, keys[i].string);
        unlink(path);
        snprintf(path, sizeof(path), "%s/connection-string%s-plain", s->dir, keys[i].string);
        unlink(path);
    }
    unlink(s->cert.ca);
    unlink(s->cert.ca_key);
    unlink(s->cert.cert);
    unlink(s->cert.key);
    unlink(s->bad_cert.cert);
    unlink(s->bad_cert.key);
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

/* In the order of `keys`: the primary and the secondary key of one policy, and the key of the one that may only listen. */
static int keys_open(const struct hub_state *s, const struct hub_options *o, struct hub_policies *policies)
{
    const char *const given[KEYS] = {o->key_file, o->secondary_key_file, NULL};
    const char *const names[KEYS] = {o->policy, o->policy, o->listen_policy};
    char path[4096], key[HUB_KEY_MAX];
    int rc = 0;

    for (unsigned i = 0; i < KEYS && rc == 0; i++) {
        snprintf(path, sizeof(path), "%s/%s", s->dir, keys[i].file);
        rc = complain(key_open(given[i], path, key, sizeof(key)), "key file", given[i] ? given[i] : path);
        if (rc == 0)
            rc = complain(hub_policies_add(policies, names[i], key, i == 2 ? HUB_RIGHT_LISTEN : HUB_RIGHT_ALL), "policy", names[i]);
    }
    return rc;
}

/* The key of a given file, else of the one of the state directory, which is made if it is not there. */
static int key_open(const char *given, const char *path, char *key, size_t size)
{
    int rc = text_read(given ? given : path, key, size);

    return rc == -ENOENT && !given ? key_make(path, key, size) : rc;
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

static int certs_open(const struct hub_state *s, const struct hub_options *o)
{
    int rc = o->no_tls || o->cert ? 0 : cert_open(s, o);

    return rc == 0 && o->client_cert_dir ? client_cert_make(s, o->client_cert_dir) : rc;
}

static int cert_open(const struct hub_state *s, const struct hub_options *o)
{
    const char *names[HUB_REPEAT_MAX * 2 + 4] = {"localhost", "127.0.0.1", "::1"};
    enum hub_cert_fault fault = HUB_CERT_GOOD;
    unsigned count = 3;

    for (unsigned i = 0; i < o->listen_count; i++) {
        const char *name = o->listens[i];
        if (strcmp(name, "127.0.0.1") != 0 && strcmp(name, "::1") != 0 && strcmp(name, "localhost") != 0)
            names[count++] = name;
    }
    for (unsigned i = 0; i < o->name_count; i++)
        names[count++] = o->names[i];
    if (o->cert_fault) {
        hub_cert_fault_read(o->cert_fault, &fault);
        return complain(hub_cert_make(&s->bad_cert, names, count, fault), "certificate", s->bad_cert.cert);
    }
    if (hub_cert_is_usable(&s->cert, names, count))
        return 0;
    return complain(hub_cert_make(&s->cert, names, count, HUB_CERT_GOOD), "certificate", s->cert.cert);
}

static int client_cert_make(const struct hub_state *s, const char *dir)
{
    char cert[4096], key[4096];

    if (strlen(dir) + sizeof("/client.pem") > sizeof(cert))
        return complain(-ENAMETOOLONG, "client certificate directory", dir);
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return complain(-errno, "client certificate directory", dir);
    snprintf(cert, sizeof(cert), "%s/client.pem", dir);
    snprintf(key, sizeof(key), "%s/client.key", dir);
    return complain(hub_cert_make_client(&s->cert, cert, key), "client certificate", cert);
}

static int string_write(const char *path, const struct hub_options *o, const struct hub_policy *policy, const char *port, const char *end)
{
    const char *address = o->listens[0];
    bool is_local = strcmp(address, "127.0.0.1") == 0 || strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
    bool is_six = strchr(address, ':') && !is_local;
    char text[2048];

    snprintf(text, sizeof(text), "Endpoint=sb://%s%s%s%s/;SharedAccessKeyName=%s;SharedAccessKey=%s%s\n", is_six ? "[" : "",
             is_local ? "localhost" : address, is_six ? "]" : "", port, policy->name, policy->key, end);
    return complain(hub_state_write_file(path, text), "connection string", path);
}

static int complain(int rc, const char *what, const char *name)
{
    if (rc < 0)
        fprintf(stderr, "ehring-hub: %s %s: %s\n", what, name, strerror(-rc));
    return rc;
}
