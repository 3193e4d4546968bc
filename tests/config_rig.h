/* A configuration file of the test's own, what reading it says, and how it is printed. */
#ifndef TESTS_CONFIG_RIG_H
#define TESTS_CONFIG_RIG_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shipper/config.h"

#define SECRET "aHVudGVyMnNlY3JldGh1bnRlcjJzZWNyZXRodW50ZXI="
#define CONNECTION "Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=" SECRET
#define STREAM "[stream orders]\nhub = orders\nconnection_string = " CONNECTION "\n"

static char folder[64], path[96], messages[1 << 16];
static struct config *config;

static inline void config_setup(void)
{
    strcpy(folder, "/tmp/ehring-test-config-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x.conf", folder);
}

static inline void config_teardown(void)
{
    char command[128];
    config_free(config);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_expect_eq(system(command), 0);
}
static inline const char *file_write(const char *name, const char *text, size_t len, mode_t mode)
{
    static char file_path[256];
    snprintf(file_path, sizeof file_path, "%s/%s", folder, name);
    int fd = open(file_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, len), (ssize_t)len);
    fchmod(fd, mode);
    close(fd);
    return file_path;
}

static inline int file_read(const char *text, size_t len)
{
    file_write("x.conf", text, len, 0600);
    config_free(config);
    config = NULL;
    memset(messages, 0, sizeof messages);
    FILE *errors = fmemopen(messages, sizeof messages - 1, "w");
    int result = config_read(path, &config, errors);
    fclose(errors);
    cr_expect_null(strstr(messages, "hunter"), "a secret in: %s", messages);
    cr_expect_null(strstr(messages, "aHVudGVy"), "a secret in: %s", messages);
    return result;
}

static inline void good(const char *text)
{
    cr_assert_eq(file_read(text, strlen(text)), 0, "%s", messages);
    cr_assert_not_null(config);
}

/* The message must stand in its line, behind file and number. */
static inline void bad(const char *text, unsigned line, const char *about)
{
    char start[128];
    cr_expect_eq(file_read(text, strlen(text)), -EINVAL, "was taken:\n%s", text);
    cr_expect_null(config);
    snprintf(start, sizeof start, "%s:%u: %s", path, line, about);
    cr_expect_not_null(strstr(messages, start), "wanted `%s`, got:\n%s", start, messages);
}

static inline const char *printed(void)
{
    static char text[1 << 16];
    memset(text, 0, sizeof text);
    FILE *to = fmemopen(text, sizeof text - 1, "w");
    config_print(config, to);
    fclose(to);
    return text;
}

#endif
