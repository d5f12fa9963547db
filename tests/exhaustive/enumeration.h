// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ENUMERATION_H
#define MM_ENUMERATION_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "meshmeter/base.h"

/// What the programs that go through all cases of something have in common: the command line, which cases are this
/// run's, a failed assertion that fails its case and not the program, progress, and the last line.
///
///     for (…all cases…) {
///         if (enumeration_takes("%s:%u", …)) {
///             enumeration_run(run_case, &parameter);
///         }
///     }
///     return enumeration_end(figures);
///
/// usage: <program> [--part I/N] [--only CASE]; MM_EXHAUSTIVE_STRIDE=K in the environment takes every K-th case.

#ifndef ENUMERATION_FAILURES_SHOWN
#define ENUMERATION_FAILURES_SHOWN 20
#endif
#define ENUMERATION_PROGRESS_S 10

static struct {
    const char *program;
    const char *name;
    const char *only;
    unsigned part; ///< 1 … part_count
    unsigned part_count;
    unsigned stride;
    bool grouped;    ///< the program shares out groups of cases itself
    uint64_t number; ///< of cases seen
    uint64_t cases;  ///< of cases run
    uint64_t failures;
    uint64_t lost;          ///< by what the cases measured
    uint64_t counted_twice; ///< likewise
    time_t progress_at;
    bool in_case;
    char label[128];
    jmp_buf on_failure;
} enumeration;

static inline _Noreturn void enumeration_usage(void) {
    fprintf(stderr, "usage: %s [--part I/N] [--only CASE]\n", enumeration.program);
    exit(2);
}

static inline void enumeration_begin(const char *name, int argc, char **argv) {
    enumeration.program = argv[0];
    enumeration.name = name;
    enumeration.part = 1;
    enumeration.part_count = 1;
    const char *stride = getenv("MM_EXHAUSTIVE_STRIDE");
    enumeration.stride = stride == NULL ? 1 : (unsigned)strtoul(stride, NULL, 10);
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc) {
            enumeration_usage();
        } else if (strcmp(argv[i], "--only") == 0) {
            enumeration.only = argv[i + 1];
        } else if (strcmp(argv[i], "--part") != 0 ||
                   sscanf(argv[i + 1], "%u/%u", &enumeration.part, &enumeration.part_count) != 2) {
            enumeration_usage();
        }
    }
    if (enumeration.part < 1 || enumeration.part > enumeration.part_count || enumeration.stride < 1) {
        enumeration_usage();
    }
    enumeration.progress_at = time(NULL) + ENUMERATION_PROGRESS_S;
}

/// True if the group of cases with this number is of this part. From the first call on, parts are made of groups.
static inline bool enumeration_takes_group(uint64_t group) {
    enumeration.grouped = true;
    return enumeration.only != NULL || group % enumeration.part_count == enumeration.part - 1;
}

/// Name the next case; true if it is to be run here.
__attribute__((format(printf, 1, 2))) static inline bool enumeration_takes(const char *format, ...) {
    uint64_t number = enumeration.number++;
    unsigned part_count = enumeration.grouped ? 1 : enumeration.part_count;
    bool is_ours = (enumeration.grouped || number % part_count == enumeration.part - 1) &&
                   number / part_count % enumeration.stride == 0;
    if (enumeration.only == NULL && !is_ours) {
        return false;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(enumeration.label, sizeof enumeration.label, format, arguments);
    va_end(arguments);
    if (enumeration.only != NULL && strcmp(enumeration.only, enumeration.label) != 0) {
        return false;
    }
    enumeration.cases++;
    if (enumeration.cases % 256 == 0 && time(NULL) >= enumeration.progress_at) {
        enumeration.progress_at = time(NULL) + ENUMERATION_PROGRESS_S;
        fprintf(stderr, "%s: %llu cases, at %s\n", enumeration.name, (unsigned long long)enumeration.cases,
                enumeration.label);
    }
    return true;
}

static inline void enumeration_fail(const char *what, const char *file, int line) {
    enumeration.failures++;
    if (enumeration.failures <= ENUMERATION_FAILURES_SHOWN) {
        printf("%s:%d: %s\n    to see this case alone: %s --only %s\n", file, line, what, enumeration.program,
               enumeration.label);
    }
}

/// The programs' mm_assert_failed: the case is over.
_Noreturn void mm_assert_failed(const char *place) {
    if (enumeration.in_case) {
        enumeration_fail("assertion failed", place, 0);
        longjmp(enumeration.on_failure, 1);
    }
    fprintf(stderr, "%s: assertion failed outside of a case\n", place);
    abort();
}

/// Run the case that was named last. What `run` keeps in its own variables is lost when an assertion fails.
static inline void enumeration_run(void (*run)(const void *parameter), const void *parameter) {
    enumeration.in_case = true;
    if (setjmp(enumeration.on_failure) == 0) {
        run(parameter);
    }
    enumeration.in_case = false;
}

/// The last line, with the program's own figures ("key=value key=value"). Returns the exit code.
static inline int enumeration_end(const char *figures) {
    if (enumeration.only != NULL && enumeration.cases == 0) {
        fprintf(stderr, "%s: no such case: %s\n", enumeration.name, enumeration.only);
        return 2;
    }
    printf("exhaustive: name=%s part=%u/%u cases=%llu %s lost=%llu counted_twice=%llu failures=%llu\n",
           enumeration.name, enumeration.part, enumeration.part_count, (unsigned long long)enumeration.cases, figures,
           (unsigned long long)enumeration.lost, (unsigned long long)enumeration.counted_twice,
           (unsigned long long)enumeration.failures);
    return enumeration.failures == 0 && enumeration.lost == 0 && enumeration.counted_twice == 0 ? 0 : 1;
}

#endif
