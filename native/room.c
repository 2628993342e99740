/*
 * A container that is at its limit of processes can be entered nevertheless. In version 1 the process that makes another
 * one is moved out of that one group for it, and the other one in: moving is not held to the limit. In version 2 one group
 * has all the limits, and nothing is let out of those: there the limit is one higher for that moment.
 */
#define _GNU_SOURCE
#include "launch.h"
#include "cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

/* The limit of version 2 while it is raised: its file, locked against others who enter, or -1, and what it says. */
static int raised = -1;
static char limit[32];

/* The group of version 1 that the plan has the child enter for the sake of that limit alone, or NULL. */
static const char *group_of_its_own(const struct plan *plan)
{
    char path[PATH_BYTES];
    for (uint32_t i = plan->clone + 1; i < plan->count && plan->steps[i].code == STEP_CGROUP_ATTACH; i++) {
        const char *group = step_text(&plan->steps[i], CGROUP_ATTACH_PATH);
        if (snprintf(path, sizeof path, "%s/pids.max", group) < PATH_BYTES && access(path, F_OK) == 0)
            return group;
    }
    return NULL;
}

/* Into the group, or into the one above it. */
static bool move(const char *group, pid_t pid, bool above)
{
    char path[PATH_BYTES], number[16];
    size_t length = above ? (size_t)(strrchr(group, '/') - group) : strlen(group);
    snprintf(number, sizeof number, "%d", pid);
    return snprintf(path, sizeof path, "%.*s/cgroup.procs", (int)length, group) < PATH_BYTES && write_value(path, number) == 0;
}

static bool raise_limit(const char *group)
{
    char present[32], higher[32];
    int folder = *group ? open(group, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (folder < 0)
        return false;
    raised = openat(folder, "pids.max", O_WRONLY | O_CLOEXEC);
    bool locked = raised >= 0 && flock(raised, LOCK_EX | LOCK_NB) == 0;
    bool read = locked && read_small(folder, "pids.max", limit, sizeof limit) > 0 &&
                read_small(folder, "pids.current", present, sizeof present) > 0;
    close(folder);
    int length = snprintf(higher, sizeof higher, "%ld", read ? strtol(present, NULL, 10) + 1 : 0);
    if (read && write(raised, higher, (size_t)length) == length)
        return true;
    if (raised >= 0)
        close(raised);
    raised = -1;
    return false;
}

/* The limit is as it was. A write that fails leaves it one higher, which harms nobody. */
void room_restore(void)
{
    if (raised < 0)
        return;
    if (write(raised, limit, strlen(limit)) < 0)
        limit[0] = 0;
    close(raised);
    raised = -1;
}

bool room_make(const struct plan *plan, pid_t pid)
{
    const char *group = group_of_its_own(plan);
    return group ? move(group, pid, true) : raise_limit(step_text(&plan->steps[plan->clone], CLONE_CGROUP));
}

bool room_leave(const struct plan *plan, pid_t pid)
{
    const char *group = group_of_its_own(plan);
    room_restore();
    return !group || move(group, pid, false);
}
