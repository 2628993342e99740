/* The plan: what it looks like once it has been read and found right. */
#ifndef WHERRY_PLAN_H
#define WHERRY_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "steps.h"

#define CODE(code, constant, function, name, side, arguments) STEP_##constant = code,
#define COUNTED(code, constant, function, name, side, arguments) +1
enum step_code { EACH_STEP(CODE) STEP_LAST = 0 EACH_STEP(COUNTED) };
#undef CODE
#undef COUNTED

/* Where a step may stand: on the host, before the clone; or in the child, behind it. */
enum side { HOST = 1, CHILD = 2 };

/*
 * Bounds on a plan. Above all that a request can ask for (runtime/bounds.py), and low enough to count without
 * overflow.
 */
enum {
    PLAN_MAX_BYTES = 64 << 20,
    PLAN_MAX_STEPS = 1 << 18,
    PLAN_MAX_ARGUMENTS = 1 << 21,
    PLAN_HEADER = 16,
};

/*
 * One argument. Its letter in steps.h: t text (no NUL inside), p an absolute path, i integer, b bytes; a trailing *
 * repeats the one before it, also no times. It is always NUL-terminated; "length" does not count the NUL.
 */
struct argument {
    const char *text;
    uint32_t length;
};

struct step {
    uint32_t code, argc;
    const struct argument *args;
};

struct plan {
    const struct step *steps;
    uint32_t count;
    uint32_t clone; /* index of the Clone step */
    struct plan_memory {
        void *at; /* NULL where there is none */
        size_t size;
    } index, text; /* of steps and arguments; of what these point to */
};

/* Reads and checks a plan. Returns NULL, or why it is refused; nothing needs freeing then. The bytes stay the caller's,
 * who may give them to the plan (a mapping, as "text"): plan_release unmaps them with it. */
const char *plan_read(const char *bytes, size_t size, struct plan *plan);
void plan_release(struct plan *plan);
/* Only the steps from "first" on are left, under their numbers, in memory of their own. False, with errno. */
bool plan_forget(struct plan *plan, uint32_t first);

int64_t step_integer(const struct step *step, uint32_t index);
const char *step_text(const struct step *step, uint32_t index);

#endif
