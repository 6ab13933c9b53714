/* What the world says of a task's registers and of the areas of its memory. */
#include "vm/helpers/helper.h"
#include "vm/world/world.h"

HELPER_BODY(task_pt_regs)
{
    const struct world_task *task = env->world ? world_task_at(env->world, a1) : NULL;

    return task ? task->regs : 0;
}

HELPER_BODY(find_vma)
{
    const struct world_task *task = env->world ? world_task_at(env->world, a1) : NULL;
    const struct world_vma *area;

    if (a5)
        return helper_error(-EINVAL);
    area = task ? world_vma_at(task, a2) : NULL;
    if (!area)
        return helper_error(-ENOENT);
    env_call(env, a3, a1, area->addr, a4, 0, 0);
    return 0;
}
