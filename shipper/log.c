/* The log: one logfmt line, one write(2), to stderr; levels by area; a line that repeats itself is counted. */
#include "log.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define AREAS_MAX 24
#define AREA_NAME_BYTES 24
#define LINE_BYTES_MAX 4096u
#define REPEAT_WRITE_S 10

static const char *const level_names[] = {"error", "warn", "info", "debug", "trace"};
#define LEVEL_COUNT (int)(sizeof level_names / sizeof level_names[0])

struct levels {
    enum log_level others; /* of areas that are not named */
    int area_count;
    struct {
        char name[AREA_NAME_BYTES];
        enum log_level level;
    } area[AREAS_MAX];
};

struct repeat { /* what an area wrote last */
    char area[AREA_NAME_BYTES];
    enum log_level level;
    uint64_t times; /* the same came again and was not written */
    time_t written_s;
    char body[LINE_BYTES_MAX];
};

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below but most_verbose */
static struct levels levels_set = {.others = LOG_INFO};
static struct repeat repeats[AREAS_MAX];
/* The largest level of any area: most calls that write nothing are told so without the lock. */
static _Atomic int most_verbose = LOG_INFO;

static int levels_parse(const char *text, struct levels *levels);
static int levels_add(struct levels *levels, const char *item, size_t len);
static int level_parse(const char *text, size_t len, enum log_level *level);
static size_t trim(const char **text, size_t len);
static struct repeat *repeat_of(const char *area);
static void repeat_write(struct repeat *repeat);
static void body_write(const char *body);
static size_t body_format(char *to, enum log_level level, const char *area, const char *message);
static void fields_append(char *body, size_t at, const char *fields, va_list arguments) __attribute__((format(printf, 3, 0)));
static const char *quoted_put(char *to, size_t to_len, const char *text);
static size_t escape_put(char to[8], const char *text);
static bool is_plain(const char *text);

int log_set_levels(const char *text)
{
    struct levels levels;
    int error = levels_parse(text, &levels);
    if (error != 0)
        return error;
    int verbose = levels.others;
    for (int i = 0; i < levels.area_count; i++)
        if ((int)levels.area[i].level > verbose)
            verbose = levels.area[i].level;
    pthread_mutex_lock(&log_lock);
    levels_set = levels;
    most_verbose = verbose;
    pthread_mutex_unlock(&log_lock);
    return 0;
}

int log_check_levels(const char *text)
{
    struct levels levels;
    return levels_parse(text, &levels);
}

bool log_enabled(enum log_level level, const char *area)
{
    if ((int)level > most_verbose)
        return false;
    pthread_mutex_lock(&log_lock);
    enum log_level allowed = levels_set.others;
    for (int i = 0; i < levels_set.area_count; i++)
        if (strcmp(levels_set.area[i].name, area) == 0)
            allowed = levels_set.area[i].level;
    pthread_mutex_unlock(&log_lock);
    return level <= allowed;
}

void log_line(enum log_level level, const char *area, const char *message, const char *fields, ...)
{
    if (!log_enabled(level, area))
        return;
    char body[LINE_BYTES_MAX];
    va_list arguments;
    va_start(arguments, fields);
    fields_append(body, body_format(body, level, area, message), fields, arguments);
    va_end(arguments);

    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&log_lock);
    struct repeat *repeat = repeat_of(area);
    if (repeat == NULL) {
        body_write(body);
    } else if (level == LOG_TRACE) { /* a trace is read with its times: nothing of it is collapsed */
        repeat_write(repeat);
        repeat->body[0] = '\0';
        body_write(body);
    } else if (strcmp(repeat->body, body) == 0) {
        repeat->times++;
        if (now.tv_sec - repeat->written_s >= REPEAT_WRITE_S) {
            repeat_write(repeat);
            repeat->written_s = now.tv_sec;
        }
    } else {
        repeat_write(repeat);
        body_write(body);
        memcpy(repeat->body, body, strlen(body) + 1);
        repeat->level = level;
        repeat->written_s = now.tv_sec;
    }
    pthread_mutex_unlock(&log_lock);
}

const char *log_quote(char *to, size_t to_len, const char *text)
{
    if (to_len == 0)
        return to;
    size_t len = strlen(text);
    if (!is_plain(text))
        return quoted_put(to, to_len, text);
    if (len >= to_len)
        for (len = to_len - 1; len > 0 && (text[len] & 0xc0) == 0x80;) /* not within a character */
            len--;
    memcpy(to, text, len);
    to[len] = '\0';
    return to;
}

void log_flush(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&log_lock);
    for (int i = 0; i < AREAS_MAX; i++) {
        if (repeats[i].times == 0)
            continue;
        repeat_write(&repeats[i]);
        repeats[i].written_s = now.tv_sec;
    }
    pthread_mutex_unlock(&log_lock);
}

static int levels_parse(const char *text, struct levels *levels)
{
    memset(levels, 0, sizeof *levels);
    levels->others = LOG_INFO;
    for (;;) {
        size_t len = strcspn(text, ",");
        int error = levels_add(levels, text, len);
        if (error != 0)
            return error;
        if (text[len] == '\0')
            return 0;
        text += len + 1;
    }
}

/* One `level` or `area=level`. */
static int levels_add(struct levels *levels, const char *item, size_t len)
{
    const char *equals = memchr(item, '=', len);
    if (equals == NULL)
        return level_parse(item, len, &levels->others);
    const char *name = item;
    size_t name_len = trim(&name, (size_t)(equals - item));
    if (name_len == 0 || name_len >= AREA_NAME_BYTES || levels->area_count == AREAS_MAX)
        return -EINVAL;
    for (size_t i = 0; i < name_len; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '-')
            return -EINVAL;
    memcpy(levels->area[levels->area_count].name, name, name_len);
    return level_parse(equals + 1, len - (size_t)(equals + 1 - item), &levels->area[levels->area_count++].level);
}

static int level_parse(const char *text, size_t len, enum log_level *level)
{
    len = trim(&text, len);
    for (int i = 0; i < LEVEL_COUNT; i++)
        if (strlen(level_names[i]) == len && memcmp(level_names[i], text, len) == 0) {
            *level = (enum log_level)i;
            return 0;
        }
    return -EINVAL;
}

static size_t trim(const char **text, size_t len)
{
    while (len > 0 && isspace((unsigned char)**text)) {
        (*text)++;
        len--;
    }
    while (len > 0 && isspace((unsigned char)(*text)[len - 1]))
        len--;
    return len;
}

/* The area's slot, taken on its first line. NULL: all are taken or the name is too long; such lines are not collapsed. */
static struct repeat *repeat_of(const char *area)
{
    for (int i = 0; i < AREAS_MAX; i++) {
        if (repeats[i].area[0] == '\0') {
            size_t len = strlen(area);
            if (len == 0 || len >= AREA_NAME_BYTES)
                return NULL;
            memcpy(repeats[i].area, area, len + 1);
        }
        if (strcmp(repeats[i].area, area) == 0)
            return &repeats[i];
    }
    return NULL;
}

static void repeat_write(struct repeat *repeat)
{
    if (repeat->times == 0)
        return;
    char body[128];
    snprintf(body, sizeof body, "level=%.5s area=%.*s msg=\"repeated\" times=%llu", level_names[repeat->level], AREA_NAME_BYTES - 1,
             repeat->area, (unsigned long long)repeat->times);
    repeat->times = 0;
    body_write(body);
}

/* The time before it, a newline behind it, and out with one write(2). What stderr does not take is lost: there is nobody to tell. */
static void body_write(const char *body)
{
    char line[LINE_BYTES_MAX + 64];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(line, sizeof line, "time=%Y-%m-%dT%H:%M:%S", &utc);
    len += (size_t)snprintf(line + len, sizeof line - len, ".%03ldZ %s\n", now.tv_nsec / 1000000, body);
    for (size_t done = 0; done < len;) {
        ssize_t count = write(STDERR_FILENO, line + done, len - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return;
        done += (size_t)count;
    }
}

static size_t body_format(char *to, enum log_level level, const char *area, const char *message)
{
    int len = snprintf(to, LINE_BYTES_MAX / 4, "level=%s area=%s msg=", level_names[level], area);
    size_t at = len < 0 ? 0 : (size_t)len < LINE_BYTES_MAX / 4 ? (size_t)len : LINE_BYTES_MAX / 4 - 1;
    quoted_put(to + at, LINE_BYTES_MAX / 2, message);
    return at + strlen(to + at);
}

static void fields_append(char *body, size_t at, const char *fields, va_list arguments)
{
    char *text = body + at + 1;
    vsnprintf(text, LINE_BYTES_MAX - at - 1, fields, arguments);
    body[at] = *text == '\0' ? '\0' : ' ';
    for (; *text != '\0'; text++)
        if (iscntrl((unsigned char)*text)) /* the caller forgot log_quote: the line stays one line */
            *text = '?';
}

static bool is_plain(const char *text)
{
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++)
        if (iscntrl((unsigned char)*text) || strchr(" \"=\\", *text) != NULL)
            return false;
    return true;
}

/* Quotes always. Cuts between characters, never within an escape or a UTF-8 sequence. */
static const char *quoted_put(char *to, size_t to_len, const char *text)
{
    if (to_len < 3) {
        to[0] = '\0';
        return to;
    }
    size_t at = 0;
    to[at++] = '"';
    while (*text != '\0') {
        char escaped[8];
        size_t len = escape_put(escaped, text);
        size_t taken = 1;
        while ((*text & 0x80) && (text[taken] & 0xc0) == 0x80 && taken < 4)
            escaped[len++] = text[taken++];
        if (at + len + 2 > to_len)
            break;
        memcpy(to + at, escaped, len);
        at += len;
        text += taken;
    }
    to[at++] = '"';
    to[at] = '\0';
    return to;
}

static size_t escape_put(char to[8], const char *text)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char byte = (unsigned char)*text;
    if (byte == '"' || byte == '\\') {
        to[0] = '\\';
        to[1] = (char)byte;
        return 2;
    }
    if (!iscntrl(byte)) {
        to[0] = (char)byte;
        return 1;
    }
    to[0] = '\\';
    to[1] = 'x';
    to[2] = digits[byte >> 4];
    to[3] = digits[byte & 15];
    return 4;
}
