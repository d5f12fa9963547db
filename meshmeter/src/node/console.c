// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/console.h"

#include <string.h>

#include "meshmeter/text.h"
#include "node/console_internal.h"

#define HELP_COLUMN 26

static void help(mm_console_request_t *request);

// The one place: what there is, what it needs, what it does.
static const mm_console_line_t lines[] = {
    {.name = "status", .does = "the node and how it is", .need = MM_CONSOLE_READ, .run = mmi_console_status},
    {.name = "counters",
     .does = "what went wrong since the start",
     .need = MM_CONSOLE_READ,
     .run = mmi_console_counters},
    {.name = "meters",
     .arguments = "[1-8]",
     .does = "registers, constants, mode, balance, relay and why",
     .need = MM_CONSOLE_READ,
     .words_max = 1,
     .run = mmi_console_meters},
    {.name = "config",
     .does = "network, broker, installation; of a secret, whether there is one",
     .need = MM_CONSOLE_READ,
     .run = mmi_console_config},
    {.name = "install", .does = "how far the installation is", .need = MM_CONSOLE_READ, .run = mmi_console_install},
    {.name = "mesh", .does = "role, root, parent, members", .need = MM_CONSOLE_READ, .run = mmi_console_mesh},
    {.name = "slot", .does = "slot plan and next session", .need = MM_CONSOLE_READ, .run = mmi_console_slot},
    {.name = "journal",
     .does = "what is stored, and what of it HQ has not got",
     .need = MM_CONSOLE_READ,
     .run = mmi_console_journal},
    {.name = "log", .does = "the newest lines of the log", .need = MM_CONSOLE_READ, .run = mmi_console_log},
    {.name = "code",
     .does = "the number to phone HQ with, tries left, lock-out",
     .need = MM_CONSOLE_READ,
     .needs_setup = true,
     .run = mmi_console_code},
    {.name = "find",
     .arguments = "[SECONDS]",
     .does = "blink, so that somebody sees which one it is",
     .need = MM_CONSOLE_PRESENCE,
     .words_max = 1,
     .act = MM_CONSOLE_ACT_FIND,
     .run = mmi_console_find},
    {.name = "display",
     .arguments = "[SECONDS]",
     .does = "light the display",
     .need = MM_CONSOLE_PRESENCE,
     .words_max = 1,
     .act = MM_CONSOLE_ACT_DISPLAY,
     .run = mmi_console_display},
    {.name = "reset",
     .arguments = "[CODE " MM_CONSOLE_RESET_WORD "]",
     .does = "forget the network; alone: say what that means",
     .need = MM_CONSOLE_CODE,
     .words_max = 3,
     .needs_setup = true,
     .run = mmi_console_reset},
    {.name = "help", .does = "these lines", .need = MM_CONSOLE_READ, .run = help},
};
#define LINE_COUNT (sizeof lines / sizeof lines[0])

const mm_console_line_t *mm_console_lines(size_t *count) {
    *count = LINE_COUNT;
    return lines;
}

const char *mm_console_need_name(uint8_t need) {
    static const char *const names[MM_CONSOLE_NEED_COUNT] = {"nobody", "nothing", "presence", "proof", "code", "owner"};
    return MM_NAME_OF(names, need);
}

// --- text ----------------------------------------------------------------------------------------------------------

void mm_console_put(mm_console_request_t *request, const char *text) {
    for (; *text != '\0' && request->used_bytes < request->capacity_bytes; text++) {
        request->text[request->used_bytes++] = *text;
    }
}

void mmi_console_digits(uint32_t number, char digits[MMI_CONSOLE_NUMBER_CHARS + 1]) {
    digits[MMI_CONSOLE_NUMBER_CHARS] = '\0';
    for (size_t place = MMI_CONSOLE_NUMBER_CHARS; place > 0; place--) {
        digits[place - 1] = (char)('0' + number % 10);
        number /= 10;
    }
}

char *mmi_console_word(char **rest) {
    char *word = *rest + strspn(*rest, " ");
    char *end = word + strcspn(word, " ");
    *rest = end + strspn(end, " ");
    *end = '\0';
    return word;
}

bool mmi_console_number(const char *text, uint32_t max, uint32_t *number) {
    uint64_t value = 0;
    size_t chars = strspn(text, "0123456789");
    for (size_t i = 0; i < chars && value <= max; i++) {
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    *number = (uint32_t)(value <= max ? value : 0);
    return chars > 0 && text[chars] == '\0' && *number > 0;
}

static void pad(mm_console_request_t *request, size_t chars) {
    for (; chars < HELP_COLUMN; chars++) {
        mm_console_put(request, " ");
    }
}

static void put_help(mm_console_request_t *request, const mm_console_line_t *line) {
    size_t chars = strlen(line->name);
    mm_console_put(request, line->name);
    if (line->arguments != NULL) {
        chars += 1 + strlen(line->arguments);
        mm_console_put(request, " ");
        mm_console_put(request, line->arguments);
    }
    if (chars + 2 > HELP_COLUMN) {
        mm_console_put(request, "\n");
        chars = 0;
    }
    pad(request, chars);
    mm_console_put(request, line->does);
    if (line->need != MM_CONSOLE_READ) {
        mm_console_put(request, " (");
        mm_console_put(request, mm_console_need_name(line->need));
        mm_console_put(request, ")");
    }
    mm_console_put(request, "\n");
}

// --- dispatch ------------------------------------------------------------------------------------------------------

static const mm_console_line_t *find_in(const mm_console_line_t *table, size_t count, const char *name, size_t chars) {
    for (size_t i = 0; i < count; i++) {
        if (strlen(table[i].name) == chars && memcmp(table[i].name, name, chars) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

static const mm_console_line_t *find_line(const mm_console_t *self, const char *name, size_t chars) {
    const mm_console_line_t *line = find_in(self->options.lines, self->options.line_count, name, chars);
    return line != NULL ? line : find_in(lines, LINE_COUNT, name, chars);
}

static bool is_granted(const mm_console_t *self, const mm_console_line_t *line) {
    return line->need > MM_CONSOLE_NOBODY && line->need < MM_CONSOLE_NEED_COUNT &&
           (self->options.granted & MM_CONSOLE_GRANT(line->need)) != 0;
}

static bool is_own(const mm_console_t *self, const mm_console_line_t *line) {
    return find_line(self, line->name, strlen(line->name)) == line;
}

static void help(mm_console_request_t *request) {
    const mm_console_options_t *options = &request->console->options;
    for (size_t i = 0; i < LINE_COUNT + options->line_count; i++) {
        const mm_console_line_t *line = i < LINE_COUNT ? &lines[i] : &options->lines[i - LINE_COUNT];
        if (is_granted(request->console, line) && is_own(request->console, line)) {
            put_help(request, line);
        }
    }
}

static uint8_t count_words(const char *text) {
    uint8_t words = 0;
    for (text += strspn(text, " "); *text != '\0' && words < MM_CONSOLE_WORDS_ANY; words++) {
        text += strcspn(text, " ");
        text += strspn(text, " ");
    }
    return words;
}

// NULL: it may be done.
static const char *refusal(const mm_console_request_t *request, const mm_console_line_t *line) {
    if (line == NULL) {
        return "error: not understood; help says what is\n";
    }
    if (!is_granted(request->console, line)) {
        return "error: not from here\n";
    }
    if (request->words < line->words_min ||
        (request->words > line->words_max && line->words_max != MM_CONSOLE_WORDS_ANY)) {
        return "error: not with these words; help says with which\n";
    }
    if (line->needs_setup && request->console->options.setup == NULL) {
        return "error: this node is not commissioned, its configuration is a file\n";
    }
    return NULL;
}

static void tell(mm_console_t *self, const mm_console_line_t *line, mm_err_t result, mm_us_t now) {
    if (now < self->event_at) {
        self->untold += self->untold < UINT32_MAX ? 1 : 0;
        return;
    }
    const uint64_t values[MM_EVENT_VALUES] = {line->act, result == MM_OK ? 0 : 1, self->untold, 0};
    if (mm_metering_event(&self->options.node->metering, MM_EVENT_CONSOLE, values, now) == MM_OK) {
        self->untold = 0;
        self->event_at = mm_us_after_s(now, MM_CONSOLE_EVENT_S);
    }
}

static void answer(mm_console_request_t *request) {
    char *name = request->line + strspn(request->line, " ");
    size_t chars = strcspn(name, " ");
    bool is_plain = mm_text_is_plain(request->line, strlen(request->line));
    const mm_console_line_t *line = is_plain ? find_line(request->console, name, chars) : NULL;
    request->arguments = name + chars + strspn(name + chars, " ");
    request->words = count_words(request->arguments);
    const char *refused = refusal(request, line);
    if (refused != NULL) {
        mm_console_put(request, refused);
        return;
    }
    line->run(request);
    // What the line did not ask of the platform did not happen.
    if (line->act != MM_CONSOLE_ACT_NONE && request->result != MM_ERR_ARG) {
        tell(request->console, line, request->result, request->now);
    }
}

void mm_console_open(mm_console_t *self, const mm_console_options_t *options, mm_us_t now) {
    *self = (mm_console_t){.options = *options, .event_at = now};
}

// NOLINTNEXTLINE(readability-non-const-parameter): the request writes to text
size_t mm_console_answer(mm_console_t *self, char *line, mm_us_t now, char *text, size_t capacity_bytes) {
    mm_console_request_t request = {
        .console = self, .line = line, .now = now, .text = text, .capacity_bytes = capacity_bytes};
    size_t line_bytes = strlen(line);
    MM_ASSERT(capacity_bytes >= MM_CONSOLE_ANSWER_BYTES_MIN);
    answer(&request);
    memset(line, 0, line_bytes);
    return request.used_bytes;
}
