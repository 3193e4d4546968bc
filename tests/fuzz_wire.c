/* Any bytes as connection string, configuration, meta block or frames: nothing breaks, sizes told are sizes written, no secret gets into a
 * message. fuzz_wire [SEED [SECONDS]]      the same seed makes the same inputs */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "ringbuf/ring_layout.h"
#include "shipper/amqp.h"
#include "shipper/config.h"
#include "shipper/connstr.h"
#include "shipper/format.h"

#define INPUT_BYTES_MAX 16384u
#define SECRET "Tm90QVNlY3JldEtleUZvckFueWJvZHlCdXRUaGlzVGVzdA=="
#define SECRET_PART "Tm90QVNl"
#define CHECK(condition) ((condition) ? (void)0 : check_failed(#condition, __LINE__))

static uint64_t random_state, seed;
static uint8_t input[INPUT_BYTES_MAX + 1];
static size_t input_len;
static char config_path[64];
static unsigned long accepted[4], tried[4];

static void check_failed(const char *condition, int line)
{
    fprintf(stderr, "fuzz_wire: seed %" PRIu64 ": line %d: %s does not hold for %zu bytes:\n", seed, line, condition, input_len);
    for (size_t i = 0; i < input_len; i++)
        fprintf(stderr, input[i] >= 0x20 && input[i] < 0x7f && input[i] != '\\' ? "%c" : "\\x%02x", input[i]);
    fprintf(stderr, "\n");
    unlink(config_path);
    abort();
}

static uint64_t random_next(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static size_t random_below(size_t limit)
{
    return (size_t)(random_next() % limit);
}

static void input_set(const void *bytes, size_t len)
{
    memcpy(input, bytes, len);
    input_len = len;
}

static void input_splice(size_t at, size_t removed, const void *bytes, size_t len)
{
    if (input_len - removed + len > INPUT_BYTES_MAX)
        return;
    memmove(input + at + len, input + at + removed, input_len - at - removed);
    memcpy(input + at, bytes, len);
    input_len = input_len - removed + len;
}

/* One to eight small changes: a byte, a piece gone, a piece twice, a token put in. */
static void input_mutate(const char *const *tokens, size_t token_count)
{
    for (size_t changes = random_below(8) + 1; changes > 0; changes--) {
        size_t at = random_below(input_len + 1), piece = random_below(input_len - at + 1), len = piece > 64 ? piece % 64 : piece;
        uint8_t copy[64], byte = (uint8_t)random_next();
        const char *token = tokens[random_below(token_count)];
        switch (random_below(5)) {
        case 0:
            input_splice(at, at < input_len ? 1 : 0, &byte, 1);
            break;
        case 1:
            input_splice(at, len, "", 0);
            break;
        case 2:
            memcpy(copy, input + at, len);
            input_splice(random_below(input_len + 1), 0, copy, len);
            break;
        case 3:
            input_splice(at, 0, token, strlen(token));
            break;
        case 4:
            input_splice(at, len, token, strlen(token));
            break;
        default:
            break;
        }
    }
}

static bool holds_secret(const char *text)
{
    return strstr(text, SECRET_PART) != NULL;
}

/* ---- connection strings ---- */

static void fuzz_connstr(void)
{
    static const char *const starts[] = {
        "Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=" SECRET ";EntityPath=orders",
        "Endpoint=sb://[::1]:5672;SharedAccessKeyName=send;SharedAccessKey=" SECRET ";UseDevelopmentEmulator=true;",
        "Endpoint=sb://h/;SharedAccessSignature=SharedAccessSignature sr=a&sig=" SECRET "&se=17&skn=x",
    };
    static const char *const tokens[] = {";",
                                         "=",
                                         "Endpoint=",
                                         "sb://",
                                         ":5671",
                                         "[",
                                         "]",
                                         ("SharedAccessKey=" SECRET),
                                         "EntityPath=x",
                                         " ",
                                         "\n",
                                         ";;",
                                         "/",
                                         "true",
                                         "UseDevelopmentEmulator=true;",
                                         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"};
    const char *start = starts[random_below(sizeof starts / sizeof *starts)];
    struct connstr connstr;
    char why[200] = "";
    input_set(start, strlen(start));
    input_mutate(tokens, sizeof tokens / sizeof *tokens);
    input[input_len] = '\0';
    int result = connstr_parse((const char *)input, &connstr, why, sizeof why);
    CHECK(result == 0 || result == -EINVAL);
    tried[0]++;
    if (result != 0) {
        CHECK(why[0] != '\0' && !holds_secret(why));
        return;
    }
    accepted[0]++;
    CHECK(connstr.host[0] != '\0');
    CHECK((connstr.key[0] != '\0') == (connstr.key_name[0] != '\0'));
    CHECK((connstr.key[0] != '\0') != (connstr.signature[0] != '\0'));
    CHECK(!connstr.emulator || strncmp(connstr.host, "127.", 4) == 0 || strcasecmp(connstr.host, "localhost") == 0 ||
          strcmp(connstr.host, "::1") == 0);
}

/* ---- configurations ---- */

static void config_text(void *to, size_t cap, const struct config *config)
{
    FILE *file = fmemopen(to, cap - 1, "w");
    assert(file != NULL);
    config_print(config, file);
    fclose(file);
}

static void fuzz_config(void)
{
    static const char start[] =
        "[shipper]\nrings = /dev/shm/ehring\nworkers = 2\nlog_level = info, pool=debug\n[stream orders]\nhub = orders\nconnection_string = "
        "Endpoint=sb://contoso/;SharedAccessKeyName=send;SharedAccessKey=" SECRET
        "\nlinger_ms = 7 ; short\n[stream clicks]\nhub = c\nnamespace = n\n"
        "shared_access_key_name = p\nshared_access_key = " SECRET "\ninflight_bytes_max = 64 MiB\n";
    static const char *const tokens[] = {"\n",
                                         "=",
                                         "[",
                                         "]",
                                         "[stream x]\n",
                                         "hub = y\n",
                                         ";",
                                         "#",
                                         " ",
                                         "${",
                                         "}",
                                         "${env:EHRING_FUZZ_SECRET}",
                                         "${env:NONE}",
                                         "MiB",
                                         "\xef\xbb\xbf",
                                         "-1",
                                         "18446744073709551616",
                                         "[shipper]",
                                         "workers",
                                         ":",
                                         "\r\n",
                                         "group = xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"};
    static char messages[1 << 16], shown[1 << 16], shown_without[1 << 16];
    input_set(start, sizeof start - 1);
    input_mutate(tokens, sizeof tokens / sizeof *tokens);
    FILE *file = fopen(config_path, "w");
    assert(file != NULL);
    fwrite(input, 1, input_len, file);
    fclose(file);
    memset(messages, 0, sizeof messages);
    memset(shown, 0, sizeof shown);
    memset(shown_without, 0, sizeof shown_without);
    FILE *errors = fmemopen(messages, sizeof messages - 1, "w");
    struct config *config;
    int result = config_read(config_path, &config, errors);
    fclose(errors);
    tried[1]++;
    if (result != 0) {
        CHECK(config == NULL && messages[0] != '\0');
        return; /* a mutation may have put a piece of the key where a name is expected: what is quoted then is a name */
    }
    accepted[1]++;
    CHECK(config->stream_count > 0 && config->workers >= 1 && config->workers <= CONFIG_WORKERS_MAX);
    config_text(shown, sizeof shown, config);
    for (uint32_t i = 0; i < config->stream_count; i++) {
        CHECK(config->stream[i].door.hub[0] != '\0' && config->stream[i].door.connstr.host[0] != '\0');
        memset(config->stream[i].door.connstr.key, '#', strlen(config->stream[i].door.connstr.key));
        memset(config->stream[i].door.connstr.signature, '#', strlen(config->stream[i].door.connstr.signature));
    }
    config_text(shown_without, sizeof shown_without, config);
    CHECK(strcmp(shown, shown_without) == 0); /* what is shown does not depend on the secrets */
    config_free(config);
}

/* ---- meta blocks ---- */

static void tlv_put(uint8_t tag, uint8_t type, const char *name, const void *value, uint32_t value_len)
{
    struct ring_tlv tlv = {tag, type, (uint16_t)strlen(name), value_len};
    input_splice(input_len, 0, &tlv, sizeof tlv);
    input_splice(input_len, 0, name, strlen(name));
    input_splice(input_len, 0, value, value_len);
}

static void fuzz_meta(void)
{
    static const char *const tokens[] = {"\xff\xff\xff\xff", "\1\1",         "\6\1",     "\6\7", "\6\3\1",
                                         "\xc3\xa4",         "\xed\xa0\x80", "abcdefgh", "\x80", "\x10"};
    static struct amqp_event event;
    static uint8_t filler[300];
    int64_t number = (int64_t)random_next() >> random_below(64);
    input_len = 0;
    for (uint8_t tag = RING_META_CONTENT_TYPE; tag <= RING_META_TRACEPARENT; tag++)
        if (random_below(2))
            tlv_put(tag, RING_TYPE_STRING, "", "application/json", 16);
    for (size_t count = random_below(12); count > 0; count--) {
        tlv_put(RING_META_PROPERTY, (uint8_t)(RING_TYPE_INT + random_below(4)), "number", &number, 8);
        tlv_put(RING_META_PROPERTY, random_below(2) ? RING_TYPE_STRING : RING_TYPE_BINARY, "text", filler,
                (uint32_t)random_below(sizeof filler));
    }
    if (random_below(3))
        input_mutate(tokens, sizeof tokens / sizeof *tokens);

    uint8_t *meta = malloc(input_len + 1); /* exactly as long: a sanitizer sees a read behind it */
    memcpy(meta, input, input_len);
    event.key = random_below(2) ? (struct amqp_text){filler, (uint32_t)random_below(sizeof filler)} : (struct amqp_text){0};
    event.creation_ms = (int64_t)random_below(2);
    event.body_len = (uint32_t)random_below(1000);
    int result = amqp_event_from_meta(meta, (uint32_t)input_len, &event);
    CHECK(result == 0 || result == -EBADMSG);
    tried[2]++;
    if (result == 0) {
        size_t head_len = amqp_event_bytes(&event) - event.body_len;
        uint8_t *head = malloc(head_len);
        CHECK(amqp_encode_event_head(&event, head, head_len - 1) == -ENOSPC);
        CHECK(amqp_encode_event_head(&event, head, head_len) == (int64_t)head_len);
        accepted[2]++;
        free(head);
    }
    free(meta);
}

/* ---- frames: cut differently, the outcome is the same ---- */

static size_t frames_filter(uint8_t *data, size_t len, size_t step)
{
    struct format_filter filter = {0};
    size_t passed = 0;
    for (size_t seen = step < len ? step : len;; seen = seen + step < len ? seen + step : len) {
        int64_t count = format_filter(&filter, data + passed, seen - passed);
        CHECK(count == -EBADMSG || (count >= 0 && (size_t)count <= seen - passed));
        if (count < 0)
            return SIZE_MAX;
        passed += (size_t)count;
        if (seen == len)
            return passed;
    }
}

/* clang-format off */
static void fuzz_format(void)
{
    static const char start[] = "AMQP\0\1\0\0\0\0\0\x22\2\0\0\0\0\x53\x14\xc0\x10\4\x43\x43\xa0\x08" "ABCDEFGH" "\x43paylo\0\0\0\x08\2\0\0\0"
                                "\0\0\0\x22\2\0\0\0\0\x53\x14\xc0\x10\4\x43\x43\xa0\x08" "ABCDEFGH" "\x43paylo";
    static const char *const tokens[] = {"AMQP", "\2", "\xd0", "\x70", "\x43", "\x40", "\xa0\x08", "\x53\x14"};
    static uint8_t whole[INPUT_BYTES_MAX], cut[INPUT_BYTES_MAX];
    input_set(start, sizeof start - 1);
    input_mutate(tokens, sizeof tokens / sizeof *tokens);
    if (input_len == 0)
        return;
    memcpy(whole, input, input_len);
    memcpy(cut, input, input_len);
    size_t whole_passed = frames_filter(whole, input_len, input_len), cut_passed = frames_filter(cut, input_len, random_below(9) + 1);
    CHECK(whole_passed == cut_passed);
    CHECK(memcmp(whole, cut, input_len) == 0);
    tried[3]++;
    accepted[3] += whole_passed != SIZE_MAX;
}
/* clang-format on */

int main(int argc, char **argv)
{
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 2;
    static const char *const names[4] = {"connection strings", "configurations", "meta blocks", "frames"};
    strcpy(config_path, "/tmp/ehring-fuzz-XXXXXX");
    int fd = mkstemp(config_path);
    assert(fd >= 0);
    close(fd);
    setenv("EHRING_FUZZ_SECRET", SECRET, 1);
    random_state = seed;
    printf("fuzz_wire: seed %" PRIu64 "\n", seed);
    for (clock_t end = clock() + (clock_t)(seconds * CLOCKS_PER_SEC); clock() < end;) {
        for (int i = 0; i < 50; i++) {
            fuzz_connstr();
            fuzz_meta();
            fuzz_format();
        }
        fuzz_config();
    }
    unlink(config_path);
    for (int i = 0; i < 4; i++) {
        printf("%s: %lu tried, %lu taken\n", names[i], tried[i], accepted[i]);
        if (accepted[i] == 0 || accepted[i] == tried[i]) {
            fprintf(stderr, "fuzz_wire: the %s do not reach both ways\n", names[i]);
            return 1;
        }
    }
    return 0;
}
