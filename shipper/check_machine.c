/* What this machine gives the shipper: network interface, descriptors, directories, room for rings. */
#include "check_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "net.h"

#define PATH_BYTES 1400
#define RING_BYTES_DEFAULT (8u << 20) /* of ehring_open */
#define FILES_OWN 64u                 /* descriptors beside those of streams, workers and connections */
#define FILES_WORKER 8u
#define FILES_STREAM 8u

static void network(struct check *check, const struct config *config);
static void files(struct check *check, const struct config *config);
static void rings(struct check *check, const struct config *config);
static void rings_room(struct check *check, const struct config *config);
static uint64_t rings_bytes(const char *dir, uint32_t *count);
static void dead_letters(struct check *check, const struct config *config);
static bool dir_usable(struct check *check, const char *item, const char *path, bool parents_are_made, struct stat *info);
static void dir_absent(struct check *check, const char *item, const char *path, bool parents_are_made);
static bool parent_of(const char *path, char to[PATH_BYTES]);
static const char *user_name(uid_t uid, char to[64]);

void check_machine(struct check *check, const struct config *config)
{
    network(check, config);
    files(check, config);
    rings(check, config);
    rings_room(check, config);
    dead_letters(check, config);
}

void check_stream_dir(struct check *check, const struct config *config, const struct config_stream *stream)
{
    char path[PATH_BYTES], owner[64];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", config->rings, stream->name);
    if (!check->has_rings || !dir_usable(check, "directory", path, false, &info))
        return;
    if (stream->group[0] && (info.st_mode & 07777) != 03770)
        check_warn(check, "directory", "a start of the shipper as its owner makes it 3770",
                   "%s belongs to %s and has mode %04o, producers of group %s may not create rings", path, user_name(info.st_uid, owner),
                   (unsigned)info.st_mode & 07777, stream->group);
    else
        check_ok(check, "directory", "%s belongs to %s, mode %04o", path, user_name(info.st_uid, owner), (unsigned)info.st_mode & 07777);
}

static void network(struct check *check, const struct config *config)
{
    struct net *net;
    char why[400] = "";
    int rc = net_open(config->net, &net, why, sizeof why);
    if (rc != 0)
        check_fail(check, CHECK_MACHINE, "network", "net = auto takes epoll where io_uring is not to be had", "%s (%s)", why,
                   strerror(-rc));
    else
        check_ok(check, "network", "%s: %s", net_kind_of(net) == NET_URING ? "io_uring" : "epoll", why);
    if (rc == 0)
        net_close(net);
}

/* The shipper raises its own limit up to the hard one. */
static void files(struct check *check, const struct config *config)
{
    struct rlimit limit;
    uint64_t wanted = FILES_OWN + config->workers * FILES_WORKER;
    for (uint32_t i = 0; i < config->stream_count; i++)
        wanted += FILES_STREAM + (config->stream[i].max_size > config->workers ? config->stream[i].max_size : config->workers);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        check_fail(check, CHECK_UNDONE, "descriptors", NULL, "RLIMIT_NOFILE cannot be read: %s", strerror(errno));
    else if (limit.rlim_max < wanted)
        check_fail(check, CHECK_MACHINE, "descriptors", "raise it (LimitNOFILE= of the unit, ulimit -Hn), or lower max_size",
                   "RLIMIT_NOFILE is at most %" PRIu64 ", this configuration may need %" PRIu64, (uint64_t)limit.rlim_max, wanted);
    else
        check_ok(check, "descriptors", "RLIMIT_NOFILE up to %" PRIu64 ", this configuration needs at most %" PRIu64,
                 (uint64_t)limit.rlim_max, wanted);
}

static void rings(struct check *check, const struct config *config)
{
    char owner[64];
    struct stat info;
    check->has_rings = dir_usable(check, "rings", config->rings, false, &info);
    if (!check->has_rings)
        return;
    if ((info.st_mode & 022) != 0)
        check_warn(check, "rings", "chmod go-w: locks and doorbells lie there, others could take their names",
                   "%s belongs to %s and others may write in it (mode %04o)", config->rings, user_name(info.st_uid, owner),
                   (unsigned)info.st_mode & 07777);
    else
        check_ok(check, "rings", "%s belongs to %s, mode %04o", config->rings, user_name(info.st_uid, owner),
                 (unsigned)info.st_mode & 07777);
}

/* Of the file system that has the rings, or will have them. */
static void rings_room(struct check *check, const struct config *config)
{
    char path[PATH_BYTES];
    struct statvfs room;
    uint32_t count = 0;
    uint64_t ring_bytes = 0;
    snprintf(path, sizeof path, "%s", config->rings);
    while (statvfs(path, &room) != 0)
        if (!parent_of(path, path))
            return; /* told of as the directory */
    for (uint32_t i = 0; i < config->stream_count; i++) {
        char dir[PATH_BYTES];
        snprintf(dir, sizeof dir, "%s/%s", config->rings, config->stream[i].name);
        ring_bytes += rings_bytes(dir, &count);
    }
    uint64_t size_mib = (uint64_t)room.f_blocks * room.f_frsize >> 20, left_mib = (uint64_t)room.f_bavail * room.f_frsize >> 20;
    if (left_mib < RING_BYTES_DEFAULT >> 20)
        check_warn(check, "room",
                   "make it larger (mount -o remount,size=…; a container: --shm-size), or the rings smaller (capacity of ehring_open)",
                   "%s has %" PRIu64 " of %" PRIu64 " MiB free beside %u rings of %" PRIu64 " MiB: no room for another ring of %u MiB",
                   path, left_mib, size_mib, count, ring_bytes >> 20, RING_BYTES_DEFAULT >> 20);
    else
        check_ok(check, "room",
                 "%s has %" PRIu64 " of %" PRIu64 " MiB free, %u rings take %" PRIu64 " MiB, room for %" PRIu64 " more of %u MiB", path,
                 left_mib, size_mib, count, ring_bytes >> 20, left_mib / (RING_BYTES_DEFAULT >> 20), RING_BYTES_DEFAULT >> 20);
}

static uint64_t rings_bytes(const char *dir, uint32_t *count)
{
    uint64_t bytes = 0;
    struct stat info;
    DIR *entries = opendir(dir);
    if (!entries)
        return 0;
    for (const struct dirent *entry; (entry = readdir(entries));) {
        const char *suffix = strrchr(entry->d_name, '.');
        if (!suffix || strcmp(suffix, ".ring") != 0 || fstatat(dirfd(entries), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        bytes += (uint64_t)info.st_blocks * 512;
        (*count)++;
    }
    closedir(entries);
    return bytes;
}

static void dead_letters(struct check *check, const struct config *config)
{
    char owner[64];
    struct stat info;
    if (dir_usable(check, "dead-letters", config->dead_letters, true, &info))
        check_ok(check, "dead-letters", "%s belongs to %s, mode %04o", config->dead_letters, user_name(info.st_uid, owner),
                 (unsigned)info.st_mode & 07777);
}

/* True: it is there, a directory, and we may write in it; the caller says so. Else a line was written. */
static bool dir_usable(struct check *check, const char *item, const char *path, bool parents_are_made, struct stat *info)
{
    char owner[64], us[64];
    if (stat(path, info) != 0 && errno == ENOENT) {
        dir_absent(check, item, path, parents_are_made);
        return false;
    }
    if (stat(path, info) != 0) {
        check_fail(check, CHECK_MACHINE, item, "give another path, or make this one reachable", "%s: %s", path, strerror(errno));
        return false;
    }
    if (!S_ISDIR(info->st_mode)) {
        check_fail(check, CHECK_MACHINE, item, "remove it, or give another path", "%s is no directory", path);
        return false;
    }
    if (faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS) == 0)
        return true;
    check_fail(check, CHECK_MACHINE, item, "chown it to the user that runs the shipper, or run it as the owner",
               "%s belongs to %s, mode %04o, and %s may not write in it: %s", path, user_name(info->st_uid, owner),
               (unsigned)info->st_mode & 07777, user_name(geteuid(), us), strerror(errno));
    return false;
}

static void dir_absent(struct check *check, const char *item, const char *path, bool parents_are_made)
{
    char parent[PATH_BYTES], us[64];
    bool has_parent = parent_of(path, parent);
    while (has_parent && parents_are_made && access(parent, F_OK) != 0 && errno == ENOENT)
        has_parent = parent_of(parent, parent);
    if (has_parent && faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS) == 0)
        check_ok(check, item, "%s is not there yet and will be made", path);
    else
        check_fail(check, CHECK_MACHINE, item, "make it and chown it to the user that runs the shipper",
                   "%s is not there, and %s cannot make it in %s: %s", path, user_name(geteuid(), us), parent, strerror(errno));
}

/* `to` may be `path` itself. false: it has none. */
static bool parent_of(const char *path, char to[PATH_BYTES])
{
    size_t len = strlen(path);
    if (to != path)
        memmove(to, path, len + 1);
    while (len > 1 && to[len - 1] == '/')
        len--;
    while (len > 0 && to[len - 1] != '/')
        len--;
    while (len > 1 && to[len - 1] == '/')
        len--;
    bool has_parent = len > 0 && strcmp(path, "/") != 0;
    to[len] = '\0';
    return has_parent;
}

static const char *user_name(uid_t uid, char to[64])
{
    const struct passwd *user = getpwuid(uid);
    if (user)
        snprintf(to, 64, "%.63s", user->pw_name);
    else
        snprintf(to, 64, "uid %u", uid);
    return to;
}
