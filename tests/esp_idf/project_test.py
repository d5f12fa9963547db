#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The ESP32 project without an SDK: partition tables, Kconfig, and what depends on them.

usage: tests/esp_idf/project_test.py          check; exit code 1 if anything is wrong, 77 without kconfiglib
       tests/esp_idf/project_test.py --write  write tests/esp_idf/sdk/sdkconfig.h and the tables of docs/guide/esp32.md
"""

import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KCONFIG = "apps/esp32/main/Kconfig.projbuild"
SDKCONFIG = "tests/esp_idf/sdk/sdkconfig.h"
GUIDE = "docs/guide/esp32.md"
OWNER = "ports/esp_idf/mm_esp/mm_esp_owner.h"
CONSOLE = "ports/esp_idf/mm_esp/mm_esp_node_console.c"
NODE = "ports/esp_idf/mm_esp/mm_esp_node.c"
TARGETS = {"esp32": "ESP32", "esp32s3": "ESP32-S3", "esp32c6": "ESP32-C6"}
# Of an input, of an output: what the SDK has in SOC_GPIO_IN_RANGE_MAX and SOC_GPIO_OUT_RANGE_MAX.
PINS_MAX = {"esp32": (39, 33), "esp32s3": (48, 48), "esp32c6": (30, 30)}
# SOC_USB_SERIAL_JTAG_SUPPORTED.
WITH_USB = ("esp32s3", "esp32c6")
SECTOR = 4096

problems = []


def problem(text):
    problems.append(text)
    print(f"project_test: {text}", file=sys.stderr)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def constant(path, name):
    return int(re.search(rf"#define {name} (\d+)", read(path)).group(1))


# Partition tables


def partitions_of(text):
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        if line:
            name, kind, subtype, offset, size = [field.strip() for field in line.split(",")][:5]
            yield name, kind, subtype, int(offset, 0), int(size, 0)


def check_table(where, text, flash_bytes):
    """What Espressif's documentation of partition tables asks for, and what our code expects."""
    found = {}
    # The table itself is at 0x8000 and has one sector.
    end = 0x9000
    for name, kind, subtype, offset, size in partitions_of(text):
        found[name] = (kind, subtype, offset, size)
        alignment = 0x10000 if kind == "app" else SECTOR
        if offset % alignment or size % SECTOR or size == 0:
            problem(f"{where}: {name} is not aligned")
        if offset < end:
            problem(f"{where}: {name} overlaps what is before it")
        if len(name) > 16:
            problem(f"{where}: {name}: more than 16 characters")
        end = offset + size
    if end > flash_bytes:
        problem(f"{where}: needs 0x{end:X} bytes, the flash has 0x{flash_bytes:X}")
    wanted = {
        # name: type, subtype, least bytes. NVS needs three sectors, the data of OTA two.
        "nvs": ("data", "nvs", 3 * SECTOR),
        "device": ("data", "nvs", 3 * SECTOR),
        "otadata": ("data", "ota", 2 * SECTOR),
        "config": ("data", "0x40", constant("meshmeter/include/meshmeter/configuration.h", "MM_CONFIGURATION_SECTORS_MIN") * SECTOR),
        "registers": ("data", "0x41", constant("meshmeter/include/meshmeter/register_store.h", "MM_STORE_FLASH_SECTORS_MIN") * SECTOR),
        "journal": ("data", "0x42", 384 * 1024),
        "ota_0": ("app", "ota_0", 1700 * 1024),
        "ota_1": ("app", "ota_1", 1700 * 1024),
        "coredump": ("data", "coredump", 64 * 1024),
    }
    for name, (kind, subtype, size_min) in wanted.items():
        if name not in found:
            problem(f"{where}: no partition {name}")
        elif found[name][:2] != (kind, subtype) or found[name][3] < size_min:
            problem(f"{where}: {name} must be {kind}, {subtype}, {size_min} bytes at least")
    if found.get("ota_0", [0])[-1] != found.get("ota_1", [1])[-1]:
        problem(f"{where}: the slots for updates differ in size")
    if otadata_size(found) != 2 * SECTOR:
        problem(f"{where}: otadata must have 2 sectors")
    return found


def otadata_size(found):
    return found["otadata"][3] if "otadata" in found else 0


def check_partitions():
    tables = {}
    for megabytes in (4, 8, 16):
        path = f"apps/esp32/partitions_{megabytes}mb.csv"
        tables[megabytes] = check_table(path, read(path), megabytes << 20)
    # What survives an update by cable to a larger flash stays where it is.
    for name in ("nvs", "device", "config", "registers"):
        if len({tables[size].get(name) for size in tables}) != 1:
            problem(f"{name} is not at the same place in all tables")
    # Names that the port asks for are in the tables.
    for path in port_files(".c", ".h"):
        for name in re.findall(r'(?:_PARTITION(?:_LABEL)?|mm_esp_flash_open\([^";]*,) "(\w+)"', read(path)):
            if name not in tables[4]:
                problem(f"{path}: no table has the partition {name}")


def self_test_partitions():
    """The rules bite."""
    good = read("apps/esp32/partitions_4mb.csv")
    bad = {
        "overlap": good.replace("0x15000", "0x14000"),
        "alignment of a slot": good.replace("0x30000", "0x31000"),
        "too large": good.replace("0x3F0000, 0x10000", "0x3F0000, 0x11000"),
        "journal too small": good.replace("0x390000, 0x60000", "0x390000, 0x5F000"),
        "no journal": re.sub(r"journal.*", "", good),
        "slots differ": good.replace("ota_1, 0x1E0000, 0x1B0000", "ota_1, 0x1E0000, 0x1AF000"),
        "not a sector": good.replace("0x9000, 0x6000", "0x9000, 0x5800"),
    }
    for name, text in bad.items():
        before = len(problems)
        sys.stderr, stderr = open(os.devnull, "w", encoding="utf-8"), sys.stderr
        check_table(name, text, 4 << 20)
        sys.stderr = stderr
        found = len(problems) - before
        del problems[before:]
        if text == good or found == 0:
            problem(f"self-test: {name} was not found")


# Kconfig


def import_kconfiglib():
    try:
        import kconfiglib
    except ImportError:
        # Where Debian puts it, if another Python comes first.
        sys.path.append("/usr/lib/python3/dist-packages")
        try:
            import kconfiglib
        except ImportError:
            print("skip: no kconfiglib (python3-kconfiglib)")
            sys.exit(77)
    return kconfiglib


def load_kconfig(kconfiglib, target, usb=False):
    """Our Kconfig with the symbols that the SDK defines for the target; usb: its own console is there."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "Kconfig")
        with open(path, "w", encoding="utf-8") as file:
            for name in TARGETS:
                file.write(f"config IDF_TARGET_{name.upper()}\n    def_bool {'y' if name == target else 'n'}\n")
            symbols = {"SOC_USB_SERIAL_JTAG_SUPPORTED": target in WITH_USB, "ESP_CONSOLE_USB_SERIAL_JTAG": usb, "ESP_CONSOLE_USB_CDC": False}
            for name, value in symbols.items():
                file.write(f"config {name}\n    def_bool {'y' if value else 'n'}\n")
            for direction, pin_max in zip(("IN", "OUT"), PINS_MAX[target]):
                file.write(f"config SOC_GPIO_{direction}_RANGE_MAX\n    int\n    default {pin_max}\n")
            file.write(f'source "{os.path.join(ROOT, KCONFIG)}"\n')
        config = kconfiglib.Kconfig(path, warn_to_stderr=False)
    for warning in config.warnings:
        problem(f"{KCONFIG}: {warning}")
    return config


def port_files(*suffixes):
    for folder in ("ports/esp_idf/mm_esp", "apps/esp32", "apps/esp32/main"):
        for name in sorted(os.listdir(os.path.join(ROOT, folder))):
            if name.endswith(suffixes):
                yield f"{folder}/{name}"


def check_symbols(config):
    defined = {symbol.name for symbol in config.unique_defined_syms if symbol.name.startswith("MM_")}
    used = set()
    sources = list(port_files(".c", ".h", "CMakeLists.txt")) + ["meshmeter/CMakeLists.txt"]
    for path in sources:
        for name in re.findall(r"\bCONFIG_(MM_\w+)", read(path)):
            used.add(name)
            if name not in defined:
                problem(f"{path}: CONFIG_{name} is not in {KCONFIG}")
    for name in sorted(defined - used):
        problem(f"{KCONFIG}: {name} is used nowhere")
    for symbol in config.unique_defined_syms:
        if symbol.name in defined and not re.search(r"_PIN(_\d)?$", symbol.name) and not symbol.nodes[0].help:
            problem(f"{KCONFIG}: {symbol.name} has no help")
    for path in ["apps/esp32/sdkconfig.defaults"] + [f"apps/esp32/sdkconfig.defaults.{target}" for target in TARGETS]:
        for name in re.findall(r"^CONFIG_(MM_\w+)", read(path), re.MULTILINE):
            problem(f"{path}: {name}: the default of our own symbol belongs into {KCONFIG}")
        for line in read(path).splitlines():
            if re.match(r"CONFIG_\w*(PASSWORD|PASSPHRASE|_POP|PASSWD)\w*=.*[^\"=n]", line):
                problem(f"{path}: a password: {line}")


def pins_of(config):
    return {
        symbol.name: int(symbol.str_value)
        for symbol in config.unique_defined_syms
        if re.search(r"_PIN(_\d)?$", symbol.name) and symbol.str_value
    }


def check_counts(target, pins):
    """Of eight meters. Which pins are good is ports/esp_idf/mm_esp/mm_esp_pins.h's business: pins_test.py compiles it."""
    for kind in ("PULSE", "RELAY"):
        count = sum(pin >= 0 for name, pin in pins.items() if re.match(rf"MM_{kind}_PIN_\d$", name))
        if count != 8:
            problem(f"{target}: {count} pins for {kind}")


def check_console_port(kconfiglib):
    """Lines are at UART 0, or at the chip's USB where it has one: if the SDK's console is there, or if somebody says so."""
    for target in TARGETS:
        for usb in (False, True):
            config = load_kconfig(kconfiglib, target, usb)
            found = config.syms["MM_CONSOLE_USB"].str_value, config.syms["MM_CONSOLE_UART"].str_value
            if found != (("y", "n") if usb and target in WITH_USB else ("n", "y")):
                problem(f"{KCONFIG}: {target}: the SDK's console at USB {usb}: lines at USB {found[0]}, at UART {found[1]}")
            config.syms["MM_CONSOLE_USB"].set_value(2)
            if (config.syms["MM_CONSOLE_USB"].str_value == "y") != (target in WITH_USB):
                problem(f"{KCONFIG}: {target}: MM_CONSOLE_USB cannot be chosen, or is where there is none")


def header_of(config):
    """Our part of sdkconfig.h, as the host and the RISC-V compiler see it, and what little they need of the SDK's."""
    lines = [
        "// SPDX-License-Identifier: Apache-2.0",
        "// The defaults of an ESP32 board; written by tests/esp_idf/project_test.py --write.",
        "#ifndef MM_SDK_SDKCONFIG_H",
        "#define MM_SDK_SDKCONFIG_H",
        "",
        "#define CONFIG_FREERTOS_HZ 100",
        "#define CONFIG_FREERTOS_NUMBER_OF_CORES 2",
        '#define CONFIG_IDF_TARGET "esp32"',
        "#define CONFIG_IDF_TARGET_ESP32 1",
        "",
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.h")
        config.write_autoconf(path)
        with open(path, encoding="utf-8") as file:
            lines += [line for line in file.read().splitlines() if line.startswith("#define CONFIG_MM_")]
    return "\n".join([*lines, "", "#endif"]) + "\n"


# Tables of the guide


def wiring_table(all_pins):
    rows = []
    for index in range(8):
        rows.append((f"meter {index + 1}: pulse", f"MM_PULSE_PIN_{index}"))
    for index in range(8):
        rows.append((f"meter {index + 1}: relay", f"MM_RELAY_PIN_{index}"))
    for device in ("FRAM", "DISPLAY"):
        for wire in ("SDA", "SCL"):
            rows.append((f"{'FRAM' if device == 'FRAM' else 'display'}: {wire}", f"MM_{device}_{wire}_PIN"))
    rows += [("button", "MM_BUTTON_PIN"), ("lamp", "MM_LED_PIN"), ("early warning of a power cut", "MM_WARNING_PIN")]
    lines = ["| wire | symbol | " + " | ".join(TARGETS.values()) + " |", "|---|---|" + "---|" * len(TARGETS)]
    for text, name in rows:
        values = [str(pins[name]) if pins[name] >= 0 else "–" for pins in all_pins.values()]
        lines.append(f"| {text} | `{name}` | " + " | ".join(values) + " |")
    return "\n".join(lines)


def partition_table():
    tables = {size: {row[0]: row for row in partitions_of(read(f"apps/esp32/partitions_{size}mb.csv"))} for size in (4, 8, 16)}
    purposes = {
        "nvs": "the SDK's values, and what commands changed",
        "otadata": "which slot is started",
        "phy_init": "calibration of the radio",
        "device": "key and label, written once",
        "config": "configuration: network, meters",
        "registers": "registers of a node without an FRAM",
        "ota_0": "image",
        "ota_1": "image",
        "journal": "records",
        "coredump": "what a crash left",
    }
    lines = ["| partition | what | 4 MB | 8 MB | 16 MB |", "|---|---|---|---|---|"]
    for name, purpose in purposes.items():
        sizes = " | ".join(f"{tables[size][name][4] // 1024} KB" for size in tables)
        lines.append(f"| {name} | {purpose} | {sizes} |")
    return "\n".join(lines)


def task_table():
    """Of the list MM_ESP_TASK_LIST(X): X(name, stack bytes, priority, purpose)."""
    text = read(OWNER).replace("\\\n", " ")
    body = re.search(r"#define MM_ESP_TASK_LIST\(X\)(.*)", text).group(1)
    tasks = re.findall(r'X\(\s*(\w+)\s*,\s*(\w+)\s*,\s*(\w+)\s*,\s*"([^"]*)"\s*\)', body)
    if not tasks:
        problem(f"{OWNER}: no tasks in MM_ESP_TASK_LIST")
    lines = ["| task | stack (bytes) | priority | what it does |", "|---|---|---|---|"]
    for name, stack, priority, purpose in tasks:
        for value in (stack, priority):
            macro = re.search(rf"#define {value} (\d+)", text)
            stack = macro.group(1) if macro and value == stack else stack
            priority = macro.group(1) if macro and value == priority else priority
        lines.append(f"| `{name}` | {stack} | {priority} | {purpose} |")
    return "\n".join(lines)


def guide_with_tables(all_pins):
    text = read(GUIDE)
    tables = {"wiring": wiring_table(all_pins), "partitions": partition_table()}
    if os.path.isfile(os.path.join(ROOT, OWNER)):
        tables["tasks"] = task_table()
    for name, table in tables.items():
        pattern = re.compile(rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            problem(f"{GUIDE}: no place for the table {name}")
        text = pattern.sub(lambda match: match.group(1) + table + "\n" + match.group(2), text)
    return text


def check_console_lines():
    """The chip's lines are those of the guide, with what they need."""
    needs = {"READ": "nothing"}
    lines = {}
    for entry in re.findall(r"\{\.name = .*?\.run = \w+\}", read(CONSOLE), re.S):
        text = dict(re.findall(r'\.(name|arguments|does) = "([^"]*)"', entry))
        need = re.search(r"\.need = MM_CONSOLE_(\w+)", entry).group(1)
        usage = " ".join(filter(None, (text["name"], text.get("arguments"))))
        lines[usage] = (needs.get(need, need.lower()), text["does"])
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \| (\w+) \| (.*?) \|$", read("docs/guide/console.md"), re.M)
    guide = {usage: (need, does) for usage, need, where, does in rows if where == "ESP32" or usage in lines}
    for usage in sorted(set(lines) | set(guide)):
        if lines.get(usage) != guide.get(usage):
            problem(f"line {usage}: {lines.get(usage)}, docs/guide/console.md: {guide.get(usage)}")
    if len(lines) < 5:
        problem(f"{CONSOLE}: {len(lines)} lines found")


def check_written(path, text, write):
    if write:
        with open(os.path.join(ROOT, path), "w", encoding="utf-8") as file:
            file.write(text)
    elif read(path) != text:
        problem(f"{path} is old: tests/esp_idf/project_test.py --write")


# ESP-IDF reads a component's CMakeLists.txt in script mode first, where less is allowed.
SCRIPT = """
function(idf_component_register)
  cmake_parse_arguments(PARSE_ARGV 0 given "" "" "SRCS;INCLUDE_DIRS;PRIV_INCLUDE_DIRS;REQUIRES;PRIV_REQUIRES;EMBED_TXTFILES")
  foreach(file IN LISTS given_SRCS given_EMBED_TXTFILES)
    if(NOT EXISTS ${file} AND NOT EXISTS ${FOLDER}/${file})
      message(SEND_ERROR "no file ${file}")
    endif()
  endforeach()
  if(NOT given_SRCS)
    message(SEND_ERROR "no sources")
  endif()
endfunction()
set(ESP_PLATFORM 1)
include(${FOLDER}/CMakeLists.txt)
"""


def check_components():
    for folder in ("meshmeter", "ports/esp_idf/mm_esp", "apps/esp32/main"):
        with tempfile.NamedTemporaryFile("w", suffix=".cmake") as file:
            file.write(SCRIPT)
            file.flush()
            command = ["cmake", f"-DFOLDER={os.path.join(ROOT, folder)}", "-P", file.name]
            result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            problem(f"{folder}/CMakeLists.txt in script mode: {result.stderr.strip()}")


def main():
    write = sys.argv[1:] == ["--write"]
    if sys.argv[1:] and not write:
        print(__doc__)
        return 2
    check_partitions()
    self_test_partitions()
    check_components()
    kconfiglib = import_kconfiglib()
    configs = {target: load_kconfig(kconfiglib, target) for target in TARGETS}
    all_pins = {target: pins_of(config) for target, config in configs.items()}
    for target, pins in all_pins.items():
        check_counts(target, pins)
    check_symbols(configs["esp32"])
    check_console_lines()
    check_console_port(kconfiglib)
    check_written(SDKCONFIG, header_of(configs["esp32"]), write)
    check_written(GUIDE, guide_with_tables(all_pins), write)
    print(f"project_test: 3 partition tables, {len(configs)} targets, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
