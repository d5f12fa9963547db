// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_PINS_H
#define MM_ESP_PINS_H

#include <sdkconfig.h>

/// Which pins a board may be given, for each chip, and the refusal of all others while the firmware is compiled: a
/// wrong one has no image, instead of a board that does not start, or a meter that does not count. Each refusal names
/// option, pin and reason. Only mm_esp_board.c includes it; it costs nothing at run time. Not seen here: what a module
/// does not bring out, and pins that decide how the chip starts (docs/guide/esp32.md, Wiring), which are good for many
/// a use.

// Bit 63 is no pin's: that of "none". Bit 62 is one that no chip has.
#define MM_ESP_PIN(pin) (1ULL << ((pin) < 0 ? 63 : (pin) > 62 ? 62 : (pin)))
#define MM_ESP_PINS_BETWEEN(first, last) ((2ULL << (last)) - (1ULL << (first)))

// --- the chips, from their data sheets; tools/check-esp-idf compares what the SDK knows as well ---------------------

#if defined(CONFIG_IDF_TARGET_ESP32)

#define MM_ESP_CHIP "the ESP32"
// 20: of a package that has its flash elsewhere (ESP32-PICO-V3).
#define MM_ESP_MISSING_PINS                                                                                            \
    (MM_ESP_PIN(20) | MM_ESP_PIN(24) | MM_ESP_PINS_BETWEEN(28, 31) | MM_ESP_PINS_BETWEEN(40, 62))
// They have no pull-up either.
#define MM_ESP_INPUT_ONLY_PINS MM_ESP_PINS_BETWEEN(34, 39)
#define MM_ESP_FLASH_PINS MM_ESP_PINS_BETWEEN(6, 11)
#ifdef CONFIG_SPIRAM
#define MM_ESP_PSRAM_PINS MM_ESP_PINS_BETWEEN(16, 17)
#endif
#define MM_ESP_UART_PINS (MM_ESP_PIN(1) | MM_ESP_PIN(3))
#define MM_ESP_USB_PINS 0ULL
#define MM_ESP_I2C_BUSES 2

#elif defined(CONFIG_IDF_TARGET_ESP32S3)

#define MM_ESP_CHIP "the ESP32-S3"
#define MM_ESP_MISSING_PINS (MM_ESP_PINS_BETWEEN(22, 25) | MM_ESP_PINS_BETWEEN(49, 62))
#define MM_ESP_INPUT_ONLY_PINS 0ULL
// 26: the PSRAM's in modules with one, beside the flash's; brought out by none.
#define MM_ESP_FLASH_PINS MM_ESP_PINS_BETWEEN(26, 32)
#if defined(CONFIG_SPIRAM_MODE_OCT) || defined(CONFIG_ESPTOOLPY_OCT_FLASH)
#define MM_ESP_PSRAM_PINS MM_ESP_PINS_BETWEEN(33, 37)
#endif
#define MM_ESP_UART_PINS MM_ESP_PINS_BETWEEN(43, 44)
#define MM_ESP_USB_PINS MM_ESP_PINS_BETWEEN(19, 20)
#define MM_ESP_I2C_BUSES 2

#elif defined(CONFIG_IDF_TARGET_ESP32C6)

#define MM_ESP_CHIP "the ESP32-C6"
#define MM_ESP_MISSING_PINS MM_ESP_PINS_BETWEEN(31, 62)
#define MM_ESP_INPUT_ONLY_PINS 0ULL
#define MM_ESP_FLASH_PINS MM_ESP_PINS_BETWEEN(24, 30)
#define MM_ESP_UART_PINS MM_ESP_PINS_BETWEEN(16, 17)
#define MM_ESP_USB_PINS MM_ESP_PINS_BETWEEN(12, 13)
// The second one is the low-power processor's.
#define MM_ESP_I2C_BUSES 1

#else
#error "meshmeter knows the pins of esp32, esp32s3 and esp32c6"
#endif

#ifndef MM_ESP_PSRAM_PINS
#define MM_ESP_PSRAM_PINS 0ULL
#endif

// Our lines and the SDK's log, which may be at different ports, and at UART 0 with other pins.
#if defined(CONFIG_ESP_CONSOLE_UART_CUSTOM) && CONFIG_ESP_CONSOLE_UART_NUM == 0 &&                                     \
    CONFIG_ESP_CONSOLE_UART_TX_GPIO >= 0 && CONFIG_ESP_CONSOLE_UART_RX_GPIO >= 0
#define MM_ESP_CONSOLE_PINS 0ULL
#elif defined(CONFIG_MM_CONSOLE_UART) || (defined(CONFIG_ESP_CONSOLE_UART) && CONFIG_ESP_CONSOLE_UART_NUM == 0)
#define MM_ESP_CONSOLE_PINS MM_ESP_UART_PINS
#else
#define MM_ESP_CONSOLE_PINS 0ULL
#endif
#if defined(CONFIG_MM_CONSOLE_USB) || defined(CONFIG_ESP_CONSOLE_USB_SERIAL_JTAG) ||                                   \
    defined(CONFIG_ESP_CONSOLE_USB_CDC) || defined(CONFIG_ESP_CONSOLE_SECONDARY_USB_SERIAL_JTAG)
#define MM_ESP_USB_CONSOLE_PINS MM_ESP_USB_PINS
#else
#define MM_ESP_USB_CONSOLE_PINS 0ULL
#endif

// --- the options ----------------------------------------------------------------------------------------------------

// X(with, option, use); `with` is handed through. A group whose symbols are not defined is empty.
#define MM_ESP_PULSE_OPTIONS(X, with)                                                                                  \
    X(with, MM_PULSE_PIN_0, INPUT)                                                                                     \
    X(with, MM_PULSE_PIN_1, INPUT)                                                                                     \
    X(with, MM_PULSE_PIN_2, INPUT)                                                                                     \
    X(with, MM_PULSE_PIN_3, INPUT)                                                                                     \
    X(with, MM_PULSE_PIN_4, INPUT)                                                                                     \
    X(with, MM_PULSE_PIN_5, INPUT)                                                                                     \
    X(with, MM_PULSE_PIN_6, INPUT)                                                                                     \
    X(with, MM_PULSE_PIN_7, INPUT)

#ifdef CONFIG_MM_RELAYS
#define MM_ESP_RELAY_OPTIONS(X, with)                                                                                  \
    X(with, MM_RELAY_PIN_0, OUTPUT)                                                                                    \
    X(with, MM_RELAY_PIN_1, OUTPUT)                                                                                    \
    X(with, MM_RELAY_PIN_2, OUTPUT)                                                                                    \
    X(with, MM_RELAY_PIN_3, OUTPUT)                                                                                    \
    X(with, MM_RELAY_PIN_4, OUTPUT)                                                                                    \
    X(with, MM_RELAY_PIN_5, OUTPUT)                                                                                    \
    X(with, MM_RELAY_PIN_6, OUTPUT)                                                                                    \
    X(with, MM_RELAY_PIN_7, OUTPUT)
#else
#define MM_ESP_RELAY_OPTIONS(X, with)
#endif

#ifdef CONFIG_MM_RELAY_LATCHING
#define MM_ESP_COIL_OPTIONS(X, with)                                                                                   \
    X(with, MM_RELAY_OPEN_PIN_0, OUTPUT)                                                                               \
    X(with, MM_RELAY_OPEN_PIN_1, OUTPUT)                                                                               \
    X(with, MM_RELAY_OPEN_PIN_2, OUTPUT)                                                                               \
    X(with, MM_RELAY_OPEN_PIN_3, OUTPUT)                                                                               \
    X(with, MM_RELAY_OPEN_PIN_4, OUTPUT)                                                                               \
    X(with, MM_RELAY_OPEN_PIN_5, OUTPUT)                                                                               \
    X(with, MM_RELAY_OPEN_PIN_6, OUTPUT)                                                                               \
    X(with, MM_RELAY_OPEN_PIN_7, OUTPUT)
#else
#define MM_ESP_COIL_OPTIONS(X, with)
#endif

#ifdef CONFIG_MM_FRAM
#define MM_ESP_FRAM_OPTIONS(X, with) X(with, MM_FRAM_SDA_PIN, WIRE) X(with, MM_FRAM_SCL_PIN, WIRE)
#else
#define MM_ESP_FRAM_OPTIONS(X, with)
#endif

// A display at the FRAM's bus has no pins of its own.
#if defined(CONFIG_MM_DISPLAY) && defined(CONFIG_MM_FRAM)
#if CONFIG_MM_DISPLAY_SDA_PIN == CONFIG_MM_FRAM_SDA_PIN && CONFIG_MM_DISPLAY_SCL_PIN == CONFIG_MM_FRAM_SCL_PIN
#define MM_ESP_HAS_ONE_BUS 1
#endif
#endif
#if defined(CONFIG_MM_DISPLAY) && !defined(MM_ESP_HAS_ONE_BUS)
#define MM_ESP_DISPLAY_OPTIONS(X, with) X(with, MM_DISPLAY_SDA_PIN, WIRE) X(with, MM_DISPLAY_SCL_PIN, WIRE)
#else
#define MM_ESP_DISPLAY_OPTIONS(X, with)
#endif

#ifdef CONFIG_MM_BUTTON_PULL_UP
#define MM_ESP_BUTTON_OPTIONS(X, with) X(with, MM_BUTTON_PIN, PULLED_UP)
#else
#define MM_ESP_BUTTON_OPTIONS(X, with) X(with, MM_BUTTON_PIN, INPUT)
#endif

#ifdef CONFIG_ESP_CONSOLE_UART_CUSTOM
#define MM_ESP_UART_OPTIONS(X, with) X(with, ESP_CONSOLE_UART_TX_GPIO, OUTPUT) X(with, ESP_CONSOLE_UART_RX_GPIO, INPUT)
#else
#define MM_ESP_UART_OPTIONS(X, with)
#endif

#define MM_ESP_OPTIONS(X, with)                                                                                        \
    MM_ESP_PULSE_OPTIONS(X, with)                                                                                      \
    MM_ESP_RELAY_OPTIONS(X, with)                                                                                      \
    MM_ESP_COIL_OPTIONS(X, with)                                                                                       \
    MM_ESP_FRAM_OPTIONS(X, with)                                                                                       \
    MM_ESP_DISPLAY_OPTIONS(X, with)                                                                                    \
    MM_ESP_BUTTON_OPTIONS(X, with)                                                                                     \
    MM_ESP_UART_OPTIONS(X, with)                                                                                       \
    X(with, MM_LED_PIN, OUTPUT)                                                                                        \
    X(with, MM_WARNING_PIN, INPUT)

// --- refusals -------------------------------------------------------------------------------------------------------

#define MM_ESP_TEXT_OF(value) #value
#define MM_ESP_TEXT(value) MM_ESP_TEXT_OF(value)
#define MM_ESP_NAMED(option) #option " = " MM_ESP_TEXT(CONFIG_##option)
#define MM_ESP_REFUSE(option, pins, why)                                                                               \
    _Static_assert((MM_ESP_PIN(CONFIG_##option) & (pins)) == 0, MM_ESP_NAMED(option) ": " why);

// What the uses ask of a pin.
#define MM_ESP_CHECK_INPUT(option)
#define MM_ESP_CHECK_PULLED_UP(option)                                                                                 \
    MM_ESP_REFUSE(option, MM_ESP_INPUT_ONLY_PINS, "this pin of " MM_ESP_CHIP " has no pull-up")
#define MM_ESP_CHECK_OUTPUT(option)                                                                                    \
    MM_ESP_REFUSE(option, MM_ESP_INPUT_ONLY_PINS, "this pin of " MM_ESP_CHIP " is an input only")
#define MM_ESP_CHECK_WIRE(option)                                                                                      \
    MM_ESP_CHECK_OUTPUT(option)                                                                                        \
    MM_ESP_REFUSE(option, MM_ESP_PIN(-1), "a bus has two pins; switch off what the board does not have")

#define MM_ESP_CHECK(with, option, use)                                                                                \
    MM_ESP_REFUSE(option, MM_ESP_MISSING_PINS, MM_ESP_CHIP " has no such pin")                                         \
    MM_ESP_REFUSE(option, MM_ESP_FLASH_PINS, "this pin of " MM_ESP_CHIP " belongs to the flash")                       \
    MM_ESP_REFUSE(option, MM_ESP_PSRAM_PINS, "this pin of " MM_ESP_CHIP " belongs to PSRAM or octal flash")            \
    MM_ESP_REFUSE(option, MM_ESP_CONSOLE_PINS, "this pin of " MM_ESP_CHIP " is UART 0, where the console is")          \
    MM_ESP_REFUSE(option, MM_ESP_USB_CONSOLE_PINS, "this pin of " MM_ESP_CHIP " is USB, where console or log are")     \
    MM_ESP_CHECK_##use(option)

MM_ESP_OPTIONS(MM_ESP_CHECK, )

// Each option against each: a list within an entry of the same list, which the preprocessor expands only in a second
// pass, and only if it meets the name there for the first time.
#define MM_ESP_NOTHING()
#define MM_ESP_OPTIONS_LATER() MM_ESP_OPTIONS
#define MM_ESP_SECOND_PASS(...) __VA_ARGS__

#define MM_ESP_PLACE(with, option, use) MM_ESP_PLACE_OF_##option,
enum {
    MM_ESP_OPTIONS(MM_ESP_PLACE, )
};

#define MM_ESP_CHECK_PAIR(first, second, use)                                                                          \
    _Static_assert(MM_ESP_PLACE_OF_##first >= MM_ESP_PLACE_OF_##second || CONFIG_##first < 0 ||                        \
                       CONFIG_##first != CONFIG_##second,                                                              \
                   MM_ESP_NAMED(first) ": the same pin as " #second);
#define MM_ESP_CHECK_PAIRS(with, option, use) MM_ESP_OPTIONS_LATER MM_ESP_NOTHING()()(MM_ESP_CHECK_PAIR, option)

MM_ESP_SECOND_PASS(MM_ESP_OPTIONS(MM_ESP_CHECK_PAIRS, ))

#ifdef CONFIG_MM_RELAY_LATCHING
#define MM_ESP_CHECK_COILS(close, open)                                                                                \
    _Static_assert((CONFIG_##close < 0) == (CONFIG_##open < 0),                                                        \
                   MM_ESP_NAMED(close) ", " MM_ESP_NAMED(open) ": a latching relay has two coils");
MM_ESP_CHECK_COILS(MM_RELAY_PIN_0, MM_RELAY_OPEN_PIN_0)
MM_ESP_CHECK_COILS(MM_RELAY_PIN_1, MM_RELAY_OPEN_PIN_1)
MM_ESP_CHECK_COILS(MM_RELAY_PIN_2, MM_RELAY_OPEN_PIN_2)
MM_ESP_CHECK_COILS(MM_RELAY_PIN_3, MM_RELAY_OPEN_PIN_3)
MM_ESP_CHECK_COILS(MM_RELAY_PIN_4, MM_RELAY_OPEN_PIN_4)
MM_ESP_CHECK_COILS(MM_RELAY_PIN_5, MM_RELAY_OPEN_PIN_5)
MM_ESP_CHECK_COILS(MM_RELAY_PIN_6, MM_RELAY_OPEN_PIN_6)
MM_ESP_CHECK_COILS(MM_RELAY_PIN_7, MM_RELAY_OPEN_PIN_7)
#endif

#if defined(CONFIG_MM_FRAM) && defined(CONFIG_MM_DISPLAY) && !defined(MM_ESP_HAS_ONE_BUS)
_Static_assert(MM_ESP_I2C_BUSES > 1,
               MM_ESP_NAMED(MM_DISPLAY_SDA_PIN) ", " MM_ESP_NAMED(
                   MM_DISPLAY_SCL_PIN) ": " MM_ESP_CHIP " has one bus; take the two pins of the FRAM");
#endif

#endif
