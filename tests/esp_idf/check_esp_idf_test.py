#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/check-esp-idf bites: on declarations of ours that are not the SDK's, on symbols that are nobody's, and on components that
nobody requires.

Needs no SDK: headers of a few lines, a small script and the host's compiler take its place.
"""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

OURS = """#ifndef MM_SDK_THING_H
#define MM_SDK_THING_H
#define THING_OUTSIDE 7
#ifndef MM_SDK_IS_REAL
#define THING_BASE 0x3000
#define THING_NEXT (THING_BASE + 1)
typedef enum {
    THING_ZERO,
    THING_FIVE = 5,
    THING_SIX,
} thing_t;
#endif
int thing_call(int number);
#endif
"""
REAL = """#define THING_BASE 0x3000
#define THING_NEXT (THING_BASE + 1)
typedef enum { THING_ZERO, THING_ONE, THING_FIVE = 5, THING_SIX } thing_t;
int thing_call(int number);
"""

# What the SDK's script of this name does, without its rules.
SCRIPT = """include("${BUILD_PROPERTIES_FILE}")
include("${COMPONENT_PROPERTIES_FILE}")
macro(idf_component_register)
  cmake_parse_arguments(given "" "" "SRCS;INCLUDE_DIRS;REQUIRES;PRIV_REQUIRES" ${ARGN})
  foreach(key REQUIRES PRIV_REQUIRES INCLUDE_DIRS)
    file(APPEND ${COMPONENT_REQUIRES_FILE} "__component_set_property(${target} ${key} \\"${given_${key}}\\")\\n")
  endforeach()
  file(APPEND ${COMPONENT_REQUIRES_FILE} "__component_set_property(${target} __COMPONENT_REGISTERED 1)\\n")
endmacro()
function(read target)
    set(__component_dir ${__component_${target}_COMPONENT_DIR})
    include(${__component_dir}/CMakeLists.txt OPTIONAL)
endfunction()
foreach(target ${__COMPONENT_TARGETS})
  read(${target})
endforeach()
"""
PROJECT = """set(EXTRA_COMPONENT_DIRS
  ${CMAKE_CURRENT_LIST_DIR}/../../ports/esp_idf/mm_esp)
set(COMPONENTS main lonely)
"""


def load_tool():
    loader = importlib.machinery.SourceFileLoader("check_esp_idf", os.path.join(ROOT, "tools/check-esp-idf"))
    tool = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_esp_idf", loader))
    loader.exec_module(tool)
    return tool


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def test_constants(tool):
    found = dict(tool.constants_of(OURS))
    assert found == {
        "THING_BASE": "0x3000", "THING_NEXT": "(THING_BASE + 1)", "THING_ZERO": "0", "THING_FIVE": "5",
        "THING_SIX": "(5 + 1)",
    }, found


def agrees(tool, folder, real):
    """Whether the host's compiler takes our header behind this one."""
    write(os.path.join(folder, "sdk/thing.h"), OURS)
    write(os.path.join(folder, "real/thing.h"), real)
    tool.ROOT, tool.DECLARATIONS = folder, "sdk"
    path, count = tool.write_agreement(folder, "thing.h")
    assert count == 5, count
    return subprocess.run(["cc", "-fsyntax-only", "-I", os.path.join(folder, "real"), path], capture_output=True, check=False).returncode == 0


def test_agreement(tool, folder):
    assert agrees(tool, folder, REAL)
    wrong = {
        "another value": REAL.replace("0x3000", "0x4000"),
        "another enumerator": REAL.replace("THING_FIVE = 5", "THING_FIVE = 4"),
        "a constant that is gone": REAL.replace("THING_ZERO", "THING_NOTHING"),
        "another prototype": REAL.replace("int number", "long number"),
    }
    for name, real in wrong.items():
        assert real != REAL and not agrees(tool, folder, real), name


def test_symbols(tool, folder):
    source = os.path.join(folder, "a.c")
    made = os.path.join(folder, "a.o")
    write(os.path.join(folder, "real/thing.h"), REAL)

    class Compiler:
        prefix = ""
        folders = [os.path.join(folder, "real")]

        @staticmethod
        def libc_headers():
            return []

    for call, expected in (("thing_call", 0), ("thing_that_nobody_has", 1)):
        write(source, f"int {call}(int number);\nint ours(void);\nint ours(void) {{ return {call}(1); }}\n")
        subprocess.run(["cc", "-fno-stack-protector", "-c", source, "-o", made], check=True)
        with contextlib.redirect_stdout(io.StringIO()):
            assert tool.check_symbols(Compiler, [made]) == expected, call


def test_libc(tool, folder):
    """An SDK that knows picolibc gets it; others get newlib, although Debian's says otherwise of one name."""
    sdk = os.path.join(folder, "libc")
    version = "".join(f"#define ESP_IDF_VERSION_{part}   {value}\n" for part, value in (("MAJOR", 5), ("MINOR", 4), ("PATCH", 12)))
    write(os.path.join(sdk, "components/esp_common/include/esp_idf_version.h"), version)
    assert tool.version_of(sdk) == "5.4.12"
    compiler = tool.Compiler.__new__(tool.Compiler)
    compiler.prefix, compiler.folder, tool.NEWLIB = "", os.path.join(folder, "made"), os.path.join(folder, "newlib")
    write(os.path.join(sdk, "components/newlib/Kconfig"), "config LIBC_PICOLIBC\n")
    assert compiler.libc_of(sdk, "riscv") == ["--specs=picolibc.specs"]
    write(os.path.join(sdk, "components/newlib/Kconfig"), "config NEWLIB_STDOUT\n")
    try:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            compiler.libc_of(sdk, "riscv")
        raise AssertionError("no newlib is no reason to skip")
    except SystemExit as end:
        assert end.code == 77 and "libnewlib-dev" in said.getvalue(), said.getvalue()
    write(os.path.join(tool.NEWLIB, "sys/reent.h"), "extern int *const _global_impure_ptr;\n#define HAS_NEWLIB 1\n")
    source = os.path.join(folder, "impure.c")
    write(source, "#include <sys/reent.h>\nextern int *_global_impure_ptr;\nint a[HAS_NEWLIB];\n")
    assert subprocess.run(["cc", "-fsyntax-only", *compiler.libc_of(sdk, "riscv"), source], check=False).returncode == 0


class Symbol:
    """Of Kconfig."""

    def __init__(self, value):
        self.str_value, self.nodes = value, [None]


class Config:
    syms = {"TALL": Symbol("y")}


def components_of(tool, folder, requires, private):
    """What the tool finds of a project with this port. The SDK: direct requires behind; tall has a folder that the
    configuration brings; all see common; lonely is required by the project alone, and stray by nobody."""
    sdk = os.path.join(folder, "idf")
    write(os.path.join(sdk, "tools/cmake/scripts/component_get_requirements.cmake"), SCRIPT)
    write(os.path.join(sdk, "tools/cmake/build.cmake"), "set(requires_common linux)\nset(requires_common common)\n")
    texts = {
        "common": "INCLUDE_DIRS include", "riscv": "", "stray": "INCLUDE_DIRS include", "lonely": "INCLUDE_DIRS include",
        "direct": "INCLUDE_DIRS include REQUIRES behind PRIV_REQUIRES hidden", "behind": "INCLUDE_DIRS include",
        "hidden": "INCLUDE_DIRS include", "tall": "INCLUDE_DIRS ${folders}",
    }
    for name, text in texts.items():
        before = "if(CONFIG_TALL AND EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/include)\n  set(folders include)\nendif()\n" if name == "tall" else ""
        write(os.path.join(sdk, "components", name, "CMakeLists.txt"), f"{before}idf_component_register({text})\n")
        write(os.path.join(sdk, "components", name, "include", f"{name}.h"), "")
    write(os.path.join(sdk, "components/direct/later/esp32c6/added.h"), "")
    tool.ROOT = folder
    write(os.path.join(folder, "apps/esp32/CMakeLists.txt"), PROJECT)
    write(os.path.join(folder, "apps/esp32/main/CMakeLists.txt"), "idf_component_register(SRCS main.c REQUIRES mm_esp)\n")
    port = os.path.join(folder, "ports/esp_idf/mm_esp")
    write(os.path.join(port, "CMakeLists.txt"), f"idf_component_register(INCLUDE_DIRS . REQUIRES {requires} PRIV_REQUIRES {private})\n")
    write(os.path.join(port, "idf_component.yml"), 'dependencies:\n  idf: ">=5.2"\n  somebody/managed: "^1.0"\n')
    components = tool.Components(sdk, "esp32c6", folder)
    components.read_include_folders(Config)
    return components


def test_requires(tool, folder):
    source = os.path.join(folder, "ports/esp_idf/mm_esp/a.c")

    def problems(headers, requires="managed", private="direct tall"):
        write(source, "".join(f"#include <{header}.h>\n" for header in headers))
        with contextlib.redirect_stdout(io.StringIO()):
            return tool.check_requires(components_of(tool, folder, requires, private))

    assert problems(["common", "direct", "behind", "tall", "string"]) == 0
    assert problems(["added"]) == 0
    assert problems(["added"], private="tall") == 1, "not required"
    assert problems(["hidden"]) == 1, "a private requirement of what is required"
    assert problems(["lonely", "stray"]) == 2, "in the build or not: not required by the port"
    assert problems(["direct", "tall"], private="direct") == 1, "not required"
    assert problems([], requires="nobody") == 1, "a component that the SDK does not have"
    built = components_of(tool, folder, "managed", "direct").built
    assert set(built) == {"main", "mm_esp", "common", "riscv", "direct", "behind", "hidden", "lonely"}, built


def main():
    with tempfile.TemporaryDirectory() as folder:
        test_constants(load_tool())
        test_agreement(load_tool(), folder)
        test_symbols(load_tool(), folder)
        test_libc(load_tool(), folder)
        tool = load_tool()
        tool.OWN_FOLDERS, tool.ADDED_FOLDERS = {}, {"direct": ["later/TARGET"]}
        test_requires(tool, folder)
    print("check_esp_idf_test: all is well")
    return 0


if __name__ == "__main__":
    sys.exit(main())
