/* What machine and which build a figure belongs to: one line for a person, one object for a file. */
#include "bench/machine.h"

#include <gnu/libc-version.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench/measure.h"
#include "client/ehring.h"

#define BUSY_LOAD 0.5 /* of the last minute */

static void processor(char *text, size_t text_len);

uint64_t machine_l2_bytes(void)
{
    long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);

    return bytes > 0 ? (uint64_t)bytes : UINT64_C(1) << 20;
}

void machine_print(FILE *to)
{
    struct utsname kernel;
    char name[128];
    double busy = 0;

    processor(name, sizeof(name));
    uname(&kernel);
    fprintf(to, "%s, %u cores, L2 %llu KiB, Linux %s, ehring %s\n", name, measure_core_count(),
            (unsigned long long)machine_l2_bytes() >> 10, kernel.release, ehring_version());
    if (getloadavg(&busy, 1) == 1 && busy > BUSY_LOAD)
        fprintf(to, "Load average %.2f before this run: if others are at work here, the figures suffer.\n", busy);
}

cJSON *machine_json(void)
{
    cJSON *json = cJSON_CreateObject();
    struct utsname kernel;
    char name[128];
    double busy = 0;

    (void)getloadavg(&busy, 1);
    processor(name, sizeof(name));
    uname(&kernel);
    cJSON_AddStringToObject(json, "processor", name);
    cJSON_AddNumberToObject(json, "cores", measure_core_count());
    cJSON_AddNumberToObject(json, "l2_bytes", (double)machine_l2_bytes());
    cJSON_AddStringToObject(json, "kernel", kernel.release);
    cJSON_AddNumberToObject(json, "load_average", busy);
    return json;
}

cJSON *machine_versions_json(void)
{
    cJSON *json = cJSON_CreateObject();

    cJSON_AddStringToObject(json, "ehring", ehring_version());
    cJSON_AddStringToObject(json, "compiler", __VERSION__);
    cJSON_AddStringToObject(json, "c library", gnu_get_libc_version());
    cJSON_AddStringToObject(json, "openssl", OpenSSL_version(OPENSSL_VERSION));
    return json;
}

static void processor(char *text, size_t text_len)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];

    snprintf(text, text_len, "unnamed processor");
    while (file && fgets(line, sizeof(line), file)) {
        char *value = strchr(line, ':');

        if (!value || strncmp(line, "model name", 10) != 0)
            continue;
        value[strcspn(value, "\n")] = 0;
        snprintf(text, text_len, "%s", value + 2);
        break;
    }
    if (file)
        fclose(file);
}
