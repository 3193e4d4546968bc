/* The writer of dead letters as a worker sees it: lines go in, an eventfd rings, and they are in a file, or none of them is. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shipper/clock.h"
#include "shipper/deadletter.h"
#include "shipper/deadletter_segment.h"

static char top[64], dir[96], orders[128];
static struct deadletter *letters;
static struct deadletter_job job;

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info, (void)kind, (void)at;
    return remove(path);
}

static void set_up(void)
{
    strcpy(top, "/tmp/ehring-test-XXXXXX");
    cr_assert_not_null(mkdtemp(top));
    snprintf(dir, sizeof dir, "%s/dead", top);
    snprintf(orders, sizeof orders, "%s/orders", dir);
    job.notify_fd = eventfd(0, EFD_CLOEXEC);
    cr_assert_geq(job.notify_fd, 0);
}

static void tear_down(void)
{
    deadletter_close(letters);
    close(job.notify_fd);
    nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(deadletter, .init = set_up, .fini = tear_down);

static void start(uint64_t segment_bytes_max)
{
    struct deadletter_limits limits = {.segment_bytes_max = segment_bytes_max};
    cr_assert_eq(deadletter_open(dir, &limits, &letters), 0);
}

static int append_to(const char *stream, const char *text)
{
    struct pollfd bell = {.fd = job.notify_fd, .events = POLLIN};
    uint64_t rung;
    snprintf(job.stream, sizeof job.stream, "%s", stream);
    job.text = text;
    job.len = strlen(text);
    deadletter_submit(letters, &job);
    cr_assert_eq(poll(&bell, 1, 60000), 1, "nobody rang");
    cr_assert_eq(read(job.notify_fd, &rung, sizeof rung), (ssize_t)sizeof rung);
    cr_assert_eq(deadletter_state(&job), DEADLETTER_DONE);
    cr_assert_eq(job.rc == 0, job.error[0] == '\0', "%d %s", job.rc, job.error);
    return job.rc;
}

static int by_text(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}
static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* The segments' contents in the order of their names, each behind a '|'. */
static const char *contents(const char *of)
{
    static char text[1 << 16];
    struct dirent **entry;
    size_t len = 0;
    int count = scandir(of, &entry, visible, by_text);
    cr_assert_geq(count, 0, "%s", of);
    text[0] = '\0';
    for (int i = 0; i < count; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", of, entry[i]->d_name);
        FILE *file = fopen(path, "r");
        cr_assert_not_null(file);
        text[len++] = '|';
        len += fread(text + len, 1, sizeof text - len - 1, file);
        text[len] = '\0';
        fclose(file);
        free(entry[i]);
    }
    free(entry);
    return text;
}

static void only_segment(char path[512])
{
    struct dirent **entry;
    cr_assert_eq(scandir(orders, &entry, visible, by_text), 1);
    snprintf(path, 512, "%s/%s", orders, entry[0]->d_name);
    free(entry[0]);
    free(entry);
}

Test(deadletter, lines_of_each_stream_are_in_a_segment_of_its_own)
{
    struct stat info;
    char path[512], clicks[128];
    unsigned number;
    start(0);
    cr_assert_eq(append_to("orders", "{\"a\":1}\n"), 0, "%s", job.error);
    cr_assert_eq(append_to("clicks", "{\"b\":1}\n"), 0, "%s", job.error);
    cr_assert_eq(append_to("orders", "{\"a\":2}\n{\"a\":3}\n"), 0, "%s", job.error);
    snprintf(clicks, sizeof clicks, "%s/clicks", dir);
    cr_assert_str_eq(contents(orders), "|{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
    cr_assert_str_eq(contents(clicks), "|{\"b\":1}\n");
    only_segment(path);
    cr_assert_eq(sscanf(strrchr(path, '/'), "/%*8[0-9]T%*6[0-9]Z-%6u.jsonl", &number), 1, "%s", path);
    cr_assert_eq(number, 1);
    cr_assert_eq(stat(path, &info), 0);
    cr_assert_eq(info.st_mode & 0777 & ~0640u, 0);
    cr_assert_eq(stat(orders, &info), 0);
    cr_assert_eq(info.st_mode & 0777 & ~0750u, 0);
}

Test(deadletter, touches_no_file_before_the_first_letter)
{
    start(0);
    cr_assert_eq(access(dir, F_OK), -1);
}

Test(deadletter, a_full_segment_is_followed_by_the_next_and_a_job_is_never_divided)
{
    start(20);
    cr_assert_eq(append_to("orders", "0123456789\n"), 0);
    cr_assert_eq(append_to("orders", "abcdefgh\n"), 0);
    cr_assert_eq(append_to("orders", "x\n"), 0);
    cr_assert_eq(append_to("orders", "a line that is longer than a whole segment\nand one\n"), 0);
    cr_assert_eq(append_to("orders", "y\n"), 0);
    cr_assert_str_eq(contents(orders), "|0123456789\nabcdefgh\n|x\n|a line that is longer than a whole segment\nand one\n|y\n");
}

Test(deadletter, a_segment_that_is_old_is_followed_by_the_next)
{
    struct deadletter_limits limits = {.segment_seconds_max = 600};
    struct deadletter_segment segment;
    char error[1400];
    deadletter_segment_init(&segment, dir, "orders");
    cr_assert_eq(deadletter_segment_append(&segment, &limits, "1\n", 2, error, sizeof error), 0);
    segment.opened_ns -= 300 * CLOCK_NS_PER_SECOND;
    cr_assert_eq(deadletter_segment_append(&segment, &limits, "2\n", 2, error, sizeof error), 0);
    segment.opened_ns -= 301 * CLOCK_NS_PER_SECOND;
    cr_assert_eq(deadletter_segment_append(&segment, &limits, "3\n", 2, error, sizeof error), 0);
    deadletter_segment_close(&segment);
    cr_assert_str_eq(contents(orders), "|1\n2\n|3\n");
}

Test(deadletter, a_new_process_never_appends_to_an_old_segment)
{
    char path[512];
    start(0);
    cr_assert_eq(append_to("orders", "whole\n"), 0);
    deadletter_close(letters);
    only_segment(path);
    FILE *torn = fopen(path, "a");
    cr_assert_not_null(torn);
    fputs("{\"half", torn);
    fclose(torn);
    start(0);
    cr_assert_eq(append_to("orders", "next\n"), 0);
    cr_assert_str_eq(contents(orders), "|whole\n{\"half|next\n");
}

Test(deadletter, a_segment_is_locked_while_it_is_written)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[512];
    start(0);
    cr_assert_eq(append_to("orders", "1\n"), 0);
    only_segment(path);
    int fd = open(path, O_RDWR);
    cr_assert_geq(fd, 0);
    cr_assert_eq(fcntl(fd, F_OFD_SETLK, &lock), -1);
    deadletter_close(letters);
    letters = NULL;
    cr_assert_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
    close(fd);
}

Test(deadletter, a_removed_segment_or_directory_is_made_again)
{
    char path[512];
    start(0);
    cr_assert_eq(append_to("orders", "1\n"), 0);
    only_segment(path);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(append_to("orders", "2\n"), 0, "%s", job.error);
    cr_assert_str_eq(contents(orders), "|2\n");
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    cr_assert_eq(append_to("orders", "3\n"), 0, "%s", job.error);
    cr_assert_str_eq(contents(orders), "|3\n");
}

Test(deadletter, a_write_that_does_not_fit_leaves_no_half_line_and_the_next_one_may)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    rlim_t whole = limit.rlim_cur;
    char *large = malloc(3001);
    memset(large, 'x', 3000);
    large[2999] = '\n';
    large[3000] = '\0';
    start(0);
    cr_assert_eq(append_to("orders", "first\n"), 0);
    signal(SIGXFSZ, SIG_IGN);
    limit.rlim_cur = 1000;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert_eq(append_to("orders", large), -EFBIG);
    cr_assert(strstr(job.error, orders) && strstr(job.error, "3000 bytes") && strstr(job.error, "too large"), "%s", job.error);
    cr_assert_str_eq(contents(orders), "|first\n");
    cr_assert_eq(append_to("orders", "small\n"), 0, "%s", job.error);
    limit.rlim_cur = whole;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert_eq(append_to("orders", large), 0, "%s", job.error);
    cr_assert_str_eq(contents(orders) + strlen("|first\nsmall\n"), large);
    free(large);
}

/* A file system of `bytes` of our own, as long as this process lives. False: not permitted here. */
static bool own_disk(const char *bytes)
{
    char options[64];
    snprintf(options, sizeof options, "size=%s", bytes);
    cr_assert_eq(mkdir(dir, 0750), 0);
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("ehring-test", dir, "tmpfs", 0, options) == 0;
}

Test(deadletter, a_full_disk_is_said_and_writing_goes_on_when_there_is_room)
{
    char ballast[128], page[4096];
    memset(page, 'b', sizeof page);
    if (!own_disk("64k")) /* the limit of a file's size is tried elsewhere */
        return;
    start(0);
    cr_assert_eq(append_to("orders", "first\n"), 0, "%s", job.error);
    snprintf(ballast, sizeof ballast, "%s/ballast", dir);
    int fd = open(ballast, O_WRONLY | O_CREAT, 0600);
    cr_assert_geq(fd, 0);
    while (write(fd, page, sizeof page) > 0) {
    }
    char *large = malloc(8001);
    memset(large, 'x', 8000);
    large[7999] = '\n';
    large[8000] = '\0';
    cr_assert_eq(append_to("orders", large), -ENOSPC);
    cr_assert(strstr(job.error, "No space left"), "%s", job.error);
    cr_assert_str_eq(contents(orders), "|first\n");
    cr_assert_eq(append_to("orders", large), -ENOSPC);
    cr_assert_eq(ftruncate(fd, 0), 0);
    cr_assert_eq(append_to("orders", large), 0, "%s", job.error);
    cr_assert_str_eq(contents(orders) + strlen("|first\n"), large);
    free(large);
    close(fd);
    umount2(dir, MNT_DETACH);
}

Test(deadletter, a_disk_that_is_read_only_is_said_and_writing_goes_on_when_it_is_not)
{
    if (!own_disk("64k"))
        return;
    cr_assert_eq(mount("none", dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    start(0);
    cr_assert_eq(append_to("orders", "1\n"), -EROFS);
    cr_assert(strstr(job.error, orders) && strstr(job.error, "Read-only"), "%s", job.error);
    cr_assert_eq(mount("none", dir, NULL, MS_REMOUNT, NULL), 0);
    cr_assert_eq(append_to("orders", "1\n"), 0, "%s", job.error);
    umount2(dir, MNT_DETACH);
}

Test(deadletter, a_directory_without_permission_is_said_and_writing_goes_on_with_it)
{
    cr_assert_eq(chmod(top, 0755), 0);
    cr_assert_eq(mkdir(dir, 0555), 0);
    bool root = geteuid() == 0;
    start(0);
    if (root)
        cr_assert_eq(seteuid(65534), 0);
    cr_assert_eq(append_to("orders", "1\n"), -EACCES);
    cr_assert(strstr(job.error, orders) && strstr(job.error, "denied"), "%s", job.error);
    if (root)
        cr_assert_eq(seteuid(0), 0);
    cr_assert_eq(chmod(dir, 0755), 0);
    cr_assert_eq(append_to("orders", "1\n"), 0, "%s", job.error);
    cr_assert_str_eq(contents(orders), "|1\n");
}

Test(deadletter, another_directory_and_other_limits_hold_from_the_next_letter_on)
{
    char other[128], in_other[160], too_long[1100];
    struct deadletter_limits limits = {.segment_bytes_max = 2};
    start(1000);
    cr_assert_eq(append_to("orders", "a\n"), 0);
    cr_assert_eq(append_to("orders", "b\n"), 0);
    cr_assert_eq(deadletter_configure(letters, dir, &limits), 0);
    cr_assert_eq(append_to("orders", "c\n"), 0);
    cr_assert_str_eq(contents(orders), "|a\nb\n|c\n");
    memset(too_long, 'x', sizeof too_long - 1);
    too_long[0] = '/';
    too_long[sizeof too_long - 1] = '\0';
    cr_assert_eq(deadletter_configure(letters, too_long, &limits), -ENAMETOOLONG);
    snprintf(other, sizeof other, "%s/other", top);
    snprintf(in_other, sizeof in_other, "%s/orders", other);
    cr_assert_eq(deadletter_configure(letters, other, &limits), 0);
    cr_assert_eq(append_to("orders", "d\n"), 0);
    cr_assert_str_eq(contents(in_other), "|d\n");
    cr_assert_str_eq(contents(orders), "|a\nb\n|c\n");
}

Test(deadletter, more_streams_than_are_open_at_a_time_come_and_go)
{
    char name[32], path[192];
    start(1000);
    for (unsigned i = 0; i < 2 * DEADLETTER_STREAMS_MAX + 1; i++) {
        snprintf(name, sizeof name, "s%u", i);
        cr_assert_eq(append_to(name, "a\n"), 0, "%s", job.error);
        snprintf(path, sizeof path, "%s/%s", dir, name);
        cr_assert_str_eq(contents(path), "|a\n");
    }
}

Test(deadletter, directories_are_made_as_deep_as_they_are_named)
{
    snprintf(dir, sizeof dir, "%s/a/b/dead", top);
    start(0);
    cr_assert_eq(append_to("orders", "1\n"), 0, "%s", job.error);
    cr_assert_str_eq(contents(strcat(strcpy(orders, dir), "/orders")), "|1\n");
}

Test(deadletter, a_file_in_the_place_of_a_directory_is_named)
{
    char blocked[sizeof dir];
    strcat(strcpy(blocked, top), "/blocked");
    int fd = open(blocked, O_WRONLY | O_CREAT, 0600);
    cr_assert_geq(fd, 0);
    close(fd);
    strcat(strcpy(dir, blocked), "/dead");
    start(0);
    cr_assert_eq(append_to("orders", "1\n"), -ENOTDIR);
    cr_assert(strstr(job.error, dir), "%s", job.error);
    cr_assert_eq(unlink(blocked), 0);
    cr_assert_eq(append_to("orders", "1\n"), 0, "%s", job.error);
}

Test(deadletter, a_close_leaves_no_job_without_an_answer)
{
    enum { JOBS = 200 };
    static struct deadletter_job many[JOBS];
    size_t written = 0, lines = 0;
    start(0);
    for (int i = 0; i < JOBS; i++) {
        many[i] = (struct deadletter_job){.stream = "orders", .text = "x\n", .len = 2, .notify_fd = -1};
        deadletter_submit(letters, &many[i]);
    }
    deadletter_close(letters);
    letters = NULL;
    for (int i = 0; i < JOBS; i++) {
        cr_assert_eq(deadletter_state(&many[i]), DEADLETTER_DONE);
        cr_assert(many[i].rc == 0 || (many[i].rc == -ECANCELED && many[i].error[0]), "%d", many[i].rc);
        written += many[i].rc == 0;
    }
    for (const char *at = access(orders, F_OK) == 0 ? contents(orders) : ""; *at; at++)
        lines += *at == '\n';
    cr_assert_eq(lines, written);
}

Test(deadletter, an_empty_segment_is_not_left_behind)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, SIG_IGN);
    limit.rlim_cur = 3;
    start(0);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert_eq(append_to("orders", "too long\n"), -EFBIG);
    deadletter_close(letters);
    letters = NULL;
    limit.rlim_cur = limit.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert_str_eq(contents(orders), "");
}
