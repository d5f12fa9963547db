#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes boot without a time: their pulses are counted as pending and their records have no wall time; then the
clock is set, everything is filed and dated, and the totals are exact."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
# pylint: disable=wrong-import-position
import data
import harness
import truth
import verify
from demo import Hq, Site
from harness import expect, note, wait_until

SPEED = 3600
FOR_S = 13
UNSET_S = 6 * 3600
BEGIN_S = truth.parse_utc("2016-05-30T00:00:00Z")


def pending(status):
    return sum(meter["pending_pulses"] for meter in status["meters"])


def clock_unset():
    directory = harness.temporary_directory()
    files = data.generate(os.path.join(directory, "d"), 3, BEGIN_S, 72, seed=7)
    site = Site(SPEED, FOR_S, data=files, directory=directory, options=["--clock-unset"]).start()
    sources = truth.read_sources(files, 3, end_s=site.end_utc_s())
    site.wait_wall(site.wall_s() + UNSET_S)
    for number, status in wait_until(
        "all nodes answer", lambda: site.statuses() if len(site.statuses()) == 3 else None, 10
    ).items():
        life = sum(meter["life_pulses"] for meter in status["meters"])
        expect(status["trust"] == "unset", f"node {number} has a time before anybody gave it one: {status['trust']}")
        expect(life > 0 and pending(status) == life, f"node {number}: {pending(status)} of {life} pulses are pending")
    nodes = wait_until(
        "HQ has records of nodes without a time",
        lambda: (found := site.api_nodes())
        and len(found) == 3
        and all(node["watermark"] > 1 for node in found.values())
        and found,
        20,
    )
    expect(
        {node["time_trust"] for node in nodes.values()} == {"unset"},
        f"HQ shows a time that nobody has: {[node['time_trust'] for node in nodes.values()]}",
    )
    site.ctl("clock", "set")
    wait_until(
        "every node has filed its pending pulses",
        lambda: all(status["trust"] != "unset" and pending(status) == 0 for status in site.statuses().values()),
        10,
    )
    summary = site.end_well(restarts=0)
    verify.check_database(site, summary["records_stored"])
    # Uptime has whole seconds, and so has the event that translates it.
    verify.check_records(site, sources, undisturbed=False, tolerance_s=2)
    records = verify.read_records(site)
    undated = [record for rows in records.values() for record in rows if record.trust == "unset"]
    expect(undated, "no record says that it was made without a time")
    with Hq(site.database_path, os.path.join(site.directory, "hq-alone.log")) as hq:
        verify.check_totals(site, sources, verify.hq_meters(hq.api))
        verify.check_months(site, sources, hq.api)
        verify.check_sums(hq.api)
    note(f"     {len(undated)} of {sum(map(len, records.values()))} records were made before the clock was set")


if __name__ == "__main__":
    harness.main(clock_unset)
