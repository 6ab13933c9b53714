/* Worlds from files, for the subcommands that run programs. */
#include "cli/run.h"
#include <errno.h>
#include <string.h>

int world_open(struct cli *c, struct run_opts *o)
{
    SKEP_OPTS(skep_world_open_opts, opts, .btf_custom_path = o->btf, .name = o->world_file, .log = cli_on_log,
              .log_ctx = c, .log_level = c->level);
    struct buf text = {0};
    if (!o->world_file)
        return 0;
    int status = file_read(c, o->world_file, CLI_MAX_WORLD, &text);
    if (status)
        return status;
    o->vm.world = skep_world__open_mem(buf_text(&text), text.len, &opts);
    buf_free(&text);
    if (!o->vm.world)
        return c->failed ? STATUS_USAGE : cli_fail(c, STATUS_USAGE, "%s: %s", o->world_file, strerror(errno));
    int64_t pid = o->task ? skep_world__find_task(o->vm.world, o->task) : 0;
    if (pid < 0)
        return cli_usage(c, &cmd_run, "--task %s: %s has no task of this name or pid", o->task, o->world_file);
    o->world.task = (uint32_t)pid;
    return 0;
}
