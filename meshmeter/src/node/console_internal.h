// SPDX-License-Identifier: Apache-2.0
#ifndef MM_NODE_CONSOLE_INTERNAL_H
#define MM_NODE_CONSOLE_INTERNAL_H

#include "meshmeter/console.h"

/// The parts of the console: console.c (table, rights, dispatch), console_read.c (what reads), console_act.c (what
/// acts), console_provision.c (a network by cable).

void mmi_console_status(mm_console_request_t *request);
void mmi_console_counters(mm_console_request_t *request);
void mmi_console_meters(mm_console_request_t *request);
void mmi_console_config(mm_console_request_t *request);
void mmi_console_install(mm_console_request_t *request);
void mmi_console_mesh(mm_console_request_t *request);
void mmi_console_slot(mm_console_request_t *request);
void mmi_console_journal(mm_console_request_t *request);
void mmi_console_log(mm_console_request_t *request);
void mmi_console_code(mm_console_request_t *request);

void mmi_console_find(mm_console_request_t *request);
void mmi_console_display(mm_console_request_t *request);
void mmi_console_reset(mm_console_request_t *request);

/// Eight digits, as HQ asks for them.
#define MMI_CONSOLE_NUMBER_CHARS 8
void mmi_console_digits(uint32_t number, char digits[MMI_CONSOLE_NUMBER_CHARS + 1]);
/// The next word of *rest, terminated in place; "" if there is none.
char *mmi_console_word(char **rest);
/// Whether text is a decimal number from 1 to max.
bool mmi_console_number(const char *text, uint32_t max, uint32_t *number);
/// "; wait N s"; nothing for 0.
void mmi_console_put_wait(mm_console_request_t *request, uint32_t wait_s);

#endif
