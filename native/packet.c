/* Packets to the daemon and from the child; docs/launcher.md lists them. */
#define _GNU_SOURCE
#include "packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* By write(2), which hardly a seccomp filter forbids: this is also how a child tells of a failure behind its filter. */
static int send_packet(int socket, const void *data, size_t size)
{
    return write(socket, data, size) < 0 ? -1 : 0;
}

static size_t put_text(unsigned char *at, const char *text)
{
    size_t length = strnlen(text, DETAIL_MAX - 1);
    memcpy(at, text, length);
    return length;
}

int send_failure(int socket, uint32_t step, int error, const char *text)
{
    unsigned char message[9 + DETAIL_MAX] = {'F'};
    int32_t number = error;
    memcpy(message + 1, &step, 4);
    memcpy(message + 5, &number, 4);
    return send_packet(socket, message, 9 + put_text(message + 9, text));
}

int send_warning(int socket, uint32_t step, const char *text)
{
    unsigned char message[5 + DETAIL_MAX] = {'W'};
    memcpy(message + 1, &step, 4);
    return send_packet(socket, message, 5 + put_text(message + 5, text));
}

/* The child's last word: what follows is the command's own doing. */
int send_ready(int socket)
{
    return send_packet(socket, "E", 1);
}

union descriptor_message {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int send_descriptor(int socket, int descriptor)
{
    char byte = 'C';
    struct iovec data = {&byte, 1};
    union descriptor_message control;
    memset(&control, 0, sizeof control);
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = sizeof control.bytes};
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &descriptor, sizeof descriptor);
    return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* Receives one packet and the descriptor that rides with it, or -1. Returns the size, 0 at the end. */
ssize_t receive_packet(int socket, void *data, size_t size, int *descriptor, int flags)
{
    struct iovec place = {data, size};
    union descriptor_message control;
    struct msghdr message = {.msg_iov = &place, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = sizeof control.bytes};
    ssize_t length;
    *descriptor = -1;
    do
        length = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    struct cmsghdr *header = length < 0 ? NULL : CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(descriptor, CMSG_DATA(header), sizeof(int));
    return length;
}
