/* --init: a process 1 that starts the command, passes signals on to it, reaps, and exits as it does. */
#define _GNU_SOURCE
#include "launch.h"
#include "kernel.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

int step_tiny_init(struct launch *launch, const struct step *step)
{
    (void)step;
    launch->init = true;
    return 0;
}

/* The command's exit status once it is known, else -1; reaps all that has ended. */
static int reap(pid_t command)
{
    int status, code = -1;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        if (pid == command)
            code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return code;
}

static _Noreturn void init_run(pid_t command, const sigset_t *all)
{
    be_called("wherry-init");
    sys_close_range(3, ~0U, 0);
    for (;;) {
        int number = sigwaitinfo(all, NULL);
        if (number < 0)
            continue;
        if (number != SIGCHLD) {
            kill(command, number);
            continue;
        }
        int code = reap(command);
        if (code >= 0)
            _exit(code);
    }
}

/* Returns 0 in the command's process; the other one stays as init and never returns. */
int init_start(struct launch *launch)
{
    sigset_t all, none;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    pid_t command = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (command < 0)
        return -1;
    if (command > 0) {
        send_presence(launch->status);
        die_with_monitor(launch);
        init_run(command, &all);
    }
    setpgid(0, 0);
    signal(SIGTTOU, SIG_IGN);
    tcsetpgrp(STDIN_FILENO, getpgrp()); /* only where stdin is the terminal */
    signal(SIGTTOU, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    return 0;
}
