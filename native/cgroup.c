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

enum { DEPTH_MAX = 16, KILL_ROUNDS = 16 };

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

struct directory_entry {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

static void remove_children(int group, int depth);

static void remove_child(int group, const char *name, int depth)
{
    int child = openat(group, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (child < 0)
        return;
    kill_members(child);
    if (depth < DEPTH_MAX)
        remove_children(child, depth + 1);
    close(child);
    unlinkat(group, name, AT_REMOVEDIR);
}

/* Cgroups that the container's processes made inside their own. */
static void remove_children(int group, int depth)
{
    char buffer[1024] __attribute__((aligned(8)));
    long length;
    while ((length = syscall(SYS_getdents64, group, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < length;) {
            const struct directory_entry *entry = (const struct directory_entry *)(buffer + at);
            if (entry->type == 4 && entry->name[0] != '.')
                remove_child(group, entry->name, depth);
            at += entry->length;
        }
    }
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
    remove_children(group, 0);
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
