/*
 * A container that is at its limit of processes can be entered nevertheless: moving a process into a group is not held
 * to its limit, making one there is. So the process that makes another one is moved out for that, and the other one in.
 * In version 2 one group has all the limits, and nothing is let out of those.
 */
#define _GNU_SOURCE
#include "launch.h"
#include "cgroup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

/* The group of version 1 that the plan has the child enter for the sake of that limit alone, or NULL. */
static const char *limited_group(const struct plan *plan)
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
bool room_move(const struct plan *plan, pid_t pid, bool above)
{
    char path[PATH_BYTES], number[16];
    const char *group = limited_group(plan);
    if (!group)
        return false;
    size_t length = above ? (size_t)(strrchr(group, '/') - group) : strlen(group);
    snprintf(number, sizeof number, "%d", pid);
    return snprintf(path, sizeof path, "%.*s/cgroup.procs", (int)length, group) < PATH_BYTES && write_value(path, number) == 0;
}
