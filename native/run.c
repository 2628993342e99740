/* Carries out the steps of a plan: each kind of step has a function, step_ and its name. */
#include "launch.h"

#define RUN(code, constant, function, name, side, arguments) [code] = step_##function,
static int (*const functions[STEP_LAST + 1])(struct launch *, const struct step *) = {EACH_STEP(RUN)};
#undef RUN

int run_steps(struct launch *launch, uint32_t first, uint32_t end)
{
    for (launch->index = first; launch->index < end; launch->index++) {
        const struct step *step = &launch->plan.steps[launch->index];
        if (functions[step->code](launch, step) != 0)
            return -1;
    }
    return 0;
}
