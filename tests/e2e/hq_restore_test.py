#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""HQ is killed in the middle of a transaction, and its database is replaced with an older copy ("yesterday's
backup"): the nodes fill it up again, completely."""

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
from demo import Hq, Site, is_alive, open_database
from harness import expect, note, wait_until

SPEED = 10800
FOR_S = 28
KILLS = 4
DAY_S = 86400
BEGIN_S = truth.parse_utc("2016-05-30T00:00:00Z")


def wal_state(site):
    try:
        status = os.stat(site.database_path + "-wal")
        return status.st_size, status.st_mtime_ns
    except FileNotFoundError:
        return None


def kill_in_transaction(site):
    """HQ writes to its log of transactions, at this instant it dies. It is whole afterwards."""
    pid = site.pid_of("hq")
    before = wal_state(site)
    wait_until("HQ writes", lambda: wal_state(site) not in (before, None), 20, 0)
    os.kill(pid, signal.SIGKILL)
    wait_until("HQ is dead", lambda: not is_alive(pid), 5, 0.001)
    wait_until("HQ runs again and is connected", lambda: is_connected(site), 20)
    with contextlib.closing(open_database(site.database_path)) as database:
        expect(
            database.execute("PRAGMA integrity_check").fetchone()[0] == "ok", "the database is damaged by the kill"
        )


def is_connected(site):
    status = site.api("/api/v1/status")
    return status and status["broker"]["connected"]


def restore(site, copy_path, records_copied):
    """HQ dies and comes up on the older copy."""
    records_before = site.committed_records()
    site.replace_database(copy_path)
    records_restored = site.committed_records()
    expect(
        records_restored == records_copied < records_before,
        f"{records_before} records before, {records_restored} restored, {records_copied} copied",
    )
    note(f"     {records_before} records replaced with a copy of {records_copied}")
    wait_until("HQ runs again and is connected", lambda: is_connected(site), 20)
    wait_until(
        "all that the copy did not have has come again", lambda: site.committed_records() >= records_before, 60
    )


def old_copy():
    directory = harness.temporary_directory()
    files = data.generate(os.path.join(directory, "d"), 3, BEGIN_S, 96, seed=4)
    site = Site(SPEED, FOR_S, data=files, directory=directory).start()
    sources = truth.read_sources(files, 3, end_s=site.end_utc_s())
    site.wait_settled("everything is delivered at first")
    copy_path = os.path.join(directory, "yesterday.db")
    records_copied = site.copy_database(copy_path)
    yesterday_s = site.wall_s()
    for _ in range(KILLS):
        kill_in_transaction(site)
    site.wait_wall(yesterday_s + DAY_S)
    restore(site, copy_path, records_copied)
    summary = site.end_well(restarts=KILLS + 1)
    verify.check_records(site, sources, undisturbed=True)
    verify.check_database(site, summary["records_stored"])
    with Hq(site.database_path, os.path.join(site.directory, "hq-alone.log")) as hq:
        verify.check_totals(site, sources, verify.hq_meters(hq.api))
        verify.check_months(site, sources, hq.api)


if __name__ == "__main__":
    harness.main(old_copy)
