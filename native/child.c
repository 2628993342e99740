/* The child: from the clone to its steps. */
#define _GNU_SOURCE
#include "launch.h"
#include "packet.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { KEYCTL_JOIN_SESSION = 1 };

/* Signals as a fresh process has them. */
static void reset_signals(void)
{
    sigset_t none;
    for (int i = 0; i < IGNORED_SIGNALS; i++)
        signal(ignored_signals[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int take_streams(struct launch *launch)
{
    const int ends[] = {launch->input[0], launch->output[1], launch->errors[1]};
    launch->index = launch->plan.clone;
    for (int fd = 0; fd < 3; fd++)
        if (ends[fd] >= 0 && dup2(ends[fd], fd) < 0)
            return fail_on(launch, "streams");
    return 0;
}

/* A cgroup namespace shows as its root what the process is in when it is made, so that comes after entering. */
static int enter_cgroups(struct launch *launch, uint32_t *next)
{
    const struct plan *plan = &launch->plan;
    uint32_t end = *next;
    launch->index = plan->clone;
    if (launch->cgroup && cgroup_enter(launch, launch->cgroup) != 0)
        return -1;
    while (end < plan->count && plan->steps[end].code == STEP_CGROUP_ATTACH)
        end++;
    if (run_steps(launch, *next, end) != 0)
        return -1;
    *next = end;
    if (launch->cgroup_namespace && unshare(CLONE_NEWCGROUP) != 0) {
        launch->index = plan->clone;
        return fail_on(launch, "cgroup namespace");
    }
    return 0;
}

_Noreturn void child_main(struct launch *launch)
{
    uint32_t next = launch->plan.clone + 1;
    close(FD_CONTROL);
    close(FD_LISTEN);
    reset_signals();
    die_with_monitor(launch);
    setsid();
    umask(0);
    syscall(SYS_keyctl, KEYCTL_JOIN_SESSION, NULL, 0, 0, 0); /* not the daemon's keys; kernels without keyrings refuse */
    if (take_streams(launch) == 0 && enter_cgroups(launch, &next) == 0)
        run_steps(launch, next, launch->plan.count);
    send_failure(launch->status, launch->index, errno, launch->detail);
    leave(1);
}
