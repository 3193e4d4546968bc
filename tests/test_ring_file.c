/* A ring's file: made whole, opened by a ladder, locked as long as its producer lives. */
#include <criterion/criterion.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "ring_rig.h"
#include "ringbuf/ring_internal.h"

extern char **environ;

static int open_file(const struct rig *rig, enum ring_access access, struct ring_refusal *why)
{
    struct ring *ring;
    int err = ring_open(rig->dir_fd, rig->file, access, &ring, why);

    if (!err)
        ring_close(ring);
    return err;
}

static int patch(const struct rig *rig, const void *bytes, size_t len, off_t off)
{
    int fd = openat(rig->dir_fd, rig->file, O_WRONLY | O_CLOEXEC);
    ssize_t written = pwrite(fd, bytes, len, off);

    close(fd);
    return written == (ssize_t)len ? 0 : -1;
}

Test(ring_file, is_named_after_program_pid_and_uuid_with_mode_0660_whatever_the_umask)
{
    struct rig rig;
    struct stat stat;
    char want[64];

    umask(0077);
    rig_dirs(&rig);
    rig_write(&rig, 0);
    snprintf(want, sizeof(want), "rig.%d.", (int)getpid());
    cr_assert(strncmp(rig.file, want, strlen(want)) == 0, "%s", rig.file);
    cr_assert_eq(strlen(rig.file), strlen(want) + 36 + strlen(".ring"));
    cr_assert_eq(fstatat(rig.dir_fd, rig.file, &stat, 0), 0);
    cr_assert_eq(stat.st_mode & 07777, 0660);
    cr_assert_eq(stat.st_nlink, 1);
    cr_assert_eq(ring_writer_capacity(rig.writer), 8u << 20);
    cr_assert_eq(rig_file_count(&rig), 1);
    rig_close(&rig);
}

Test(ring_file, describes_itself_to_a_reader)
{
    struct rig rig;

    rig_open(&rig, 100000);
    const struct ring_header *header = ring_header(rig.ring);
    cr_assert_eq(header->capacity, 131072, "rounded up to a power of two");
    cr_assert_eq(header->pid, (uint32_t)getpid());
    cr_assert_str_eq(header->name, "rig");
    cr_assert_str_eq(header->stream, "orders");
    cr_assert(memcmp(header->uuid, ring_writer_uuid(rig.writer), 16) == 0);
    cr_assert(ring_is_this_boot(rig.ring));
    rig_close(&rig);
}

Test(ring_file, maps_each_side_with_no_more_rights_than_it_needs)
{
    struct rig rig;
    char line[512], rights[5];
    unsigned long from, to;
    int seen = 0;

    rig_open(&rig, 65536);
    unsigned long writer = (unsigned long)(uintptr_t)rig.writer->map, ring = (unsigned long)(uintptr_t)rig.ring->map,
                  len = rig.ring->map_len;
    unsigned long producer = writer + rig.ring->header.producer_off, data = writer + rig.ring->header.data_off;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (fgets(line, sizeof(line), maps)) {
        cr_assert_eq(sscanf(line, "%lx-%lx %4s", &from, &to, rights), 3);
        if (from >= writer && to <= writer + len)
            cr_assert_eq(rights[1] == 'w', from == producer || from == data, "%s", line);
        else if (from >= ring && to <= ring + len)
            cr_assert_eq(rights[1] == 'w', from == ring + rig.ring->header.shipper_off, "%s", line);
        else
            continue;
        seen++;
    }
    fclose(maps);
    cr_assert_eq(seen, 4 + 3);
    rig_close(&rig);
}

Test(ring_file, names_the_rung_on_which_it_was_refused)
{
    struct ring_refusal why;
    struct rig rig;
    uint32_t version = 0;
    uint64_t odd = 12345;

    rig_open(&rig, 65536);
    cr_assert_eq(open_file(&rig, RING_ACCESS_VIEW, &why), 0);
    cr_assert_eq(why.rung, RING_READY);
    patch(&rig, &version, 4, offsetof(struct ring_header, version));
    cr_assert_lt(open_file(&rig, RING_ACCESS_VIEW, &why), 0);
    cr_assert_eq(why.rung, RING_UNPUBLISHED);
    version = 9;
    patch(&rig, &version, 4, offsetof(struct ring_header, version));
    cr_assert_eq(open_file(&rig, RING_ACCESS_VIEW, &why), -EPROTONOSUPPORT);
    cr_assert_eq(why.rung, RING_WRONG_VERSION);
    cr_assert(strstr(why.text, "version 9") && strstr(why.text, rig.file), "%s", why.text);
    version = RING_VERSION;
    patch(&rig, &version, 4, offsetof(struct ring_header, version));
    patch(&rig, &odd, 8, offsetof(struct ring_header, data_off));
    cr_assert_eq(open_file(&rig, RING_ACCESS_VIEW, &why), -EBADMSG);
    cr_assert_eq(why.rung, RING_INCONSISTENT);
    patch(&rig, &odd, 8, 0);
    cr_assert_eq(open_file(&rig, RING_ACCESS_VIEW, &why), -EBADMSG);
    cr_assert_eq(why.rung, RING_NOT_A_RING);
    cr_assert_eq(truncate(ring_writer_path(rig.writer), 100), 0);
    cr_assert_eq(open_file(&rig, RING_ACCESS_VIEW, &why), -EBADMSG);
    cr_assert_eq(why.rung, RING_TOO_SHORT);
    cr_assert_eq(truncate(ring_writer_path(rig.writer), (off_t)ring_header(rig.ring)->file_len), 0); /* for the writer's close */
    unlinkat(rig.dir_fd, rig.file, 0);
    cr_assert_eq(open_file(&rig, RING_ACCESS_VIEW, &why), -ENOENT);
    cr_assert_eq(why.rung, RING_ABSENT);
    rig_close(&rig);
}

Test(ring_file, refuses_links_other_types_and_files_that_anybody_may_write)
{
    struct ring_refusal why;
    struct rig rig;
    char file[256];

    rig_open(&rig, 65536);
    memcpy(file, rig.file, sizeof(file));
    cr_assert_eq(symlinkat(file, rig.dir_fd, "symbolic"), 0);
    strcpy(rig.file, "symbolic");
    cr_assert_eq(open_file(&rig, RING_ACCESS_SHIPPER, &why), -ELOOP);
    cr_assert_eq(mkfifoat(rig.dir_fd, "fifo", 0600), 0);
    strcpy(rig.file, "fifo");
    cr_assert_eq(open_file(&rig, RING_ACCESS_SHIPPER, &why), -EPERM);
    memcpy(rig.file, file, sizeof(file));
    cr_assert_eq(linkat(rig.dir_fd, file, rig.dir_fd, "second", 0), 0);
    cr_assert_eq(open_file(&rig, RING_ACCESS_SHIPPER, &why), -EPERM);
    cr_assert(strstr(why.text, "2 names"), "%s", why.text);
    unlinkat(rig.dir_fd, "second", 0);
    fchmodat(rig.dir_fd, file, 0666, 0);
    cr_assert_eq(open_file(&rig, RING_ACCESS_SHIPPER, &why), -EPERM);
    cr_assert_eq(why.rung, RING_NOT_PERMITTED);
    rig_close(&rig);
}

Test(ring_file, names_owner_and_remedy_where_the_shipper_may_not_write)
{
    struct rig rig;
    int status;

    rig_open(&rig, 65536);
    fchmodat(rig.dir_fd, rig.file, 0600, 0);
    chmod(rig.rings, 0755);
    chmod(rig.dir, 0755);
    pid_t pid = fork();
    if (pid == 0) { /* as root: become somebody else; as somebody: take the right from the file itself */
        struct ring_refusal why = {0};
        if (geteuid() == 0 ? setuid(4711) != 0 : fchmodat(rig.dir_fd, rig.file, 0400, 0) != 0)
            _exit(2);
        int err = open_file(&rig, RING_ACCESS_SHIPPER, &why);
        _exit(err == -EACCES && strstr(why.text, "owned by uid") && strstr(why.text, "default ACL") ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
    rig_close(&rig);
}

Test(ring_file, tells_what_is_wrong_with_the_directory_or_the_name)
{
    struct ring_writer *writer;
    struct ring_refusal why;
    struct rig rig;
    char deep[160];

    rig_dirs(&rig);
    cr_assert_eq(ring_writer_open(&(struct ring_writer_options){.stream_dir = "/dev/shm/no-such-directory/x"}, &writer, &why), -ENOENT);
    cr_assert(strstr(why.text, "no-such-directory"), "%s", why.text);
    cr_assert_eq(ring_writer_open(&(struct ring_writer_options){.stream_dir = rig.dir, .name = "a/b"}, &writer, &why), -EINVAL);
    cr_assert_eq(ring_writer_open(&(struct ring_writer_options){.stream_dir = rig.dir, .capacity = UINT64_MAX}, &writer, &why), -EINVAL);
    memset(deep, 'd', sizeof(deep));
    memcpy(deep, "/dev/shm/", 9);
    deep[sizeof(deep) - 1] = '\0';
    cr_assert_eq(ring_writer_open(&(struct ring_writer_options){.stream_dir = deep}, &writer, &why), -ENAMETOOLONG);
    cr_assert_null(writer);
    cr_assert_eq(rig_file_count(&rig), 0);
    rig_close(&rig);
}

/* A real full file system where one may be mounted, else the limit of file sizes: both are an error at open and leave nothing behind. */
Test(ring_file, says_how_much_is_wanted_and_free_when_there_is_no_room)
{
    struct ring_writer *writer;
    struct ring_refusal why = {0};
    struct rig rig;
    int status;

    rig_dirs(&rig);
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
            mount("none", rig.dir, "tmpfs", 0, "size=1m") == 0) {
            int err = ring_writer_open(&(struct ring_writer_options){.stream_dir = rig.dir, .capacity = 4 << 20}, &writer, &why);
            fprintf(stderr, "tmpfs of 1 MiB: %s\n", why.text);
            _exit(err == -ENOSPC && strstr(why.text, "1048576 are free") && rig_file_count(&rig) == 0 ? 0 : 1);
        }
        fprintf(stderr, "no tmpfs may be mounted here: RLIMIT_FSIZE instead\n");
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){1 << 20, 1 << 20});
        int err = ring_writer_open(&(struct ring_writer_options){.stream_dir = rig.dir, .capacity = 4 << 20}, &writer, &why);
        _exit(err == -ENOSPC && strstr(why.text, "1048576") && rig_file_count(&rig) == 0 ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
    rig_close(&rig);
}

Test(ring_file, a_file_size_limit_is_an_error_and_no_signal)
{
    struct ring_writer *writer;
    struct ring_refusal why = {0};
    struct rig rig;

    rig_dirs(&rig);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){1 << 20, RLIM_INFINITY});
    cr_assert_eq(ring_writer_open(&(struct ring_writer_options){.stream_dir = rig.dir, .capacity = 4 << 20}, &writer, &why), -ENOSPC);
    cr_assert(strstr(why.text, "RLIMIT_FSIZE"), "%s", why.text);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY});
    rig_close(&rig);
}

Test(ring_file, is_an_orphan_when_its_producer_closed_it_and_not_before)
{
    struct rig rig;

    rig_open(&rig, 65536);
    cr_assert_eq(ring_is_orphan(rig.dir_fd, rig.file), 0);
    ring_writer_close(rig.writer);
    rig.writer = NULL;
    cr_assert_eq(ring_is_orphan(rig.dir_fd, rig.file), 1);
    cr_assert_eq(order_none_load32(&ring_producer(rig.ring)->hot.closed), 1);
    cr_assert_eq(ring_is_orphan(rig.dir_fd, "no-such.ring"), -ENOENT);
    rig_close(&rig);
}

/* Runs `more` in a producer that is then killed, while what `more` made lives on; true if the ring is an orphan all the same. */
static void producer_with_child(struct rig *rig, int name_fd, bool by_spawn)
{
    char *sleeper[] = {"sleep", "30", NULL};
    pid_t child = 0;

    rig_write(rig, 65536);
    if (by_spawn) {
        if (posix_spawnp(&child, "sleep", NULL, NULL, sleeper, environ) != 0)
            _exit(1);
    } else if ((child = fork()) == 0) {
        for (;;)
            pause();
    }
    RIG_NEED(write(name_fd, rig->file, sizeof(rig->file)) == sizeof(rig->file) && write(name_fd, &child, sizeof(child)) == sizeof(child));
    for (;;)
        pause();
}

static void check_child_does_not_lock(bool by_spawn)
{
    struct rig rig;
    pid_t producer, child;
    int name[2];

    rig_dirs(&rig);
    cr_assert_eq(pipe(name), 0);
    producer = fork();
    if (producer == 0)
        producer_with_child(&rig, name[1], by_spawn);
    cr_assert_eq(read(name[0], rig.file, sizeof(rig.file)), (ssize_t)sizeof(rig.file));
    cr_assert_eq(read(name[0], &child, sizeof(child)), (ssize_t)sizeof(child));
    cr_assert_eq(ring_is_orphan(rig.dir_fd, rig.file), 0);
    kill(producer, SIGKILL);
    waitpid(producer, NULL, 0);
    cr_assert_eq(kill(child, 0), 0, "the child lives");
    cr_assert_eq(ring_is_orphan(rig.dir_fd, rig.file), 1);
    kill(child, SIGKILL);
    rig_close(&rig);
}

Test(ring_file, a_living_forked_child_does_not_keep_its_dead_parents_ring_locked)
{
    check_child_does_not_lock(false);
}
Test(ring_file, a_living_spawned_child_does_not_keep_its_dead_parents_ring_locked)
{
    check_child_does_not_lock(true);
}

Test(ring_file, a_handle_is_dead_in_a_child_and_the_childs_own_ring_works)
{
    struct rig rig;
    int status;

    rig_open(&rig, 65536);
    cr_assert_eq(rig_put(&rig, "parent", 6), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct ring_shape shape = {.payload_len = 1};
        struct ring_writer *own = NULL;
        uint64_t left;
        void *payload;
        RIG_NEED(rig_put(&rig, "child", 5) == -EOWNERDEAD);
        RIG_NEED(ring_writer_put(rig.writer, &(struct ring_shape){.key = "k", .key_len = 1, .payload_len = 1}, "x") == -EOWNERDEAD);
        RIG_NEED(ring_writer_reserve(rig.writer, &shape, &payload) == -EOWNERDEAD);
        RIG_NEED(ring_writer_flush(rig.writer, 0, &left) == -EOWNERDEAD && ring_writer_wait_room(rig.writer, &shape, 0) == -EOWNERDEAD);
        RIG_NEED(!ring_writer_alive(rig.writer));
        ring_writer_count_refused(rig.writer, 0);
        RIG_NEED(ring_writer_open(&(struct ring_writer_options){.stream_dir = rig.dir, .capacity = 65536}, &own, NULL) == 0);
        RIG_NEED(ring_writer_put(own, &shape, "x") == 0 && rig_put(&rig, "child", 5) == -EOWNERDEAD);
        ring_writer_close(own);
        ring_writer_close(rig.writer);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
    cr_assert_eq(ring_is_orphan(rig.dir_fd, rig.file), 0, "the child's close is not the parent's");
    cr_assert_eq(rig_put(&rig, "parent", 6), 0);
    cr_assert_eq(rig_drain(&rig), 2);
    rig_close(&rig);
}

Test(ring_file, a_ring_on_a_disk_is_synced_at_close)
{
    char dir[] = "/tmp/ring-test-XXXXXX";
    struct ring_writer_options options = {.stream_dir = mkdtemp(dir), .name = "disk", .capacity = 65536};
    struct ring_writer *writer;
    struct ring *ring;
    char file[256];

    cr_assert_eq(ring_writer_open(&options, &writer, NULL), 0);
    snprintf(file, sizeof(file), "%s", ring_writer_path(writer));
    bool on_disk = writer->on_disk;
    cr_assert_eq(ring_writer_put(writer, &(struct ring_shape){.payload_len = 4}, "data"), 0);
    ring_writer_close(writer);
    cr_assert_eq(ring_open(AT_FDCWD, file, RING_ACCESS_SHIPPER, &ring, NULL), 0);
    if (on_disk) /* where /tmp is memory there is nothing to sync */
        cr_assert_eq(ring_synced_pos(ring), order_observe(&ring_producer(ring)->hot.write_pos));
    cr_assert_eq(ring_sync(ring), 0);
    cr_assert_eq(ring_synced_pos(ring), order_observe(&ring_producer(ring)->hot.write_pos));
    ring_close(ring);
    rig_remove(dir);
}
