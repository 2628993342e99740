/* Making the container's file tree. Mounts are made detached and put in place by descriptor. */
#define _GNU_SOURCE
#include "launch.h"
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { PROC_MAGIC = 0x9fa0, MOUNT_DATA_BYTES = 4096 };

int step_propagation(struct launch *launch, const struct step *step)
{
    unsigned long flags = (unsigned long)step_integer(step, PROPAGATION_FLAGS) | MS_REC;
    return mount(NULL, "/", NULL, flags, NULL) == 0 ? 0 : fail_on(launch, "/");
}

unsigned mount_attributes_of(uint64_t flags)
{
    return (flags & MS_RDONLY ? ATTR_RDONLY : 0) | (flags & MS_NOSUID ? ATTR_NOSUID : 0) |
           (flags & MS_NODEV ? ATTR_NODEV : 0) | (flags & MS_NOEXEC ? ATTR_NOEXEC : 0) |
           (flags & MS_NOATIME ? ATTR_NOATIME : 0) | (flags & MS_STRICTATIME ? ATTR_STRICTATIME : 0) |
           (flags & MS_NODIRATIME ? ATTR_NODIRATIME : 0);
}

/* Pass "a=b,c" to a filesystem context, one option at a time. */
static int configure(int context, const char *data)
{
    char options[MOUNT_DATA_BYTES], *rest = options, *option;
    if (strlen(data) >= sizeof options) {
        errno = E2BIG;
        return -1;
    }
    strcpy(options, data);
    while ((option = strsep(&rest, ",")) != NULL) {
        char *value = strchr(option, '=');
        if (value)
            *value++ = 0;
        if (*option && sys_fsconfig(context, value ? FSCONFIG_SET_STRING_ : FSCONFIG_SET_FLAG_, option, value) != 0)
            return -1;
    }
    return 0;
}

/* A new mount that is nowhere yet, of a context, which is closed. Returns its descriptor. */
static int mount_of(int context, const char *source, uint64_t flags, const char *data)
{
    if (context < 0)
        return -1;
    int mounted = -1;
    if ((*source == 0 || sys_fsconfig(context, FSCONFIG_SET_STRING_, "source", source) == 0) &&
        configure(context, data) == 0 && sys_fsconfig(context, FSCONFIG_CMD_CREATE_, NULL, NULL) == 0)
        mounted = sys_fsmount(context, mount_attributes_of(flags));
    close_keeping_errno(context);
    return mounted;
}

int mount_new(const char *type, const char *source, uint64_t flags, const char *data)
{
    return mount_of(sys_fsopen(type), source, flags, data);
}

/* False also where it cannot be told. */
static bool has_type(int file, uint64_t type, bool wanted)
{
    struct statfs filesystem;
    return fstatfs(file, &filesystem) == 0 && ((uint64_t)filesystem.f_type == type) == wanted;
}

bool is_procfs(int file)
{
    return has_type(file, PROC_MAGIC, true);
}

/* Nothing goes over a directory of procfs, and nothing but procfs itself in its place (CVE-2019-19921). */
bool shadows_procfs(const char *path, int target, bool procfs)
{
    return !has_type(target, PROC_MAGIC, false) || (strcmp(path, "/proc") == 0 && !procfs);
}

/* procfs and sysfs never go where a link of the image leads (CVE-2019-16884). */
static int mount_target(struct launch *launch, const char *type, const char *path)
{
    bool kernels = strcmp(type, "proc") == 0 || strcmp(type, "sysfs") == 0;
    int target = root_directory(launch, path, 0755);
    if (target < 0 || !kernels)
        return target;
    close(target);
    return root_open(launch, path, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
}

/*
 * The procfs that sysctls were written through, where it is just what the container is to have: one that is nowhere when
 * it is let go of, by the exec, holds the command up for a grace period of the kernel.
 */
static int own_procfs(struct launch *launch, const struct step *step)
{
    bool fits = strcmp(step_text(step, MOUNT_FSTYPE), "proc") == 0 && *step_text(step, MOUNT_DATA) == 0 &&
                (uint64_t)step_integer(step, MOUNT_FLAGS) == OWN_PROCFS_FLAGS && step_integer(step, MOUNT_PIDS) == 0;
    int procfs = fits ? launch->procfs : -1;
    if (fits)
        launch->procfs = -1;
    return procfs;
}

int step_mount(struct launch *launch, const struct step *step)
{
    const char *type = step_text(step, MOUNT_FSTYPE), *path = step_text(step, MOUNT_TARGET);
    int target = mount_target(launch, type, path);
    if (target < 0)
        return fail_on(launch, path);
    if (strcmp(type, "proc") != 0 && shadows_procfs(path, target, false)) {
        close(target);
        return fail_text(launch, "a %s over %s would hide what the kernel shows there", type, path);
    }
    int pids = (int)step_integer(step, MOUNT_PIDS);
    int mounted = own_procfs(launch, step);
    if (mounted < 0)
        mounted = mount_of(pids ? procfs_context(launch, pids) : sys_fsopen(type), step_text(step, MOUNT_SOURCE),
                           (uint64_t)step_integer(step, MOUNT_FLAGS), step_text(step, MOUNT_DATA));
    const struct mount_attributes sharing = {0, 0, (uint64_t)step_integer(step, MOUNT_PROPAGATION) & ~(uint64_t)MS_REC, 0};
    int result = mounted < 0 ? -1 : 0;
    if (result == 0 && sharing.propagation != 0)
        result = sys_mount_setattr(mounted, 0, &sharing);
    if (result == 0)
        result = sys_move_mount(mounted, target);
    if (result != 0)
        fail_on(launch, path);
    if (mounted >= 0)
        close_keeping_errno(mounted);
    close_keeping_errno(target);
    return result;
}

/* Append a name, with a backslash before each of its odd characters. False where that does not fit. */
static bool append_name(char *data, size_t *at, const char *before, const char *name, const char *odd)
{
    size_t start = strlen(before), room = MOUNT_DATA_BYTES - *at;
    if (start + 1 > room)
        return false;
    memcpy(data + *at, before, start + 1);
    for (*at += start; *name; name++) {
        if (*at + 3 > MOUNT_DATA_BYTES)
            return false;
        if (strchr(odd, *name))
            data[(*at)++] = '\\';
        data[(*at)++] = *name;
        data[*at] = 0;
    }
    return true;
}

static bool overlay_options(const struct step *step, char data[MOUNT_DATA_BYTES])
{
    size_t at = 0;
    for (uint32_t i = 5; i < step->argc; i++)
        if (!append_name(data, &at, i > 5 ? ":" : "lowerdir=", step_text(step, i), ",:\\"))
            return false;
    return append_name(data, &at, ",upperdir=", step_text(step, OVERLAY_ROOT_UPPER), ",\\") &&
           append_name(data, &at, ",workdir=", step_text(step, OVERLAY_ROOT_WORK), ",\\") &&
           append_name(data, &at, *step_text(step, OVERLAY_ROOT_OPTIONS) ? "," : "", step_text(step, OVERLAY_ROOT_OPTIONS), "");
}

/* The classic call: one string, with names relative to the layers' directory so that many fit. */
static int overlay_by_string(const struct step *step)
{
    char data[MOUNT_DATA_BYTES];
    if (!overlay_options(step, data)) {
        errno = E2BIG;
        return -1;
    }
    if (mount("overlay", step_text(step, OVERLAY_ROOT_TARGET), "overlay", 0, data) != 0)
        return -1;
    return open(step_text(step, OVERLAY_ROOT_TARGET), O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int overlay_context(int context, const struct step *step)
{
    for (uint32_t i = 5; i < step->argc; i++)
        if (sys_fsconfig(context, FSCONFIG_SET_STRING_, "lowerdir+", step_text(step, i)) != 0)
            return -1;
    if (sys_fsconfig(context, FSCONFIG_SET_STRING_, "upperdir", step_text(step, OVERLAY_ROOT_UPPER)) != 0 ||
        sys_fsconfig(context, FSCONFIG_SET_STRING_, "workdir", step_text(step, OVERLAY_ROOT_WORK)) != 0 ||
        configure(context, step_text(step, OVERLAY_ROOT_OPTIONS)) != 0)
        return -1;
    return sys_fsconfig(context, FSCONFIG_CMD_CREATE_, NULL, NULL);
}

/* For more layers than a page of options holds: one call for each, from Linux 6.5 on. Returns the root. */
static int overlay_by_context(const struct step *step)
{
    int context = sys_fsopen("overlay"), mounted = -1;
    if (context < 0)
        return -1;
    if (overlay_context(context, step) == 0)
        mounted = sys_fsmount(context, 0);
    close_keeping_errno(context);
    int target = mounted < 0 ? -1 : open(step_text(step, OVERLAY_ROOT_TARGET), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (target < 0)
        return mounted < 0 ? -1 : close_keeping_errno(mounted);
    int result = sys_move_mount(mounted, target);
    close_keeping_errno(target);
    return result == 0 ? mounted : close_keeping_errno(mounted);
}

int step_overlay_root(struct launch *launch, const struct step *step)
{
    if (step->argc < 6)
        return fail_text(launch, "an overlay needs at least one layer");
    if (chdir(step_text(step, OVERLAY_ROOT_LAYERS_DIR)) != 0)
        return fail_on(launch, step_text(step, OVERLAY_ROOT_LAYERS_DIR));
    launch->root = overlay_by_string(step);
    if (launch->root < 0 && (errno == E2BIG || errno == EINVAL || errno == ENOENT))
        launch->root = overlay_by_context(step); /* Linux 6.5 has that, and takes no backslash before a comma */
    return launch->root >= 0 ? 0 : fail_on(launch, step_text(step, OVERLAY_ROOT_TARGET));
}

int step_bind_root(struct launch *launch, const struct step *step)
{
    const struct mount_attributes private = {0, 0, MS_PRIVATE, 0};
    const char *source = step_text(step, BIND_ROOT_SOURCE);
    int target = open(source, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int tree = target < 0 ? -1 : sys_open_tree(target, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY | AT_RECURSIVE_TREE);
    if (tree < 0 || sys_mount_setattr(tree, AT_RECURSIVE_TREE, &private) != 0 || sys_move_mount(tree, target) != 0)
        return fail_on(launch, source);
    close(target);
    launch->root = tree;
    return 0;
}

int step_pivot_root(struct launch *launch, const struct step *step)
{
    (void)step;
    return fchdir(launch->root) == 0 && leave_host_mounts() == 0 ? 0 : fail_on(launch, "/");
}
