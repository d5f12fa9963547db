#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The last answer of a trial is lost: HQ asks with the same command, and the node answers again. If it does
not, the outcome is unknown after a while, and HQ says so."""

import json
import os
import sqlite3
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
# pylint: disable=wrong-import-position
import harness
from demo import Site, free_port
from harness import expect, note, run_program, wait_until

OK = 0
SPEED = 600
NODE = "node:02:6d:6d:00:00:02"
# docs/spec/commands.md, 6.1, and hq/commands.h.
TRYING_STATUS, TRYING_STATE = 9, 3
# Trial, asks and the last round: 86 minutes, at SPEED 9 s; and rounds of the demo.
STEP_S = 90


def run(*arguments):
    code, out, err = run_program(*arguments, timeout_s=STEP_S)
    expect(code == OK, f"{' '.join(arguments)} ended with exit code {code}: {out}{err}")
    return out


def command_of(number):
    code, out, _ = run_program("commands", str(number), "--json")
    return json.loads(out)["commands"][0] if code == OK else {"state": "not known"}


def try_broker():
    """Ordered, and on trial at the node: nobody listens there."""
    out = run("send", NODE, "broker", f"url=mqtt://127.0.0.1:{free_port()}", "--json")
    number = json.loads(out)["id"]
    wait_until("it is tried", lambda: command_of(number)["state"] in ("trying", "failed"), STEP_S, 0.1)
    return number


def lose_answer(site, number):
    """As if the record with the last answer had never come."""
    connection = sqlite3.connect(site.database_path, timeout=20)
    with connection:
        connection.execute(
            "UPDATE command SET state = ?, status = ?, ended_us = 0 WHERE order_id = ?",
            (TRYING_STATE, TRYING_STATUS, number),
        )
    connection.close()


def asks_and_is_answered(site):
    number = try_broker()
    wait_until("it has failed", lambda: command_of(number)["state"] == "failed", STEP_S)
    lose_answer(site, number)
    wait_until("HQ asks", lambda: command_of(number).get("asked", 0) > 0, STEP_S, 0.1)
    wait_until("the node answers again", lambda: command_of(number)["state"] == "failed", STEP_S, 0.1)
    note(f"     answered after {command_of(number)['asked']} asks")


def gives_up(site):
    """The node remembers the answer to its newest trial only: of the one before, nobody knows any more."""
    number = try_broker()
    wait_until("it has failed", lambda: command_of(number)["state"] == "failed", STEP_S)
    newer = try_broker()
    wait_until("the newer one has failed", lambda: command_of(newer)["state"] == "failed", STEP_S)
    lose_answer(site, number)
    wait_until("it ends", lambda: command_of(number)["state"] == "expired", STEP_S, 0.1)
    command = command_of(number)
    expect(command["asked"] == 6 and command["status"] is None, f"HQ says {command}")
    expect("outcome unknown: asked 6 times" in command["detail"], f"HQ says {command}")
    # Others go on.
    run("send", NODE, "find", "seconds=60", "--wait")


def late_answers():
    site = Site(SPEED).start()
    os.environ["MM_STATE"] = site.state
    wait_until("HQ knows the nodes", lambda: len(site.api_nodes()) == 3, STEP_S)
    for part in (asks_and_is_answered, gives_up):
        part(site)
        note(f"     {part.__name__}")
    site.interrupt()


if __name__ == "__main__":
    harness.main(late_answers)
