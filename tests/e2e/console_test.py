#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The console of a real node: its lines are those of the guide, no secret is in an answer, and a reset wants a fresh
code and its word, from whichever side it is tried."""

import json
import os
import re
import sys
import threading

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "lib")]
# pylint: disable=wrong-import-position
import harness
from commissioning_test import WAIT_S, Alone
from demo import ask
from harness import expect, note, wait_until

WORD = "forget-the-network"
NEEDS = ("presence", "proof", "code", "owner")
ROUTER_PASSWORD = "RouterSecret-8841"
BROKER_PASSWORD = "a b&c=d%"


class Node(Alone):
    def ask(self, line):
        answer = ask(self.control, line)
        expect(answer is not None, f"{line} is answered")
        return answer

    def json(self, line):
        return json.loads(self.ask(line))

    def provisioned(self, *more):
        got, out, err = self.provision(*more)
        expect(got == 0, f"the network is taken: {out}{err}")
        wait_until("it goes on in its network", lambda: (s := self.setup()) and s["phase"] == "provisioned", WAIT_S)
        return self

    def hq_code(self, number):
        got, out, err = harness.run_program("code", number, "--legacy", "--secret-file", self.path("secret"))
        match = re.search(r"\b([0-9a-f]{4}) ?([0-9a-f]{4})\b", out)
        expect(got == 0 and match, f"no code: {got} {out}{err}")
        return match.group(1) + match.group(2)

    def parked_again(self):
        """After a reset the process starts again, outside of the network."""
        wait_until("the node is parked", lambda: (s := self.setup()) and s["phase"] == "parked", WAIT_S)


def parse_help(text):
    """{line with its arguments: (need, what it does)}"""
    found, usage = {}, None
    for line in text.splitlines():
        if not line.startswith(" ") and "  " not in line and len(line) >= 26:
            usage = line
            continue
        if not line.startswith(" "):
            usage = line[:26].rstrip()
        does = line[26:]
        match = re.search(r" \((\w+)\)$", does)
        need = match.group(1) if match and match.group(1) in NEEDS else "nothing"
        found[usage] = (need, does[: match.start()] if need != "nothing" else does)
    return found


def parse_guide():
    with open(os.path.join(harness.source_directory(), "docs/guide/console.md"), encoding="utf-8") as file:
        text = file.read()
    rows = re.findall(r"^\| `((?:[^`|]|\\\|)+)` \| (\w+) \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    # Those of a chip alone: tests/esp_idf/project_test.py.
    return {usage.replace("\\|", "|"): (need, does) for usage, need, where, does in rows if where != "ESP32"}


def lines_are_those_of_the_guide():
    node = Node()
    known, guide = parse_help(node.ask("help")), parse_guide()
    expect(len(known) >= 25, f"help names its lines: {known}")
    for usage in sorted(set(known) | set(guide)):
        expect(known.get(usage) == guide.get(usage), f"{usage}: help {known.get(usage)}, guide {guide.get(usage)}")
    note(f"     lines={len(known)}")
    for line in ("", "x", "config secrets", "status x", "router", "router x", "clock", "clock set x", "button", "hold x"):
        answer = node.ask(line)
        expect(answer.startswith("error: not "), f"{line!r} is refused: {answer}")
    expect("hunter2" not in node.ask("provison pop=hunter2"), "what is not understood is not repeated")
    got, out, _ = harness.run_program("ctl", "--socket", node.control, "meters")
    expect(got == 0 and json.loads(out) == {"meters": []}, f"by the program: {got} {out}")
    got, _, err = harness.run_program("ctl", "--state", node.directory, "reset", "12345678", WORD)
    expect(got == 2 and "at which node" in err, f"a reset is for one node: {got} {err}")


def no_secret_in_any_answer():
    node = Node()
    form = {
        "pop": "label-7731", "site": "house-9", "broker_url": "mqtt://127.0.0.1:1", "broker_user": "gateway",
        "broker_password": "a+b%26c%3Dd%25", "router_name": "home", "router_password": ROUTER_PASSWORD,
        "revision": "1", "mesh_key": "c3" * 32,
    }  # fmt: skip
    answer = node.ask("provision " + "&".join(f"{name}={value}" for name, value in form.items()))
    expect(answer.startswith("ok"), f"the network is taken: {answer}")
    wait_until("it goes on in its network", lambda: (s := node.setup()) and s["phase"] == "provisioned", WAIT_S)
    network = node.json("config")["network"]
    expect(network["router_password"] == network["broker_password"] == network["mesh_key"] == "set", f"{network}")
    expect(network["router_name"] == "home" and network["site"] == "house-9", f"what is no secret is shown: {network}")
    secrets = [open(node.path(name)).read().strip() for name in ("device.key", "label", "secret", "mesh.key")]
    secrets += [ROUTER_PASSWORD, BROKER_PASSWORD, "5A" * 32, "Z" * 16, node.hq_code(node.json("code")["number"])]
    names = {usage.split()[0] for usage in parse_help(node.ask("help"))} - {"hold"}
    lines = sorted(names) + ["meters 1", "button short", "token 1 123456789", "emergency 1", "find 1", "display 1"]
    lines += ["provision pop=wrong&site=x", "provision pop=label-7731&site=x", f"reset 00000000 {WORD}", "clock set", "log"]
    for line in lines:
        answer = node.ask(line)
        for secret in secrets:
            expect(secret not in answer, f"a secret is in the answer to {line}")
    note(f"     lines={len(lines)} secrets={len(secrets)}")


def acts_are_journalled_now_and_then():
    node = Node()
    before = node.json("journal")["next"]
    expect(node.ask("find 5") == "ok\n", "find")
    expect(node.json("journal")["next"] == before + 1, "is journalled")
    for _ in range(20):
        expect(node.ask("display 2") == "ok\n", "display")
    expect(node.json("journal")["next"] == before + 1, "and fills no journal")


def reset_once_of_two_at_once():
    node = Node().provisioned()
    explanation = node.ask("reset")
    number = node.json("code")["number"]
    expect(number in explanation and WORD in explanation, f"it says what to do: {explanation}")
    code = node.hq_code(number)
    for line in (f"reset {code}", f"reset {code} yes", f"reset {WORD}", f"reset {code} {WORD} now please"):
        answer = node.ask(line)
        expect(answer.startswith("error: "), f"not without the word: {answer}")
    expect(node.json("code")["tries_left"] == 5, "and nothing of it was judged")
    expect(node.ask(f"reset 0123456g {WORD}") == "error: no_form\n", "no code")
    expect(node.ask(f"reset 00000000 {WORD}") == "error: wrong\n", "a wrong code")
    expect(node.json("code")["tries_left"] == 4, "is counted")
    expect(node.setup()["phase"] == "provisioned", "nothing has happened so far")
    answers = []
    both = [
        threading.Thread(target=lambda: answers.append(ask(node.control, f"reset {code} {WORD}") or "")) for _ in range(2)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(10)
    # The node starts again at once, so the second may find nobody.
    good = [answer for answer in answers if answer.startswith("ok")]
    bad = [answer for answer in answers if answer == "" or answer.startswith("error: ")]
    expect(len(good) == 1 and len(bad) == 1, f"one of two is done: {answers}")
    node.parked_again()
    config = node.json("config")
    expect("network" not in config and config["site"] == "parked", f"nothing of it is left: {config}")
    expect(node.ask(f"reset {code} {WORD}") == "error: state\n", "the same line again")
    node.kill()
    expect(node.setup()["phase"] == "parked", "a restart does not bring it back")
    # Another network: neither the old code nor its number is good there. The first revision may come again.
    node.provisioned()
    expect(node.ask(f"reset {code} {WORD}") == "error: wrong\n", "replayed")
    expect(node.json("code")["number"] != number, "for another number is asked")
    expect(node.setup()["phase"] == "provisioned", "it has its network")


def reset_with_guesses():
    node = Node().provisioned()
    for _ in range(4):
        expect(node.ask(f"reset 00000000 {WORD}") == "error: wrong\n", "a guess")
    expect(node.ask(f"reset 00000000 {WORD}") == "error: wrong; wait 10 s\n", "the fifth locks out")
    code = node.hq_code(node.json("code")["number"])
    expect(node.ask(f"reset {code} {WORD}").startswith("error: locked_out; wait "), "the good code, too")
    expect(node.try_code(code)[0] == 429, "and the installer at the page")
    node.kill()
    expect(node.ask(f"reset 00000000 {WORD}").startswith("error: locked_out; wait "), "a restart does not end it")
    wait_until("the lock-out ends", lambda: node.json("code")["wait_s"] == 0, 20, 0.2)
    answer = node.ask(f"reset {node.hq_code(node.json('code')['number']).upper()} {WORD}")
    expect(answer.startswith("ok"), f"a fresh code: {answer}")
    node.parked_again()


def reset_with_codes_of_before():
    """The node's clock runs 100 times faster, so that a number lives 6 s."""
    origin_us = 1_790_000_000_000_000
    node = Node(speed="100", clock_origin_real_us=str(origin_us), clock_origin_utc_us=str(origin_us)).provisioned()
    code = node.hq_code(node.json("code")["number"])
    began = node.json("status")["uptime_s"]
    wait_until("the number's time is over", lambda: node.json("status")["uptime_s"] > began + 601, WAIT_S)
    # The display asks for another one by then.
    expect(node.ask(f"reset {code} {WORD}") == "error: wrong\n", "too late")
    # While an installer is at work nobody takes the network away, and what let him in lets nobody else.
    used = node.hq_code(node.json("code")["number"])
    status, session = node.try_code(used)
    expect(status == 200 and node.json("code")["session"], f"an installer: {session}")
    expect(node.ask(f"reset {used} {WORD}").startswith("error: busy; wait "), "waits")
    expect("not possible now" in node.ask("reset"), "and says so")
    wait_until("the session ends", lambda: not node.json("code")["session"], WAIT_S)
    expect(node.ask(f"reset {used} {WORD}") == "error: wrong\n", "used before")
    expect(node.setup()["phase"] == "provisioned", "nothing has happened")


if __name__ == "__main__":
    harness.main(
        lines_are_those_of_the_guide,
        no_secret_in_any_answer,
        acts_are_journalled_now_and_then,
        reset_once_of_two_at_once,
        reset_with_guesses,
        reset_with_codes_of_before,
    )
