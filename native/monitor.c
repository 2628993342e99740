/*
 * The monitor, once the container runs: one loop over output, clients, the daemon and the end of the container.
 * It keeps nothing that it does not need, as there is one for each container.
 */
#define _GNU_SOURCE
#include "monitor.h"
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

enum { EVENTS_MAX = 16, IDLE_MS = 500, CLEAN_FIRST_MS = 1, CLEAN_EVERY_MS = 50, CLEAN_FOR_MS = 10000 };

static struct monitor self;

int64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool watch_add(struct monitor *monitor, int fd, uint32_t events, enum watch kind, uint32_t index)
{
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)kind << 32 | index};
    return epoll_ctl(monitor->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool watch_stream(struct monitor *monitor, int index, int fd)
{
    struct stream *stream = &monitor->streams[index];
    *stream = (struct stream){.fd = fd, .number = (uint8_t)(index + 1)};
    if (fd < 0)
        return true;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return watch_add(monitor, fd, EPOLLIN | EPOLLET, WATCH_STREAM, (uint32_t)index);
}

static bool watch_input(struct monitor *monitor, int fd)
{
    monitor->input = fd;
    if (fd < 0)
        return true;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return watch_add(monitor, fd, EPOLLOUT | EPOLLET, WATCH_INPUT, 0);
}

/* What does not depend on the child's terminal. False, with errno, where not all is had. */
static bool open_all(struct monitor *monitor, const struct launch *launch)
{
    sigset_t child;
    monitor->epoll = epoll_create1(EPOLL_CLOEXEC);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    monitor->signals = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
    return monitor->epoll >= 0 && monitor->signals >= 0 &&
           watch_add(monitor, monitor->signals, EPOLLIN, WATCH_SIGNALS, 0) &&
           watch_add(monitor, FD_CONTROL, EPOLLIN, WATCH_CONTROL, 0) &&
           (!monitor->settings->listen || watch_add(monitor, FD_LISTEN, EPOLLIN, WATCH_LISTEN, 0)) &&
           watch_stream(monitor, 0, launch->output[0]) && watch_stream(monitor, 1, launch->errors[0]) &&
           watch_input(monitor, launch->input[1]);
}

static void write_exit_file(const struct monitor *monitor)
{
    char line[64], temporary[4096];
    const char *path = monitor->settings->exit_file;
    if (!path || !*path || snprintf(temporary, sizeof temporary, "%s.new", path) >= (int)sizeof temporary)
        return;
    int length = snprintf(line, sizeof line, "%d %d %lld\n", monitor->code, monitor->oom, (long long)monitor->finished);
    int file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0)
        return;
    bool whole = write(file, line, (size_t)length) == length && fdatasync(file) == 0;
    close(file);
    if (whole)
        rename(temporary, path);
}

static void container_exited(struct monitor *monitor, int status)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    monitor->finished = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    monitor->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    streams_drain(monitor);
    if (monitor->input >= 0)
        close(monitor->input);
    monitor->input = -1;
    monitor->oom = monitor->settings->oom_path && cgroup_counter(monitor->settings->oom_path, monitor->settings->oom_key);
    write_exit_file(monitor);
    control_exited(monitor);
    monitor->told = true;
    sched_yield(); /* whoever has been told may be waiting for this processor */
    clients_end(monitor, true);
    monitor->clean_at = monitor->now;
    monitor->clean_until = monitor->now + CLEAN_FOR_MS;
}

/* Reaps the container's first process, and whatever was left to the monitor as the subreaper. */
static void reap(struct monitor *monitor)
{
    struct signalfd_siginfo info;
    int status;
    while (read(monitor->signals, &info, sizeof info) == sizeof info)
        ;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        if (pid == monitor->child && monitor->code < 0)
            container_exited(monitor, status);
}

/* Orphans that came to the monitor, in the host's PID namespace, are gone too when they have been reaped. */
static bool orphans_gone(const struct monitor *monitor)
{
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        ;
    return pid < 0 || monitor->settings->cgroup_count == 0;
}

/* Members need a moment to be gone, and may have to be killed: try now, soon, and then again and again. */
static void clean(struct monitor *monitor, int64_t *deadline)
{
    if (monitor->code < 0 || monitor->cleaned)
        return;
    if (monitor->now >= monitor->clean_at) {
        bool first = monitor->clean_until - monitor->clean_at == CLEAN_FOR_MS;
        bool gone = cgroups_remove(monitor->settings, !first) && orphans_gone(monitor);
        monitor->cleaned = gone || monitor->now >= monitor->clean_until;
        monitor->clean_at = monitor->now + (first ? CLEAN_FIRST_MS : CLEAN_EVERY_MS);
        if (monitor->cleaned) {
            if (monitor->mounts >= 0)
                close(monitor->mounts); /* the kernel takes them down before this returns */
            control_cleaned(monitor);
            return;
        }
    }
    if (*deadline < 0 || monitor->clean_at < *deadline)
        *deadline = monitor->clean_at;
}

static void handle(struct monitor *monitor, const struct epoll_event *event)
{
    uint32_t index = (uint32_t)event->data.u64;
    switch ((enum watch)(event->data.u64 >> 32)) {
    case WATCH_CONTROL:
        control_receive(monitor);
        break;
    case WATCH_LISTEN:
        control_accept(monitor);
        break;
    case WATCH_SIGNALS:
        reap(monitor);
        break;
    case WATCH_INPUT:
        input_flush(monitor);
        break;
    case WATCH_STREAM:
        stream_ready(monitor, (int)index);
        break;
    case WATCH_CLIENT:
        if (event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            monitor->clients[index].readable = !monitor->clients[index].input_ended;
        if (event->events & (EPOLLHUP | EPOLLERR))
            monitor->clients[index].gone = true;
        client_work(monitor, index);
        break;
    }
}

/* Clients whose input had to wait for the container's stdin. */
static void take_waiting_input(struct monitor *monitor)
{
    for (unsigned i = 0; i < monitor->places && monitor->input_length == 0; i++)
        if (monitor->clients[i].fd >= 0 && (monitor->clients[i].readable || monitor->clients[i].gone))
            client_work(monitor, i);
}

static void release_memory(struct monitor *monitor)
{
    streams_release_memory();
    log_release_memory();
    if (monitor->input_length == 0)
        input_release_memory();
    monitor->dirty = false;
}

static int wait_time(const struct monitor *monitor, int64_t deadline)
{
    if (streams_ready(monitor))
        return 0;
    if (monitor->dirty && monitor->held < 0 && (deadline < 0 || deadline > monitor->now + IDLE_MS))
        deadline = monitor->now + IDLE_MS;
    if (deadline < 0)
        return -1;
    return deadline > monitor->now ? (int)(deadline - monitor->now) : 0;
}

_Noreturn static void loop(struct monitor *monitor)
{
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int64_t deadline = -1;
        monitor->now = milliseconds();
        streams_work(monitor);
        take_waiting_input(monitor);
        bool clients = clients_tick(monitor, &deadline);
        clean(monitor, &deadline);
        if (monitor->cleaned && !clients)
            _exit(0);
        int count = epoll_wait(monitor->epoll, events, EVENTS_MAX, wait_time(monitor, deadline));
        monitor->now = milliseconds();
        for (int i = 0; i < count; i++)
            handle(monitor, &events[i]);
        if (count == 0 && monitor->dirty && monitor->held < 0 && !streams_ready(monitor))
            release_memory(monitor);
    }
}

/* Everything that can fail, before the daemon is told of a start. False, with errno. */
bool monitor_open(struct launch *launch)
{
    struct monitor *monitor = &self;
    monitor->settings = &launch->settings;
    monitor->control = FD_CONTROL;
    monitor->mounts = launch->mounts;
    monitor->code = -1;
    monitor->held = -1;
    monitor->now = milliseconds();
    log_open(monitor->settings);
    return open_all(monitor, launch);
}

/* The rest of it: the process, and the master of its terminal, or -1 where it has pipes. */
bool monitor_watch(pid_t child, int console)
{
    struct monitor *monitor = &self;
    monitor->child = child;
    bool typed = console >= 0 && monitor->settings->stdin_open;
    int input = typed ? fcntl(console, F_DUPFD_CLOEXEC, 0) : -1;
    if (console < 0)
        return true;
    return (input >= 0 || !typed) && watch_stream(monitor, 0, console) && watch_input(monitor, input);
}

/* From here on it is the container's, and no longer dies with the daemon's spawner (spawner.c). */
void monitor_started(void)
{
    prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
    control_started(&self);
}

_Noreturn void monitor_run(void)
{
    struct monitor *monitor = &self;
    control_receive(monitor); /* clients that came before the start get the first byte */
    loop(monitor);
}
