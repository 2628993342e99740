"""Which system calls a container may make: Docker's default policy, in our own form.

Whatever is not named here fails with EPERM. Rules can depend on the capabilities of the container (a call that
needs one anyway is open to who has it), on the machine and on the kernel.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from wherry.runtime import oci_spec as oci

EPERM, ENOSYS = 1, 38
ALLOW, ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
EQUAL, LESS, GREATER, MASKED = "SCMP_CMP_EQ", "SCMP_CMP_LT", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"

AF_ALG, AF_VSOCK = 38, 40
NAMESPACE_FLAGS = 0x7E020000  # every CLONE_NEW* that clone(2) takes
PERSONALITIES = (
    0x0,
    0x8,
    0x20000,
    0x20008,
    0xFFFFFFFF,
)  # Linux, LINUX32, UNAME26, both, and "what is it now?"
TRACING_KERNEL = (4, 8)  # before it, ptrace could be used to get around a filter

ALWAYS = """
    _llseek _newselect accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod
    chown chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime
    clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range
    creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2
    epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2
    fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32
    fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat
    fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64
    futex_wait futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents
    getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer
    getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid
    getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32
    getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel
    io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl ioprio_get
    ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32
    lgetxattr link linkat listen listmount listxattr listxattrat llistxattr lremovexattr lseek lsetxattr
    lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat
    mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open
    mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal
    msgctl msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat
    open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect
    poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease pselect6
    pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom
    recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat
    renameat2 restart_syscall riscv_hwprobe rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask
    rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo
    sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
    sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity
    sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop
    semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list
    set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups
    setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid
    setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr setxattrat
    shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall
    socketpair splice stat stat64 statfs statfs64 statmount statx symlink symlinkat sync sync_file_range
    syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime
    timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64
    timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink
    unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write
    writev
"""

WITH_CAPABILITY = {
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_SYS_ADMIN": (
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr "
        "lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl "
        "quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare"
    ),
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module init_module finit_module",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    "CAP_SYS_RAWIO": "iopl ioperm",
    "CAP_SYS_TIME": "settimeofday stime clock_settime clock_settime64",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYSLOG": "syslog",
    "CAP_BPF": "bpf",
    "CAP_PERFMON": "perf_event_open",
}

ON_MACHINE = {
    "x86_64": "arch_prctl modify_ldt",
    "aarch64": "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls",
    "ppc64le": "sync_file_range2 swapcontext",
    "s390x": "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr",
    "riscv64": "riscv_flush_icache",
}

ARCHITECTURES = {
    "x86_64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
    "aarch64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
    "ppc64le": ("SCMP_ARCH_PPC64LE",),
    "s390x": ("SCMP_ARCH_S390X", "SCMP_ARCH_S390"),
    "riscv64": ("SCMP_ARCH_RISCV64",),
}


@dataclass(frozen=True, slots=True)
class Machine:
    """What rules are chosen by: ``uname -m`` and the kernel's version."""

    name: str
    kernel: tuple[int, int]


def this_machine() -> Machine:
    """The host, as uname(2) describes it."""
    uname = os.uname()
    return Machine(uname.machine, kernel_version(uname.release))


def kernel_version(release: str) -> tuple[int, int]:
    """``6.18.44-fc`` as (6, 18)."""
    major, _, rest = release.partition(".")
    digits = "".join(c if c.isdigit() else " " for c in rest).split()
    return int(major), int(digits[0]) if digits else 0


def default_policy(capabilities: frozenset[str], machine: Machine) -> oci.Seccomp:
    """The policy for a container with these capabilities (its bounding set) on a machine."""
    return oci.Seccomp(
        default_action=ERRNO,
        default_errno_ret=EPERM,
        architectures=list(ARCHITECTURES.get(machine.name, ())),
        syscalls=list(rules(capabilities, machine)),
    )


def rules(capabilities: frozenset[str], machine: Machine) -> Iterator[oci.Syscall]:
    yield allow(ALWAYS)
    if machine.kernel >= TRACING_KERNEL:
        yield allow("process_vm_readv process_vm_writev ptrace")
    yield allow("socket", oci.SyscallArg(index=0, value=AF_ALG, op=LESS))
    yield allow("socket", oci.SyscallArg(index=0, value=AF_ALG + 1, op=EQUAL))
    yield allow("socket", oci.SyscallArg(index=0, value=AF_VSOCK, op=GREATER))
    for value in PERSONALITIES:
        yield allow("personality", oci.SyscallArg(index=0, value=value, op=EQUAL))
    if machine.name in ON_MACHINE:
        yield allow(ON_MACHINE[machine.name])
    for capability, names in WITH_CAPABILITY.items():
        if capability in capabilities:
            yield allow(names)
    if "CAP_SYS_ADMIN" not in capabilities:
        yield from clone_rules(machine)


def clone_rules(machine: Machine) -> Iterator[oci.Syscall]:
    """clone without new namespaces. The flags of clone3 lie in memory, where no filter can look: as if it did
    not exist, so that callers fall back to clone."""
    flags_argument = 1 if machine.name.startswith("s390") else 0
    flags = oci.SyscallArg(index=flags_argument, value=NAMESPACE_FLAGS, value_two=0, op=MASKED)
    yield allow("clone", flags)
    yield oci.Syscall(names=["clone3"], action=ERRNO, errno_ret=ENOSYS)


def allow(names: str, *args: oci.SyscallArg) -> oci.Syscall:
    return oci.Syscall(names=names.split(), action=ALLOW, args=list(args))
