/* What the steps of one launch share, and the functions by which they are carried out. */
#ifndef WHERRY_LAUNCH_H
#define WHERRY_LAUNCH_H

#include "packet.h"
#include "plan.h"

#include <signal.h>
#include <sys/types.h>

/* Descriptors that the daemon leaves open for the launcher; Fd in step.py. */
enum { FD_PLAN = 3, FD_CONTROL = 4, FD_LISTEN = 5, FD_NET = 6, FD_TARGET = 11, FD_FREE = 12 };

enum { CGROUPS_MAX = 64, HOME_MAX = 4096, DIRECTORY_MAX = 4096, GROUPS_MAX = 65536 /* the kernel's own bound */ };
enum { HELD_MAX = 256, LISTEN_BACKLOG = 128 };

/* Signals that are the daemon's business; its monitors ignore them. */
static const int ignored_signals[] = {SIGPIPE, SIGHUP, SIGINT, SIGTERM, SIGQUIT};
enum { IGNORED_SIGNALS = sizeof ignored_signals / sizeof *ignored_signals };

/* What the host's steps leave for the monitor. The texts are kept apart from the plan, which is let go of. */
struct settings {
    const char *exit_file, *spool_dir;
    bool listen, mounts_last;
    bool tty, stdin_open, stdin_once;
    uint16_t rows, columns;
    const char *log_path, *log_attributes;
    int64_t log_max_size, log_max_file;
    bool log_compress;
    const char *oom_path, *oom_key;
    const char *cgroups[CGROUPS_MAX];
    unsigned cgroup_count;
};

/* Mounts of the host, held while they still receive its mounts; "tree" is -1 once they are in place. */
struct held_tree {
    const char *source;
    bool recursive;
    int tree;
};

struct launch {
    struct plan plan;
    uint32_t index; /* of the step that is being carried out */
    struct settings settings;
    int status;     /* child: the socket to the monitor, closed by a successful exec */
    int root;       /* child: O_PATH descriptor of the container's root, or -1 */
    int procfs;     /* child: a procfs of our own, or -1 */
    int empty_dir;  /* child: the first masked directory, which later ones are cloned from, or -1 */
    int null;       /* child: the container's own /dev/null, once it was found to be that, or -1 */
    int limits;     /* the cgroup file that the last step wrote to, and the next one does, or -1 */
    struct held_tree held[HELD_MAX]; /* child */
    unsigned held_count;
    int input[2], output[2], errors[2]; /* pipes: read end, write end */
    int mounts;     /* the container's mount namespace, which then outlives its processes, or -1 */
    const char *cgroup;    /* child: of version 2, to be entered because the clone could not place it there, or NULL */
    bool cgroup_namespace; /* child: unshare it once every cgroup has been entered */
    char retry_directory[DIRECTORY_MAX]; /* child: a working directory that root could not enter; try as the command */
    uint32_t retry_index;  /* child: the step that was to enter it */
    bool shed;             /* child: it has nothing of the host's any more */
    bool init;             /* child: stay as process 1 */
    char home[HOME_MAX];   /* child: HOME=..., for an environment without it */
    char detail[DETAIL_MAX]; /* what the failing step failed on */
};

/* launch.c. Each returns -1: with errno and launch->detail set. An errno of 0 means that the detail says it all. */
int fail_on(struct launch *launch, const char *what);
int fail_text(struct launch *launch, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* For the same: -1, with errno as it was. */
int close_keeping_errno(int file);
/* The rest return 0, or -1 as above. */
int warn_text(struct launch *launch, const char *text);
int keep_text(struct launch *launch, const char **place, const char *text);
_Noreturn void leave(int code);
bool enters_pids(const struct launch *launch);
void forget_texts(struct launch *launch);

/* Each kind of step has a function; one that fails ends the plan. */
#define DECLARED(code, constant, function, name, side, arguments) \
    int step_##function(struct launch *, const struct step *);
EACH_STEP(DECLARED)
#undef DECLARED

/* launch.c */
extern char *command_line;
void be_called(const char *name);

/* run.c */
int run_steps(struct launch *launch, uint32_t first, uint32_t end);

/* child.c */
_Noreturn void child_main(struct launch *launch);

/* steps_mount.c */
int mount_new(const char *type, const char *source, uint64_t flags, const char *data);
unsigned mount_attributes_of(uint64_t flags);
bool is_procfs(int file);
bool shadows_procfs(const char *path, int target, bool procfs);

/* envoy.c */
int procfs_context(struct launch *launch, int pids);

/* shed.c */
int leave_host_null(const struct launch *launch);
int leave_host_mounts(void);
bool shed_plan(struct launch *launch, uint32_t first);
int shed(struct launch *launch);

/* rights.c */
int set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable);

/* steps_cgroup.c */
int cgroup_enter(struct launch *launch, const char *group);

/* steps_child.c */
int enter_directory(struct launch *launch, const char *directory);
int retry_directory(struct launch *launch);
void die_with_monitor(const struct launch *launch);

/* init.c */
int init_start(struct launch *launch);

/* root.c: paths inside the container's root */
int root_open(const struct launch *launch, const char *path, int flags, uint64_t resolve);
int root_directory(const struct launch *launch, const char *path, mode_t mode);
int root_file(const struct launch *launch, const char *path);
int root_parent(const struct launch *launch, const char *path, const char **name);

/* room.c */
bool room_make(const struct plan *plan, pid_t pid);
bool room_leave(const struct plan *plan, pid_t pid);
void room_restore(void);

/* spawner.c */
void spawner_run(void);

/* monitor.c */
bool monitor_open(struct launch *launch);
bool monitor_watch(pid_t child, int console);
void monitor_started(void);
_Noreturn void monitor_run(void);

#endif
