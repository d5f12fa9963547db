# SPDX-License-Identifier: Apache-2.0
"""What every end-to-end test needs: an outcome with a clear line, deadlines, and nothing left behind."""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

# A test that hangs says so itself, before the runner kills it.
TEST_LIMIT_S = 240
SKIP_CODE = 77
PR_SET_PDEATHSIG = 1
LOG_TAIL_BYTES = 3000


class Failure(Exception):
    """Something does not hold. The text is the clear line."""


class Skip(Exception):
    """The test cannot run here. The text says why."""


_cleanups = []
_diagnostics = []
_working_directory = []
_printed = set()


def on_exit(action):
    """Call this at the end of the test, whatever its outcome; last registered first."""
    _cleanups.append(action)


def on_failure(action):
    """Call this after a failure, before the cleaning up: it prints what helps to understand it."""
    _diagnostics.append(action)


def fail(message):
    raise Failure(message)


def expect(condition, message):
    if not condition:
        fail(message)


def note(message):
    print(message, flush=True)


def program():
    path = os.environ.get("MM_PROGRAM")
    if not path:
        fail("MM_PROGRAM does not name the program to test")
    expect(os.access(path, os.X_OK), f"MM_PROGRAM={path} is not an executable file")
    return path


def source_directory():
    here = os.path.dirname(os.path.abspath(__file__))
    return os.environ.get("MM_SOURCE_DIR") or os.path.normpath(os.path.join(here, "../../.."))


def temporary_directory():
    """A short path, because sockets live in it. Kept after a failure if MM_KEEP is set."""
    path = tempfile.mkdtemp(prefix="mm-", dir="/tmp")

    def remove():
        if os.environ.get("MM_KEEP"):
            note(f"kept: {path}")
        else:
            shutil.rmtree(path, ignore_errors=True)

    on_exit(remove)
    return path


def working_directory():
    """Where programs run: what they leave behind there goes away."""
    if not _working_directory:
        _working_directory.append(temporary_directory())
    return _working_directory[0]


def wait_until(what, condition, timeout_s, period_s=0.03):
    """The first true value of condition(), asked again and again. A failure names what did not happen."""
    until = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            fail(f"not within {timeout_s} s: {what}")
        time.sleep(period_s)


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def start_process(arguments, **options):
    """A process that ends with the test, even if the test is killed. Only from the main thread."""
    process = subprocess.Popen(arguments, preexec_fn=_die_with_parent, **options)

    def end():
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait()

    on_exit(end)
    return process


def run_program(*arguments, timeout_s=30, stdin=b"", **options):
    """One run of the program to its end: (exit code, standard output, standard error), as text."""
    if "cwd" not in options:
        options["cwd"] = working_directory()
    done = subprocess.run(
        [program(), *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=timeout_s,
        check=False,
        preexec_fn=_die_with_parent,
        **options,
    )
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def sanitizer_report(text):
    """The part of a log in which a sanitizer or an assertion speaks, or None."""
    for mark in (
        "ERROR: AddressSanitizer",
        "runtime error:",
        "ERROR: LeakSanitizer",
        "assertion failed",
        "Assertion",
    ):
        position = text.find(mark)
        if position >= 0:
            return text[max(0, position - 200) : position + LOG_TAIL_BYTES]
    return None


def print_tail(path):
    if path in _printed:
        return
    _printed.add(path)
    with contextlib.suppress(OSError):
        with open(path, "rb") as file:
            content = file.read()
        text = content.decode(errors="replace")
        note(f"--- {path} ({len(content)} bytes), its end:\n{sanitizer_report(text) or text[-LOG_TAIL_BYTES:]}")


def _run_all(actions):
    while actions:
        action = actions.pop()
        try:
            action()
        except Exception:  # the others must still run
            traceback.print_exc(file=sys.stdout)


def main(*tests):
    """Run the functions in order; the exit code of the script tells the outcome."""
    began = time.monotonic()

    def too_long(_number, _frame):
        fail(f"the test did not end within {TEST_LIMIT_S} s")

    def terminated(_number, _frame):
        fail("the test was terminated from outside")

    signal.signal(signal.SIGALRM, too_long)
    signal.signal(signal.SIGTERM, terminated)
    signal.alarm(TEST_LIMIT_S)
    code = 0
    try:
        for test in tests:
            part = time.monotonic()
            test()
            note(f"ok   {test.__name__} ({time.monotonic() - part:.1f} s)")
    except Skip as reason:
        note(f"skip: {reason}")
        code = SKIP_CODE
    except Failure as failure:
        note(f"FAIL {test.__name__}: {failure}")
        _run_all(_diagnostics)
        code = 1
    except BaseException:
        note(f"FAIL {test.__name__}: an error in the test itself")
        traceback.print_exc(file=sys.stdout)
        _run_all(_diagnostics)
        code = 1
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _run_all(_cleanups)
    note(f"{time.monotonic() - began:.1f} s")
    sys.exit(code)
