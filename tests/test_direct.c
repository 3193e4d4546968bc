/* libehring-direct against a real ehring-hub process: what a program that waits for the outcome sees. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <unistd.h>

#include "shipper/ehring_direct.h"
#include "tests/port_rig.h"

#define TIMEOUT_MS 20000
#define ARGS_MAX 40

static char dir[64];
static char connection[2048]; /* over TLS */
static char plain[2048];
static char ca_file[256];
static pid_t hub;
static struct ehring_direct *direct;
static char error[EHRING_DIRECT_ERROR_BYTES];

static void read_text(const char *name, char *to, size_t cap)
{
    char path[512];
    snprintf(path, sizeof path, name[0] == '/' ? "%s" : "%s/%s", name[0] == '/' ? name : dir, name);
    int fd = open(path, O_RDONLY);
    cr_assert_geq(fd, 0, "%s", path);
    ssize_t len = read(fd, to, cap - 1);
    cr_assert_geq(len, 0);
    to[len] = '\0';
    to[strcspn(to, "\n")] = '\0';
    close(fd);
}

/* Starts a hub that dies with this test; reads its ready line. `extra` ends with NULL. */
static void hub_start(const char *amqp_port, const char *amqps_port, const char *const *extra)
{
    char program[512], state[80], store[80], line[1024] = "", path[512];
    const char *args[ARGS_MAX] = {program,       "--amqp-port", amqp_port,      "--amqps-port", amqps_port,
                                  "--state-dir", state,         "--store-file", store};
    int count = 9, out[2], sync[2];
    snprintf(program, sizeof program, "%s/ehring-hub", getenv("EHRING_BUILD") ? getenv("EHRING_BUILD") : "build");
    snprintf(state, sizeof state, "%s/state", dir);
    snprintf(store, sizeof store, "%s/store", dir);
    while (extra && *extra)
        args[count++] = *extra++;
    cr_assert_eq(pipe(out), 0);
    cr_assert_eq(pipe(sync), 0);
    pid_t parent = getpid();
    hub = fork();
    if (hub == 0) {
        dup2(out[1], 1);
        dup2(open("/dev/null", O_WRONLY), 2);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        execv(program, (char *const *)(uintptr_t)args);
        _exit(127);
    }
    close(out[1]);
    close(sync[0]);
    close(sync[1]);
    size_t len = 0;
    while (len < sizeof line - 1 && !strchr(line, '\n')) {
        ssize_t got = read(out[0], line + len, sizeof line - 1 - len);
        cr_assert_gt(got, 0, "no ready line of %s", program);
        len += (size_t)got;
        line[len] = '\0';
    }
    close(out[0]);
    cr_assert_eq(sscanf(line, "ready amqp=%*s amqps=%*s ca=%255s connection_string_file=%511s", ca_file, path), 2, "%s", line);
    read_text(path, connection, sizeof connection);
    snprintf(path, sizeof path, "%s/connection-string-plain", state);
    read_text(path, plain, sizeof plain);
}

static void hub_stop(void)
{
    if (hub > 0) {
        kill(hub, SIGTERM);
        waitpid(hub, NULL, 0);
    }
    hub = 0;
}

static void rig_open(void)
{
    snprintf(dir, sizeof dir, "/tmp/ehring-test-direct-XXXXXX");
    cr_assert(mkdtemp(dir));
}

static void rig_close(void)
{
    char command[128];
    ehring_direct_close(direct);
    hub_stop();
    snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_assert_eq(system(command), 0);
}

TestSuite(direct, .init = rig_open, .fini = rig_close, .timeout = 60);

static void up(void)
{
    hub_start("0", "0", NULL);
    struct ehring_direct_options options = {.hub = "hub1", .ca_file = ca_file};
    cr_assert_eq(ehring_direct_open(connection, &options, &direct, error, sizeof error), 0, "%s", error);
}

/* What the hub has stored, as JSON lines; it must have ended. The caller frees it. */
static char *stored(void)
{
    char command[1024];
    size_t cap = 1 << 22, len = 0;
    char *text = calloc(1, cap);
    hub_stop();
    snprintf(command, sizeof command, "%s/ehring-hub --dump %s/store", getenv("EHRING_BUILD") ? getenv("EHRING_BUILD") : "build", dir);
    FILE *from = popen(command, "r");
    cr_assert(from);
    size_t got;
    while ((got = fread(text + len, 1, cap - 1 - len, from)) > 0)
        len += got;
    cr_assert_eq(pclose(from), 0);
    return text;
}

static int lines_with(const char *text, const char *needle)
{
    int count = 0;
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");
        char *copy = strndup(line, len);
        count += strstr(copy, needle) != NULL;
        free(copy);
        line += len + (line[len] == '\n');
    }
    return count;
}

Test(direct, stores_a_single_event_over_tls)
{
    up();
    cr_assert_eq(ehring_direct_message_bytes_max(direct), 1048576);
    struct ehring_direct_property properties[2] = {{.name = "line", .type = EHRING_DIRECT_INT, .value.i64 = 7},
                                                   {.name = "unit", .type = EHRING_DIRECT_TEXT, .value.text = "kelvin"}};
    struct ehring_direct_event event = {.data = "hello",
                                        .len = 5,
                                        .content_type = "text/plain",
                                        .message_id = "m-0001",
                                        .correlation_id = "c-0002",
                                        .properties = properties,
                                        .property_count = 2};
    cr_assert_eq(ehring_direct_send(direct, &event, NULL, NULL, TIMEOUT_MS), EHRING_DIRECT_ACCEPTED, "%s", ehring_direct_error(direct));
    cr_assert_str_eq(ehring_direct_error(direct), "");
    char *text = stored();
    cr_assert_eq(lines_with(text, ""), 1, "%s", text);
    const char *const expected[] = {"text/plain", "m-0001", "c-0002", "kelvin", "line"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        cr_assert(strstr(text, expected[i]), "%s in %s", expected[i], text);
    free(text);
}

Test(direct, stores_over_plain_tcp_when_the_string_says_emulator)
{
    hub_start("0", "0", NULL);
    struct ehring_direct_options options = {.hub = "hub1"};
    cr_assert_eq(ehring_direct_open(plain, &options, &direct, error, sizeof error), 0, "%s", error);
    struct ehring_direct_event event = {.data = "hello", .len = 5};
    cr_assert_eq(ehring_direct_send(direct, &event, NULL, NULL, TIMEOUT_MS), 0, "%s", ehring_direct_error(direct));
}

Test(direct, stores_a_batch_as_events_of_one_key)
{
    enum { COUNT = 1000 };
    static struct ehring_direct_event events[COUNT];
    static char bodies[COUNT][32];
    up();
    for (int i = 0; i < COUNT; i++) {
        snprintf(bodies[i], sizeof bodies[i], "event-%04d", i);
        events[i] = (struct ehring_direct_event){.data = bodies[i], .len = strlen(bodies[i])};
    }
    cr_assert_eq(ehring_direct_send_batch(direct, events, COUNT, "device-42", NULL, TIMEOUT_MS), 0, "%s", ehring_direct_error(direct));
    char *text = stored();
    cr_assert_eq(lines_with(text, ""), COUNT);
    cr_assert_eq(lines_with(text, "device-42"), COUNT);
    free(text);
}

Test(direct, stores_in_the_partition_that_is_asked_for)
{
    up();
    struct ehring_direct_event event = {.data = "hello", .len = 5};
    for (int i = 0; i < 3; i++)
        cr_assert_eq(ehring_direct_send(direct, &event, NULL, "2", TIMEOUT_MS), 0, "%s", ehring_direct_error(direct));
    cr_assert_eq(ehring_direct_send_batch(direct, &event, 1, NULL, "3", TIMEOUT_MS), 0, "%s", ehring_direct_error(direct));
    char *text = stored();
    cr_assert_eq(lines_with(text, "\"partition\":2") + lines_with(text, "\"partition\":\"2\""), 3, "%s", text);
    cr_assert_eq(lines_with(text, "\"partition\":3") + lines_with(text, "\"partition\":\"3\""), 1, "%s", text);
    free(text);
}

Test(direct, stores_bodies_of_many_frames_and_of_none)
{
    up();
    size_t len = 1000000;
    char *body = malloc(len);
    memset(body, 'x', len);
    struct ehring_direct_event events[2] = {{.data = body, .len = len}, {.data = NULL, .len = 0}};
    cr_assert_eq(ehring_direct_send(direct, &events[0], NULL, NULL, TIMEOUT_MS), 0, "%s", ehring_direct_error(direct));
    cr_assert_eq(ehring_direct_send(direct, &events[1], NULL, NULL, TIMEOUT_MS), 0, "%s", ehring_direct_error(direct));
    cr_assert_eq(ehring_direct_send_batch(direct, events, 2, "k", NULL, TIMEOUT_MS), 0, "%s", ehring_direct_error(direct));
    free(body);
}

Test(direct, refuses_a_batch_over_the_links_maximum_naming_both)
{
    up();
    size_t len = 600000;
    char *body = calloc(1, len);
    struct ehring_direct_event events[2] = {{.data = body, .len = len}, {.data = body, .len = len}};
    cr_assert_eq(ehring_direct_send_batch(direct, events, 2, NULL, NULL, TIMEOUT_MS), -EMSGSIZE);
    cr_assert(strstr(ehring_direct_error(direct), "1048576"), "%s", ehring_direct_error(direct));
    cr_assert(strstr(ehring_direct_error(direct), "12000"), "%s", ehring_direct_error(direct));
    cr_assert_eq(ehring_direct_send(direct, &events[0], NULL, NULL, TIMEOUT_MS), 0, "the handle goes on");
    free(body);
}

Test(direct, refuses_arguments_that_make_no_sense)
{
    up();
    char long_key[200];
    memset(long_key, 'k', sizeof long_key);
    long_key[129] = '\0';
    struct ehring_direct_event event = {.data = "hello", .len = 5}, bad_text = {.data = "x", .len = 1, .message_id = "\xff"};
    cr_assert_eq(ehring_direct_send(direct, &event, "k", "1", TIMEOUT_MS), -EINVAL);
    cr_assert(strstr(ehring_direct_error(direct), "together"));
    cr_assert_eq(ehring_direct_send(direct, &event, long_key, NULL, TIMEOUT_MS), -EINVAL);
    cr_assert(strstr(ehring_direct_error(direct), "129"));
    cr_assert_eq(ehring_direct_send(direct, &event, "\xc3(", NULL, TIMEOUT_MS), -EILSEQ);
    cr_assert_eq(ehring_direct_send(direct, &event, NULL, "two", TIMEOUT_MS), -EINVAL);
    cr_assert_eq(ehring_direct_send(direct, &bad_text, NULL, NULL, TIMEOUT_MS), -EILSEQ);
    cr_assert_eq(ehring_direct_send_batch(direct, &event, 0, NULL, NULL, TIMEOUT_MS), -EINVAL);
    long_key[128] = '\0';
    cr_assert_eq(ehring_direct_send(direct, &event, long_key, NULL, TIMEOUT_MS), 0, "%s", ehring_direct_error(direct));
}

Test(direct, tells_of_a_partition_that_does_not_exist)
{
    up();
    struct ehring_direct_event event = {.data = "hello", .len = 5};
    cr_assert_lt(ehring_direct_send(direct, &event, NULL, "99", TIMEOUT_MS), 0);
    cr_assert(strstr(ehring_direct_error(direct), "hub1/Partitions/99"), "%s", ehring_direct_error(direct));
    cr_assert_neq(ehring_direct_condition(direct)[0], '\0');
    cr_assert_eq(ehring_direct_send(direct, &event, NULL, "3", TIMEOUT_MS), 0, "%s", ehring_direct_error(direct));
}

Test(direct, tells_policy_and_hub_of_a_wrong_key)
{
    hub_start("0", "0", NULL);
    char *key = strstr(connection, "SharedAccessKey=");
    cr_assert(key);
    key[strlen("SharedAccessKey=")] ^= 1;
    struct ehring_direct_options options = {.hub = "hub1", .ca_file = ca_file};
    cr_assert_eq(ehring_direct_open(connection, &options, &direct, error, sizeof error), -EACCES, "%s", error);
    cr_assert(strstr(error, "hub1") && strstr(error, "RootManageSharedAccessKey"), "%s", error);
    cr_assert_not(strstr(error, key + strlen("SharedAccessKey=")), "no key in the text");
}

Test(direct, tells_of_a_hub_that_does_not_exist)
{
    hub_start("0", "0", NULL);
    char *entity = strstr(connection, ";EntityPath=");
    if (entity)
        *entity = '\0';
    struct ehring_direct_options options = {.hub = "nohub", .ca_file = ca_file};
    cr_assert_eq(ehring_direct_open(connection, &options, &direct, error, sizeof error), -ENOENT, "%s", error);
    cr_assert(strstr(error, "nohub"), "%s", error);
}

Test(direct, names_the_issuer_of_a_certificate_it_does_not_trust)
{
    hub_start("0", "0", NULL);
    struct ehring_direct_options options = {.hub = "hub1"};
    cr_assert_eq(ehring_direct_open(connection, &options, &direct, error, sizeof error), -EPROTO);
    cr_assert(strstr(error, "not trusted") && strstr(error, "ca_file"), "%s", error);
}

Test(direct, says_what_is_wrong_with_a_connection_string)
{
    cr_assert_eq(ehring_direct_open("Endpoint=sb://127.0.0.1/;SharedAccessKeyName=n", NULL, &direct, error, sizeof error), -EINVAL);
    cr_assert_neq(error[0], '\0');
    cr_assert_eq(ehring_direct_open("Endpoint=sb://127.0.0.1/;SharedAccessKeyName=n;SharedAccessKey=k", NULL, &direct, error, sizeof error),
                 -EINVAL);
    cr_assert(strstr(error, "hub"), "%s", error);
    struct ehring_direct_options options = {.hub = "b"};
    cr_assert_eq(ehring_direct_open("Endpoint=sb://127.0.0.1/;SharedAccessKeyName=n;SharedAccessKey=k;EntityPath=a", &options, &direct,
                                    error, sizeof error),
                 -EINVAL);
    cr_assert(strstr(error, "b is not the connection string's EntityPath a"), "%s", error);
}

Test(direct, tells_that_nobody_listens)
{
    cr_assert_eq(ehring_direct_open("Endpoint=sb://127.0.0.1:1/;SharedAccessKeyName=n;SharedAccessKey=k;EntityPath=a", NULL, &direct, error,
                                    sizeof error),
                 -ECONNREFUSED);
    cr_assert(strstr(error, "127.0.0.1 port 1"), "%s", error);
}

Test(direct, gives_up_on_a_peer_that_says_nothing)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_len = sizeof address;
    char text[256];
    int mute = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(mute, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(mute, 1), 0);
    cr_assert_eq(getsockname(mute, (struct sockaddr *)&address, &address_len), 0);
    snprintf(text, sizeof text, "Endpoint=sb://127.0.0.1:%u/;SharedAccessKeyName=n;SharedAccessKey=k;EntityPath=a",
             ntohs(address.sin_port));
    struct ehring_direct_options options = {.connect_timeout_ms = 200};
    cr_assert_eq(ehring_direct_open(text, &options, &direct, error, sizeof error), -ETIMEDOUT, "%s", error);
    close(mute);
}

Test(direct, connects_anew_after_the_hub_was_away)
{
    char port_text[16];
    uint16_t port;
    int port_fd = port_reserve(&port);
    snprintf(port_text, sizeof port_text, "%u", port);
    hub_start("0", port_text, NULL);
    struct ehring_direct_options options = {.hub = "hub1", .ca_file = ca_file};
    cr_assert_eq(ehring_direct_open(connection, &options, &direct, error, sizeof error), 0, "%s", error);
    struct ehring_direct_event event = {.data = "before", .len = 6};
    cr_assert_eq(ehring_direct_send(direct, &event, NULL, "1", TIMEOUT_MS), 0);
    hub_stop();
    cr_assert_lt(ehring_direct_send(direct, &event, NULL, "1", 2000), 0, "nobody there");
    cr_assert_neq(ehring_direct_error(direct)[0], '\0');
    hub_start("0", port_text, NULL);
    event.data = "after!";
    cr_assert_eq(ehring_direct_send(direct, &event, NULL, "1", TIMEOUT_MS), 0, "%s", ehring_direct_error(direct));
    ehring_direct_close(direct);
    direct = NULL;
    char *text = stored();
    cr_assert_eq(lines_with(text, ""), 2, "%s", text);
    free(text);
    close(port_fd);
}

Test(direct, tells_rejections_with_their_condition)
{
    static const char *const extra[] = {"--fault", "throttle:1", NULL};
    hub_start("0", "0", extra);
    struct ehring_direct_options options = {.hub = "hub1", .ca_file = ca_file};
    cr_assert_eq(ehring_direct_open(connection, &options, &direct, error, sizeof error), 0, "%s", error);
    struct ehring_direct_event event = {.data = "x", .len = 1};
    cr_assert_eq(ehring_direct_send(direct, &event, NULL, NULL, TIMEOUT_MS), EHRING_DIRECT_REJECTED);
    cr_assert_str_eq(ehring_direct_condition(direct), "com.microsoft:server-busy");
    cr_assert(strstr(ehring_direct_error(direct), "server-busy"), "%s", ehring_direct_error(direct));
}

Test(direct, tells_that_the_outcome_is_unknown_when_it_does_not_come)
{
    static const char *const silent[] = {"--fault", "silent-disposition:1", NULL};
    hub_start("0", "0", silent);
    struct ehring_direct_options options = {.hub = "hub1", .ca_file = ca_file};
    cr_assert_eq(ehring_direct_open(connection, &options, &direct, error, sizeof error), 0, "%s", error);
    struct ehring_direct_event event = {.data = "x", .len = 1};
    cr_assert_eq(ehring_direct_send(direct, &event, NULL, NULL, 2000), EHRING_DIRECT_UNKNOWN, "%s", ehring_direct_error(direct));
    cr_assert_neq(ehring_direct_error(direct)[0], '\0');
}

Test(direct, tells_that_the_outcome_is_unknown_when_the_connection_is_cut)
{
    static const char *const drop[] = {"--fault", "drop-after:1", NULL};
    hub_start("0", "0", drop);
    struct ehring_direct_options options = {.hub = "hub1", .ca_file = ca_file};
    cr_assert_eq(ehring_direct_open(connection, &options, &direct, error, sizeof error), 0, "%s", error);
    struct ehring_direct_event event = {.data = "x", .len = 1};
    cr_assert_eq(ehring_direct_send(direct, &event, NULL, NULL, TIMEOUT_MS), EHRING_DIRECT_UNKNOWN, "%s", ehring_direct_error(direct));
    cr_assert_neq(ehring_direct_error(direct)[0], '\0');
}
