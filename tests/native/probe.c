/*
 * The launcher's pure parts, driven by tests in a sanitizer build. Requests come on stdin: a letter, u32 length, bytes;
 * answers leave on stdout: u32 length, bytes. P: read a plan. J: escape as JSON. K: u8 n, n detach keys, then input;
 * the filter is kept from one K to the next until an empty one. T: i64 seconds, i64 nanoseconds as a log's time.
 */
#define _GNU_SOURCE
#include "monitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void answer(const void *bytes, uint32_t length)
{
    fwrite(&length, 4, 1, stdout);
    fwrite(bytes, 1, length, stdout);
    fflush(stdout);
}

static void answer_plan(const char *bytes, uint32_t length)
{
    struct plan plan;
    const char *wrong = plan_read(bytes, length, &plan);
    if (wrong) {
        answer(wrong, (uint32_t)strlen(wrong));
        return;
    }
    size_t total = 0;
    for (uint32_t i = 0; i < plan.count; i++)
        for (uint32_t j = 0; j < plan.steps[i].argc; j++)
            total += plan.steps[i].args[j].length + (size_t)plan.steps[i].args[j].text[plan.steps[i].args[j].length];
    char text[64];
    int size = snprintf(text, sizeof text, "ok %u %zu", plan.count, total);
    plan_release(&plan);
    answer(text, (uint32_t)size);
}

static void answer_json(const char *bytes, uint32_t length)
{
    char *out = malloc((size_t)length * 6 + 16);
    answer(out, (uint32_t)(json_escape(out, bytes, length) - out));
    free(out);
}

static void answer_keys(const unsigned char *bytes, uint32_t length)
{
    static struct client client;
    if (length == 0) {
        memset(&client, 0, sizeof client);
        answer("", 0);
        return;
    }
    client.key_count = bytes[0];
    memcpy(client.keys, bytes + 1, bytes[0]);
    size_t size = length - 1 - bytes[0];
    unsigned char *space = malloc(size + KEYS_MAX + 1);
    memcpy(space + KEYS_MAX, bytes + 1 + bytes[0], size);
    size_t written = detach_filter(&client, space + KEYS_MAX, size, space + 1);
    space[0] = client.key_held == client.key_count;
    answer(space, (uint32_t)written + 1);
    free(space);
}

static void answer_time(const char *bytes)
{
    int64_t values[2];
    char out[40];
    memcpy(values, bytes, sizeof values);
    struct timespec time = {values[0], values[1]};
    answer(out, (uint32_t)log_time(out, &time));
}

int main(void)
{
    char letter;
    uint32_t length;
    while (fread(&letter, 1, 1, stdin) == 1 && fread(&length, 4, 1, stdin) == 1) {
        char *bytes = malloc(length); /* exactly as long, so that the sanitizer sees a step beyond */
        if (fread(bytes, 1, length, stdin) != length)
            return 1;
        if (letter == 'P')
            answer_plan(bytes, length);
        else if (letter == 'J')
            answer_json(bytes, length);
        else if (letter == 'K')
            answer_keys((unsigned char *)bytes, length);
        else if (letter == 'T')
            answer_time(bytes);
        free(bytes);
    }
    return 0;
}
