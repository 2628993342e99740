/*
 * Paths inside the container's root. Each is resolved by the kernel as if that root were "/", and used through the
 * descriptor that comes of it, so that neither a link in the image nor one made meanwhile leads out of it.
 */
#define _GNU_SOURCE
#include "launch.h"
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { PATH_BYTES = 4096, LINKS_MAX = 40, RACES_MAX = 128 };

int root_open(const struct launch *launch, const char *path, int flags, uint64_t resolve)
{
    resolve |= RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    for (int tries = 0;; tries++) {
        int file = sys_openat2(launch->root, path, (uint64_t)flags | O_CLOEXEC, 0, resolve);
        if (file >= 0 || errno != EAGAIN || tries == RACES_MAX) /* EAGAIN: a rename was under way somewhere */
            return file;
    }
}

static int open_directory(const struct launch *launch, const char *path)
{
    return root_open(launch, path, O_PATH | O_DIRECTORY, 0);
}

static int make_directories(const struct launch *launch, const char *path, mode_t mode, int links);

/* A link that leads nowhere stands in the way: make what it points to, inside the root. */
static int make_link_target(const struct launch *launch, int parent, const char *prefix, const char *name, mode_t mode,
                            int links)
{
    char target[PATH_BYTES], path[2 * PATH_BYTES];
    ssize_t length = readlinkat(parent, name, target, sizeof target - 1);
    if (length < 0)
        return -1;
    target[length] = 0;
    const char *base = target[0] == '/' ? "" : prefix;
    int size = snprintf(path, sizeof path, "%.*s/%s", (int)(strlen(base) - (*base ? strlen(name) : 0)), base, target);
    if (links == 0 || size >= PATH_BYTES) {
        errno = links == 0 ? ELOOP : ENAMETOOLONG;
        return -1;
    }
    int made = make_directories(launch, path, mode, links - 1);
    if (made >= 0)
        close(made);
    return made < 0 ? -1 : 0;
}

/* Make one component that is not there, of which "prefix" is the path from the root. Returns its descriptor. */
static int make_missing(const struct launch *launch, int parent, const char *prefix, mode_t mode, int links)
{
    const char *slash = strrchr(prefix, '/'), *name = slash ? slash + 1 : prefix;
    if (mkdirat(parent, name, mode) != 0) {
        if (errno != EEXIST)
            return -1;
        if (make_link_target(launch, parent, prefix, name, mode, links) != 0 && errno != EINVAL)
            return -1;
    }
    return open_directory(launch, prefix);
}

/* The same for one that may be there. */
static int make_component(const struct launch *launch, int parent, const char *prefix, mode_t mode, int links)
{
    int directory = open_directory(launch, prefix);
    return directory >= 0 || errno != ENOENT ? directory : make_missing(launch, parent, prefix, mode, links);
}

/* Mostly just the last component is missing. -1 with ENOENT where more is. */
static int make_last(const struct launch *launch, const char *path, mode_t mode, int links)
{
    char parent_path[PATH_BYTES];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    memcpy(parent_path, length ? path : "/", length ? length : 1);
    parent_path[length ? length : 1] = 0;
    int parent = open_directory(launch, parent_path);
    if (parent < 0)
        return -1;
    int made = make_missing(launch, parent, path, mode, links);
    close_keeping_errno(parent);
    return made;
}

/* As mkdir -p inside the root. Returns a descriptor of the last directory. */
static int make_directories(const struct launch *launch, const char *path, mode_t mode, int links)
{
    char prefix[PATH_BYTES];
    size_t length = strlen(path);
    int directory = open_directory(launch, path);
    if (directory >= 0 || errno != ENOENT)
        return directory;
    if (length >= sizeof prefix) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if ((directory = make_last(launch, path, mode, links)) >= 0 || errno != ENOENT)
        return directory;
    memcpy(prefix, path, length + 1);
    directory = open_directory(launch, "/");
    for (size_t i = 1; i <= length && directory >= 0; i++) {
        if ((prefix[i] != '/' && prefix[i] != 0) || prefix[i - 1] == '/')
            continue;
        char separator = prefix[i];
        prefix[i] = 0;
        int next = make_component(launch, directory, prefix, mode, links);
        close_keeping_errno(directory);
        directory = next;
        prefix[i] = separator;
    }
    return directory;
}

int root_directory(const struct launch *launch, const char *path, mode_t mode)
{
    return make_directories(launch, path, mode, LINKS_MAX);
}

/* The directory that is to hold the last component, made where missing; "name" is that component. */
int root_parent(const struct launch *launch, const char *path, const char **name)
{
    char parent[PATH_BYTES];
    const char *slash = strrchr(path, '/');
    *name = slash ? slash + 1 : path;
    size_t length = (size_t)(*name - path);
    if (**name == 0 || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0 || length >= sizeof parent) {
        errno = EINVAL;
        return -1;
    }
    memcpy(parent, path, length);
    parent[length] = 0;
    return root_directory(launch, length ? parent : "/", 0755);
}

/* A descriptor (O_PATH) of a file to mount on, made empty where missing. */
int root_file(const struct launch *launch, const char *path)
{
    const char *name;
    int file = root_open(launch, path, O_PATH, 0);
    if (file >= 0 || errno != ENOENT)
        return file;
    int parent = root_parent(launch, path, &name);
    if (parent < 0)
        return -1;
    int made = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0755);
    close_keeping_errno(parent);
    if (made < 0)
        return -1;
    close(made);
    return root_open(launch, path, O_PATH, 0);
}

static mode_t node_type(const char *kind)
{
    return kind[0] == 'b' ? S_IFBLK : kind[0] == 'p' ? S_IFIFO : S_IFCHR;
}

static bool same_node(int parent, const char *name, mode_t type, dev_t device)
{
    struct stat status;
    return fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && (status.st_mode & S_IFMT) == type &&
           (type == S_IFIFO || status.st_rdev == device);
}

int step_make_node(struct launch *launch, const struct step *step)
{
    const char *path = step_text(step, MAKE_NODE_PATH), *name;
    mode_t type = node_type(step_text(step, MAKE_NODE_KIND)), mode = (mode_t)step_integer(step, MAKE_NODE_MODE) & 07777;
    dev_t device = makedev((unsigned)step_integer(step, MAKE_NODE_MAJOR), (unsigned)step_integer(step, MAKE_NODE_MINOR));
    uid_t uid = (uid_t)step_integer(step, MAKE_NODE_UID);
    gid_t gid = (gid_t)step_integer(step, MAKE_NODE_GID);
    int parent = root_parent(launch, path, &name);
    if (parent < 0)
        return fail_on(launch, path);
    int result = mknodat(parent, name, type | mode, device);
    if (result != 0 && errno == EEXIST && same_node(parent, name, type, device))
        result = 0;
    if (result == 0 && (uid != 0 || gid != 0))
        result = fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW);
    if (result != 0)
        fail_on(launch, path);
    close(parent);
    return result;
}

int step_symlink(struct launch *launch, const struct step *step)
{
    const char *path = step_text(step, SYMLINK_PATH), *name;
    int parent = root_parent(launch, path, &name);
    if (parent < 0)
        return fail_on(launch, path);
    int result = symlinkat(step_text(step, SYMLINK_TARGET), parent, name);
    if (result != 0 && errno == EEXIST)
        result = 0;
    if (result != 0)
        fail_on(launch, path);
    close(parent);
    return result;
}

/*
 * What a link of /proc leads to (/proc/self/root) only the process itself can tell: it goes there, if it is there, as its
 * working directory, and looks where that is. A loop of other links is told then, too.
 */
int step_root_directory(struct launch *launch, const struct step *step)
{
    int directory = root_directory(launch, step_text(step, ROOT_DIRECTORY_PATH), (mode_t)step_integer(step, ROOT_DIRECTORY_MODE));
    if (directory < 0 && errno == ELOOP)
        return 0;
    if (directory < 0)
        return fail_on(launch, step_text(step, ROOT_DIRECTORY_PATH));
    close(directory);
    return 0;
}
