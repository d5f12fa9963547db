#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The disk of HQ and nodes is full for some hours: the messages name the files, nothing crashes, and when there is
room again everything is there."""

import contextlib
import os
import subprocess
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
FOR_S = 24
FULL_S = 6 * 3600
MARK = "MM_DISK_FULL_NAMESPACE"
DISK_BYTES = 24 * 1024 * 1024
BEGIN_S = truth.parse_utc("2016-05-30T00:00:00Z")


def small_disk(directory):
    """A disk of its own that only this test and what it starts can see."""
    expect(os.environ.get(MARK), "not in a namespace of its own")
    path = os.path.join(directory, "s")
    os.makedirs(path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=700", "tmpfs", path], check=True)
    harness.on_exit(lambda: subprocess.run(["umount", "--lazy", path], check=False))
    return path


def enter_namespace():
    """Run this script again where it may mount."""
    if os.environ.get(MARK):
        return
    for command in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        with contextlib.suppress(OSError):
            done = subprocess.run(
                [*command, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
            )
            if done.returncode == 0:
                os.environ[MARK] = "1"
                os.execvp(command[0], [*command, sys.executable, os.path.abspath(__file__)])
    print("skip: a small disk cannot be made here (mount in a namespace of its own)")
    sys.exit(harness.SKIP_CODE)


def fill(directory):
    """Until not one byte more fits."""
    path = os.path.join(directory, "filler")
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    return path


def log_of(site, name):
    with open(os.path.join(site.state, "log", f"{name}.log"), encoding="utf-8", errors="replace") as file:
        return file.read()


def full_disk():
    directory = harness.temporary_directory()
    small_disk(directory)
    files = data.generate(os.path.join(directory, "d"), 3, BEGIN_S, 96, seed=9)
    site = Site(SPEED, FOR_S, data=files, directory=directory).start()
    sources = truth.read_sources(files, 3, end_s=site.end_utc_s())
    site.wait_settled("everything is delivered at first")
    parts = site.children()
    filler = fill(site.state)
    full_s = site.wall_s()
    site.wait_wall(full_s + FULL_S / 2)
    stuck = site.committed()
    site.wait_wall(full_s + FULL_S)
    expect(site.committed() == stuck, f"HQ stores records on a full disk: {stuck}, then {site.committed()}")
    database = (site.api("/api/v1/status") or harness.fail("HQ does not answer while the disk is full"))["database"]
    expect(database["failing"], "HQ's status does not say that the database fails")
    expect(len(site.statuses()) == 3, "a node does not answer while the disk is full")
    expect(site.children() == parts, f"a part ended while the disk was full: {parts}, then {site.children()}")
    os.unlink(filler)
    wait_until(
        "records arrive when there is room again",
        lambda: all(site.committed()[number] > stuck[number] for number in stuck),
        40,
    )
    expect("hq.db" in log_of(site, "hq"), "HQ's log does not name the file that could not be written")
    summary = site.end_well(restarts=0)
    verify.check_records(site, sources, undisturbed=True)
    verify.check_database(site, summary["records_stored"])
    with Hq(site.database_path, os.path.join(site.directory, "hq-alone.log")) as hq:
        verify.check_totals(site, sources, verify.hq_meters(hq.api))
        verify.check_months(site, sources, hq.api)
    note(f"     disk full for {FULL_S // 3600} hours")


if __name__ == "__main__":
    enter_namespace()
    harness.main(full_disk)
