#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The root is killed in the middle of a round: another node becomes root, nothing is lost, nothing stands twice."""

import contextlib
import os
import signal
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
# pylint: disable=wrong-import-position
import data
import harness
import truth
import verify
from demo import Hq, Site, is_alive
from harness import expect, note, wait_until

SPEED = 3600
FOR_S = 36
KILLS = 3
BEGIN_S = truth.parse_utc("2016-05-30T00:00:00Z")


def kill_in_round(site):
    """One child stands still, so the round that asks it stays open; in this round the root dies. Nobody restarts it
    until another node has its role."""
    root = wait_until("there is a root", site.root, 15)
    silent = next(number for number in range(1, site.nodes + 1) if number != root)
    root_pid, silent_pid = site.pid_of(f"node-{root}"), site.pid_of(f"node-{silent}")
    before = site.committed()
    site.freeze_supervisor()
    try:
        os.kill(silent_pid, signal.SIGSTOP)
        rounds = site.status(root)["rounds_made"]
        wait_until("the root begins a round", lambda: site.status(root)["rounds_made"] > rounds, 15, 0.002)
        os.kill(root_pid, signal.SIGKILL)
        wait_until("the root is dead", lambda: not is_alive(root_pid), 5, 0.002)
        os.kill(silent_pid, signal.SIGCONT)
        successor = wait_until("another node is root", site.root, 20)
        expect(successor != root, "the dead node is root")
        others = [number for number in range(1, site.nodes + 1) if number != root]
        wait_until(
            "the new root delivers for everybody that lives",
            lambda: all(site.committed()[number] > before[number] for number in others),
            30,
        )
        # The old root may be chosen again as soon as it is back.
        wait_until("HQ names the new root", lambda: site.api_nodes().get(successor, {}).get("root"), 15)
    finally:
        with contextlib.suppress(OSError):
            os.kill(silent_pid, signal.SIGCONT)
        site.thaw_supervisor()
    wait_until("the old root is back and delivers", lambda: site.committed()[root] > before[root], 30)
    wait_until("there is one root again", site.root, 20)
    return root, successor


def root_dies():
    directory = harness.temporary_directory()
    files = data.generate(os.path.join(directory, "d"), 3, BEGIN_S, 72, seed=5)
    site = Site(SPEED, FOR_S, data=files, directory=directory).start()
    sources = truth.read_sources(files, 3, end_s=site.end_utc_s())
    site.wait_settled("everything is delivered at first")
    for _ in range(KILLS):
        root, successor = kill_in_round(site)
        note(f"     root {root} killed, then node {successor} was root")
    summary = site.end_well(restarts=KILLS)
    verify.check_records(site, sources, undisturbed=False)
    verify.check_database(site, summary["records_stored"])
    with Hq(site.database_path, os.path.join(site.directory, "hq-alone.log")) as hq:
        verify.check_totals(site, sources, verify.hq_meters(hq.api))
        verify.check_sums(hq.api)


if __name__ == "__main__":
    harness.main(root_dies)
