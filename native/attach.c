/*
 * Clients: sockets that the daemon handed over, which get the container's output and may feed its stdin.
 *
 * A client that is slower than the container: while it is the only one, and took something within the last fifth of a
 * second, the rest of the frame waits and output is not read, as a pipe would do. Otherwise its output goes to its
 * spool and the container goes on; once that holds 16 MiB, a lone client that took something within five seconds
 * makes the container wait again. See spool.c for the end of patience.
 */
#define _GNU_SOURCE
#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
    HOLD_MS = 200,
    PATIENCE_MS = 5000,
    LINGER_MS = 60000, /* after the end: a client that takes nothing for so long is let go */
    SEND_BUFFER = 1 << 20,
};
static const int64_t LAG_PAUSE = 16 << 20, LAG_RESUME = 8 << 20;

#ifndef SO_SNDBUFFORCE
#define SO_SNDBUFFORCE 32
#endif

static struct client *free_place(struct monitor *monitor)
{
    for (unsigned i = 0; i < monitor->places; i++)
        if (monitor->clients[i].fd < 0)
            return &monitor->clients[i];
    return monitor->places < CLIENTS_MAX ? &monitor->clients[monitor->places++] : NULL;
}

/* Packet: u32 id, u8 flags (1 stdin, 2 stdout, 4 stderr, 8 framed), u8 n, n detach keys, bytes of stdin. */
void client_attach(struct monitor *monitor, const unsigned char *packet, size_t size, int fd)
{
    if (fd < 0 || size < 6 || packet[5] > KEYS_MAX || (size_t)packet[5] + 6 > size) {
        if (fd >= 0)
            close(fd);
        return;
    }
    uint32_t id;
    memcpy(&id, packet, 4);
    bool over = monitor->code >= 0 && monitor->streams[0].fd < 0;
    struct client *client = over ? NULL : free_place(monitor);
    if (!client) {
        shutdown(fd, SHUT_RDWR);
        close(fd);
        control_detached(monitor, id, over ? DETACH_OUTPUT : DETACH_REFUSED);
        return;
    }
    uint8_t flags = packet[4];
    *client = (struct client){.fd = fd, .id = id, .input = flags & 1, .framed = flags & 8, .spool = -1,
                              .key_count = packet[5], .reason = DETACH_CLIENT, .readable = true, .progress = monitor->now,
                              .wants = {false, flags & 2, flags & 4}};
    memcpy(client->keys, packet + 6, packet[5]);
    int buffer = SEND_BUFFER;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    watch_add(monitor, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, WATCH_CLIENT,
              (uint32_t)(client - monitor->clients));
    input_give(monitor, client, packet + 6 + packet[5], size - 6 - packet[5]);
}

/* Close at once. What the client sent and nobody read is taken first: a TCP socket would reset the connection. */
void client_close(struct monitor *monitor, struct client *client)
{
    char rest[512];
    if (monitor->held == (int)(client - monitor->clients))
        monitor->held = -1;
    shutdown(client->fd, SHUT_WR);
    while (recv(client->fd, rest, sizeof rest, MSG_DONTWAIT) > 0)
        ;
    close(client->fd);
    client->fd = -1;
    spool_close(client);
    control_detached(monitor, client->id, client->reason);
}

static bool has_rest(const struct monitor *monitor, const struct client *client)
{
    return client->head < client->tail || monitor->held == (int)(client - monitor->clients);
}

/* No more output for this client: close it, at once or when it has taken what it has still to get. */
void client_end(struct monitor *monitor, struct client *client, enum detach_reason reason)
{
    if (!client->ending)
        client->reason = (uint8_t)reason;
    client->ending = true;
    if (client->gone || reason == DETACH_KEYS || !has_rest(monitor, client))
        client_close(monitor, client);
}

void clients_end(struct monitor *monitor, bool also_input)
{
    for (unsigned i = 0; i < monitor->places; i++)
        if (monitor->clients[i].fd >= 0 && (also_input || !monitor->clients[i].input))
            client_end(monitor, &monitor->clients[i], DETACH_OUTPUT);
}

/* Returns how much was taken; an error marks the client as gone and counts as all. */
ssize_t client_send(struct monitor *monitor, struct client *client, const char *data, size_t length)
{
    for (;;) {
        ssize_t sent = send(client->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0)
            client->progress = monitor->now;
        if (sent >= 0)
            return sent;
        if (errno == EAGAIN)
            return 0;
        if (errno != EINTR) {
            client->gone = true;
            return (ssize_t)length;
        }
    }
}

static bool is_alone(const struct monitor *monitor, const struct client *client)
{
    for (unsigned i = 0; i < monitor->places; i++)
        if (monitor->clients[i].fd >= 0 && &monitor->clients[i] != client && !monitor->clients[i].ending)
            return false;
    return true;
}

static void client_write(struct monitor *monitor, struct client *client, const char *data, size_t length)
{
    size_t sent = 0;
    if (!has_rest(monitor, client))
        sent = (size_t)client_send(monitor, client, data, length);
    if (sent == length || client->gone)
        return;
    if (client->head == client->tail && monitor->code < 0 && monitor->now - client->progress < HOLD_MS &&
        is_alone(monitor, client)) {
        monitor->held = (int)(client - monitor->clients);
        monitor->held_at = data + sent;
        monitor->held_length = length - sent;
        return;
    }
    spool_append(monitor, client, data + sent, length - sent);
}

/* Send one piece of output to all. "frame" has room for the header in front of the data. */
void clients_write(struct monitor *monitor, uint8_t stream, char *frame, size_t length)
{
    unsigned char header[FRAME_HEADER] = {stream, 0, 0, 0, (unsigned char)(length >> 24), (unsigned char)(length >> 16),
                                          (unsigned char)(length >> 8), (unsigned char)length};
    memcpy(frame, header, sizeof header);
    for (unsigned i = 0; i < monitor->places; i++) {
        struct client *client = &monitor->clients[i];
        if (client->fd < 0 || client->gone || client->ending || !client->wants[stream])
            continue;
        size_t skip = client->framed ? 0 : FRAME_HEADER;
        client_write(monitor, client, frame + skip, length + FRAME_HEADER - skip);
    }
}

/* What waits in the read buffer moves to the spool, so that the buffer is free again. */
void hold_release(struct monitor *monitor)
{
    if (monitor->held < 0)
        return;
    struct client *client = &monitor->clients[monitor->held];
    monitor->held = -1;
    spool_append(monitor, client, monitor->held_at, monitor->held_length);
}

static void send_held(struct monitor *monitor, struct client *client)
{
    size_t sent = (size_t)client_send(monitor, client, monitor->held_at, monitor->held_length);
    monitor->held_at += sent;
    monitor->held_length -= sent;
    if (monitor->held_length == 0)
        monitor->held = -1;
}

/* Something happened on a client's socket: it may take more, has sent something, or is gone. */
void client_work(struct monitor *monitor, uint32_t index)
{
    struct client *client = &monitor->clients[index];
    if (client->fd < 0)
        return;
    if (monitor->held == (int)index)
        send_held(monitor, client);
    spool_drain(monitor, client);
    input_take(monitor, client);
    if (client->fd < 0)
        return;
    if (client->gone && (!client->input || client->input_ended || monitor->code >= 0))
        client->ending = true;
    if (client->ending && (client->gone || !has_rest(monitor, client)))
        client_close(monitor, client);
}

static bool wants_pause(const struct monitor *monitor, const struct client *client)
{
    int64_t lag = client->tail - client->head;
    return lag > (monitor->paused ? LAG_RESUME : LAG_PAUSE) && monitor->now - client->progress < PATIENCE_MS &&
           is_alone(monitor, client);
}

static void earlier(int64_t *deadline, int64_t when)
{
    if (*deadline < 0 || when < *deadline)
        *deadline = when;
}

/* What depends on time. Returns whether any client is left. */
bool clients_tick(struct monitor *monitor, int64_t *deadline)
{
    bool any = false, pause = false;
    for (unsigned i = 0; i < monitor->places; i++) {
        struct client *client = &monitor->clients[i];
        if (client->fd < 0)
            continue;
        if (client->ending && monitor->now - client->progress >= LINGER_MS) {
            client_close(monitor, client);
            continue;
        }
        any = true;
        if (client->ending)
            earlier(deadline, client->progress + LINGER_MS);
        if (monitor->held == (int)i) {
            if (monitor->now - client->progress >= HOLD_MS || !is_alone(monitor, client))
                hold_release(monitor);
            else
                earlier(deadline, client->progress + HOLD_MS);
        }
        if (!client->ending && wants_pause(monitor, client)) {
            pause = true;
            earlier(deadline, client->progress + PATIENCE_MS);
        }
    }
    monitor->paused = pause;
    return any;
}
