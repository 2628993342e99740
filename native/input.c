/* The container's stdin: from any client that feeds it, through one bounded buffer. */
#define _GNU_SOURCE
#include "monitor.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

static unsigned char pending[INPUT_BYTES] __attribute__((aligned(4096)));

static void input_close(struct monitor *monitor)
{
    if (monitor->input >= 0)
        close(monitor->input);
    monitor->input = -1;
    monitor->input_length = 0;
    monitor->input_close = false;
}

/* Write on what waits. While some of it does, clients are not read. */
void input_flush(struct monitor *monitor)
{
    while (monitor->input >= 0 && monitor->input_length > 0) {
        ssize_t written = write(monitor->input, pending + monitor->input_at, monitor->input_length);
        if (written > 0) {
            monitor->input_at += (size_t)written;
            monitor->input_length -= (size_t)written;
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            input_close(monitor); /* nobody reads it any more */
        }
    }
    if (monitor->input < 0)
        monitor->input_length = 0;
    else if (monitor->input_close)
        input_close(monitor);
}

/* How many of the bytes that were held back, with the new one, still begin the sequence. */
static uint8_t longest_match(const struct client *client, uint8_t held, unsigned char byte)
{
    for (uint8_t skip = 0; skip <= held; skip++) {
        uint8_t length = held - skip;
        if (client->keys[length] == byte && memcmp(client->keys, client->keys + skip, length) == 0)
            return length + 1;
    }
    return 0;
}

/*
 * Take the detach sequence out of input. Bytes that may begin it are held back until it is clear, also from one call
 * to the next. "out" may overlap "data" from KEYS_MAX bytes before it. Once the sequence is complete,
 * key_held equals key_count and the rest is left. Returns the number of bytes in "out".
 */
size_t detach_filter(struct client *client, const unsigned char *data, size_t length, unsigned char *out)
{
    size_t written = 0;
    for (size_t i = 0; i < length && client->key_held < client->key_count; i++) {
        unsigned char byte = data[i];
        uint8_t held = client->key_held, match = longest_match(client, held, byte);
        size_t released = (size_t)held + 1 - match;
        for (size_t j = 0; j < released; j++)
            out[written++] = j < held ? client->keys[j] : byte;
        client->key_held = match;
    }
    return written;
}

/* Bytes of a client for the container, put at the end of what waits. */
void input_give(struct monitor *monitor, struct client *client, const unsigned char *data, size_t length)
{
    if (length == 0 || !client->input)
        return;
    if (monitor->input_length == 0)
        monitor->input_at = 0;
    size_t end = monitor->input_at + monitor->input_length;
    if (length + KEYS_MAX > INPUT_BYTES - end) {
        client_end(monitor, client, DETACH_CLIENT);
        return;
    }
    monitor->dirty = true;
    if (client->key_count > 0)
        length = detach_filter(client, data, length, pending + end);
    else
        memmove(pending + end, data, length);
    monitor->input_length += length;
    input_flush(monitor);
    if (client->key_count > 0 && client->key_held == client->key_count)
        client_end(monitor, client, DETACH_KEYS);
}

/* A client will send no more. A pipe is closed then, if the container's stdin was meant for one client. */
void input_ended(struct monitor *monitor, struct client *client)
{
    client->input_ended = true;
    client->readable = false;
    if (!client->input || !monitor->settings->stdin_once || monitor->settings->tty)
        return;
    monitor->input_close = true;
    input_flush(monitor);
}

/* Read a client, as long as the container takes it. */
void input_take(struct monitor *monitor, struct client *client)
{
    while (client->fd >= 0 && client->readable && monitor->input_length == 0) {
        monitor->input_at = 0;
        unsigned char *place = pending + KEYS_MAX;
        ssize_t length = recv(client->fd, place, INPUT_ROOM, MSG_DONTWAIT);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0 && errno == EAGAIN) {
            client->readable = false;
        } else if (length <= 0) {
            client->gone = client->gone || length < 0;
            input_ended(monitor, client);
        } else {
            input_give(monitor, client, place, (size_t)length);
        }
    }
}

void input_release_memory(void)
{
    madvise(pending, sizeof pending, MADV_DONTNEED);
}
