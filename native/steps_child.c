/* The child: from the clone to the exec, and its smaller steps. */
#define _GNU_SOURCE
#include "launch.h"
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { KEYCTL_JOIN_SESSION = 1 };

/* Signals as a fresh process has them, whatever the daemon and the monitor ignore. */
static void reset_signals(void)
{
    sigset_t none;
    for (int number = 1; number < NSIG; number++)
        if (number != SIGKILL && number != SIGSTOP)
            signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * The child is killed when its monitor dies: nobody would take its output or its status. Setting this costs one call;
 * a change of user clears it, so that it is set again before exec. The poll catches a monitor that died before.
 */
void die_with_monitor(const struct launch *launch)
{
    struct pollfd monitor = {launch->status, 0, 0};
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (poll(&monitor, 1, 0) > 0 && (monitor.revents & (POLLHUP | POLLERR)))
        _exit(1);
}

static void take_streams(struct launch *launch)
{
    if (launch->input[0] >= 0)
        dup2(launch->input[0], STDIN_FILENO);
    if (launch->output[1] >= 0)
        dup2(launch->output[1], STDOUT_FILENO);
    if (launch->errors[1] >= 0)
        dup2(launch->errors[1], STDERR_FILENO);
}

/* A cgroup namespace shows as its root what the process is in when it is made, so that comes after entering. */
static int enter_cgroups(struct launch *launch, uint32_t *next)
{
    const struct plan *plan = &launch->plan;
    uint32_t end = *next;
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
    take_streams(launch);
    if (enter_cgroups(launch, &next) == 0)
        run_steps(launch, next, launch->plan.count);
    send_failure(launch->status, launch->index, errno, launch->detail);
    _exit(1);
}

int step_join_namespace(struct launch *launch, const struct step *step)
{
    int64_t fd = step_integer(step, 0);
    int flags = (int)step_integer(step, 1);
    if (fd < FD_NET || fd > FD_TARGET)
        return fail_text(launch, "descriptor %lld is not one for namespaces", (long long)fd);
    if (setns((int)fd, flags) != 0)
        return fail_on(launch, fd == FD_TARGET ? "the container's namespaces" : "namespace");
    if (!(flags & CLONE_NEWNS))
        return 0;
    launch->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return launch->root >= 0 ? 0 : fail_on(launch, "/");
}

int step_hostname(struct launch *launch, const struct step *step)
{
    return sethostname(step_text(step, 0), step->args[0].length) == 0 ? 0 : fail_on(launch, step_text(step, 0));
}

int step_domainname(struct launch *launch, const struct step *step)
{
    return setdomainname(step_text(step, 0), step->args[0].length) == 0 ? 0 : fail_on(launch, step_text(step, 0));
}

int step_sysctl(struct launch *launch, const struct step *step)
{
    char path[512];
    int length = snprintf(path, sizeof path, "sys/%s", step_text(step, 0));
    if (length < 0 || (size_t)length >= sizeof path)
        return fail_text(launch, "the name of a sysctl is too long");
    if (launch->procfs < 0)
        launch->procfs = mount_new("proc", "proc", MS_NOSUID_NODEV_NOEXEC, "");
    if (launch->procfs < 0)
        return fail_on(launch, "procfs");
    int file = sys_openat2(launch->procfs, path, O_WRONLY | O_CLOEXEC, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    if (file < 0)
        return fail_on(launch, step_text(step, 0));
    int result = write(file, step_text(step, 1), step->args[1].length) < 0 ? -1 : 0;
    if (result != 0)
        fail_on(launch, step_text(step, 0));
    int error = errno;
    close(file);
    errno = error;
    return result;
}

int step_loopback_up(struct launch *launch, const struct step *step)
{
    struct ifreq request = {.ifr_name = "lo"};
    (void)step;
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (control < 0)
        return fail_on(launch, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    int result = ioctl(control, SIOCSIFFLAGS, &request);
    if (result != 0)
        fail_on(launch, "lo");
    int error = errno;
    close(control);
    errno = error;
    return result;
}

/* Enter the working directory, and make sure that it lies below the root (CVE-2024-21626). */
int enter_directory(struct launch *launch)
{
    char where[4096];
    if (chdir(launch->directory) != 0)
        return fail_on(launch, launch->directory);
    long length = syscall(SYS_getcwd, where, sizeof where);
    if (length < 0)
        return fail_on(launch, launch->directory);
    if (length < 2 || where[0] != '/')
        return fail_text(launch, "the working directory %s is outside of the container's root", launch->directory);
    return 0;
}

/* Docker lets a directory that only root may enter be the start of an unprivileged command, and the other way round. */
int step_working_directory(struct launch *launch, const struct step *step)
{
    launch->directory = step_text(step, 0);
    launch->retry_directory = false;
    if (enter_directory(launch) == 0)
        return 0;
    launch->retry_directory = errno == EACCES;
    return launch->retry_directory ? 0 : -1;
}
