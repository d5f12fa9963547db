#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Replay across a New Year and across a change to summer time: months and hours of the day equal the files, by the rule
of the local zone."""

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
from harness import expect, note


def replay(start, speed, for_s, closed_month, nodes=3):
    """Months and hours of all meters from `start` on; every meter must have closed this month."""
    directory = data.real_directory()
    workplace = harness.temporary_directory()
    begin_s = truth.parse_utc(start)
    if directory is None:
        note("skip: ../shared/data is absent: generated files are replayed instead of real meters")
        directory = data.generate(
            os.path.join(workplace, "d"), nodes, begin_s - 7 * 3600, for_s * speed // 3600 + 72, seed=8
        )
    site = Site(speed, for_s, data=directory, nodes=nodes, start=start, directory=workplace).start()
    summary = site.end_well(restarts=0)
    sources = truth.read_sources(directory, nodes, begin_s, site.end_utc_s())
    expect(any(source.shift_s == 0 for source in sources), "no file is replayed in its own time")
    count = verify.check_records(site, sources, undisturbed=True)
    verify.check_database(site, summary["records_stored"])
    with Hq(site.database_path, os.path.join(site.directory, "hq-alone.log")) as hq:
        verify.check_totals(site, sources, verify.hq_meters(hq.api))
        closed = verify.check_months(site, sources, hq.api)
        verify.check_sums(hq.api)
        expect_closed(hq.api, closed_month)
    note(f"     {start} +{speed * for_s // 3600} h: {count} records, {closed} closed months: equal")


def expect_closed(api, closed_month):
    for meter in (meter for meter in api("/api/v1/meters")["meters"] if meter["id"]):
        months = api(f"/api/v1/months?node={meter['node']}&channel={meter['channel']}")["months"]
        names = [month["year_month"] for month in months]
        expect(names.count(closed_month) == 1, f"{meter['id']}: closed months {names}, expected {closed_month} once")
        expect(meter["year_month"] > closed_month, f"{meter['id']} is still in {meter['year_month']}")


def new_year():
    replay("2015-12-31T00:00:00Z", 14400, 10, "2015-12")


def summer_time():
    # The change is on the 27th at 01:00 UTC; the end of March is then at 22:00 UTC of the 31st.
    replay("2016-03-24T00:00:00Z", 60000, 13, "2016-03")


if __name__ == "__main__":
    harness.main(new_year, summer_time)
