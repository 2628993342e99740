/*
 * What a hostile container would try, one verb at a time; tests/security runs it inside real containers.
 * Each line of output is "name: result", where a result is "ok" or the name of an errno.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void report(const char *name, long result)
{
    printf("%s: %s\n", name, result < 0 ? strerrorname_np(errno) : "ok");
    fflush(stdout);
}

/* A call in a child of its own, which it may kill or change for the worse. */
#define TRY(name, call)                                                                                                \
    do {                                                                                                               \
        pid_t tried = fork();                                                                                          \
        if (tried == 0) {                                                                                              \
            errno = 0;                                                                                                 \
            report(name, (long)(call));                                                                                \
            _exit(0);                                                                                                  \
        }                                                                                                              \
        waitpid(tried, NULL, 0);                                                                                       \
    } while (0)

struct clone3_arguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

static void try_namespaces(void)
{
    static struct clone3_arguments plain = {.exit_signal = SIGCHLD};
    TRY("unshare-user", unshare(CLONE_NEWUSER));
    TRY("unshare-mount", unshare(CLONE_NEWNS));
    TRY("unshare-net", unshare(CLONE_NEWNET));
    TRY("clone-user", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
    TRY("clone-plain", syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    TRY("clone3", syscall(SYS_clone3, &plain, sizeof plain));
    TRY("setns", setns(0, 0));
}

static void try_mounts(void)
{
    TRY("mount", mount("none", "/tmp", "tmpfs", 0, ""));
    TRY("umount", umount2("/proc", MNT_DETACH));
    TRY("fsopen", syscall(SYS_fsopen, "proc", 0));
    TRY("fsconfig", syscall(SYS_fsconfig, 0, 0, 0, 0, 0));
    TRY("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
    TRY("move_mount", syscall(SYS_move_mount, 0, "", 0, "", 0));
    TRY("mount_setattr", syscall(SYS_mount_setattr, AT_FDCWD, "/proc/sys", 0, 0, 0));
    TRY("pivot_root", syscall(SYS_pivot_root, "/", "/"));
    TRY("open_by_handle_at", syscall(SYS_open_by_handle_at, 0, 0, 0));
}

static void try_kernel(void)
{
    TRY("keyctl", syscall(SYS_keyctl, 0, -3, 0, 0, 0));
    TRY("add_key", syscall(SYS_add_key, "user", "x", "x", 1, -3));
    TRY("request_key", syscall(SYS_request_key, "user", "x", 0, 0));
    TRY("io_uring_setup", syscall(SYS_io_uring_setup, 0, 0));
    TRY("io_uring_enter", syscall(SYS_io_uring_enter, 0, 0, 0, 0, 0, 0));
    TRY("io_uring_register", syscall(SYS_io_uring_register, 0, 0, 0, 0));
    TRY("userfaultfd", syscall(SYS_userfaultfd, 0));
    TRY("bpf", syscall(SYS_bpf, 0, 0, 0));
    TRY("perf_event_open", syscall(SYS_perf_event_open, 0, 0, 0, 0, 0));
    TRY("init_module", syscall(SYS_init_module, 0, 0, ""));
    TRY("delete_module", syscall(SYS_delete_module, "none", 0));
    TRY("kexec_load", syscall(SYS_kexec_load, 0, 0, 0, 0));
    TRY("swapon", syscall(SYS_swapon, "/nowhere", 0));
    TRY("acct", syscall(SYS_acct, "/nowhere"));
    TRY("iopl", syscall(SYS_iopl, 0));
    TRY("ustat", syscall(SYS_ustat, 0, 0));
    TRY("personality", syscall(SYS_personality, 0x0040000));
    TRY("personality-default", syscall(SYS_personality, 0xffffffff));
    TRY("af_alg", socket(38, SOCK_SEQPACKET, 0));
    TRY("af_vsock", socket(40, SOCK_STREAM, 0));
    TRY("af_unix", socket(AF_UNIX, SOCK_STREAM, 0));
}

#ifdef __x86_64__
/* The other ways into an x86-64 kernel: 32-bit calls, and the x32 numbers. */
static long call32(long number, long one, long two, long three)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(one), "c"(two), "d"(three) : "memory", "r8", "r9", "r10", "r11");
    result = (int)result;
    if (result < 0) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

static int try_other_modes(void)
{
    TRY("getpid32", call32(20, 0, 0, 0));
    TRY("unshare32", call32(310, CLONE_NEWUSER, 0, 0));
    TRY("keyctl32", call32(288, 0, -3, 0));
    TRY("io_uring_setup32", call32(425, 0, 0, 0));
    TRY("af_alg32", call32(359, 38, SOCK_SEQPACKET, 0));
    TRY("mount32", call32(21, 0, 0, 0));
    TRY("clone3-32", call32(435, 0, 0, 0));
    TRY("unshare-x32", syscall(0x40000000 | SYS_unshare, CLONE_NEWUSER));
    TRY("keyctl-x32", syscall(0x40000000 | SYS_keyctl, 0, -3, 0, 0, 0));
    int *words = mmap((void *)0x10000000, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    words[0] = 38;
    words[1] = SOCK_SEQPACKET;
    words[2] = 0;
    TRY("socketcall-af_alg", call32(102, 1, 0x10000000, 0));
    return 0;
}
#else
static int try_other_modes(void)
{
    return 0;
}
#endif

static int no_such_verb(void)
{
    fputs("unknown verb\n", stderr);
    return 2;
}

/* Opens for writing, as an overwriting attacker does; the descriptor by way of /proc/self/fd a second time. */
static int overwrite(char **paths)
{
    for (; *paths; paths++) {
        int file = open(*paths, O_WRONLY | O_CLOEXEC);
        report(*paths, file);
        int handle = open(*paths, O_RDONLY | O_CLOEXEC);
        if (handle >= 0) {
            char again[64];
            snprintf(again, sizeof again, "/proc/self/fd/%d", handle);
            report("reopened", open(again, O_WRONLY | O_CLOEXEC));
            report("written", write(open(again, O_RDWR | O_CLOEXEC), "x", 1));
        }
    }
    return 0;
}

/* For so many seconds: every process's executable, opened for writing as soon as it can be read. */
static int hunt(int seconds)
{
    char path[64];
    long opened = 0, written = 0;
    for (time_t end = time(NULL) + seconds; time(NULL) < end;)
        for (int pid = 1; pid < 200; pid++) {
            snprintf(path, sizeof path, "/proc/%d/exe", pid);
            int file = open(path, O_RDONLY | O_CLOEXEC);
            if (file < 0)
                continue;
            char target[256], again[64];
            ssize_t length = readlink(path, target, sizeof target - 1);
            target[length > 0 ? length : 0] = 0;
            snprintf(again, sizeof again, "/proc/self/fd/%d", file);
            int writable = strstr(target, "/bin/") ? -1 : open(again, O_WRONLY | O_CLOEXEC);
            opened += !strstr(target, "/bin/");
            written += writable >= 0;
            if (writable >= 0)
                close(writable);
            close(file);
        }
    printf("foreign: %ld\nwritable: %ld\n", opened, written);
    return 0;
}

#define UP "/../../../../../../../.."

/* What a look at other processes found; each counts the looks that found it. */
struct findings {
    long seen, root, directory, descriptor, visited, mounts, memory, rights, unfiltered;
};

/* The host as the test describes it: a path that is only there, and the numbers of its filesystems. */
struct host {
    const char *path;
    char **devices;
};

/* Whether the way up from a directory leads to the host's files. It ends at the root of who goes it, nobody else's. */
static bool leads_up_to(const struct host *host, const char *directory)
{
    char path[4096];
    snprintf(path, sizeof path, "%s" UP UP UP UP "/%s", directory, host->path);
    return access(path, F_OK) == 0;
}

/* Whether something is of the host's filesystems, or beside them. */
static bool is_of(const struct host *host, const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return false;
    if (leads_up_to(host, path))
        return true;
    for (char **device = host->devices; *device; device++)
        if (strtoull(*device, NULL, 10) == status.st_dev)
            return true;
    return false;
}

static bool has_text(int memory, unsigned long from, unsigned long to, const char *text)
{
    static char bytes[1 << 20];
    size_t size = to - from < sizeof bytes ? to - from : sizeof bytes;
    ssize_t got = pread(memory, bytes, size, (off_t)from);
    return got > 0 && memmem(bytes, (size_t)got, text, strlen(text));
}

/* Whether the text is anywhere in a process's memory, or in the names of what it has mapped. */
static bool remembers(int pid, const char *text)
{
    char path[64], line[512];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "re");
    unsigned long from, to;
    while (maps && !found && fgets(line, sizeof line, maps))
        found = strstr(line, text) || (sscanf(line, "%lx-%lx", &from, &to) == 2 && has_text(memory, from, to, text));
    if (maps)
        fclose(maps);
    if (memory >= 0)
        close(memory);
    return found;
}

/* A number of /proc/PID/status, such as CapPrm; -1 where there is none. */
static long long number_of(const char *status, const char *name, int base)
{
    const char *line = strstr(status, name);
    return line ? (long long)strtoull(line + strlen(name), NULL, base) : -1;
}

static void look_at_rights(int pid, struct findings *found)
{
    static char own[8192], others[8192];
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    const char *const paths[] = {"/proc/self/status", path};
    char *const texts[] = {own, others};
    for (int i = 0; i < 2; i++) {
        int file = open(paths[i], O_RDONLY | O_CLOEXEC);
        ssize_t size = file < 0 ? 0 : read(file, texts[i], sizeof own - 1);
        texts[i][size > 0 ? size : 0] = 0;
        if (file >= 0)
            close(file);
    }
    long long theirs = number_of(others, "CapPrm:", 16);
    found->rights += theirs > 0 && (theirs & ~number_of(own, "CapPrm:", 16)) != 0;
    found->unfiltered += number_of(others, "\nSeccomp:", 10) == 0;
}

/* Whether a process is still the engine's: its program is no file of the container's. */
static bool is_engines(int pid)
{
    char path[64], name[256];
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    ssize_t length = readlink(path, name, sizeof name - 1);
    name[length > 0 ? length : 0] = 0;
    return strstr(name, "memfd:") != NULL;
}

/* Goes into the mount namespace of a process, looks for the host's files, and comes back. It takes CAP_SYS_ADMIN. */
static void look_at_mounts(int pid, const struct host *host, struct findings *found)
{
    static int own = -1;
    char path[64];
    if (own < 0)
        own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%d/ns/mnt", pid);
    int theirs = open(path, O_RDONLY | O_CLOEXEC);
    if (theirs >= 0 && setns(theirs, CLONE_NEWNS) == 0) {
        found->visited++;
        found->mounts += access(host->path, F_OK) == 0;
        setns(own, CLONE_NEWNS);
    }
    if (theirs >= 0)
        close(theirs);
}

static void look_at(int pid, const struct host *host, struct findings *found)
{
    char path[64];
    found->seen++;
    snprintf(path, sizeof path, "/proc/%d/root/.", pid);
    found->root += is_of(host, path);
    snprintf(path, sizeof path, "/proc/%d/cwd/.", pid);
    found->directory += is_of(host, path);
    for (int fd = 0; fd < 20; fd++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
        found->descriptor += is_of(host, path);
    }
    look_at_mounts(pid, host, found);
    look_at_rights(pid, found);
    found->memory += remembers(pid, host->path);
}

static volatile sig_atomic_t over;

static void end_it(int number)
{
    over = number;
}

/* The next process that appears here, or -1 when a SIGTERM has come. */
static int next_process(int last)
{
    char path[64];
    signal(SIGTERM, end_it);
    while (!over)
        for (int pid = last + 1; pid < last + 8; pid++) {
            snprintf(path, sizeof path, "/proc/%d", pid);
            if (access(path, F_OK) == 0)
                return pid;
        }
    return -1;
}

/* Looks at every process that comes in, from its first moment on: "watch PATH DEVICE …". */
static int watch(char **words)
{
    const struct host host = {words[0], words + 1};
    struct findings found = {0};
    for (int pid = getpid(); (pid = next_process(pid)) > 0;)
        while (is_engines(pid))
            look_at(pid, &host, &found);
    printf("seen: %ld\nroot: %ld\ncwd: %ld\nfd: %ld\n", found.seen, found.root, found.directory, found.descriptor);
    printf("visited: %ld\nmounts: %ld\n", found.visited, found.mounts);
    printf("memory: %ld\nrights: %ld\nunfiltered: %ld\n", found.memory, found.rights, found.unfiltered);
    return 0;
}

#ifdef __x86_64__
/* Whether it is stopped behind a system call: elsewhere, two bytes back may be what sets the result to 0. */
static int behind_a_call(int pid, const struct user_regs_struct *registers)
{
    errno = 0;
    long code = ptrace(PTRACE_PEEKTEXT, pid, registers->rip - 2, 0);
    return errno == 0 && (code & 0xffff) == 0x050f;
}

/* Lets a stopped process make one call of ours, by the instruction that it is stopped behind. Its result. */
static long call_as(int pid, struct user_regs_struct registers, long number, unsigned long one, unsigned long two)
{
    int status;
    registers.rip -= 2;
    registers.rax = (unsigned long)number;
    registers.orig_rax = -1UL;
    registers.rdi = one;
    registers.rsi = two;
    if (ptrace(PTRACE_SETREGS, pid, 0, &registers) != 0 || ptrace(PTRACE_SINGLESTEP, pid, 0, 0) != 0 ||
        waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status) || ptrace(PTRACE_GETREGS, pid, 0, &registers) != 0)
        return -1;
    return (long)registers.rax;
}

/* Takes every process that comes in as its own, and has it do what this one may not. */
static int seize(void)
{
    long seized = 0, obeyed = 0;
    for (int pid = getpid(); (pid = next_process(pid)) > 0;) {
        struct user_regs_struct registers;
        int status;
        if (ptrace(PTRACE_SEIZE, pid, 0, 0) != 0)
            continue;
        if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0 && waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status) &&
            is_engines(pid) && ptrace(PTRACE_GETREGS, pid, 0, &registers) == 0 && behind_a_call(pid, &registers)) {
            seized++;
            obeyed += call_as(pid, registers, SYS_sethostname, registers.rsp, 1) == 0;
        }
        kill(pid, SIGKILL);
        waitpid(pid, &status, __WALL);
    }
    printf("seized: %ld\nobeyed: %ld\n", seized, obeyed);
    return 0;
}
#else
static int seize(void)
{
    return no_such_verb();
}
#endif

/* Swaps two names as fast as it can. */
static int swap(const char *one, const char *other, int seconds)
{
    long swaps = 0;
    for (time_t end = time(NULL) + seconds; time(NULL) < end;)
        for (int i = 0; i < 100; i++)
            swaps += renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) == 0;
    printf("swaps: %ld\n", swaps);
    return 0;
}

static int open_node(const char *kind, unsigned major_number, unsigned minor_number)
{
    unlink("/tmp/node");
    report("mknod", mknod("/tmp/node", (*kind == 'b' ? S_IFBLK : S_IFCHR) | 0600, makedev(major_number, minor_number)));
    report("read", open("/tmp/node", O_RDONLY | O_NONBLOCK));
    report("write", open("/tmp/node", O_WRONLY | O_NONBLOCK));
    return 0;
}

static int attack_process(int pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    report("mem", open(path, O_RDWR));
    snprintf(path, sizeof path, "/proc/%d/environ", pid);
    int environment = open(path, O_RDONLY);
    report("environ", environment < 0 ? -1 : read(environment, path + 32, 1));
    snprintf(path, sizeof path, "/proc/%d/root/", pid);
    report("root", open(path, O_RDONLY));
    snprintf(path, sizeof path, "/proc/%d/fd/4", pid);
    report("fd", open(path, O_RDWR));
    report("attach", ptrace(PTRACE_SEIZE, pid, 0, 0));
    report("pidfd_getfd", syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, pid, 0), 4, 0));
    return 0;
}

/* Takes an abstract name, listens there as an engine does, and keeps it. */
static int squat(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    memcpy(address.sun_path + 1, name, length);
    int taken = socket(AF_UNIX, SOCK_STREAM, 0);
    int bound = bind(taken, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length));
    if (bound != 0 || listen(taken, 8) != 0)
        return 1;
    report("squat", 0);
    pause();
    return 0;
}

static uint16_t checksum(const void *bytes, size_t length)
{
    const uint16_t *words = bytes;
    uint32_t sum = 0;
    for (size_t i = 0; i < length / 2; i++)
        sum += words[i];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static int parse_mac(const char *text, unsigned char mac[6])
{
    return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) == 6 ? 0 : -1;
}

static int send_frame(const unsigned char *frame, size_t size, const unsigned char *mac)
{
    int raw = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
    struct sockaddr_ll place = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("eth0"), .sll_halen = 6};
    memcpy(place.sll_addr, mac, 6);
    long result = raw < 0 ? -1 : sendto(raw, frame, size, 0, (struct sockaddr *)&place, sizeof place);
    report("sent", result);
    return 0;
}

/* One UDP packet with any addresses, as a raw frame to the given MAC: "datagram MAC FROM TO PORT". */
static int datagram(char **words)
{
    unsigned char frame[64] = {0}, *ip = frame + 14, *udp = ip + 20, mac[6];
    if (parse_mac(words[0], mac) != 0)
        return no_such_verb();
    memcpy(frame, mac, 6);
    memcpy(frame + 6, "\x02\x00\x00\x00\x00\x66", 6);
    frame[12] = 0x08;
    ip[0] = 0x45;
    ip[3] = 20 + 8 + 5;
    ip[8] = 64;
    ip[9] = 17;
    inet_pton(AF_INET, words[1], ip + 12);
    inet_pton(AF_INET, words[2], ip + 16);
    uint16_t sum = checksum(ip, 20), port = htons((uint16_t)atoi(words[3])), length = htons(8 + 5);
    memcpy(ip + 10, &sum, 2);
    memcpy(udp, &port, 2);
    memcpy(udp + 2, &port, 2);
    memcpy(udp + 4, &length, 2);
    memcpy(udp + 8, "spoof", 5);
    return send_frame(frame, 14 + 20 + 8 + 5, mac);
}

/* An ARP answer that nobody asked for, "IP is at my MAC": "claim-address IP MAC". */
static int claim_address(char **words)
{
    unsigned char frame[60] = {0}, mac[6];
    static const unsigned char everybody[6] = {255, 255, 255, 255, 255, 255};
    static const unsigned char head[8] = {0, 1, 8, 0, 6, 4, 0, 2};
    if (parse_mac(words[1], mac) != 0)
        return no_such_verb();
    memcpy(frame, everybody, 6);
    memcpy(frame + 6, mac, 6);
    frame[12] = 0x08;
    frame[13] = 0x06;
    memcpy(frame + 14, head, sizeof head);
    memcpy(frame + 22, mac, 6);
    inet_pton(AF_INET, words[0], frame + 28);
    memcpy(frame + 32, everybody, 6);
    inet_pton(AF_INET, words[0], frame + 38);
    return send_frame(frame, sizeof frame, everybody);
}

/* Descriptors that this process began with, and where it is. */
static int belongings(void)
{
    char path[64], target[4096];
    for (int fd = 0; fd < 1024; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, target, sizeof target - 1);
        if (length < 0)
            continue;
        target[length] = 0;
        printf("fd %d: %s\n", fd, target);
    }
    return 0;
}

/* As "cat /proc/self/status", by a program that may be setuid. */
static int status(void)
{
    char line[4096];
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        fputs(line, stdout);
    return 0;
}

/* Forks until it may not, from every process that it got. */
static int bomb(int seconds)
{
    for (time_t end = time(NULL) + seconds; time(NULL) < end;)
        if (fork() < 0)
            usleep(1000);
    return 0;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    if (!strcmp(verb, "syscalls"))
        return try_namespaces(), try_mounts(), try_kernel(), 0;
    if (!strcmp(verb, "other-modes"))
        return try_other_modes();
    if (!strcmp(verb, "belongings"))
        return belongings();
    if (!strcmp(verb, "status"))
        return status();
    if (!strcmp(verb, "overwrite"))
        return overwrite(argv + 2);
    if (!strcmp(verb, "hunt") && argc == 3)
        return hunt(atoi(argv[2]));
    if (!strcmp(verb, "watch") && argc > 3)
        return watch(argv + 2);
    if (!strcmp(verb, "seize"))
        return seize();
    if (!strcmp(verb, "swap") && argc == 5)
        return swap(argv[2], argv[3], atoi(argv[4]));
    if (!strcmp(verb, "node") && argc == 5)
        return open_node(argv[2], (unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]));
    if (!strcmp(verb, "process") && argc == 3)
        return attack_process(atoi(argv[2]));
    if (!strcmp(verb, "squat") && argc == 3)
        return squat(argv[2]);
    if (!strcmp(verb, "datagram") && argc == 6)
        return datagram(argv + 2);
    if (!strcmp(verb, "claim-address") && argc == 4)
        return claim_address(argv + 2);
    if (!strcmp(verb, "bomb") && argc == 3)
        return bomb(atoi(argv[2]));
    return no_such_verb();
}
