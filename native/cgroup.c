/* Cgroups: writing limits, entering, reading the OOM counter, and removing what is left at the end. */
#define _GNU_SOURCE
#include "launch.h"
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
    int error = errno;
    close(file);
    errno = error;
    return written < 0 ? -1 : 0;
}

int step_cgroup_write(struct launch *launch, const struct step *step)
{
    const char *path = step_text(step, 0);
    if (write_value(path, step_text(step, 1)) == 0)
        return 0;
    fail_on(launch, path);
    if (step_integer(step, 2) == 0)
        return -1;
    char text[DETAIL_MAX];
    snprintf(text, sizeof text, "%.900s: %s", path, strerror(errno));
    return send_warning(FD_CONTROL, launch->index, text);
}

static ssize_t read_small(int dir, const char *name, char *text, size_t size)
{
    int file = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    ssize_t length = read(file, text, size - 1);
    close(file);
    text[length > 0 ? length : 0] = 0;
    return length;
}

/* Where below its cgroup the container's first process is: "/init", or NULL where that cannot be told. */
static const char *place_below(const char *group, char *text, size_t size)
{
    char path[64];
    const char *id = strrchr(group, '/');
    char *line;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", FD_TARGET);
    if (!id || read_small(AT_FDCWD, path, text, size) <= 0 || !(line = strstr(text, "\nPid:")))
        return NULL;
    snprintf(path, sizeof path, "/proc/%ld/cgroup", strtol(line + 5, NULL, 10));
    if (read_small(AT_FDCWD, path, text, size) <= 0 || !(line = strstr(text, "0::")) || !(line = strstr(line, id)))
        return NULL;
    line += strlen(id);
    line[strcspn(line, "\n")] = 0;
    return *line == '/' ? line : NULL;
}

/*
 * In version 2 only the leaves have members. A container that made groups of its own, as systemd and Docker do, has
 * moved its processes into them: what enters goes where its first process is.
 */
static int attach_below(const char *group)
{
    char text[2048], path[4096];
    const char *below = place_below(group, text, sizeof text);
    int length = below ? snprintf(path, sizeof path, "%s%s/cgroup.procs", group, below) : 0;
    if (length <= 0 || (size_t)length >= sizeof path) {
        errno = EBUSY;
        return -1;
    }
    return write_value(path, "0");
}

/*
 * Version 1 has a file that moves one thread, and the child has but one: moving the caller itself takes no lock that
 * waits for all of the machine's processors (milliseconds), as moving a whole process does.
 */
int step_cgroup_attach(struct launch *launch, const struct step *step)
{
    char path[4096];
    const char *group = step_text(step, 0);
    int length = snprintf(path, sizeof path, "%s/tasks", group);
    if (length < 0 || (size_t)length + sizeof "cgroup.procs" >= sizeof path)
        return fail_text(launch, "the path of a cgroup is too long");
    if (write_value(path, "0") == 0)
        return 0;
    if (errno == ENOENT) {
        snprintf(path, sizeof path, "%s/cgroup.procs", group);
        if (write_value(path, "0") == 0 || (errno == EBUSY && attach_below(group) == 0))
            return 0;
    }
    return fail_on(launch, path);
}

/* union bpf_attr, as far as it is used here. */
struct bpf_load {
    uint32_t type, count;
    uint64_t instructions, license;
    uint32_t rest[16];
};
struct bpf_attach {
    uint32_t target, program, type, flags;
};
enum { BPF_LOAD = 5, BPF_ATTACH = 8, BPF_TYPE_CGROUP_DEVICE = 15, BPF_AT_CGROUP_DEVICE = 6, BPF_ALLOW_MULTI = 2 };

int step_cgroup_devices(struct launch *launch, const struct step *step)
{
    static const char license[] = "Apache-2.0";
    struct bpf_load load = {BPF_TYPE_CGROUP_DEVICE, step->args[1].length / 8, (uintptr_t)step->args[1].text,
                            (uintptr_t)license, {0}};
    int group = open(step_text(step, 0), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (group < 0)
        return fail_on(launch, step_text(step, 0));
    int program = (int)syscall(SYS_bpf, BPF_LOAD, &load, sizeof load);
    struct bpf_attach attach = {(uint32_t)group, (uint32_t)program, BPF_AT_CGROUP_DEVICE, BPF_ALLOW_MULTI};
    int result = program < 0 ? -1 : (int)syscall(SYS_bpf, BPF_ATTACH, &attach, sizeof attach);
    if (result != 0)
        fail_on(launch, step_text(step, 0));
    if (program >= 0)
        close(program);
    close(group);
    return result;
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
