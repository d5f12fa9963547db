#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node from the box to the wall, with the real program: a network is handed over, an installer types on the node's
own page in a browser, HQ confirms, the node runs; meanwhile wrong codes, used nonces and kill -9 at every stage."""

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
# pylint: disable=wrong-import-position
import harness
from demo import Site, ask, ask_status
from harness import expect, note, wait_until

NODE = 3
MAC = "02:6d:6d:00:00:03"
WAIT_S = 60


class Parked:
    """The demo's node from the box."""

    def __init__(self):
        self.site = Site(1, options=["--parked"]).start()
        self.pages = {}

    def setup(self):
        answer = ask(self.site.control_path(NODE), "setup")
        return json.loads(answer) if answer and answer.startswith("{") else None

    def wait_phase(self, phase):
        return wait_until(f"the node is {phase}", lambda: (s := self.setup()) and s["phase"] == phase and s, WAIT_S)

    def page(self):
        return wait_until("the node says where its page is", lambda: (s := self.setup()) and s.get("page"), WAIT_S)

    def number(self):
        return wait_until("the node shows a number", lambda: (s := self.setup()) and s.get("number"), WAIT_S)

    def request(self, method, path, fields=None, headers=None):
        """(status, JSON) of the node's API."""
        data = None
        if fields is not None:
            data = "&".join(f"{name}={value}" for name, value in fields.items()).encode()
        request = urllib.request.Request(self.page() + path, data=data, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def code(self):
        """As headquarters: the code for the number that the node shows now."""
        got, out, err = harness.run_program(
            "code", self.number(), "--mac", MAC, "--caller", "the test", "--state", self.site.state
        )
        match = re.match(r"([0-9a-f]{4}) ?([0-9a-f]{4})\n", out)
        expect(got == 0 and match, f"no code: {got} {out}{err}")
        return match.group(1) + match.group(2)

    def kill(self):
        self.site.kill(f"node-{NODE}")
        wait_until("the node is back", self.setup, WAIT_S)

    def provision(self, pop_file=None, revision=None):
        more = ["--pop-file", pop_file] if pop_file else []
        more += ["--revision", str(revision)] if revision else []
        return harness.run_program("provision", "--state", self.site.state, *more, f"node-{NODE}")


def hand_over(node):
    expect(node.wait_phase("parked"), "it is parked")
    status, state = node.request("GET", "api/state")
    expect(status == 200 and state["phase"] == "parked", f"the page says so: {state}")
    expect(node.request("POST", "api/code", {"code": "00000000"})[0] == 409, "no code is judged at a parked node")
    wrong = os.path.join(node.site.directory, "wrong-label")
    with open(os.open(wrong, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
        file.write("not the label\n")
    got, _, err = node.provision(wrong)
    expect(got == 1 and "label" in err, f"a wrong label is refused: {got} {err}")
    for _ in range(3):
        node.provision(wrong)
    got, _, err = node.provision(wrong)
    expect(got == 1 and "wait 10 s" in err, f"the fifth locks out: {err}")
    got, _, err = node.provision()
    expect(got == 1 and "too many" in err, f"then the right one has to wait as well: {err}")
    expect(node.setup()["phase"] == "parked", "and nothing has changed")
    node.kill()  # whoever can do that can read the label's file as well: the count begins anew
    got, out, err = node.provision(revision=10)
    expect(got == 0, f"the network is taken: {out}{err}")
    node.wait_phase("provisioned")
    got, _, err = node.provision(revision=10)
    expect(got == 1 and "revision" in err, f"the same revision is not taken again: {got} {err}")
    wait_until("the node is in the mesh of its site", lambda: (s := node.site.status(NODE)) and s["attached"], WAIT_S)
    node.kill()
    node.wait_phase("provisioned")


def expect_nonces_good_once(node):
    code = node.code()
    status, session = node.request("POST", "api/code", {"code": code})
    expect(status == 200 and re.fullmatch("[0-9a-f]{32}", session["nonce"]), f"a session: {status} {session}")
    first = session["nonce"]
    status, values = node.request("GET", "api/configuration", headers={"X-Nonce": first})
    expect(status == 200 and values["nonce"] != first, f"the values: {status} {values}")
    expect("password" not in json.dumps(values), "no password is shown")
    for nonce in (first, "0" * 32, "", "x", first.upper()):
        status, answer = node.request("POST", "api/configuration", {"nonce": nonce, "node_no": "1"})
        expect(status == 403, f"the nonce {nonce!r} is refused: {status} {answer}")
        if nonce != first:
            expect(node.request("GET", "api/configuration", headers={"X-Nonce": nonce})[0] == 403, "and for reading")
    # The same request once more: its answer was lost on the way, and is given again.
    status, again = node.request("GET", "api/configuration", headers={"X-Nonce": first})
    expect(status == 200 and again == values, f"the lost answer: {status} {again}")
    expect(node.request("GET", "api/configuration")[0] == 403, "without one nothing is shown")
    status, answer = node.request("POST", "api/code", {"code": "00000000"})
    expect(status == 409 and answer["verdict"] == "busy", f"another installer waits: {answer}")
    status, another = node.request("POST", "api/code", {"code": code})
    expect(status == 200 and another["nonce"] != values["nonce"], f"the same one in another page: {status} {another}")
    expect(node.request("POST", "api/cancel", {"nonce": values["nonce"]})[0] == 403, "the first page's session is over")
    status, _ = node.request("POST", "api/cancel", {"nonce": another["nonce"]})
    expect(status == 200, "cancelled")
    expect(node.request("POST", "api/code", {"code": code})[0] == 403, "and the code with it")
    expect(node.request("GET", "api/configuration", headers={"X-Nonce": first})[0] == 403, "and no lost answer is left")
    expect(node.setup()["phase"] == "provisioned", "and as before")


def expect_closed_to_strangers(node):
    host = re.sub("https?://|/$", "", node.page())
    for headers, status in (
        ({"Host": "elsewhere.example"}, 421),
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Host": host}, 200),
    ):
        got, answer = node.request("GET", "api/state", headers=headers)
        expect(got == status, f"{headers}: {got} {answer}")
    expect(node.request("GET", "etc/passwd")[0] == 404, "nothing else is there")
    expect(node.request("POST", "api/state", {})[0] == 405, "methods are checked")


def waiting_installations(node):
    environment = dict(os.environ, MM_STATE=node.site.state)
    got, out, err = harness.run_program("installations", "--only", "waiting", "--json", env=environment)
    expect(got == 0, f"installations: {out}{err}")
    return [entry for entry in json.loads(out)["installations"] if entry["node"] == MAC]


def confirm(node):
    waiting = wait_until("the installation is at HQ", lambda: waiting_installations(node), WAIT_S)
    expect(len(waiting) == 1, f"exactly one installation: {waiting}")
    environment = dict(os.environ, MM_STATE=node.site.state)
    got, out, err = harness.run_program("confirm", waiting[0]["id"], env=environment)
    expect(got == 0, f"confirm: {out}{err}")
    expect(", province" in out or waiting[0]["province"] == 0, f"a place that is there is printed: {out}")
    expect(waiting[0]["province"] or f"number {waiting[0]['node_no']}\n" in out, f"what is empty is not printed: {out}")


class Browser:
    def __init__(self, url, code):
        shots = os.environ.get("MM_SHOTS") or os.path.join(os.path.dirname(harness.program()), "shots")
        os.makedirs(shots, exist_ok=True)
        script = os.path.join(harness.source_directory(), "tests/e2e/lib/commission_live.mjs")
        self.process = harness.start_process(
            ["node", script, url, code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(os.environ, MM_SHOTS=shots),
        )

    def wait(self, word):
        for raw in self.process.stdout:
            line = raw.decode(errors="replace").strip()
            note(f"     {line}")
            if line == f"STEP {word}":
                return
            if line.startswith("skip:"):
                raise harness.Skip(line)
        harness.fail(f"the browser ended before the step {word}")

    def say(self, word):
        self.process.stdin.write(word.encode() + b"\n")
        self.process.stdin.flush()


def from_the_box_to_the_wall():
    node = Parked()
    hand_over(node)
    expect_closed_to_strangers(node)
    expect_nonces_good_once(node)
    browser = Browser(node.page(), node.code())
    browser.wait("typed")
    expect(node.setup()["phase"] == "configuring", "a session is under way")
    node.kill()
    node.wait_phase("provisioned")
    browser.say(node.code())
    browser.wait("lost")
    browser.wait("stored")
    node.kill()
    node.wait_phase("awaiting")
    confirm(node)
    node.wait_phase("running")
    browser.say("confirmed")
    browser.wait("running")
    node.kill()
    node.wait_phase("running")

    def meters():
        answer = node.site.api(f"/api/v1/meters?node={MAC}")
        return answer and {entry["id"]: entry for entry in answer["meters"] if entry["node"] == MAC}

    found = wait_until("both meters are at HQ", lambda: (m := meters()) and len(m) == 2 and m, WAIT_S)
    expect(set(found) == {"K-100", "K-200"}, f"the meters: {sorted(found)}")
    expect(found["K-100"]["energy_wh"] >= 12345678, f"its register goes on from the start: {found['K-100']}")
    expect(found["K-200"]["pulse_constant"] == 800, "with the constant that was typed")
    address_is_corrected(node)
    start_again(node)
    node.site.expect_no_sanitizer_report()


def form_of(values, **changes):
    """What the node's page would send for these values."""
    names = ("node_no", "province", "canton", "parish", "postal_code", "address", "installer")
    fields = {name: values.get(name, "") for name in names}
    for number, channel in enumerate(values["channels"], 1):
        if channel["meter_id"]:
            fields.update({f"{name}_{number}": value for name, value in channel.items() if name != "fixed"})
            fields[f"prepaid_{number}"] = int(channel["prepaid"])
    return {name: urllib.parse.quote(str(value)) for name, value in {**fields, **changes}.items()}


def install_again(node, **changes):
    status, session = node.request("POST", "api/code", {"code": node.code()})
    expect(status == 200, f"a session: {status} {session}")
    status, values = node.request("GET", "api/configuration", headers={"X-Nonce": session["nonce"]})
    expect(status == 200, f"the values: {status} {values}")
    status, answer = node.request("POST", "api/configuration", form_of(values, nonce=values["nonce"], **changes))
    expect(status == 200, f"stored: {status} {answer}")
    node.wait_phase("awaiting")


def address_is_corrected(node):
    """A running node: whoever hangs behind a confirmed meter notices nothing. A new meter waits for HQ."""

    def relays():
        answer = ask(node.site.control_path(NODE), "relays") or ""
        return dict(words for item in answer.strip().split(", ") if len(words := item.split()) == 2)

    def cuts(channel):
        answer = node.site.api(f"/api/v1/events?node={MAC}&limit=1000")
        events = [event for event in answer["events"] if event["name"] == "supply_cut"]
        return sum(event["values"][0] == channel for event in events)

    wait_until("supply is on", lambda: relays().get("K-100") == "closed", WAIT_S)
    before = cuts(0)
    install_again(node, address="Street 2")
    expect(relays().get("K-100") == "closed", f"an address cuts nobody off: {relays()}")
    node.kill()
    node.wait_phase("awaiting")
    expect(relays().get("K-100") == "closed", f"nor does a restart while HQ is asked: {relays()}")
    install_again(node, meter_id_3="K-300", pulse_constant_3="1000", start_wh_3="0")
    wait_until("the new meter is cut", lambda: relays().get("K-300") == "open", WAIT_S)
    expect(relays().get("K-100") == "closed", f"and the other one is not: {relays()}")
    node.kill()
    node.wait_phase("awaiting")
    expect(relays().get("K-100") == "closed" and relays().get("K-300") == "open", f"and so it stays: {relays()}")
    wait_until("HQ has the newer one", lambda: [e for e in waiting_installations(node) if e["revision"] == 3], WAIT_S)
    confirm(node)
    node.wait_phase("running")
    wait_until("the new meter has supply", lambda: relays().get("K-300") == "closed", WAIT_S)
    got, out, err = harness.run_program("reinstall", MAC, env=dict(os.environ, MM_STATE=node.site.state))
    expect(got == 0, f"reinstall: {out}{err}")
    node.wait_phase("awaiting")
    closed = [relays().get(meter) == "closed" for meter in ("K-100", "K-300")]
    expect(all(closed), f"HQ asks again, nobody is cut: {relays()}")
    confirm(node)
    node.wait_phase("running")
    wait_until("HQ has the new meter's events", lambda: cuts(2) == 1, WAIT_S)
    expect(cuts(0) == before, f"the first meter was never cut: {before}, then {cuts(0)}")


def start_again(node):
    """The whole site once more: the node has kept everything, and as gateway it finds the broker by itself."""
    expect(node.site.interrupt() == 0, "the demo ends")
    node.site = Site(1, options=["--parked"], directory=node.site.directory).start()
    node.wait_phase("running")
    for number in (1, 2):
        wait_until(f"node {number} answers", lambda number=number: node.site.status(number), WAIT_S)
        node.site.ctl("router", "off", node=number)
    wait_until("the node is the gateway", lambda: node.site.root() == NODE, WAIT_S)
    wait_until("and has been at the broker", lambda: (node.site.status(NODE) or {}).get("sessions_clean"), WAIT_S)


class Alone:
    """One node without a site, started and ended by hand."""

    SECRET = "mi mama me mima mucho"

    def __init__(self, sync="no", **more):
        self.directory = harness.temporary_directory()
        self.control = self.path("control")
        self.private("device.key", "5a" * 32)
        self.private("label", "label-7731")
        self.private("secret", self.SECRET)
        self.private("mesh.key", "c3" * 32)
        self.private("broker.password", "gateway:a b&c=d%")
        keys = {
            "mac": "02:00:00:00:00:07",
            "state": self.path("state"),
            "control": self.control,
            "pulses": "stdin",
            "storage_sync": sync,
            "device_key_file": self.path("device.key"),
            "commissioning": "yes",
            "configurator": "127.0.0.1:0",
            "pop_file": self.path("label"),
            "challenge": "legacy",
            "legacy_secret_file": self.path("secret"),
            **more,
        }
        self.private("node.conf", "\n".join(f"{key} = {value}" for key, value in keys.items()))
        self.process = None
        self.start()

    def path(self, name):
        return os.path.join(self.directory, name)

    def private(self, name, text):
        with open(os.open(self.path(name), os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
            file.write(text + "\n")

    def start(self):
        self.process = harness.start_process(
            [harness.program(), "node", "--config", self.path("node.conf")], stdin=subprocess.PIPE
        )
        wait_until("the node answers", self.setup, WAIT_S)

    def kill(self):
        self.process.kill()
        self.process.wait(10)
        self.start()

    def setup(self):
        answer = ask(self.control, "setup")
        return json.loads(answer) if answer and answer.startswith("{") else None

    def provision(self, *more):
        return harness.run_program(
            "provision", "--socket", self.control, "--pop-file", self.path("label"), "--site", "house-9",
            "--mesh-key-file", self.path("mesh.key"), "--broker", "mqtt://127.0.0.1:1",
            "--broker-password-file", self.path("broker.password"), *more
        )  # fmt: skip

    def state(self):
        return json.loads(urllib.request.urlopen(self.setup()["page"] + "api/state", timeout=5).read())

    def try_code(self, code):
        request = urllib.request.Request(self.setup()["page"] + "api/code", data=f"code={code}".encode(), method="POST")
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())


    def code(self):
        got, out, err = harness.run_program(
            "code", self.setup()["number"], "--legacy", "--secret-file", self.path("secret")
        )
        match = re.search(r"\b([0-9a-f]{4}) ?([0-9a-f]{4})\b", out)
        expect(got == 0 and match, f"no code: {got} {out}{err}")
        return match.group(1) + match.group(2)


INSTALLATION = {
    "node_no": "12",
    "installer": "the test",
    "meter_id_1": "K-1",
    "pulse_constant_1": "1000",
    "start_wh_1": "5000",
}


def killed_while_it_stores():
    """What was answered is stored, what is stored is whole, and nothing is stored twice."""
    node = Alone(sync="yes")  # storing takes its time then
    expect(node.provision()[0] == 0, "the network is taken")
    wait_until("it goes on in its network", lambda: (s := node.setup()) and s["phase"] == "provisioned", WAIT_S)
    revision = 0
    answered = 0
    for attempt in range(24):
        status, session = node.try_code(node.code())
        expect(status == 200, f"a session: {session}")
        fields = dict(INSTALLATION, nonce=session["nonce"], address=f"street {attempt}")
        body = urllib.parse.urlencode(fields).encode()
        url = node.setup()["page"] + "api/configuration"
        got = []

        def post(url=url, body=body, got=got):
            with contextlib.suppress(OSError, http.client.HTTPException):
                with urllib.request.urlopen(urllib.request.Request(url, data=body, method="POST"), timeout=5) as answer:
                    got.append(json.loads(answer.read())["revision"])

        poster = threading.Thread(target=post)
        poster.start()
        poster.join(attempt * 0.0005)  # from before the request has arrived to after it was answered
        node.kill()
        poster.join(10)
        setup = node.setup()
        expect(setup["revision"] in (revision, revision + 1), f"revision {revision}, then {setup}")
        expect(not got or got[0] == setup["revision"] == revision + 1, f"answered {got}, but then {setup}")
        expect(setup["phase"] == ("awaiting" if setup["revision"] else "provisioned"), f"the phase of {setup}")
        revision = setup["revision"]
        answered += len(got)
    meters = wait_until("its meter is there", lambda: (s := ask_status(node.control)) and s["meters"], WAIT_S)
    expect([(meter["id"], meter["energy_wh"]) for meter in meters] == [("K-1", 5000)], f"the meters: {meters}")
    note(f"     stored={revision} answered={answered} kills=24")
    expect(0 < revision, "some were stored")


def by_hand_with_the_originals_method():
    node = Alone()
    for wrong in (["--site", "No Site"], ["--broker", "http://x"], ["--revision", "0"]):
        got, _, err = node.provision(*wrong)
        expect(got == 1 and node.setup()["phase"] == "parked", f"{wrong} is refused: {got} {err}")
    got, out, err = node.provision()
    expect(got == 0, f"the network is taken: {out}{err}")
    pid = node.process.pid
    wait_until("it goes on in its network", lambda: (s := node.setup()) and s["phase"] == "provisioned", WAIT_S)
    expect(node.process.poll() is None and node.process.pid == pid, "the same process, executed anew")
    status = json.loads(ask(node.control, "status"))
    expect(status["site"] == "house-9", f"its site is {status['site']}")
    first = node.setup()["number"]
    for attempt in range(5):
        got, answer = node.try_code(f"0000000{attempt}")
        expect(got == 403 and answer["verdict"] == "wrong", f"a wrong code: {got} {answer}")
    expect(answer["wait_s"] == 10, f"the fifth locks out for 10 s: {answer}")
    expect(node.setup()["number"] != first, "and there is another number")
    got, answer = node.try_code("00000000")
    expect(got == 429 and 0 < answer["wait_s"] <= 10, f"locked out: {got} {answer}")
    node.kill()
    expect(node.state()["wait_s"] > 0, "a restart does not end the lock-out")
    wait_until("the lock-out ends", lambda: node.state()["wait_s"] == 0, 20, 0.2)
    got, answer = node.try_code(node.code().upper())
    expect(got == 200 and answer["verdict"] == "good", f"the good code: {got} {answer}")
    expect(node.setup()["phase"] == "configuring", "a session is under way")


SECTOR_BYTES = 4096


def spoil_configuration(path, how):
    """As if it were `later` (the newest slot of a later version, whole), or with every slot `torn`. Returns what was
    there."""
    with open(path, "rb") as file:
        before = file.read()
    after = bytearray(before)
    slots = [at for at in range(0, len(before), SECTOR_BYTES) if before[at : at + 4] == b"MMF1"]
    expect(slots, "there is a configuration")
    if how == "torn":
        for at in slots:
            after[at + 20] ^= 4
    else:
        at = max(slots, key=lambda slot: int.from_bytes(before[slot + 4 : slot + 8], "little"))
        end = at + 12 + int.from_bytes(before[at + 8 : at + 12], "little")
        after[at + 12] = 3
        after[end : end + 4] = zlib.crc32(bytes(after[at:end])).to_bytes(4, "little")
    with open(path, "r+b") as file:
        file.write(after)
    return before


def expect_counting(node, before_wh):
    """Pulses are counted, whatever the configuration's memory does. Returns the register."""
    node.process.stdin.write(b"1 100\n")
    node.process.stdin.flush()

    def energy():
        status = ask_status(node.control)
        meters = status["meters"] if status else []
        return next((meter["energy_wh"] for meter in meters if meter["id"] == "K-1"), None)

    wait_until("a hundred pulses are counted", lambda: energy() == before_wh + 100, WAIT_S)
    return before_wh + 100


def picture(node):
    return ask(node.control, "oled")


def configuration_out_of_order():
    """A fault is on the display, counting goes on, nothing is decided; and the way back."""
    node = Alone()
    config = os.path.join(node.path("state"), "config.bin")
    expect(node.provision()[0] == 0, "the network is taken")
    wait_until("it goes on in its network", lambda: (s := node.setup()) and s["phase"] == "provisioned", WAIT_S)
    status, session = node.try_code(node.code())
    expect(status == 200, f"a session: {session}")
    body = urllib.parse.urlencode(dict(INSTALLATION, nonce=session["nonce"])).encode()
    urllib.request.urlopen(urllib.request.Request(node.setup()["page"] + "api/configuration", data=body, method="POST"))
    wait_until("its meter is there", lambda: (s := ask_status(node.control)) and s["meters"], WAIT_S)
    energy_wh = expect_counting(node, 5000)
    expect("fault" not in node.setup(), f"no fault: {node.setup()}")
    healthy = picture(node)

    node.process.kill()
    node.process.wait(10)
    before = spoil_configuration(config, "later")
    node.start()
    setup = node.setup()
    expect(setup["phase"] == "fault" and "later version" in setup["fault"], f"a fault: {setup}")
    expect(node.state()["phase"] == "fault", "its page says so, too")
    expect(picture(node) != healthy, "the display shows something else")
    expect(node.try_code("00000000")[0] == 409, "no code is judged")
    got, _, err = node.provision("--revision", "9")
    expect(got == 1 and "memory refused" in err, f"no network is taken: {got} {err}")
    energy_wh = expect_counting(node, energy_wh)
    with open(config, "r+b") as file:
        file.write(before)
    # It starts again for the network that it now has, and does not answer meanwhile.
    setup = wait_until("it goes on by itself", lambda: (s := node.setup()) and s["phase"] == "awaiting" and s, WAIT_S)
    expect("fault" not in setup, f"and there is no fault any more: {setup}")
    energy_wh = expect_counting(node, energy_wh)

    node.process.kill()
    node.process.wait(10)
    spoil_configuration(config, "torn")
    node.start()
    setup = node.setup()
    expect(setup["phase"] == "parked" and "lost" in setup["fault"], f"it says that it is lost: {setup}")
    lost = picture(node)
    energy_wh = expect_counting(node, energy_wh)
    expect(node.provision()[0] == 0, "a network is handed over again")
    wait_until("it goes on in it", lambda: (s := node.setup()) and s["phase"] == "provisioned", WAIT_S)
    expect("fault" not in node.setup() and picture(node) != lost, "and there is no fault any more")
    expect_counting(node, energy_wh)


if __name__ == "__main__":
    harness.main(configuration_out_of_order, by_hand_with_the_originals_method, killed_while_it_stores, from_the_box_to_the_wall)
