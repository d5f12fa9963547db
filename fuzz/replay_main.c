// SPDX-License-Identifier: Apache-2.0
// Feeds a fuzz harness without a fuzzer: every file of the corpus as it is, then seeded mutations of them. The same
// inputs in the same order on every machine, so a finding of a test run can be repeated.
//
//   x_fuzz_replay [CORPUS_DIR [MUTATIONS [SEED]]]     all mutations
//   x_fuzz_replay FILE                                this one input

#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT_BYTES_MAX 65536
#define SEEDS_MAX 1024
#define MUTATIONS_DEFAULT 20000
#define SEED_DEFAULT 1

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    uint8_t *bytes;
    size_t bytes_count;
} input_t;

static input_t s_seeds[SEEDS_MAX];
static size_t s_seed_count;
static uint64_t s_random;
static char s_doing[512] = "start";

// splitmix64 (S. Vigna): not the product's generator, which may itself be under test here.
static uint64_t random_next(void) {
    s_random += 0x9E3779B97F4A7C15u;
    uint64_t mixed = s_random;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
    return mixed ^ (mixed >> 31);
}

static size_t random_below(size_t bound) {
    return (size_t)(random_next() % bound);
}

// A crash must name the input that caused it. Only async-signal-safe calls here.
static void say_what_crashed(void) {
    static const char text[] = "replay: crashed at: ";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
    ignored = write(STDERR_FILENO, s_doing, strlen(s_doing));
    ignored = write(STDERR_FILENO, "\n", 1);
    (void)ignored;
}

#ifdef MM_SANITIZE
// The sanitizers catch signals themselves and say more than a handler could.
void __sanitizer_set_death_callback(void (*callback)(void));

static void catch_crashes(void) {
    __sanitizer_set_death_callback(say_what_crashed);
}
#else
static void on_signal(int signal_no) {
    say_what_crashed();
    signal(signal_no, SIG_DFL);
    raise(signal_no);
}

static void catch_crashes(void) {
    const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t index = 0; index < sizeof signals / sizeof signals[0]; index++) {
        signal(signals[index], on_signal);
    }
}
#endif

// An exact-size heap copy, so that the address sanitizer sees a read one byte behind the end.
static void feed(const uint8_t *bytes, size_t bytes_count) {
    uint8_t *copy = malloc(bytes_count > 0 ? bytes_count : 1);
    if (copy == NULL) {
        fprintf(stderr, "replay: out of memory\n");
        exit(2);
    }
    if (bytes_count > 0) {
        memcpy(copy, bytes, bytes_count);
    }
    LLVMFuzzerTestOneInput(copy, bytes_count);
    free(copy);
}

static void load(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    uint8_t *bytes = malloc(INPUT_BYTES_MAX);
    if (bytes == NULL || s_seed_count == SEEDS_MAX) {
        fprintf(stderr, "replay: %s: no room\n", path);
        exit(2);
    }
    size_t bytes_count = fread(bytes, 1, INPUT_BYTES_MAX, file);
    fclose(file);
    s_seeds[s_seed_count++] = (input_t){bytes, bytes_count};
    snprintf(s_doing, sizeof s_doing, "%s", path);
    feed(bytes, bytes_count);
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static void load_folder(const char *folder) {
    struct dirent **entries = NULL;
    int entry_count = scandir(folder, &entries, is_visible, alphasort);
    if (entry_count < 0) {
        fprintf(stderr, "replay: no corpus at %s, starting from nothing\n", folder);
        return;
    }
    for (int entry_index = 0; entry_index < entry_count; entry_index++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entries[entry_index]->d_name);
        load(path);
        free(entries[entry_index]);
    }
    free(entries);
}

static size_t insert_bytes(uint8_t *bytes, size_t bytes_count) {
    size_t added = 1 + random_below(8);
    if (bytes_count + added > INPUT_BYTES_MAX) {
        return bytes_count;
    }
    size_t at = random_below(bytes_count + 1);
    memmove(bytes + at + added, bytes + at, bytes_count - at);
    for (size_t index = 0; index < added; index++) {
        bytes[at + index] = (uint8_t)random_next();
    }
    return bytes_count + added;
}

static size_t splice(uint8_t *bytes, size_t bytes_count) {
    const input_t *other = &s_seeds[random_below(s_seed_count)];
    size_t from = random_below(other->bytes_count + 1);
    size_t kept = random_below(bytes_count + 1);
    size_t taken = other->bytes_count - from;
    if (taken > INPUT_BYTES_MAX - kept) {
        taken = INPUT_BYTES_MAX - kept;
    }
    memcpy(bytes + kept, other->bytes + from, taken);
    return kept + taken;
}

// Returns the new size. The values written are those at which length fields and counters go wrong.
static size_t mutate(uint8_t *bytes, size_t bytes_count) {
    static const uint8_t edges[] = {0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF};
    if (bytes_count == 0) {
        return insert_bytes(bytes, bytes_count);
    }
    size_t at = random_below(bytes_count);
    switch (random_below(7)) {
    case 0:
        bytes[at] ^= (uint8_t)(1u << random_below(8));
        return bytes_count;
    case 1:
        bytes[at] = edges[random_below(sizeof edges)];
        return bytes_count;
    case 2:
        bytes[at] = (uint8_t)(bytes[at] + random_below(9) + 252u);
        return bytes_count;
    case 3:
        return at; // cut off
    case 4: {
        size_t removed = 1 + random_below(8);
        removed = removed > bytes_count - at ? bytes_count - at : removed;
        memmove(bytes + at, bytes + at + removed, bytes_count - at - removed);
        return bytes_count - removed;
    }
    case 5:
        return insert_bytes(bytes, bytes_count);
    default:
        return splice(bytes, bytes_count);
    }
}

int main(int argument_count, char **arguments) {
    const char *path = argument_count > 1 ? arguments[1] : NULL;
    unsigned long mutation_count = argument_count > 2 ? strtoul(arguments[2], NULL, 10) : MUTATIONS_DEFAULT;
    s_random = argument_count > 3 ? strtoull(arguments[3], NULL, 10) : SEED_DEFAULT;
    unsigned long long seed = s_random;
    catch_crashes();

    struct stat status;
    if (path != NULL && stat(path, &status) == 0 && S_ISREG(status.st_mode)) {
        load(path);
        free(s_seeds[0].bytes);
        return 0;
    }
    if (path != NULL) {
        load_folder(path);
    }
    size_t file_count = s_seed_count;
    if (s_seed_count == 0) {
        s_seeds[s_seed_count++] = (input_t){calloc(1, 1), 0};
    }
    static uint8_t input[INPUT_BYTES_MAX];
    for (unsigned long mutation = 0; mutation < mutation_count; mutation++) {
        const input_t *base = &s_seeds[random_below(s_seed_count)];
        size_t bytes_count = base->bytes_count;
        memcpy(input, base->bytes, bytes_count);
        for (size_t steps = 1 + random_below(4); steps > 0; steps--) {
            bytes_count = mutate(input, bytes_count);
        }
        snprintf(s_doing, sizeof s_doing, "mutation %lu of seed %llu", mutation, seed);
        feed(input, bytes_count);
    }
    for (size_t index = 0; index < s_seed_count; index++) {
        free(s_seeds[index].bytes);
    }
    printf("replay: %zu files, %lu mutations, seed %llu\n", file_count, mutation_count, seed);
    return 0;
}
