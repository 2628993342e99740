/*
 * What the kernel alone needs for the container that Wherry starts: the same operations in the same order, as straight
 * C from a resident parent; no plan is read, nothing is logged or checked, no name is looked up twice, no daemon waits.
 *
 * floor.py writes operations.h from the plan of a dry run, one line a step, and compiles this. Each line of input is a
 * letter and a line of output its milliseconds: n no network, b on the bridge, p the same with a published port, all
 * three in a namespace that was made before, as Wherry's pools do; w on the bridge, with namespace and veth pair made on
 * the way; e a command in a container that runs; f fifty starts by two workers, as w, to the exec.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CLONE_INTO_CGROUP 0x200000000ULL
enum { NETNS_FD = 200, FLEET = 50, WORKERS = 2 };
struct attributes { uint64_t set, clear, propagation, userns; };

/* Every step ends here if it fails; a floor that left something out would be none. */
#define MUST(call) ((call) < 0 ? (dprintf(2, "%s:%d %s: %m\n", __FILE__, __LINE__, #call), _exit(1)) : (void)0)
#define GONE (errno == ENOENT || errno == ENOTDIR)

static void put(const char *path, int flags, const void *data, size_t size)
{
    int file = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);
    if (file < 0 || write(file, data, size) < 0)
        dprintf(2, "%s: %m\n", path), _exit(1);
    close(file);
}

static void raise_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    MUST(ioctl(control, SIOCSIFFLAGS, &request));
    close(control);
}

static void bind_on(const char *source, const char *target, unsigned long flags, int file)
{
    if (file)
        close(open(target, O_CREAT | O_WRONLY, 0755));
    else
        mkdir(target, 0755);
    MUST(mount(source, target, NULL, MS_BIND | (flags & MS_REC), NULL));
    if (flags & ~(unsigned long)MS_REC)
        MUST(mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | flags, NULL));
}

static void make_read_only(const char *path)
{
    struct attributes read_only = {MS_RDONLY, 0, 0, 0};
    if (syscall(SYS_mount_setattr, AT_FDCWD, path, 0x8000 /* recursive */, &read_only, sizeof read_only) == 0)
        return;
    if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) == 0)
        MUST(syscall(SYS_mount_setattr, AT_FDCWD, path, 0x8000, &read_only, sizeof read_only));
}

static void mask(const char *path)
{
    if (mount("dev/null", path, NULL, MS_BIND, NULL) != 0 && errno == ENOTDIR)
        if (mount("tmpfs", path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k") != 0 && !GONE)
            MUST(-1);
}

static void set_capabilities(uint64_t bounding, uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
    uint32_t header[2] = {0x20080522, 0};
    uint32_t data[6] = {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable, (uint32_t)(effective >> 32),
                        (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)};
    for (int capability = 0; capability < 64; capability++)
        if (!(bounding >> capability & 1) && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
            break;
    MUST(syscall(SYS_capset, header, data));
}

static void filter(const unsigned char *program, size_t size, unsigned flags)
{
    struct { unsigned short length; const void *program; } wanted = {(unsigned short)(size / 8), program};
    MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &wanted));
}

/* union bpf_attr, as far as it is used: a program for a version 2 cgroup's devices. */
__attribute__((unused)) static void filter_devices(const char *group, const unsigned char *program, size_t size)
{
    struct { uint32_t type, count; uint64_t program, license; uint32_t rest[16]; } load = {
        15 /* CGROUP_DEVICE */, (uint32_t)(size / 8), (uintptr_t)program, (uintptr_t)"Apache-2.0", {0}};
    struct { uint32_t target, program, type, flags; } attach = {0, 0, 6 /* CGROUP_DEVICE */, 2 /* ALLOW_MULTI */};
    attach.target = (uint32_t)open(group, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    attach.program = (uint32_t)syscall(SYS_bpf, 5 /* LOAD */, &load, sizeof load);
    MUST(syscall(SYS_bpf, 8 /* ATTACH */, &attach, sizeof attach));
    close((int)attach.program);
    close((int)attach.target);
}

static void be_root(void)
{
    MUST(syscall(SYS_setgroups, 0, NULL));
    MUST(syscall(SYS_setresgid, 0, 0, 0));
    MUST(syscall(SYS_setresuid, 0, 0, 0));
}

static int netlink_socket(int protocol)
{
    int made = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    MUST(made);
    return made;
}

/* A batch of messages, of which the last is acknowledged; of nftables' only from Linux 6.10 on, and then silence is consent:
   what is wrong has been told by the time that send returns. */
static void tell(int netlink, const unsigned char *messages, size_t size)
{
    char answer[8192];
    MUST(send(netlink, messages, size, 0));
    if (recv(netlink, answer, sizeof answer, MSG_DONTWAIT) < 0) {
        MUST(errno == EAGAIN ? 0 : -1);
        return;
    }
    const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
    errno = header->nlmsg_type == NLMSG_ERROR ? -*(int *)(answer + sizeof *header) : 0;
    MUST(-errno);
}

/* The words of operations.h. */
#define CGROUP(path) MUST(mkdir(path, 0755))
#define FILE_OF(path, content) put(path, O_CREAT, content, sizeof(content) - 1)
#define WRITE(path, value) put(path, 0, value, sizeof(value) - 1)
#define OVERLAY(target, options) MUST(mount("overlay", target, "overlay", 0, options)), MUST(chdir(target))
#define MOUNT(type, source, target, flags, data) mkdir(target, 0755), MUST(mount(source, target, type, flags, data))
#define NODE(path, mode, major, minor) MUST(mknod(path, mode, makedev(major, minor)))
#define LIMIT(which, soft, hard) MUST(setrlimit(which, &(struct rlimit){soft, hard}))
#define PIVOT() MUST(syscall(SYS_pivot_root, ".", ".")), MUST(umount2(".", MNT_DETACH)), MUST(chdir("/"))

#include "operations.h"

/* The container's number stands in all its names. */
static void be_number(unsigned number)
{
    for (size_t i = 0; i < sizeof digits / sizeof *digits; i++) {
        digits[i][0] = (char)('0' + number / 10);
        digits[i][1] = (char)('0' + number % 10);
    }
}

static double milliseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* A network namespace as descriptor NETNS_FD: with lo, or with an end of a veth pair on the bridge too. */
static void make_network(int home, bool wired)
{
    MUST(unshare(CLONE_NEWNET));
    int made = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    MUST(dup3(made, NETNS_FD, O_CLOEXEC));
    close(made);
    int inside = netlink_socket(NETLINK_ROUTE);
    if (!wired)
        raise_loopback();
    MUST(setns(home, CLONE_NEWNET));
    if (wired) {
        int outside = netlink_socket(NETLINK_ROUTE);
        tell(outside, make_veth, sizeof make_veth);
        tell(inside, set_inside, sizeof set_inside);
        tell(outside, set_port_up, sizeof set_port_up);
        close(outside);
    }
    close(inside);
}

static void remove_network(bool wired)
{
    int outside = netlink_socket(NETLINK_ROUTE);
    if (wired)
        tell(outside, remove_veth, sizeof remove_veth);
    close(outside);
    close(NETNS_FD);
}

/* A child, born in its cgroup where that is of version 2. */
static pid_t clone_with(uint64_t flags)
{
    uint64_t arguments[11] = {flags, 0, 0, 0, SIGCHLD};
    const char *birthplace = BIRTHPLACE;
    if (birthplace) {
        arguments[0] |= CLONE_INTO_CGROUP;
        arguments[10] = (uint64_t)open(birthplace, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    pid_t child = (pid_t)syscall(SYS_clone3, arguments, sizeof arguments);
    if (birthplace)
        close((int)arguments[10]);
    return child;
}

static _Noreturn void become(char *const *command)
{
    give_up_rights();
    execve(program, command, environment);
    MUST(-1);
    _exit(1);
}

/* Like fork; the child becomes the container, and hears nothing of this program's pipes. */
static pid_t start(char *const *command)
{
    prepare();
    pid_t child = clone_with(namespaces & ~CLONE_NEWCGROUP);
    MUST(child);
    if (child != 0)
        return child;
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd <= 1; fd++)
        dup2(null, fd);
    enter_cgroups();
    if (namespaces & CLONE_NEWCGROUP) /* its root is where the process is by now */
        MUST(unshare(CLONE_NEWCGROUP));
    MUST(setns(NETNS_FD, CLONE_NEWNET));
    make_root();
    become(command);
}

static void reap(pid_t child)
{
    int status;
    MUST(waitpid(child, &status, 0));
    if (status != 0 && status != SIGKILL)
        dprintf(2, "floor: status %x\n", status), _exit(1);
}

static double life(int home, char kind)
{
    if (kind != 'w')
        make_network(home, kind != 'n');
    int tables = netlink_socket(NETLINK_NETFILTER);
    double begin = milliseconds();
    if (kind == 'w')
        make_network(home, true);
    if (kind == 'p')
        tell(tables, publish, sizeof publish);
    reap(start(quick));
    remove_cgroups();
    if (kind == 'p')
        tell(tables, withdraw, sizeof withdraw);
    throw_away();
    double took = milliseconds() - begin;
    close(tables);
    remove_network(kind != 'n');
    return took;
}

/* The container that commands are run in, or 0. From its start on, children are made in its PID namespace. */
static pid_t target;

static double command_inside(int home)
{
    static int target_fd;
    if (!target) {
        be_number(99);
        make_network(home, false);
        target = start(idle);
        target_fd = (int)syscall(SYS_pidfd_open, target, 0);
        usleep(200000);
        MUST(setns(target_fd, CLONE_NEWPID));
    }
    double begin = milliseconds();
    pid_t child = clone_with(0);
    MUST(child);
    if (child == 0) {
        enter_cgroups();
        MUST(setns(target_fd, (namespaces & ~(uint64_t)CLONE_NEWPID) | CLONE_NEWNET));
        become(quick);
    }
    reap(child);
    return milliseconds() - begin;
}

/* Take down what is left of a container that sleeps. */
static void end(pid_t container)
{
    kill(container, SIGKILL);
    reap(container);
    remove_cgroups();
    throw_away();
}

static void start_share(int home, unsigned worker, pid_t *started)
{
    for (unsigned number = worker; number < FLEET; number += WORKERS) {
        int ends[2];
        char byte;
        be_number(number);
        make_network(home, true);
        MUST(pipe2(ends, O_CLOEXEC));
        started[number] = start(idle);
        close(ends[1]);
        if (read(ends[0], &byte, 1) != 0) /* the end of it comes with the exec */
            MUST(-1);
        close(ends[0]);
        close(NETNS_FD);
    }
}

static double fleet(int home)
{
    pid_t *started = mmap(NULL, FLEET * sizeof *started, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    double begin = milliseconds();
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    pid_t workers[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++)
        if ((workers[i] = fork()) == 0)
            start_share(home, i, started), _exit(0);
    for (unsigned i = 0; i < WORKERS; i++)
        reap(workers[i]);
    double took = milliseconds() - begin;
    for (unsigned number = 0; number < FLEET; number++) {
        be_number(number);
        end(started[number]);
        while (if_nametoindex(VETH) != 0) /* it goes with its namespace, soon */
            usleep(1000);
    }
    be_number(0);
    munmap(started, FLEET * sizeof *started);
    return took;
}

int main(void)
{
    char line[16];
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    umask(0);
    while (fgets(line, sizeof line, stdin)) {
        printf("%f\n", line[0] == 'e' ? command_inside(home) : line[0] == 'f' ? fleet(home) : life(home, line[0]));
        fflush(stdout);
    }
    if (target)
        end(target);
    return 0;
}
