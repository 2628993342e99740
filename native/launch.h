/* What the steps of one launch share, and the functions by which they are carried out. */
#ifndef WHERRY_LAUNCH_H
#define WHERRY_LAUNCH_H

#include "plan.h"

#include <sys/types.h>

/* Descriptors that the daemon leaves open for the launcher; Fd in steps.py. */
enum { FD_PLAN = 3, FD_CONTROL = 4, FD_LISTEN = 5, FD_NET = 6, FD_TARGET = 11, FD_FREE = 12 };

enum { DETAIL_MAX = 1024, CGROUPS_MAX = 64, HOME_MAX = 4096, GROUPS_MAX = 65536 /* the kernel's own bound */ };

/* What the host's steps leave for the monitor. The texts are kept apart from the plan, which is let go of. */
struct settings {
    const char *exit_file, *spool_dir;
    bool listen;
    bool tty, stdin_open, stdin_once;
    uint16_t rows, columns;
    const char *log_path, *log_attributes;
    int64_t log_max_size, log_max_file;
    const char *oom_path, *oom_key;
    const char *cgroups[CGROUPS_MAX];
    unsigned cgroup_count;
};

struct launch {
    struct plan plan;
    uint32_t index; /* of the step that is being carried out */
    struct settings settings;
    int status;     /* child: the socket to the monitor, closed by a successful exec */
    int root;       /* child: O_PATH descriptor of the container's root, or -1 */
    int procfs;     /* child: a procfs of our own, or -1 */
    int empty_dir;  /* child: the first masked directory, which later ones are cloned from, or -1 */
    int input[2], output[2], errors[2]; /* pipes: read end, write end */
    bool cgroup_namespace; /* child: unshare it once every cgroup has been entered */
    bool retry_directory;  /* child: the working directory was closed to root; try as the user */
    const char *directory;
    bool init;             /* child: stay as process 1 */
    char home[HOME_MAX];   /* child: HOME=..., for an environment without it */
    char detail[DETAIL_MAX]; /* what the failing step failed on */
};

/* Each step returns 0, or -1 with errno and launch->detail set. An errno of 0 means that the detail says it all. */
int fail_on(struct launch *launch, const char *what);
int fail_text(struct launch *launch, const char *format, ...) __attribute__((format(printf, 2, 3)));
int warn_text(struct launch *launch, const char *text);
int run_steps(struct launch *launch, uint32_t first, uint32_t end);

/* steps_host.c */
int step_monitor(struct launch *, const struct step *);
int step_stdio(struct launch *, const struct step *);
int step_log(struct launch *, const struct step *);
int step_host_directory(struct launch *, const struct step *);
int step_host_file(struct launch *, const struct step *);
int step_oom_counter(struct launch *, const struct step *);
int step_clone(struct launch *, const struct step *);

/* cgroup.c */
int step_cgroup_create(struct launch *, const struct step *);
int step_cgroup_write(struct launch *, const struct step *);
int step_cgroup_devices(struct launch *, const struct step *);
int step_cgroup_attach(struct launch *, const struct step *);
int write_value(const char *path, const char *value);
bool cgroups_remove(const struct settings *settings, bool kill);
bool cgroup_counter(const char *path, const char *key);

/* steps_mount.c */
int step_propagation(struct launch *, const struct step *);
int step_overlay_root(struct launch *, const struct step *);
int step_bind_root(struct launch *, const struct step *);
int step_mount(struct launch *, const struct step *);
int step_bind(struct launch *, const struct step *);
int step_pivot_root(struct launch *, const struct step *);
int mount_new(const char *type, const char *source, uint64_t flags, const char *data);

/* steps_hide.c */
int step_mask(struct launch *, const struct step *);
int step_read_only_path(struct launch *, const struct step *);
int step_read_only_root(struct launch *, const struct step *);

/* root.c: paths inside the container's root */
int root_open(const struct launch *launch, const char *path, int flags, uint64_t resolve);
int root_directory(const struct launch *launch, const char *path, mode_t mode);
int root_file(const struct launch *launch, const char *path);
int root_parent(const struct launch *launch, const char *path, const char **name);
int step_make_node(struct launch *, const struct step *);
int step_symlink(struct launch *, const struct step *);
int step_root_directory(struct launch *, const struct step *);

/* steps_child.c */
_Noreturn void child_main(struct launch *launch);
int step_join_namespace(struct launch *, const struct step *);
int step_hostname(struct launch *, const struct step *);
int step_domainname(struct launch *, const struct step *);
int step_sysctl(struct launch *, const struct step *);
int step_loopback_up(struct launch *, const struct step *);
int step_working_directory(struct launch *, const struct step *);
int enter_directory(struct launch *launch);
void die_with_monitor(const struct launch *launch);

/* rights.c */
int step_rlimit(struct launch *, const struct step *);
int step_oom_score_adjust(struct launch *, const struct step *);
int step_capabilities(struct launch *, const struct step *);
int step_no_new_privileges(struct launch *, const struct step *);
int step_seccomp(struct launch *, const struct step *);

/* user.c */
int step_user(struct launch *, const struct step *);

/* console.c */
int step_console(struct launch *, const struct step *);

/* exec.c, init.c */
int step_tiny_init(struct launch *, const struct step *);
int step_exec(struct launch *, const struct step *);
int init_start(struct launch *launch);

/* control.c: packets */
int send_failure(int socket, uint32_t step, int error, const char *text);
int send_warning(int socket, uint32_t step, const char *text);
int send_ready(int socket);
int send_descriptor(int socket, int descriptor);
ssize_t receive_packet(int socket, void *data, size_t size, int *descriptor, int flags);

/* monitor.c */
_Noreturn void monitor_run(struct launch *launch, pid_t child, int console);

#endif
