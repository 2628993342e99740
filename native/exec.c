/* The last step: the command itself, found as Docker finds it. */
#define _GNU_SOURCE
#include "launch.h"
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { COMMAND_MAX = 4096, AT_EFFECTIVE = 0x200 };

static const char *variable(const struct step *step, uint32_t first, const char *name)
{
    size_t length = strlen(name);
    for (uint32_t i = first; i < step->argc; i++)
        if (strncmp(step_text(step, i), name, length) == 0)
            return step_text(step, i) + length;
    return NULL;
}

/* 0 where the file is one that can be executed, else the reason why not. */
static int executable(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return errno;
    if (S_ISDIR(status.st_mode))
        return EISDIR;
    if (!(status.st_mode & 0111))
        return EACCES;
    if (syscall(NR_faccessat2, AT_FDCWD, path, X_OK, AT_EFFECTIVE) != 0 && errno != ENOSYS)
        return errno;
    return 0;
}

/* Names with a slash stand for themselves; others are looked for in the command's own PATH, absolute entries only. */
static const char *find_command(const char *name, const char *search, char found[COMMAND_MAX])
{
    if (strchr(name, '/')) {
        errno = executable(name);
        return errno ? NULL : name;
    }
    for (const char *at = search; at && *name; at = *at ? at + 1 : NULL) {
        size_t length = strcspn(at, ":");
        int size = snprintf(found, COMMAND_MAX, "%.*s/%s", (int)length, at, name);
        if (*at == '/' && size < COMMAND_MAX && executable(found) == 0)
            return found;
        at += length;
    }
    errno = ENOENT;
    return NULL;
}

/* argv and envp, each ended by a null pointer, in memory of their own. An empty HOME is none, as with runc. */
static char **make_vectors(struct launch *launch, const struct step *step, uint32_t words, char ***environment)
{
    size_t size = ((size_t)step->argc + 4) * sizeof(char *);
    char **vector = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), **next = vector;
    if (vector == MAP_FAILED)
        return NULL;
    for (uint32_t i = 1; i < step->argc; i++) {
        if (i == words + 1)
            next++;
        if (i <= words || !launch->home[0] || strcmp(step_text(step, i), "HOME=") != 0)
            *next++ = (char *)step_text(step, i);
    }
    *environment = vector + words + 1;
    if (step->argc == words + 1)
        next = *environment;
    const char *home = variable(step, words + 1, "HOME=");
    if (launch->home[0] && (!home || !*home))
        *next = launch->home;
    return vector;
}

int step_exec(struct launch *launch, const struct step *step)
{
    uint32_t words = (uint32_t)step_integer(step, EXEC_WORDS);
    const char *name = step_text(step, EXEC_TEXTS), *search = variable(step, words + 1, "PATH=");
    char found[COMMAND_MAX], **environment;
    if (retry_directory(launch) != 0)
        return -1;
    const char *path = find_command(name, search, found);
    if (!path)
        return fail_on(launch, name);
    char **arguments = make_vectors(launch, step, words, &environment);
    if (!arguments)
        return fail_on(launch, name);
    if (!launch->shed && leave_host_null(launch) != 0)
        return fail_on(launch, "stdin");
    if (launch->init && init_start(launch) != 0)
        return fail_on(launch, "init");
    umask(022);
    sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC_FLAG); /* they all are already; a filter may refuse this call */
    if (!launch->init)
        die_with_monitor(launch);
    send_ready(launch->status);
    execve(path, arguments, environment);
    return fail_on(launch, ""); /* the file is there: its format or its interpreter is at fault */
}
