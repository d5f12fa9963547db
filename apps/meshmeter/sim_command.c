// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "app.h"
#include "log.h"
#include "simulator/world.h"

#define SCENARIOS_MAX 32
#define JOBS_MAX 64
#define RUN_LIMIT_S 300
#define RUN_LIMIT_NODE_YEAR_S 20

typedef struct {
    const scenario_t *scenario; // NULL = each of them
    uint64_t seed;
    uint64_t seed_count;
    int nodes;
    int days;
    int64_t soak_minutes;
    int jobs;
    bool json;
    bool verbose;
    bool probes_optional; ///< rare events that were not met are no failure
    bool probes_per_run;  ///< each run must meet them, not all together
    const char *trace_path;
} sim_options_t;

// One run is one process: an assertion of the core ends that run and not the others.
typedef struct {
    pid_t pid;
    int pipe;
    const scenario_t *scenario;
    uint64_t seed;
} job_t;

typedef struct {
    uint64_t runs;
    uint64_t failed;
    uint64_t refused; // by this machine: they say nothing about the code
    world_result_t sum;
    double core_s;
    // By scenario: whether one of its runs ended, and the rare events of all of them.
    bool scenario_ran[SCENARIOS_MAX];
    world_result_t met[SCENARIOS_MAX];
} total_t;

typedef struct {
    world_result_t result;
    double core_s;
} report_t;

static void print_usage(FILE *out) {
    fputs(
        "usage: meshmeter sim [--scenario NAME] [--seed N] [--nodes N] [--days N] [--trace FILE]\n"
        "       meshmeter sim --soak MINUTES [--scenario NAME] [--seed N]\n"
        "       meshmeter sim --list | --help\n\n"
        "Run a whole site - nodes, mesh, internet, broker, HQ - in virtual time, break it on purpose, and compare\n"
        "every pulse and record with HQ's database at the end. One seed is one run, on every machine.\n\n"
        "  --scenario NAME   what goes wrong (--list names them); without it each scenario runs once\n"
        "  --seed N          first seed; 1\n"
        "  --seeds N         so many seeds of each scenario, from --seed on; 1\n"
        "  --nodes N         nodes of the site, 1 to 60; the scenario's number\n"
        "  --days N          days until the faults stop, 1 to 20000; the scenario's number. With fewer days or nodes\n"
        "                    rare events that a run did not meet are no failure; of several seeds of a scenario,\n"
        "                    all together must meet them\n"
        "  --trace FILE      write everything that happens, one line each: seconds, node, what, values\n"
        "  --soak MINUTES    one seed after the other, from --seed on, until the time is over; runs under way are "
        "ended\n"
        "  --jobs N          runs at the same time; the number of processors\n"
        "  --json            one JSON object per run instead of a line\n"
        "  --verbose         faults and rare events by kind\n\n"
        "Ends with a line `sim: scenario=… seed=… …` per run. Exit code 0: all guarantees hold in every run; 1: not,\n"
        "and the line `sim: broken …` says which one and how to repeat it.\n",
        out);
}

static void print_scenarios(void) {
    for (int i = 0; i < scenario_count; i++) {
        printf("%-15s %2d nodes, %4d days: %s\n", scenarios[i].name, scenarios[i].nodes, scenarios[i].days,
               scenarios[i].summary);
    }
}

// --- one run

typedef struct {
    const char *name;
    uint64_t seed;
    time_t shown_at;
} progress_t;

static void show_progress(void *context, int day, int days, uint64_t faults) {
    progress_t *progress = context;
    time_t now = time(NULL);
    if (now != progress->shown_at) {
        progress->shown_at = now;
        fprintf(stderr, "\rsim: %s seed %" PRIu64 ": day %d of %d, %" PRIu64 " faults  ", progress->name,
                progress->seed, day, days, faults);
    }
}

static void discard_log(void *context, const char *line) {
    (void)context;
    (void)line;
}

static double core_seconds(void) {
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static bool run_here(const sim_options_t *options, const scenario_t *scenario, uint64_t seed, report_t *report) {
    world_options_t world = {.scenario = scenario, .seed = seed, .nodes = options->nodes, .days = options->days};
    progress_t progress = {.name = scenario->name, .seed = seed};
    if (isatty(STDERR_FILENO) && options->jobs == 1) {
        world.progress = show_progress;
        world.context = &progress;
    }
    if (options->trace_path != NULL) {
        world.trace_file = fopen(options->trace_path, "w");
        if (world.trace_file == NULL) {
            fprintf(stderr, "meshmeter sim: %s: %s\n", options->trace_path, strerror(errno));
            return false;
        }
    }
    if (world.trace_file != NULL) {
        (void)setvbuf(world.trace_file, NULL, _IOLBF, 0); // those before an assertion are the ones that matter
    }
    mm_hq_log_set_sink(discard_log, NULL); // thousands of crashes would fill the terminal
    double began_s = core_seconds();
    world_run(&world, &report->result);
    report->core_s = core_seconds() - began_s;
    if (progress.shown_at != 0) {
        fputs("\r\033[K", stderr); // the result takes its place
    }
    if (world.trace_file != NULL) {
        bool written = ferror(world.trace_file) == 0;
        if (fclose(world.trace_file) != 0 || !written) {
            fprintf(stderr, "meshmeter sim: %s: the trace could not be written: %s\n", options->trace_path,
                    strerror(errno));
            return false;
        }
    }
    return true;
}

// --- reports

static double node_years(const world_result_t *result) {
    return (double)result->node_hours / (365.25 * 24);
}

static const char *missed_probe(const scenario_t *scenario, const world_result_t *result) {
    mm_sim_probe_t probe = world_missed_probe(scenario, result);
    return probe == MM_SIM_PROBE_COUNT ? NULL : mm_sim_probe_name(probe);
}

static void print_counts(const world_result_t *result) {
    for (int fault = 0; fault < MM_SIM_FAULT_COUNT; fault++) {
        if (result->fault_counts[fault] > 0) {
            printf("  fault %-24s %" PRIu64 "\n", mm_sim_fault_name((mm_sim_fault_t)fault),
                   result->fault_counts[fault]);
        }
    }
    for (int probe = 0; probe < MM_SIM_PROBE_COUNT; probe++) {
        if (result->probe_counts[probe] > 0) {
            printf("  event %-24s %" PRIu64 "\n", mm_sim_probe_name((mm_sim_probe_t)probe),
                   result->probe_counts[probe]);
        }
    }
}

static void print_json(const scenario_t *scenario, uint64_t seed, const report_t *report, bool good) {
    const world_result_t *r = &report->result;
    printf("{\"scenario\":\"%s\",\"seed\":%" PRIu64
           ",\"good\":%s,\"compared\":%s,\"node_years\":%.3f,\"faults\":%" PRIu64 ",\"power_cuts\":%" PRIu64
           ",\"attempted\":%" PRIu64 ",\"stored\":%" PRIu64 ",\"duplicated\":%" PRIu64 ",\"lost\":%" PRIu64
           ",\"counted_twice\":%" PRIu64 ",\"gaps\":%" PRIu64 ",\"wh_error\":%" PRIu64 ",\"pulses\":%" PRIu64
           ",\"pulses_lost\":%" PRIu64 ",\"sessions\":%" PRIu64
           ",\"recovery_s\":%lld,\"recovery_sessions\":%u,\"recovery_bound\":%u,\"erases_max\":%u,"
           "\"erases_spread\":%u,\"core_s\":%.2f,\"trace\":\"%016" PRIx64 "\"}\n",
           scenario->name, seed, good ? "true" : "false", r->compared ? "true" : "false", node_years(r), r->faults,
           r->power_cuts, r->attempted, r->stored, r->duplicated, r->lost, r->counted_twice, r->gaps, r->wh_error,
           r->pulses, r->pulses_lost, r->sessions, (long long)(r->recovery_us / MM_US_PER_S), r->recovery_sessions,
           r->recovery_bound, r->erases_max, r->erases_spread, report->core_s, r->trace_hash);
}

static void print_line(const scenario_t *scenario, uint64_t seed, const report_t *report) {
    const world_result_t *r = &report->result;
    if (!r->compared) {
        printf("sim: scenario=%s seed=%" PRIu64 " node_years=%.2f faults=%" PRIu64 " power_cuts=%" PRIu64
               " attempted=%" PRIu64 " broken before the books were compared, trace=%016" PRIx64 "\n",
               scenario->name, seed, node_years(r), r->faults, r->power_cuts, r->attempted, r->trace_hash);
        return;
    }
    printf("sim: scenario=%s seed=%" PRIu64 " node_years=%.2f faults=%" PRIu64 " power_cuts=%" PRIu64
           " attempted=%" PRIu64 " stored=%" PRIu64 " duplicated=%" PRIu64 " lost=%" PRIu64 " counted_twice=%" PRIu64
           " gaps=%" PRIu64 " wh_error=%" PRIu64 " pulses_lost=%" PRIu64 " recovery_s=%lld recovery_sessions=%u/%u"
           " erases=%u spread=%u core_s=%.2f trace=%016" PRIx64 "\n",
           scenario->name, seed, node_years(r), r->faults, r->power_cuts, r->attempted, r->stored, r->duplicated,
           r->lost, r->counted_twice, r->gaps, r->wh_error, r->pulses_lost, (long long)(r->recovery_us / MM_US_PER_S),
           r->recovery_sessions, r->recovery_bound, r->erases_max, r->erases_spread, report->core_s, r->trace_hash);
}

// Only this scenario is long and quiet enough for it.
static void print_wear(const sim_options_t *options, const scenario_t *scenario, const report_t *report) {
    if (strcmp(scenario->name, "wear") == 0) {
        int days = options->days > 0 ? options->days : scenario->days;
        printf("wear: years=%d erases_max=%u spread=%u\n", days / 365, report->result.erases_max,
               report->result.erases_spread);
    }
}

// What was sold and ordered, in a scenario in which something was.
static void print_sales(const scenario_t *scenario, uint64_t seed, const report_t *report) {
    const sales_totals_t *sales = &report->result.sales;
    if (scenario->minutes_order == 0 || !report->result.compared) {
        return;
    }
    printf("sim-prepaid: seed=%" PRIu64 " orders=%" PRIu64 " answers=%" PRIu64 " refused=%" PRIu64 " batches=%" PRIu64
           " purchases=%" PRIu64 " movements=%" PRIu64 " issued_wh=%" PRIu64 " applied_wh=%" PRIu64
           " pending_wh=%" PRIu64 " void_wh=%" PRIu64 " typed=%" PRIu64 " typed_refused=%" PRIu64
           " emergencies=%" PRIu64 " cuts=%" PRIu64 " checks=%" PRIu64 "\n",
           seed, sales->orders, sales->answers, sales->refused, sales->batches, sales->purchases, sales->movements,
           sales->issued_wh, sales->applied_wh, sales->pending_wh, sales->void_wh, sales->tokens_typed,
           sales->tokens_refused, sales->emergencies, sales->cuts, sales->checks);
}

// What installers did, in a scenario in which some came.
static void print_commission(const scenario_t *scenario, uint64_t seed, const report_t *report) {
    const commission_totals_t *totals = &report->result.commission;
    if (scenario->minutes_install == 0 || !report->result.compared) {
        return;
    }
    printf("sim-commission: seed=%" PRIu64 " networks=%" PRIu64 " codes_good=%" PRIu64 " codes_refused=%" PRIu64
           " installations=%" PRIu64 " confirmed=%" PRIu64 " resets=%" PRIu64 " fields_refused=%" PRIu64
           " requests_refused=%" PRIu64 " joins=%" PRIu64 " routers=%" PRIu64 " admitted=%" PRIu64 " orders=%" PRIu64
           " checks=%" PRIu64 "\n",
           seed, totals->networks, totals->codes_good, totals->codes_refused, totals->installations, totals->confirmed,
           totals->resets, totals->fields_refused, totals->requests_refused, totals->joins, totals->routers,
           totals->admitted, report->result.sales.orders, totals->checks);
}

static void print_repeat(const sim_options_t *options, const scenario_t *scenario, uint64_t seed, const char *why) {
    printf("sim: broken scenario=%s seed=%" PRIu64 ": %s; repeat: meshmeter sim --scenario %s --seed %" PRIu64,
           scenario->name, seed, why, scenario->name, seed);
    if (options->nodes > 0) {
        printf(" --nodes %d", options->nodes);
    }
    if (options->days > 0) {
        printf(" --days %d", options->days);
    }
    puts(" --trace FILE");
}

static void add_to_total(total_t *total, const report_t *report) {
    world_result_t *sum = &total->sum;
    const world_result_t *result = &report->result;
    total->core_s += report->core_s;
    sum->node_hours += result->node_hours;
    sum->faults += result->faults;
    sum->power_cuts += result->power_cuts;
    sum->attempted += result->attempted;
    sum->stored += result->stored;
    sum->duplicated += result->duplicated;
    sum->lost += result->lost;
    sum->counted_twice += result->counted_twice;
    sum->gaps += result->gaps;
    sum->wh_error += result->wh_error;
    sum->pulses_lost += result->pulses_lost;
}

static void note_probes(total_t *total, const scenario_t *scenario, const world_result_t *result) {
    ptrdiff_t index = scenario - scenarios;
    MM_ASSERT(index >= 0 && index < SCENARIOS_MAX);
    total->scenario_ran[index] = true;
    for (int probe = 0; probe < MM_SIM_PROBE_COUNT; probe++) {
        total->met[index].probe_counts[probe] += result->probe_counts[probe];
    }
}

// A scenario is there for its rare events: some run of it must have met each.
static void judge_probes(total_t *total) {
    for (int index = 0; index < scenario_count; index++) {
        const char *missed = total->scenario_ran[index] ? missed_probe(&scenarios[index], &total->met[index]) : NULL;
        if (missed != NULL) {
            total->failed++;
            printf("sim: broken scenario=%s: all guarantees held, but the rare event %s, for which this scenario is "
                   "there, never happened in any run; more --seeds may meet it\n",
                   scenarios[index].name, missed);
        }
    }
}

// A run is over. report NULL: it ended by an assertion, or was killed.
static void take_report(const sim_options_t *options, total_t *total, const scenario_t *scenario, uint64_t seed,
                        const report_t *report, const char *ended_by) {
    total->runs++;
    const char *why = ended_by;
    char text[sizeof report->result.fault] = "";
    if (report != NULL) {
        // Of several seeds, all together must meet them.
        const char *missed = options->probes_per_run ? missed_probe(scenario, &report->result) : NULL;
        why = report->result.fault[0] != '\0' ? report->result.fault : NULL;
        if (why == NULL && missed != NULL) {
            snprintf(text, sizeof text,
                     "all guarantees held, but the rare event %s, for which this scenario is there, never happened",
                     missed);
            why = text;
        }
        add_to_total(total, report);
        note_probes(total, scenario, &report->result);
        if (options->json) {
            print_json(scenario, seed, report, why == NULL);
        } else {
            print_line(scenario, seed, report);
            print_wear(options, scenario, report);
            print_sales(scenario, seed, report);
            print_commission(scenario, seed, report);
        }
        if (options->verbose) {
            print_counts(&report->result);
        }
    }
    if (why != NULL) {
        total->failed++;
        print_repeat(options, scenario, seed, why);
    }
    fflush(stdout);
}

// --- many runs

// A core that never comes back from a call must not hold up the others: many times what such a run takes.
static void limit_processor_time(const sim_options_t *options, const scenario_t *scenario) {
    int nodes = options->nodes > 0 ? options->nodes : scenario->nodes;
    int days = options->days > 0 ? options->days : scenario->days;
    rlim_t seconds = (rlim_t)(RUN_LIMIT_S + RUN_LIMIT_NODE_YEAR_S * nodes * days / 365);
    const struct rlimit limit = {.rlim_cur = seconds, .rlim_max = seconds};
    (void)setrlimit(RLIMIT_CPU, &limit);
}

static bool start_job(const sim_options_t *options, job_t *job, const scenario_t *scenario, uint64_t seed) {
    int ends[2];
    if (pipe(ends) != 0) {
        return false;
    }
    fflush(NULL);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        close(ends[0]);
        close(ends[1]);
        return false;
    }
    if (pid == 0) {
        static report_t s_report;
        // Whoever ends the command (a signal, a closed pipe) ends its runs.
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(APP_ENVIRONMENT);
        }
        close(ends[0]);
        limit_processor_time(options, scenario);
        // wait: room in the pipe | until RUN_LIMIT_S as for the run; the report fits a pipe's buffer | then it is over
        bool good = run_here(options, scenario, seed, &s_report) &&
                    write(ends[1], &s_report, sizeof s_report) == (ssize_t)sizeof s_report;
        _exit(good ? APP_OK : APP_ENVIRONMENT);
    }
    close(ends[1]);
    *job = (job_t){.pid = pid, .pipe = ends[0], .scenario = scenario, .seed = seed};
    return true;
}

// What ended a run that left no report.
static void describe_end(int status, char *text, size_t text_bytes) {
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) {
        snprintf(text, text_bytes, "an assertion failed, see above");
    } else if (WIFSIGNALED(status)) {
        snprintf(text, text_bytes, "the run was ended by signal %d (%s)", WTERMSIG(status),
                 WTERMSIG(status) == SIGKILL ? "limit of processor time, or too little memory"
                                             : strsignal(WTERMSIG(status)));
    } else {
        snprintf(text, text_bytes, "the run ended with exit code %d", WEXITSTATUS(status));
    }
}

static void end_job(const sim_options_t *options, total_t *total, job_t *job) {
    static report_t s_report;
    size_t got = 0;
    ssize_t more;
    // wait: the report of a run that has begun to write it, or its end | until RUN_LIMIT_S of processor time and more
    // for large worlds, then the kernel ends it | then it counts as broken
    while (got < sizeof s_report && ((more = read(job->pipe, (uint8_t *)&s_report + got, sizeof s_report - got)) > 0 ||
                                     (more < 0 && errno == EINTR))) {
        got += more > 0 ? (size_t)more : 0;
    }
    close(job->pipe);
    int status = 0;
    // wait: the end of a process that has closed its pipe | until RUN_LIMIT_S as above | then it is over
    while (waitpid(job->pid, &status, 0) < 0 && errno == EINTR) {
    }
    job->pid = 0;
    if (got != sizeof s_report && WIFEXITED(status) && WEXITSTATUS(status) == APP_ENVIRONMENT) {
        total->refused++; // it has said why
        return;
    }
    char ended_by[80];
    describe_end(status, ended_by, sizeof ended_by);
    take_report(options, total, job->scenario, job->seed, got == sizeof s_report ? &s_report : NULL, ended_by);
}

// Which runs there are: scenario by scenario within a seed.
static bool choose(const sim_options_t *options, uint64_t number, time_t end_at, const scenario_t **scenario,
                   uint64_t *seed) {
    uint64_t per_seed = options->scenario != NULL ? 1 : (uint64_t)scenario_count;
    *seed = options->seed + number / per_seed;
    *scenario = options->scenario != NULL ? options->scenario : &scenarios[number % per_seed];
    if (options->soak_minutes > 0) {
        return time(NULL) < end_at;
    }
    return number < per_seed * options->seed_count;
}

static int run_jobs(const sim_options_t *options, total_t *total) {
    job_t jobs[JOBS_MAX] = {{0}};
    time_t end_at = time(NULL) + options->soak_minutes * 60;
    uint64_t number = 0;
    for (;;) {
        int running = 0;
        struct pollfd ready[JOBS_MAX];
        for (int i = 0; i < options->jobs; i++) {
            const scenario_t *scenario;
            uint64_t seed;
            if (jobs[i].pid == 0 && choose(options, number, end_at, &scenario, &seed)) {
                if (!start_job(options, &jobs[i], scenario, seed)) {
                    return app_error(APP_ENVIRONMENT, "sim", "cannot start a process: %s", strerror(errno));
                }
                number++;
            }
            ready[i] = (struct pollfd){.fd = jobs[i].pid != 0 ? jobs[i].pipe : -1, .events = POLLIN};
            running += jobs[i].pid != 0 ? 1 : 0;
        }
        if (running == 0) {
            return APP_OK;
        }
        // wait: the end of one of the runs | until RUN_LIMIT_S as above, at which the kernel ends it | then it is
        // counted
        (void)poll(ready, (nfds_t)options->jobs, -1);
        for (int i = 0; i < options->jobs; i++) {
            if (jobs[i].pid != 0 && ready[i].revents != 0) {
                end_job(options, total, &jobs[i]);
            }
        }
    }
}

static void print_total(const total_t *total) {
    const world_result_t *sum = &total->sum;
    printf("sim-total: runs=%" PRIu64 " failed=%" PRIu64 " node_years=%.1f faults=%" PRIu64 " power_cuts=%" PRIu64
           " attempted=%" PRIu64 " stored=%" PRIu64 " duplicated=%" PRIu64 " lost=%" PRIu64 " counted_twice=%" PRIu64
           " gaps=%" PRIu64 " wh_error=%" PRIu64 " pulses_lost=%" PRIu64 " core_s=%.1f node_years_per_core_s=%.2f\n",
           total->runs, total->failed, node_years(sum), sum->faults, sum->power_cuts, sum->attempted, sum->stored,
           sum->duplicated, sum->lost, sum->counted_twice, sum->gaps, sum->wh_error, sum->pulses_lost, total->core_s,
           total->core_s > 0 ? node_years(sum) / total->core_s : 0);
}

// --- arguments

static int parse_number(const char *name, const char *text, int64_t min, int64_t max, int64_t *number) {
    if (text == NULL || !app_parse_number(text, min, max, number)) {
        return app_error(APP_USAGE, "sim", "%s wants a whole number from %lld to %lld", name, (long long)min,
                         (long long)max);
    }
    return APP_OK;
}

static int parse_option(sim_options_t *options, const char *name, const char *value) {
    int64_t number = 0;
    int code = APP_OK;
    if (strcmp(name, "--scenario") == 0) {
        options->scenario = value != NULL ? scenario_find(value) : NULL;
        if (options->scenario == NULL) {
            return app_error(APP_USAGE, "sim", "no scenario '%s'; meshmeter sim --list names them",
                             value != NULL ? value : "");
        }
    } else if (strcmp(name, "--seed") == 0) {
        code = parse_number(name, value, 0, INT64_MAX, &number);
        options->seed = (uint64_t)number;
    } else if (strcmp(name, "--seeds") == 0) {
        code = parse_number(name, value, 1, 1000000, &number);
        options->seed_count = (uint64_t)number;
    } else if (strcmp(name, "--nodes") == 0) {
        code = parse_number(name, value, 1, 60, &number);
        options->nodes = (int)number;
    } else if (strcmp(name, "--days") == 0) {
        code = parse_number(name, value, 1, 20000, &number);
        options->days = (int)number;
    } else if (strcmp(name, "--soak") == 0) {
        code = parse_number(name, value, 1, 100000, &options->soak_minutes);
    } else if (strcmp(name, "--jobs") == 0) {
        code = parse_number(name, value, 1, JOBS_MAX, &number);
        options->jobs = (int)number;
    } else if (strcmp(name, "--trace") == 0 && value != NULL) {
        options->trace_path = value;
    } else {
        code = app_error(APP_USAGE, "sim", "unknown or incomplete option %s; see meshmeter sim --help", name);
    }
    return code;
}

static int parse_options(int argc, char **argv, sim_options_t *options) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            options->json = true;
        } else if (strcmp(argv[i], "--verbose") == 0) {
            options->verbose = true;
        } else {
            int code = parse_option(options, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
            if (code != APP_OK) {
                return code;
            }
            i++;
        }
    }
    bool one_run = options->scenario != NULL && options->seed_count == 1 && options->soak_minutes == 0;
    if (options->trace_path != NULL && !one_run) {
        return app_error(APP_USAGE, "sim", "--trace is for one run: give --scenario and --seed");
    }
    options->probes_optional = options->days > 0 || options->nodes > 0;
    options->probes_per_run = !options->probes_optional && options->seed_count == 1 && options->soak_minutes == 0;
    if (one_run) {
        options->jobs = 1;
    }
    return APP_OK;
}

int command_sim(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_usage(stdout);
            return APP_OK;
        }
        if (strcmp(argv[i], "--list") == 0) {
            print_scenarios();
            return APP_OK;
        }
    }
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    sim_options_t options = {.seed = 1,
                             .seed_count = 1,
                             .jobs = processors < 1          ? 1
                                     : processors > JOBS_MAX ? JOBS_MAX
                                                             : (int)processors};
    int code = parse_options(argc, argv, &options);
    if (code != APP_OK) {
        return code;
    }
    static total_t s_total;
    code = run_jobs(&options, &s_total);
    if (code != APP_OK) {
        return code;
    }
    if (!options.probes_optional && !options.probes_per_run && s_total.failed == 0) {
        judge_probes(&s_total);
    }
    if (s_total.runs > 1 && !options.json) {
        print_total(&s_total);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        return app_error(APP_ENVIRONMENT, "sim", "cannot write the results: %s", strerror(errno));
    }
    if (s_total.refused > 0 && s_total.failed == 0) {
        return APP_ENVIRONMENT;
    }
    return s_total.failed == 0 ? APP_OK : APP_CHECK_FAILED;
}
