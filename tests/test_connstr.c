/* Connection strings as they come from the portal, from the emulator and from people. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shipper/connstr.h"

#define ENDPOINT "Endpoint=sb://contoso.servicebus.windows.net/"
#define PAIR "SharedAccessKeyName=send;SharedAccessKey=c2VjcmV0a2V5c2VjcmV0a2V5c2VjcmV0a2V5c2VjcmV0a2U="

static struct connstr parsed;
static char why[256];

static void good(const char *text)
{
    why[0] = '\0';
    cr_assert_eq(connstr_parse(text, &parsed, why, sizeof why), 0, "%s: %s", text, why);
}

static void bad(const char *text, const char *about)
{
    why[0] = '\0';
    cr_expect_eq(connstr_parse(text, &parsed, why, sizeof why), -EINVAL, "`%s` was taken", text);
    cr_expect_not_null(strstr(why, about), "`%s` gave: %s", text, why);
    static const struct connstr wiped;
    cr_expect_eq(memcmp(&parsed, &wiped, sizeof wiped), 0, "pieces of `%s` are left", text);
}

Test(connstr, the_portals_string_is_taken_apart)
{
    good(ENDPOINT ";" PAIR ";EntityPath=orders");
    cr_expect_str_eq(parsed.host, "contoso.servicebus.windows.net");
    cr_expect_eq(parsed.port, 0);
    cr_expect_str_eq(parsed.key_name, "send");
    cr_expect_str_eq(parsed.key, "c2VjcmV0a2V5c2VjcmV0a2V5c2VjcmV0a2V5c2VjcmV0a2U=");
    cr_expect_str_eq(parsed.hub, "orders");
    cr_expect_str_eq(parsed.signature, "");
    cr_expect_not(parsed.emulator);
}

Test(connstr, order_case_spaces_and_unknown_names_do_not_matter)
{
    good(" sharedaccesskey = a=b= ;ENTITYPATH= hub ; TransportType=Amqp;;endpoint = SB://h:1234 ; SharedAccessKeyName=n;\n");
    cr_expect_str_eq(parsed.host, "h");
    cr_expect_eq(parsed.port, 1234);
    cr_expect_str_eq(parsed.key, "a=b=");
    cr_expect_str_eq(parsed.hub, "hub");
}

Test(connstr, the_emulators_string_is_for_the_local_host_only)
{
    good(
        "Endpoint=sb://localhost;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;");
    cr_expect(parsed.emulator);
    good("Endpoint=sb://127.3.2.1:5673;" PAIR ";UseDevelopmentEmulator=true");
    cr_expect_eq(parsed.port, 5673);
    good("Endpoint=sb://[::1]:5673/;" PAIR ";UseDevelopmentEmulator=true");
    cr_expect_str_eq(parsed.host, "::1");
    good(ENDPOINT ";" PAIR ";UseDevelopmentEmulator=false");
    bad(ENDPOINT ";" PAIR ";UseDevelopmentEmulator=true", "no TLS");
    bad("Endpoint=sb://10.0.0.1;" PAIR ";UseDevelopmentEmulator=true", "no TLS");
    bad("Endpoint=sb://127.0.0.1.example.com;" PAIR ";UseDevelopmentEmulator=true", "no TLS");
    bad("Endpoint=sb://localhost;" PAIR ";UseDevelopmentEmulator=yes", "true or false");
    bad("Endpoint=sb://localhost;" PAIR ";UseDevelopmentEmulator=True", "true or false");
}

Test(connstr, a_ready_signature_excludes_the_key_pair)
{
    good(ENDPOINT ";SharedAccessSignature=SharedAccessSignature sr=a&sig=b%3D&se=12&skn=c;EntityPath=hub");
    cr_expect_str_eq(parsed.signature, "SharedAccessSignature sr=a&sig=b%3D&se=12&skn=c");
    bad(ENDPOINT ";" PAIR ";SharedAccessSignature=SharedAccessSignature sr=a", "excludes");
    bad(ENDPOINT ";SharedAccessSignature=sr=a&sig=b", "ready token");
}

Test(connstr, what_is_wrong_is_said)
{
    bad("", "Endpoint is missing");
    bad(PAIR, "Endpoint is missing");
    bad("HostName=x.azure-devices.net;" PAIR, "IoT Hub");
    bad(ENDPOINT, "are missing");
    bad(ENDPOINT ";SharedAccessKey=k", "SharedAccessKeyName is missing");
    bad(ENDPOINT ";SharedAccessKeyName=k", "SharedAccessKey is missing");
    bad(ENDPOINT ";SharedAccessKeyName=;SharedAccessKey=k", "part 2 of the connection string has no value");
    bad(ENDPOINT ";=x;" PAIR, "has no name");
    bad(ENDPOINT ";" PAIR ";Endpoint=sb://other", "Endpoint is given twice");
    bad(ENDPOINT ";" PAIR ";rubbish", "not NAME=VALUE");
    bad(ENDPOINT ";" PAIR ";EntityPath=a\nb", "line break");
    bad("Endpoint=contoso;" PAIR, "sb://HOST/");
    bad("Endpoint=https://contoso/;" PAIR, "sb://HOST/");
    bad("Endpoint=sb:///;" PAIR, "host is missing");
    bad("Endpoint=sb://a b/;" PAIR, "no host name");
    bad("Endpoint=sb://user@host/;" PAIR, "no host name");
    bad("Endpoint=sb://host/path;" PAIR, "no host name");
    bad("Endpoint=sb://[::1;" PAIR, "closing bracket");
    static const char *const ports[] = {"", "0", "65536", "99999999", "1x", "-1", "+1", " 1"};
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
        char text[256];
        snprintf(text, sizeof text, "Endpoint=sb://host:%s/;" PAIR, ports[i]);
        bad(text, "1 to 65535");
    }
}

Test(connstr, limits_are_those_of_the_fields)
{
    static char long_text[4096], text[8192];
    struct {
        const char *format;
        size_t limit;
    } cases[] = {
        {"Endpoint=sb://%s/;" PAIR, 255},
        {ENDPOINT ";" PAIR ";EntityPath=%s", 256},
        {ENDPOINT ";SharedAccessKeyName=%s;SharedAccessKey=k", 256},
        {ENDPOINT ";SharedAccessKeyName=n;SharedAccessKey=%s", 512},
        {ENDPOINT ";SharedAccessSignature=SharedAccessSignature %s", 2048 - 22},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memset(long_text, 'x', sizeof long_text);
        long_text[cases[i].limit + 1] = '\0';
        snprintf(text, sizeof text, cases[i].format, long_text);
        bad(text, "are allowed");
        long_text[cases[i].limit] = '\0';
        snprintf(text, sizeof text, cases[i].format, long_text);
        good(text);
    }
}

Test(connstr, no_message_holds_a_piece_of_the_string)
{
    static const char *const texts[] = {
        "hunter2secret",
        "hunter2secret=",
        "=hunter2secret",
        ENDPOINT ";SharedAccessKey=hunter2secret",
        ENDPOINT ";hunter2secret=",
        "Endpoint=hunter2secret;" PAIR,
        "Endpoint=sb://hunter2secret!/;" PAIR,
        ENDPOINT ";SharedAccessSignature=hunter2secret",
        ENDPOINT ";" PAIR ";SharedAccessKey=hunter2secret",
        ENDPOINT ";" PAIR ";UseDevelopmentEmulator=hunter2secret",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        bad(texts[i], "");
        cr_expect_null(strstr(why, "hunter2"), "%s", why);
    }
}

Test(connstr, a_message_is_cut_to_its_buffer)
{
    char small[8];
    memset(small, 'z', sizeof small);
    cr_assert_eq(connstr_parse("", &parsed, small, 5), -EINVAL);
    cr_assert_str_eq(small, "Endp");
    cr_assert_eq(small[5], 'z');
}
