/*
 * A procfs shows the PID namespace of the process that asks the kernel for one. So where a container joins others there,
 * a process of that namespace asks, and hands out the context, from which the mount is made outside. The others can do
 * nothing with it: it has the container's mounts and none of the host's, one descriptor, and a filter that lets it ask,
 * send and end.
 */
#define _GNU_SOURCE
#include "launch.h"
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#if defined(__x86_64__)
#define OUR_MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_MACHINE AUDIT_ARCH_AARCH64
#endif

#define LOADED(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(value, distance) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (distance))
#define WHEN(value, distance) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (distance), 0)

static const struct sock_filter MAY[] = {
    LOADED(arch),
    UNLESS(OUR_MACHINE, 5),
    LOADED(nr),
    WHEN(NR_fsopen, 4),
    WHEN(SYS_sendmsg, 3),
    WHEN(SYS_clone, 2),
    WHEN(SYS_exit_group, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

/*
 * Of the container's mounts, as far as they are made. They still stand in the host's tree, and a root made by chroot(2)
 * ends the way up only for who has that root, not for who looks in through /proc. The copy is of the current directory too.
 */
static int take_own_mounts(const struct launch *launch)
{
    return fchdir(launch->root) == 0 && unshare(CLONE_NEWNS) == 0 ? leave_host_mounts() : -1;
}

/* All that can be given up, before there is anything to see. */
static int give_up(struct launch *launch, int pids, int socket)
{
    const struct sock_fprog filter = {sizeof MAY / sizeof *MAY, (struct sock_filter *)(uintptr_t)MAY};
    const uint64_t kept = UINT64_C(1) << CAP_SYS_ADMIN;
    if (take_own_mounts(launch) != 0 || setns(pids, CLONE_NEWPID) != 0)
        return -1;
    if (dup2(socket, 0) < 0 || sys_close_range(1, ~0U, 0) != 0 || !shed_plan(launch, launch->plan.count - 1))
        return -1;
    if (set_capabilities(kept, kept, 0) != 0)
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}

/* The envoy is this process's brother, since only a child of it can be in that namespace. Both end with an errno. */
static _Noreturn void send_envoy(struct launch *launch, int pids, int socket)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (give_up(launch, pids, socket) != 0)
        _exit(errno);
    long envoy = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
    if (envoy != 0)
        _exit(envoy < 0 ? errno : 0);
    int context = sys_fsopen("proc");
    _exit(context < 0 || send_descriptor(0, context) != 0 ? errno : 0);
}

/* Waits for both; the errno of the one that failed, or 0. */
static int collect(void)
{
    int status, error = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, 0)) > 0 || errno == EINTR;)
        if (pid > 0 && status != 0)
            error = WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
    return error;
}

static int fetch_context(struct launch *launch, int pids)
{
    int ends[2], context = -1;
    char byte;
    pid_t sender;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return -1;
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        send_envoy(launch, pids, ends[1]);
    int error = pid < 0 ? errno : 0;
    close(ends[1]);
    if (pid > 0 && receive_packet(ends[0], &byte, 1, &context, &sender, 0) <= 0)
        context = -1;
    close(ends[0]);
    if (pid > 0)
        error = collect();
    errno = error ? error : ECHILD;
    return context;
}

/* A procfs of the PID namespace behind a descriptor, to be configured. Returns the context's descriptor. */
int procfs_context(struct launch *launch, int pids)
{
    int context = fetch_context(launch, pids);
    if (context >= 0 || errno != EAGAIN || !ask(launch->status, 'R'))
        return context;
    context = fetch_context(launch, pids); /* from outside of a group that is full; see room.c */
    int error = errno;
    bool inside = ask(launch->status, 'I');
    errno = inside ? error : EAGAIN;
    if (inside || context < 0)
        return context;
    return close_keeping_errno(context);
}
