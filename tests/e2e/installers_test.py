#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What HQ's people do for installers, by the commands: keys for a series of devices, codes, and installations. HQ runs;
its broker is absent, which none of this needs. Codes are worked out here a second time with Python's hmac and with
OpenSSL's command line."""

import csv
import hashlib
import hmac
import io
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
# pylint: disable=wrong-import-position
import harness
from harness import expect, run_program, start_process, wait_until

OK, USAGE, ENVIRONMENT, NO_ANSWER = 0, 2, 3, 4
SECRET = "mi mama me mima mucho"
SERIES = ["--count", "3", "--oui", "02:4d:4d", "--from", "0010fe"]


def run(code, *arguments, says=""):
    got, out, err = run_program(*arguments)
    text = " ".join(arguments)
    expect(got == code, f"`{text}`: exit code {got}, expected {code}: {err.strip()!r}")
    expect(says in err, f"`{text}` says {err.strip()!r}, expected {says!r} in it")
    return out


def device_code(key, mac, number):
    text = b"meshmeter installer 1" + bytes.fromhex(mac.replace(":", "")) + b"%08d" % number
    return hmac.new(bytes.fromhex(key), text, hashlib.sha256).hexdigest()[:8]


class Hq:
    """HQ without a broker, an operator, and 3 devices of which HQ has the keys."""

    def __init__(self):
        folder = harness.temporary_directory()
        self.database = os.path.join(folder, "hq.db")
        log = os.path.join(folder, "hq.log")
        with open(log, "wb") as file:
            start_process(
                [harness.program(), "hq", "--db", self.database, "--broker", "mqtt://127.0.0.1:1", "--http", "127.0.0.1:0"],
                stdout=file,
                stderr=file,
            )
        self.log = log
        wait_until("HQ answers", self.find_url, 60)
        token = os.path.join(folder, "operator.token")
        with open(token, "w", encoding="utf-8") as file:
            file.write(run(OK, "operator", "add", "ana", "--database", self.database))
        self.options = ["--hq", self.url, "--token-file", token]
        table = run(OK, "keys", "new", *SERIES, "--import", "--database", self.database)
        self.keys = dict(csv.reader(io.StringIO(table)))

    def find_url(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            self.text = file.read()
        found = re.search(r"http://127\.0\.0\.1:[1-9]\d*", self.text)
        self.url = found.group(0) if found else None
        return found


def keys_for_a_series():
    table = run(OK, "keys", "new", *SERIES)
    rows = list(csv.reader(io.StringIO(table)))
    expect([mac for mac, _ in rows] == ["02:4d:4d:00:10:fe", "02:4d:4d:00:10:ff", "02:4d:4d:00:11:00"], f"{rows}")
    keys = {key for _, key in rows}
    expect(len(keys) == 3 and all(re.fullmatch(r"[0-9a-f]{64}", key) for key in keys), "keys are not 3 times 64 digits")
    expect(run(OK, "keys", "new", *SERIES) != table, "the same keys twice")
    run(USAGE, "keys", "new", "--count", "0", *SERIES[2:], says="--count")
    run(USAGE, "keys", "new", *SERIES[:2], *SERIES[4:], says="--oui")
    run(USAGE, "keys", "new", *SERIES[:2], "--oui", "03:4d:4d", *SERIES[4:], says="even")
    run(USAGE, "keys", "new", *SERIES[:2], "--oui", "2:4d:4d", *SERIES[4:], says="--oui")
    run(USAGE, "keys", "new", *SERIES[:4], "--from", "10fe", says="--from")
    run(USAGE, "keys", "new", *SERIES[:4], "--from", "fffffe", says="do not go so far")
    run(USAGE, "keys", "new", *SERIES, "--import", says="--database")
    run(USAGE, "keys", "new", *SERIES, "--database", "/nowhere", says="--import")
    run(USAGE, "keys", "list", *SERIES, "--import", says="`keys new` alone")
    run(ENVIRONMENT, "keys", "new", *SERIES, "--import", "--database", "/nowhere", says="not imported")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([harness.program(), "keys", "new", *SERIES], stdout=full, stderr=subprocess.PIPE, check=False)
    expect(done.returncode == ENVIRONMENT and b"none was imported" in done.stderr, f"a full disk: {done.stderr!r}")


def legacy_codes():
    folder = harness.temporary_directory()
    path = os.path.join(folder, "secret")
    with open(path, "w", encoding="utf-8") as file:
        file.write(SECRET + "\n")
    os.chmod(path, 0o600)
    # The customer's examples.
    expect(run(OK, "code", "5546600", "--legacy", "--secret-file", path) == "462b1e82\n", "5546600")
    expect(run(OK, "code", "53659506", "--legacy", "--secret-file", path) == "4c787e62\n", "53659506")
    if shutil.which("openssl"):
        for number in (0, 7, 99999999, 1234567):
            key = (b"%016d" % number * 2).hex()
            block = SECRET.encode()[:16]
            encrypted = subprocess.run(["openssl", "enc", "-aes-256-ecb", "-nopad", "-K", key], input=block,
                                       capture_output=True, check=True).stdout
            got = run(OK, "code", str(number), "--legacy", "--secret-file", path).strip()
            expect(got == encrypted[:4].hex(), f"{number}: {got}, OpenSSL says {encrypted[:4].hex()}")
    answer = json.loads(run(OK, "code", "5546600", "--legacy", "--secret-file", path, "--json"))
    expect(answer == {"code": "462b1e82"}, f"{answer}")
    os.chmod(path, 0o640)
    run(ENVIRONMENT, "code", "1", "--legacy", "--secret-file", path, says="chmod 600")
    os.chmod(path, 0o600)
    for wrong in ("", "\n", "a\nb\n", "x" * 64):
        with open(path, "w", encoding="utf-8") as file:
            file.write(wrong)
        run(ENVIRONMENT, "code", "1", "--legacy", "--secret-file", path, says="one line of 1 to 63")
    run(ENVIRONMENT, "code", "1", "--legacy", "--secret-file", path + "-absent", says="No such file")
    run(USAGE, "code", "1", "--legacy", says="--secret-file")
    run(USAGE, "code", "1", "--legacy", "--secret-file", path, "--mac", "000001", says="no --mac")
    run(USAGE, "code", "1", "--secret-file", path, says="--legacy")
    run(USAGE, "code", "1", "--mac", "000001", says="--caller")
    for number in ("-1", "100000000", "x", ""):
        run(USAGE, "code", "--legacy", "--secret-file", path, "--", number, says="number on the node's display")


def codes_and_installations():
    hq = Hq()
    mac, key = "02:4d:4d:00:10:ff", hq.keys["02:4d:4d:00:10:ff"]
    out = run(OK, "code", "5546600", "--mac", mac, "--caller", "Inés, house 4", *hq.options)
    code = device_code(key, mac, 5546600)
    expect(out.splitlines()[0] == f"{code[:4]} {code[4:]}", f"{out!r}, expected {code}")
    expect(f"for node {mac}, good for at most " in out, f"{out!r}")
    arguments = ["code", "7", "--mac", "0010ff", "--caller", "B", "--request", "r1", "--json", *hq.options]
    answer = json.loads(run(OK, *arguments))
    expect(answer["code"] == device_code(key, mac, 7) and answer["node"] == mac, f"{answer}")
    run(OK, *arguments)
    run(USAGE, "code", "8", *arguments[2:], says="used for another code")
    run(USAGE, "code", "7", "--mac", "ffffff", "--caller", "B", *hq.options, says="no key")
    for count in range(28):
        run(OK, "code", str(count), "--mac", mac, "--caller", "C", *hq.options)
    run(ENVIRONMENT, "code", "1", "--mac", mac, "--caller", "C", *hq.options, says="the next one at")
    expect("installations" not in run(OK, "installations", *hq.options), "there is an installation")
    answer = json.loads(run(OK, "installations", "--json", *hq.options))
    expect(answer == {"installations": [], "auto_confirm": []}, f"{answer}")
    run(USAGE, "installations", "--only", "open", *hq.options, says="state must be")
    run(USAGE, "confirm", "1", *hq.options, says="none of this number")
    run(USAGE, "refuse", "1", "--reason", "no", *hq.options, says="none of this number")
    run(USAGE, "refuse", "1", *hq.options, says="--reason")
    run(USAGE, "confirm", "1", "--reason", "x", *hq.options, says="no such option here")
    run(USAGE, "confirm", "x", *hq.options, says="number of one installation")
    run(USAGE, "reinstall", mac, *hq.options, says="has not heard")
    run(USAGE, "reinstall", "../status", *hq.options, says="address")
    run(NO_ANSWER, "installations", "--hq", "http://127.0.0.1:1", *hq.options[2:])
    # Neither a code nor a key in the log.
    hq.find_url()
    expect(code not in hq.text and key not in hq.text, "HQ's log has a code or a key in it")


def write_asks(hq):
    """What a root of site house4 would have reported: its own key is the first of the series, the askers are the others."""
    root, asker, other = hq.keys
    database = sqlite3.connect(hq.database, timeout=10)
    with database:
        database.execute("INSERT INTO site (id, name) VALUES (1, 'house4')")
        database.execute("INSERT INTO node (id, site, mac) VALUES (1, 1, ?)", [address(root)])
        for seq, mac in enumerate([asker, other], start=1):
            nonce = bytes([seq]) * 16
            proof = b"meshmeter join 1" + address(mac) + nonce + bytes(4)
            tag = hmac.new(bytes.fromhex(hq.keys[mac]), proof, hashlib.sha256).digest()[:16]
            database.execute(
                "INSERT INTO join_ask (site, node, epoch, seq, asker, via, nonce, revision, tag, trust, seconds,"
                " received_us, state) VALUES (1, 1, 1, ?, ?, ?, ?, 0, ?, 2, 1700000000, 1700000000000000, 'waiting')",
                [seq, address(mac), address(root), nonce, tag],
            )
    database.close()
    return asker, other


def address(mac):
    return bytes.fromhex(mac.replace(":", ""))


def joins():
    hq = Hq()
    expect(run(OK, "joins", *hq.options, says="none") == "", "somebody asks")
    expect(json.loads(run(OK, "joins", "--json", *hq.options)) == {"joins": [], "auto_join": [], "dropped": []}, "json")
    asker, other = write_asks(hq)
    out = run(OK, "joins", "--only", "waiting", "--site", "house4", *hq.options)
    expect(f"1  waiting  device {asker} at house4" in out and f"2  waiting  device {other}" in out, out)
    expect(run(OK, "joins", "--site", "house5", *hq.options, says="none") == "", "another site")
    out = run(OK, "joins", "admit", asker.upper().replace(":", "-"), *hq.options)
    expect("admitted by ana" in out and "queued" in out, out)
    run(USAGE, "joins", "admit", "1", *hq.options, says="on its way")
    out = run(OK, "joins", "refuse", "2", "--reason", "not ours", *hq.options)
    expect("2  refused" in out and "refused by ana: not ours" in out, out)
    run(USAGE, "joins", "admit", other, *hq.options, says="no ask of this device waits")
    out = json.loads(run(OK, "joins", "admit", "2", "--json", *hq.options))
    expect(out["join"]["state"] == "waiting" and out["join"]["command"]["state"] == "queued", f"{out}")
    run(USAGE, "joins", "--only", "open", *hq.options, says="state must be")
    run(USAGE, "joins", "admit", "9", *hq.options, says="none of this number")
    for words in (["admit"], ["admit", "1", "2"], ["let", "1"], ["admit", "1", "--reason", "x"], ["--reason", "x"],
                  ["refuse", "1", "--only", "all"]):
        run(USAGE, "joins", *words, *hq.options, says="joins --help")
    run(USAGE, "joins", "refuse", "1", *hq.options, says="--reason")
    run(USAGE, "joins", "admit", "x", *hq.options, says="number of an ask")
    run(NO_ANSWER, "joins", "--hq", "http://127.0.0.1:1", *hq.options[2:])


def events():
    hq = Hq()
    expect(run(OK, "events", *hq.options, says="none") == "", "something was noted")
    expect(run(OK, "books", "swaps", *hq.options, says="none") == "", "there is a swap")
    first, second = list(hq.keys)[:2]
    database = sqlite3.connect(hq.database, timeout=10)
    with database:
        database.execute("INSERT INTO site (id, name) VALUES (1, 'house4')")
        for number, mac in enumerate([first, second], start=1):
            database.execute("INSERT INTO node (id, site, mac) VALUES (?, 1, ?)", [number, address(mac)])
        for row in [
            # node, seq, code, trust, time, values
            [1, 1, 1, 0, 1700000000, 3, 1, 0, 0],
            [1, 2, 11, 2, 1700000060, 4, 2, 123456, -5000],
            [2, 1, 20, 1, 1700000120, 5, 2, 20, 0],
            [2, 2, 999, 2, 1700000180, 0, 7, 0, 0],
        ]:
            database.execute(
                "INSERT INTO event (node, epoch, seq, code, trust, seconds, boot_no, utc_s, placed, value0, value1,"
                " value2, value3) VALUES (?1, 1, ?2, ?3, ?4, ?5, 1, ?5, 1, ?6, ?7, ?8, ?9)",
                row,
            )
    database.close()
    lines = run(OK, "events", *hq.options).splitlines()
    expect(
        lines
        == [
            f"?2023-11-14T22:13:20Z  {first}  boot  start 3, reset reason 1",
            f" 2023-11-14T22:14:20Z  {first}  supply_cut  channel 5, reasons 2, life pulses 123456, balance Wh -5000",
            f"~2023-11-14T22:15:20Z  {second}  installer_lock_out  wrong codes 5, in a row 2, seconds 20",
            f" 2023-11-14T22:16:20Z  {second}  unknown  value 0, value 7, value 0, value 0",
        ],
        f"{lines}",
    )
    lines = run(OK, "events", "--node", first.upper().replace(":", "-"), "--limit", "1", *hq.options).splitlines()
    expect(len(lines) == 1 and "supply_cut" in lines[0], f"{lines}")
    expect(len(json.loads(run(OK, "events", "--json", *hq.options))["events"]) == 4, "json")
    run(USAGE, "events", "--limit", "0", *hq.options, says="1 to 1000")
    run(USAGE, "events", "--node", "x&limit=9", *hq.options, says="--node must be")
    run(NO_ANSWER, "events", "--hq", "http://127.0.0.1:1", *hq.options[2:])


harness.main(keys_for_a_series, legacy_codes, codes_and_installations, joins, events)
