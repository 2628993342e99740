/* Written by `make docs` from the classes of steps in src/wherry/runtime. */
#ifndef WHERRY_STEPS_H
#define WHERRY_STEPS_H

/* Code, constant, function, name, where it may stand, the letters of its arguments. */
#define EACH_STEP(STEP) \
    STEP(1, MONITOR, monitor, "monitor", HOST, "ttii") \
    STEP(2, STDIO, stdio, "stdio", HOST, "iiiii") \
    STEP(3, LOG, log, "log", HOST, "piiti") \
    STEP(4, HOST_DIRECTORY, host_directory, "mkdir", HOST, "pi") \
    STEP(5, HOST_FILE, host_file, "write-file", HOST, "pbi") \
    STEP(6, CGROUP_CREATE, cgroup_create, "cgroup-create", HOST, "p") \
    STEP(7, CGROUP_WRITE, cgroup_write, "cgroup-write", HOST, "pti") \
    STEP(8, OOM_COUNTER, oom_counter, "oom-counter", HOST, "pt") \
    STEP(9, CGROUP_DEVICES, cgroup_devices, "cgroup-devices", HOST, "pb") \
    STEP(10, CLONE, clone, "clone", HOST, "it") \
    STEP(11, CGROUP_ATTACH, cgroup_attach, "cgroup-attach", CHILD, "p") \
    STEP(12, JOIN_NAMESPACE, join_namespace, "join-namespace", CHILD, "ii") \
    STEP(13, PROPAGATION, propagation, "propagation", CHILD, "i") \
    STEP(14, OVERLAY_ROOT, overlay_root, "overlay-root", CHILD, "pppptt*") \
    STEP(15, BIND_ROOT, bind_root, "bind-root", CHILD, "p") \
    STEP(16, MOUNT, mount, "mount", CHILD, "ttpitii") \
    STEP(17, BIND, bind, "bind", CHILD, "ppiii") \
    STEP(18, MASK, mask, "mask", CHILD, "p") \
    STEP(19, READ_ONLY_PATH, read_only_path, "read-only", CHILD, "p") \
    STEP(20, READ_ONLY_ROOT, read_only_root, "read-only-root", CHILD, "") \
    STEP(21, MAKE_NODE, make_node, "mknod", CHILD, "ptiiiii") \
    STEP(22, SYMLINK, symlink, "symlink", CHILD, "tp") \
    STEP(23, ROOT_DIRECTORY, root_directory, "root-mkdir", CHILD, "pi") \
    STEP(24, PIVOT_ROOT, pivot_root, "pivot-root", CHILD, "") \
    STEP(25, HOSTNAME, hostname, "sethostname", CHILD, "t") \
    STEP(26, DOMAINNAME, domainname, "setdomainname", CHILD, "t") \
    STEP(27, SYSCTL, sysctl, "sysctl", CHILD, "tt") \
    STEP(28, LOOPBACK_UP, loopback_up, "loopback-up", CHILD, "") \
    STEP(29, RLIMIT, rlimit, "rlimit", CHILD, "iii") \
    STEP(30, OOM_SCORE_ADJUST, oom_score_adjust, "oom-score-adj", CHILD, "i") \
    STEP(31, CONSOLE, console, "console", CHILD, "i") \
    STEP(32, USER, user, "user", CHILD, "tt*") \
    STEP(33, CAPABILITIES, capabilities, "capabilities", CHILD, "iiiii") \
    STEP(34, NO_NEW_PRIVILEGES, no_new_privileges, "no-new-privileges", CHILD, "") \
    STEP(35, SECCOMP, seccomp, "seccomp", CHILD, "bi") \
    STEP(36, WORKING_DIRECTORY, working_directory, "chdir", CHILD, "p") \
    STEP(37, TINY_INIT, tiny_init, "init", CHILD, "") \
    STEP(38, EXEC, exec, "exec", CHILD, "it*") \
    STEP(39, HOLD_TREE, hold_tree, "hold-tree", CHILD, "pi") \
    STEP(40, OWN_DIRECTORY, own_directory, "own-directory", CHILD, "p") \
    STEP(41, ENTER_PIDS, enter_pids, "enter-pids", CHILD, "")

/* The arguments of each, by place. */
enum { MONITOR_EXIT_FILE, MONITOR_SPOOL_DIR, MONITOR_LISTEN, MONITOR_MOUNTS_LAST };
enum { STDIO_TTY, STDIO_STDIN, STDIO_STDIN_ONCE, STDIO_ROWS, STDIO_COLUMNS };
enum { LOG_PATH, LOG_MAX_SIZE, LOG_MAX_FILE, LOG_ATTRIBUTES, LOG_COMPRESS };
enum { HOST_DIRECTORY_PATH, HOST_DIRECTORY_MODE };
enum { HOST_FILE_PATH, HOST_FILE_CONTENT, HOST_FILE_MODE };
enum { CGROUP_CREATE_PATH };
enum { CGROUP_WRITE_PATH, CGROUP_WRITE_VALUE, CGROUP_WRITE_OPTIONAL };
enum { OOM_COUNTER_PATH, OOM_COUNTER_KEY };
enum { CGROUP_DEVICES_PATH, CGROUP_DEVICES_PROGRAM };
enum { CLONE_NAMESPACES, CLONE_CGROUP };
enum { CGROUP_ATTACH_PATH };
enum { JOIN_NAMESPACE_FD, JOIN_NAMESPACE_NAMESPACES };
enum { PROPAGATION_FLAGS };
enum { OVERLAY_ROOT_LAYERS_DIR, OVERLAY_ROOT_UPPER, OVERLAY_ROOT_WORK, OVERLAY_ROOT_TARGET, OVERLAY_ROOT_OPTIONS, OVERLAY_ROOT_LOWER };
enum { BIND_ROOT_SOURCE };
enum { MOUNT_FSTYPE, MOUNT_SOURCE, MOUNT_TARGET, MOUNT_FLAGS, MOUNT_DATA, MOUNT_PROPAGATION, MOUNT_PIDS };
enum { BIND_SOURCE, BIND_TARGET, BIND_FLAGS, BIND_PROPAGATION, BIND_EVERYWHERE };
enum { MASK_PATH };
enum { READ_ONLY_PATH_PATH };
enum { MAKE_NODE_PATH, MAKE_NODE_KIND, MAKE_NODE_MAJOR, MAKE_NODE_MINOR, MAKE_NODE_MODE, MAKE_NODE_UID, MAKE_NODE_GID };
enum { SYMLINK_TARGET, SYMLINK_PATH };
enum { ROOT_DIRECTORY_PATH, ROOT_DIRECTORY_MODE };
enum { HOSTNAME_HOSTNAME };
enum { DOMAINNAME_DOMAINNAME };
enum { SYSCTL_KEY, SYSCTL_VALUE };
enum { RLIMIT_RESOURCE, RLIMIT_SOFT, RLIMIT_HARD };
enum { OOM_SCORE_ADJUST_VALUE };
enum { CONSOLE_BIND };
enum { USER_SPEC, USER_GROUPS };
enum { CAPABILITIES_BOUNDING, CAPABILITIES_EFFECTIVE, CAPABILITIES_PERMITTED, CAPABILITIES_INHERITABLE, CAPABILITIES_AMBIENT };
enum { SECCOMP_PROGRAM, SECCOMP_FLAGS };
enum { WORKING_DIRECTORY_PATH };
enum { EXEC_WORDS, EXEC_TEXTS };
enum { HOLD_TREE_SOURCE, HOLD_TREE_RECURSIVE };
enum { OWN_DIRECTORY_PATH };

#endif
