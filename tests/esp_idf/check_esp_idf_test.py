#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/check-esp-idf bites: on declarations of ours that are not the SDK's, and on symbols that are nobody's.

Needs no SDK: headers of a few lines and the host's compiler take its place.
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


def main():
    with tempfile.TemporaryDirectory() as folder:
        test_constants(load_tool())
        test_agreement(load_tool(), folder)
        test_symbols(load_tool(), folder)
    print("check_esp_idf_test: all is well")
    return 0


if __name__ == "__main__":
    sys.exit(main())
