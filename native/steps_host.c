/* Steps that the launcher carries out itself, on the host, before it makes the child. */
#define _GNU_SOURCE
#include "launch.h"
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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

int warn_text(struct launch *launch, const char *text)
{
    return send_warning(launch->status, launch->index, text);
}

int run_steps(struct launch *launch, uint32_t first, uint32_t end)
{
    for (launch->index = first; launch->index < end; launch->index++) {
        const struct step *step = &launch->plan.steps[launch->index];
        if (step_kinds[step->code].run(launch, step) != 0)
            return -1;
    }
    return 0;
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

static int keep_all(struct launch *launch, const char **place, const char *text)
{
    *place = keep(text);
    return *place ? 0 : fail_on(launch, text);
}

int step_monitor(struct launch *launch, const struct step *step)
{
    struct settings *settings = &launch->settings;
    settings->listen = step_integer(step, 2) != 0;
    if (keep_all(launch, &settings->exit_file, step_text(step, 0)) != 0)
        return -1;
    return keep_all(launch, &settings->spool_dir, step_text(step, 1));
}

/* A pipe for one stream: the end to read, the end to write. */
static int make_pipe(struct launch *launch, int ends[2])
{
    return pipe2(ends, O_CLOEXEC) == 0 ? 0 : fail_on(launch, "pipe");
}

int step_stdio(struct launch *launch, const struct step *step)
{
    struct settings *settings = &launch->settings;
    settings->tty = step_integer(step, 0) != 0;
    settings->stdin_open = step_integer(step, 1) != 0;
    settings->stdin_once = step_integer(step, 2) != 0;
    settings->rows = (uint16_t)step_integer(step, 3);
    settings->columns = (uint16_t)step_integer(step, 4);
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
    settings->log_max_size = step_integer(step, 1);
    settings->log_max_file = step_integer(step, 2);
    if (keep_all(launch, &settings->log_path, step_text(step, 0)) != 0)
        return -1;
    return keep_all(launch, &settings->log_attributes, step_text(step, 3));
}

int step_host_directory(struct launch *launch, const struct step *step)
{
    if (mkdir(step_text(step, 0), (mode_t)step_integer(step, 1)) == 0 || errno == EEXIST)
        return 0;
    return fail_on(launch, step_text(step, 0));
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
    const char *path = step_text(step, 0);
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
    int file = open(path, flags, (mode_t)step_integer(step, 2));
    if (file < 0)
        return fail_on(launch, path);
    int result = write_whole(file, step->args[1].text, step->args[1].length);
    if (result != 0)
        fail_on(launch, path);
    close(file);
    return result;
}

int step_oom_counter(struct launch *launch, const struct step *step)
{
    if (keep_all(launch, &launch->settings.oom_path, step_text(step, 0)) != 0)
        return -1;
    return keep_all(launch, &launch->settings.oom_key, step_text(step, 1));
}

/* Cgroups are remembered here, so that the monitor can remove them whatever happens. */
int step_cgroup_create(struct launch *launch, const struct step *step)
{
    struct settings *settings = &launch->settings;
    const char *path = step_text(step, 0);
    if (settings->cgroup_count == CGROUPS_MAX)
        return fail_text(launch, "more than %d cgroups", CGROUPS_MAX);
    if (keep_all(launch, &settings->cgroups[settings->cgroup_count], path) != 0)
        return -1;
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        return fail_on(launch, path);
    settings->cgroup_count++;
    return 0;
}

/* The clone itself is main's; this step only marks the place. */
int step_clone(struct launch *launch, const struct step *step)
{
    (void)launch;
    (void)step;
    return 0;
}
