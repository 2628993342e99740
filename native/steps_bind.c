/* Binds: parts of the host's file tree in the container's, as copies, slaves or peers of what is mounted there. */
#define _GNU_SOURCE
#include "launch.h"
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* Where a bind goes: made as a directory or file, as its source is. */
static int bind_target(struct launch *launch, int tree, const char *path)
{
    struct stat status;
    if (fstat(tree, &status) != 0)
        return -1;
    bool directory = S_ISDIR(status.st_mode);
    int target = directory ? root_directory(launch, path, 0755) : root_file(launch, path);
    if (target >= 0 && !directory && fstat(target, &status) == 0 && S_ISDIR(status.st_mode)) {
        errno = ENOTDIR; /* move_mount(2) has EINVAL for it, as for much else */
        return close_keeping_errno(target);
    }
    if (target >= 0 && directory && shadows_procfs(path, target, is_procfs(tree))) {
        errno = EPERM;
        return close_keeping_errno(target);
    }
    return target;
}

static int set_attributes(int tree, uint64_t flags, unsigned recursive)
{
    struct mount_attributes attributes = {mount_attributes_of(flags & ~(uint64_t)(MS_NOATIME | MS_STRICTATIME)), 0, 0, 0};
    return attributes.set == 0 ? 0 : sys_mount_setattr(tree, recursive, &attributes);
}

static int set_bind_attributes(int tree, const struct step *step)
{
    uint64_t propagation = (uint64_t)step_integer(step, BIND_PROPAGATION);
    struct mount_attributes sharing = {0, 0, propagation & ~(uint64_t)MS_REC, 0};
    if (set_attributes(tree, (uint64_t)step_integer(step, BIND_FLAGS), 0) != 0 ||
        set_attributes(tree, (uint64_t)step_integer(step, BIND_EVERYWHERE), AT_RECURSIVE_TREE) != 0)
        return -1;
    if (sharing.propagation == 0)
        return 0;
    return sys_mount_setattr(tree, propagation & MS_REC ? AT_RECURSIVE_TREE : 0, &sharing);
}

static int clone_tree(const char *source, bool recursive)
{
    return sys_open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE_TREE : 0));
}

int step_hold_tree(struct launch *launch, const struct step *step)
{
    const char *source = step_text(step, HOLD_TREE_SOURCE);
    bool recursive = step_integer(step, HOLD_TREE_RECURSIVE) != 0;
    if (launch->held_count == HELD_MAX)
        return fail_text(launch, "more than %d binds with a propagation of their own", HELD_MAX);
    int tree = clone_tree(source, recursive);
    if (tree < 0)
        return fail_on(launch, source);
    launch->held[launch->held_count++] = (struct held_tree){source, recursive, tree};
    return 0;
}

/* The tree to bind: one that was held for it, or a new one. */
static int bind_source(struct launch *launch, const char *source, bool recursive)
{
    for (unsigned i = 0; i < launch->held_count; i++) {
        struct held_tree *held = &launch->held[i];
        if (held->tree >= 0 && held->recursive == recursive && strcmp(held->source, source) == 0) {
            int tree = held->tree;
            held->tree = -1;
            return tree;
        }
    }
    return clone_tree(source, recursive);
}

int step_own_directory(struct launch *launch, const struct step *step)
{
    const char *path = step_text(step, OWN_DIRECTORY_PATH);
    int target = root_directory(launch, path, 0755);
    int tree = target < 0 ? -1 : sys_open_tree(target, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY);
    int result = -1;
    if (tree >= 0 && shadows_procfs(path, target, is_procfs(tree)))
        errno = EPERM;
    else if (tree >= 0)
        result = sys_move_mount(tree, target);
    if (result != 0)
        fail_on(launch, path);
    if (tree >= 0)
        close_keeping_errno(tree);
    if (target >= 0)
        close_keeping_errno(target);
    return result;
}

int step_bind(struct launch *launch, const struct step *step)
{
    const char *source = step_text(step, BIND_SOURCE), *path = step_text(step, BIND_TARGET);
    int tree = bind_source(launch, source, step_integer(step, BIND_FLAGS) & MS_REC);
    if (tree < 0)
        return fail_on(launch, source);
    int target = bind_target(launch, tree, path), result = -1;
    if (target >= 0 && set_bind_attributes(tree, step) == 0)
        result = sys_move_mount(tree, target);
    if (result != 0)
        fail_on(launch, path);
    if (target >= 0)
        close_keeping_errno(target);
    close_keeping_errno(tree);
    return result;
}
