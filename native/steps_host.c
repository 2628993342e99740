/* Steps that the launcher carries out itself, on the host, before it makes the child. */
#define _GNU_SOURCE
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int step_monitor(struct launch *launch, const struct step *step)
{
    struct settings *settings = &launch->settings;
    settings->listen = step_integer(step, MONITOR_LISTEN) != 0;
    if (settings->listen && listen(FD_LISTEN, LISTEN_BACKLOG) != 0) /* who connects learns our pid: SO_PEERCRED */
        return fail_on(launch, "listening socket");
    settings->mounts_last = step_integer(step, MONITOR_MOUNTS_LAST) != 0;
    if (keep_text(launch, &settings->exit_file, step_text(step, MONITOR_EXIT_FILE)) != 0)
        return -1;
    return keep_text(launch, &settings->spool_dir, step_text(step, MONITOR_SPOOL_DIR));
}

/* A pipe for one stream: the end to read, the end to write. */
static int make_pipe(struct launch *launch, int ends[2])
{
    return pipe2(ends, O_CLOEXEC) == 0 ? 0 : fail_on(launch, "pipe");
}

int step_stdio(struct launch *launch, const struct step *step)
{
    struct settings *settings = &launch->settings;
    settings->tty = step_integer(step, STDIO_TTY) != 0;
    settings->stdin_open = step_integer(step, STDIO_STDIN) != 0;
    settings->stdin_once = step_integer(step, STDIO_STDIN_ONCE) != 0;
    settings->rows = (uint16_t)step_integer(step, STDIO_ROWS);
    settings->columns = (uint16_t)step_integer(step, STDIO_COLUMNS);
    if (settings->tty || launch->output[0] >= 0)
        return 0;
    if (settings->stdin_open && make_pipe(launch, launch->input) != 0)
        return -1;
    if (make_pipe(launch, launch->output) != 0)
        return -1;
    return make_pipe(launch, launch->errors);
}

int step_log(struct launch *launch, const struct step *step)
{
    struct settings *settings = &launch->settings;
    settings->log_max_size = step_integer(step, LOG_MAX_SIZE);
    settings->log_max_file = step_integer(step, LOG_MAX_FILE);
    settings->log_compress = step_integer(step, LOG_COMPRESS) != 0;
    if (keep_text(launch, &settings->log_path, step_text(step, LOG_PATH)) != 0)
        return -1;
    return keep_text(launch, &settings->log_attributes, step_text(step, LOG_ATTRIBUTES));
}

int step_host_directory(struct launch *launch, const struct step *step)
{
    if (mkdir(step_text(step, HOST_DIRECTORY_PATH), (mode_t)step_integer(step, HOST_DIRECTORY_MODE)) == 0 || errno == EEXIST)
        return 0;
    return fail_on(launch, step_text(step, HOST_DIRECTORY_PATH));
}

static int write_whole(int file, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(file, bytes, size);
        if (written < 0 && errno != EINTR)
            return -1;
        if (written > 0) {
            bytes += written;
            size -= (size_t)written;
        }
    }
    return 0;
}

int step_host_file(struct launch *launch, const struct step *step)
{
    const char *path = step_text(step, HOST_FILE_PATH);
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
    int file = open(path, flags, (mode_t)step_integer(step, HOST_FILE_MODE));
    if (file < 0)
        return fail_on(launch, path);
    int result = write_whole(file, step->args[HOST_FILE_CONTENT].text, step->args[HOST_FILE_CONTENT].length);
    if (result != 0)
        fail_on(launch, path);
    close(file);
    return result;
}

int step_oom_counter(struct launch *launch, const struct step *step)
{
    if (keep_text(launch, &launch->settings.oom_path, step_text(step, OOM_COUNTER_PATH)) != 0)
        return -1;
    return keep_text(launch, &launch->settings.oom_key, step_text(step, OOM_COUNTER_KEY));
}

/* The clone itself is main's; this step only marks the place. */
int step_clone(struct launch *launch, const struct step *step)
{
    (void)launch;
    (void)step;
    return 0;
}
