// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_PCNT_H
#define MM_TEST_FAKE_PCNT_H

#include <driver/pulse_cnt.h>

/// Pulse counters behind the pins of fake_gpio.h. A unit that counts to a limit where it has a watch point begins at 0
/// and calls the interrupt.

#define FAKE_PCNT_UNITS 8

/// Drive a pin from outside: interrupts of gpio and of a unit on it.
void fake_pcnt_drive(int pin, int level);
/// Units that exist; 0 when nothing leaks.
unsigned fake_pcnt_unit_count(void);

#endif
