/* Hiding paths from the container, and making them read-only. */
#define _GNU_SOURCE
#include "launch.h"
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static int clone_mount(int place)
{
    return sys_open_tree(place, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY);
}

/* One empty read-only tmpfs serves all masked directories: the first is mounted, the others are clones of it. */
static int empty_directory(struct launch *launch, int *keep)
{
    if (launch->empty_dir >= 0)
        return clone_mount(launch->empty_dir);
    *keep = mount_new("tmpfs", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k");
    return *keep;
}

/* A mount of the container's own /dev/null, if it really is that. It is looked at once: nobody is there to change it. */
static int null_device(struct launch *launch)
{
    struct stat status;
    if (launch->null >= 0)
        return clone_mount(launch->null);
    int null = root_open(launch, "/dev/null", O_PATH, 0);
    if (null < 0)
        return -1;
    if (fstat(null, &status) != 0 || !S_ISCHR(status.st_mode) || status.st_rdev != makedev(1, 3)) {
        close(null);
        errno = ENXIO;
        return -1;
    }
    launch->null = null; /* stays open until exec */
    return clone_mount(null);
}

int step_mask(struct launch *launch, const struct step *step)
{
    const char *path = step_text(step, MASK_PATH);
    struct stat status;
    int keep = -1, target = root_open(launch, path, O_PATH, 0);
    if (target < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail_on(launch, path);
    int tree = -1;
    if (fstat(target, &status) == 0)
        tree = S_ISDIR(status.st_mode) ? empty_directory(launch, &keep) : null_device(launch);
    int result = tree < 0 ? -1 : sys_move_mount(tree, target);
    if (result != 0)
        fail_on(launch, tree < 0 && !S_ISDIR(status.st_mode) ? "/dev/null" : path);
    int error = errno;
    close(target);
    if (keep >= 0)
        launch->empty_dir = keep; /* stays open until exec */
    else if (tree >= 0)
        close(tree);
    errno = error;
    return result;
}

int step_read_only_path(struct launch *launch, const struct step *step)
{
    const struct mount_attributes read_only = {ATTR_RDONLY, 0, 0, 0};
    const char *path = step_text(step, READ_ONLY_PATH_PATH);
    int target = root_open(launch, path, O_PATH, 0);
    if (target < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail_on(launch, path);
    if (sys_mount_setattr(target, AT_RECURSIVE_TREE, &read_only) == 0) { /* a mount point: no second mount needed */
        close(target);
        return 0;
    }
    int tree = sys_open_tree(target, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY | AT_RECURSIVE_TREE);
    int result = -1;
    if (tree >= 0 && sys_mount_setattr(tree, AT_RECURSIVE_TREE, &read_only) == 0)
        result = sys_move_mount(tree, target);
    if (result != 0)
        fail_on(launch, path);
    int error = errno;
    if (tree >= 0)
        close(tree);
    close(target);
    errno = error;
    return result;
}

int step_read_only_root(struct launch *launch, const struct step *step)
{
    const struct mount_attributes read_only = {ATTR_RDONLY, 0, 0, 0};
    (void)step;
    return sys_mount_setattr(launch->root, 0, &read_only) == 0 ? 0 : fail_on(launch, "/");
}
