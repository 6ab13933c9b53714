/*
 * Global options, the choice of the subcommand, help, and the frame of the JSON output. Nothing is written to stdout in
 * JSON mode before the end, so that the output is one valid object however the subcommand ended.
 */
#include "cli/cli.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const struct command *const commands[] = {&cmd_run,    &cmd_verify, &cmd_show,   &cmd_dump, &cmd_asm,
                                                 &cmd_disasm, &cmd_diff,   &cmd_attach, &cmd_world};
enum { COMMANDS = sizeof(commands) / sizeof(*commands) };

static const char intro[] = "usage: skep [-j|-p] [-d] COMMAND ...\n"
                            "\n"
                            "Runs eBPF objects (.bpf.o) in userspace, without root and without BPF in the kernel.\n"
                            "\n";

static const char options[] =
    "\n"
    "options:\n"
    "  -j, --json       one JSON object as output (docs/cli.md tells every field)\n"
    "  -p, --pretty     the same, indented\n"
    "  -d, --debug      more messages; twice: all of them\n"
    "  --max-memory SIZE  take no more memory than this (64M, 2G): what does not fit is refused\n"
    "  -V, --version    the version\n"
    "  -h, --help       this text; `skep help COMMAND` tells of one command\n"
    "\n"
    "exit status: 0 fine, 1 the program trapped or was refused, 2 usage or I/O\n";

static void help_all(FILE *to)
{
    fputs(intro, to);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    fputs(options, to);
}

static void help_one(FILE *to, const struct command *cmd)
{
    fprintf(to, "usage: skep %s %s\n\n%s", cmd->name, cmd->usage, cmd->help);
}

static const struct command *find(const char *name)
{
    for (int i = 0; i < COMMANDS; i++)
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    return NULL;
}

static int help(struct cli *c, int argc, char **argv)
{
    if (!argc) {
        help_all(stdout);
        return STATUS_OK;
    }
    const struct command *cmd = find(argv[0]);
    if (!cmd)
        return cli_fail(c, STATUS_USAGE, "there is no command '%s' (see `skep help`)", argv[0]);
    help_one(stdout, cmd);
    return STATUS_OK;
}

static int version(struct cli *c)
{
    if (c->json)
        json_str_at(&c->w, "version", skep_version_string());
    else
        printf("skep %s\n", skep_version_string());
    return STATUS_OK;
}

static bool is_help(const char *arg)
{
    return !strcmp(arg, "-h") || !strcmp(arg, "--help");
}

static int run_command(struct cli *c, const struct command *cmd, int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (is_help(argv[i])) {
            help_one(stdout, cmd);
            return STATUS_OK;
        }
    return cmd->run(c, argc, argv);
}

/* ---- The frame of the JSON output ---- */

static void begin_json(struct cli *c)
{
    json_object_begin(&c->w);
    json_u64_at(&c->w, "schema", CLI_SCHEMA);
}

static const char *const level_names[] = {"error", "warning", "info", "debug"};

static void end_json(struct cli *c)
{
    if (c->messages.len) {
        json_name(&c->w, "messages");
        json_array_begin(&c->w);
        for (const char *p = c->messages.data; p < c->messages.data + c->messages.len; p += strlen(p) + 1) {
            json_object_begin(&c->w);
            json_str_at(&c->w, "level", level_names[(unsigned)(*p++ - '0') % 4]);
            json_str_at(&c->w, "text", p);
            json_object_end(&c->w);
        }
        json_array_end(&c->w);
    }
    if (c->error.len)
        json_str_at(&c->w, "error", buf_text(&c->error));
    json_object_end(&c->w);
    buf_putc(&c->out, '\n');
}

static int finish(struct cli *c, int status)
{
    if (c->json && !c->out.len)
        begin_json(c);
    if (c->json) {
        end_json(c);
        if (c->out.failed) {
            fputs("skep: out of memory\n", stderr);
            status = STATUS_USAGE;
        } else {
            fwrite(c->out.data, 1, c->out.len, stdout);
        }
    }
    if (fflush(stdout) || ferror(stdout)) {
        fputs("skep: cannot write standard output\n", stderr);
        status = STATUS_USAGE;
    }
    buf_free(&c->out);
    buf_free(&c->messages);
    buf_free(&c->error);
    return status;
}

/* Whatever is fed to us, memory that it makes us take comes from the system in the end, and every allocation may fail:
 * so the system counts. What the process has mapped before it read anything does not count. */
static int limit_memory(struct cli *c)
{
    struct rlimit limit;
    uint64_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%" SCNu64, &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    uint64_t bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    if (getrlimit(RLIMIT_AS, &limit) || c->max_memory > RLIM_INFINITY - 1 - bytes)
        return 0;
    if (bytes + c->max_memory < limit.rlim_cur)
        limit.rlim_cur = bytes + c->max_memory;
    return setrlimit(RLIMIT_AS, &limit) ? cli_fail(c, STATUS_USAGE, "--max-memory: %s", strerror(errno)) : 0;
}

static int start(struct cli *c, int argc, char **argv)
{
    struct args a = {.c = c, .argc = argc, .argv = argv, .at = 1};
    while (args_global(&a))
        continue;
    /* Switches of output may also stand behind; they count for everything that is printed. */
    for (struct args rest = a; rest.at < argc;)
        if (!args_global(&rest))
            rest.at++;
    if (c->json)
        begin_json(c);
    if (c->misused || (c->max_memory && limit_memory(c)))
        return STATUS_USAGE;
    if (a.at >= argc) {
        help_all(stderr);
        return c->json ? cli_fail(c, STATUS_USAGE, "a command is missing") : STATUS_USAGE;
    }
    const char *word = argv[a.at];
    argc -= a.at + 1;
    argv += a.at + 1;
    if (!strcmp(word, "-V") || !strcmp(word, "--version") || !strcmp(word, "version"))
        return version(c);
    if (is_help(word) || !strcmp(word, "help"))
        return help(c, argc, argv);
    const struct command *cmd = find(word);
    if (!cmd)
        return cli_fail(c, STATUS_USAGE, "there is no %s '%s' (see `skep help`)", *word == '-' ? "option" : "command",
                        word);
    return run_command(c, cmd, argc, argv);
}

int main(int argc, char **argv)
{
    struct cli c = {.level = SKEP_LOG_WARN};
    c.w.out = &c.out;
    return finish(&c, start(&c, argc, argv));
}
