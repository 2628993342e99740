/* What the command may do: limits, capabilities, no-new-privileges, the seccomp filter. */
#define _GNU_SOURCE
#include "launch.h"
#include "kernel.h"
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static rlim_t limit_of(int64_t value)
{
    return value < 0 ? RLIM_INFINITY : (rlim_t)value;
}

int step_rlimit(struct launch *launch, const struct step *step)
{
    int resource = (int)step_integer(step, RLIMIT_RESOURCE);
    struct rlimit wanted = {limit_of(step_integer(step, RLIMIT_SOFT)), limit_of(step_integer(step, RLIMIT_HARD))}, present;
    char text[128];
    if (setrlimit(resource, &wanted) == 0)
        return 0;
    snprintf(text, sizeof text, "limit %d", resource);
    if (errno != EPERM || getrlimit(resource, &present) != 0)
        return fail_on(launch, text);
    if (wanted.rlim_cur > present.rlim_max)
        wanted.rlim_cur = present.rlim_max;
    wanted.rlim_max = present.rlim_max;
    if (setrlimit(resource, &wanted) != 0)
        return fail_on(launch, text);
    snprintf(text, sizeof text, "limit %d may not be raised above %llu", resource,
             (unsigned long long)present.rlim_max);
    return warn_text(launch, text);
}

/* Written through a procfs of our own where there is one; before the pivot /proc is the host's, and right too. */
int step_oom_score_adjust(struct launch *launch, const struct step *step)
{
    char value[32];
    snprintf(value, sizeof value, "%d", (int)step_integer(step, OOM_SCORE_ADJUST_VALUE));
    if (write_value("/proc/self/oom_score_adj", value) == 0)
        return 0;
    if (errno != EACCES && errno != EPERM)
        return fail_on(launch, "/proc/self/oom_score_adj");
    return warn_text(launch, "oom_score_adj may not be lowered on this host");
}

enum { CAPABILITY_VERSION_3 = 0x20080522 };
struct capability_header {
    uint32_t version;
    int pid;
};
struct capability_data {
    uint32_t effective, permitted, inheritable;
};

int set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
    struct capability_header header = {CAPABILITY_VERSION_3, 0};
    struct capability_data data[2] = {
        {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
        {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
    };
    return (int)syscall(SYS_capset, &header, data);
}

/* A seccomp profile can let calls fail with "no error": what counts is what the process has in the end. */
static bool has_capabilities(uint64_t effective, uint64_t permitted)
{
    struct capability_header header = {CAPABILITY_VERSION_3, 0};
    struct capability_data data[2];
    return syscall(SYS_capget, &header, data) == 0 &&
           (data[0].effective | (uint64_t)data[1].effective << 32) == effective &&
           (data[0].permitted | (uint64_t)data[1].permitted << 32) == permitted;
}

/* The bounding set, by a call that is first seen to work; what this kernel does not know it does not have. */
static bool is_bounded(uint64_t keep)
{
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0) != 1)
        return false;
    for (int capability = 0; capability < 64; capability++)
        if (!(keep >> capability & 1) && prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1)
            return false;
    return true;
}

/* After a change of user only the permitted set is left (KEEPCAPS); the bounding set needs an effective one. */
static int raise_permitted(uint64_t *permitted)
{
    struct capability_header header = {CAPABILITY_VERSION_3, 0};
    struct capability_data data[2];
    if (syscall(SYS_capget, &header, data) != 0)
        return -1;
    *permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    return set_capabilities(*permitted, *permitted, data[0].inheritable | (uint64_t)data[1].inheritable << 32);
}

static int drop_bounding(uint64_t keep)
{
    for (int capability = 0; capability < 64; capability++) {
        if (keep >> capability & 1)
            continue;
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0)
            continue;
        return errno == EINVAL ? 0 : -1; /* past the last one that the kernel knows */
    }
    return 0;
}

static int raise_ambient(uint64_t ambient)
{
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return -1;
    for (int capability = 0; capability < 64; capability++)
        if (ambient >> capability & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0)
            return -1;
    return 0;
}

int step_capabilities(struct launch *launch, const struct step *step)
{
    uint64_t bounding = (uint64_t)step_integer(step, CAPABILITIES_BOUNDING), effective = (uint64_t)step_integer(step, CAPABILITIES_EFFECTIVE);
    uint64_t wanted = (uint64_t)step_integer(step, CAPABILITIES_PERMITTED), inheritable = (uint64_t)step_integer(step, CAPABILITIES_INHERITABLE);
    uint64_t ambient = (uint64_t)step_integer(step, CAPABILITIES_AMBIENT), permitted;
    if (raise_permitted(&permitted) != 0 || drop_bounding(bounding) != 0)
        return fail_on(launch, "bounding set");
    /* What this host's own root lacks cannot be given on. */
    if (set_capabilities(effective & wanted & permitted, wanted & permitted, inheritable & permitted) != 0)
        return fail_on(launch, "capability sets");
    if (!has_capabilities(effective & wanted & permitted, wanted & permitted) || !is_bounded(bounding))
        return fail_text(launch, "more capabilities are left than may be: the seccomp profile lies");
    if (raise_ambient(ambient & inheritable & wanted & permitted) != 0)
        return fail_on(launch, "ambient set");
    prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
    return 0;
}

int step_no_new_privileges(struct launch *launch, const struct step *step)
{
    (void)step;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : fail_on(launch, "no_new_privs");
}

struct filter_program {
    unsigned short length;
    const void *instructions;
};
enum { SECCOMP_SET_FILTER = 1, FILTER_INSTRUCTIONS_MAX = 4096 };

int step_seccomp(struct launch *launch, const struct step *step)
{
    uint32_t length = step->args[SECCOMP_PROGRAM].length;
    if (length == 0 || length % 8 != 0 || length / 8 > FILTER_INSTRUCTIONS_MAX)
        return fail_text(launch, "a filter of %u bytes", length);
    struct filter_program program = {(unsigned short)(length / 8), step->args[SECCOMP_PROGRAM].text};
    if (syscall(SYS_seccomp, SECCOMP_SET_FILTER, (unsigned)step_integer(step, SECCOMP_FLAGS), &program) != 0)
        return fail_on(launch, "seccomp");
    return 0;
}
