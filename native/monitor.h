/* The monitor: what it keeps while its container runs. One thread, one epoll loop, no memory taken from a heap. */
#ifndef WHERRY_MONITOR_H
#define WHERRY_MONITOR_H

#include "launch.h"

#include <time.h>
#include <unistd.h>

enum {
    CLIENTS_MAX = 128,
    KEYS_MAX = 16,           /* of a detach sequence */
    READ_BYTES = 64 << 10,   /* taken from the container at once, and the longest frame */
    FRAME_HEADER = 8,
    LINE_BYTES = 16 << 10,   /* the longest part of a line in one log entry, as Docker's */
    INPUT_BYTES = 256 << 10, /* bytes on their way to the container's stdin */
    INPUT_ROOM = 32 << 10,   /* taken from a client at once */
};

/* Who an epoll event is for: the kind, and an index for clients and streams, in epoll's data. */
enum watch { WATCH_CONTROL, WATCH_LISTEN, WATCH_SIGNALS, WATCH_INPUT, WATCH_STREAM, WATCH_CLIENT };

enum detach_reason { DETACH_KEYS, DETACH_CLIENT, DETACH_OUTPUT, DETACH_REFUSED };

/* One of the container's output streams. Edge-triggered: "ready" until a read finds nothing. */
struct stream {
    int fd; /* -1: at its end */
    uint8_t number;
    bool ready, widened;
};

struct client {
    int fd; /* -1: a free place */
    uint32_t id;
    bool input, framed;
    bool wants[3];     /* by stream number */
    bool readable, input_ended;
    bool gone;         /* no output reaches it any more */
    bool ending;       /* closed as soon as its spool is empty */
    uint8_t reason;
    uint8_t keys[KEYS_MAX], key_count, key_held;
    int spool;         /* unlinked file with what it has not taken yet, or -1 */
    int64_t head, tail, punched;
    int64_t progress;  /* milliseconds of the monotonic clock, when it last took something */
};

struct monitor {
    const struct settings *settings;
    int epoll, control, signals, input;
    int mounts;        /* the container's mount namespace, held until all else is gone, or -1 */
    pid_t child;
    int code;          /* -1 while the container runs */
    bool oom, told, cleaned; /* told: the daemon has the exit status, so clients may see the end */
    int64_t finished;  /* nanoseconds since 1970 */
    int64_t now;       /* milliseconds, monotonic */
    int64_t clean_at, clean_until; /* when to try again to remove the cgroups, and when to give up */
    struct stream streams[2];
    int lead;          /* the stream that was the first to have something, when neither had */
    struct client clients[CLIENTS_MAX];
    unsigned places;   /* clients[0..places) may be in use */
    bool paused;       /* output is not read for now: its one client is behind, but alive */
    int held;          /* client that the rest of the last frame waits for, or -1 */
    const char *held_at;
    size_t held_length;
    bool input_close;
    size_t input_at, input_length;
    bool dirty;        /* buffers were used since they were last given back */
};

/* monitor.c */
int64_t milliseconds(void);
bool watch_add(struct monitor *monitor, int fd, uint32_t events, enum watch kind, uint32_t index);

/* streams.c: the container's output */
void stream_ready(struct monitor *monitor, int index);
void streams_work(struct monitor *monitor);
void streams_drain(struct monitor *monitor);
bool streams_ready(const struct monitor *monitor);
void streams_release_memory(void);

/* attach.c: clients and what they are sent */
void client_attach(struct monitor *monitor, const unsigned char *packet, size_t size, int fd);
void clients_write(struct monitor *monitor, uint8_t stream, char *frame, size_t length);
void client_work(struct monitor *monitor, uint32_t index);
void client_end(struct monitor *monitor, struct client *client, enum detach_reason reason);
void client_close(struct monitor *monitor, struct client *client);
void clients_end(struct monitor *monitor, bool also_input);
bool clients_tick(struct monitor *monitor, int64_t *deadline);
ssize_t client_send(struct monitor *monitor, struct client *client, const char *data, size_t length);
void hold_release(struct monitor *monitor);

/* spool.c: output that a client could not take at once */
void spool_append(struct monitor *monitor, struct client *client, const char *data, size_t length);
void spool_drain(struct monitor *monitor, struct client *client);
void spool_close(struct client *client);

/* input.c: stdin, and the detach keys in it */
void input_take(struct monitor *monitor, struct client *client);
void input_give(struct monitor *monitor, struct client *client, const unsigned char *data, size_t length);
void input_flush(struct monitor *monitor);
void input_ended(struct monitor *monitor, struct client *client);
size_t detach_filter(struct client *client, const unsigned char *data, size_t length, unsigned char *out);
void input_release_memory(void);

/* A rotated file of the log: what it was when the daemon has compressed it, which it is for ever. */
struct log_file {
    uint64_t inode;
    int64_t size, seconds, nanoseconds;
};

/* log.c, json.c */
void log_open(const struct settings *settings);
void log_output(uint8_t stream, const char *data, size_t length);
size_t log_room(size_t most);
void log_finish(void);
void log_compressed(const struct log_file *file, int descriptor);
void log_release_memory(void);
char *json_escape(char *out, const char *text, size_t length);
size_t log_time(char *out, const struct timespec *time);

/* control.c */
void control_accept(struct monitor *monitor);
void control_receive(struct monitor *monitor);
void control_started(struct monitor *monitor);
void control_exited(struct monitor *monitor);
void control_cleaned(struct monitor *monitor);
void control_detached(struct monitor *monitor, uint32_t id, uint8_t reason);

#endif
