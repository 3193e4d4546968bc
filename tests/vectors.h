/* The published vectors: files of JSON beside the tests. */
#ifndef TESTS_VECTORS_H
#define TESTS_VECTORS_H

#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static inline cJSON *vectors_read(const char *name)
{
    const char *folder = getenv("EHRING_TEST_DIR");
    static char text[1 << 16];
    char path[512];

    snprintf(path, sizeof path, "%s/vectors/%s", folder ? folder : "tests", name);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s is missing", path);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    cJSON *json = cJSON_Parse(text);
    cr_assert_not_null(json, "%s is not JSON", path);
    return json;
}

#endif
