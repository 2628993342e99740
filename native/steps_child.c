/* The child's smaller steps. */
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

/*
 * The child is killed when its monitor dies: nobody would take its output or its status. Setting this costs one call;
 * a change of user clears it, so that it is set again before exec. The poll catches a monitor that died before.
 */
void die_with_monitor(const struct launch *launch)
{
    struct pollfd monitor = {launch->status, 0, 0};
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (poll(&monitor, 1, 0) > 0 && (monitor.revents & (POLLHUP | POLLERR)))
        leave(1);
}

int step_join_namespace(struct launch *launch, const struct step *step)
{
    int64_t fd = step_integer(step, JOIN_NAMESPACE_FD);
    int flags = (int)step_integer(step, JOIN_NAMESPACE_NAMESPACES);
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
    return sethostname(step_text(step, HOSTNAME_HOSTNAME), step->args[HOSTNAME_HOSTNAME].length) == 0 ? 0 : fail_on(launch, step_text(step, HOSTNAME_HOSTNAME));
}

int step_domainname(struct launch *launch, const struct step *step)
{
    return setdomainname(step_text(step, DOMAINNAME_DOMAINNAME), step->args[DOMAINNAME_DOMAINNAME].length) == 0 ? 0 : fail_on(launch, step_text(step, DOMAINNAME_DOMAINNAME));
}

int step_sysctl(struct launch *launch, const struct step *step)
{
    char path[512];
    int length = snprintf(path, sizeof path, "sys/%s", step_text(step, SYSCTL_KEY));
    if (length < 0 || (size_t)length >= sizeof path)
        return fail_text(launch, "the name of a sysctl is too long");
    if (launch->procfs < 0)
        launch->procfs = mount_new("proc", "proc", OWN_PROCFS_FLAGS, "");
    if (launch->procfs < 0)
        return fail_on(launch, "procfs");
    int file = sys_openat2(launch->procfs, path, O_WRONLY | O_CLOEXEC, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    if (file < 0)
        return fail_on(launch, step_text(step, SYSCTL_KEY));
    int result = write(file, step_text(step, SYSCTL_VALUE), step->args[SYSCTL_VALUE].length) < 0 ? -1 : 0;
    if (result != 0)
        fail_on(launch, step_text(step, SYSCTL_KEY));
    close_keeping_errno(file);
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
    close_keeping_errno(control);
    return result;
}

/* Enter the working directory, and make sure that it lies below the root (CVE-2024-21626). */
int enter_directory(struct launch *launch, const char *directory)
{
    char where[4096];
    if (chdir(directory) != 0)
        return fail_on(launch, directory);
    long length = syscall(SYS_getcwd, where, sizeof where);
    if (length < 0)
        return fail_on(launch, directory);
    if (length < 2 || where[0] != '/')
        return fail_text(launch, "the working directory %s is outside of the container's root", directory);
    return 0;
}

/*
 * Docker lets a directory that only root may enter be the start of an unprivileged command, and the other way round. In
 * a PID namespace that is not entered yet there is no /proc/self.
 */
int step_working_directory(struct launch *launch, const struct step *step)
{
    const char *directory = step_text(step, WORKING_DIRECTORY_PATH);
    if (enter_directory(launch, directory) == 0)
        return 0;
    if (errno != EACCES && !(errno == ENOENT && enters_pids(launch)))
        return -1;
    snprintf(launch->retry_directory, DIRECTORY_MAX, "%s", directory); /* a longer one would have failed otherwise */
    launch->retry_index = launch->index;
    return 0;
}

/* Once the process is all that the command will be. */
int retry_directory(struct launch *launch)
{
    if (!launch->retry_directory[0] || enter_directory(launch, launch->retry_directory) == 0)
        return 0;
    launch->index = launch->retry_index;
    return -1;
}
