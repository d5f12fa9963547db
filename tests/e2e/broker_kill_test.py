#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A broker without persistence is killed, several times, in the middle of a drain: with messages that it has
confirmed to the gateway and not yet given to HQ. They are gone, and come again."""

import os
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
from harness import note, wait_until

SPEED = 7200
FOR_S = 54
ROUNDS = 2
OUTAGE_S = 3 * 3600
BEGIN_S = truth.parse_utc("2016-05-30T00:00:00Z")


def clean_sessions(site):
    """Sessions of whoever was root, in which the broker has confirmed everything."""
    return sum(status["sessions_clean"] for status in site.statuses().values())


def lose_confirmed_messages(site):
    """HQ is dead while the gateway publishes, so what the broker confirms it holds for HQ, in its memory; then the
    broker dies, too."""
    site.ctl("router", "off")
    site.wait_wall(site.wall_s() + OUTAGE_S)
    site.freeze_supervisor()
    try:
        for pid in (site.children()["hq"],):
            os.kill(pid, signal.SIGKILL)
            wait_until("HQ is dead", lambda: not is_alive(pid), 5, 0.002)
        before = site.committed()
        clean = clean_sessions(site)
        site.ctl("router", "on")
        wait_until("the broker has confirmed a whole session", lambda: clean_sessions(site) > clean, 20)
        os.kill(site.children()["broker"], signal.SIGKILL)
    finally:
        site.thaw_supervisor()
    # All that was confirmed is gone with both.
    lost_at = time.monotonic()
    wait_until(
        "what was lost with the broker has come again",
        lambda: all(site.committed()[number][1] >= before[number][1] + OUTAGE_S // 900 - 1 for number in before),
        40,
    )
    note(f"     what was confirmed and lost was back after {time.monotonic() - lost_at:.1f} s")


def kill_while_records_arrive(site):
    """The broker dies between two commits of one drain."""
    site.ctl("router", "off")
    site.wait_wall(site.wall_s() + OUTAGE_S)
    before = site.committed()
    pid = site.pid_of("broker")
    site.ctl("router", "on")
    wait_until("the first records arrive", lambda: site.committed() != before, 20, 0.001)
    os.kill(pid, signal.SIGKILL)


def broker_dies():
    directory = harness.temporary_directory()
    files = data.generate(os.path.join(directory, "d"), 3, BEGIN_S, 96, seed=3)
    site = Site(SPEED, FOR_S, data=files, directory=directory, options=["--no-persistence"]).start()
    sources = truth.read_sources(files, 3, end_s=site.end_utc_s())
    site.wait_settled("everything is delivered before the first kill")
    for _ in range(ROUNDS):
        lose_confirmed_messages(site)
        kill_while_records_arrive(site)
        site.wait_settled("everything is delivered with the new broker")
    summary = site.end_well(restarts=3 * ROUNDS)
    verify.check_records(site, sources, undisturbed=True)
    verify.check_database(site, summary["records_stored"])
    with Hq(site.database_path, os.path.join(site.directory, "hq-alone.log")) as hq:
        verify.check_totals(site, sources, verify.hq_meters(hq.api))
        verify.check_months(site, sources, hq.api)
    note(f"     {2 * ROUNDS} brokers killed, {ROUNDS} of them with confirmed messages for an HQ that was down")


if __name__ == "__main__":
    harness.main(broker_dies)
