#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A board with a wrong pin is not compiled, and the compiler says which option, which pin and why.

usage: tests/esp_idf/pins_test.py    exit code 1 if anything is wrong, 77 without kconfiglib

Compiles ports/esp_idf/mm_esp/mm_esp_board.c with the host's compiler ($CC, or cc) for boards of all targets: the defaults,
and those with one mistake.
"""

import itertools
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import project_test  # noqa: E402

BOARD = "ports/esp_idf/mm_esp/mm_esp_board.c"
INCLUDES = ("tests/esp_idf/sdk", "meshmeter/include")

problems = 0


def problem(text):
    global problems
    problems += 1
    print(f"pins_test: {text}", file=sys.stderr)


class Board:
    """The defaults of a target, with other values: a name of Kconfig without CONFIG_, or of the SDK."""

    def __init__(self, kconfiglib, target):
        self.target, self.config = target, project_test.load_kconfig(kconfiglib, target)

    def options(self):
        return sorted(project_test.pins_of(self.config))

    def refusals(self, **values):
        """What the compiler says."""
        self.config.unset_values()
        others = {}
        for name, value in values.items():
            symbol = self.config.syms.get(name)
            if symbol is None or not name.startswith("MM_"):
                others[name] = value
            else:
                symbol.set_value(str(value))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "sdkconfig.h")
            self.config.write_autoconf(path)
            with open(path, encoding="utf-8") as file:
                text = file.read()
            # A range of Kconfig takes what is beyond it for nothing; somebody may have edited the file.
            for name, value in values.items():
                if re.search(r"_PIN(_\d)?$", name):
                    text = re.sub(rf"#define CONFIG_{name} .*", f"#define CONFIG_{name} {value}", text)
            text += "".join(f"#define CONFIG_{name} {1 if value == 'y' else value}\n" for name, value in others.items())
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            compiler = os.environ.get("CC", "cc").split()
            if "clang" in compiler[-1]:
                compiler.append("-ferror-limit=0")
            command = [*compiler, "-std=gnu17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{folder}"]
            command += [f"-I{os.path.join(project_test.ROOT, include)}" for include in INCLUDES]
            done = subprocess.run([*command, os.path.join(project_test.ROOT, BOARD)], capture_output=True, text=True, check=False)
        found = re.findall(r'"(\w+ = -?\d+[^"\n]*)"', done.stderr)
        if (done.returncode != 0) != bool(found) or len(re.findall(r"\berror:", done.stderr)) != len(found):
            problem(f"{self.target}: {values}: the compiler says something else:\n{done.stderr[:2000]}")
        return sorted(found)


def expect(board, values, *wanted):
    found = board.refusals(**values)
    if found != sorted(wanted):
        problem(f"{board.target}: {values}: {found}, expected {sorted(wanted)}")


def off(board, *but):
    """All options but these without a pin, and no buses."""
    return {**{name: -1 for name in board.options() if name not in but}, "MM_FRAM": "n", "MM_DISPLAY": "n"}


def test_defaults(boards):
    for board in boards.values():
        expect(board, {})
        expect(board, {"MM_RELAYS": "n", "MM_FRAM": "n", "MM_DISPLAY": "n"})
        expect(board, off(board))


def test_each_option(boards):
    """None is forgotten in the header's list: each with a pin of its own that the chip does not have."""
    for board in boards.values():
        board.refusals(MM_RELAY_LATCHING="y")  # so that its options are there
        chip = {"esp32": "ESP32", "esp32s3": "ESP32-S3", "esp32c6": "ESP32-C6"}[board.target]
        names = board.options()
        if len(names) != 31:
            problem(f"{board.target}: {len(names)} options are pins; expected 31")
        pins = {name: 60 + i for i, name in enumerate(names)}
        found = board.refusals(MM_RELAY_LATCHING="y", **pins)
        for name in names:
            if f"{name} = {pins[name]}: the {chip} has no such pin" not in found:
                problem(f"{board.target}: {name} may be a pin that the chip does not have")


def test_chips(boards):
    """Pins of the data sheets, at the edges of what is refused."""
    kinds = {
        "missing": "the {chip} has no such pin",
        "flash": "this pin of the {chip} belongs to the flash",
        "console": "this pin of the {chip} is UART 0, where the console is",
        "input": "this pin of the {chip} is an input only",
    }
    chips = {
        "esp32": ("ESP32", {"missing": (20, 24, 28, 31, 40, 48, 62, 64, 99), "flash": (6, 11), "console": (1, 3), "input": (34, 39)},
                  (0, 2, 4, 5, 12, 16, 17, 19, 21, 23, 25, 27, 32, 33)),
        "esp32s3": ("ESP32-S3", {"missing": (22, 25, 49), "flash": (26, 32), "console": (43, 44)},
                    (0, 3, 18, 19, 20, 21, 33, 37, 42, 45, 48)),
        "esp32c6": ("ESP32-C6", {"missing": (31, 48), "flash": (24, 30), "console": (16, 17)}, (0, 11, 12, 13, 15, 18, 23)),
    }
    for target, (chip, refused, good) in chips.items():
        board = boards[target]
        for kind, pins in refused.items():
            for pin in pins:
                expect(board, {**off(board), "MM_LED_PIN": pin}, f"MM_LED_PIN = {pin}: {kinds[kind].format(chip=chip)}")
        for pin in good:
            expect(board, {**off(board), "MM_LED_PIN": pin})


def test_uses(boards):
    esp32 = boards["esp32"]
    only = "this pin of the ESP32 is an input only"
    free = off(esp32)
    for name in ("MM_RELAY_PIN_3", "MM_LED_PIN"):
        expect(esp32, {**free, name: 36}, f"{name} = 36: {only}")
    expect(esp32, {**free, "MM_FRAM": "y", "MM_FRAM_SDA_PIN": 36, "MM_FRAM_SCL_PIN": 23}, f"MM_FRAM_SDA_PIN = 36: {only}")
    expect(esp32, {**free, "MM_DISPLAY": "y", "MM_DISPLAY_SDA_PIN": 22, "MM_DISPLAY_SCL_PIN": 37}, f"MM_DISPLAY_SCL_PIN = 37: {only}")
    for name in ("MM_PULSE_PIN_0", "MM_WARNING_PIN"):
        expect(esp32, {**free, name: 36})
    expect(esp32, {**free, "MM_BUTTON_PIN": 36}, "MM_BUTTON_PIN = 36: this pin of the ESP32 has no pull-up")
    expect(esp32, {**free, "MM_BUTTON_PIN": 36, "MM_BUTTON_PULL_UP": "n"})
    # Half of a bus, half of a latching relay.
    expect(esp32, {"MM_FRAM_SCL_PIN": -1}, "MM_FRAM_SCL_PIN = -1: a bus has two pins; switch off what the board does not have")
    coils = {**free, "MM_RELAY_LATCHING": "y", "MM_RELAY_PIN_7": 4, "MM_RELAY_OPEN_PIN_7": 5}
    expect(esp32, coils)
    for half in ("MM_RELAY_PIN_7", "MM_RELAY_OPEN_PIN_7"):
        pins = {**coils, half: -1}
        expect(esp32, pins, f"MM_RELAY_PIN_7 = {pins['MM_RELAY_PIN_7']}, MM_RELAY_OPEN_PIN_7 = {pins['MM_RELAY_OPEN_PIN_7']}: "
               "a latching relay has two coils")
    expect(esp32, {**coils, "MM_RELAY_OPEN_PIN_7": 34}, f"MM_RELAY_OPEN_PIN_7 = 34: {only}")


def test_pairs(boards):
    for board in boards.values():
        # All with one pin: each pair is named once.
        names = [name for name in board.options() if not re.search("SDA|SCL|_OPEN_", name)]
        found = board.refusals(**{**off(board), **{name: 5 for name in names}})
        pairs = {frozenset(pair) for pair in itertools.combinations(names, 2)}
        said = [frozenset(re.fullmatch(r"(\w+) = 5: the same pin as (\w+)", text).groups()) for text in found]
        if len(names) != 19 or len(said) != len(pairs) or set(said) != pairs:
            problem(f"{board.target}: {len(names)} options with one pin: {len(pairs)} pairs, {len(said)} refusals")
    esp32, c6 = boards["esp32"], boards["esp32c6"]
    expect(esp32, {"MM_DISPLAY_SDA_PIN": 18, "MM_DISPLAY_SCL_PIN": 23})
    expect(esp32, {"MM_DISPLAY_SDA_PIN": 18}, "MM_FRAM_SDA_PIN = 18: the same pin as MM_DISPLAY_SDA_PIN")
    expect(esp32, {"MM_DISPLAY_SDA_PIN": 23, "MM_DISPLAY_SCL_PIN": 18}, "MM_FRAM_SDA_PIN = 18: the same pin as MM_DISPLAY_SCL_PIN",
           "MM_FRAM_SCL_PIN = 23: the same pin as MM_DISPLAY_SDA_PIN")
    expect(esp32, {"MM_FRAM_SDA_PIN": 23}, "MM_FRAM_SDA_PIN = 23: the same pin as MM_FRAM_SCL_PIN")
    expect(esp32, {"MM_DISPLAY_SDA_PIN": 18, "MM_DISPLAY_SCL_PIN": 23, "MM_LED_PIN": 18}, "MM_FRAM_SDA_PIN = 18: the same pin as MM_LED_PIN")
    expect(c6, {"MM_LED_PIN": 6}, "MM_FRAM_SDA_PIN = 6: the same pin as MM_LED_PIN")
    expect(c6, {"MM_LED_PIN": -1, "MM_DISPLAY_SDA_PIN": 13, "MM_DISPLAY_SCL_PIN": 12},
           "MM_DISPLAY_SDA_PIN = 13, MM_DISPLAY_SCL_PIN = 12: the ESP32-C6 has one bus; take the two pins of the FRAM")


def test_what_the_sdk_uses(boards):
    psram = "belongs to PSRAM or octal flash"
    expect(boards["esp32"], {"SPIRAM": "y"}, f"MM_RELAY_PIN_1 = 16: this pin of the ESP32 {psram}",
           f"MM_RELAY_PIN_2 = 17: this pin of the ESP32 {psram}")
    s3 = boards["esp32s3"]
    for symbol in ("SPIRAM_MODE_OCT", "ESPTOOLPY_OCT_FLASH"):
        expect(s3, {symbol: "y"})
        for pin in (33, 37):
            expect(s3, {symbol: "y", "MM_LED_PIN": pin}, f"MM_LED_PIN = {pin}: this pin of the ESP32-S3 {psram}")
        expect(s3, {symbol: "y", "MM_LED_PIN": 38})
    for target, chip, pins in (("esp32s3", "ESP32-S3", (19, 20)), ("esp32c6", "ESP32-C6", (12, 13))):
        board = boards[target]
        for symbol in ("ESP_CONSOLE_USB_SERIAL_JTAG", "ESP_CONSOLE_USB_CDC", "ESP_CONSOLE_SECONDARY_USB_SERIAL_JTAG",
                       "MM_CONSOLE_USB"):
            expect(board, {symbol: "y"})
            for pin in pins:
                expect(board, {symbol: "y", "MM_LED_PIN": pin}, f"MM_LED_PIN = {pin}: this pin of the {chip} is USB, where console or log are")
        # UART 0 is free when neither lines nor log are there.
        uart = 43 if target == "esp32s3" else 16
        expect(board, {"MM_CONSOLE_USB": "y", "ESP_CONSOLE_UART_NUM": -1, "MM_LED_PIN": uart})
        expect(board, {"MM_CONSOLE_USB": "y", "ESP_CONSOLE_UART": "y", "ESP_CONSOLE_UART_NUM": 0, "MM_LED_PIN": uart},
               f"MM_LED_PIN = {uart}: this pin of the {chip} is UART 0, where the console is")
    # UART 0 at other pins.
    custom = {"ESP_CONSOLE_UART_CUSTOM": "y", "ESP_CONSOLE_UART_NUM": 0, "ESP_CONSOLE_UART_TX_GPIO": 38, "ESP_CONSOLE_UART_RX_GPIO": 40}
    expect(s3, custom)
    expect(s3, {**custom, "MM_LED_PIN": 43})
    expect(s3, {**custom, "MM_LED_PIN": 40}, "ESP_CONSOLE_UART_RX_GPIO = 40: the same pin as MM_LED_PIN")
    for other in ({"ESP_CONSOLE_UART_NUM": 1}, {"ESP_CONSOLE_UART_RX_GPIO": -1}):
        expect(s3, {**custom, **other, "MM_LED_PIN": 43}, "MM_LED_PIN = 43: this pin of the ESP32-S3 is UART 0, where the console is")


def test_ranges(boards):
    """menuconfig takes no number that no pin of the chip has."""
    for target, board in boards.items():
        for name in ("MM_LED_PIN", "MM_BUTTON_PIN"):
            board.config.unset_values()
            symbol = board.config.syms[name]
            default = symbol.str_value
            pin_max = project_test.PINS_MAX[target][0 if name == "MM_BUTTON_PIN" else 1]
            symbol.set_value(str(pin_max))
            at_the_edge = symbol.str_value
            symbol.set_value(str(pin_max + 1))
            if at_the_edge != str(pin_max) or symbol.str_value == str(pin_max + 1):
                problem(f"{target}: {name}: {at_the_edge} and {symbol.str_value}, default {default}, at most {pin_max}")


def main():
    kconfiglib = project_test.import_kconfiglib()
    boards = {target: Board(kconfiglib, target) for target in project_test.TARGETS}
    for test in (test_defaults, test_each_option, test_chips, test_uses, test_pairs, test_what_the_sdk_uses, test_ranges):
        test(boards)
    print(f"pins_test: {len(boards)} targets, {problems + len(project_test.problems)} problems")
    return 1 if problems or project_test.problems else 0


if __name__ == "__main__":
    sys.exit(main())
