/* What the daemon and the monitor say to each other while the container runs; docs/launcher.md lists it. */
#define _GNU_SOURCE
#include "monitor.h"
#include "packet.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { PACKET_MAX = 200 << 10 };

static unsigned char packet[PACKET_MAX] __attribute__((aligned(4096)));

static void tell(struct monitor *monitor, const void *message, size_t size)
{
    if (monitor->control >= 0)
        send(monitor->control, message, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void control_started(struct monitor *monitor)
{
    unsigned char message[9] = {'S'};
    uint32_t pids[2] = {(uint32_t)monitor->child, (uint32_t)getpid()};
    memcpy(message + 1, pids, sizeof pids);
    tell(monitor, message, sizeof message);
}

void control_exited(struct monitor *monitor)
{
    unsigned char message[14] = {'X'};
    int32_t code = monitor->code;
    memcpy(message + 1, &code, 4);
    message[5] = monitor->oom;
    memcpy(message + 6, &monitor->finished, 8);
    tell(monitor, message, sizeof message);
}

void control_cleaned(struct monitor *monitor)
{
    tell(monitor, "C", 1);
}

void control_detached(struct monitor *monitor, uint32_t id, uint8_t reason)
{
    unsigned char message[6] = {'D'};
    memcpy(message + 1, &id, 4);
    message[5] = reason;
    tell(monitor, message, sizeof message);
}

static void resize(struct monitor *monitor, const unsigned char *data, size_t size)
{
    struct winsize window = {0};
    if (size < 4 || !monitor->settings->tty || monitor->streams[0].fd < 0)
        return;
    memcpy(&window.ws_row, data, 2);
    memcpy(&window.ws_col, data + 2, 2);
    ioctl(monitor->streams[0].fd, TIOCSWINSZ, &window);
}

static void compressed(const unsigned char *data, size_t size, int descriptor)
{
    struct log_file file;
    if (size < sizeof file || descriptor < 0)
        return;
    memcpy(&file, data, sizeof file);
    log_compressed(&file, descriptor);
}

static void handle(struct monitor *monitor, size_t size, int descriptor)
{
    if (packet[0] == 'A') {
        client_attach(monitor, packet + 1, size - 1, descriptor);
        return;
    }
    if (packet[0] == 'R')
        resize(monitor, packet + 1, size - 1);
    if (packet[0] == 'Z')
        compressed(packet + 1, size - 1, descriptor);
    if (descriptor >= 0)
        close(descriptor);
}

static void control_close(struct monitor *monitor)
{
    close(monitor->control);
    monitor->control = -1;
}

/* Everything that the daemon has sent by now. Its end means that the daemon is gone; the container goes on. */
void control_receive(struct monitor *monitor)
{
    int descriptor;
    pid_t daemon;
    while (monitor->control >= 0) {
        ssize_t size = receive_packet(monitor->control, packet, sizeof packet, &descriptor, &daemon, MSG_DONTWAIT);
        if (size < 0 && errno != ECONNRESET)
            break; /* nothing is there, or it cannot be had now: it is asked for again */
        if (size > 0)
            handle(monitor, (size_t)size, descriptor);
        else
            control_close(monitor);
    }
    if (monitor->dirty)
        return;
    madvise(packet, sizeof packet, MADV_DONTNEED);
}

/* A restarted daemon takes the place of the former one, and learns at once how things stand. */
void control_accept(struct monitor *monitor)
{
    int connection = accept4(FD_LISTEN, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0)
        return;
    if (monitor->control >= 0)
        control_close(monitor);
    monitor->control = connection;
    watch_add(monitor, connection, EPOLLIN, WATCH_CONTROL, 0);
    if (monitor->code < 0)
        control_started(monitor);
    else
        control_exited(monitor);
    if (monitor->cleaned)
        control_cleaned(monitor);
}
