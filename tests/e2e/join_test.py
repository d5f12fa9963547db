#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Joining through the mesh, with the real program: a node from the box asks at the door of a site, HQ hears of it and
admits it, it gets the network from the root; kill -9 of both on the way; a device whose key HQ has not is left outside."""

import json
import os
import secrets
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
# pylint: disable=wrong-import-position
import harness
from demo import Site, ask, free_port
from harness import expect, note, wait_until

ROOT = 3
WAIT_S = 60


class FromTheBox:
    """A node process beside the demo, that knows nothing but where a mesh may be."""

    def __init__(self, site, number, with_key_at_hq):
        self.mac = f"02:6d:6d:00:00:{number:02x}"
        self.directory = os.path.join(site.directory, f"box-{number}")
        os.mkdir(self.directory, 0o700)
        key = secrets.token_hex(32)
        self.private("device.key", key)
        self.private("label", "a label of this device")
        if with_key_at_hq:
            keys = self.private("keys.csv", f"{self.mac},{key}")
            got, _, err = harness.run_program("keys", "import", keys, "--database", site.database_path)
            expect(got == 0, f"the key is imported: {err}")
        values = site.configuration(ROOT)
        values.update(
            mac=self.mac,
            state=os.path.join(self.directory, "state"),
            control=os.path.join(self.directory, "control"),
            display=os.path.join(self.directory, "display"),
            device_key_file=os.path.join(self.directory, "device.key"),
            pop_file=os.path.join(self.directory, "label"),
            mesh_listen=f"127.0.0.1:{free_port()}",
            configurator="127.0.0.1:0",
            router="off",
        )
        self.control = values["control"]
        self.config = self.private("node.conf", "\n".join(f"{key} = {value}" for key, value in values.items()))
        self.start()

    def private(self, name, text):
        path = os.path.join(self.directory, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text + "\n")
        return path

    def start(self):
        log = open(os.path.join(self.directory, "log"), "ab")  # pylint: disable=consider-using-with
        self.process = harness.start_process(
            [harness.program(), "node", "--config", self.config], stdout=log, stderr=log
        )
        log.close()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.start()
        wait_until("the node is back", self.setup, WAIT_S)

    def setup(self):
        answer = ask(self.control, "setup")
        return json.loads(answer) if answer and answer.startswith("{") else None

    def wait_setup(self, what, condition):
        return wait_until(what, lambda: (s := self.setup()) and condition(s) and s, WAIT_S)


def joins(site, mac):
    got, out, err = harness.run_program("joins", "--json", "--state", site.state)
    expect(got == 0, f"joins: {err}")
    return [row for row in json.loads(out)["joins"] if row["device"] == mac]


def wait_join(site, mac, state):
    return wait_until(
        f"{mac} is {state} at HQ", lambda: [row for row in joins(site, mac) if row["state"] == state], WAIT_S, 0.3
    )


def make_root(site):
    """The only nodes that can host are those that have been commissioned: the demo's last one becomes the root."""
    wait_until("node 3 answers", lambda: ask(site.control_path(ROOT), "setup"), WAIT_S)
    got, _, err = harness.run_program("provision", "--state", site.state, "--revision", 10, f"node-{ROOT}")
    expect(got == 0, f"the network is taken: {err}")
    for number in range(1, ROOT):
        wait_until(f"node {number} has no router", lambda n=number: ask(site.control_path(n), "router off"), WAIT_S)
    wait_until("node 3 is the root", lambda: (s := site.status(ROOT)) and s["root"], WAIT_S)


def through_the_mesh():
    site = Site(1, options=["--parked"]).start()
    make_root(site)
    node = FromTheBox(site, 4, True)
    node.wait_setup("it asks, and has heard the site", lambda s: s.get("asking") and s["heard"] == "demo")
    expect(node.setup()["phase"] == "parked", "and has nothing yet")
    wait_join(site, node.mac, "waiting")
    note("     asked, and HQ knows; now kill -9 of the node and of the root")
    node.kill()
    site.kill(f"node-{ROOT}")
    wait_until("the root is back", lambda: (s := site.status(ROOT)) and s["root"], WAIT_S)
    node.wait_setup("it is heard again", lambda s: s.get("heard") == "demo")
    wait_join(site, node.mac, "superseded")
    wait_join(site, node.mac, "waiting")
    got, out, err = harness.run_program("joins", "admit", node.mac, "--state", site.state)
    expect(got == 0, f"admitted: {out}{err}")
    node.wait_setup("it has the network", lambda s: s["phase"] == "provisioned" and s.get("number"))
    wait_join(site, node.mac, "admitted")
    wait_until(
        "it is in the mesh", lambda: (s := ask(node.control, "status")) and json.loads(s).get("attached"), WAIT_S
    )
    expect(json.loads(ask(node.control, "status"))["site"] == "demo", "of its site")
    node.kill()
    expect(node.wait_setup("it keeps the network", lambda s: s["phase"] == "provisioned"), "after a kill")


    member_follows(site, node)


def member_follows(site, node):
    """The root gets another network: its member asks through the mesh, with the revision that it has."""
    got, _, err = harness.run_program("provision", "--state", site.state, "--revision", 11, f"node-{ROOT}")
    expect(got == 0, f"the root's network is another one: {err}")
    wait_until("the member is heard at HQ", lambda: [r for r in waiting(site, node) if r["revision"] == 10], WAIT_S, 0.3)
    got, out, err = harness.run_program("joins", "admit", node.mac, "--state", site.state)
    expect(got == 0, f"admitted once more: {out}{err}")
    wait_until("no ask of it waits any more", lambda: not waiting(site, node), WAIT_S, 0.3)
    node.wait_setup("it has the new network", lambda s: s["phase"] == "provisioned" and not s.get("asking"))
    with open(os.path.join(node.directory, "log"), encoding="utf-8") as file:
        expect(file.read().count("the network came through the mesh") == 2, "both networks came through the mesh")


def waiting(site, node):
    return [row for row in joins(site, node.mac) if row["state"] == "waiting"]


def stranger():
    site = Site(1, options=["--parked"]).start()
    make_root(site)
    node = FromTheBox(site, 5, False)
    node.wait_setup("it asks, and has heard the site", lambda s: s.get("asking") and s["heard"] == "demo")
    wait_join(site, node.mac, "unproved")
    got, _, err = harness.run_program("joins", "admit", node.mac, "--state", site.state)
    expect(got != 0, f"nobody can admit it: {err}")
    expect(node.setup()["phase"] == "parked", "it stays outside")


if __name__ == "__main__":
    harness.main(through_the_mesh, stranger)
