/*
 * Wherry's launcher: carries out a plan and stays as the container's monitor. docs/launcher.md is its contract,
 * steps.h the list of what it can do, README.md says which file may call which.
 */
#define _GNU_SOURCE
#include "launch.h"
#include "cgroup.h"
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct launch launch = {.status = -1, .root = -1, .procfs = -1, .empty_dir = -1, .null = -1, .limits = -1, .mounts = -1,
                               .input = {-1, -1}, .output = {-1, -1}, .errors = {-1, -1}};

static _Noreturn void refuse(uint32_t step, int error, const char *text)
{
    send_failure(FD_CONTROL, step, error, text);
    _exit(1);
}

static _Noreturn void give_up(void)
{
    int error = errno;
    cgroups_remove(&launch.settings, false);
    refuse(launch.index, error, launch.detail);
}

/* Numbers of the contract that are free must not go to descriptors of our own: those of the contract are closed by number. */
static void reserve_numbers(int null)
{
    for (int fd = FD_PLAN; fd < FD_FREE; fd++)
        if (fd != null && fcntl(fd, F_GETFD) < 0)
            dup3(null, fd, O_CLOEXEC);
    if (null >= FD_FREE)
        close(null);
}

enum { SIGNALS = 64 };

/* By the call itself: libraries refuse those that they keep for their threads, which glibc ignores in what it spawns. */
static void take_default(int number)
{
    static const unsigned char none[64]; /* struct sigaction as the kernel has it: SIG_DFL, no flags, nothing blocked */
    syscall(SYS_rt_sigaction, number, none, NULL, 8);
}

/* Nothing of the daemon's: no signals meant for it, none of its streams, no descriptors but those of the contract. */
static void let_go_of_daemon(void)
{
    sigset_t child;
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    for (int number = 1; number <= SIGNALS; number++)
        take_default(number); /* the daemon may ignore some, which an exec keeps */
    for (int i = 0; i < IGNORED_SIGNALS; i++)
        signal(ignored_signals[i], SIG_IGN);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_SETMASK, &child, NULL);
    sys_close_range(FD_FREE, ~0U, 0);
    sys_close_range(FD_PLAN, ~0U, CLOSE_RANGE_CLOEXEC_FLAG);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= 2; fd++)
        if (null != fd)
            dup2(null, fd);
    reserve_numbers(null);
    umask(022);
    if (chdir("/") != 0)
        refuse(0, errno, "/");
}

/* A process of its own: no terminal, no other monitor's descriptors, and whatever the container leaves comes to it. */
static void stand_alone(void)
{
    setsid();
    be_called("wherry-monitor");
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    sys_close_range(FD_FREE, ~0U, 0);
}

/* The plan stays mapped until the child has begun; strings that the monitor keeps are copied by the steps. */
static const char *map_plan(size_t *size)
{
    struct stat status;
    if (fstat(FD_PLAN, &status) != 0 || status.st_size < PLAN_HEADER || status.st_size > PLAN_MAX_BYTES)
        refuse(~0U, EINVAL, "the plan is missing, or has a wrong size");
    *size = (size_t)status.st_size;
    const char *bytes = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, FD_PLAN, 0);
    if (bytes == MAP_FAILED)
        refuse(~0U, errno, "the plan cannot be mapped");
    close(FD_PLAN);
    return bytes;
}

static pid_t clone_child(uint64_t flags, int group)
{
    struct clone_arguments arguments = {.flags = flags, .exit_signal = SIGCHLD};
    if (group >= 0) {
        arguments.flags |= CLONE_INTO_CGROUP_FLAG;
        arguments.cgroup = (uint64_t)group;
    }
    return (pid_t)syscall(NR_clone3, &arguments, sizeof arguments);
}

/* Born in its cgroup, as the clone step has it; -1 where it has none, or the kernel will not have it so. */
static pid_t clone_into_cgroup(uint64_t flags, const char *path)
{
    if (!*path)
        return -1;
    launch.cgroup = path;
    int group = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (group < 0)
        return -1;
    pid_t pid = clone_child(flags, group);
    if (pid >= 0)
        launch.cgroup = NULL;
    close(group);
    return pid;
}

/*
 * An old kernel does not know how to place a child, a group that is full (pids.max) or has inner groups does not take
 * one in that way: whatever the reason, the child then enters by itself, and says what is wrong if that fails too.
 */
static pid_t make_child(void)
{
    const struct step *step = &launch.plan.steps[launch.plan.clone];
    uint64_t flags = (uint64_t)step_integer(step, CLONE_NAMESPACES);
    launch.cgroup_namespace = flags & CLONE_NEWCGROUP;
    flags &= ~(uint64_t)CLONE_NEWCGROUP; /* made by the child when it is in its cgroups */
    pid_t pid = clone_into_cgroup(flags, step_text(step, CLONE_CGROUP));
    if (pid < 0)
        pid = clone_child(flags, -1);
    if (pid < 0 && errno == ENOSYS)
        pid = (pid_t)syscall(SYS_clone, (unsigned long)flags | SIGCHLD, 0, 0, 0, 0);
    return pid;
}

/*
 * The process that is last in a mount namespace takes its mounts down before its end is seen: grace periods, layers,
 * caches. Where the plan has it so, that is left to the monitor, when it has told of the end.
 */
static void keep_mounts(pid_t child)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/mnt", child);
    if (launch.settings.mounts_last)
        launch.mounts = open(path, O_RDONLY | O_CLOEXEC);
}

static void close_child_ends(void)
{
    int ends[] = {launch.input[0], launch.output[1], launch.errors[1]};
    for (int i = 0; i < 3; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    for (int fd = FD_NET; fd < FD_FREE; fd++)
        close(fd);
}

enum { UNDO_TRIES = 200, UNDO_PAUSE_US = 5000 };

/* Nothing of the child may be left when the daemon hears of its failure. Returns how it ended. */
static int undo(pid_t child)
{
    int ended, status = 0;
    room_restore();
    kill(child, SIGKILL);
    for (pid_t pid; (pid = waitpid(-1, &ended, 0)) > 0 || errno == EINTR;) /* also one that has made way for another */
        if (pid > 0 && ended != 0)
            status = ended;
    for (int tries = 0; !cgroups_remove(&launch.settings, tries > 0) && tries < UNDO_TRIES; tries++)
        usleep(UNDO_PAUSE_US);
    return status;
}

/* A step of the child failed, as it says itself. */
static _Noreturn void undo_failed(pid_t child, const void *failure, size_t size)
{
    undo(child);
    send(FD_CONTROL, failure, size, MSG_NOSIGNAL);
    _exit(1);
}

/* A child that ended on its way without a word. Where even that word was forbidden, it has left by a fault. */
static _Noreturn void undo_silent(pid_t child)
{
    int status = undo(child), killer = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (killer == SIGSYS)
        refuse(~0U, 0, "its seccomp filter killed the process before it became the command");
    if (killer == SIGILL || killer == SIGTRAP)
        refuse(~0U, 0, "its seccomp filter lets the process neither become the command nor say why not");
    refuse(~0U, 0, "the process was killed before it became the command");
}

static _Noreturn void undo_unwatched(pid_t child)
{
    char text[128];
    snprintf(text, sizeof text, "the monitor cannot watch the process: %s", strerror(errno));
    undo(child);
    refuse(~0U, 0, text);
}

static bool is_child(pid_t pid)
{
    siginfo_t info;
    return pid > 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/*
 * Listens to the child until it has become the command, or failed. Returns the terminal's master, or -1. It may have made
 * way for a successor, which the kernel names as the sender; from that one, which others may have in their hands, nothing
 * but its words is taken.
 */
static int await_exec(pid_t *child, int status)
{
    unsigned char packet[9 + DETAIL_MAX];
    int descriptor, console = -1;
    const pid_t first = *child;
    bool ready = false;
    pid_t sender;
    for (ssize_t size; (size = receive_packet(status, packet, sizeof packet, &descriptor, &sender, 0)) > 0;) {
        if (packet[0] == 'C' && sender == first && console < 0)
            console = descriptor;
        else if (descriptor >= 0)
            close(descriptor);
        if (is_child(sender))
            *child = sender;
        if (packet[0] == 'E')
            ready = true;
        else if (packet[0] == 'R') /* there is no room for another process */
            send_reply(status, sender == first && room_make(&launch.plan, sender));
        else if (packet[0] == 'I') /* it is there */
            send_reply(status, sender == *child && room_leave(&launch.plan, sender));
        else if (packet[0] == 'W')
            send(FD_CONTROL, packet, (size_t)size, MSG_NOSIGNAL);
        else if (packet[0] == 'F')
            undo_failed(*child, packet, (size_t)size);
    }
    if (!ready)
        undo_silent(*child);
    close(status);
    return console;
}

/*
 * A command, or the interpreter of a script, that is /proc/self/exe: that is this binary until the very exec. For its
 * container there is no such file, as with Docker; all that it has from us is that word.
 */
static _Noreturn void be_no_command(const char *name)
{
    dprintf(STDERR_FILENO, "exec %s: no such file or directory\n", name);
    _exit(255);
}

int main(int argc, char **argv)
{
    int ends[2];
    size_t size;
    if (fcntl(FD_PLAN, F_GETFD) < 0 && fcntl(FD_CONTROL, F_GETFD) < 0)
        be_no_command(argc > 0 ? argv[0] : "");
    let_go_of_daemon();
    if (argc > 0 && strcmp(argv[0], "wherry-spawner") == 0) {
        command_line = argv[0];
        be_called("wherry-spawner");
        spawner_run(); /* returns in a process for a plan */
    }
    stand_alone();
    const char *bytes = map_plan(&size);
    const char *wrong = plan_read(bytes, size, &launch.plan);
    if (wrong)
        refuse(~0U, EINVAL, wrong);
    launch.plan.text = (struct plan_memory){(void *)(uintptr_t)bytes, size};
    if (run_steps(&launch, 0, launch.plan.clone) != 0)
        give_up();
    const int yes = 1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0 ||
        setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) != 0) {
        fail_on(&launch, "status socket");
        give_up();
    }
    pid_t child = make_child();
    if (child == 0) {
        close(ends[0]);
        launch.status = ends[1];
        child_main(&launch);
    }
    if (child < 0) {
        fail_on(&launch, "clone");
        give_up();
    }
    close(ends[1]);
    close_child_ends();
    keep_mounts(child);
    if (!monitor_open(&launch)) /* now, while the child is at work */
        undo_unwatched(child);
    int console = await_exec(&child, ends[0]);
    if (!monitor_watch(child, console))
        undo_unwatched(child);
    monitor_started();
    plan_release(&launch.plan);
    monitor_run();
}
