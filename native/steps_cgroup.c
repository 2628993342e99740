/* Steps for cgroups: making them, writing limits, letting devices through, entering. */
#define _GNU_SOURCE
#include "launch.h"
#include "cgroup.h"
#include "packet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Cgroups are remembered here, so that the monitor can remove them whatever happens. */
int step_cgroup_create(struct launch *launch, const struct step *step)
{
    struct settings *settings = &launch->settings;
    const char *path = step_text(step, CGROUP_CREATE_PATH);
    if (settings->cgroup_count == CGROUPS_MAX)
        return fail_text(launch, "more than %d cgroups", CGROUPS_MAX);
    if (keep_text(launch, &settings->cgroups[settings->cgroup_count], path) != 0)
        return -1;
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        return fail_on(launch, path);
    settings->cgroup_count++;
    return 0;
}

/* Opening such a file costs the kernel more than writing to it, and rules for devices come by the dozen. */
static bool next_writes_too(const struct launch *launch, const char *path)
{
    const struct step *next = &launch->plan.steps[launch->index + 1]; /* there always is one: the clone */
    return next->code == STEP_CGROUP_WRITE && strcmp(step_text(next, CGROUP_WRITE_PATH), path) == 0;
}

int step_cgroup_write(struct launch *launch, const struct step *step)
{
    const char *path = step_text(step, CGROUP_WRITE_PATH);
    if (launch->limits < 0)
        launch->limits = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    bool written = launch->limits >= 0 && write(launch->limits, step_text(step, CGROUP_WRITE_VALUE), step->args[CGROUP_WRITE_VALUE].length) >= 0;
    int error = errno;
    if (launch->limits >= 0 && !next_writes_too(launch, path)) {
        close(launch->limits);
        launch->limits = -1;
    }
    errno = error;
    if (written)
        return 0;
    fail_on(launch, path);
    if (step_integer(step, CGROUP_WRITE_OPTIONAL) == 0)
        return -1;
    char text[DETAIL_MAX];
    snprintf(text, sizeof text, "%.900s: %s", path, strerror(errno));
    return send_warning(FD_CONTROL, launch->index, text);
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
int cgroup_enter(struct launch *launch, const char *group)
{
    char path[4096];
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

int step_cgroup_attach(struct launch *launch, const struct step *step)
{
    return cgroup_enter(launch, step_text(step, CGROUP_ATTACH_PATH));
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
    struct bpf_load load = {BPF_TYPE_CGROUP_DEVICE, step->args[CGROUP_DEVICES_PROGRAM].length / 8, (uintptr_t)step->args[CGROUP_DEVICES_PROGRAM].text,
                            (uintptr_t)license, {0}};
    int group = open(step_text(step, CGROUP_DEVICES_PATH), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (group < 0)
        return fail_on(launch, step_text(step, CGROUP_DEVICES_PATH));
    int program = (int)syscall(SYS_bpf, BPF_LOAD, &load, sizeof load);
    struct bpf_attach attach = {(uint32_t)group, (uint32_t)program, BPF_AT_CGROUP_DEVICE, BPF_ALLOW_MULTI};
    int result = program < 0 ? -1 : (int)syscall(SYS_bpf, BPF_ATTACH, &attach, sizeof attach);
    if (result != 0)
        fail_on(launch, step_text(step, CGROUP_DEVICES_PATH));
    if (program >= 0)
        close(program);
    close(group);
    return result;
}
