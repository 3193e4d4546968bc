/* Any bytes from a proxy, a WebSocket server or the environment: nothing breaks, what comes out never outruns what went in, an end has a
 * sentence, no secret gets into it. fuzz_transport [SEED [SECONDS]]      the same seed makes the same inputs */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shipper/proxy.h"
#include "shipper/websocket.h"
#include "tests/websocket_peer.h"

#define INPUT_BYTES_MAX 12000u
#define SECRET "Tm90QVNl"
#define CHECK(condition) ((condition) ? (void)0 : check_failed(#condition, __LINE__))

enum { PROXIES, UPGRADES, FRAMES, URLS, KINDS };
static uint64_t random_state, seed;
static char input[INPUT_BYTES_MAX + 1];
static size_t input_len;
static unsigned long accepted[KINDS], tried[KINDS];

static void check_failed(const char *condition, int line)
{
    fprintf(stderr, "fuzz_transport: seed %" PRIu64 ": line %d: %s does not hold for %zu bytes:\n", seed, line, condition, input_len);
    for (size_t i = 0; i < input_len; i++)
        fprintf(stderr, input[i] >= 0x20 && input[i] < 0x7f && input[i] != '\\' ? "%c" : "\\x%02x", (unsigned char)input[i]);
    fprintf(stderr, "\n");
    abort();
}

static size_t random_below(size_t limit)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (size_t)((z ^ z >> 31) % limit);
}

static void input_set(const void *bytes, size_t len)
{
    memcpy(input, bytes, len);
    input_len = len;
    input[len] = '\0';
}

static void input_add(const void *bytes, size_t len)
{
    if (input_len + len > INPUT_BYTES_MAX)
        return;
    memcpy(input + input_len, bytes, len);
    input_len += len;
    input[input_len] = '\0';
}

/* Some bytes changed, cut out, doubled, or put in from what means something here. */
static void input_spoil(void)
{
    static const char *const words[] = {"\r\n",
                                        "\r\n\r\n",
                                        "\n\n",
                                        "HTTP/1.1 ",
                                        "100 ",
                                        "407 ",
                                        " ",
                                        ":",
                                        "Connection: ",
                                        "Upgrade",
                                        "Content-Length: 99999999999",
                                        "Transfer-Encoding: chunked",
                                        "@",
                                        "[",
                                        "]",
                                        "%",
                                        "://",
                                        "/"};
    for (size_t rounds = random_below(4); rounds > 0 && input_len > 1; rounds--) {
        size_t at = random_below(input_len), len = random_below(input_len - at < 30 ? input_len - at : 30);
        const char *word = words[random_below(sizeof words / sizeof words[0])];
        switch (random_below(4)) {
        case 0:
            input[at] = (char)random_below(256);
            break;
        case 1:
            memmove(input + at, input + at + len, input_len - at - len);
            input_len -= len;
            break;
        case 2:
            input_add(input + at, len);
            break;
        default:
            input_add(word, strlen(word));
        }
    }
    input[input_len] = '\0';
}

static void fuzz_proxy(void)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\n\r\nAMQP", "HTTP/1.0 407 No\r\nProxy-Authenticate: Basic realm=x\r\nProxy-Authenticate: NTLM\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nVia: x\r\n\r\n", "HTTP/1.1 503 x\r\nA: b\r\n\r\n"};
    struct proxy_address address = {.host = "proxy.example", .port = 1, .user = "u", .password = SECRET};
    struct proxy *proxy;
    const char *answer = answers[random_below(4)];
    CHECK(proxy_open(&address, "ns.example", 5671, &proxy) == 0);
    input_set(answer, strlen(answer));
    input_spoil();
    ssize_t taken = 0;
    for (size_t at = 0; at < input_len && taken >= 0 && !proxy_is_ready(proxy); at += (size_t)taken) {
        size_t step = 1 + random_below(input_len - at);
        taken = proxy_input(proxy, (const uint8_t *)input + at, step);
        CHECK(taken <= (ssize_t)step);
        CHECK(taken == (ssize_t)step || taken < 0 || proxy_is_ready(proxy));
    }
    if (taken >= 0)
        proxy_input_end(proxy);
    CHECK(proxy_is_ready(proxy) == (proxy_error(proxy)[0] == '\0'));
    CHECK(!strstr(proxy_error(proxy), SECRET));
    tried[PROXIES]++;
    accepted[PROXIES] += proxy_is_ready(proxy);
    proxy_close(proxy);
}

static void websocket_feed(struct websocket *websocket)
{
    static uint8_t piece[INPUT_BYTES_MAX];
    const uint8_t *data;
    for (size_t at = 0, step; at < input_len; at += step) {
        step = 1 + random_below(input_len - at);
        memcpy(piece, input + at, step);
        size_t out = websocket_input(websocket, piece, step, piece);
        CHECK(out <= step);
        if (random_below(2) == 0)
            websocket_write(websocket, piece, step);
        if (random_below(2) == 0)
            websocket_output_done(websocket, websocket_output(websocket, &data));
        CHECK(!websocket_is_over(websocket) || (websocket_error(websocket)[0] != '\0' && websocket_error_code(websocket) < 0));
    }
}

static void fuzz_websocket(int kind)
{
    struct websocket *websocket;
    const uint8_t *data;
    char request[1024] = "", answer[512];
    CHECK(websocket_open("ns.example", 0, &websocket) == 0);
    size_t len = websocket_output(websocket, &data);
    memcpy(request, data, len);
    websocket_output_done(websocket, len);
    input_set(answer, ws_answer(request, answer, sizeof answer));
    if (kind == UPGRADES) {
        input_spoil();
        websocket_feed(websocket);
        accepted[kind] += websocket_is_ready(websocket);
    } else {
        static const uint8_t firsts[] = {0x82, 0x82, 0x82, 0x02, 0x00, 0x80, 0x89, 0x8a, 0x88, 0x81, 0xc2};
        static const uint8_t bytes[700] = {0x03, 0xe8, 'b', 'y', 'e'};
        websocket_feed(websocket);
        CHECK(websocket_is_ready(websocket));
        input_len = 0;
        for (size_t frames = 1 + random_below(12); frames > 0; frames--) {
            uint8_t frame[720], first = firsts[random_below(sizeof firsts)];
            input_add(frame, ws_frame(frame, first, bytes, random_below(first >= 0x88 ? 126 : sizeof bytes)));
        }
        if (random_below(4) > 0)
            input_spoil();
        websocket_feed(websocket);
        accepted[kind] += !websocket_is_over(websocket);
    }
    tried[kind]++;
    websocket_input_end(websocket);
    CHECK(websocket_is_over(websocket));
    websocket_close(websocket);
}

static void fuzz_url(void)
{
    static const char *const urls[] = {"http://u:" SECRET "@proxy.example:3128/", "[::1]:8080", "http://" SECRET "%41:" SECRET "@10.0.0.1",
                                       "socks5://h:1"};
    static const char *const lists[] = {"*", ".example,[::1]:443,10.0.0.0/8", "a b,c:1", "2001:db8::/32, ns.example"};
    struct proxy_address address;
    char why[300] = "";
    const char *url = urls[random_below(4)], *list = lists[random_below(4)];
    input_set(url, strlen(url));
    input_spoil();
    bool good = proxy_parse(input, &address, why, sizeof why) == 0;
    CHECK(good ? address.host[0] != '\0' && address.port != 0 : why[0] != '\0');
    CHECK(!strstr(why, SECRET));
    tried[URLS]++;
    accepted[URLS] += good;
    input_set(list, strlen(list));
    input_spoil();
    proxy_is_bypassed(input, random_below(2) ? "ns.example" : "10.1.2.3", 443);
    proxy_is_bypassed("10.1.2.3,::1,[::1],ns.example", input, 443);
}

int main(int argc, char **argv)
{
    static const char *const names[KINDS] = {"proxies", "upgrades", "frames", "addresses"};
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 2;
    random_state = seed;
    printf("fuzz_transport: seed %" PRIu64 "\n", seed);
    for (clock_t end = clock() + (clock_t)(seconds * CLOCKS_PER_SEC); clock() < end;) {
        fuzz_proxy();
        fuzz_websocket(UPGRADES);
        fuzz_websocket(FRAMES);
        fuzz_url();
    }
    for (int i = 0; i < KINDS; i++) {
        printf("%s: %lu tried, %lu taken\n", names[i], tried[i], accepted[i]);
        if (accepted[i] == 0 || accepted[i] == tried[i]) {
            fprintf(stderr, "fuzz_transport: the %s do not reach both ways\n", names[i]);
            return 1;
        }
    }
    return 0;
}
