/* One packet each way: between the daemon and the monitor, and between the child and the monitor. */
#ifndef WHERRY_PACKET_H
#define WHERRY_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { DETAIL_MAX = 1024 }; /* of a text in a packet */

int send_failure(int socket, uint32_t step, int error, const char *text);
int send_warning(int socket, uint32_t step, const char *text);
int send_ready(int socket);
int send_presence(int socket);
bool ask(int socket, char what);
void send_reply(int socket, bool yes);
int send_descriptor(int socket, int descriptor);
ssize_t receive_packet(int socket, void *data, size_t size, int *descriptor, pid_t *sender, int flags);

#endif
