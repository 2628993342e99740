/* The container's output: read once, written to the log and to every client. */
#define _GNU_SOURCE
#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>

enum { ROUNDS = 16, TURN_MS = 50, PIPE_BYTES = 256 << 10, DRAIN_BYTES = 4 << 20, TTY_SETTLE_MS = 20 };

/* One frame: its header, and what was read, behind each other so that one send takes both. */
static char frame[FRAME_HEADER + READ_BYTES] __attribute__((aligned(4096)));

static void stream_end(struct monitor *monitor, struct stream *stream)
{
    close(stream->fd);
    stream->fd = -1;
    stream->ready = false;
    if (monitor->streams[0].fd < 0 && monitor->streams[1].fd < 0) {
        log_finish();
        if (monitor->told) /* else later: who sees the end may ask for the exit status at once */
            clients_end(monitor, true);
    }
}

/* A busy pipe is made larger, so that both sides are woken less often. */
static void widen(struct stream *stream)
{
    stream->widened = true;
    fcntl(stream->fd, F_SETPIPE_SZ, PIPE_BYTES);
}

/* Returns how much was read; 0 where there is nothing for now or for ever. */
static size_t stream_read(struct monitor *monitor, struct stream *stream)
{
    ssize_t length = read(stream->fd, frame + FRAME_HEADER, log_room(READ_BYTES));
    if (length < 0 && errno == EINTR)
        return 0;
    bool vacant = errno == EIO && monitor->code < 0; /* nobody has the terminal open for now; systemd does so */
    if (length < 0 && (errno == EAGAIN || vacant)) {
        stream->ready = false;
        return 0;
    }
    if (length <= 0) {
        stream_end(monitor, stream);
        return 0;
    }
    monitor->dirty = true;
    if (length == READ_BYTES && !stream->widened)
        widen(stream);
    log_output(stream->number, frame + FRAME_HEADER, (size_t)length);
    clients_write(monitor, stream->number, frame, (size_t)length);
    return (size_t)length;
}

static bool may_read(const struct monitor *monitor, const struct stream *stream)
{
    return stream->fd >= 0 && stream->ready && !monitor->paused && monitor->held < 0;
}

/*
 * The kernel tells of streams in the order in which they got something. What comes within one wake-up is read in that
 * order, which is the truest that can be known: "2>&1" at the client's shows an error before what was said behind it.
 */
void stream_ready(struct monitor *monitor, int index)
{
    if (!monitor->streams[1 - index].ready)
        monitor->lead = index;
    monitor->streams[index].ready = true;
}

static struct stream *in_order(struct monitor *monitor, int place)
{
    return &monitor->streams[place ^ monitor->lead];
}

bool streams_ready(const struct monitor *monitor)
{
    return may_read(monitor, &monitor->streams[0]) || may_read(monitor, &monitor->streams[1]);
}

/* A few reads of each stream in turn; then others are heard, and sooner where a log that rotates often costs much time. */
void streams_work(struct monitor *monitor)
{
    int64_t until = milliseconds() + TURN_MS;
    for (int round = 0; round < ROUNDS && streams_ready(monitor) && milliseconds() < until; round++)
        for (int i = 0; i < 2; i++)
            if (may_read(monitor, in_order(monitor, i)))
                stream_read(monitor, in_order(monitor, i));
}

/*
 * After the main process has gone: take what is there, but do not wait for others that hold the stream open. A
 * terminal passes output on with a short delay.
 */
void streams_drain(struct monitor *monitor)
{
    int settle = monitor->settings->tty ? TTY_SETTLE_MS : 0;
    hold_release(monitor);
    for (int i = 0; i < 2; i++) {
        struct stream *stream = in_order(monitor, i);
        for (size_t taken = 0; stream->fd >= 0 && taken < DRAIN_BYTES;) {
            struct pollfd ready = {stream->fd, POLLIN, 0};
            if (poll(&ready, 1, settle) <= 0)
                break;
            taken += stream_read(monitor, stream);
        }
    }
    for (int i = 0; i < 2; i++)
        if (monitor->streams[i].fd >= 0)
            stream_end(monitor, &monitor->streams[i]);
}

void streams_release_memory(void)
{
    madvise(frame, sizeof frame & ~(size_t)4095, MADV_DONTNEED);
}
