/*
 * Coming into a PID namespace that others are in. They may look at all that a process of it has, from its first moment,
 * and one that may trace may use it. So the process that joins first becomes all that the command will be, in the host's
 * PID namespace still, and then makes the one that is seen.
 */
#define _GNU_SOURCE
#include "launch.h"
#include "kernel.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>

/* It has the same parent, the monitor. */
static pid_t make_brother(void)
{
    return (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
}

/* This process is not needed any more when there is the other. Where the container is full the monitor makes room. */
static int make_successor(struct launch *launch)
{
    bool outside = false;
    pid_t pid = make_brother();
    if (pid < 0 && errno == EAGAIN) {
        outside = ask(launch->status, 'R');
        errno = EAGAIN;
        if (outside)
            pid = make_brother();
    }
    if (pid > 0)
        leave(0);
    if (pid < 0)
        return fail_on(launch, "process");
    return outside && !ask(launch->status, 'I') ? fail_text(launch, "the process cannot be moved into its cgroup") : 0;
}

int step_enter_pids(struct launch *launch, const struct step *step)
{
    bool terminal = launch->settings.tty;
    (void)step;
    if (shed(launch) != 0)
        return -1;
    if (make_successor(launch) != 0)
        return -1;
    setsid();
    if (terminal && ioctl(STDIN_FILENO, TIOCSCTTY, 0) != 0)
        return fail_on(launch, "controlling terminal");
    die_with_monitor(launch);
    return 0;
}
