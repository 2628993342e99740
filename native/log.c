/*
 * Docker's json-file log: {"log":"text\n","stream":"stdout","time":"..."} per line. Lines beyond 16 KiB are split into
 * entries whose text has no newline until the last. No failure here ever reaches the container.
 */
#define _GNU_SOURCE
#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
    ATTRIBUTES_MAX = 16 << 10,
    ENTRY_MAX = 6 * LINE_BYTES + ATTRIBUTES_MAX + 256, /* the longest entry: each byte may become six */
    OUT_BYTES = 256 << 10,
    NAME_BYTES = 4096,
    ENTRY_FRAME = 70,    /* what an entry has around its text, at least, without attributes */
    RENAMES_MAX = 20000,
};

/* The beginning of a line whose end has not come yet. */
struct partial {
    char text[LINE_BYTES];
    size_t length;
    bool split;           /* parts of this line have been written already */
    char time[40];
    size_t time_length;   /* of its first part, which all parts carry */
};

static struct {
    const char *path, *attributes;
    int64_t max_size, max_file, size;
    int64_t taken; /* numbers of rotated files, up to this one */
    bool compress; /* rotated files may be path.N.gz */
    int file;
    size_t used;
} log_state = {.file = -1};

static char out[OUT_BYTES] __attribute__((aligned(4096)));
static struct partial partials[2] __attribute__((aligned(4096)));

void log_open(const struct settings *settings)
{
    log_state.path = settings->log_path;
    log_state.attributes = settings->log_attributes;
    log_state.max_size = settings->log_max_size;
    log_state.max_file = settings->log_max_file;
    log_state.compress = settings->log_compress;
    if (log_state.attributes && strlen(log_state.attributes) > ATTRIBUTES_MAX)
        log_state.attributes = "";
}

/* The file is made with the first entry. "fresh" begins it anew. */
static void open_file(bool fresh)
{
    struct stat status;
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (fresh ? O_TRUNC : 0);
    log_state.file = open(log_state.path, flags, 0640);
    log_state.size = log_state.file >= 0 && fstat(log_state.file, &status) == 0 ? status.st_size : 0;
}

/* What cannot be written (a full disk) is lost, as the container must go on. */
static void flush(void)
{
    size_t at = 0;
    if (log_state.file < 0)
        open_file(false);
    while (log_state.file >= 0 && at < log_state.used) {
        ssize_t written = write(log_state.file, out + at, log_state.used - at);
        if (written < 0 && errno != EINTR)
            break;
        at += written > 0 ? (size_t)written : 0;
    }
    log_state.used = 0;
}

/* The name of the file before "number" rotations: path for none. */
static void name_of(char name[NAME_BYTES], int64_t number, const char *suffix)
{
    if (number > 0)
        snprintf(name, NAME_BYTES, "%s.%lld%s", log_state.path, (long long)number, suffix);
    else
        snprintf(name, NAME_BYTES, "%s", log_state.path);
}

static void shift(int64_t number, const char *suffix)
{
    char from[NAME_BYTES], to[NAME_BYTES];
    name_of(from, number - 1, suffix);
    name_of(to, number, suffix);
    rename(from, to);
}

/* Whether there was a file so many rotations ago. */
static bool is_there(int64_t number)
{
    char name[NAME_BYTES];
    name_of(name, number, "");
    if (access(name, F_OK) == 0)
        return true;
    name_of(name, number, ".gz");
    return log_state.compress && access(name, F_OK) == 0;
}

/* A file goes in both its forms, as the one that takes its place has only one of them. */
static void drop(int64_t number)
{
    char name[NAME_BYTES];
    name_of(name, number, "");
    unlink(name);
    name_of(name, number, ".gz");
    unlink(name);
}

/* The first number that is free, or the last that there may be. Those that were taken before are so still. */
static int64_t next_number(void)
{
    const int64_t last = log_state.max_file - 1;
    int64_t number = log_state.taken + 1;
    while (number < last && is_there(number))
        number++;
    log_state.taken = number < last ? number : last;
    return log_state.taken;
}

/* path becomes path.1, that path.2 and so on. */
static void shift_files(void)
{
    int64_t number = next_number();
    if (log_state.compress)
        drop(number);
    for (; number > 0; number--) {
        if (log_state.compress && number > 1)
            shift(number, ".gz");
        shift(number, "");
    }
}

static bool is_file(const char *name, const struct log_file *wanted)
{
    struct stat status;
    return lstat(name, &status) == 0 && status.st_ino == wanted->inode && status.st_size == wanted->size &&
           status.st_mtim.tv_sec == wanted->seconds && status.st_mtim.tv_nsec == wanted->nanoseconds;
}

/*
 * The daemon has compressed a rotated file, into one that has no name. Which number it has by now only who rotates
 * can say; if it is gone, so is the other. The whole is there under one name or the other, or both, at any moment.
 */
void log_compressed(const struct log_file *file, int descriptor)
{
    char name[NAME_BYTES], packed[NAME_BYTES], source[32];
    snprintf(source, sizeof source, "/proc/self/fd/%d", descriptor);
    for (int64_t number = 1; log_state.compress && number < log_state.max_file; number++) {
        name_of(name, number, "");
        if (!is_file(name, file))
            continue;
        name_of(packed, number, ".gz");
        if (linkat(AT_FDCWD, source, AT_FDCWD, packed, AT_SYMLINK_FOLLOW) == 0)
            unlink(name);
        return;
    }
}

static void rotate(void)
{
    flush();
    if (log_state.file >= 0)
        close(log_state.file);
    if (log_state.max_file > 1)
        shift_files();
    open_file(true);
}

/*
 * How much output may come at once. Each rotation renames all files that there are, and nobody is heard meanwhile: so many
 * rotations, each of the fewest entries that fill a file, as take about a tenth of a second.
 */
size_t log_room(size_t most)
{
    if (!log_state.path || log_state.max_file < 2 || log_state.max_size <= 0)
        return most;
    size_t frame = ENTRY_FRAME + (log_state.attributes ? strlen(log_state.attributes) : 0);
    size_t entries = (size_t)log_state.max_size / frame + 1, rotations = RENAMES_MAX / (size_t)log_state.max_file + 1;
    return entries < most / rotations ? entries * rotations : most;
}

/* Docker looks at the size before an entry, so that a file may end one entry beyond its limit. */
static char *entry_place(void)
{
    if (log_state.file < 0)
        open_file(false);
    if (log_state.max_size > 0 && log_state.size >= log_state.max_size)
        rotate();
    if (sizeof out - log_state.used < ENTRY_MAX)
        flush();
    return out + log_state.used;
}

static char *put(char *at, const char *text, size_t length)
{
    memcpy(at, text, length);
    return at + length;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static void entry(uint8_t stream, const char *text, size_t length, bool newline, const char *time, size_t time_length)
{
    char *start = entry_place(), *at = start;
    *at++ = '{';
    if (length > 0 || newline) {
        at = PUT(at, "\"log\":\"");
        at = json_escape(at, text, length);
        at = newline ? PUT(at, "\\n\",") : PUT(at, "\",");
    }
    at = stream == 2 ? PUT(at, "\"stream\":\"stderr\",") : PUT(at, "\"stream\":\"stdout\",");
    if (log_state.attributes && *log_state.attributes) {
        at = PUT(at, "\"attrs\":");
        at = put(at, log_state.attributes, strlen(log_state.attributes));
        *at++ = ',';
    }
    at = PUT(at, "\"time\":\"");
    at = put(at, time, time_length);
    at = PUT(at, "\"}\n");
    log_state.used += (size_t)(at - start);
    log_state.size += at - start;
}

/* The end of a line, or of the stream: what was kept of it, and its last part. */
static void finish_line(uint8_t stream, const char *text, size_t length, bool newline, const char *time, size_t time_length)
{
    struct partial *partial = &partials[stream - 1];
    if (partial->split) {
        time = partial->time;
        time_length = partial->time_length;
    }
    if (partial->length > 0) {
        memcpy(partial->text + partial->length, text, length);
        text = partial->text;
        length += partial->length;
    }
    entry(stream, text, length, newline, time, time_length);
    partial->length = 0;
    partial->split = false;
}

/* A line that is longer than an entry may be: write the part. */
static void split_line(uint8_t stream, const char *text, size_t length, const char *time, size_t time_length)
{
    struct partial *partial = &partials[stream - 1];
    if (!partial->split) {
        memcpy(partial->time, time, time_length);
        partial->time_length = time_length;
    }
    finish_line(stream, text, length, false, time, time_length);
    partial->split = true;
}

/* Each line has its own time, so that they can be told apart by it. */
static size_t time_now(char *time)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return log_time(time, &now);
}

void log_output(uint8_t stream, const char *data, size_t length)
{
    struct partial *partial = &partials[stream - 1];
    char time[40];
    if (!log_state.path)
        return;
    while (length > 0) {
        size_t room = LINE_BYTES - partial->length, part = length < room ? length : room;
        const char *newline = memchr(data, '\n', part);
        size_t used = newline ? (size_t)(newline - data) : part;
        if (newline)
            finish_line(stream, data, used++, true, time, time_now(time));
        else if (part == room)
            split_line(stream, data, part, time, time_now(time));
        else {
            memcpy(partial->text + partial->length, data, part);
            partial->length += part;
        }
        data += used;
        length -= used;
    }
    if (log_state.used > 0)
        flush();
}

/* At the end of output: a last line without a newline. */
void log_finish(void)
{
    char time[40];
    for (uint8_t stream = 1; stream <= 2 && log_state.path; stream++)
        if (partials[stream - 1].length > 0)
            finish_line(stream, "", 0, false, time, time_now(time));
    if (log_state.used > 0)
        flush();
    if (log_state.file >= 0)
        close(log_state.file);
    log_state.file = -1;
}

void log_release_memory(void)
{
    madvise(out, sizeof out, MADV_DONTNEED);
    if (partials[0].length == 0 && !partials[0].split && partials[1].length == 0 && !partials[1].split)
        madvise(partials, sizeof partials & ~(size_t)4095, MADV_DONTNEED);
}
