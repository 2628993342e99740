/* Output that a client could not take at once waits in an unlinked file, so that nobody else waits for that client. */
#define _GNU_SOURCE
#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>

enum { SEND_BYTES = 1 << 20, PUNCH_BYTES = 8 << 20 };
static const int64_t LAG_MAX = 1LL << 30; /* a client that is further behind than this is let go */

void spool_close(struct client *client)
{
    if (client->spool >= 0)
        close(client->spool);
    client->spool = -1;
    client->head = client->tail = client->punched = 0;
}

static bool write_at_tail(struct client *client, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t written = pwrite(client->spool, data, length, client->tail);
        if (written < 0 && errno != EINTR)
            return false;
        if (written > 0) {
            client->tail += written;
            data += written;
            length -= (size_t)written;
        }
    }
    return true;
}

/* The client takes no more: tell it why, where a frame of its own can, and end it with what it has still to come. */
static void give_up(struct monitor *monitor, struct client *client, const char *why)
{
    char frame[FRAME_HEADER + 128] = {3};
    size_t length = strlen(why);
    frame[7] = (char)length;
    memcpy(frame + FRAME_HEADER, why, length);
    if (client->framed)
        write_at_tail(client, frame, FRAME_HEADER + length);
    client_end(monitor, client, DETACH_CLIENT);
}

void spool_append(struct monitor *monitor, struct client *client, const char *data, size_t length)
{
    if (client->spool < 0)
        client->spool = open(monitor->settings->spool_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (client->spool < 0 || !write_at_tail(client, data, length)) {
        client->gone = true; /* nowhere to keep it, and a gap would be worse than an end */
        client_end(monitor, client, DETACH_CLIENT);
    } else if (client->tail - client->head > LAG_MAX) {
        give_up(monitor, client, "wherry: this reader is too far behind, its output ends here\n");
    }
}

/* Give back the disk space of what has been sent. */
static void punch(struct client *client)
{
    if (client->head == client->tail) {
        if (ftruncate(client->spool, 0) == 0)
            client->head = client->tail = client->punched = 0;
    } else if (client->head - client->punched > PUNCH_BYTES) {
        int64_t length = (client->head - client->punched) & ~(int64_t)4095;
        if (fallocate(client->spool, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, client->punched, length) == 0)
            client->punched += length;
    }
}

/* Send on, until the client's socket is full again. */
void spool_drain(struct monitor *monitor, struct client *client)
{
    while (client->spool >= 0 && client->head < client->tail && !client->gone) {
        off_t at = client->head;
        size_t length = (size_t)(client->tail - client->head);
        ssize_t sent = sendfile(client->fd, client->spool, &at, length < SEND_BYTES ? length : SEND_BYTES);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0) {
            client->gone = sent == 0 || errno != EAGAIN;
            break;
        }
        client->head += sent;
        client->progress = monitor->now;
    }
    if (client->spool >= 0)
        punch(client);
}
