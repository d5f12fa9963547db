#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Subcommands, options, exit codes and messages: what is wrong is named with its file, line, port or peer, and the
exit code says what kind of thing it is: 0 good, 1 a check failed or damaged input, 2 wrong arguments, 3 something
is missing, 4 no answer."""

import json
import os
import random
import re
import signal
import socket
import struct
import sys
import time
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
# pylint: disable=wrong-import-position
import data
import harness
import legacy
import truth
import verify
from demo import Site, ask_status, child_processes, free_port, get_json, is_alive
from harness import expect, fail, run_program, wait_until

OK, CHECK_FAILED, USAGE, ENVIRONMENT, NO_ANSWER = 0, 1, 2, 3, 4
COMMANDS = ["demo", "node", "hq", "status", "ctl", "send", "commands", "keys", "operator", "readings", "decode"]
COMMANDS += ["vend", "purchases", "books", "tariff", "oled", "code", "installations", "confirm", "refuse", "provision"]
COMMANDS += ["joins", "events"]
BEGIN_S = truth.parse_utc("2016-05-30T00:00:00Z")


def refused(arguments, code, *fragments, stdin=b"", **options):
    """The program must end with this code, say each fragment, and not with a sanitizer's or the kernel's help."""
    text = " ".join(map(str, arguments))
    try:
        got, out, err = run_program(*arguments, stdin=stdin, **options)
    except harness.subprocess.TimeoutExpired:
        fail(f"`{text}` does not end")
    shown = f"`{text}` ended with exit code {got} and said: {(out + err)[-1500:].strip()!r}"
    codes = code if isinstance(code, tuple) else (code,)
    expect(got in codes, f"{shown}; expected exit code {' or '.join(map(str, codes))}")
    for fragment in fragments:
        expect(fragment in err, f"{shown}; expected '{fragment}' in its message")
    return out, err


def help_and_usage():
    code, out, _ = run_program("--help")
    expect(code == OK and all(command in out for command in COMMANDS), "--help does not name every command")
    code, out, _ = run_program("--version")
    expect(code == OK and re.match(r"meshmeter \d+\.\d+\.\d+\n", out), f"--version says {out!r}")
    refused([], USAGE, "usage: meshmeter")
    refused(["nonsense"], USAGE, "nonsense", "demo")
    for command in COMMANDS:
        code, out, err = run_program(command, "--help")
        expect(
            code == OK and out.startswith(f"usage: meshmeter {command}") and not err,
            f"{command} --help: exit code {code}, {out[:60]!r}, {err!r}",
        )
        refused([command, "--nonsense"], USAGE, "nonsense")
    for command in ("demo", "node", "hq", "status", "readings"):
        refused([command, "surplus"], USAGE)
    refused(["ctl"], USAGE)
    refused(["send"], USAGE, "TARGET and KIND")
    refused(["send", "x", "lock"], USAGE, "--token-file")
    refused(["commands", "first"], USAGE, "number")
    refused(["keys", "list"], USAGE, "--database")
    refused(["operator", "list"], USAGE, "--database")
    refused(["operator", "list", "--database", "/nowhere/hq.db"], ENVIRONMENT, "/nowhere/hq.db")
    refused(["node"], USAGE, "--config")
    refused(["hq"], USAGE, "--db")
    refused(["readings"], USAGE, "--db")


def demo_arguments():
    for option, value in [
        ("--nodes", "0"),
        ("--nodes", "101"),
        ("--nodes", "three"),
        ("--speed", "0"),
        ("--speed", "1e9"),
        ("--for", "-1"),
        ("--for", ""),
        ("--http", "nowhere"),
        ("--http", "127.0.0.1"),
        ("--http", "127.0.0.1:99999"),
        ("--http", "localhost:0"),
        ("--mqtt-port", "70000"),
        ("--mqtt-version", "4"),
        ("--tz", "Europe/Berlin"),
        ("--start", "yesterday"),
        ("--start", "2016-13-01"),
        ("--seed", "x"),
    ]:
        refused(["demo", option, value], USAGE, option, value)
    refused(
        ["demo", "--data", "/nowhere/at/all", "--for", "1", "--http", "127.0.0.1:0"],
        (USAGE, ENVIRONMENT),
        "/nowhere/at/all",
    )
    empty = harness.temporary_directory()
    refused(["demo", "--data", empty, "--for", "1", "--http", "127.0.0.1:0"], USAGE, empty)
    one = data.generate(os.path.join(empty, "d"), 1, BEGIN_S, 5)
    refused(["demo", "--data", one, "--for", "1", "--http", "127.0.0.1:0"], USAGE, one, "3 nodes")


GOOD_ROWS = [
    "utc_timestamp,a_kwh,b_kwh",
    "2016-05-30T00:00:00Z,1.000,2.000",
    "2016-05-30T01:00:00Z,1.500,2.000",
    "2016-05-30T02:00:00Z,2.000,2.100",
    "2016-05-30T03:00:00Z,2.500,2.200",
]
# (what, line that is wrong, its text)
BAD_ROWS = [
    ("not a number", 3, "2016-05-30T01:00:00Z,1.5x,2.000"),
    ("not a number that is finite", 3, "2016-05-30T01:00:00Z,nan,2.000"),
    ("negative", 3, "2016-05-30T01:00:00Z,-1.5,2.000"),
    ("decreasing", 4, "2016-05-30T02:00:00Z,1.400,2.100"),
    ("a column is missing", 3, "2016-05-30T01:00:00Z,1.500"),
    ("a column too many", 3, "2016-05-30T01:00:00Z,1.500,2.000,3.000"),
    ("a time that is none", 4, "2016-05-32T02:00:00Z,2.000,2.100"),
    ("a local time", 4, "2016-05-30 02:00,2.000,2.100"),
    ("time goes back", 4, "2016-05-29T02:00:00Z,2.000,2.100"),
    ("time stands still", 4, "2016-05-30T01:00:00Z,2.000,2.100"),
    ("an empty line", 3, ""),
    ("too many digits", 3, "2016-05-30T01:00:00Z,12345678901234567890,2.000"),
    ("binary", 3, "\x01\x02\x7f"),
    ("nine meters", 1, "utc_timestamp," + ",".join(f"m{number}_kwh" for number in range(9))),
    ("a column without unit", 1, "utc_timestamp,a_kwh,b"),
]


def bad_tables():
    """A replay of a file with a bad line does not even begin, in the demo as in a node."""
    directory = harness.temporary_directory()
    folder = os.path.join(directory, "d")
    os.makedirs(folder)
    path = os.path.join(folder, "house.csv")
    state = os.path.join(directory, "s")
    for what, line, text in BAD_ROWS:
        rows = [text if number == line else row for number, row in enumerate(GOOD_ROWS, 1)]
        with open(path, "w", encoding="ascii") as file:
            file.write("\n".join(rows) + "\n")
        harness.note(f"     {what}")
        refused(
            [
                "demo",
                "--data",
                folder,
                "--nodes",
                "1",
                "--for",
                "1",
                "--speed",
                "1000",
                "--http",
                "127.0.0.1:0",
                "--state",
                state,
            ],
            USAGE,
            f"{path}:{line}" if line > 1 else folder,
        )
        refused(
            ["node", "--config", node_file(directory, {"pulses": f"csv:{path}"})],
            (USAGE, ENVIRONMENT),
            f"{path}:{line}",
        )
    for content in (
        b"",
        b"utc_timestamp,a_kwh\n",
        b"\0" * 100,
        b"utc_timestamp,a_kwh\n2016-05-30T00:00:00Z,1\0002\n",
    ):
        with open(path, "wb") as file:
            file.write(content)
        refused(
            ["demo", "--data", folder, "--nodes", "1", "--for", "1", "--http", "127.0.0.1:0", "--state", state],
            USAGE,
            folder,
        )
    expect(not os.path.exists(os.path.join(state, "hq.db")), "the demo had begun to work")


def node_file(directory, changes=None, extra=""):
    """A configuration of one node that is good but for the changes (None leaves a key out)."""
    key = os.path.join(directory, "mesh.key")
    with open(key, "w", encoding="ascii") as file:
        file.write("00" * 31 + "01\n")
    password = os.path.join(directory, "gateway.password")
    with open(password, "w", encoding="ascii") as file:
        file.write("gateway-demo:secret\n")
    pairs = {
        "site": "demo",
        "mac": "02:6d:6d:00:00:01",
        "tz": truth.SITE_TZ,
        "state": os.path.join(directory, "n"),
        "control": os.path.join(directory, "control"),
        "mesh_key_file": key,
        "mesh_listen": "127.0.0.1:0",
        "broker": f"mqtt://127.0.0.1:{free_port()}",
        "broker_password_file": password,
        "speed": "100",
        "cycle_ms": "1000",
        "clock_origin_real_us": str(time.time_ns() // 1000),
        "clock_origin_utc_us": str(BEGIN_S * 1_000_000),
        "pulses_begin_s": str(BEGIN_S),
        "pulses": "model:1",
        "meter.1": "flat-1,1000,0",
        **(changes or {}),
    }
    path = os.path.join(directory, "node.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{name} = {value}\n" for name, value in pairs.items() if value is not None)
        file.write(extra)
    return path


def bad_configurations():
    directory = harness.temporary_directory()
    refused(["node", "--config", "/nowhere.conf"], (USAGE, ENVIRONMENT), "/nowhere.conf")
    for name in ("site", "mac", "state", "mesh_key_file", "pulses"):
        path = node_file(directory, {name: None})
        refused(["node", "--config", path], USAGE, path, f"'{name}'")
    cases = [
        ("mac", "02:6d:6d"),
        ("tz", "Europe/Berlin"),
        ("pulses", "magic"),
        ("pulses", "gpio:chip"),
        ("speed", "0"),
        ("journal_sectors", "1"),
        ("fram", "maybe"),
        ("mqtt", "4"),
        ("clock", "later"),
        ("meter.1", "flat-1"),
        ("meter.1", "flat-1,1,0"),
        ("meter.1", "a-very-long-name,1000,0"),
        ("meter.1", "a b,1000,0"),
        ("meter.1", "flat-1,1000,-5"),
        ("cycle_ms", "x"),
    ]
    for name, value in cases:
        path = node_file(directory, {name: value})
        with open(path, encoding="utf-8") as file:
            line = next(number for number, text in enumerate(file, 1) if text.startswith(f"{name} ="))
        refused(["node", "--config", path], USAGE, f"{path}:{line}")
    for extra in ("nonsense = 1\n", "no equals sign\n", "meter.9 = a,1000,0\n"):
        path = node_file(directory, extra=extra)
        with open(path, encoding="utf-8") as file:
            line = len(file.readlines())
        refused(["node", "--config", path], USAGE, f"{path}:{line}")
    # What is wrong only together with something else is named with the file.
    for name, value in [
        ("site", "Not A Site"),
        ("broker", "http://x"),
        ("mesh_listen", "nowhere"),
        ("mesh_peers", "127.0.0.1"),
    ]:
        path = node_file(directory, {name: value})
        refused(["node", "--config", path], USAGE, path, name)
    path = node_file(directory, extra="meter.2 = flat-1,1000,0\n")
    refused(["node", "--config", path], USAGE, path, "meter")  # one id twice
    path = node_file(directory, {"clock_origin_real_us": None})  # but speed = 100
    refused(["node", "--config", path], USAGE, path, "clock_origin_real_us")
    path = node_file(directory, {"mesh_key_file": "/nowhere.key"})
    refused(["node", "--config", path], (USAGE, ENVIRONMENT), "/nowhere.key")
    path = node_file(directory, {"pulses": "csv:/nowhere.csv"})
    refused(["node", "--config", path], (USAGE, ENVIRONMENT), "/nowhere.csv")


def busy_ports():
    directory = harness.temporary_directory()
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen(1)
        port = busy.getsockname()[1]
        state = os.path.join(directory, "s")
        refused(
            ["demo", "--for", "1", "--state", state, "--http", f"127.0.0.1:{port}"], ENVIRONMENT, f"127.0.0.1:{port}"
        )
        refused(
            ["demo", "--for", "1", "--state", state, "--http", "127.0.0.1:0", "--mqtt-port", port],
            ENVIRONMENT,
            str(port),
        )
        expect(not os.path.exists(state), "a demo that could not begin has made its state directory")
        refused(
            ["hq", f"--db={directory}/hq.db", "--broker=mqtt://127.0.0.1:1", f"--http=127.0.0.1:{port}"],
            ENVIRONMENT,
            str(port),
        )


def foreign_state():
    directory = harness.temporary_directory()
    theirs = os.path.join(directory, "theirs")
    os.makedirs(theirs)
    with open(os.path.join(theirs, "letter.txt"), "w", encoding="ascii") as file:
        file.write("keep me")
    refused(["demo", "--for", "1", "--http", "127.0.0.1:0", "--state", theirs], (USAGE, ENVIRONMENT), theirs)
    expect(os.listdir(theirs) == ["letter.txt"], f"the demo has written into {os.listdir(theirs)}")
    long_path = os.path.join(directory, "x" * 80)
    refused(["demo", "--for", "1", "--http", "127.0.0.1:0", "--state", long_path], (USAGE, ENVIRONMENT), "too long")
    refused(["demo", "--for", "1", "--http", "127.0.0.1:0", "--state", "/nowhere/s"], ENVIRONMENT, "/nowhere/s")


def helper_that_hangs():
    """A mosquitto_passwd that never ends does not hold the demo up for ever."""
    directory = harness.temporary_directory()
    fake = os.path.join(directory, "mosquitto_passwd")
    with open(fake, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\nexec sleep 1000\n")
    os.chmod(fake, 0o755)
    state = os.path.join(directory, "state")
    environment = dict(os.environ, PATH=directory + ":" + os.environ["PATH"])
    arguments = ["demo", "--for", "1", "--state", state, "--http", "127.0.0.1:0"]
    refused(arguments, ENVIRONMENT, "mosquitto_passwd", state, env=environment)


def asking_nobody():
    directory = harness.temporary_directory()
    for command in (["status"], ["ctl", "status"]):
        refused(command, USAGE, "--state")
    refused(["status", "--state", directory], NO_ANSWER, directory)
    refused(["ctl", "--state", directory, "status"], NO_ANSWER, directory)
    os.makedirs(os.path.join(directory, "node-1"))
    got, out, err = run_program("status", "--state", directory)
    expect(got == NO_ANSWER and "node-1" in out + err, f"status of a dead node: exit code {got}, {out}{err}")
    got, out, err = run_program("ctl", "--state", directory, "router", "off")
    expect(got == NO_ANSWER and "node-1" in out + err, f"ctl to a dead node: exit code {got}, {out}{err}")


def reading_nothing():
    directory = harness.temporary_directory()
    refused(["readings", "--db", f"{directory}/none.db"], ENVIRONMENT, "none.db")
    path = os.path.join(directory, "letter.db")
    with open(path, "wb") as file:
        file.write(b"Dear database, " * 100)
    refused(["readings", "--db", path], (CHECK_FAILED, ENVIRONMENT), path)
    refused(
        ["hq", f"--db={path}", "--broker=mqtt://127.0.0.1:1", "--http=127.0.0.1:0"], (CHECK_FAILED, ENVIRONMENT), path
    )
    expect(os.path.getsize(path) == 1500, "a file that is no database was changed")
    refused(
        ["hq", "--db=/nowhere/hq.db", "--broker=mqtt://127.0.0.1:1", "--http=127.0.0.1:0"],
        ENVIRONMENT,
        "/nowhere/hq.db",
    )
    refused(
        ["hq", f"--db={directory}/hq.db", "--broker=carrier pigeon", "--http=127.0.0.1:0"], USAGE, "expected mqtt://"
    )
    refused(["hq", f"--db={directory}/hq.db", "--broker=mqtt://127.0.0.1:1", "--http=nowhere"], USAGE, "nowhere")


def vectors():
    return os.path.join(harness.source_directory(), "tests/vectors/wire")


def read_vector(name):
    with open(os.path.join(vectors(), name), encoding="ascii") as file:
        return bytes.fromhex("".join(line.split("#")[0] for line in file))


def decode_good():
    """Every message of the vectors that travels by itself, from a file and from standard input."""
    directory = harness.temporary_directory()
    names = [name for name in sorted(os.listdir(vectors())) if re.match(r"(batch|frame|ack)_", name)]
    expect(len(names) > 10, "no vectors")
    for name in names:
        message = read_vector(name)
        path = os.path.join(directory, "message")
        with open(path, "wb") as file:
            file.write(message)
        code, out, err = run_program("decode", path)
        if name == "frame_version_2.hex":
            expect(code == CHECK_FAILED and "version" in out + err, f"decode {name}: exit code {code}, {out}{err}")
            continue
        expect(code == OK, f"decode {name}: exit code {code}, {err}")
        expect(isinstance(json.loads(out), dict), f"decode {name} printed no JSON object")
        expect(
            run_program("decode", "-", stdin=message)[:2] == (OK, out),
            f"decode of {name} differs from standard input",
        )


def decode_legacy():
    """The original's binary records and its JSON."""
    for message in (legacy.binary(legacy.METERS), legacy.month_data(legacy.METERS)):
        code, out, err = run_program("decode", "-", stdin=message)
        expect(code == OK, f"decode of the original's message: exit code {code}, {err}")
        meters = json.loads(out)["meters"]
        got = [
            (meter["id"], meter["life_kwh"], meter["month"], meter["month_kwh"], meter["hours_kwh"])
            for meter in meters
        ]
        wanted = [
            (meter["id"], meter["life"], meter["month"], sum(meter["hours"]), meter["hours"])
            for meter in legacy.METERS
        ]
        expect(got == wanted, f"the original's meters are {got}, expected {wanted}")
    good, out, err = run_program("decode", "-", stdin=b'{"nada": 1}')
    expect(good == CHECK_FAILED, f"decode of foreign JSON: exit code {good}, {out}{err}")


def decode_bad():
    refused(["decode", "/nowhere.bin"], ENVIRONMENT, "/nowhere.bin")
    dice = random.Random(13)
    batch = read_vector("batch_live.hex")
    cases = [
        b"",
        b"\0",
        b"\xf7",
        b"\xf7\x42",
        b"hello",
        b"{",
        b"[]",
        b"[" * 100000,
        b"null",
        dice.randbytes(1000),
        b"\xf7" * 70000,
        bytes(200_000),
    ]
    cases += [batch[:length] for length in dice.sample(range(len(batch)), 12)]
    for position in dice.sample(range(len(batch)), 12):
        flipped = bytearray(batch)
        flipped[position] ^= 1 << dice.randrange(8)
        cases.append(bytes(flipped))
        # Damaged below an intact checksum: by a program, not by the line.
        cases.append(bytes(flipped[:-4]) + struct.pack("<I", zlib.crc32(bytes(flipped[:-4]))))
    for case in cases:
        code, out, err = run_program("decode", "-", stdin=case)
        good = code == CHECK_FAILED and (out + err).strip()
        # A flipped bit below a good checksum may be another valid message.
        may_be_valid = len(case) == len(batch) and struct.unpack("<I", case[-4:])[0] == zlib.crc32(case[:-4])
        expect(
            good or (code == OK and may_be_valid),
            f"decode of {case[:40].hex()}… ({len(case)} bytes): exit code {code}, {err}",
        )


def without_broker():
    """A node and HQ alone go on without a broker, and say that it is absent."""
    directory = harness.temporary_directory()
    path = node_file(directory)
    with open(path, encoding="utf-8") as file:
        port = re.search(r"broker = mqtt://127\.0\.0\.1:(\d+)", file.read()).group(1)
    log = open(os.path.join(directory, "node.log"), "wb")
    node = harness.start_process(
        [harness.program(), "node", "--config", path], stdin=harness.subprocess.DEVNULL, stdout=log, stderr=log
    )
    control = os.path.join(directory, "control")
    wait_until("the node answers or ends", lambda: ask_status(control) or node.poll() is not None, 20)
    expect(node.poll() is None, f"the node ended without a broker: {read_text(log.name)}")
    wait_until(
        "the node's counter of failed sessions",
        lambda: ask_status(control)["counters"].get("session_failed", 0) >= 2,
        30,
    )
    expect(node.poll() is None, "the node ended without a broker")
    wait_until("the node's log names the broker", lambda: port in read_text(log.name), 5)
    http = free_port()
    hq_log = open(os.path.join(directory, "hq.log"), "wb")
    hq = harness.start_process(
        [
            harness.program(),
            "hq",
            f"--db={directory}/hq.db",
            f"--broker=mqtt://127.0.0.1:{port}",
            f"--http=127.0.0.1:{http}",
        ],
        stdout=hq_log,
        stderr=hq_log,
    )
    status = wait_until("HQ answers", lambda: get_json(f"http://127.0.0.1:{http}/api/v1/status"), 20)
    expect(status["broker"]["connected"] is False, "HQ believes that it has a broker")
    wait_until("HQ's log names the broker", lambda: port in read_text(hq_log.name), 10)
    for process, name in ((hq, "HQ"), (node, "the node")):
        process.send_signal(signal.SIGTERM)
        code = process.wait(15)
        expect(code == OK, f"{name} ended with exit code {code} after SIGTERM")
    for path in (log.name, hq_log.name):
        report = harness.sanitizer_report(read_text(path))
        expect(not report, f"a program error is reported: {report}")


def read_text(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def interrupted_and_continued():
    """A second demo on the same state is refused; Ctrl-C leaves no process behind; the next run goes on with the same
    meters."""
    directory = harness.temporary_directory()
    files = data.generate(os.path.join(directory, "d"), 3, BEGIN_S, 72, seed=14)
    site = Site(3600, data=files, directory=directory).start()
    refused(site.arguments, ENVIRONMENT, site.state, "another demo")
    site.wait_settled("records are at HQ")
    children = list(child_processes(site.process.pid))
    expect(len(children) == 5, f"{len(children)} processes, expected broker, HQ and 3 nodes")
    code = site.interrupt()
    expect(code == OK, f"exit code {code} after Ctrl-C")
    left = [pid for pid in children if is_alive(pid)]
    expect(not left, f"processes are left behind after Ctrl-C: {left}")
    site.expect_no_sanitizer_report()
    refused(
        [
            "demo",
            "--state",
            site.state,
            "--nodes",
            "2",
            "--data",
            files,
            "--speed",
            "3600",
            "--http",
            "127.0.0.1:0",
            "--for",
            "1",
        ],
        USAGE,
        site.state,
    )
    records = site.committed_records()
    again = Site(3600, 4, data=files, directory=directory).start()
    expect(any("continued" in line for line in again.lines), "the second run does not say that it continues")
    sources = truth.read_sources(files, 3, end_s=again.end_utc_s())
    summary = again.end_well(restarts=0)
    expect(summary["records_stored"] > records, "the second run began anew")
    verify.check_records(again, sources, undisturbed=False)
    verify.check_database(again, summary["records_stored"])


if __name__ == "__main__":
    harness.main(
        help_and_usage,
        demo_arguments,
        bad_tables,
        bad_configurations,
        busy_ports,
        foreign_state,
        helper_that_hangs,
        asking_nobody,
        reading_nothing,
        decode_good,
        decode_legacy,
        decode_bad,
        without_broker,
        interrupted_and_continued,
    )
