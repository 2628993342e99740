/* The container's terminal, made in its own devpts so that it knows its name. */
#define _GNU_SOURCE
#include "launch.h"
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { DEVPTS_MAGIC = 0x1cd1 };

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif

/* The multiplexer is taken from what really is a devpts: /dev/ptmx itself could be anything by now. */
static int open_master(const struct launch *launch)
{
    struct statfs filesystem;
    int unlock = 0, master = -1;
    int directory = root_open(launch, "/dev/pts", O_PATH | O_DIRECTORY, 0);
    if (directory < 0)
        return -1;
    if (fstatfs(directory, &filesystem) != 0 || filesystem.f_type != DEVPTS_MAGIC)
        errno = ENODEV;
    else
        master = openat(directory, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
    if (master >= 0 && ioctl(master, TIOCSPTLCK, &unlock) != 0) {
        close(master);
        master = -1;
    }
    close_keeping_errno(directory);
    return master;
}

static int bind_console(struct launch *launch, int slave)
{
    int target = root_file(launch, "/dev/console");
    int tree = target < 0 ? -1 : sys_open_tree(slave, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY);
    int result = tree < 0 ? -1 : sys_move_mount(tree, target);
    if (result != 0)
        fail_on(launch, "/dev/console");
    int error = errno;
    if (tree >= 0)
        close(tree);
    if (target >= 0)
        close(target);
    errno = error;
    return result;
}

static int take_terminal(struct launch *launch, int slave)
{
    const struct settings *settings = &launch->settings;
    struct winsize size = {.ws_row = settings->rows, .ws_col = settings->columns};
    if (size.ws_row && size.ws_col)
        ioctl(slave, TIOCSWINSZ, &size);
    if (!enters_pids(launch) && ioctl(slave, TIOCSCTTY, 0) != 0)
        return fail_on(launch, "controlling terminal");
    for (int fd = 0; fd <= 2; fd++)
        if (dup2(slave, fd) < 0)
            return fail_on(launch, "terminal");
    return 0;
}

int step_console(struct launch *launch, const struct step *step)
{
    int master = open_master(launch);
    if (master < 0)
        return fail_on(launch, "/dev/pts/ptmx");
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return fail_on(launch, "/dev/pts");
    if (step_integer(step, CONSOLE_BIND) != 0 && bind_console(launch, slave) != 0)
        return -1;
    if (take_terminal(launch, slave) != 0)
        return -1;
    if (send_descriptor(launch->status, master) != 0)
        return fail_on(launch, "terminal to the monitor");
    close(master);
    close(slave);
    return 0;
}
