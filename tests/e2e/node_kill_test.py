#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of any node at any moment, 50 times: while it boots, counts, writes, answers, leads. Nothing is lost, nothing
stands twice."""

import os
import random
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
# pylint: disable=wrong-import-position
import data
import harness
import truth
import verify
from demo import Hq, Site, is_alive
from harness import expect, note

SPEED = 3600
FOR_S = 52
NODES = 6
KILLS = 50
SEED = 6
# A kill follows the one before it by up to this; most moments of a node's work are shorter.
PAUSE_MAX_S = 1.1
BEGIN_S = truth.parse_utc("2016-05-30T00:00:00Z")


def kill_nodes(site):
    """Which node and how long to wait is the seed's; of a node that is down, the next one that lives is taken."""
    dice = random.Random(SEED)
    killed = {number: 0 for number in range(1, NODES + 1)}
    young = 0
    born = {}
    while sum(killed.values()) < KILLS:
        expect(site.wall_s() < site.end_utc_s() - 2 * SPEED, f"the time was over after {sum(killed.values())} kills")
        time.sleep(dice.uniform(0, PAUSE_MAX_S))
        wanted = dice.randint(1, NODES)
        pids = site.children()
        for pid in pids.values():
            born.setdefault(pid, time.monotonic())
        for offset in range(NODES):
            number = (wanted - 1 + offset) % NODES + 1
            pid = pids.get(f"node-{number}")
            if pid and is_alive(pid):
                os.kill(pid, signal.SIGKILL)
                killed[number] += 1
                # The next one hits a node that has just been started, as often as it can be had.
                if dice.random() < 0.2:
                    young += kill_at_birth(site, number, pid, dice)
                    killed[number] += 1
                break
    return killed, young


def kill_at_birth(site, number, old_pid, dice):
    def newborn():
        pid = site.children().get(f"node-{number}")
        return pid if pid and pid != old_pid else None

    pid = harness.wait_until(f"node {number} is started again", newborn, 15, 0.005)
    time.sleep(dice.uniform(0, 0.1))
    os.kill(pid, signal.SIGKILL)
    return 1


def nodes_die():
    directory = harness.temporary_directory()
    files = data.generate(os.path.join(directory, "d"), NODES, BEGIN_S, 96, seed=SEED)
    site = Site(SPEED, FOR_S, data=files, nodes=NODES, directory=directory).start()
    sources = truth.read_sources(files, NODES, end_s=site.end_utc_s())
    killed, young = kill_nodes(site)
    note(f"     kills by node: {killed}, {young} of them within 0.1 s of its start")
    summary = site.end_well()
    expect(summary["restarts"] >= KILLS, f"{summary['restarts']} restarts after {KILLS} kills")
    verify.check_records(site, sources, undisturbed=False)
    verify.check_database(site, summary["records_stored"])
    with Hq(site.database_path, os.path.join(site.directory, "hq-alone.log")) as hq:
        verify.check_totals(site, sources, verify.hq_meters(hq.api))
        verify.check_sums(hq.api)


if __name__ == "__main__":
    harness.main(nodes_die)
