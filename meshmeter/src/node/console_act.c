// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "node/console_internal.h"

static const mm_actions_t *actions_of(const mm_console_request_t *request) {
    return request->console->options.node->ports.actions;
}

// False, and it was said: these are no seconds.
static bool take_seconds(mm_console_request_t *request, uint32_t *seconds) {
    *seconds = MM_CONSOLE_SECONDS;
    if (request->words == 0 ||
        mmi_console_number(mmi_console_word(&request->arguments), MM_CONSOLE_SECONDS_MAX, seconds)) {
        return true;
    }
    request->result = MM_ERR_ARG;
    mm_console_put(request, "error: 1 to ");
    mm_console_put_number(request, MM_CONSOLE_SECONDS_MAX, 1);
    mm_console_put(request, " seconds\n");
    return false;
}

static void say_done(mm_console_request_t *request, uint32_t seconds) {
    if (request->result != MM_OK) {
        mm_console_put(request, "error: this device cannot do it\n");
        return;
    }
    mm_console_put(request, "ok for ");
    mm_console_put_number(request, seconds, 1);
    mm_console_put(request, " s\n");
}

void mmi_console_find(mm_console_request_t *request) {
    const mm_actions_t *actions = actions_of(request);
    uint32_t seconds;
    if (take_seconds(request, &seconds)) {
        request->result = actions != NULL ? actions->find(actions->context, seconds) : MM_ERR_UNAVAILABLE;
        say_done(request, seconds);
    }
}

void mmi_console_display(mm_console_request_t *request) {
    const mm_actions_t *actions = actions_of(request);
    uint32_t seconds;
    if (take_seconds(request, &seconds)) {
        request->result = actions != NULL ? actions->display_on(actions->context, seconds) : MM_ERR_UNAVAILABLE;
        say_done(request, seconds);
    }
}

static void explain(mm_console_request_t *request) {
    mm_setup_t *setup = request->console->options.setup;
    uint32_t number;
    mm_console_put(request, "This node forgets its network: site, broker, router, keys. It leaves the mesh, and HQ\n"
                            "does not hear from it until it is given a network again. Readings, meters, credit and\n"
                            "what HQ has not got yet stay.\n");
    if (!mm_setup_number(setup, request->now, &number)) {
        mm_console_put(request, "It is not possible now: code says why.\n");
        return;
    }
    mm_console_put(request, "Read HQ the number ");
    mm_console_put_number(request, number, 8);
    mm_console_put(request, " and type what they answer:\nreset CODE " MM_CONSOLE_RESET_WORD "\n");
}

static void say_verdict(mm_console_request_t *request, mm_code_verdict_t verdict, bool is_busy, uint32_t wait_s) {
    const char *text = verdict == MM_CODE_GOOD      ? "ok the network is forgotten; the node is parked\n"
                       : verdict == MM_CODE_WRONG   ? "error: a wrong code"
                       : verdict == MM_CODE_NO_FORM ? "error: a code has 8 characters, 0 to 9 and a to f\n"
                       : verdict == MM_CODE_EXPIRED ? "error: the number's time was over; code shows the new one\n"
                       : verdict == MM_CODE_STATE ? "error: there is no network to forget, or the memory is in fault\n"
                       : verdict == MM_CODE_STORAGE ? "error: the memory refused, and nothing was changed\n"
                       : verdict == MM_CODE_NO_KEY  ? "error: this node has no key\n"
                       : is_busy                    ? "error: an installer is at work"
                                                    : "error: locked out after wrong codes";
    mm_console_put(request, text);
    if (verdict == MM_CODE_WRONG || verdict == MM_CODE_LOCKED_OUT) {
        mm_console_put(request, wait_s > 0 ? "; the next try is in " : "");
        mm_console_put_number(request, wait_s, 0);
        mm_console_put(request, wait_s > 0 ? " s\n" : "\n");
    }
}

// A code with blanks in it, as it is read aloud, is one code.
static void join_words(mm_console_request_t *request, char code[MM_CHALLENGE_CODE_CHARS + 2]) {
    size_t used = 0;
    for (uint8_t i = 0; i + 1 < request->words; i++) {
        for (const char *word = mmi_console_word(&request->arguments); *word != '\0'; word++) {
            // One too many is no code, however many more there are.
            used += used <= MM_CHALLENGE_CODE_CHARS ? 1 : 0;
            code[used - 1] = *word;
        }
    }
    code[used] = '\0';
}

void mmi_console_reset(mm_console_request_t *request) {
    mm_setup_t *setup = request->console->options.setup;
    char code[MM_CHALLENGE_CODE_CHARS + 2];
    if (request->words == 0) {
        explain(request);
        return;
    }
    join_words(request, code);
    // Without the word nothing is judged: the code is still good.
    if (request->words < 2 || strcmp(mmi_console_word(&request->arguments), MM_CONSOLE_RESET_WORD) != 0) {
        mm_console_put(request, "error: nothing was done; reset alone says what is to be typed\n");
        return;
    }
    uint32_t wait_s;
    mm_code_verdict_t verdict = mm_setup_reset(setup, code, request->now, &wait_s);
    say_verdict(request, verdict, setup->session, wait_s);
}
