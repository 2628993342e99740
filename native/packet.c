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

/* From the process that the container is: the command, which says the last word, may be a child of its. */
int send_presence(int socket)
{
    return send_packet(socket, "B", 1);
}

/* A question of the child's to the monitor: one byte each way. */
bool ask(int socket, char what)
{
    char said = 0;
    return send_packet(socket, &what, 1) == 0 && read(socket, &said, 1) == 1 && said == 'y';
}

void send_reply(int socket, bool yes)
{
    send(socket, yes ? "y" : "n", 1, MSG_NOSIGNAL);
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

union companions {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
};

/* One descriptor is wanted with a packet; a sender that gives more does not fill our table with them. */
static void take_descriptors(struct cmsghdr *header, int *wanted)
{
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int descriptor;
        memcpy(&descriptor, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
        if (*wanted < 0)
            *wanted = descriptor;
        else
            close(descriptor);
    }
}

static void take_companions(struct msghdr *message, int *descriptor, pid_t *sender)
{
    struct ucred who;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET)
            continue;
        if (header->cmsg_type == SCM_RIGHTS)
            take_descriptors(header, descriptor);
        if (header->cmsg_type == SCM_CREDENTIALS && header->cmsg_len == CMSG_LEN(sizeof who)) {
            memcpy(&who, CMSG_DATA(header), sizeof who);
            *sender = who.pid;
        }
    }
}

/*
 * Receives one packet, the descriptor that rides with it, or -1, and who has sent it as the kernel knows it, where the
 * socket was told to ask (SO_PASSCRED), or 0. Returns the size, 0 at the end.
 */
ssize_t receive_packet(int socket, void *data, size_t size, int *descriptor, pid_t *sender, int flags)
{
    struct iovec place = {data, size};
    union companions control;
    struct msghdr message = {.msg_iov = &place, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = sizeof control.bytes};
    ssize_t length;
    *descriptor = -1;
    *sender = 0;
    do
        length = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    if (length >= 0)
        take_companions(&message, descriptor, sender);
    return length;
}
