#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One node, a broker, and commands sealed here: relays move and the households behind them stop, a reboot is one,
another broker is tried, kept or given up. The meters stand still without supply, also across a reboot and a kill."""

import contextlib
import importlib.machinery
import importlib.util
import os
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
# pylint: disable=wrong-import-position
import demo
import harness
import mqtt
from harness import expect, note, wait_until

SPEED = 360  # a trial of half an hour takes 5 s
KEY = bytes(range(7, 39))
MAC = bytes([2, 0, 0, 0, 0, 9])
MAC_TEXT = ":".join(f"{byte:02x}" for byte in MAC)
LOCK, UNLOCK, BROKER, REBOOT, CREDIT, MODE = 1, 2, 7, 11, 17, 20
NODE = 0xFF
CREDIT_WH = 150
RESTART = 10  # exit code: start me again
TOPIC = "meter/house/cmd"


def load_encoder():
    """The golden vectors' encoder, which is made from the specification and not from the code under test."""
    path = os.path.join(harness.source_directory(), "tools", "make-wire-vectors")
    loader = importlib.machinery.SourceFileLoader("vectors", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("vectors", loader))
    loader.exec_module(module)
    return module


class Broker:
    def __init__(self, directory, name):
        self.port = demo.free_port()
        config = os.path.join(directory, f"{name}.conf")
        user = "user root\n" if os.geteuid() == 0 else ""
        with open(config, "w", encoding="ascii") as file:
            file.write(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n{user}")
        with open(os.path.join(directory, f"{name}.log"), "wb") as log:
            harness.start_process(["mosquitto", "-c", config], stdout=log, stderr=log)
        user_file = os.path.join(directory, "hq.password")
        with open(user_file, "w", encoding="ascii") as file:
            file.write("hq:x\n")

        def connect():
            with contextlib.suppress(OSError):
                return mqtt.Client(self.port, user_file, "hq")
            return None

        self.client = wait_until(f"{name} takes connections", connect, 10)
        self.client.subscribe("meter/+/info")  # otherwise the broker says that nobody listens


class Node:
    def __init__(self, directory, port, extra=""):
        self.directory = directory
        self.socket = os.path.join(directory, "control")
        self.state = os.path.join(directory, "state")
        self.log = os.path.join(directory, "node.log")
        self.process = None
        self.vectors = load_encoder()
        self.counter = 0
        self.commands = []
        self.private("device.key", KEY.hex())
        self.private("mesh.key", "17" * 32)
        # A day before now, so that the clocks of this machine and of the node are not the same by chance.
        origin_us = (int(time.time()) - 86400) * 1000000
        with open(os.path.join(directory, "node.conf"), "w", encoding="ascii") as file:
            file.write(
                f"site = house\nmac = {MAC_TEXT}\nstate = {self.state}\ncontrol = {self.socket}\nrelays = file\n"
                f"mesh_key_file = {directory}/mesh.key\ndevice_key_file = {directory}/device.key\n"
                f"broker = mqtt://127.0.0.1:{port}\nstorage_sync = no\npulses = model:5\nspeed = {SPEED}\n"
                f"clock_origin_real_us = {time.time_ns() // 1000}\nclock_origin_utc_us = {origin_us}\n"
                f"pulses_begin_s = {origin_us // 1000000}\ncycle_ms = 1000\n"
                f"{extra}meter.1 = flat-1,1000,0\nmeter.2 = flat-2,1000,0\nmeter.3 = flat-3,1000,0\n"
            )

    def private(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text + "\n")
        os.chmod(path, 0o600)

    def start(self, **environment):
        with open(self.log, "ab") as log:
            self.process = harness.start_process(
                [harness.program(), "node", "--config", os.path.join(self.directory, "node.conf")],
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
            )
        wait_until("the node answers", self.status, 10)

    def status(self):
        return demo.ask_status(self.socket)

    def meter(self, number):
        return next(meter for meter in self.status()["meters"] if meter["channel"] == number - 1)

    def wait(self, what, condition, timeout_s=15):
        def holds():
            status = self.status()
            return status if status and condition(status) else None

        return wait_until(what, holds, timeout_s)

    def relays(self):
        with open(os.path.join(self.state, "relays"), encoding="ascii") as file:
            return dict(line.split() for line in file)

    def order(self, broker, kind, channel=NODE, body=None):
        """Publish everything ordered so far, as HQ does until it is answered."""
        self.counter += 1
        era = self.status()["control"]["era"]
        self.commands.append(
            self.vectors.command(MAC_TEXT, era, self.counter, 1000 + self.counter, 0, kind, channel, body, KEY)
        )
        broker.client.publish(TOPIC, self.vectors.command_batch(self.counter, self.commands[-4:]).bytes, retain=True)
        if kind != REBOOT:
            self.wait(f"command {self.counter} is taken", lambda status: status["control"]["counter"] == self.counter)


def expect_standing_still(node, number, what):
    before = node.meter(number)["life_pulses"]
    running = node.meter(2)["life_pulses"]
    node.wait("the neighbour goes on", lambda status: status["meters"][1]["life_pulses"] > running + 20)
    after = node.meter(number)["life_pulses"]
    expect(after == before, f"meter {number} counted {after - before} pulses {what}")
    return after


def notice_is_shown(node):
    """Two bars across the whole display, in its pages 1 and 6; see tests/vectors/display/notice.txt."""
    picture = bytes.fromhex(demo.ask(node.socket, "oled").strip())
    return all(byte & 0xC0 == 0xC0 for byte in picture[128:256]) and all(
        byte & 0x03 == 0x03 for byte in picture[6 * 128 : 7 * 128]
    )


def relays_move(node, broker):
    node.order(broker, LOCK, 2)
    expect(node.relays()["3"] == "open" and node.relays()["2"] == "closed", f"relays are {node.relays()}")
    wait_until("the display shows the command", lambda: notice_is_shown(node), 3)
    expect(node.meter(3)["relay_reasons"] == ["locked"], f"reasons: {node.meter(3)}")
    expect_standing_still(node, 3, "behind an open relay")
    node.order(broker, UNLOCK, 2)
    life = node.meter(3)["life_pulses"]
    node.wait("meter 3 counts again", lambda status: status["meters"][2]["life_pulses"] > life + 10)
    expect(node.relays()["3"] == "closed", f"relays are {node.relays()}")


def credit_runs_out(node, broker):
    node.order(broker, MODE, 0, node.vectors.Message().u8("prepaid", 1))
    expect(node.relays()["1"] == "open", "a prepaid meter without credit is supplied")
    expect(node.meter(1)["balance_wh"] == 0, f"{node.meter(1)}")
    life = expect_standing_still(node, 1, "without credit")
    node.order(broker, CREDIT, 0, node.vectors.credit_body(77, 2, CREDIT_WH))
    node.wait("the credit is used up", lambda status: "no_credit" in status["meters"][0]["relay_reasons"], 40)
    meter = node.meter(1)
    # A read every 20 ms is 7 s of the node, and 10 kW are 20 Wh in it.
    expect(-20 <= meter["balance_wh"] <= 0, f"cut at {meter['balance_wh']} Wh")
    expect(meter["life_pulses"] - life == CREDIT_WH - meter["balance_wh"], f"{meter} after {life}")
    expect(node.relays()["1"] == "open", f"relays are {node.relays()}")
    types_a_wrong_code(node)
    return meter["life_pulses"]


def types_a_wrong_code(node):
    """By the button alone: menu, third line, the only prepaid meter, nine zeros, OK."""

    def press(kind, times=1):
        for _ in range(times):
            answer = demo.ask(node.socket, f"button {kind}")
            expect(answer.startswith("ok"), f"button {kind}: {answer}")

    wait_until("the last command's notice is over", lambda: not notice_is_shown(node), 10)
    press("long")  # a dark display is lit by it, a lit one shows the menu
    press("short", 2)
    press("long", 1 + 9)
    expect(node.meter(1)["lock_out_s"] == 0, "a code was taken before OK")
    press("long")
    expect(notice_is_shown(node), "there is no answer to the code")
    expect(node.meter(1)["lock_out_s"] > 0, f"the code was not judged: {node.meter(1)}")


def restarts(node, broker, life):
    """life: of meter 1, whose relay is open."""
    pid = node.process.pid
    boot_no = node.status()["boot_no"]
    node.order(broker, REBOOT)
    node.wait("the node has started again", lambda status: status["boot_no"] == boot_no + 1)
    expect(node.process.poll() is None and node.process.pid == pid, "the reboot is not one of the same process")
    expect(node.meter(1)["life_pulses"] == life, f"{node.meter(1)} after a reboot, {life} before")
    node.process.send_signal(signal.SIGKILL)
    node.process.wait()
    node.start(MM_SUPERVISED="1")
    expect(node.status()["boot_no"] == boot_no + 2, f"{node.status()}")
    expect(node.meter(1)["life_pulses"] == life, f"{node.meter(1)} after a kill, {life} before")
    expect(node.relays()["1"] == "open", f"relays are {node.relays()}")
    expect_standing_still(node, 1, "after the restarts")
    node.order(broker, REBOOT)
    code = node.process.wait(timeout=10)
    expect(code == RESTART, f"a supervised node leaves with exit code {code}")
    node.start()
    expect(node.relays()["1"] == "open", f"relays are {node.relays()}")


def broker_body(node, port):
    text = f"mqtt://127.0.0.1:{port}\nuser\nword"
    return node.vectors.Message().text("text", text)


def broker_is_tried(node, first, second):
    kept = os.path.join(node.state, "broker.conf")
    staged = os.path.join(node.state, "broker.staged")
    node.order(first, BROKER, NODE, broker_body(node, demo.free_port()))
    wait_until("a broker that does not answer is given up", lambda: not os.path.exists(staged), 20)
    expect(not os.path.exists(kept), "a broker that never answered was kept")
    node.order(first, LOCK, 1)  # the first one is used again
    node.order(first, UNLOCK, 1)
    second.client.publish(TOPIC, node.vectors.command_batch(node.counter, node.commands[-4:]).bytes, retain=True)
    node.order(first, BROKER, NODE, broker_body(node, second.port))
    wait_until("a broker that works is kept", lambda: os.path.exists(kept), 20)
    expect(not os.path.exists(staged), "the trial did not end")
    expect(os.stat(kept).st_mode & 0o777 == 0o600, "others may read the credentials")
    node.order(second, LOCK, 1)
    node.process.send_signal(signal.SIGKILL)
    node.process.wait()
    node.start()
    node.order(second, UNLOCK, 1)


def console_is_clear(node):
    def says(*words):
        code, output, _ = harness.run_program("ctl", "--socket", node.socket, *words)
        return code, output.decode().strip() if isinstance(output, bytes) else output.strip()

    node.wait("the lock-out is over", lambda status: status["meters"][0]["lock_out_s"] == 0)
    code, text = says("token", "flat-1", "123", "456", "789")
    expect(code == 1 and text.startswith("wrong token; ") and text.endswith("s until the next try"), f"{code} {text}")
    code, text = says("token", "8", "123456789")
    expect(code == 1 and text == "error: no such meter", f"{code} {text}")
    code, text = says("relays")
    expect(code == 0 and text == "flat-1 open, flat-2 closed, flat-3 closed", f"{code} {text}")
    code, text = says("credit")
    expect(code == 0 and '"id":"flat-1"' in text and '"relay":"open"' in text, f"{code} {text}")


def node_takes_commands():
    directory = harness.temporary_directory()
    first, second = Broker(directory, "first"), Broker(directory, "second")
    node = Node(directory, first.port)
    harness.on_failure(lambda: harness.print_tail(node.log))
    node.start()
    relays_move(node, first)
    life = credit_runs_out(node, first)
    restarts(node, first, life)
    console_is_clear(node)
    broker_is_tried(node, first, second)
    note(f"     {node.counter} commands, 2 brokers, {node.status()['boot_no']} starts")


def legacy_lock(meter, state):
    """With the published check value of lock items, which is the same for every meter."""
    item = f'{{"cmd":"lock","disCon":[{{"mid":"{meter}","state":{state}}}],"cha":"b914f5e9"}}'
    return f'{{"cmdarr":[{item}]}}'.encode()


def node_takes_the_originals_commands():
    directory = harness.temporary_directory()
    broker = Broker(directory, "broker")
    secret = os.path.join(directory, "legacy.secret")
    node = Node(directory, broker.port, f"legacy_commands = yes\nlegacy_secret_file = {secret}\n")
    harness.on_failure(lambda: harness.print_tail(node.log))
    node.private("legacy.secret", "mi mama me mima mucho")
    os.chmod(secret, 0o644)
    code, _, error = harness.run_program("node", "--config", os.path.join(directory, "node.conf"))
    expect(code == 2 and "chmod 600" in error and secret in error, f"{code} {error}")
    os.chmod(secret, 0o600)
    node.start()
    broker.client.publish(TOPIC, legacy_lock("flat-3", 1), retain=True)
    node.wait("flat-3 is locked", lambda status: status["meters"][2]["relay_reasons"] == ["locked"])
    expect(node.relays()["3"] == "open" and node.relays()["1"] == "closed", f"relays are {node.relays()}")
    broker.client.publish(TOPIC, legacy_lock("flat-3", 0), retain=True)
    node.wait("flat-3 is unlocked", lambda status: status["meters"][2]["relay"] == "closed")
    expect(not node.status()["control"]["signed_only"], "an unsigned command counts as signed")
    node.order(broker, LOCK, 1)
    expect(node.status()["control"]["signed_only"], "a signed command does not count")
    broker.client.publish(TOPIC, legacy_lock("flat-3", 1), retain=True)
    node.wait("the old form is refused", lambda status: status["counters"].get("command_unsigned", 0) > 0)
    expect(node.relays()["3"] == "closed", f"relays are {node.relays()}")


if __name__ == "__main__":
    harness.main(node_takes_commands, node_takes_the_originals_commands)
