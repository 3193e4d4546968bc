/* The chain and the Azure CLI: order, what passes on and what stops, what AZURE_TOKEN_CREDENTIALS leaves; az as a script on PATH. */
#include "entra_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "port_rig.h"

static struct credential_options options;
static struct credential_memory memory;
static struct credential_result result;
static struct credential_limits limits;
static char imds_gone[64];
static int imds_gone_fd;

static void set_up(void)
{
    uint16_t port;
    entra_open();
    limits = entra_limits;
    options = (struct credential_options){.kind = CREDENTIAL_DEFAULT};
    imds_gone_fd = port_reserve(&port);
    snprintf(imds_gone, sizeof imds_gone, "http://127.0.0.1:%u", port);
    setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", imds_gone, 1);
    setenv("AZURE_AUTHORITY_HOST", entra_authority(), 1);
    setenv("PATH", entra.dir, 1); /* and no az there */
}

static void tear_down(void)
{
    setenv("PATH", "/usr/bin:/bin", 1);
    credential_token_give(result.token);
    close(imds_gone_fd);
    entra_close();
}

TestSuite(credential_chain, .init = set_up, .fini = tear_down, .timeout = 120);

static void fetch(enum credential_verdict verdict)
{
    credential_token_give(result.token);
    credential_fetch(&options, &limits, &memory, -1, INT64_MAX, &result);
    cr_assert_eq(result.verdict, verdict, "verdict %d: %s", result.verdict, result.error);
    cr_assert_eq(result.token != NULL, verdict == CREDENTIAL_GIVEN);
}

static void az(const char *script)
{
    char text[4096];
    snprintf(text, sizeof text, "#!/bin/sh\nPATH=/usr/bin:/bin\necho \"$*\" >>%s/asked\n%s\n", entra.dir, script);
    cr_assert_eq(chmod(entra_file("az", text), 0755), 0);
}

static const char *az_asked(void) /* "": it was not run */
{
    static char text[4096];
    char path[128];
    snprintf(path, sizeof path, "%s/asked", entra.dir);
    FILE *file = fopen(path, "r");
    text[0] = '\0';
    if (file) {
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        fclose(file);
    }
    return text;
}

static const char *az_answer(const char *more)
{
    static char script[1024];
    snprintf(script, sizeof script,
             "echo '{\"accessToken\":\"" ENTRA_TOKEN "\",%s\"subscription\":\"s\",\"tenant\":\"t\",\"tokenType\":\"Bearer\"}'", more);
    return script;
}

static void environment_secret(void)
{
    setenv("AZURE_TENANT_ID", "t-1", 1);
    setenv("AZURE_CLIENT_ID", "c-1", 1);
    setenv("AZURE_CLIENT_SECRET", "hunter2", 1);
}

Test(credential_chain, with_nothing_at_hand_every_link_says_why)
{
    fetch(CREDENTIAL_ABSENT);
    entra_expect(result.error, "default: no credential is available: environment: neither AZURE_CLIENT_SECRET nor");
    entra_expect(
        result.error,
        "; workload-identity: not set: tenant_id (AZURE_TENANT_ID), client_id (AZURE_CLIENT_ID), token_file (AZURE_FEDERATED_TOKEN_FILE)");
    entra_expect(result.error, "; managed-identity: no IMDS at http://127.0.0.1:");
    entra_expect(result.error, "; azure-cli: az is not on PATH");
    cr_assert_eq(memory.found, CREDENTIAL_SAS);
}

Test(credential_chain, the_environment_comes_first_its_secret_before_its_certificate)
{
    environment_secret();
    setenv("AZURE_CLIENT_CERTIFICATE_PATH", "/nowhere", 1);
    setenv("AZURE_FEDERATED_TOKEN_FILE", entra_file("token", "t.o.k"), 1);
    az(az_answer("\"expires_on\":4102444800,"));
    fetch(CREDENTIAL_GIVEN);
    cr_assert_str_eq(entra_field(entra.request[0].body, "client_secret"), "hunter2");
    cr_assert_eq(entra.request_count, 1);
    cr_assert_eq(memory.found, CREDENTIAL_ENVIRONMENT);
}

Test(credential_chain, the_environments_certificate_is_taken_where_there_is_no_secret)
{
    environment_secret();
    unsetenv("AZURE_CLIENT_SECRET");
    setenv("AZURE_CLIENT_CERTIFICATE_PATH", "/nowhere/app.pem", 1);
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "environment: /nowhere/app.pem cannot be read");
}

Test(credential_chain, then_workload_identity)
{
    environment_secret();
    unsetenv("AZURE_CLIENT_SECRET");
    setenv("AZURE_FEDERATED_TOKEN_FILE", entra_file("token", "t.o.k"), 1);
    setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", entra_plain(""), 1);
    fetch(CREDENTIAL_GIVEN);
    cr_assert_str_eq(entra_field(entra.request[0].body, "client_assertion"), "t.o.k");
    cr_assert_eq(memory.found, CREDENTIAL_WORKLOAD_IDENTITY);
}

Test(credential_chain, then_managed_identity)
{
    setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", entra_plain(""), 1);
    az(az_answer("\"expires_on\":4102444800,"));
    fetch(CREDENTIAL_GIVEN);
    cr_assert_eq(entra.request_count, 2);
    cr_assert_eq(memory.found, CREDENTIAL_MANAGED_IDENTITY);
    cr_assert_str_eq(az_asked(), "");
}

Test(credential_chain, then_the_azure_cli_also_when_imds_knows_no_identity)
{
    setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", entra_plain(""), 1);
    ENTRA_ANSWERS({.status = 400, .body = "{}"});
    az(az_answer("\"expires_on\":4102444800,"));
    fetch(CREDENTIAL_GIVEN);
    cr_assert_eq(memory.found, CREDENTIAL_AZURE_CLI);
    cr_assert_str_eq(az_asked(), "account get-access-token --output json --resource https://eventhubs.azure.net\n");
}

Test(credential_chain, who_is_configured_and_fails_stops_the_chain)
{
    environment_secret();
    az(az_answer("\"expires_on\":4102444800,"));
    ENTRA_ANSWERS({.status = 401, .body = "{\"error_description\":\"AADSTS7000215: no\"}"});
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "environment: localhost");
    entra_expect(result.remedy, "wrong");
    ENTRA_ANSWERS({.status = 503, .body = "{}"});
    fetch(CREDENTIAL_LATER);
    cr_assert_str_eq(az_asked(), "");
    cr_assert_eq(memory.found, CREDENTIAL_SAS);
}

Test(credential_chain, the_first_that_worked_is_asked_alone_from_then_on)
{
    az(az_answer("\"expires_on\":4102444800,"));
    fetch(CREDENTIAL_GIVEN);
    environment_secret(); /* too late */
    fetch(CREDENTIAL_GIVEN);
    cr_assert_eq(entra.request_count, 0);
    az("echo 'ERROR: Please run: az login' >&2; exit 1");
    fetch(CREDENTIAL_ABSENT);
    cr_assert_eq(entra.request_count, 0);
    entra_expect(result.error, "az login");
}

static void choice(const char *value, enum credential_verdict verdict, const char *text)
{
    setenv("AZURE_TOKEN_CREDENTIALS", value, 1);
    memory = (struct credential_memory){0};
    fetch(verdict);
    if (text)
        entra_expect(result.error, text);
}

Test(credential_chain, a_variable_leaves_a_part_of_the_chain_or_one_of_it)
{
    az(az_answer("\"expires_on\":4102444800,"));
    choice("prod", CREDENTIAL_ABSENT, "managed-identity: no IMDS");
    entra_expect_not(result.error, "azure-cli");
    choice("", CREDENTIAL_GIVEN, NULL);
    environment_secret();
    int before = entra.request_count;
    choice("dev", CREDENTIAL_GIVEN, NULL);
    cr_assert_eq(memory.found, CREDENTIAL_AZURE_CLI);
    choice(" AzureCLICredential ", CREDENTIAL_GIVEN, NULL);
    cr_assert_eq(entra.request_count, before);
    choice("PROD", CREDENTIAL_GIVEN, NULL);
    cr_assert_eq(memory.found, CREDENTIAL_ENVIRONMENT);
    choice("environmentcredential", CREDENTIAL_GIVEN, NULL);
    choice("WorkloadIdentityCredential", CREDENTIAL_ABSENT, "token_file");
    choice("ManagedIdentityCredential", CREDENTIAL_ABSENT, "managed-identity: no IMDS");
}

Test(credential_chain, an_unknown_choice_is_an_error_that_names_what_there_is)
{
    environment_secret();
    choice("VisualStudioCodeCredential", CREDENTIAL_REFUSED,
           "AZURE_TOKEN_CREDENTIALS is \"VisualStudioCodeCredential\": it may be prod, dev, EnvironmentCredential");
    choice("production", CREDENTIAL_REFUSED, "\"production\"");
    cr_assert_eq(entra.request_count, 0);
}

Test(credential_chain, every_kind_has_the_name_that_the_configuration_gives_it)
{
    static const char *const name[CREDENTIAL_KINDS] = {
        "key", "default", "environment", "client-secret", "client-certificate", "workload-identity", "managed-identity", "azure-cli"};
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++)
        cr_assert_str_eq(credential_kind_name((enum credential_kind)kind), name[kind]);
}

/* ---- the Azure CLI by itself ---- */

Test(credential_chain, az_is_asked_for_a_tenants_token_and_its_end_believed)
{
    options.kind = CREDENTIAL_AZURE_CLI;
    strcpy(options.tenant_id, "contoso.example");
    az(az_answer("\"expiresOn\":\"2001-01-01 00:00:00.000000\",\"expires_on\":4102444800,"));
    fetch(CREDENTIAL_GIVEN);
    cr_assert_str_eq(az_asked(),
                     "account get-access-token --output json --resource https://eventhubs.azure.net --tenant contoso.example\n");
    cr_assert_eq(result.token->expires_ns / CLOCK_NS_PER_SECOND > time(NULL) + 1000000, true);
    cr_assert_str_eq(result.token->text, ENTRA_TOKEN);
}

Test(credential_chain, an_old_az_tells_the_end_in_local_time)
{
    char more[100], date[40];
    time_t end = time(NULL) + 4000;
    options.kind = CREDENTIAL_AZURE_CLI;
    setenv("TZ", "EST5", 1);
    tzset();
    strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", localtime(&end));
    snprintf(more, sizeof more, "\"expiresOn\":\"%s.123456\",", date);
    az(az_answer(more));
    fetch(CREDENTIAL_GIVEN);
    cr_assert_eq(result.token->expires_ns / CLOCK_NS_PER_SECOND, end, "%s", date);
}

Test(credential_chain, az_runs_in_bin_without_colours_and_with_ordinary_signals)
{
    sigset_t all;
    options.kind = CREDENTIAL_AZURE_CLI;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    signal(SIGPIPE, SIG_IGN);
    az("test \"$PWD\" = /bin || test \"$(pwd -P)\" = \"$(cd /bin && pwd -P)\" || { echo \"in $PWD\" >&2; exit 3; }\n"
       "test \"$AZURE_CORE_NO_COLOR\" = true || exit 4\n"
       "grep -q '^SigBlk:.0000000000000000' /proc/$$/status || exit 5\n"
       "test -z \"$(cat <&0)\" || exit 6\n"
       "echo '{\"accessToken\":\"a\",\"expires_on\":4102444800}'");
    fetch(CREDENTIAL_GIVEN);
}

Test(credential_chain, az_that_is_not_logged_in_is_unavailable)
{
    options.kind = CREDENTIAL_AZURE_CLI;
    az("echo 'ERROR: Please run '\"'az login'\"' to setup account.' >&2; exit 1");
    fetch(CREDENTIAL_ABSENT);
    entra_expect(result.error, "azure-cli: not logged in (az login): ERROR: Please run 'az login' to setup account.");
}

Test(credential_chain, az_that_fails_otherwise_is_told_with_its_first_line)
{
    options.kind = CREDENTIAL_AZURE_CLI;
    az("echo 'ERROR: AADSTS90002: Tenant not found eyJhbGciOi.eyJh.x' >&2; echo more >&2; exit 7");
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "az ends with status 7: ERROR: AADSTS90002: Tenant not found ***");
    entra_expect(result.remedy, "tenant");
    az("kill -9 $$");
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "azure-cli: az "); /* the shell may be the one that tells of the signal */
}

Test(credential_chain, az_that_answers_garbage_is_refused)
{
    options.kind = CREDENTIAL_AZURE_CLI;
    az("echo warning: new version; echo '{'");
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "is not JSON");
    az("head -c 100000 /dev/zero | tr '\\0' x");
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "az writes more than 65536 bytes");
    az("head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1");
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "az writes more than 8192 bytes");
}

/* true: some process has the text in its environment or command line */
static bool process_lives(const char *text)
{
    bool found = false;
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; (entry = readdir(proc));) {
        char path[300], line[4096];
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        ssize_t len = read(fd, line, sizeof line - 1);
        close(fd);
        for (ssize_t i = 0; i + 1 < len; i++)
            if (line[i] == '\0')
                line[i] = ' ';
        line[len > 0 ? len : 0] = '\0';
        found |= strstr(line, text) != NULL;
    }
    closedir(proc);
    return found;
}

Test(credential_chain, az_that_hangs_is_ended_with_its_children)
{
    char marker[32], script[128];
    options.kind = CREDENTIAL_AZURE_CLI;
    snprintf(marker, sizeof marker, "sleep %d.77", 1000000 + (int)getpid());
    snprintf(script, sizeof script, "%s & %s", marker, marker);
    az(script);
    limits.cli_ms = 300;
    fetch(CREDENTIAL_ABSENT);
    entra_expect(result.error, "az has not answered within 300 ms and was ended");
    for (int i = 0; i < 1000 && process_lives(marker); i++)
        usleep(10000);
    cr_assert_not(process_lives(marker));
}

Test(credential_chain, az_may_leave_a_child_that_holds_its_output)
{
    char script[1200];
    options.kind = CREDENTIAL_AZURE_CLI;
    snprintf(script, sizeof script, "/bin/sleep 20 & %s", az_answer("\"expires_on\":4102444800,"));
    az(script);
    limits.cli_ms = 15000;
    fetch(CREDENTIAL_GIVEN);
    cr_expect_str_eq(result.token->text, ENTRA_TOKEN);
}

Test(credential_chain, az_that_hangs_ends_with_the_word_to_stop)
{
    int stop[2];
    options.kind = CREDENTIAL_AZURE_CLI;
    az("sleep 1000");
    cr_assert_eq(pipe(stop), 0);
    cr_assert_eq(write(stop[1], "x", 1), 1);
    credential_fetch(&options, &credential_limits_default, &memory, stop[0], INT64_MAX, &result);
    cr_assert_eq(result.verdict, CREDENTIAL_LATER);
    entra_expect(result.error, "stopped");
}

Test(credential_chain, nothing_of_a_tenant_reaches_the_shell_but_a_name)
{
    static const char *const bad[] = {"a;touch x", "$(x)", "a b", "`x`", "-x", "a'b", "a\nb"};
    options.kind = CREDENTIAL_AZURE_CLI;
    az("exit 9");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        strcpy(options.tenant_id, bad[i]);
        fetch(CREDENTIAL_REFUSED);
        entra_expect(result.error, "tenant_id has a character other than");
    }
    cr_assert_str_eq(az_asked(), "");
}

Test(credential_chain, no_descriptor_and_no_process_is_left)
{
    int before = dup(0);
    close(before);
    options.kind = CREDENTIAL_AZURE_CLI;
    az(az_answer("\"expires_on\":4102444800,"));
    for (int i = 0; i < 5; i++)
        fetch(CREDENTIAL_GIVEN);
    az("head -c 100000 /dev/zero");
    fetch(CREDENTIAL_REFUSED);
    int after = dup(0);
    close(after);
    cr_assert_eq(after, before, "descriptor %d, before %d", after, before);
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
    cr_assert_eq(errno, ECHILD);
}
