// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "node/console_internal.h"

static void act(mm_console_request_t *request, mm_err_t (*start)(void *context, uint32_t seconds), void *context) {
    uint32_t seconds = MM_CONSOLE_SECONDS;
    if (request->words > 0 &&
        !mmi_console_number(mmi_console_word(&request->arguments), MM_CONSOLE_SECONDS_MAX, &seconds)) {
        request->result = MM_ERR_ARG;
        mm_console_put(request, "error: 1 to 3600 seconds\n");
        return;
    }
    request->result = start != NULL ? start(context, seconds) : MM_ERR_UNAVAILABLE;
    mm_console_put(request, request->result == MM_OK ? "ok\n" : "error: this device cannot do it\n");
}

void mmi_console_find(mm_console_request_t *request) {
    const mm_actions_t *actions = request->console->options.node->ports.actions;
    act(request, actions != NULL ? actions->find : NULL, actions != NULL ? actions->context : NULL);
}

void mmi_console_display(mm_console_request_t *request) {
    const mm_actions_t *actions = request->console->options.node->ports.actions;
    act(request, actions != NULL ? actions->display_on : NULL, actions != NULL ? actions->context : NULL);
}

static void explain(mm_console_request_t *request) {
    char digits[MMI_CONSOLE_NUMBER_CHARS + 1];
    uint32_t number;
    mm_console_put(request, "The node forgets site, broker, router and keys, and waits for another network.\n"
                            "Readings, meters, credit and what HQ has not got yet stay.\n"
                            "Relays open, and stay so until HQ has confirmed an installation again.\n");
    if (!mm_setup_number(request->console->options.setup, request->now, &number)) {
        mm_console_put(request, "It is not possible now: code says why.\n");
        return;
    }
    mmi_console_digits(number, digits);
    mm_console_put(request, "Read HQ the number ");
    mm_console_put(request, digits);
    mm_console_put(request, " and type their CODE: reset CODE " MM_CONSOLE_RESET_WORD "\n");
}

void mmi_console_put_wait(mm_console_request_t *request, uint32_t wait_s) {
    char digits[MMI_CONSOLE_NUMBER_CHARS + 1];
    if (wait_s > 0) {
        mmi_console_digits(wait_s, digits);
        mm_console_put(request, "; wait ");
        mm_console_put(request, digits + strspn(digits, "0"));
        mm_console_put(request, " s");
    }
}

static void say_verdict(mm_console_request_t *request, mm_code_verdict_t verdict, bool is_busy, uint32_t wait_s) {
    if (verdict == MM_CODE_GOOD) {
        mm_console_put(request, "ok the network is forgotten\n");
        return;
    }
    mm_console_put(request, "error: ");
    mm_console_put(request, is_busy ? "busy" : mm_code_verdict_name(verdict));
    mmi_console_put_wait(request, wait_s);
    mm_console_put(request, "\n");
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
        mm_console_put(request, "error: nothing was done; reset alone says how\n");
        return;
    }
    uint32_t wait_s;
    mm_code_verdict_t verdict = mm_setup_reset(setup, code, request->now, &wait_s);
    say_verdict(request, verdict, verdict == MM_CODE_LOCKED_OUT && setup->session, wait_s);
}
