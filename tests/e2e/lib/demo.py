# SPDX-License-Identifier: Apache-2.0
"""A running demo, or one part of it alone: start, ask, kill, account."""

import contextlib
import glob
import json
import os
import re
import signal
import socket
import sqlite3
import threading
import time
import urllib.error
import urllib.request

import harness
from harness import expect, fail, wait_until

START_TIMEOUT_S = 40
# The demo itself waits at most this long for what is still under way.
DRAIN_TIMEOUT_S = 120
ASK_TIMEOUT_S = 5
MAC_PREFIX = "02:6d:6d:00:00:"


def node_number(mac):
    """Nodes of the demo carry their number in the last byte of the MAC."""
    expect(mac.lower().startswith(MAC_PREFIX), f"{mac} is not a node of the demo")
    return int(mac.rsplit(":", 1)[1], 16)


HELD = []


def free_port():
    """A TCP port of 127.0.0.1 where nobody listens and that nobody else gets, as long as this process lives: a server
    with SO_REUSEADDR can bind it all the same."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    HELD.append(held)
    return held.getsockname()[1]


def ask(socket_path, line, timeout_s=ASK_TIMEOUT_S):
    """One question to a node's control socket; None if there is no answer."""
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(socket_path)
            connection.sendall(line.encode() + b"\n")
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
    except OSError:
        return None
    return answer.decode() or None


def ask_status(socket_path):
    answer = ask(socket_path, "status")
    try:
        return json.loads(answer) if answer else None
    except ValueError:
        return fail(f"{socket_path} answered status with something that is not JSON: {answer[:200]!r}")


def get_json(url, timeout_s=ASK_TIMEOUT_S):
    """Answer of the API, or None if nobody listens (HQ may just be starting again)."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return fail(f"{url} answered {error.code}: {error.read()[:200]!r}")
    except (OSError, ValueError):
        return None


def open_database(path):
    """For reading only."""
    try:
        return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    except sqlite3.Error as error:
        return fail(f"cannot open {path}: {error}")


def child_processes(parent):
    """{pid: command line} of the children of a process, from /proc, without the dead ones that nobody collected yet."""
    children = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            if int(fields[1]) == parent and fields[0] not in "ZX":
                pid = int(path.split("/")[2])
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    children[pid] = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
        except (OSError, IndexError):
            continue  # gone meanwhile
    return children


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class Site:
    """`meshmeter demo` with everything below it."""

    def __init__(self, speed, for_s=None, data=None, nodes=3, start=None, options=(), directory=None):
        self.directory = directory or harness.temporary_directory()
        self.state = os.path.join(self.directory, "s")
        self.speed = speed
        self.for_s = for_s
        self.nodes = nodes
        self.arguments = [
            "demo",
            "--http",
            "127.0.0.1:0",
            "--mqtt-port",
            "0",
            "--state",
            self.state,
            "--speed",
            str(speed),
            "--nodes",
            str(nodes),
        ]
        self.arguments += ["--data", data] if data else []
        self.arguments += ["--for", str(for_s)] if for_s else []
        self.arguments += ["--start", start] if start else []
        self.arguments += list(options)
        self.lines = []
        self.page = None
        self.mqtt_port = None
        self.process = None
        self._known_children = {}
        self._origin = None

    # --- life

    def start(self):
        error_path = os.path.join(self.directory, "demo.err")
        with open(error_path, "ab") as errors:
            self.process = harness.start_process(
                [harness.program(), *self.arguments], stdout=harness.subprocess.PIPE, stderr=errors
            )
        harness.on_exit(self._end_children)
        harness.on_failure(self.print_logs)
        self._reader = threading.Thread(target=self._read_output, daemon=True)
        self._reader.start()
        wait_until("the demo says where its page is", self._started, START_TIMEOUT_S)
        self.children()
        return self

    def _started(self):
        for line in list(self.lines):
            if match := re.search(r"^\s*page\s+(http://\S+?)/?$", line):
                self.page = match.group(1)
            if match := re.search(r"^\s*broker\s+mqtt://[^:]+:(\d+)", line):
                self.mqtt_port = int(match.group(1))
        if self.process.poll() is not None and not self.page:
            fail(f"the demo ended at its start with exit code {self.process.returncode}")
        return self.page and self.mqtt_port and any("Ctrl-C" in line for line in list(self.lines))

    def _read_output(self):
        for line in self.process.stdout:
            self.lines.append(line.decode(errors="replace").rstrip("\n"))

    def _end_children(self):
        """The kernel ends the parts of a killed demo; this waits for it and helps."""
        until = time.monotonic() + 5
        for pid, command in self._known_children.items():
            while is_alive(pid) and self._is_still(pid, command) and time.monotonic() < until:
                time.sleep(0.02)
            if is_alive(pid) and self._is_still(pid, command):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)

    @staticmethod
    def _is_still(pid, command):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return file.read().replace(b"\0", b" ").decode(errors="replace").strip() == command
        return False

    def interrupt(self, timeout_s=20):
        """Ctrl-C. Exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout_s)

    def end(self):
        """Wait for the end that --for announced: (exit code, {name: number} of the summary line)."""
        self.children()
        harness.note(f"     {(self.end_utc_s() - self.wall_s()) / self.speed:.1f} of {self.for_s} s were left")
        try:
            code = self.process.wait(self.for_s + DRAIN_TIMEOUT_S + 30)
        except harness.subprocess.TimeoutExpired:
            fail("the demo did not end")
        self._reader.join(5)
        summaries = [line for line in self.lines if line.startswith("summary:")]
        if len(summaries) != 1:
            fail(f"the demo ended with exit code {code} and {len(summaries)} summary lines")
        harness.note(f"     {summaries[0]}")
        return code, {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", summaries[0])}

    def end_well(self, restarts=None):
        """The demo's own account must be good. Returns it."""
        code, summary = self.end()
        self.expect_no_end_by_itself()
        for name in ("lost", "duplicated", "wh_error", "gaps"):
            expect(summary.get(name) == 0, f"the summary says {name}={summary.get(name)}")
        expect(code == 0, f"the demo ended with exit code {code}")
        expect(summary["nodes"] == self.nodes, f"the summary says nodes={summary['nodes']}, not {self.nodes}")
        expect(
            summary["records_made"] > 0 and summary["records_made"] == summary["records_stored"],
            f"records made and stored differ: {summary['records_made']} and {summary['records_stored']}",
        )
        if restarts is not None:
            expect(summary["restarts"] == restarts, f"{summary['restarts']} restarts, expected {restarts}")
        left = [
            pid for pid, command in self._known_children.items() if is_alive(pid) and self._is_still(pid, command)
        ]
        expect(not left, f"processes are left behind: {left}")
        self.expect_no_sanitizer_report()
        return summary

    def expect_no_end_by_itself(self):
        """Parts end because a test kills them, never of their own accord."""
        with open(self.log_paths()[0], encoding="utf-8", errors="replace") as file:
            ends = [line.strip() for line in file if re.search(r" ended \((exit code|signal (?!9\)))", line)]
        expect(not ends, f"a part ended by itself: {ends}")

    def expect_no_sanitizer_report(self):
        for path in self.log_paths():
            with contextlib.suppress(OSError):
                with open(path, encoding="utf-8", errors="replace") as file:
                    report = harness.sanitizer_report(file.read())
                expect(not report, f"a program error is reported in {path}:\n{report}")

    def log_paths(self):
        return [
            os.path.join(self.directory, "demo.err"),
            *sorted(glob.glob(os.path.join(self.state, "log", "*.log"))),
        ]

    def print_logs(self):
        harness.note("--- output of the demo:\n" + "\n".join(self.lines[-30:]))
        for path in self.log_paths():
            harness.print_tail(path)

    # --- parts

    def children(self):
        """{'broker', 'hq', 'node-1', …: pid} of the parts that run now."""
        parts = {}
        for pid, command in child_processes(self.process.pid).items():
            if match := re.search(r"/(node-\d+)/node\.conf", command):
                name = match.group(1)
            elif "broker.conf" in command:
                name = "broker"
            elif re.search(r"\shq\s", command):
                name = "hq"
            else:
                continue
            parts[name] = pid
            self._known_children[pid] = command
        return parts

    def pid_of(self, name):
        return wait_until(f"{name} runs", lambda: self.children().get(name), 20)

    def kill(self, name, number=signal.SIGKILL):
        pid = self.pid_of(name)
        os.kill(pid, number)
        if number == signal.SIGKILL:
            wait_until(f"{name} is dead", lambda: not is_alive(pid), 10, 0.002)
        return pid

    def freeze_supervisor(self):
        """Nobody restarts what dies until thaw_supervisor()."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw_supervisor(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def control_path(self, number):
        return os.path.join(self.state, f"node-{number}", "control")

    def status(self, number):
        """What a node says about itself, or None while it does not answer."""
        return ask_status(self.control_path(number))

    def statuses(self):
        """Of the nodes that answer: {number: status}."""
        answers = {number: self.status(number) for number in range(1, self.nodes + 1)}
        return {number: answer for number, answer in answers.items() if answer}

    def root(self):
        """Number of the only root, or None if there is none, or more than one."""
        roots = [number for number, status in self.statuses().items() if status["root"]]
        return roots[0] if len(roots) == 1 else None

    def ctl(self, *command, node=None, code=0):
        only = ["--node", node] if node else []
        got, out, err = harness.run_program("ctl", "--state", self.state, *only, *command)
        expect(got == code, f"ctl {' '.join(command)} ended with exit code {got}: {out}{err}")
        return out

    # --- what HQ has

    def api(self, path):
        return get_json(self.page + path)

    def api_nodes(self):
        """{number: node} as HQ's API shows them; {} while HQ does not answer."""
        answer = self.api("/api/v1/nodes")
        return {node_number(node["mac"]): node for node in answer["nodes"]} if answer else {}

    @property
    def database_path(self):
        return os.path.join(self.state, "hq.db")

    def copy_database(self, path):
        """As an administrator does it while HQ runs. Returns the number of records in the copy."""
        with contextlib.closing(open_database(self.database_path)) as database, contextlib.closing(
            sqlite3.connect(path)
        ) as copy:
            database.backup(copy)
            return copy.execute("SELECT count(*) FROM record").fetchone()[0]

    def replace_database(self, path):
        """HQ dies and comes up on this copy, which is gone then."""
        self.freeze_supervisor()
        try:
            pid = self.children()["hq"]
            os.kill(pid, signal.SIGKILL)
            # Its parent stands still and does not collect it.
            wait_until("HQ is dead", lambda: not is_alive(pid), 5, 0.001)
            for suffix in ("-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.database_path + suffix)
            os.replace(path, self.database_path)
        finally:
            self.thaw_supervisor()

    def committed(self):
        """{number: (epoch, watermark)} as HQ's database has it."""
        with contextlib.closing(open_database(self.database_path)) as database:
            rows = database.execute("SELECT mac, epoch, watermark_seq FROM node").fetchall()
        return {mac[5]: (epoch, seq) for mac, epoch, seq in rows}

    def committed_records(self):
        with contextlib.closing(open_database(self.database_path)) as database:
            return database.execute("SELECT count(*) FROM record").fetchone()[0]

    # --- time

    def configuration(self, number=1):
        with open(os.path.join(self.state, f"node-{number}", "node.conf"), encoding="utf-8") as file:
            pairs = [line.split("=", 1) for line in file if "=" in line and not line.startswith("#")]
        return {key.strip(): value.strip() for key, value in pairs}

    def wall_s(self):
        """The site's clock, which no node needs to know."""
        if self._origin is None:
            keys = self.configuration()
            self._origin = int(keys["clock_origin_real_us"]), int(keys["clock_origin_utc_us"])
        real_us, utc_us = self._origin
        return (utc_us + (time.time_ns() // 1000 - real_us) * self.speed) / 1e6

    def wait_wall(self, utc_s, what="the site's clock"):
        timeout_s = max(0, (utc_s - self.wall_s()) / self.speed) + 10
        wait_until(f"{what} reaches {utc_s}", lambda: self.wall_s() >= utc_s, timeout_s, 0.01)

    def end_utc_s(self):
        """No pulses behind it; None without --for."""
        end = self.configuration().get("pulses_end_s")
        return int(end) if end else None

    def begin_utc_s(self):
        return int(self.configuration()["pulses_begin_s"])

    def wait_settled(self, what, timeout_s=60):
        """Until HQ has committed every record that the nodes have made by now (they go on making some)."""
        statuses = wait_until("all nodes answer", lambda: len(found := self.statuses()) == self.nodes and found, 20)
        made = {number: (status["epoch"], status["next"] - 1) for number, status in statuses.items()}

        def settled():
            committed = self.committed()
            return all(committed.get(number, (0, 0)) >= position for number, position in made.items())

        wait_until(what, settled, timeout_s)


class Hq:
    """HQ alone on a database, without a broker: for reading what stands there after everything else has ended."""

    def __init__(self, database_path, log_path):
        self.page = f"http://127.0.0.1:{free_port()}"
        self._log_path = log_path
        with open(log_path, "ab") as log:
            self.process = harness.start_process(
                [
                    harness.program(),
                    "hq",
                    f"--db={database_path}",
                    f"--broker=mqtt://127.0.0.1:{free_port()}",
                    f"--http={self.page.removeprefix('http://')}",
                ],
                stdout=log,
                stderr=log,
            )

    def __enter__(self):
        def answers():
            if self.process.poll() is not None:
                harness.print_tail(self._log_path)
                fail(f"HQ alone ended with exit code {self.process.returncode}")
            return get_json(self.page + "/api/v1/status")

        wait_until("HQ alone answers", answers, 20)
        return self

    def api(self, path):
        answer = get_json(self.page + path, 20)
        expect(answer is not None, f"HQ alone does not answer {path}")
        return answer

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        expect(code == 0, f"HQ alone ended with exit code {code} after SIGTERM")


class Node:
    """One node alone, from the configuration that the demo wrote."""

    def __init__(self, site, number):
        self.control_path = site.control_path(number)
        log_path = os.path.join(site.directory, f"node-{number}-alone.log")
        with open(log_path, "ab") as log:
            self.process = harness.start_process(
                [harness.program(), "node", "--config", os.path.join(site.state, f"node-{number}", "node.conf")],
                stdin=harness.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._log_path = log_path

    def __enter__(self):
        def answers():
            if self.process.poll() is not None:
                harness.print_tail(self._log_path)
                fail(f"a node alone ended with exit code {self.process.returncode}")
            return ask_status(self.control_path)

        self.status = wait_until("a node alone answers", answers, 20)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        expect(code == 0, f"a node alone ended with exit code {code} after SIGTERM")
