// SPDX-License-Identifier: Apache-2.0
#ifndef MM_PULSES_GPIO_H
#define MM_PULSES_GPIO_H

#include "linux_message.h"
#include "linux_pulses.h"

/// Pulses of S0 outputs (IEC 62053-31) on GPIO lines, through libgpiod 1.x. The contact pulls the line to ground; the
/// pull-up is asked of the chip. The kernel time-stamps the edges, so a busy process loses no pulse as long as the
/// kernel's queue of 16 edges per line does not overflow.

/// Shortest pulse and shortest pause of a meter by the standard.
#define MM_PULSES_GPIO_PULSE_MIN_US 30000

/// Debouncing by time. The contact counts as closed or open once it has been so, without interruption, for half of the
/// shortest pulse: what bounces shorter is no change, and a meter at the limit of the standard still has a margin of
/// half.
typedef struct {
    int64_t stable_us;
    int64_t since_us; ///< of the raw level
    bool raw_closed;
    bool closed; ///< debounced
    uint64_t count;
} mm_pulse_debounce_t;

/// pulse_min_us: 0 counts every edge. closed: the level now; a contact that is closed at the start is not a pulse.
void mm_pulse_debounce_init(mm_pulse_debounce_t *self, int64_t pulse_min_us, bool closed, int64_t now_us);
/// An edge at a time (not before the last one; earlier ones are taken as at the last).
void mm_pulse_debounce_edge(mm_pulse_debounce_t *self, bool closed, int64_t at_us);
/// Time has come to now_us without a further edge. Returns when the state may change next, or MM_US_NEVER.
int64_t mm_pulse_debounce_poll(mm_pulse_debounce_t *self, int64_t now_us);

struct gpiod_chip;
struct gpiod_line;

typedef struct {
    struct gpiod_line *line;
    int file; ///< readable when edges wait; -1 = input not used
    mm_pulse_debounce_t debounce;
} mm_pulses_gpio_input_t;

typedef struct {
    mm_pulse_source_t source; ///< live; *self must stay where it is
    struct gpiod_chip *chip;
    mm_pulses_gpio_input_t inputs[MM_CHANNELS];
} mm_pulses_gpio_t;

/// chip: "gpiochip0", "/dev/gpiochip0", a label or a number. Channel i counts lines[i]. pulse_min_us:
/// MM_PULSES_GPIO_PULSE_MIN_US for S0. MM_ERR_UNAVAILABLE: chip or line does not exist or is taken; `message` names it.
mm_err_t mm_pulses_gpio_open(mm_pulses_gpio_t *self, const char *chip, const uint32_t *lines, uint8_t line_count,
                             int64_t pulse_min_us, uint32_t generation, mm_linux_message_t *message);
/// Take the waiting edges; never waits. Call when one of the inputs' files is readable and at the deadline that it
/// returns (real microseconds, linux_clock.h).
int64_t mm_pulses_gpio_poll(mm_pulses_gpio_t *self);
void mm_pulses_gpio_close(mm_pulses_gpio_t *self);

#endif
