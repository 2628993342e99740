/* The plan: what it looks like once it has been read and found right. */
#ifndef WHERRY_PLAN_H
#define WHERRY_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Codes of the steps, as in src/wherry/runtime/steps.py. */
enum step_code {
    STEP_MONITOR = 1,
    STEP_STDIO,
    STEP_LOG,
    STEP_HOST_DIRECTORY,
    STEP_HOST_FILE,
    STEP_CGROUP_CREATE,
    STEP_CGROUP_WRITE,
    STEP_OOM_COUNTER,
    STEP_CGROUP_DEVICES,
    STEP_CLONE,
    STEP_CGROUP_ATTACH,
    STEP_JOIN_NAMESPACE,
    STEP_PROPAGATION,
    STEP_OVERLAY_ROOT,
    STEP_BIND_ROOT,
    STEP_MOUNT,
    STEP_BIND,
    STEP_MASK,
    STEP_READ_ONLY_PATH,
    STEP_READ_ONLY_ROOT,
    STEP_MAKE_NODE,
    STEP_SYMLINK,
    STEP_ROOT_DIRECTORY,
    STEP_PIVOT_ROOT,
    STEP_HOSTNAME,
    STEP_DOMAINNAME,
    STEP_SYSCTL,
    STEP_LOOPBACK_UP,
    STEP_RLIMIT,
    STEP_OOM_SCORE_ADJUST,
    STEP_CONSOLE,
    STEP_USER,
    STEP_CAPABILITIES,
    STEP_NO_NEW_PRIVILEGES,
    STEP_SECCOMP,
    STEP_WORKING_DIRECTORY,
    STEP_TINY_INIT,
    STEP_EXEC,
    STEP_LAST = STEP_EXEC,
};

/* Bounds on a plan. Far above what Docker's clients can ask for, and low enough to count without overflow. */
enum {
    PLAN_MAX_BYTES = 16 << 20,
    PLAN_MAX_STEPS = 4096,
    PLAN_MAX_ARGUMENTS = 1 << 17,
    PLAN_HEADER = 16,
};

/* One argument: always NUL-terminated; "length" does not count the NUL. */
struct argument {
    const char *text;
    uint32_t length;
};

struct step {
    uint32_t code, argc;
    const struct argument *args;
};

struct plan {
    const struct step *steps;
    uint32_t count;
    uint32_t clone; /* index of the Clone step */
    void *index;    /* the memory of steps and arguments */
    size_t index_size;
};

struct launch;

enum phase { ON_HOST = 1, IN_CHILD = 2, EITHER = 3 };

/*
 * What the launcher knows of a kind of step. "arguments" has a letter for each: t text (no NUL inside),
 * p an absolute path, i integer, b bytes; a trailing * repeats the one before it, also no times.
 */
struct step_kind {
    const char *name;
    enum phase phase;
    const char *arguments;
    int (*run)(struct launch *launch, const struct step *step);
};

extern const struct step_kind step_kinds[STEP_LAST + 1];

/* Reads and checks a plan. Returns NULL, or why it is refused; nothing needs freeing then. */
const char *plan_read(const char *bytes, size_t size, struct plan *plan);
void plan_release(struct plan *plan);

int64_t step_integer(const struct step *step, uint32_t index);
const char *step_text(const struct step *step, uint32_t index);

#endif
