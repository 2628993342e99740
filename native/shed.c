/* What the child has of the host's, let go of before anybody in the container can look at it. */
#define _GNU_SOURCE
#include "launch.h"
#include "kernel.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { STACK_BYTES = 16 << 10 };

static bool is_null(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

/* The container's own /dev/null, or -1 where that is something else: a container may have made it so. */
static int own_null(const struct launch *launch)
{
    int place = launch->root < 0 ? -1 : root_open(launch, "/dev/null", O_PATH, 0);
    bool real = place >= 0 && is_null(place);
    if (place >= 0)
        close(place);
    int null = real ? root_open(launch, "/dev/null", O_RDWR | O_NOCTTY, 0) : -1;
    if (null < 0 || is_null(null))
        return null;
    close(null);
    return -1;
}

/*
 * An empty stdin is never the host's /dev/null, whose mode and owner the command could change through it. Where the
 * container has none of its own, a pipe that is at its end serves.
 */
int leave_host_null(const struct launch *launch)
{
    int own = own_null(launch), ends[2];
    if (own < 0) {
        if (pipe2(ends, O_CLOEXEC) != 0)
            return -1;
        close(ends[1]);
        own = ends[0];
    }
    for (int fd = 0; fd <= 2; fd++)
        if (is_null(fd) && dup2(own, fd) < 0)
            return -1;
    close(own);
    return 0;
}

/*
 * The current directory becomes the root, and nothing is above it for whoever comes here through /proc. Both roots are "."
 * for a moment; what lies below, the host's, is then let go of.
 */
int leave_host_mounts(void)
{
    if (syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0)
        return -1;
    return chdir("/");
}

static __attribute__((noinline)) void wipe_stack(void)
{
    char left[STACK_BYTES];
    explicit_bzero(left, sizeof left);
}

/* Memory without the host's paths: of the plan, only what is still to be done. */
bool shed_plan(struct launch *launch, uint32_t first)
{
    wipe_stack();
    forget_texts(launch);
    return plan_forget(&launch->plan, first);
}

/* Nothing is left but the streams, the socket to the monitor, and the steps to come. */
int shed(struct launch *launch)
{
    if (leave_host_null(launch) != 0)
        return fail_on(launch, "stdin");
    if (launch->status != FD_PLAN && dup3(launch->status, FD_PLAN, O_CLOEXEC) < 0)
        return fail_on(launch, "status socket");
    launch->status = FD_PLAN; /* free since the plan is mapped */
    if (sys_close_range(FD_PLAN + 1, ~0U, 0) != 0)
        return fail_on(launch, "descriptors");
    launch->root = launch->procfs = launch->empty_dir = launch->null = launch->limits = -1;
    launch->shed = true;
    return shed_plan(launch, launch->index + 1) ? 0 : fail_on(launch, "plan");
}

