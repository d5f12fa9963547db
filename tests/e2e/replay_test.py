#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""24 meters replayed: every 15-minute record, every life, month and hour-of-day register at HQ equals its source,
and so does every node's own register."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
# pylint: disable=wrong-import-position
import data
import harness
import truth
import verify
from demo import Hq, Node, Site
from harness import expect, note

# 12 days of the real files.
SPEED = 86400
FOR_S = 12
# Three nodes, 8 meters, 4 records an hour. verify.check_records shows that none is missing in between; this one that
# there was something to see: a second that a busy machine takes to start is a day here.
RECORDS_MIN = 24 * 4 * 24 * FOR_S // 2


def replay(directory):
    site = Site(SPEED, FOR_S, data=directory).start()
    summary = site.end_well(restarts=0)
    expect(summary["meters"] == 24, f"the summary says meters={summary['meters']}")
    sources = truth.read_sources(directory, 3, end_s=site.end_utc_s())
    expect(site.begin_utc_s() == sources[0].first_s, "the replay does not begin with the first row of the first file")
    count = verify.check_records(site, sources, undisturbed=True)
    verify.check_database(site, summary["records_stored"])
    with Hq(site.database_path, os.path.join(site.directory, "hq-alone.log")) as hq:
        total_wh = verify.check_totals(site, sources, verify.hq_meters(hq.api))
        verify.check_months(site, sources, hq.api)
        verify.check_sums(hq.api)
    meters = {}
    for number in range(1, 4):
        with Node(site, number) as node:
            meters.update(verify.node_meters(number, node.status))
    verify.check_totals(site, sources, meters)
    note(f"     {count} records of 24 meters, {total_wh} Wh: equal")
    return count


def real_meters():
    directory = data.real_directory()
    if directory is None:
        note("skip: ../shared/data is absent: generated files are replayed instead of real meters")
        directory = data.generate(
            os.path.join(harness.temporary_directory(), "d"),
            3,
            truth.parse_utc("2015-12-15T00:00:00Z"),
            FOR_S * 24 + 48,
        )
    expect(replay(directory) >= RECORDS_MIN, "fewer records than the time has")


if __name__ == "__main__":
    harness.main(real_meters)
