/* Reading a plan: every length is checked, and the whole is refused before anything is touched if it is wrong. */
#include "plan.h"

#include <string.h>
#include <sys/mman.h>

/* What is known here of a kind of step: where it may stand, and the letters of its arguments; see plan.h. */
struct shape {
    enum side side;
    const char *arguments;
};

#define SHAPE(code, constant, function, name, side, arguments) [code] = {side, arguments},
static const struct shape shapes[STEP_LAST + 1] = {EACH_STEP(SHAPE)};
#undef SHAPE

static const char MAGIC[8] = {'W', 'H', 'P', 'L', 'A', 'N', 0, 1};

/* A place in the plan. "bad" stays set once a read went past the end. */
struct cursor {
    const char *at, *end;
    bool bad;
};

static uint32_t take_u32(struct cursor *cursor)
{
    const unsigned char *p = (const unsigned char *)cursor->at;
    if (cursor->bad || cursor->end - cursor->at < 4) {
        cursor->bad = true;
        return 0;
    }
    cursor->at += 4;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static struct argument take_argument(struct cursor *cursor)
{
    struct argument argument = {cursor->at, take_u32(cursor)};
    if (cursor->bad || (uint64_t)(cursor->end - cursor->at) < (uint64_t)argument.length + 1 ||
        cursor->at[argument.length] != 0) {
        cursor->bad = true;
        return (struct argument){"", 0};
    }
    argument.text = cursor->at;
    cursor->at += argument.length + 1;
    return argument;
}

/* The letter of the signature that governs an argument, or 0 where there is none. */
static char kind_of(const char *signature, uint32_t index)
{
    size_t letters = strlen(signature);
    if (letters > 0 && signature[letters - 1] == '*')
        return index < letters - 1 ? signature[index] : signature[letters - 2];
    return index < letters ? signature[index] : 0;
}

static bool argument_fits(char kind, const struct argument *argument)
{
    switch (kind) {
    case 'i':
        return argument->length == 8;
    case 'b':
        return true;
    case 'p':
        return argument->text[0] == '/' && !memchr(argument->text, 0, argument->length);
    case 't':
        return !memchr(argument->text, 0, argument->length);
    default:
        return false;
    }
}

static uint32_t fewest_arguments(const char *signature)
{
    size_t letters = strlen(signature);
    return (uint32_t)(letters > 0 && signature[letters - 1] == '*' ? letters - 2 : letters);
}

static const char *check_step(const struct step *step)
{
    const char *signature = shapes[step->code].arguments;
    if (step->argc < fewest_arguments(signature))
        return "a step lacks arguments";
    for (uint32_t i = 0; i < step->argc; i++)
        if (!argument_fits(kind_of(signature, i), &step->args[i]))
            return "a step has an argument of the wrong kind";
    return NULL;
}

/* Sizes of the index, by a first pass that trusts nothing. */
static const char *count_arguments(struct cursor cursor, uint32_t steps, uint32_t *arguments)
{
    *arguments = 0;
    for (uint32_t i = 0; i < steps; i++) {
        uint32_t code = take_u32(&cursor), argc = take_u32(&cursor);
        if (cursor.bad || argc > PLAN_MAX_ARGUMENTS - *arguments)
            return "it is truncated or has too many arguments";
        if (code == 0 || code > STEP_LAST)
            return "a step has an unknown code";
        for (uint32_t j = 0; j < argc && !cursor.bad; j++)
            take_argument(&cursor);
        *arguments += argc;
    }
    return cursor.bad || cursor.at != cursor.end ? "a length is wrong" : NULL;
}

static bool take_memory(struct plan_memory *memory, size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *memory = (struct plan_memory){at == MAP_FAILED ? NULL : at, size};
    return memory->at != NULL;
}

static bool make_index(struct plan *plan, uint32_t steps, uint32_t arguments)
{
    bool made = take_memory(&plan->index, steps * sizeof(struct step) + arguments * sizeof(struct argument) + 1);
    plan->steps = plan->index.at;
    plan->count = steps;
    return made;
}

static const char *fill_index(struct cursor cursor, struct plan *plan)
{
    struct step *steps = plan->index.at;
    struct argument *arguments = (struct argument *)(steps + plan->count);
    for (uint32_t i = 0; i < plan->count; i++) {
        steps[i].code = take_u32(&cursor);
        steps[i].argc = take_u32(&cursor);
        steps[i].args = arguments;
        for (uint32_t j = 0; j < steps[i].argc; j++)
            *arguments++ = take_argument(&cursor);
        const char *wrong = check_step(&steps[i]);
        if (wrong)
            return wrong;
    }
    return NULL;
}

/* Exactly one Clone, host steps before it and child steps behind it, and Exec at the end and nowhere else. */
static const char *check_order(struct plan *plan)
{
    uint32_t clones = 0;
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct step *step = &plan->steps[i];
        if (step->code == STEP_CLONE) {
            plan->clone = i;
            clones++;
        } else if (!(shapes[step->code].side & (clones ? CHILD : HOST))) {
            return "a step stands on the wrong side of the clone";
        }
        if ((step->code == STEP_EXEC) != (i == plan->count - 1))
            return "exec must be the last step, and only that";
    }
    return clones == 1 ? NULL : "it must clone exactly once";
}

static const char *check_exec(const struct step *step)
{
    int64_t words = step_integer(step, EXEC_WORDS);
    return words < 1 || words > step->argc - 1 ? "exec has no command, or counts it wrong" : NULL;
}

const char *plan_read(const char *bytes, size_t size, struct plan *plan)
{
    memset(plan, 0, sizeof *plan);
    if (size < PLAN_HEADER || size > PLAN_MAX_BYTES || memcmp(bytes, MAGIC, sizeof MAGIC) != 0)
        return "it does not begin as a plan of this version";
    struct cursor cursor = {bytes + sizeof MAGIC, bytes + size, false};
    uint32_t steps = take_u32(&cursor), body = take_u32(&cursor), arguments;
    if (body != size - PLAN_HEADER || steps == 0 || steps > PLAN_MAX_STEPS)
        return "its sizes do not fit";
    const char *wrong = count_arguments(cursor, steps, &arguments);
    if (wrong)
        return wrong;
    if (!make_index(plan, steps, arguments))
        return "there is no memory for it";
    wrong = fill_index(cursor, plan);
    if (!wrong)
        wrong = check_order(plan);
    if (!wrong)
        wrong = check_exec(&plan->steps[plan->count - 1]);
    if (wrong)
        plan_release(plan);
    return wrong;
}

void plan_release(struct plan *plan)
{
    const struct plan_memory both[] = {plan->index, plan->text};
    for (int i = 0; i < 2; i++)
        if (both[i].at)
            munmap(both[i].at, both[i].size);
    memset(plan, 0, sizeof *plan);
}

/* Steps, arguments and texts of a plan each lie in the order of the plan, so what is left is the end of each. */
bool plan_forget(struct plan *plan, uint32_t first)
{
    const struct step *last = &plan->steps[plan->count - 1]; /* exec, which has arguments */
    const struct argument *from = plan->steps[first].args, *end = last->args + last->argc;
    size_t arguments = (size_t)(end - from);
    size_t length = (size_t)(end[-1].text + end[-1].length + 1 - from->text);
    struct plan left = *plan;
    if (!take_memory(&left.index, plan->count * sizeof(struct step) + arguments * sizeof(struct argument)))
        return false;
    if (!take_memory(&left.text, length)) {
        munmap(left.index.at, left.index.size);
        return false;
    }
    struct step *steps = left.index.at;
    struct argument *moved = (struct argument *)(steps + plan->count);
    memcpy(left.text.at, from->text, length);
    for (uint32_t i = first; i < plan->count; i++)
        steps[i] = (struct step){plan->steps[i].code, plan->steps[i].argc, moved + (plan->steps[i].args - from)};
    for (size_t i = 0; i < arguments; i++)
        moved[i] = (struct argument){(const char *)left.text.at + (from[i].text - from->text), from[i].length};
    plan_release(plan);
    left.steps = steps;
    *plan = left;
    return true;
}

int64_t step_integer(const struct step *step, uint32_t index)
{
    const unsigned char *bytes = (const unsigned char *)step->args[index].text;
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | bytes[i];
    return (int64_t)value;
}

const char *step_text(const struct step *step, uint32_t index)
{
    return step->args[index].text;
}
