/* `ehring-bench report`: runs the plan in rounds, merges them, and writes page, pictures and file of figures. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/child.h"
#include "bench/compare.h"
#include "bench/fleet.h"
#include "bench/markdown.h"
#include "bench/measure.h"
#include "bench/merge.h"
#include "bench/options.h"
#include "bench/plan.h"
#include "bench/plot.h"
#include "bench/result.h"
#include "bench/scratch.h"

#define STEPS_MAX 128u
#define STEP_MS (20 * 60 * 1000)
#define PATH_BYTES 4096u

struct report {
    uint32_t profile; /* enum plan_profile */
    uint64_t rounds;  /* 0: the profile's */
    const char *only; /* NULL: all steps; else those whose group or command has this text */
    const char *dir;
    const char *compare_path; /* NULL: nothing to compare with */
    struct result *compare;   /* read before anything is measured or moved */
    char program[PATH_BYTES];
    struct result *part[STEPS_MAX][MERGE_ROUNDS_MAX];
    struct result *result;
    uint32_t failed_count;
};

static const char usage[] =
    "usage: ehring-bench report [OPTION]...\n"
    "Measures by a plan and writes report.md, report.json and pictures. A report.json that is there becomes previous.json.\n"
    "  --profile NAME      smoke, short or full; default short: under a quarter of an hour; full takes half an hour\n"
    "  --dir DIR           where to; default build/bench\n"
    "  --compare OLD.json  say in the report what has changed since\n"
    "  --only TEXT         the steps alone whose group or command has this text\n"
    "  --rounds N          instead of the profile's, 1 to 15\n"
    "  --plan              print the commands and end\n";

static int read_options(int argc, char *argv[], struct report *report, bool *plan_only);
static bool is_wanted(const struct report *report, const struct plan_step *step);
static int print_plan(const struct report *report);
static int open_report(struct report *report);
static int run_rounds(struct report *report);
static int run_step(struct report *report, uint32_t step, uint32_t round, uint32_t number, uint32_t count);
static int run_command(struct report *report, struct plan_command *command, const char *json_path);
static void note_failure(struct report *report, const struct plan_command *command);
static int merge_all(struct report *report);
static int add_ratio(struct result *result, const struct plan_ratio *ratio);
static void draw_all(struct report *report);
static int write_all(struct report *report);
static int write_page(struct report *report);
static void write_scale(struct report *report, FILE *file);
static void in_dir(const struct report *report, const char *name, char path[PATH_BYTES]);
static void close_report(struct report *report);

int bench_report(int argc, char *argv[])
{
    struct report *report = calloc(1, sizeof(*report));
    bool plan_only = false;
    int status = report ? read_options(argc, argv, report, &plan_only) : 1, err;

    if (status != BENCH_GO_ON || plan_only) {
        status = status == BENCH_GO_ON ? print_plan(report) : status;
        free(report);
        return status;
    }
    scratch_catch_signals();
    err = open_report(report);
    if (!err)
        err = run_rounds(report);
    if (!err)
        err = merge_all(report);
    if (!err) {
        draw_all(report);
        err = write_all(report);
    }
    status = err || report->failed_count > 0 ? 1 : 0;
    close_report(report);
    return status;
}

static int read_options(int argc, char *argv[], struct report *report, bool *plan_only)
{
    static const struct option names[] = {
        {"profile", required_argument, NULL, 'p'}, {"dir", required_argument, NULL, 'd'},
        {"compare", required_argument, NULL, 'c'}, {"only", required_argument, NULL, 'o'},
        {"rounds", required_argument, NULL, 'r'},  {"plan", no_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},          {0},
    };
    int option, err = 0;

    report->profile = PLAN_SHORT;
    report->dir = "build/bench";
    while (!err && (option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (option == 'p')
            err = options_choice("--profile", optarg, plan_profile_names, &report->profile);
        else if (option == 'd')
            report->dir = optarg;
        else if (option == 'c')
            report->compare_path = optarg;
        else if (option == 'o')
            report->only = optarg;
        else if (option == 'r')
            err = options_number("--rounds", optarg, 1, MERGE_ROUNDS_MAX, &report->rounds);
        else if (option == 'n')
            *plan_only = true;
        else {
            fputs(usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : 2;
        }
    }
    if (err || optind != argc) {
        fputs("ehring-bench report --help lists the options\n", stderr);
        return 2;
    }
    if (report->rounds == 0)
        report->rounds = plan_rounds((enum plan_profile)report->profile);
    return BENCH_GO_ON;
}

static bool is_wanted(const struct report *report, const struct plan_step *step)
{
    if (step->from > (enum plan_profile)report->profile)
        return false;
    return !report->only || strstr(step->arguments, report->only) || (step->group && strstr(step->group, report->only));
}

static int print_plan(const struct report *report)
{
    for (uint32_t i = 0; i < plan_step_count; i++) {
        struct plan_command command;

        if (!is_wanted(report, &plan_steps[i]) || plan_command(&plan_steps[i], (enum plan_profile)report->profile, &command))
            continue;
        fputs("ehring-bench", stdout);
        for (int k = 0; k < command.argc; k++)
            printf(" %s", command.argv[k]);
        putchar('\n');
    }
    return 0;
}

static int open_report(struct report *report)
{
    char path[PATH_BYTES], previous[PATH_BYTES];

    if (plan_step_count > STEPS_MAX)
        return -E2BIG;
    report->result = result_open();
    if (!report->result || child_find("ehring-bench", report->program, sizeof(report->program)))
        return -ENOENT;
    if (report->compare_path && result_read(report->compare_path, &report->compare))
        return -EPROTO;
    if (mkdir(report->dir, 0777) && errno != EEXIST) {
        fprintf(stderr, "ehring-bench: cannot make %s: %s\n", report->dir, strerror(errno));
        return -ENOENT;
    }
    in_dir(report, "report.log", path);
    (void)remove(path);
    in_dir(report, "report.json", path);
    in_dir(report, "previous.json", previous);
    (void)rename(path, previous);
    return 0;
}

/* All steps, then all again: what drifts over minutes is in the noise of each. */
static int run_rounds(struct report *report)
{
    uint32_t count = 0, number = 0;
    int err = 0;

    for (uint32_t step = 0; step < plan_step_count; step++)
        count += is_wanted(report, &plan_steps[step]) ? (uint32_t)report->rounds : 0;
    for (uint32_t round = 0; round < report->rounds && !err; round++)
        for (uint32_t step = 0; step < plan_step_count && !err; step++)
            if (is_wanted(report, &plan_steps[step]))
                err = run_step(report, step, round, ++number, count);
    if (count == 0)
        fprintf(stderr, "ehring-bench: no step of the plan has '%s'\n", report->only ? report->only : "");
    return count == 0 ? -ENOENT : err;
}

/* A step that fails is said in the report; the others go on. */
static int run_step(struct report *report, uint32_t step, uint32_t round, uint32_t number, uint32_t count)
{
    struct plan_command command;
    char json_path[PATH_BYTES];
    int err = plan_command(&plan_steps[step], (enum plan_profile)report->profile, &command);

    if (err)
        return err;
    in_dir(report, "step.json", json_path);
    (void)remove(json_path);
    printf("%u of %u: %s\n", number, count, plan_steps[step].arguments);
    fflush(stdout);
    err = run_command(report, &command, json_path);
    if (err == -EINTR)
        return err;
    if (err || result_read(json_path, &report->part[step][round]))
        note_failure(report, &command);
    (void)remove(json_path);
    return 0;
}

static int run_command(struct report *report, struct plan_command *command, const char *json_path)
{
    const char *argv[PLAN_ARGS_MAX + 4] = {report->program};
    char log_path[PATH_BYTES], line[512];
    int64_t end_ns = measure_now_ns() + STEP_MS * INT64_C(1000000);
    struct child child;
    int err = 0;

    for (int i = 0; i < command->argc; i++)
        argv[1 + i] = command->argv[i];
    argv[1 + command->argc] = "--json";
    argv[2 + command->argc] = json_path;
    in_dir(report, "report.log", log_path);
    if (child_start(argv, log_path, &child))
        return -EIO;
    while (!err)
        err = child_read_line(&child, line, sizeof(line), (int)((end_ns - measure_now_ns()) / 1000000));
    if (err == -EPIPE)
        return child_wait(&child, STEP_MS) == 0 ? 0 : -EIO;
    child_stop(&child, 10000);
    return err;
}

static void note_failure(struct report *report, const struct plan_command *command)
{
    char text[1200] = "Failed:";
    size_t len = strlen(text);

    for (int i = 0; i < command->argc; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, " %s", command->argv[i]);
    fprintf(stderr, "ehring-bench: %s; why: %s/report.log\n", text, report->dir);
    report->failed_count++;
    (void)result_add_note(report->result, text);
}

static int merge_all(struct report *report)
{
    int err = 0;

    for (uint32_t step = 0; step < plan_step_count && !err; step++) {
        const struct plan_step *of = &plan_steps[step];
        struct plan_command command;

        if (!is_wanted(report, of) || plan_command(of, (enum plan_profile)report->profile, &command))
            continue;
        err = result_begin_command(report->result, command.argc, command.argv);
        if (!err)
            err = merge_rounds(report->result, report->part[step], (uint32_t)report->rounds, of->group, of->x, of->x_unit);
    }
    merge_settle_noise(report->result);
    if (!err)
        err = result_begin_command_text(report->result, "(computed from the rows above)");
    for (uint32_t i = 0; i < plan_ratio_count && !err; i++)
        err = add_ratio(report->result, &plan_ratios[i]);
    return err;
}

/* Nothing if one of both was not measured. */
static int add_ratio(struct result *result, const struct plan_ratio *ratio)
{
    const struct result_row *over = result_find(result, ratio->group[0], ratio->row[0], ratio->x[0]);
    const struct result_row *under = result_find(result, ratio->group[1], ratio->row[1], ratio->x[1]);
    struct result_row row;

    if (!over || !under || under->median <= 0)
        return 0;
    row = result_row_of_value("ratios", ratio->name, "x", RESULT_ONLY_SAID, over->median / under->median);
    row.target = ratio->target;
    return result_add_row(result, &row);
}

static void draw_all(struct report *report)
{
    char log_path[PATH_BYTES];
    int err = 0;

    in_dir(report, "report.log", log_path);
    for (uint32_t i = 0; i < result_row_count(report->result) && err != -ENOENT; i++) {
        const struct result_row *row = result_row(report->result, i);
        bool drawn = false;

        for (uint32_t k = 0; k < i && !drawn; k++)
            drawn = strcmp(result_row(report->result, k)->group, row->group) == 0 &&
                    strcmp(result_row(report->result, k)->unit, row->unit) == 0;
        if (!drawn)
            err = plot_group(report->result, row->group, row->unit, report->dir, log_path);
        if (!drawn && err == -EIO) {
            fprintf(stderr, "ehring-bench: gnuplot refused the picture of '%s'; why: %s\n", row->group, log_path);
            report->failed_count++;
        }
    }
    if (err == -ENOENT)
        (void)result_add_note(report->result, "No pictures: gnuplot is not installed (gnuplot-nox).");
}

static int write_all(struct report *report)
{
    char path[PATH_BYTES];
    int err;

    in_dir(report, "report.json", path);
    err = result_write(report->result, path);
    if (!err)
        err = write_page(report);
    in_dir(report, "report.md", path);
    if (!err)
        printf("%s: %u figures%s\n", path, result_row_count(report->result), report->failed_count ? ", some could not be measured" : "");
    return err;
}

static int write_page(struct report *report)
{
    struct compare_counts counts;
    char path[PATH_BYTES];
    FILE *file;

    in_dir(report, "report.md", path);
    file = fopen(path, "we");
    if (!file) {
        fprintf(stderr, "ehring-bench: cannot write %s: %s\n", path, strerror(errno));
        return -EIO;
    }
    markdown_print_head(report->result, plan_profile_names[report->profile], (uint32_t)report->rounds, file);
    if (report->compare) {
        fprintf(file, "\n## Changed since %s\n\n", report->compare_path);
        compare_print(report->compare, report->result, file, &counts);
        compare_print(report->compare, report->result, stdout, &counts);
    }
    markdown_print_targets(report->result, file);
    markdown_print_groups(report->result, report->dir, file);
    write_scale(report, file);
    return fclose(file) ? -EIO : 0;
}

/* From what this report has measured; without that there is nothing to compute from. */
static void write_scale(struct report *report, FILE *file)
{
    struct fleet fleet = fleet_default();
    char log_path[PATH_BYTES];
    const char *missing;

    fleet_take_measured(&fleet, report->result);
    if (fleet_check(&fleet, &missing))
        return;
    in_dir(report, "report.log", log_path);
    fputs("\n## Scale on paper\n\n", file);
    (void)fleet_print(&fleet, report->dir, log_path, NULL, file);
    fprintf(file, "\n    ehring-bench scale --report %s/report.json\n", report->dir);
}

static void in_dir(const struct report *report, const char *name, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/%s", report->dir, name);
}

static void close_report(struct report *report)
{
    for (uint32_t step = 0; step < STEPS_MAX; step++)
        for (uint32_t round = 0; round < MERGE_ROUNDS_MAX; round++)
            result_close(report->part[step][round]);
    result_close(report->compare);
    result_close(report->result);
    free(report);
}
