/* The directory that a stream's producers share with the shipper: who may create, who may read, who may remove. */
#include "shipper/stream_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "shipper/log.h"

#define ACL_VERSION 2u /* linux/posix_acl_xattr.h */
enum acl_tag { ACL_TAG_USER_OBJ = 0x01, ACL_TAG_USER = 0x02, ACL_TAG_GROUP_OBJ = 0x04, ACL_TAG_MASK = 0x10, ACL_TAG_OTHER = 0x20 };
enum acl_perm { ACL_PERM_NONE = 0, ACL_PERM_READ_WRITE = 6 };

struct acl_entry {
    uint16_t tag;
    uint16_t perm;
    uint32_t id;
};
struct acl {
    uint32_t version;
    struct acl_entry entry[5];
};

static int dir_give_to_group(int fd, const char *dir, const char *group, char *why, size_t why_len);
static void dir_set_default_acl(int fd, const char *dir);

static int dir_make(const char *path, mode_t mode, char *why, size_t why_len)
{
    if (mkdir(path, mode) == 0 || errno == EEXIST)
        return 0;
    int rc = -errno;
    snprintf(why, why_len, "directory %s: %s", path, strerror(-rc));
    return rc;
}

int stream_dir_open(const char *rings, const char *dir, const char *group, char *why, size_t why_len)
{
    int rc = dir_make(rings, 0755, why, why_len);
    if (rc == 0)
        rc = dir_make(dir, 0700, why, why_len);
    if (rc != 0)
        return rc;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        rc = -errno;
        snprintf(why, why_len, "directory %s: %s", dir, strerror(-rc));
        return rc;
    }
    if (group[0] && (rc = dir_give_to_group(fd, dir, group, why, why_len)) != 0) {
        close(fd);
        return rc;
    }
    return fd;
}

static int dir_give_to_group(int fd, const char *dir, const char *group, char *why, size_t why_len)
{
    const struct group *entry = getgrnam(group);
    if (!entry) {
        snprintf(why, why_len, "group %s of directory %s does not exist", group, dir);
        return -EINVAL;
    }
    if (fchown(fd, (uid_t)-1, entry->gr_gid) != 0 || fchmod(fd, 03770) != 0) {
        int rc = -errno;
        snprintf(why, why_len, "directory %s cannot be given to group %s: %s", dir, group, strerror(-rc));
        return rc;
    }
    dir_set_default_acl(fd, dir);
    return 0;
}

/* The library makes its files 0660: without this, members of the group could write each other's rings. */
static void dir_set_default_acl(int fd, const char *dir)
{
    const struct acl acl = {.version = ACL_VERSION,
                            .entry = {{ACL_TAG_USER_OBJ, ACL_PERM_READ_WRITE, UINT32_MAX},
                                      {ACL_TAG_USER, ACL_PERM_READ_WRITE, geteuid()},
                                      {ACL_TAG_GROUP_OBJ, ACL_PERM_NONE, UINT32_MAX},
                                      {ACL_TAG_MASK, ACL_PERM_READ_WRITE, UINT32_MAX},
                                      {ACL_TAG_OTHER, ACL_PERM_NONE, UINT32_MAX}}};
    if (fsetxattr(fd, "system.posix_acl_default", &acl, sizeof acl, 0) != 0)
        log_line(LOG_WARN, "stream", "no default ACL: members of the group can write each other's rings", "dir=%s error=\"%s\"", dir,
                 strerror(errno));
}
