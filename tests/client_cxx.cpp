// The installed headers from C++17: everything a program would call, against a ring of its own. Exit status 0 if all went well.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "ehring.h"
#include "ehring_json.h"

static int failures = 0;

static void expect(bool ok, const char *what)
{
    if (!ok) {
        std::fprintf(stderr, "client_cxx: %s\n", what);
        failures++;
    }
}

static void send_all_forms(ehring *ring)
{
    const std::string text = "from C++";
    expect(ehring_send(ring, text.data(), text.size(), nullptr) == 0, "send");
    expect(ehring_send_text(ring, text.c_str(), "key") == 0, "send_text");

    const std::vector<ehring_property> properties = {
        ehring_property_text("text", "value"), ehring_property_bool("bool", true),    ehring_property_int("int", -1),
        ehring_property_uint("uint", 1),       ehring_property_double("double", 0.5), ehring_property_timestamp("time", 1700000000000),
    };
    ehring_event event{};
    event.data = text.data();
    event.len = text.size();
    event.partition_id = "1";
    event.properties = properties.data();
    event.property_count = properties.size();
    expect(ehring_send_event(ring, &event) == 0, "send_event");

    const std::vector<ehring_event> events(10, event);
    expect(ehring_send_many(ring, events.data(), events.size()) == 10, "send_many");

    void *payload = nullptr;
    expect(ehring_reserve(ring, 8, nullptr, &payload) == 0, "reserve");
    std::memcpy(payload, "reserved", 8);
    expect(ehring_commit(ring, 8) == 0, "commit");

    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "n", 1);
    expect(ehring_send_json(ring, json, "key") == 0, "send_json");
    cJSON_Delete(json);
}

int main()
{
    char rings[] = "/dev/shm/ehring-test-XXXXXX";
    if (!mkdtemp(rings))
        return 2;
    ehring_options options{};
    options.stream = "orders";
    options.rings_dir = rings;
    options.make_stream_dir = true;
    ehring *ring = nullptr;
    const int err = ehring_open(&options, &ring);
    expect(err == 0, ehring_open_error());
    if (ring) {
        send_all_forms(ring);
        ehring_stats stats{};
        expect(ehring_read_stats(ring, &stats) == 0 && stats.sent_events == 15, "15 events were sent");
        expect(ehring_send(ring, "x", 1, "\xff") == EHRING_E_KEY_NOT_UTF8, "a bad key is refused");
    }
    ehring_close(ring);
    expect(std::strcmp(ehring_version(), EHRING_VERSION) == 0, "version");
    std::filesystem::remove_all(rings);
    return failures == 0 ? 0 : 1;
}
