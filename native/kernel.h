/* Kernel calls that the C libraries do not wrap (musl ships no kernel headers). Each returns -1 and errno. */
#ifndef WHERRY_KERNEL_H
#define WHERRY_KERNEL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* These numbers are the same on every architecture that Wherry runs on. */
enum {
    NR_open_tree = 428,
    NR_move_mount = 429,
    NR_fsopen = 430,
    NR_fsconfig = 431,
    NR_fsmount = 432,
    NR_pidfd_open = 434,
    NR_clone3 = 435,
    NR_close_range = 436,
    NR_openat2 = 437,
    NR_faccessat2 = 439,
    NR_mount_setattr = 442,
    NR_pidfd_send_signal = 424,
};

#define RESOLVE_NO_MAGICLINKS 0x02u
#define RESOLVE_NO_SYMLINKS 0x04u
#define RESOLVE_BENEATH 0x08u
#define RESOLVE_IN_ROOT 0x10u

#define OPEN_TREE_CLONE 1u
#define OPEN_TREE_CLOEXEC 02000000u
#define AT_RECURSIVE_TREE 0x8000u
#define AT_EMPTY 0x1000u

#define MOVE_MOUNT_BOTH_EMPTY (0x04u | 0x40u) /* F_EMPTY_PATH | T_EMPTY_PATH */

#define FSOPEN_CLOEXEC_FLAG 1u
#define FSMOUNT_CLOEXEC_FLAG 1u
enum { FSCONFIG_SET_FLAG_ = 0, FSCONFIG_SET_STRING_ = 1, FSCONFIG_CMD_CREATE_ = 6 };

#define ATTR_RDONLY 0x01u
#define ATTR_NOSUID 0x02u
#define ATTR_NODEV 0x04u
#define ATTR_NOEXEC 0x08u
#define ATTR_NOATIME 0x10u
#define ATTR_STRICTATIME 0x20u
#define ATTR_NODIRATIME 0x80u
#define ATTR_ATIME_MASK 0x70u
#define OWN_PROCFS_FLAGS (2u | 4u | 8u) /* of mount(2): MS_NOSUID, MS_NODEV, MS_NOEXEC, as a container has its own */

struct mount_attributes {
    uint64_t set, clear, propagation, userns;
};

struct open_how_ {
    uint64_t flags, mode, resolve;
};

struct clone_arguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    uint64_t set_tid, set_tid_size, cgroup; /* since Linux 5.7; zeros are as good as nothing before that */
};
#define CLONE_INTO_CGROUP_FLAG 0x200000000u

static inline int sys_openat2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how_ how = {flags, mode, resolve};
    return (int)syscall(NR_openat2, dir, path, &how, sizeof how);
}

static inline int sys_open_tree(int dir, const char *path, unsigned flags)
{
    return (int)syscall(NR_open_tree, dir, path, flags);
}

/* Put a mount that a descriptor stands for on what another descriptor stands for. */
static inline int sys_move_mount(int tree, int target)
{
    return (int)syscall(NR_move_mount, tree, "", target, "", MOVE_MOUNT_BOTH_EMPTY);
}

static inline int sys_mount_setattr(int mount, unsigned flags, const struct mount_attributes *attributes)
{
    return (int)syscall(NR_mount_setattr, mount, "", flags | AT_EMPTY, attributes, sizeof *attributes);
}

static inline int sys_fsopen(const char *type)
{
    return (int)syscall(NR_fsopen, type, FSOPEN_CLOEXEC_FLAG);
}

static inline int sys_fsconfig(int context, unsigned command, const char *key, const char *value)
{
    return (int)syscall(NR_fsconfig, context, command, key, value, 0);
}

static inline int sys_fsmount(int context, unsigned attributes)
{
    return (int)syscall(NR_fsmount, context, FSMOUNT_CLOEXEC_FLAG, attributes);
}

static inline int sys_close_range(unsigned first, unsigned last, unsigned flags)
{
    return (int)syscall(NR_close_range, first, last, flags);
}
#define CLOSE_RANGE_CLOEXEC_FLAG 4u

static inline int sys_pidfd_open(int pid)
{
    return (int)syscall(NR_pidfd_open, pid, 0);
}

static inline int sys_pidfd_send_signal(int pidfd, int number)
{
    return (int)syscall(NR_pidfd_send_signal, pidfd, number, NULL, 0);
}

#endif
