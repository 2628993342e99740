/* What all steps have in common: how they fail and warn, what they leave for the monitor, what comes after them. */
#define _GNU_SOURCE
#include "launch.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

char *command_line; /* as ps shows it: that of the first of us all, which every fork has a copy of */

/* For people: a name of at most 14 letters. */
void be_called(const char *name)
{
    prctl(PR_SET_NAME, name, 0, 0, 0);
    if (command_line)
        strncpy(command_line, name, strlen("wherry-spawner"));
}

int fail_on(struct launch *launch, const char *what)
{
    int error = errno;
    snprintf(launch->detail, sizeof launch->detail, "%s", what);
    errno = error;
    return -1;
}

int fail_text(struct launch *launch, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(launch->detail, sizeof launch->detail, format, arguments);
    va_end(arguments);
    errno = 0;
    return -1;
}

int close_keeping_errno(int file)
{
    int error = errno;
    close(file);
    errno = error;
    return -1;
}

int warn_text(struct launch *launch, const char *text)
{
    return send_warning(launch->status, launch->index, text);
}

/* Whether this process makes way for another one, which then is the session's leader. */
bool enters_pids(const struct launch *launch)
{
    for (uint32_t i = launch->index; i < launch->plan.count; i++)
        if (launch->plan.steps[i].code == STEP_ENTER_PIDS)
            return true;
    return false;
}

/* Ends the child. Its own filter may forbid it the call, but nobody can forbid it a fault. */
_Noreturn void leave(int code)
{
    syscall(SYS_exit_group, code);
    __builtin_trap();
}

/* The monitor keeps few and short texts; the plan itself, with its environment and filters, is let go of. */
static char kept[24 << 10];
static size_t kept_length;

static const char *keep(const char *text)
{
    size_t size = strlen(text) + 1;
    if (size > sizeof kept - kept_length) {
        errno = E2BIG;
        return NULL;
    }
    char *place = kept + kept_length;
    kept_length += size;
    return memcpy(place, text, size);
}

/* A child's copy of them, before others can look at it. */
void forget_texts(struct launch *launch)
{
    memset(kept, 0, sizeof kept);
    memset(&launch->settings, 0, sizeof launch->settings);
}

int keep_text(struct launch *launch, const char **place, const char *text)
{
    *place = keep(text);
    return *place ? 0 : fail_on(launch, text);
}
