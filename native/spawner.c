/*
 * The spawner: one process of each daemon's that has another ready for the next plan: a fork of something this small
 * costs less than a new start of the binary, it is made beforehand, and the daemon does not stand still for it. It holds
 * nothing of any container's; when it or the daemon dies, monitors go on, and init collects them.
 *
 * What has not started yet must not outlive its daemon, since the next one counts it as not begun. So each dies with its
 * parent, by SIGKILL, which also ends what somebody has stopped: the spawner with the daemon, who waits for a plan or is
 * at work on one with the spawner.
 */
#define _GNU_SOURCE
#include "launch.h"
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

enum { GIVEN_MAX = 16, READ_TRIES = 100, OTHER = 0 /* SCHED_OTHER */, BATCH = 3 /* SCHED_BATCH */ };

/* What came with one request: descriptors, and the numbers under which the launcher looks for them. */
struct given {
    int fds[GIVEN_MAX];
    unsigned char numbers[GIVEN_MAX];
    unsigned count;
};

union descriptor_list {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(GIVEN_MAX * sizeof(int))];
};

static void close_all(const struct given *given)
{
    for (unsigned i = 0; i < given->count; i++)
        close(given->fds[i]);
}

/* The next request. False at the end: the daemon is gone. */
static bool receive(int socket, struct given *given)
{
    union descriptor_list control;
    struct iovec place = {given->numbers, sizeof given->numbers};
    struct msghdr message = {.msg_iov = &place, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = sizeof control.bytes};
    ssize_t size;
    do
        size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    if (size <= 0)
        return false;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    given->count = header ? (unsigned)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int)) : 0;
    if (given->count > 0)
        memcpy(given->fds, CMSG_DATA(header), given->count * sizeof(int));
    if (given->count != (size_t)size) { /* not all of them could be had: who asked sees the others close */
        close_all(given);
        given->count = 0;
    }
    return true;
}

/* In the new process: each descriptor at its place. None of them is at another's, since all those are taken. */
static bool take_places(const struct given *given)
{
    for (unsigned i = 0; i < given->count; i++)
        if (dup3(given->fds[i], given->numbers[i], O_CLOEXEC) < 0)
            return false;
    return true;
}

static void tell_failure(const struct given *given, int error, const char *text)
{
    for (unsigned i = 0; i < given->count; i++)
        if (given->numbers[i] == FD_CONTROL)
            send_failure(given->fds[i], ~0U, error, text);
}

/*
 * A process that is woken as "batch" does not take a processor from another: the next one is made when that which has
 * just taken a request waits for its child, or on a processor that is idle. (musl has no such function.)
 */
static void schedule_as(int policy)
{
    const int priority = 0;
    syscall(SYS_sched_setscheduler, 0, policy, &priority);
}

/*
 * A parent that has gone already tells nobody. One of us that was stopped before it came here is let go on by the kernel:
 * when the daemon dies, the spawner's process group is left without one, and what is stopped in such a group gets SIGHUP,
 * which we ignore, and SIGCONT. (It is the end of the thread that made this process which counts. The daemon's is that of
 * its event loop, which ends last.)
 */
static void die_with(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent)
        _exit(0);
}

/* Who has made the socket. */
static pid_t daemon_of(int socket)
{
    struct ucred who = {0};
    socklen_t size = sizeof who;
    getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size);
    return who.pid;
}

/*
 * A process that is there already takes the next request, so that nothing has to be made for it first. "taken" is told
 * when it does not wait any more. It dies with the spawner until its container has started (monitor_started).
 */
static void wait_for_one(pid_t spawner, int socket, int taken, struct given *given)
{
    signal(SIGCHLD, SIG_DFL);
    schedule_as(OTHER);
    die_with(spawner);
    do
        if (!receive(socket, given))
            _exit(0);
    while (given->count == 0);
    if (write(taken, "", 1) != 1)
        _exit(1);
    if (take_places(given))
        return;
    tell_failure(given, errno, "its descriptors could not be put in their places");
    _exit(1);
}

/* No process could be made: what is asked for meanwhile fails. False when the daemon is gone. */
static bool refuse_one(int socket, int error)
{
    struct given given;
    if (!receive(socket, &given))
        return false;
    tell_failure(&given, error, "no process could be made for it");
    close_all(&given);
    return true;
}

/* True at the end of the daemon. Without MSG_DONTWAIT it returns when there is a request, or that end. */
static bool daemon_gone(int socket, int flags)
{
    char byte;
    return recv(socket, &byte, 1, MSG_PEEK | flags) == 0;
}

/* Waits until the process behind the pipe does not wait any more; whether it has taken a request. */
static bool was_taken(int end)
{
    char byte;
    ssize_t size = -1;
    for (int tries = 0; size < 0 && tries < READ_TRIES; tries++) /* one that waits must not get another beside it */
        size = read(end, &byte, 1);
    return size == 1;
}

/* As fork, with a pipe from the child: the parent keeps its end to read. */
static pid_t make_one(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    pid_t pid = fork();
    int error = errno;
    if (pid != 0)
        close(ends[1]);
    if (pid < 0)
        close(ends[0]);
    errno = error;
    return pid;
}

/* Returns in each process that is made for a request. Everything that they share is set already. */
void spawner_run(void)
{
    struct given given;
    const pid_t self = getpid();
    int socket = fcntl(FD_CONTROL, F_DUPFD_CLOEXEC, FD_FREE);
    die_with(daemon_of(socket));
    dup3(STDIN_FILENO, FD_CONTROL, O_CLOEXEC); /* /dev/null, as all free numbers are */
    signal(SIGCHLD, SIG_IGN);
    schedule_as(BATCH);
    for (bool asked = true; asked;) {
        int ends[2];
        pid_t pid = make_one(ends);
        if (pid < 0 && !daemon_gone(socket, 0)) /* nobody needed one yet; by now it may work */
            pid = make_one(ends);
        if (pid == 0) {
            wait_for_one(self, socket, ends[1], &given);
            return;
        }
        if (pid < 0) {
            asked = refuse_one(socket, errno);
            continue;
        }
        asked = was_taken(ends[0]) || !daemon_gone(socket, MSG_DONTWAIT);
        close(ends[0]);
    }
    _exit(0);
}
