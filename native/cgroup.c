/* Cgroups, as the monitor needs them: reading their files, the OOM counter, and removing what is left at the end. */
#define _GNU_SOURCE
#include "cgroup.h"
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    KILL_ROUNDS = 16,
    NAME_BYTES = 256,
    STEPS_MAX = 1 << 17, /* up and down, at one time: the monitor has clients */
    WAITS_MAX = 8,
    WAIT_US = 500,
};

int write_value(const char *path, const char *value)
{
    int file = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (file < 0)
        return -1;
    ssize_t written = write(file, value, strlen(value));
    close_keeping_errno(file);
    return written < 0 ? -1 : 0;
}

ssize_t read_small(int dir, const char *name, char *text, size_t size)
{
    int file = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    ssize_t length = read(file, text, size - 1);
    close(file);
    text[length > 0 ? length : 0] = 0;
    return length;
}

/* True where the file has a line "key N" with N above 0. */
bool cgroup_counter(const char *path, const char *key)
{
    char text[2048];
    size_t length = strlen(key);
    if (length == 0 || read_small(AT_FDCWD, path, text, sizeof text) <= 0)
        return false;
    for (char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) == 0 && line[length] == ' ')
            return strtoll(line + length, NULL, 10) > 0;
    }
    return false;
}

/* Kill through a pidfd and look again whether it is still a member, so that no reused pid is struck. */
static void kill_member(int group, pid_t pid)
{
    char text[4096], wanted[32];
    int pidfd = sys_pidfd_open(pid);
    if (pidfd < 0)
        return;
    int length = snprintf(wanted, sizeof wanted, "%d\n", pid);
    if (read_small(group, "cgroup.procs", text, sizeof text) > 0)
        for (char *line = text; line && *line; line = strchr(line, '\n')) {
            line += *line == '\n';
            if (strncmp(line, wanted, (size_t)length) == 0)
                sys_pidfd_send_signal(pidfd, SIGKILL);
        }
    close(pidfd);
}

/* Version 1 only; elsewhere there is no such file. Members that were killed while frozen die as soon as they thaw. */
static void set_freezer(int group, const char *state)
{
    int freezer = openat(group, "freezer.state", O_WRONLY | O_CLOEXEC);
    if (freezer < 0)
        return;
    if (write(freezer, state, strlen(state)) < 0)
        errno = 0; /* what stays as it is is met again by the next attempt */
    close(freezer);
}

/* Kill the members that one read shows. Returns whether there may be more. */
static bool kill_some(int group)
{
    char text[4096];
    ssize_t length = read_small(group, "cgroup.procs", text, sizeof text);
    for (char *line = length > 0 ? text : NULL; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (*line)
            kill_member(group, (pid_t)strtol(line, NULL, 10));
    }
    return length > (ssize_t)sizeof text / 2;
}

/* Frozen, they cannot multiply meanwhile. */
static void kill_members(int group)
{
    int killer = openat(group, "cgroup.kill", O_WRONLY | O_CLOEXEC);
    if (killer >= 0) {
        bool killed = write(killer, "1", 1) == 1;
        close(killer);
        if (killed)
            return;
    }
    bool more = true;
    for (int round = 0; more && round < KILL_ROUNDS; round++) {
        set_freezer(group, "FROZEN");
        more = kill_some(group);
        set_freezer(group, "THAWED");
    }
}

static int open_group(int above, const char *name)
{
    return openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

struct directory_entry {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

/*
 * Removes the cgroups directly below one, as far as that is possible at once, and kills the members of the others. Tells the
 * name of one that is left; false where there is none.
 */
static bool remove_children(int group, char left[NAME_BYTES])
{
    char buffer[1024] __attribute__((aligned(8)));
    long length;
    *left = 0;
    lseek(group, 0, SEEK_SET);
    while ((length = syscall(SYS_getdents64, group, buffer, sizeof buffer)) > 0)
        for (long at = 0; at < length;) {
            const struct directory_entry *entry = (const struct directory_entry *)(buffer + at);
            at += entry->length;
            if (entry->type != 4 || entry->name[0] == '.' || unlinkat(group, entry->name, AT_REMOVEDIR) == 0)
                continue;
            int child = open_group(group, entry->name);
            if (child < 0)
                continue;
            kill_members(child);
            close(child);
            strcpy(left, entry->name);
        }
    return *left;
}

static uint64_t inode_of(int group, const char *name)
{
    struct stat status;
    return fstatat(group, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? status.st_ino : 0;
}

/*
 * Cgroups that the container's processes made inside their own: down to one that has none below, up again when that is
 * gone. They may be nested deeper than any path is long, so that nothing is kept of the way. One whose members take their
 * time to die is waited for a moment; after that it is left for the next time, with all that is still to be seen.
 */
static void remove_below(int top)
{
    char name[NAME_BYTES];
    uint64_t first = inode_of(top, "."), from = 0; /* below, if we come from there */
    int here = open_group(top, ".");
    for (int steps = 0, waits = 0; here >= 0 && steps < STEPS_MAX; steps++) {
        bool left = remove_children(here, name);
        if (left && inode_of(here, name) == from) { /* it has nothing more below itself, but members */
            if (waits++ == WAITS_MAX)
                break;
            usleep(WAIT_US);
        }
        if (!left && inode_of(here, ".") == first)
            break;
        from = left ? 0 : inode_of(here, ".");
        int next = open_group(here, left ? name : "..");
        close(here);
        here = next;
    }
    if (here >= 0)
        close(here);
}

static bool remove_one(const char *path, bool kill)
{
    if (rmdir(path) == 0 || errno == ENOENT)
        return true;
    if (!kill)
        return false;
    int group = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (group < 0)
        return errno == ENOENT;
    kill_members(group);
    remove_below(group);
    close(group);
    return rmdir(path) == 0 || errno == ENOENT;
}

/* Remove the container's cgroups, inner ones first; with "kill" also what is left in them. True when all are gone. */
bool cgroups_remove(const struct settings *settings, bool kill)
{
    bool all = true;
    for (unsigned i = settings->cgroup_count; i-- > 0;)
        if (!remove_one(settings->cgroups[i], kill))
            all = false;
    return all;
}
