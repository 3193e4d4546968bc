/* The files a hub leaves for its clients: certificates they can trust, strings they can use, secrets nobody else can read. */
#include <criterion/criterion.h>

#include "tools/hub/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    char dir[64];
    struct hub_options o;
    struct hub_policies policies;
    struct hub_state state;
};

static void place_open(struct place *p, const char *listen)
{
    *p = (struct place){.dir = "/tmp/ehring-hub-state.XXXXXX"};
    cr_assert_not_null(mkdtemp(p->dir));
    p->o = (struct hub_options){.listens = {listen}, .listen_count = 1, .state_dir = p->dir, .policy = "send", .listen_policy = "listen"};
    cr_assert_eq(hub_state_open(&p->state, &p->o, &p->policies), 0);
}

/* What a hub started again in the same place sees. */
static void place_again(struct place *p)
{
    p->policies.count = 0;
    cr_assert_eq(hub_state_open(&p->state, &p->o, &p->policies), 0);
}

static void place_close(struct place *p)
{
    p->state.is_temporary = true;
    hub_state_close(&p->state);
    cr_expect_neq(access(p->dir, F_OK), 0, "something is left in %s", p->dir);
}

static void file_read(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "r");

    cr_assert_not_null(file, "%s is missing", path);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

static unsigned mode_of(const char *path)
{
    struct stat st;

    cr_assert_eq(stat(path, &st), 0, "%s is missing", path);
    return st.st_mode & 0777;
}

Test(hub_state, secrets_are_readable_by_their_owner_alone)
{
    struct place p;
    char key[80];

    umask(0);
    place_open(&p, "127.0.0.1");
    cr_assert_eq(hub_state_write_strings(&p.state, &p.o, &p.policies, 5672, 5671), 0);
    snprintf(key, sizeof key, "%s/key", p.dir);
    cr_expect_eq(mode_of(p.state.cert.key), 0600);
    cr_expect_eq(mode_of(key), 0600);
    cr_expect_eq(mode_of(p.state.connection_string), 0600);
    cr_expect_eq(mode_of(p.state.connection_string_plain), 0600);
    place_close(&p);
}

Test(hub_state, connection_strings_name_a_port_only_where_it_is_not_the_usual_one)
{
    static const struct {
        const char *listen;
        uint16_t amqp, amqps;
        const char *tls, *plain;
    } rows[] = {
        {"127.0.0.1", 5672, 5671, "Endpoint=sb://localhost/;", "Endpoint=sb://localhost/;"},
        {"127.0.0.71", 1234, 5671, "Endpoint=sb://127.0.0.71/;", "Endpoint=sb://127.0.0.71:1234/;"},
        {"::1", 1234, 4321, "Endpoint=sb://[::1]:4321/;", "Endpoint=sb://[::1]:1234/;"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct place p;
        char text[1024], rest[600];
        place_open(&p, rows[i].listen);
        cr_assert_eq(hub_state_write_strings(&p.state, &p.o, &p.policies, rows[i].amqp, rows[i].amqps), 0);
        snprintf(rest, sizeof rest, "SharedAccessKeyName=send;SharedAccessKey=%s", p.policies.at[0].key);
        file_read(p.state.connection_string, text, sizeof text);
        cr_expect_eq(strncmp(text, rows[i].tls, strlen(rows[i].tls)), 0, "%zu", i);
        text[strcspn(text, "\n")] = '\0';
        cr_expect_str_eq(text + strlen(rows[i].tls), rest);
        file_read(p.state.connection_string_plain, text, sizeof text);
        cr_expect_eq(strncmp(text, rows[i].plain, strlen(rows[i].plain)), 0, "%zu", i);
        strcat(rest, ";UseDevelopmentEmulator=true\n");
        cr_expect_str_eq(text + strlen(rows[i].plain), rest);
        place_close(&p);
    }
}

Test(hub_state, a_hub_started_again_in_its_place_has_the_same_key_and_authority)
{
    struct place p;
    char before[4096], after[4096], key[HUB_KEY_MAX];

    place_open(&p, "127.0.0.1");
    file_read(p.state.cert.ca, before, sizeof before);
    memcpy(key, p.policies.at[0].key, sizeof key);
    cr_expect_gt(strlen(key), 40);
    place_again(&p);
    file_read(p.state.cert.ca, after, sizeof after);
    cr_expect_str_eq(after, before);
    cr_expect_str_eq(p.policies.at[0].key, key);
    place_close(&p);
}

Test(hub_state, a_new_name_or_a_damaged_file_makes_a_new_certificate)
{
    static const char *const names[] = {"localhost", "hub.ehring.test", "127.0.0.71"};
    struct place p;
    char before[4096], after[4096];

    place_open(&p, "127.0.0.71");
    file_read(p.state.cert.cert, before, sizeof before);
    cr_expect_not(hub_cert_is_usable(&p.state.cert, names, 3));
    p.o.names[p.o.name_count++] = names[1];
    place_again(&p);
    file_read(p.state.cert.cert, after, sizeof after);
    cr_expect_str_neq(after, before);
    cr_expect(hub_cert_is_usable(&p.state.cert, names, 3));
    cr_assert_eq(truncate(p.state.cert.cert, 100), 0);
    place_again(&p);
    cr_expect(hub_cert_is_usable(&p.state.cert, names, 3));
    place_close(&p);
}

Test(hub_state, the_second_key_and_the_policy_that_may_only_listen_have_strings_of_their_own)
{
    static const struct {
        const char *file;
        unsigned policy;
        const char *name, *end;
    } rows[] = {
        {"connection-string-secondary", 1, "send", "\n"},
        {"connection-string-secondary-plain", 1, "send", ";UseDevelopmentEmulator=true\n"},
        {"connection-string-listen", 2, "listen", "\n"},
        {"connection-string-listen-plain", 2, "listen", ";UseDevelopmentEmulator=true\n"},
    };
    struct place p;

    place_open(&p, "127.0.0.1");
    cr_assert_eq(p.policies.count, 3);
    cr_expect_str_neq(p.policies.at[0].key, p.policies.at[1].key);
    cr_expect_str_eq(p.policies.at[1].name, "send");
    cr_expect_eq(p.policies.at[1].rights, HUB_RIGHT_ALL);
    cr_expect_eq(p.policies.at[2].rights, HUB_RIGHT_LISTEN);
    cr_assert_eq(hub_state_write_strings(&p.state, &p.o, &p.policies, 5672, 5671), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char path[128], text[1024], expected[1024];
        snprintf(path, sizeof path, "%s/%s", p.dir, rows[i].file);
        file_read(path, text, sizeof text);
        cr_expect_eq(mode_of(path), 0600, "%s", rows[i].file);
        snprintf(expected, sizeof expected, "Endpoint=sb://localhost/;SharedAccessKeyName=%s;SharedAccessKey=%s%s", rows[i].name,
                 p.policies.at[rows[i].policy].key, rows[i].end);
        cr_expect_str_eq(text, expected, "%s", rows[i].file);
    }
    place_close(&p);
}

Test(hub_state, a_bad_certificate_is_presented_and_the_good_one_and_its_authority_stay)
{
    const char *cert, *key;
    struct place p;
    char ca[4096], good[4096], after[4096];

    place_open(&p, "127.0.0.1");
    file_read(p.state.cert.ca, ca, sizeof ca);
    file_read(p.state.cert.cert, good, sizeof good);
    p.o.cert_fault = "expired";
    place_again(&p);
    hub_state_certificate(&p.state, &p.o, &cert, &key);
    file_read(cert, after, sizeof after);
    cr_expect_str_neq(after, good);
    cr_expect_eq(mode_of(key), 0600);
    file_read(p.state.cert.ca, after, sizeof after);
    cr_expect_str_eq(after, ca);
    p.o.cert_fault = NULL;
    place_again(&p);
    hub_state_certificate(&p.state, &p.o, &cert, &key);
    file_read(cert, after, sizeof after);
    cr_expect_str_eq(after, good);
    place_close(&p);
}

Test(hub_state, a_client_certificate_is_written_where_it_is_asked_for)
{
    struct place p;
    char dir[128], cert[160], key[160];

    place_open(&p, "127.0.0.1");
    snprintf(dir, sizeof dir, "%s/client", p.dir);
    snprintf(cert, sizeof cert, "%s/client.pem", dir);
    snprintf(key, sizeof key, "%s/client.key", dir);
    p.o.client_cert_dir = dir;
    place_again(&p);
    cr_expect_eq(mode_of(key), 0600);
    cr_expect_eq(mode_of(p.state.cert.ca_key), 0600);
    cr_expect_eq(access(cert, R_OK), 0);
    unlink(cert);
    unlink(key);
    rmdir(dir);
    place_close(&p);
}

Test(hub_state, the_emulators_key_is_accepted_only_when_asked_for)
{
    struct place p;

    place_open(&p, "127.0.0.1");
    cr_expect_not(hub_policies_match(&p.policies, "RootManageSharedAccessKey", "SAS_KEY_VALUE"));
    p.o.emulator = true;
    place_again(&p);
    cr_expect(hub_policies_match(&p.policies, "RootManageSharedAccessKey", "SAS_KEY_VALUE"));
    cr_expect(hub_policies_match(&p.policies, "send", p.policies.at[0].key));
    cr_expect_not(hub_policies_match(&p.policies, "send", "SAS_KEY_VALUE"));
    place_close(&p);
}
