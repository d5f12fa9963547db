#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Commands with real processes: ordered at HQ, done at the meter, answered once. What is wrong is refused with a reason;
who writes to the broker commands nobody; a broker that loses the retained message, and an HQ that dies, lose no
order."""

import json
import os
import struct
import sys
import urllib.error
import urllib.request
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
# pylint: disable=wrong-import-position
import harness
import mqtt
from demo import Site
from harness import expect, note, wait_until

OK, CHECK_FAILED, USAGE, ENVIRONMENT, NO_ANSWER = 0, 1, 2, 3, 4
SPEED = 60
WAIT_S = 60
TOPIC = "meter/demo/cmd"
UNLOCK, READ_METER = 2, 13
# docs/spec/commands.md: the batch's revision, its first command, and the kind in it.
REVISION_AT, COMMAND_AT, KIND_AT = 16, 36, 27


def run(site, *arguments, code=OK):
    """Output and errors of a subcommand that must end with this code."""
    got, out, err = harness.run_program(*arguments, "--state", site.state, timeout_s=90)
    expect(got == code, f"{' '.join(arguments)} ended with exit code {got}, expected {code}: {out}{err}")
    return out, err


def send(site, *arguments, code=OK):
    return run(site, "send", *arguments, code=code)


def order(site, *arguments):
    """Ordered, not waited for: its number."""
    return json.loads(send(site, *arguments, "--json")[0])["id"]


def state_of(site, number):
    """The state of all its commands; None while HQ is being started again."""
    code, out, err = harness.run_program("commands", str(number), "--json", "--state", site.state)
    expect(code in (OK, NO_ANSWER), f"commands {number} ended with exit code {code}: {err}")
    if code == NO_ANSWER:
        return None
    shown = json.loads(out)
    states = {command["state"] for command in shown["commands"]}
    return states.pop() if len(states) == 1 else ",".join(sorted(states))


def wait_state(site, number, state):
    wait_until(f"order {number} is {state}", lambda: state_of(site, number) == state, WAIT_S, 0.2)


def meter(site, meter_id):
    answer = site.api("/api/v1/meters")
    return next((entry for entry in answer["meters"] if entry["id"] == meter_id), None) if answer else None


def relay(site, node, channel):
    """What the node's relay was told last."""
    path = os.path.join(site.state, f"node-{node}", "relays")
    with open(path, encoding="ascii") as file:
        return dict(line.split() for line in file)[str(channel)]


def locks_and_unlocks(site):
    out, _ = send(site, "1-flat-1", "lock", "--wait")
    expect("done" in out, f"send --wait says {out!r}")
    wait_until("the page knows it", lambda: meter(site, "1-flat-1").get("relay_reasons") == ["locked"], WAIT_S)
    expect(meter(site, "1-flat-1")["relay_closed"] is False, "the relay is said to be closed")
    expect(relay(site, 1, 1) == "open" and relay(site, 1, 2) == "closed", "the relays are otherwise")
    send(site, "1-flat-1", "unlock", "--wait")
    expect(relay(site, 1, 1) == "closed", "the relay stays open")


def reaches_everybody(site):
    shown = json.loads(send(site, "site:demo", "read_meter", "--wait", "--json")[0])
    expect(len(shown["commands"]) == 24, f"{len(shown['commands'])} commands for 24 meters")
    expect(shown["states"] == {"done": 24}, f"states {shown['states']}")
    for command in shown["commands"]:
        expect(command["detail"]["id"] == command["meter"], f"{command['meter']} answers {command['detail']}")
    out, _ = send(site, "node:02:6d:6d:00:00:03", "find", "seconds=60", "--wait")
    expect("done" in out, out)
    # Two steps, the first of which does nothing but tell a code.
    out, _ = send(site, "node:02:6d:6d:00:00:03", "format", "--wait")
    expect("code=" in out, f"format answers {out!r}")
    out, _ = send(site, "node:02:6d:6d:00:00:03", "format", "code=1", "--wait", code=CHECK_FAILED)
    expect("refused" in out, f"format with a wrong code answers {out!r}")


def refuses(site):
    for arguments, reason in [
        (["nobody", "lock"], "no meter with this id"),
        (["1-flat-1", "reboot"], "whole node"),
        (["1-flat-1", "dance"], "none of this name"),
        (["gateway:demo", "find", "seconds=0"], "seconds: must be 1 to 3600"),
        (["gateway:demo", "find"], "needs seconds="),
        (["gateway:demo", "find", "minutes=1"], "has no argument minutes"),
        (["1-flat-1", "credit"], "by a sale"),
        (["1-flat-1", "lock", "--expires", "soon"], "--expires"),
        (["1-flat-1"], "TARGET and KIND"),
    ]:
        _, err = send(site, *arguments, code=USAGE)
        expect(reason in err, f"send {' '.join(arguments)} says {err!r}, expected '{reason}'")
    # The same request again is the same order; with other content it is refused.
    first = order(site, "2-stairs", "read_meter", "--request", "again")
    expect(order(site, "2-stairs", "read_meter", "--request", "again") == first, "ordered twice")
    _, err = send(site, "2-stairs", "lock", "--request", "again", code=USAGE)
    expect("another order" in err, err)


def wants_an_operator(site):
    wrong = os.path.join(site.directory, "wrong.token")
    with open(wrong, "w", encoding="ascii") as file:
        file.write("0" * 64 + "\n")
    code, _, err = harness.run_program("send", "1-flat-1", "lock", "--hq", site.page, "--token-file", wrong)
    expect(code == ENVIRONMENT and "no operator's token" in err, f"exit code {code}, {err!r}")
    code, _, err = harness.run_program("send", "1-flat-1", "lock", "--hq", "http://127.0.0.1:9", "--token-file", wrong)
    expect(code == NO_ANSWER, f"exit code {code}, {err!r}")
    for path in ("orders", "operator"):
        try:
            urllib.request.urlopen(f"{site.page}/api/v1/{path}", timeout=10)
            harness.fail(f"{path} is shown to everybody")
        except urllib.error.HTTPError as error:
            expect(error.code == 401, f"{path}: {error.code}")
    # Made, used, removed on HQ's machine, while HQ runs.
    database = ["--database", site.database_path]
    code, token, err = harness.run_program("operator", "add", "ana", *database)
    expect(code == OK and len(token.strip()) == 64, f"operator add: {code} {err}")
    with open(wrong, "w", encoding="ascii") as file:
        file.write(token)
    code, out, err = harness.run_program("commands", "--hq", site.page, "--token-file", wrong)
    expect(code == OK and "lock" in out, f"commands: {code} {out}{err}")
    harness.run_program("operator", "remove", "ana", *database)
    code, _, err = harness.run_program("commands", "--hq", site.page, "--token-file", wrong)
    expect(code == ENVIRONMENT, f"a removed operator: exit code {code}, {err!r}")


def no_key_no_command(site):
    database = ["--database", site.database_path]
    mac = "02:6d:6d:00:00:03"
    code, out, _ = harness.run_program("keys", "list", *database)
    expect(code == OK and out.count("02:6d:6d") == 3, f"keys list: {out!r}")
    with open(os.path.join(site.state, "node-3", "device.key"), encoding="ascii") as file:
        key = file.read().strip()
    expect(harness.run_program("keys", "remove", mac, *database)[0] == OK, "keys remove")
    _, err = send(site, "3-flat-1", "lock", code=USAGE)
    expect("no key of node " + mac in err, err)
    path = os.path.join(site.directory, "keys.csv")
    with open(path, "w", encoding="ascii") as file:
        file.write(f"# made again\n{mac},{key}\n")
    code, out, err = harness.run_program("keys", "import", path, *database)
    expect(code == OK and key not in out + err, f"keys import: {code} {out}{err}")
    send(site, "3-flat-1", "read_meter", "--wait")


def counted(site, node, name):
    status = site.status(node)
    return status["counters"].get(name, 0) if status else 0


def retained(client, accept):
    """The newest message of the broker that is accepted."""
    found = [None]

    def look():
        while not client.messages.empty():
            _, topic, payload = client.messages.get()
            found[0] = payload if topic == TOPIC and accept(payload) else found[0]
        return found if found[0] is not None else None

    return wait_until("the batch is at the broker", look, WAIT_S)[0]


def with_checksum(message):
    return message[:-4] + struct.pack("<I", zlib.crc32(message[:-4]))


def forged_batch_is_refused(site):
    """Who writes to the broker makes of a lock an unlock for another moment: counted, not obeyed."""
    gateway = mqtt.Client(site.mqtt_port, os.path.join(site.state, "gateway.password"), "onlooker")
    hq = mqtt.Client(site.mqtt_port, os.path.join(site.state, "hq.password"), "intruder")
    gateway.subscribe(TOPIC)
    send(site, "2-flat-2", "lock", "--wait")
    site.ctl("router", "off")
    number = order(site, "2-flat-2", "read_meter")

    def is_this(payload):
        return len(payload) > COMMAND_AT and payload[COMMAND_AT + KIND_AT] == READ_METER

    batch = bytearray(retained(gateway, is_this))
    (revision,) = struct.unpack_from("<Q", batch, REVISION_AT)
    struct.pack_into("<Q", batch, REVISION_AT, revision + 1)
    batch[COMMAND_AT + KIND_AT] = UNLOCK
    hq.publish(TOPIC, with_checksum(bytes(batch)), retain=True)
    before = counted(site, 2, "command_forged")
    site.ctl("router", "on")
    wait_until("the node counts a forged command", lambda: counted(site, 2, "command_forged") > before, WAIT_S)
    expect(relay(site, 2, 2) == "open", "a forged command was obeyed")
    # HQ publishes its own again when it is started anew, and that stands before the other one.
    site.kill("hq")
    wait_state(site, number, "done")
    expect(relay(site, 2, 2) == "open", "the meter is not locked any more")
    # All have ended: the broker keeps nothing.
    retained(gateway, lambda payload: payload == b"")
    gateway.close()
    hq.close()


def broker_loses_the_batch(site):
    site.ctl("router", "off")
    number = order(site, "3-flat-3", "lock", "--priority", "9")
    wait_state(site, number, "sent")
    site.kill("broker")  # it keeps nothing on its disk
    site.pid_of("broker")
    site.ctl("router", "on")
    wait_state(site, number, "done")
    expect(relay(site, 3, 3) == "open", "the relay is closed")


def node_and_hq_die(site):
    """The answer comes once, whoever dies between order and answer."""
    numbers = []
    for kind in ("lock", "unlock", "lock"):
        numbers.append(order(site, "1-laundry", kind))
        site.kill("node-1")
        site.kill("hq")
        wait_until("HQ is there again", lambda: site.api("/api/v1/status"), WAIT_S)
    for number in numbers:
        wait_state(site, number, "done")
    expect(relay(site, 1, 8) == "open", "the last command was not the last")


def expires(site):
    site.ctl("router", "off")
    number = order(site, "1-stairs", "lock", "--expires", "60s")
    begin_s = site.wall_s()
    wait_state(site, number, "expired")
    note(f"     expired {site.wall_s() - begin_s:.0f} s after it was ordered, at {SPEED} times real time")
    site.ctl("router", "on")
    send(site, "1-stairs", "read_meter", "--wait")
    expect(relay(site, 1, 7) == "closed", "an expired command was carried out")
    expect(state_of(site, number) == "expired", f"it is {state_of(site, number)}")


def commands():
    site = Site(SPEED, options=["--no-persistence"]).start()
    wait_until("HQ knows the nodes", lambda: len(site.api_nodes()) == 3, WAIT_S)
    for part in (
        locks_and_unlocks,
        reaches_everybody,
        refuses,
        wants_an_operator,
        no_key_no_command,
        forged_batch_is_refused,
        broker_loses_the_batch,
        node_and_hq_die,
        expires,
    ):
        part(site)
        note(f"     {part.__name__}")
    site.interrupt()


if __name__ == "__main__":
    harness.main(commands)
